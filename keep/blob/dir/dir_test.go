package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/blob/blobtest"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := New("dir:" + filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t) })
}

func TestNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "dir:", file} {
		if _, err := New(bad); lull.KindOf(err) != lull.Usage || lull.HintOf(err) == "" {
			t.Errorf("%q: got %v", bad, err)
		}
	}
	s, err := New("sub")
	if err != nil || !filepath.IsAbs(strings.TrimPrefix(s.String(), "dir:")) {
		t.Errorf("got %v, %v", s, err)
	}
}

// A folder above that is not there is a disk that is not mounted.
func TestNotMounted(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "mnt", "repo"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Put(t.Context(), "a", strings.NewReader("x"), 1)
	if lull.KindOf(err) != lull.Usage || !strings.Contains(lull.HintOf(err), "mount") {
		t.Errorf("got %v", err)
	}
	blobtest.WantNames(t, s, "", "")
}

func TestLeftoversOfKilledPuts(t *testing.T) {
	s := open(t)
	blobtest.Put(t, s, "a/b", "x")
	tmp := filepath.Join(s.root, unfinished)
	for name, age := range map[string]time.Duration{".tmp-old": 25 * time.Hour, ".tmp-young": 23 * time.Hour} {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	blobtest.WantNames(t, s, "", "a/b:1")
	again, err := New(s.root)
	if err != nil {
		t.Fatal(err)
	}
	blobtest.Put(t, again, "a/c", "x")
	blobtest.WantNames(t, again, "", "a/b:1 a/c:1")
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 1 || left[0].Name() != ".tmp-young" {
		t.Errorf("left are %v, %v", left, err)
	}
}

// killed is a reader that kills its process half way through.
type killed struct{ *bytes.Reader }

func (r killed) Read(p []byte) (int, error) {
	if r.Len() <= 1<<20 {
		return 0, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return r.Reader.Read(p)
}

const killEnv = "LULL_TEST_KILLED_PUT"

func TestKilledPut(t *testing.T) {
	if path := os.Getenv(killEnv); path != "" {
		s, err := New(path)
		t.Fatal(err, s.Put(context.Background(), "a/b", killed{bytes.NewReader(make([]byte, 2<<20))}, 2<<20))
	}
	s := open(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPut$")
	cmd.Env = append(os.Environ(), killEnv+"="+s.root)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := os.ReadDir(filepath.Join(s.root, unfinished))
	if err != nil || len(left) != 1 {
		t.Fatalf("the killed process left %v, %v", left, err)
	}
	blobtest.WantNames(t, s, "", "")
	blobtest.Put(t, s, "a/b", "whole")
	blobtest.WantNames(t, s, "", "a/b:5")
}

func TestForeignFiles(t *testing.T) {
	s := open(t)
	blobtest.Put(t, s, "a/b", "x")
	outside := t.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(s.root, "a", "no name.txt"), nil, 0o600),
		os.WriteFile(filepath.Join(outside, "c"), nil, 0o600),
		os.Symlink(outside, filepath.Join(s.root, "link")),
		os.Symlink(filepath.Join(outside, "c"), filepath.Join(s.root, "link2")),
		os.Mkdir(filepath.Join(s.root, "empty"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	blobtest.WantNames(t, s, "", "a/b:1")
	if err := s.Delete(t.Context(), "empty"); err != nil {
		t.Error(err)
	}
}

func TestDeleteLeavesNoEmptyFolders(t *testing.T) {
	s := open(t)
	blobtest.Put(t, s, "a/b/c/d", "x")
	blobtest.Put(t, s, "a/e", "x")
	if err := s.Delete(t.Context(), "a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.root, "a", "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	blobtest.WantNames(t, s, "", "a/e:1")
}

func TestFolderInTheWay(t *testing.T) {
	s := open(t)
	blobtest.Put(t, s, "a", "x")
	err := s.Put(t.Context(), "a/b", strings.NewReader("x"), 1)
	if err == nil || errors.Is(err, blob.ErrNotFound) || !strings.Contains(err.Error(), "a file is where a folder should be") {
		t.Errorf("got %v", err)
	}
}

func TestWrap(t *testing.T) {
	s := &Store{root: "/mnt/repo"}
	for _, c := range []struct {
		err  error
		kind lull.Kind
		want string
	}{
		{&fs.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}, lull.Unreachable, "write a of dir:/mnt/repo: no space left on device"},
		{&os.LinkError{Op: "link", Old: "x", New: "y", Err: syscall.EROFS}, lull.Usage, "write a of dir:/mnt/repo: read-only file system"},
		{syscall.EACCES, lull.Usage, "write a of dir:/mnt/repo: permission denied"},
		{syscall.ESTALE, lull.Unreachable, "write a of dir:/mnt/repo: stale file handle"},
		{io.ErrClosedPipe, lull.Failed, "write a of dir:/mnt/repo: io: read/write on closed pipe"},
	} {
		err := s.wrapPut("a", c.err)
		if lull.KindOf(err) != c.kind || fmt.Sprint(err) != c.want || c.kind != lull.Failed && lull.HintOf(err) == "" {
			t.Errorf("%v: got %v of kind %d", c.err, err, lull.KindOf(err))
		}
	}
}

// Without links a name that is taken stays so.
func TestRenameWithoutLinks(t *testing.T) {
	s := open(t)
	blobtest.Put(t, s, "a", "x")
	tmp := filepath.Join(s.root, unfinished, ".tmp-1")
	if err := os.WriteFile(tmp, []byte("y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.renameUnlinked(tmp, s.path("a")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if err := s.renameUnlinked(tmp, s.path("b")); err != nil {
		t.Error(err)
	}
	blobtest.WantNames(t, s, "", "a:1 b:1")
}
