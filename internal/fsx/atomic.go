package fsx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteFile puts data at path as one step that survives a crash: after a return without an
// error the new content is on disk, before it the old one is. An existing file's place is
// taken, whatever its mode was; perm applies exactly, without the umask.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Commit()
}

// File is a file that appears under its name at Commit. Until then its content lies in a
// temporary file beside it, so that the name is on the same filesystem.
type File struct {
	f    *os.File
	path string
	done bool
}

// Create starts a File that will be at path. The caller must call Commit or Close.
func Create(path string, perm os.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, wrap("create", path, err)
	}
	out := &File{f: f, path: path}
	if err := f.Chmod(perm); err != nil {
		return nil, errors.Join(wrap("create", path, err), out.Close())
	}
	return out, nil
}

var _ io.WriteCloser = (*File)(nil)

// Write adds to the file that is not there yet.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	if err != nil {
		return n, wrap("write", f.path, err)
	}
	return n, nil
}

// Commit syncs the content, gives the file its name and syncs the folder. After an error
// the name still holds what it held before, or, when only the folder's sync went wrong, the
// new content.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("commit %s: %w", f.path, os.ErrClosed)
	}
	if err := f.f.Sync(); err != nil {
		return errors.Join(wrap("sync", f.path, err), f.Close())
	}
	if err := f.f.Close(); err != nil {
		return errors.Join(wrap("close", f.path, err), f.Close())
	}
	if err := os.Rename(f.f.Name(), f.path); err != nil {
		return errors.Join(wrap("write", f.path, err), f.Close())
	}
	f.done = true
	return SyncDir(filepath.Dir(f.path))
}

// Close gives up a File that was not committed and removes what it wrote. After Commit it
// does nothing, so it can be deferred.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.f.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(f.f.Name()))
}

// SyncDir makes the names in dir durable: files created, renamed and removed in it.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync folder: %w", err), d.Close())
	}
	return d.Close()
}
