package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/blob"
)

// unfinished is the folder below the store's in which Puts write.
const unfinished = blob.Reserved + "put"

// leftoverAge is how old a file in there must be to belong to a Put that was killed.
const leftoverAge = 24 * time.Hour

// Put implements blob.Store: the bytes are written under another name, synced, and then
// linked to theirs, which fails when there is such a name.
func (s *Store) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path(name)); err == nil {
		return s.exists(name)
	}
	if err := s.makeRoot(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(s.root, unfinished), blob.Reserved+"*")
	if err != nil {
		return s.wrapPut(name, err)
	}
	defer os.Remove(f.Name())
	s.sweep.Do(func() { s.removeLeftovers(f) })
	if err := s.write(ctx, f, name, r, size); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return s.wrapPut(name, err)
	}
	return s.finish(f.Name(), name)
}

// write puts size bytes of r into f, durably.
func (s *Store) write(ctx context.Context, f *os.File, name string, r io.ReadSeeker, size int64) error {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	src := &source{ctx: ctx, r: io.LimitReader(r, size)}
	n, err := io.Copy(struct{ io.Writer }{f}, src)
	if src.err != nil {
		return fmt.Errorf("write %s of %s: %w", name, s, src.err)
	}
	if err != nil {
		return s.wrapPut(name, err)
	}
	if n != size {
		return fmt.Errorf("write %s of %s: %d of %d bytes given: %w", name, s, n, size, io.ErrUnexpectedEOF)
	}
	if err := f.Sync(); err != nil {
		return s.wrapPut(name, err)
	}
	return nil
}

// source remembers whether it was the reader that failed, and stops when ctx does.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// finish gives the file tmp its name. A Delete may take an empty folder away just before.
func (s *Store) finish(tmp, name string) error {
	dir := filepath.Dir(s.path(name))
	for tries := 0; ; tries++ {
		if err := s.makeDirs(dir); err != nil {
			return s.wrapPut(name, err)
		}
		err := s.rename(tmp, s.path(name))
		switch {
		case err == nil:
			return s.wrapPut(name, fsx.SyncDir(dir))
		case errors.Is(err, fs.ErrExist):
			return s.exists(name)
		case errors.Is(err, fs.ErrNotExist) && tries < 10:
			continue
		}
		return s.wrapPut(name, err)
	}
}

// rename gives a file a new name that must not be there.
func (s *Store) rename(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return s.renameUnlinked(from, to)
	}
	return err
}

// renameUnlinked is rename for filesystems without links, such as exFAT: there only the Puts
// of this Store are kept apart.
func (s *Store) renameUnlinked(from, to string) error {
	s.place.Lock()
	defer s.place.Unlock()
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// makeRoot makes the store's own folder and the one for unfinished objects.
func (s *Store) makeRoot() error {
	if _, err := os.Stat(filepath.Dir(s.root)); err != nil {
		return lull.Errorf(lull.Usage, "mount its disk, or make the folder "+filepath.Dir(s.root),
			"write to %s: the folder above it is not there", s)
	}
	if err := s.makeDirs(filepath.Join(s.root, unfinished)); err != nil {
		return s.wrapPut("", err)
	}
	return nil
}

// makeDirs makes dir and what is missing between it and the store's folder, durably.
func (s *Store) makeDirs(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && dir != s.root {
		if err := s.makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fsx.SyncDir(filepath.Dir(dir))
}

// removeLeftovers clears away what killed Puts left. The filesystem's own clock counts, which
// is the one of newest, a file just made.
func (s *Store) removeLeftovers(newest *os.File) {
	info, err := newest.Stat()
	if err != nil {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(newest.Name()))
	if err != nil {
		return
	}
	for _, e := range entries {
		old, err := e.Info()
		if err == nil && info.ModTime().Sub(old.ModTime()) > leftoverAge {
			os.Remove(filepath.Join(filepath.Dir(newest.Name()), e.Name()))
		}
	}
}

func (s *Store) exists(name string) error {
	return fmt.Errorf("write %s of %s: %w", name, s, blob.ErrExists)
}

// wrapPut is wrap for writing, where a folder that is not there is no missing object.
func (s *Store) wrapPut(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("write %s of %s: a file is where a folder should be", name, s)
	}
	return s.wrap("write", name, err)
}
