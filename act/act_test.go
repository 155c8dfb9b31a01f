package act

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

func value(s string) db.Value {
	switch s {
	case "NULL":
		return db.Value{}
	case "?":
		return db.Value{State: db.Absent}
	}
	return db.Value{State: db.Set, Data: []byte(s)}
}

func row(values ...string) db.Row {
	out := make(db.Row, len(values))
	for i, v := range values {
		out[i] = value(v)
	}
	return out
}

func records() []Record {
	return []Record{
		{},
		{To: row("1", "NULL", "?")},
		{Now: row("1", ""), Was: row("1", "x")},
		{Now: row("1", "a"), To: row("?", "b"), Set: []int{1}, Was: row("1", "a"), Why: "some | why"},
		{Now: row("\x00\xff"), There: 1 << 40},
		{To: db.Row{{State: db.Set, Data: []byte("1"), Expr: []byte("CAST(1 AS JSON)")}}},
	}
}

func same(a, b *Record) bool { return bytes.Equal(a.Append(nil), b.Append(nil)) }

func TestRecordsComeBack(t *testing.T) {
	var reused Record
	for i, want := range records() {
		if err := reused.Parse(want.Append(nil)); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if !same(&reused, &want) || reused.Why != want.Why || reused.There != want.There || (reused.Now == nil) != (want.Now == nil) {
			t.Errorf("record %d is %+v, want %+v", i, reused, want)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range records() {
		f.Add(r.Append(nil))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{2, 0xfe, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Record
		if r.Parse(b) != nil {
			return
		}
		if err := again.Parse(r.Append(nil)); err != nil || !same(&r, &again) {
			t.Errorf("%x: parsed as %+v, then as %+v (%v)", b, r, again, err)
		}
	})
}

// store keeps plans of a clock that the test moves.
func store(t *testing.T) (*Store, *time.Time) {
	now := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	return NewStore(t.TempDir(), func() time.Time { return now }), &now
}

func commit(t *testing.T, s *Store, recs ...Record) *Stored {
	t.Helper()
	d, err := s.Draft()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Section(0, Insert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Section(0, Delete); err != nil {
		t.Fatal(err)
	}
	for i := range recs {
		if err := out.Add(&recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	d.Tables = []Table{{Shape: &db.Table{Name: db.Name{Schema: "shop", Table: "t"}, Columns: []db.Column{{Name: "e", Elements: []string{"d\xe9j\xe0", "\u00e9"}}}}}}
	p, err := d.Commit()
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Open(p.ID)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestStoredPlans(t *testing.T) {
	s, now := store(t)
	st := commit(t, s, records()...)
	if st.ID != "p-1" || len(st.Sections) != 1 || st.Sections[0].Rows != int64(len(records())) {
		t.Fatalf("stored %+v", st.Plan)
	}
	if got := st.Tables[0].Shape.Columns[0].Elements; !reflect.DeepEqual(got, []string{"d\xe9j\xe0", "\u00e9"}) {
		t.Errorf("members are %q", got)
	}
	if st.Tables[0].Name.Table != "t" {
		t.Errorf("table is %v", st.Tables[0].Name)
	}
	in, err := st.Records(st.Sections[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for i, want := range records() {
		if got, err := in.Next(); err != nil || !same(got, &want) {
			t.Errorf("record %d: %+v %v", i, got, err)
		}
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last record: %v", err)
	}
	if st.Expired() {
		t.Error("a new plan is expired")
	}
	*now = now.Add(Valid + time.Second)
	if !st.Expired() {
		t.Error("the plan does not expire")
	}
	if next := commit(t, s); next.ID != "p-2" {
		t.Errorf("the next plan is %s", next.ID)
	}
}

func TestTamperedPlans(t *testing.T) {
	f := func(file string, at int) {
		t.Helper()
		s, _ := store(t)
		st := commit(t, s, records()...)
		path := filepath.Join(st.dir, file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[(at+len(b))%len(b)] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := s.Open(st.ID)
		if err == nil {
			err = again.Check()
		}
		if err == nil {
			t.Errorf("%s with byte %d changed is taken", file, at)
		}
	}
	f("0-insert.rows", 0)
	f("0-insert.rows", 20)
	f("0-insert.rows", -1)
	f("plan.json", bytes.Index([]byte(`{"lull":1`), []byte("1")))
	f("plan.json", 300)
}

func TestLedger(t *testing.T) {
	s, _ := store(t)
	st := commit(t, s)
	if st.State() != Planned {
		t.Errorf("state is %s", st.State())
	}
	a, b := Batch{0, 0, 10}, Batch{0, 10, 10}
	l, err := st.OpenLedger()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{l.Begin(a), l.Finish(a), l.Begin(b), l.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(st.dir, ledgerFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) + 1 { // killed after any byte
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := st.OpenLedger()
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		lines := bytes.Count(text[:cut], []byte("}\n"))
		if l.IsDone(b) || lines >= 3 && !l.IsDone(a) || lines >= 4 && !l.InDoubt(b) || l.IsDone(a) && lines < 2 {
			t.Errorf("cut at %d, %d lines: done %v %v, in doubt %v %v", cut, lines, l.IsDone(a), l.IsDone(b), l.InDoubt(a), l.InDoubt(b))
		}
		if err := l.Begin(b); err != nil {
			t.Fatal(err)
		}
		l.Close()
		if l, err = st.OpenLedger(); err != nil || !l.InDoubt(b) {
			t.Errorf("cut at %d: what was written after it is lost (%v)", cut, err)
		}
		l.Close()
	}
	if st.State() != Started {
		t.Errorf("state is %s", st.State())
	}
	if err := st.Finish(&Receipt{Plan: st.ID, Inserted: 3}); err != nil {
		t.Fatal(err)
	}
	if r, err := st.Receipt(); err != nil || r.Inserted != 3 || st.State() != Done {
		t.Errorf("receipt %+v, %v, state %s", r, err, st.State())
	}
}

func TestUnknownPlans(t *testing.T) {
	s, _ := store(t)
	for _, id := range []string{"p-1", "p-", "f-3", "../p-1", "p-0", "p--1", ""} {
		if _, err := s.Open(id); lull.KindOf(err) != lull.Usage {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// A draft that was not committed is gone with its maker, and another's is left alone.
func TestDrafts(t *testing.T) {
	s, _ := store(t)
	d, err := s.Draft()
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Draft()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Dir()); err != nil {
		t.Errorf("a draft in use was swept: %v", err)
	}
	for _, err := range []error{d.Discard(), other.Discard(), other.Discard()} {
		if err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
