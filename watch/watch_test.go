package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := NewLedger(dir)
	at := time.Date(2026, 11, 20, 14, 2, 11, 0, time.UTC)
	if all, err := l.All(); err != nil || len(all) != 0 {
		t.Fatalf("a new ledger has %d findings, %v", len(all), err)
	}
	open := func(f Finding, want bool) {
		t.Helper()
		fresh, err := NewLedger(dir).Open(f) // a process of its own each time
		if err != nil || fresh != want {
			t.Errorf("open %s: fresh %v, %v; want %v", f.ID, fresh, err, want)
		}
	}
	open(Finding{ID: "f-1", At: at, Title: "one"}, true)
	open(Finding{ID: "f-1", At: at, Title: "one"}, false)
	open(Finding{ID: "f-2", At: at.Add(time.Minute)}, true)
	if err := l.Close("f-1", at.Add(time.Hour), "undone by p-1"); err != nil {
		t.Fatal(err)
	}
	open(Finding{ID: "f-1", At: at}, false) // it happened once
	open(Finding{ID: "f-1", At: at.Add(2 * time.Hour)}, true)
	all, err := l.All()
	if err != nil || len(all) != 2 || all[0].ID != "f-1" || !all[0].Closed.IsZero() || all[1].ID != "f-2" {
		t.Errorf("all is %+v, %v", all, err)
	}
	if err := l.Close("f-9", at, "never was"); err != nil {
		t.Error(err)
	}
}

func TestLedgerAfterACrash(t *testing.T) {
	dir := t.TempDir()
	l := NewLedger(dir)
	at := time.Date(2026, 11, 20, 14, 2, 11, 0, time.UTC)
	if _, err := l.Open(Finding{ID: "f-1", At: at}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "findings.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(path, append(append([]byte(nil), whole...), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if fresh, err := l.Open(Finding{ID: "f-2", At: at}); err != nil || !fresh {
			t.Fatalf("after half a line of %d bytes: fresh %v, %v", cut, fresh, err)
		}
		if all, err := l.All(); err != nil || len(all) != 2 {
			t.Fatalf("after half a line of %d bytes: %d findings, %v", cut, len(all), err)
		}
	}
}
