package backup

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch"
)

func rows(text string) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		for f := range strings.FieldsSeq(text) {
			id, v, _ := strings.Cut(f, "=")
			if !yield(db.Row{{State: db.Set, Data: []byte(id)}, {State: db.Set, Data: []byte(v)}}, nil) {
				return
			}
		}
	}
}

func TestDiffer(t *testing.T) {
	shape := &db.Table{Columns: []db.Column{{Name: "id", DataType: "int"}, {Name: "v", DataType: "text"}}, Keys: []db.Key{{Primary: true, Columns: []int{0}}}}
	f := func(was, is, want string) {
		t.Helper()
		var got []string
		text := func(r db.Row) string {
			if r == nil {
				return ""
			}
			return fmt.Sprintf("%s=%s", r[0].Data, r[1].Data)
		}
		err := differ(shape, []int{0}, rows(was), rows(is), func(c *db.Change) error {
			got = append(got, text(c.Before)+">"+text(c.After))
			return nil
		})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s to %s: %s, %v; want %s", was, is, got, err, want)
		}
	}
	f("", "", "")
	f("1=a 2=b", "1=a 2=b", "")
	f("1=a 2=b 10=c", "1=a 10=c", "2=b>")
	f("1=a 2=b 10=c", "", "1=a> 2=b> 10=c>")
	f("", "1=a", ">1=a")
	f("2=b", "1=a 2=c 3=d", ">1=a 2=b>2=c >3=d")
	f("-1=a 5=b", "-2=x 5=c", ">-2=x -1=a> 5=b>5=c")
}

func TestMoved(t *testing.T) {
	at := []int{0, 1, 2}
	at = moved(at, []history.ColumnFrom{{Old: 2}, {Old: -1}, {Old: 0}}) // the second was dropped
	if !slices.Equal(at, []int{2, -1, 0}) {
		t.Errorf("after one ALTER: %v", at)
	}
	if at = moved(at, []history.ColumnFrom{{Old: 1}, {Old: 2}, {Old: 0}}); !slices.Equal(at, []int{1, -1, 2}) {
		t.Errorf("after two: %v", at)
	}
}

func TestBefore(t *testing.T) {
	f := func(a string, an int64, b string, bn int64, want bool) {
		t.Helper()
		if got := before(db.Position{File: a, Offset: an}, db.Position{File: b, Offset: bn}); got != want {
			t.Errorf("%s:%d before %s:%d is %v", a, an, b, bn, got)
		}
	}
	f("bin.000001", 9, "bin.000001", 10, true)
	f("bin.000001", 10, "bin.000001", 10, false)
	f("bin.000002", 4, "bin.000001", 900, false)
	f("bin.999999", 4, "bin.1000000", 4, true)
}

// touched is a transaction that deleted n rows.
func touched(n int64, at time.Time, statement string) []history.Touch {
	tx := db.Tx{GTID: fmt.Sprintf("0-1-%d", at.Unix()), At: at}
	return []history.Touch{{Tx: tx, Table: db.Name{Schema: "shop", Table: "billing"}, Deleted: n, Statement: statement, Statements: 1}}
}

func TestAlarm(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 20, 14, 2, 11, 0, time.UTC)
	var said []string
	a := &alarm{
		database: "shop", quiet: []string{"prune"}, ledger: watch.NewLedger(dir), now: func() time.Time { return now },
		say: func(s string) { said = append(said, s) }, stats: map[db.Name]*history.Stats{},
	}
	note := func(touches []history.Touch) {
		t.Helper()
		now = now.Add(time.Second)
		if err := a.note(t.Context(), 1, &touches[0].Tx, touches); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		note(touched(3, now, "delete from billing where id = 1"))
	}
	note(touched(18204, now, "DELETE /* origin: prune */ FROM billing WHERE id > 0"))
	if len(said) != 0 {
		t.Errorf("said %q", said)
	}
	note(touched(18204, now, "delete from billing where id > 0"))
	if len(said) != 1 || !strings.Contains(said[0], "18,204 deleted") || !strings.Contains(said[0], "Next: lull undo f-") {
		t.Errorf("said %q", said)
	}
	again := touched(18204, now.Add(-time.Second), "delete from billing where id > 0")
	note(again) // comes twice after an interruption
	drop := touched(0, now, "drop table billing")
	drop[0].DDL = "drop"
	note(drop)
	if len(said) != 2 || !strings.Contains(said[1], "lull restore shop.billing --at f-") || !strings.Contains(said[1], "--into shop.billing") {
		t.Errorf("said %q", said)
	}
	own := touched(5000, now, "delete from billing")
	own[0].Plan = "p-1"
	note(own)
	all, err := a.ledger.All()
	if err != nil || len(all) != 2 {
		t.Errorf("%d findings, %v", len(all), err)
	}
	open, err := findings(a.ledger, now, map[string]string{all[1].ID: "p-2"})
	if err != nil || len(open) != 1 || open[0].OK {
		t.Errorf("open are %+v, %v", open, err)
	}
}

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lull.key")
	public, err := NewKey(path)
	if err != nil || !strings.HasPrefix(public, "age1") {
		t.Fatalf("public key %q, %v", public, err)
	}
	if ids, err := readIdentities(path); err != nil || len(ids) != 1 {
		t.Errorf("%d identities, %v", len(ids), err)
	}
	if _, err := NewKey(path); lull.KindOf(err) != lull.Usage {
		t.Errorf("written over: %v", err)
	}
}
