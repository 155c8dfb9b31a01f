package fsx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lull-ops/lull"
	"golang.org/x/sys/unix"
)

// IsFull says that err comes from a disk or a quota without room.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// wrap names the file; a full disk gets its next step.
func wrap(verb, path string, err error) error {
	if IsFull(err) {
		return lull.Errorf(lull.Failed, "free some space on the disk of "+filepath.Dir(path)+", then run the same again",
			"%s %s: %w", verb, path, bare(err))
	}
	return fmt.Errorf("%s %s: %w", verb, path, bare(err))
}

// bare takes the path that os puts into its errors off again: ours names it better.
func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// SecureDir makes dir, and what is missing above it, for its owner alone (0700). A folder
// that is there already keeps what it holds and loses its rights for others; one that
// belongs to somebody else, or is no folder, is an error.
func SecureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create folder %s: %w", dir, bare(err))
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("read folder %s: %w", dir, bare(err))
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return lull.Errorf(lull.Usage, "choose a folder of your own with --data DIR",
			"use folder %s: it belongs to user %d, and this is user %d", dir, st.Uid, os.Geteuid())
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("protect folder %s: %w", dir, bare(err))
	}
	return nil
}

// Free is the number of bytes this user may still write on dir's filesystem.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("read free space of %s: %w", dir, err)
	}
	return int64(uint64(st.Bavail) * uint64(st.Bsize)), nil //nolint:unconvert // the types differ between systems
}

// Need is an error with a hint when dir's filesystem has less than n bytes free.
func Need(dir string, n int64) error {
	free, err := Free(dir)
	if err != nil || free >= n {
		return err
	}
	return lull.Errorf(lull.Failed, "free some space, or choose another folder with --data DIR",
		"write to %s: %d MB needed, %d MB free", dir, (n+999_999)/1_000_000, free/1_000_000)
}
