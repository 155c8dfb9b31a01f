package fold

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// endless makes rows and changes up as they are read.
type endless struct {
	*memory
	n int
}

func (e *endless) Rows(_ context.Context, _ *history.Snapshot, fn func(db.Row) error) error {
	for i := range e.n {
		if err := fn(db.Row{num(i), num(i % 1000), text(fmt.Sprintf("customer number %d of many", i)), text("2026-11-20 14:02:11"), num(i * 7)}); err != nil {
			return err
		}
	}
	return nil
}

func (e *endless) Changes(_ context.Context, _ []db.Name, _, _ history.Seq, fn func(db.Name, *history.RowChange) error) error {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range e.n {
		k := rnd.IntN(e.n)
		r := db.Row{num(k), num(k % 1000), text(fmt.Sprintf("customer number %d of many", k)), text("2026-11-21 14:02:11"), num(i)}
		c := history.RowChange{Seq: history.Seq(i/10 + 1), N: uint64(i % 10), Op: db.Update, Definition: "d", Before: r, After: r}
		if err := fn(name("bills"), &c); err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkRows(b *testing.B) {
	t := &db.Table{Keys: []db.Key{{Columns: []int{0}, Primary: true}}}
	for _, c := range []string{"id int", "a int", "b varchar", "c datetime", "d bigint"} {
		n, kind, _ := strings.Cut(c, " ")
		t.Columns = append(t.Columns, db.Column{Name: n, DataType: kind})
	}
	p := &endless{&memory{defs: map[string]*history.Definition{"d": {ID: "d", Table: t}}}, 1_000_000}
	p.snaps = []history.Snapshot{{ID: "1", Table: name("bills"), Definition: "d", Sorted: true}}
	for b.Loop() {
		tab, err := Find(b.Context(), p, name("bills"), 200_000, Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range tab.Rows(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != p.n || !tab.Exact {
			b.Fatalf("%d rows, %v", n, tab.Warnings)
		}
	}
}
