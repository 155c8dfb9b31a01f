// Package dir keeps objects as files below a folder: one of this machine, or a mounted one.
// It follows no symbolic links below that folder, and is no lock between machines that cache
// folders (NFS without close-to-open).
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/blob"
)

// Store is a folder. Each object is a file under its own name; unfinished ones lie in one
// reserved folder, so that a killed Put leaves nothing under a name.
type Store struct {
	root  string
	sweep sync.Once
	place sync.Mutex // held from looking at a name to taking it, where links cannot be made
}

var _ blob.Store = (*Store)(nil)

// New is the store in the folder path, which "dir:" may precede. The folder itself is made by
// the first Put; the one above it must be there, so that a disk that is not mounted is noticed.
func New(path string) (*Store, error) {
	root := strings.TrimPrefix(path, "dir:")
	if root == "" {
		return nil, lull.Errorf(lull.Usage, "write it as dir:/path/to/folder", "use folder %q as a repository: it has no name", path)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("use folder %s as a repository: %w", root, err)
	}
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		return nil, lull.Errorf(lull.Usage, "name a folder", "use folder %s as a repository: it is a file", abs)
	}
	return &Store{root: abs}, nil
}

// String is "dir:" and the folder's absolute path.
func (s *Store) String() string { return "dir:" + s.root }

func (s *Store) path(name string) string { return filepath.Join(s.root, filepath.FromSlash(name)) }

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("read %s of %s: offset %d", name, s, off)
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, s.wrap("read", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, s.wrap("read", name, err)
	}
	if n < 0 || n > info.Size()-off {
		n = max(0, info.Size()-off)
	}
	return &reader{ctx: ctx, store: s, name: name, f: f, r: io.NewSectionReader(f, off, n)}, nil
}

// reader is a part of an object's file.
type reader struct {
	ctx   context.Context
	store *Store
	name  string
	f     *os.File
	r     io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.store.wrap("read", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// Delete implements blob.Store. Folders that become empty go too.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return err
	}
	path := s.path(name)
	info, err := os.Lstat(path)
	if isAbsent(err) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !isAbsent(err) {
		return s.wrap("delete", name, err)
	}
	for dir := filepath.Dir(path); dir != s.root; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}

// isAbsent says that there is no such object: not even the folders, or a file in their place.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// wrap names the object and the store, and gives what the user can do something about its
// kind and next step.
func (s *Store) wrap(verb, name string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if p, ok := errors.AsType[*os.LinkError](err); ok {
		err = p.Err
	}
	what := strings.TrimSpace(verb + " " + name)
	switch {
	case isAbsent(err):
		return fmt.Errorf("%s of %s: %w", what, s, blob.ErrNotFound)
	case fsx.IsFull(err):
		return lull.Errorf(lull.Unreachable, "free some space on the disk of "+s.root, "%s of %s: %w", what, s, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return lull.Errorf(lull.Usage, "give this user the right to read and write "+s.root, "%s of %s: %w", what, s, err)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT),
		errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return lull.Errorf(lull.Unreachable, "look at the disk or the mount of "+s.root, "%s of %s: %w", what, s, err)
	}
	return fmt.Errorf("%s of %s: %w", what, s, err)
}
