package repo

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob/dir"
	"github.com/lull-ops/lull/keep/history"
)

func minute(n int) time.Time { return day0.Add(time.Duration(n) * time.Minute) }

func TestChangesOfTwoTables(t *testing.T) {
	r := create(t, newMemory())
	rec := record(t, r)
	rec.put(tx{at: minute(1), changes: []change{ins(billing, 1, "a"), ins(orders, 1, "x")}}, tx{at: minute(2), changes: []change{upd(billing, 1, "b")}})
	rec.put()
	rec.put(tx{at: minute(3), changes: []change{del(billing, 1)}}, tx{at: minute(4), changes: []change{ins(billing, 2, "c"), upd(billing, 2, "d")}})
	got, err := toldBy(t, open(t, r.store), 0, 4, billing, orders)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "1.0 billing 1 1,a", "2.0 billing 2 1,b", "3.0 billing 3 ", "4.0 billing 1 2,c", "4.1 billing 2 2,d", "1.1 orders 1 1,x")
	got, err = toldBy(t, r, 1, 3, billing)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "2.0 billing 2 1,b", "3.0 billing 3 ")
}

func TestSnapshotIsReadBack(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	want := snap(t, r, billing, 3, 7, minute(5), 1000)
	snap(t, r, orders, 3, 3, minute(6), 0)
	if len(want.Parts) < 3 {
		t.Fatalf("%d parts are too few for this test", len(want.Parts))
	}
	r = open(t, store)
	all, err := r.Snapshots(t.Context(), billing)
	if err != nil || len(all) != 1 || fmt.Sprint(all[0]) != fmt.Sprint(*want) {
		t.Fatalf("got %v, %v, want %v", all, err, want)
	}
	var d db.Digest
	if err := r.Rows(t.Context(), &all[0], func(r db.Row) error { d.Add(r); return nil }); err != nil {
		t.Fatal(err)
	}
	if d.Rows != 1000 || d.Sum() != want.Sum {
		t.Errorf("%d rows of sum %s came back, want 1000 of %s", d.Rows, d.Sum(), want.Sum)
	}
	if all, err = r.Snapshots(t.Context(), db.Name{}); err != nil || len(all) != 2 || all[0].Table != orders {
		t.Errorf("the snapshots are %v, %v", all, err)
	}
	def := define(t, orders)
	if got, err := r.Definition(t.Context(), def.ID); err != nil || got.Script[0] != def.Script[0] {
		t.Errorf("definition %s is %v, %v", def.ID, got, err)
	}
}

func TestDefinitionInTheLog(t *testing.T) {
	r := create(t, newMemory())
	rec := record(t, r)
	rec.put(tx{at: minute(1), changes: []change{ins(billing, 1, "a")}})
	for i := range 30 {
		rec.put(tx{at: minute(2 + i), changes: []change{ins(orders, i, "a")}})
	}
	def := define(t, billing)
	if got, err := r.Definition(t.Context(), def.ID); err != nil || got.ID != def.ID {
		t.Errorf("definition %s is %v, %v", def.ID, got, err)
	}
	if got, err := r.Definition(t.Context(), "d-none"); err == nil {
		t.Errorf("definition d-none is %v", got)
	}
}

func TestEventsAndHoles(t *testing.T) {
	store := newMemory()
	r := create(t, store)
	rec := record(t, r)
	ev := func(n int) tx {
		return tx{at: minute(n), event: &history.Event{Kind: history.Truncated, Table: billing}}
	}
	rec.put(ev(1))
	rec.put(ev(2), ev(3))
	rec.put(ev(4))
	f := func(after, upto history.Seq, lines ...string) {
		t.Helper()
		events, err := open(t, store).Events(t.Context(), after, upto)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Reason))
		}
		want(t, got, lines...)
	}
	f(0, 4, "1 truncate ", "2 truncate ", "3 truncate ", "4 truncate ")
	f(1, 2, "2 truncate ")
	delete(store.objects, "shop/"+logName(2, 2))
	lost := "3 lost shop/" + logName(2, 2) + " is missing"
	f(0, 4, "1 truncate ", lost, "4 truncate ")
	f(1, 4, lost, "4 truncate ")
	f(2, 3, lost)
	f(3, 4, "4 truncate ")
	delete(store.objects, "shop/"+logName(1, 1))
	f(0, 4, "3 lost history begins here", "4 truncate ")
	f(3, 4, "4 truncate ")
}

