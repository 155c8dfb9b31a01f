package fsx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lull-ops/lull"
)

func wantFile(t *testing.T, path, want string, perm os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm() != perm {
		t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), perm)
	}
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("folder holds %v, want %v", got, want)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.json")
	for i, perm := range []os.FileMode{0o600, 0o664} {
		if err := WriteFile(path, fmt.Append(nil, i), perm); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, fmt.Sprint(i), perm)
	}
	wantNames(t, dir, "plan.json")
}

func TestFileIsInvisibleUntilCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "new")
	wantFile(t, path, "old", 0o600)
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "old", 0o600)
	wantNames(t, dir, "f")
	if f.Commit() == nil {
		t.Error("Commit after Close succeeds")
	}
}

func TestCommitOntoFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, nil, 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	wantNames(t, dir, "f")
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil, 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		full, err = os.Open(os.DevNull)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, werr := full.WriteString("x")
	if !IsFull(werr) {
		werr = &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
	}
	err = wrap("write", "/data/plan", werr)
	if want := "write /data/plan: no space left on device"; err.Error() != want || !IsFull(err) ||
		!strings.Contains(lull.HintOf(err), "/data") {
		t.Errorf("got %v, hint %q", err, lull.HintOf(err))
	}
	if !IsFull(syscall.EDQUOT) || IsFull(nil) || IsFull(os.ErrNotExist) {
		t.Error("IsFull is wrong")
	}
}

func TestSecureDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := SecureDir(dir); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Error(info.Mode(), err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "f")
	if err := WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SecureDir(file); err == nil {
		t.Error("a file passes for a folder")
	}
}

func TestNeed(t *testing.T) {
	dir := t.TempDir()
	free, err := Free(dir)
	if err != nil || free <= 0 {
		t.Fatal(free, err)
	}
	if err := Need(dir, 1); err != nil {
		t.Error(err)
	}
	err = Need(dir, 1<<62)
	if lull.KindOf(err) != lull.Failed || lull.HintOf(err) == "" || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if Need(filepath.Join(dir, "none"), 1) == nil {
		t.Error("a missing folder has room")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Lock(path, "lull apply p-12")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lock(path, "other")
	want := fmt.Sprintf("lock %s: process %d holds it: \"lull apply p-12\"", path, os.Getpid())
	if lull.KindOf(err) != lull.Locked || err.Error() != want || !strings.Contains(lull.HintOf(err), fmt.Sprint("kill ", os.Getpid())) {
		t.Errorf("got %v\nwant %v", err, want)
	}
	if err := errors.Join(l.Unlock(), l.Unlock()); err != nil {
		t.Error(err)
	}
	l, err = Lock(path, "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "", 0o600)
}

func TestLockHeldBeforeItIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f := func(content, want string) {
		t.Helper()
		l, err := Lock(path, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Unlock()
		if err := l.write(content); err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(path, "y"); err == nil || err.Error() != "lock "+path+": "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	f("", "another process holds it")
	f("rubbish\x1b[2J", "another process holds it")
	f("12 a\x1b[2J\n", `process 12 holds it: "a\x1b[2J"`)
}

// TestLockDiesWithItsProcess runs this test binary as the holder and kills it.
func TestLockDiesWithItsProcess(t *testing.T) {
	if path := os.Getenv("LULL_TEST_LOCK"); path != "" {
		if _, err := Lock(path, "child"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockDiesWithItsProcess$")
	cmd.Env = append(os.Environ(), "LULL_TEST_LOCK="+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatal(line, err)
	}
	if _, err := Lock(path, "parent"); lull.KindOf(err) != lull.Locked || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	l, err := Lock(path, "parent")
	if err != nil {
		t.Fatal(err)
	}
	l.Unlock()
}
