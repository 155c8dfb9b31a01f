package fold

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// tale is a past told in words: "10 create bills", "20 rename bills billing", "5-6 snap bills".
func tale(t *testing.T, lines ...string) *memory {
	t.Helper()
	d, err := history.NewDefinition(&db.Table{Columns: []db.Column{{Name: "id", DataType: "int"}}, Keys: []db.Key{{Columns: []int{0}, Primary: true}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{memory: &memory{rows: map[string][]db.Row{}, defs: map[string]*history.Definition{d.ID: d}}}
	for _, l := range lines {
		var seq, end history.Seq
		var what, a, b string
		if n, _ := fmt.Sscanf(l, "%d-%d snap %s", &seq, &end, &a); n == 3 {
			w.snaps = append(w.snaps, history.Snapshot{ID: l, Table: name(a), Definition: d.ID, Start: seq, End: end, At: w.at(end)})
			continue
		}
		fmt.Sscanf(l, "%d %s %s %s", &seq, &what, &a, &b)
		e := history.Event{Seq: seq, At: w.at(seq), Kind: history.EventKind(what), Reason: ""}
		if a != "" {
			e.Table = name(a)
		}
		switch e.Kind {
		case history.Created:
			e.Definition = d.ID
		case history.Renamed:
			e.To = name(b)
		case history.Lost:
			e.Reason = "the binlog was purged"
		}
		w.events = append(w.events, e)
	}
	return w.memory
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, table   string
		cut           history.Seq
		past          []string
		want, hint    string
		before, after history.Seq
	}{
		{"dropped", "bills", 30, []string{"10 create bills", "20 drop bills"}, "it was dropped at 2023-11-14 22:33:20 UTC; restorable until just before it", "before that", 19, 0},
		{"dropped and made again later", "bills", 25, []string{"10 create bills", "20 drop bills", "30 create bills"}, "it was dropped", "before that", 19, 30},
		{"called otherwise then", "billing", 15, []string{"10 create bills", "20 rename bills billing"}, "it was called shop.bills until 2023-11-14 22:33:20 UTC", "shop.bills", 0, 0},
		{"called otherwise since", "bills", 25, []string{"10 create bills", "20 rename bills billing"}, "it is called shop.billing since", "shop.billing", 19, 0},
		{"not yet there", "bills", 5, []string{"10 create bills"}, "it was created at 2023-11-14 22:23:20 UTC", "after that", 0, 10},
		{"typo", "bilsl", 15, []string{"10 create bills"}, "there was no table shop.bilsl", "did you mean shop.bills?", 0, 0},
		{"before the first snapshot", "bills", 5, []string{"7-9 snap bills"}, "no snapshot of it was complete by then", "", 0, 9},
		{"in a gap", "bills", 25, []string{"1-1 snap bills", "20 lost bills", "30-33 snap bills"}, "the binlog was purged", "", 19, 33},
		{"all was lost", "bills", 25, []string{"1-1 snap bills", "20 lost", "18-22 snap bills", "30-30 snap bills"}, "the binlog was purged", "", 19, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Find(t.Context(), tale(t, c.past...), name(c.table), c.cut, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || lull.KindOf(err) != lull.Usage || !strings.Contains(lull.HintOf(err), c.hint) {
				t.Fatalf("got %v (hint %q), want %q, %q", err, lull.HintOf(err), c.want, c.hint)
			}
			var before, after history.Seq
			if e, ok := errors.AsType[*NotRestorableError](err); ok {
				if e.Before != nil {
					before = e.Before.Seq
				}
				if e.After != nil {
					after = e.After.Seq
				}
			}
			if before != c.before || after != c.after {
				t.Fatalf("nearest moments %d and %d, want %d and %d", before, after, c.before, c.after)
			}
		})
	}
}

func TestRestorable(t *testing.T) {
	for _, c := range []struct {
		name, table string
		past        []string
		want        string
	}{
		{"born", "bills", []string{"10 create bills"}, "bills 10-99"},
		{"truncated", "bills", []string{"10 create bills", "20 truncate bills"}, "bills 10-19, bills 20-99"},
		{"a gap", "bills", []string{"1-1 snap bills", "20 lost bills", "30-33 snap bills"}, "bills 1-19, bills 33-99 (the binlog was purged)"},
		{"renamed", "billing", []string{"10 create bills", "20 rename bills billing"}, "bills 10-19, billing 20-99"},
		{"dropped and made again", "bills", []string{"10 create bills", "20 drop bills", "30 create bills"}, "bills 10-19, bills 30-99"},
		{"never", "bills", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			spans, err := Restorable(t.Context(), tale(t, c.past...), name(c.table), 99)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range spans {
				text := fmt.Sprintf("%s %d-%d", s.Name.Table, s.From, s.To)
				if s.Gap != "" && s.Gap != "history begins there" {
					text += " (" + s.Gap + ")"
				}
				got = append(got, text)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Fatalf("got %s, want %s", s, c.want)
			}
		})
	}
}

func TestList(t *testing.T) {
	p := tale(t, "5-5 snap old", "10 create bills", "20 rename bills billing", "30 drop old", "40 create late", "50-51 snap quiet")
	for cut, want := range map[history.Seq]string{1: "old quiet", 15: "bills old quiet", 25: "billing old quiet", 35: "billing quiet", 45: "billing late quiet"} {
		names, err := List(t.Context(), p, cut)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range names {
			got = append(got, n.Table)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("at %d: %v, want %s", cut, got, want)
		}
	}
}