// TestOnDisk does a little of everything in a folder, as most people will.
func TestOnDisk(t *testing.T) {
	store, err := dir.New(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	r := create(t, store)
	someHistory(record(t, r), 1, 40)
	snap(t, r, billing, 3, 7, minute(5), 100)
	before := everything(t, r)
	if done, err := r.Merge(t.Context(), MergeOptions{Dir: t.TempDir(), Now: minute(100)}); err != nil || done.Packs != 2 {
		t.Fatalf("merged %+v, %v", done, err)
	}
	if plan, err := r.Retain(t.Context(), Policy{}, minute(101), 0); err != nil || len(plan.Deleted) != 32 {
		t.Fatalf("retired %+v, %v", plan, err)
	}
	r = open(t, store)
	want(t, everything(t, r), before...)
	other, err := dir.New(filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Copy(t.Context(), store, other, "shop/", nil); err != nil {
		t.Fatal(err)
	}
	if report, err := open(t, other).Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) != 0 || report.Snapshots != 1 {
		t.Errorf("verified: %+v, %v", report, err)
	}
}

// TestSnapshotGoesOn ends a writer in the middle and has another one take over what is stored.
func TestSnapshotGoesOn(t *testing.T) {
	r := create(t, newMemory())
	meta := history.Snapshot{ID: SnapshotID(day0), Table: billing, Start: 3, Origin: "read"}
	var mu sync.Mutex
	var stored []StoredPart
	opt := SnapshotOptions{MemberBytes: 100, PartBytes: 300, Stored: func(p StoredPart) {
		mu.Lock()
		defer mu.Unlock()
		stored = append(stored, p)
	}}
	begin := func() *SnapshotWriter {
		w, err := r.NewSnapshot(t.Context(), meta, define(t, billing), t.TempDir(), opt)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	var whole db.Digest
	add := func(w *SnapshotWriter, from, to int) {
		for i := from; i < to; i++ {
			if err := w.Add(row(i, "v")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 200 {
		whole.Add(row(i, "v"))
	}
	w := begin()
	add(w, 0, 120)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	add(w, 120, 130)
	w.Leave()
	have, rows := stored, int64(0)
	w = begin()
	for _, p := range have {
		rows += p.Rows
		if err := w.Adopt(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Adopt(have[0]); err == nil {
		t.Error("a part was taken over twice")
	}
	add(w, int(rows), 160)
	var more db.Digest
	var payload []byte
	for i := 160; i < 200; i++ {
		payload = db.AppendRow(payload, row(i, "v"))
		more.Add(row(i, "v"))
	}
	if err := w.AddRows(payload, &more); err != nil {
		t.Fatal(err)
	}
	s, err := w.Close(SnapshotEnd{End: 9, At: minute(1)})
	if err != nil || rows < 120 || s.Rows != 200 || s.Sum != whole.Sum() {
		t.Fatalf("%d rows were stored, and it became %+v, %v", rows, s, err)
	}
	if report, err := r.Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) != 0 {
		t.Errorf("verified: %+v, %v", report, err)
	}
	meta.ID = SnapshotID(minute(9))
	w = begin()
	add(w, 0, 100)
	if err := errors.Join(w.Flush(), w.Abort(t.Context())); err != nil {
		t.Fatal(err)
	}
	if left := r.store.(*memory).names("shop/" + snapFolder(meta.ID, billing)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
