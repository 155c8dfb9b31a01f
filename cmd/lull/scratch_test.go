package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lull-ops/lull/internal/fsx"
)

// TestScratch removes the rows of a run that was killed, and not those of one that goes on.
func TestScratch(t *testing.T) {
	a := &runner{data: t.TempDir(), now: time.Now, env: func(string) string { return "" }}
	going, done, err := a.scratch()
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(a.data, "out", scratchPrefix+"1")
	if err := os.Mkdir(killed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fsx.WriteFile(filepath.Join(killed, "0-insert.rows"), []byte("ann"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, doneToo, err := a.scratch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(killed); !os.IsNotExist(err) {
		t.Errorf("the rows of a killed run are still there: %v", err)
	}
	if _, err := os.Stat(going); err != nil {
		t.Errorf("the rows of another run are gone: %v", err)
	}
	done()
	doneToo()
	if left, err := os.ReadDir(filepath.Join(a.data, "out")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
