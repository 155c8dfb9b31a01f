package repo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

const day = 24 * time.Hour

func daily(n int) time.Time { return day0.Add(time.Duration(n) * day) }

// restorable says that a table's rows right behind transaction at can be worked out: there is a
// snapshot or an event that made it empty, and all changes since.
func restorable(t testing.TB, r *Repo, table db.Name, at history.Seq) bool {
	t.Helper()
	ctx := context.Background()
	all, err := r.Snapshots(ctx, table)
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.Events(ctx, 0, at)
	if err != nil {
		t.Fatal(err)
	}
	have := func(after history.Seq) bool {
		lost := slices.ContainsFunc(events, func(e history.Event) bool { return e.Kind == history.Lost && e.Seq > after })
		_, err := toldBy(t, r, after, at, table)
		return err == nil && !lost || after == at
	}
	for i := range all {
		if all[i].End <= at && have(all[i].Start) && r.Rows(ctx, &all[i], func(db.Row) error { return nil }) == nil {
			return true
		}
	}
	return slices.ContainsFunc(events, func(e history.Event) bool {
		return e.Kind == history.Created && e.Table == table && have(e.Seq-1)
	})
}

func retain(t *testing.T, store *memory, p Policy, now time.Time, grace time.Duration) *Plan {
	t.Helper()
	store.now = now
	plan, err := open(t, store).Retain(t.Context(), p, now, grace)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestRetain(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	rec := record(t, r)
	for d := 1; d <= 60; d++ {
		rec.put(tx{at: daily(d), changes: []change{ins(billing, d, "v")}})
		if d%5 == 0 {
			snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
		}
	}
	p := Policy{Changes: 10 * day, Daily: 31 * day}
	plan := retain(t, store, p, daily(60), day)
	if len(plan.Deleted) != 0 || plan.Blocked != "" || len(plan.Condemned) != 45+2*5 {
		t.Fatalf("the first run: %d deleted, %d condemned, %q", len(plan.Deleted), len(plan.Condemned), plan.Blocked)
	}
	plan = retain(t, store, p, daily(60).Add(time.Hour), day)
	if len(plan.Deleted) != 0 || len(plan.Condemned) != 0 || plan.Waiting != 45+2*5 {
		t.Fatalf("within the grace: %d deleted, %d condemned, %d waiting", len(plan.Deleted), len(plan.Condemned), plan.Waiting)
	}
	plan = retain(t, store, p, daily(61).Add(time.Hour), day)
	if len(plan.Deleted) != 45+2*5 || len(store.names("shop/gc/")) != 0 {
		t.Fatalf("after it: %d deleted, %v left", len(plan.Deleted), store.names("shop/gc/"))
	}
	all, err := open(t, store).Snapshots(t.Context(), billing)
	if err != nil || len(all) != 7 || all[6].End != 30 {
		t.Errorf("%d snapshots are left, %v", len(all), err)
	}
	logs, err := open(t, store).Logs(t.Context())
	if err != nil || len(logs) != 15 {
		t.Errorf("%d log packs are left, %v", len(logs), err)
	}
	cut, err := open(t, store).Cut(t.Context(), history.Bound{Time: daily(50).Add(time.Hour)})
	if err != nil || cut.Seq != 50 {
		t.Errorf("the oldest moment: %v, %v", cut, err)
	}
	cut, err = open(t, store).Cut(t.Context(), history.Bound{Time: daily(35).Add(time.Second)})
	if err != nil || cut.Seq != 35 || len(cut.Warnings) != 1 {
		t.Errorf("a daily point: %v, %v", cut, err)
	}
	// Nothing goes while nothing is recorded.
	if plan = retain(t, store, p, daily(2000), day); len(plan.Condemned) != 0 {
		t.Errorf("condemned by age alone: %v", plan.Condemned)
	}
}

func TestRetainKeepsWhatIsNeeded(t *testing.T) {
	// Each line makes days 1 to 40 of one row of orders a day, and something of billing.
	f := func(what string, policy Policy, first int, setup func(r *Repo, rec *recorder, d int)) {
		t.Run(what, func(t *testing.T) {
			store := newMemory()
			r := create(t, store)
			rec := record(t, r)
			for d := 1; d <= 40; d++ {
				rec.put(tx{at: daily(d), changes: []change{ins(orders, d, "v")}})
				if d == 30 {
					snap(t, r, orders, rec.seq, rec.seq, daily(d), 3)
				}
				setup(r, rec, d)
			}
			retain(t, store, policy, daily(40), 0)
			plan := retain(t, store, policy, daily(40).Add(1), 0)
			logs, err := open(t, store).Logs(t.Context())
			if err != nil || int(logs[0].FirstOrdinal) != first {
				t.Errorf("the log begins with pack %d, %v, want %d (%+v)", logs[0].FirstOrdinal, err, first, plan)
			}
		})
	}
	p := Policy{Changes: 5 * day}
	event := func(e history.Event, at int) tx { return tx{at: daily(at).Add(time.Minute), event: &e} }
	f("no more than that", p, 31, func(*Repo, *recorder, int) {})
	f("a fuzzy snapshot's changes", p, 21, func(r *Repo, _ *recorder, d int) {
		if d == 25 {
			snap(t, r, billing, 20, 25, daily(d), 3)
		}
	})
	f("a table that was made and has no snapshot", p, 11, func(_ *Repo, rec *recorder, d int) {
		if d == 10 {
			rec.put(event(history.Event{Kind: history.Created, Table: billing}, d))
		}
	})
	f("a table that was dropped since", p, 32, func(r *Repo, rec *recorder, d int) {
		if d == 10 {
			snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
		}
		if d == 20 {
			rec.put(event(history.Event{Kind: history.Dropped, Table: billing}, d))
		}
	})
	f("a table that was dropped while it is kept", p, 11, func(r *Repo, rec *recorder, d int) {
		if d == 10 {
			snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
		}
		if d == 38 {
			rec.put(event(history.Event{Kind: history.Dropped, Table: billing}, d))
		}
	})
	f("a table under its old name", p, 11, func(r *Repo, rec *recorder, d int) {
		if d == 10 {
			snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
		}
		if d == 20 {
			rec.put(event(history.Event{Kind: history.Renamed, Table: billing, To: db0("shop", "bills")}, d))
		}
	})
	f("a table that has a snapshot under its new name", p, 29, func(r *Repo, rec *recorder, d int) {
		if d == 10 {
			snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
		}
		if d == 20 {
			rec.put(event(history.Event{Kind: history.Renamed, Table: billing, To: db0("shop", "bills")}, d))
		}
		if d == 27 {
			snap(t, r, db0("shop", "bills"), rec.seq, rec.seq, daily(d), 3)
		}
	})
	f("as many snapshots as are asked for", Policy{Changes: 5 * day, Keep: 2}, 6, func(r *Repo, rec *recorder, d int) {
		if d == 10 || d == 26 {
			snap(t, r, billing, rec.seq-5, rec.seq, daily(d), 3)
		}
	})
	f("for ever", Policy{}, 1, func(*Repo, *recorder, int) {})
}

func TestRetainStopsAtAHole(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	rec := record(t, r)
	put := func(from, to int) {
		for d := from; d <= to; d++ {
			rec.put(tx{at: daily(d), changes: []change{ins(billing, d, "v")}})
			if d%10 == 0 {
				snap(t, r, billing, rec.seq, rec.seq, daily(d), 3)
			}
		}
	}
	put(1, 60)
	delete(store.objects, "shop/"+logName(55, 55))
	p := Policy{Changes: 15 * day}
	plan := retain(t, store, p, daily(60), 0)
	if !strings.Contains(plan.Blocked, logName(55, 55)+" is missing") || len(plan.Condemned) != 0 {
		t.Errorf("with a hole: %+v", plan)
	}
	put(61, 90)
	if plan = retain(t, store, p, daily(90), 0); plan.Blocked != "" || len(plan.Condemned) == 0 {
		t.Errorf("when the hole is old: %+v", plan)
	}
}

func TestRetainWithoutTheKey(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	store := newMemory()
	r, err := Create(t.Context(), store, "shop", []string{id.Recipient().String()}, day0)
	if err != nil {
		t.Fatal(err)
	}
	rec := record(t, r)
	for d := 1; d <= 40; d++ {
		rec.put(tx{at: daily(d), changes: []change{ins(orders, d, "v")}})
		switch d {
		case 5:
			rec.put(tx{at: daily(d), changes: []change{ins(billing, d, "v")}, event: &history.Event{Kind: history.Created, Table: billing}})
		case 10, 30:
			snap(t, r, orders, rec.seq, rec.seq, daily(d), 3)
		}
	}
	p := Policy{Changes: 5 * day}
	plan := retain(t, store, p, daily(40), 0)
	if len(plan.Condemned) != 5+2 || len(plan.Held) != 1 || !strings.Contains(plan.Held[0], "shop.billing") {
		t.Errorf("a table without a snapshot: %d condemned, held %v", len(plan.Condemned), plan.Held)
	}
	p.Gone = map[db.Name]history.Seq{billing: 20}
	if plan = retain(t, store, p, daily(40).Add(1), 0); len(plan.Deleted) != 5+2 || len(plan.Condemned) != 26 || len(plan.Held) != 0 {
		t.Errorf("one that is gone: %d deleted, %d condemned, held %v", len(plan.Deleted), len(plan.Condemned), plan.Held)
	}
	_, err = toldBy(t, open(t, store), 31, 41, orders)
	wantLine(t, fmt.Sprint(err), "it is encrypted")
	if _, err := Open(t.Context(), store, "shop", pack.Keys{Identities: []age.Identity{id}}); err != nil {
		t.Error(err)
	}
}

func TestLockedObjectsAreTriedAgain(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	rec := record(t, r)
	for d := 1; d <= 20; d++ {
		rec.put(tx{at: daily(d), changes: []change{ins(billing, d, "v")}})
	}
	snap(t, r, billing, rec.seq-3, rec.seq-3, daily(17), 3)
	p := Policy{Changes: 2 * day}
	retain(t, store, p, daily(20), day)
	store.before = func(op, name string) error {
		if op == "delete" && strings.HasSuffix(name, logName(3, 3)) {
			return errors.New("access denied: object lock")
		}
		return nil
	}
	if plan := retain(t, store, p, daily(22), day); plan.Refused != 1 || len(plan.Deleted) != 15 || len(plan.Condemned) != 0 {
		t.Errorf("%d refused, %d deleted, %v condemned", plan.Refused, len(plan.Deleted), plan.Condemned)
	}
	store.before = nil
	if plan := retain(t, store, p, daily(24), day); plan.Refused != 0 || len(plan.Deleted) != 1 {
		t.Errorf("later: %d refused, %v deleted", plan.Refused, plan.Deleted)
	}
}

func TestOrphansAndPardons(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	record(t, r).put(minutes(1, 2)...)
	w, err := r.NewSnapshot(t.Context(), history.Snapshot{ID: SnapshotID(day0), Table: billing}, define(t, billing), t.TempDir(), SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add(row(1, "x")), w.Flush()); err != nil {
		t.Fatal(err)
	}
	w.Leave()
	if plan := retain(t, store, Policy{}, daily(6), 0); len(plan.Condemned) != 0 {
		t.Errorf("a snapshot that may be going on: %v", plan.Condemned)
	}
	if plan := retain(t, store, Policy{}, daily(8), 0); len(plan.Condemned) != 1 {
		t.Errorf("one that was given up: %v", plan.Condemned)
	}
	// It is completed after all.
	s := &history.Snapshot{ID: SnapshotID(day0), Table: billing, Rows: 1, Parts: w.parts, Sum: w.sum.String(), Definition: define(t, billing).ID}
	if err := r.PutSnapshot(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if plan := retain(t, store, Policy{}, daily(9), 0); len(plan.Deleted) != 0 || len(store.names("shop/gc/")) != 0 {
		t.Errorf("deleted although it is needed: %v", plan.Deleted)
	}
	if report, err := open(t, store).Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) != 0 {
		t.Errorf("verified: %v, %v", report, err)
	}
}

// TestRetainKeepsItsPromise lets random months go by.
func TestRetainKeepsItsPromise(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		store := newMemory()
		r := create(t, store)
		rec := record(t, r)
		p := Policy{Changes: time.Duration(3+rng.IntN(10)) * day, Daily: time.Duration(rng.IntN(30)) * day, Keep: rng.IntN(3)}
		alive := map[db.Name]history.Seq{} // since when a table can be restored
		times := []time.Time{{}}
		days := map[string]history.Seq{}
		for d := 1; d < 60; d++ {
			for range 1 + rng.IntN(4) {
				x := tx{at: daily(d).Add(time.Duration(len(times)) * time.Second)}
				table := []db.Name{billing, orders}[rng.IntN(2)]
				switch _, ok := alive[table]; {
				case !ok && rng.IntN(3) == 0:
					x.event = &history.Event{Kind: history.Created, Table: table}
					alive[table] = rec.seq + 1
				case ok && rng.IntN(30) == 0:
					x.event = &history.Event{Kind: history.Dropped, Table: table}
					delete(alive, table)
				case ok:
					x.changes = []change{ins(table, d, "v")}
				}
				times = append(times, x.at)
				rec.put(x)
			}
			for table, since := range alive {
				if rng.IntN(4) == 0 {
					start := rec.seq - history.Seq(rng.IntN(4))
					if start >= since {
						s := snap(t, r, table, start, rec.seq, times[rec.seq], 2)
						if start == rec.seq {
							days[fmt.Sprint(table, " ", s.At.Format(time.DateOnly))] = rec.seq
						}
					}
				}
			}
			if rng.IntN(10) == 0 {
				merge(t, store)
			}
			if rng.IntN(3) == 0 {
				retain(t, store, p, daily(d).Add(time.Hour), time.Duration(rng.IntN(3))*day)
			}
			if d%9 == 0 {
				promised(t, open(t, store), p, rec.seq, times, alive, days)
			}
			if t.Failed() {
				t.Fatalf("with seed %d on day %d, policy %+v", seed, d, p)
			}
		}
	}
}

func promised(t *testing.T, r *Repo, p Policy, last history.Seq, times []time.Time, alive map[db.Name]history.Seq, days map[string]history.Seq) {
	t.Helper()
	end := times[last]
	for at := history.Seq(1); at <= last; at++ {
		// The moment behind transaction at lasts until the next one.
		next := end
		if at < last {
			next = times[at+1]
		}
		if next.Before(end.Add(-p.Changes)) {
			continue
		}
		for table, since := range alive {
			if at >= since && !restorable(t, r, table, at) {
				t.Errorf("%s at %d of %d cannot be restored", table, at, last)
			}
		}
	}
	for name, at := range days {
		table := billing
		if strings.HasPrefix(name, orders.String()) {
			table = orders
		}
		if times[at].After(end.Add(-p.Daily)) && !restorable(t, r, table, at) {
			t.Errorf("the daily point %s at %d is gone", name, at)
		}
	}
}
