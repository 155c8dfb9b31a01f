package fold

import (
	"errors"
	"flag"
	"slices"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

var (
	worlds    = flag.Int("worlds", 40, "how many simulated databases to fold")
	firstSeed = flag.Uint64("seed", 1, "first seed")
)

type tally struct{ exact, inexact, none, partial, same int }

// live runs a world and snapshots of it.
func live(seed uint64, native, fuzzy bool) *world {
	w := newWorld(seed, native)
	w.run(30 + w.rnd.IntN(40))
	end := int(w.seq)
	for _, n := range keys(w.truth[0]) {
		w.snapshot(n, 0, 0)
	}
	for range 12 {
		e := w.rnd.IntN(end + 1)
		names := keys(w.truth[e])
		s := e
		if fuzzy && w.rnd.IntN(2) == 0 {
			s = max(0, e-w.rnd.IntN(12))
		}
		w.snapshot(names[w.rnd.IntN(len(names))], history.Seq(s), history.Seq(e))
	}
	return w
}

// compare folds every table at random cuts and compares the rows with the truth.
func compare(t *testing.T, w *world, sum *tally) {
	t.Helper()
	for range 6 {
		cut := history.Seq(w.rnd.IntN(len(w.truth)))
		for _, n := range keys(w.truth[cut]) {
			one(t, w, n, cut, sum)
		}
	}
}

func one(t *testing.T, w *world, n db.Name, cut history.Seq, sum *tally) {
	t.Helper()
	tab, err := Find(t.Context(), w.memory, n, cut, Options{Dir: t.TempDir(), Memory: w.rnd.IntN(2)})
	if err != nil {
		var nr *NotRestorableError
		if !errors.As(err, &nr) && lull.KindOf(err) != lull.Usage {
			t.Fatalf("%s at %d: %v", n, cut, err)
		}
		sum.none++
		return
	}
	want := w.truth[cut][n]
	if !sameColumns(tab.Definition.Table, want.def.Table) {
		t.Fatalf("%s at %d: columns %v, want %v", n, cut, tab.Definition.Table.Columns, want.def.Table.Columns)
	}
	var got []string
	for r, err := range tab.Rows(t.Context()) {
		if err != nil {
			if _, ok := errors.AsType[*PartialRowError](err); !ok {
				w.dump(t, tab.From, cut)
				t.Fatalf("%s at %d: %v", n, cut, err)
			}
			sum.partial++
			return
		}
		got = append(got, rowText(r))
	}
	var rows []string
	for _, r := range sortRows(want.def.Table, want.rows) {
		rows = append(rows, rowText(r))
	}
	equal := slices.Equal(got, rows)
	if !tab.Exact {
		sum.inexact++
		if equal {
			sum.same++
		}
		return
	}
	sum.exact++
	if !equal {
		w.dump(t, tab.From, cut)
		t.Fatalf("%s at %d (base %+v, lineage %v):\n got %q\nwant %q", n, cut, tab.Base, tab.Lineage, got, rows)
	}
}

func TestTruth(t *testing.T) {
	for _, k := range []struct {
		name          string
		native, fuzzy bool
	}{{"cascades not logged", false, false}, {"cascades logged", true, false}, {"fuzzy, not logged", false, true}, {"fuzzy, logged", true, true}} {
		t.Run(k.name, func(t *testing.T) {
			var sum tally
			for i := range *worlds {
				seed := *firstSeed + uint64(i)
				w := live(seed, k.native, k.fuzzy)
				ok := t.Run("", func(t *testing.T) { compare(t, w, &sum) })
				if !ok {
					t.Fatalf("seed %d", seed)
				}
			}
			t.Logf("%+v", sum)
			if doubtful := sum.inexact + sum.none + sum.partial; doubtful*10 > sum.exact {
				t.Errorf("%d of the folds are not exact, and only %d are", doubtful, sum.exact)
			}
		})
	}
}

// The first snapshots of tables are read while others write to them, each in its own time:
// there is none from before, and rows fall out of the tables between unlogged and unread.
func TestFirstSnapshots(t *testing.T) {
	var sum tally
	for i := range *worlds + 1 {
		seed := *firstSeed + uint64(i)
		if i == *worlds {
			seed = 324 // rows fall by way of a table that was read later
		}
		w := newWorld(seed, false)
		w.run(30)
		if slices.ContainsFunc(w.events, func(e history.Event) bool { return e.Kind == history.Renamed }) {
			continue // the world's definitions go on calling a parent by its first name
		}
		names := keys(w.truth[0])
		for _, n := range names {
			w.snapshot(n, history.Seq(w.rnd.IntN(4)), history.Seq(5+w.rnd.IntN(20)))
		}
		for _, n := range names {
			w.snapshot(n, history.Seq(20+w.rnd.IntN(4)), history.Seq(25+w.rnd.IntN(5)))
		}
		if ok := t.Run("", func(t *testing.T) { compare(t, w, &sum) }); !ok {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%+v", sum)
	if sum.exact < sum.inexact {
		t.Errorf("%d of the folds are not exact, and only %d are", sum.inexact, sum.exact)
	}
}

// dump tells what happened in (after, upto].
func (w *world) dump(t *testing.T, after, upto history.Seq) {
	t.Helper()
	for _, e := range w.events {
		if e.Seq > after && e.Seq <= upto {
			t.Logf("%d %s %s %s %v", e.Seq, e.Kind, e.Table, e.To, e.Columns)
		}
	}
	for _, l := range w.changes {
		if c := l.c; c.Seq > after && c.Seq <= upto {
			t.Logf("%d.%d %s %d off=%v %q -> %q", c.Seq, c.N, l.name, c.Op, c.ForeignKeysOff, rowText(c.Before), rowText(c.After))
		}
	}
	for _, tab := range w.tabs {
		for _, f := range tab.fks {
			t.Logf("%s %v -> %s %v delete %s update %s", tab.name, f.cols, f.target(), f.pcols, f.onDelete, f.update)
		}
	}
}

func FuzzTruth(f *testing.F) {
	for _, seed := range []uint64{13, 125, 129, 439, 5096} {
		f.Add(seed, false, true)
		f.Add(seed, true, false)
	}
	f.Fuzz(func(t *testing.T, seed uint64, native, fuzzy bool) {
		compare(t, live(seed, native, fuzzy), &tally{})
	})
}
