package server_test

import (
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/server"
)

// TestParentDies kills a process that has a server: the server must go with it, and what it
// left on the disk with the next start.
func TestParentDies(t *testing.T) {
	dir := t.TempDir()
	parent := osexec.CommandContext(t.Context(), os.Args[0], "-start-in="+dir)
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("started"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "started" {
		t.Fatalf("parent said %q, %v", said, err)
	}
	pids, err := filepath.Glob(filepath.Join(dir, "lull-server-*", "mysqld.pid"))
	if err != nil || len(pids) != 1 {
		t.Fatalf("pid files: %v, %v", pids, err)
	}
	pid, err := os.ReadFile(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if !runs(string(pid)) {
		t.Fatalf("process %s does not run", pid)
	}

	other := start(t, server.Options{Dir: dir})
	if n := len(entries(t, dir)); n != 2 {
		t.Fatalf("%d directories beside a running server and its parent, want 2", n)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for runs(string(pid)) {
		select {
		case <-deadline:
			t.Fatalf("process %s outlives its parent", strings.TrimSpace(string(pid)))
		case <-tick.C:
		}
	}
	third := start(t, server.Options{Dir: dir})
	if got := entries(t, dir); len(got) != 2 {
		t.Errorf("left in the directory: %v, want the servers at %s and %s", got, other.DataDir(), third.DataDir())
	}
}

// runs says that the process exists and is no zombie.
func runs(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
