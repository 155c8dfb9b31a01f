package repo

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// cutLine tells a cut on a line.
func cutLine(c Cut, err error) string {
	if err != nil {
		return fmt.Sprintf("%d %s (%s)", lull.KindOf(err), err, lull.HintOf(err))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s|%s %s", c.Seq, c.After.GTID, c.Before.GTID, strings.Join(c.Warnings, "; ")))
}

func wantLine(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) || want == "" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func minutes(from, to int) []tx {
	var out []tx
	for n := from; n <= to; n++ {
		out = append(out, tx{at: minute(n), changes: []change{ins(billing, n, "v")}})
	}
	return out
}

func TestCut(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	rec.put()
	rec.put(minutes(1, 3)...)
	rec.put()
	rec.put(minutes(4, 4)...)
	rec.put(minutes(5, 20)...)
	rec.put()
	snap(t, rec.repo, orders, 0, 0, minute(-100), 3)
	at := func(m time.Time, want string) {
		t.Helper()
		wantLine(t, cutLine(open(t, store).Cut(t.Context(), history.Bound{Time: m})), want)
	}
	at(minute(2), "1 0-1-1|0-1-2")
	at(minute(2).Add(1), "2 0-1-2|0-1-3")
	at(minute(4), "3 0-1-3|0-1-4")
	at(minute(4).Add(-1), "3 0-1-3|0-1-4")
	at(minute(5), "4 0-1-4|0-1-5")
	at(minute(20), "19 0-1-19|0-1-20")
	at(minute(20).Add(1), "2 find moment 2026-03-01 00:20:00: it is after the end of what was recorded "+
		"(the last moment that can be restored is 2026-03-01 00:20:00 UTC; lull backup now records up to the present)")
	at(minute(1), "it lies before history begins (the nearest moments that can be restored are 2026-02-28 22:20:01 UTC and 2026-03-01 00:01:01 UTC)")
	at(minute(-100).Add(time.Second), "0 | no changes are kept around this moment")
	at(minute(-100), "it lies before history begins (the nearest moment that can be restored is 2026-02-28 22:20:01 UTC)")
	at(minute(-100).Add(time.Second+1), "it lies before history begins")
	at(time.Time{}, "20 0-1-20|")

	by := func(b history.Bound, want string) {
		t.Helper()
		wantLine(t, cutLine(open(t, store).Cut(t.Context(), b)), want)
	}
	by(history.Bound{GTID: "0-1-7"}, "7 0-1-7|0-1-8")
	by(history.Bound{GTID: "0-1-77"}, "2 find moment 0-1-77: no transaction with that GTID was recorded: history goes from")
	by(history.Bound{File: "bin.000001", Pos: 4}, "0 |0-1-1")
	by(history.Bound{File: "bin.000001", Pos: 104}, "1 0-1-1|0-1-2")
	by(history.Bound{File: "bin.000001", Pos: 105}, "2 0-1-2|0-1-3")
	by(history.Bound{File: "bin.000001", Pos: 304}, "3 0-1-3|0-1-4")
	by(history.Bound{File: "bin.000001", Pos: 2004}, "20 0-1-20|")
	by(history.Bound{File: "bin.000001", Pos: 2005}, "that place was not recorded")
	by(history.Bound{File: "other.000001", Pos: 105}, "that place was not recorded")
}

func TestCutWhereTheClockWasSetBack(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	rec.put(minutes(1, 9)...)
	rec.put(minutes(10, 12)...)
	rec.put(minutes(5, 7)...)
	rec.put(minutes(8, 20)...)
	wantLine(t, cutLine(rec.repo.Cut(t.Context(), history.Bound{Time: minute(11)})),
		"10 0-1-10|0-1-11 the server's clock was set back: 6 transactions behind this moment have earlier times, down to 2026-03-01 00:05:00 UTC")
	wantLine(t, cutLine(rec.repo.Cut(t.Context(), history.Bound{Time: minute(3)})), "2 0-1-2|0-1-3")
}

func TestCutInAHole(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 5 {
		rec.put(minutes(n*10, n*10+4)...)
	}
	delete(store.objects, "shop/"+logName(3, 3))
	got := cutLine(open(t, store).Cut(t.Context(), history.Bound{Time: minute(22)}))
	wantLine(t, got, "it lies in a hole: what was committed after 2026-03-01 00:14:00 UTC and before 2026-03-01 00:30:00 UTC is missing "+
		"(shop/log/000000000003-000000000003.pack is missing) (the nearest moments that can be restored are 2026-03-01 00:14:00 UTC and 2026-03-01 00:30:01 UTC)")
	for _, m := range []time.Time{minute(14), minute(30).Add(time.Second)} {
		if _, err := open(t, store).Cut(t.Context(), history.Bound{Time: m}); err != nil {
			t.Errorf("the moment %s that was offered: %v", m, err)
		}
	}
	_, err := toldBy(t, open(t, store), 3, 20, billing)
	wantLine(t, fmt.Sprint(err), "history has a hole: what was committed after 2026-03-01 00:14:00 UTC")
	if _, err := toldBy(t, open(t, store), 15, 20, billing); err != nil {
		t.Error(err)
	}
	if _, err := toldBy(t, open(t, store), 3, 10, billing); err != nil {
		t.Error(err)
	}
}

func TestCutBeforeAFinding(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	rec.put(minutes(1, 9)...)
	rec.put(minutes(10, 12)...)
	var ids []string
	holes, err := rec.repo.Transactions(t.Context(), 2, 11, func(_ history.Seq, _ db.Tx, touches []history.Touch) error {
		ids = append(ids, touches[0].ID())
		return nil
	})
	if err != nil || len(holes) != 0 || len(ids) != 9 {
		t.Fatalf("%d transactions, %v, %v", len(ids), holes, err)
	}
	wantLine(t, cutLine(open(t, store).CutBefore(t.Context(), ids[0])), "2 0-1-2|0-1-3")
	wantLine(t, cutLine(open(t, store).CutBefore(t.Context(), ids[8])), "10 0-1-10|0-1-11")
	wantLine(t, cutLine(open(t, store).CutBefore(t.Context(), "f-none")), "2 find moment before f-none: there is no such finding")
	wantLine(t, cutLine(create(t, newMemory()).Cut(t.Context(), history.Bound{})), "nothing was recorded yet")
}

func TestCutRightBehindASnapshotInTheChain(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	rec.put(minutes(1, 9)...)
	at := minute(9)
	snap(t, rec.repo, billing, 9, 9, at.Add(100*time.Millisecond), 10)
	more := minutes(10, 11)
	more[0].at, more[1].at = at.Add(300*time.Millisecond), at.Add(500*time.Millisecond)
	rec.put(more...)
	cut := func(m time.Time) string { return cutLine(open(t, store).Cut(t.Context(), history.Bound{Time: m})) }
	wantLine(t, cut(at.Add(time.Second)), "it is after the end of what was recorded")
	wantLine(t, cut(at.Add(400*time.Millisecond)), "10 0-1-10|0-1-11")
	damage(store, store.names("shop/log/")[1])
	wantLine(t, cut(at.Add(time.Second)), "it is after the end of what was recorded")
	snap(t, rec.repo, orders, 11, 11, at.Add(600*time.Millisecond), 10)
	wantLine(t, cut(at.Add(time.Second)), "11 | no changes are kept around this moment")
	rec.put(minutes(20, 22)...)
	wantLine(t, cut(at.Add(time.Second)), "| no changes are kept around this moment")
}
