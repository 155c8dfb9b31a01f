package fold

import (
	"errors"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// TestTextReferences deletes a parent by a text key and looks at which children fall.
func TestTextReferences(t *testing.T) {
	for _, c := range []struct {
		name, collation, parent, child string
		falls, exact                   bool
	}{
		{"same bytes", "utf8mb4_bin", "a", "a", true, true},
		{"other case, binary", "utf8mb4_bin", "a", "A", false, true},
		{"other case, ci", "utf8mb4_general_ci", "a", "A", true, true},
		{"padded", "utf8mb4_general_ci", "a", "a ", true, true},
		{"padded, no pad", "utf8mb4_0900_ai_ci", "a", "a ", false, true},
		{"accent", "utf8mb4_0900_ai_ci", "é", "e", false, false},
		{"accent in the child", "utf8mb4_0900_ai_ci", "e", "é", false, false},
		{"accent, same bytes", "utf8mb4_0900_ai_ci", "é", "é", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(1, false)
			p, k := w.tabs[4], w.make("kid", "id int key", "up text")
			p.shape.Columns[0].Collation, k.shape.Columns[1].Collation = c.collation, c.collation
			k.refer("up", p, "k", "CASCADE", "CASCADE")
			p.fks = nil
			w.tabs = append(w.tabs, k)
			w.define(p)
			w.define(k)
			p.rows, k.rows = []db.Row{{text(c.parent), {}, {}}}, []db.Row{{num(1), text(c.child)}}
			w.truth = nil
			w.remember()
			w.snapshot(p.name, 0, 0)
			w.snapshot(k.name, 0, 0)
			w.seq = 1
			w.log(p, p.rows[0], nil)
			tab, err := Find(t.Context(), w.memory, k.name, 1, Options{})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, err := range tab.Rows(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if (n == 0) != c.falls || tab.Exact != c.exact {
				t.Fatalf("%d rows left, exact %v (%v)", n, tab.Exact, tab.Warnings)
			}
		})
	}
}

// TestPartial wants an error, never a wrong row, where MINIMAL images do not hold enough.
func TestPartial(t *testing.T) {
	w := newWorld(1, false)
	g := w.tabs[0]
	w.snapshot(g.name, 0, 0)
	w.seq, w.minimal = 1, true
	w.log(g, db.Row{num(1), text("a")}, db.Row{num(2), text("a")})
	tab, err := Find(t.Context(), w.memory, g.name, 1, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range tab.Rows(t.Context()) {
		pe, ok := errors.AsType[*PartialRowError](err)
		if !ok || pe.Column != "v" || !strings.Contains(err.Error(), "no value of column v") {
			t.Fatalf("got %v, %v", row, err)
		}
	}
}

// TestStop leaves the loop early, twice over the same table.
func TestStop(t *testing.T) {
	w := newWorld(1, false)
	g := w.tabs[0]
	g.rows = []db.Row{{num(1), text("a")}, {num(2), text("b")}}
	w.truth = nil
	w.remember()
	w.snapshot(g.name, 0, 0)
	tab, err := Find(t.Context(), w.memory, g.name, history.Seq(0), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for row, err := range tab.Rows(t.Context()) {
			if err != nil || string(row[0].Data) != "1" {
				t.Fatal(row, err)
			}
			break
		}
	}
}
