package fsx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/lull-ops/lull"
	"golang.org/x/sys/unix"
)

// FileLock is a lock between processes. The kernel drops it when its process ends, however
// that happens, so a lock is never left behind.
type FileLock struct{ f *os.File }

// maxHolder bounds what is read of a lock file that somebody else wrote.
const maxHolder = 256

// Lock takes the lock of the file at path without waiting and writes this process's id and
// what, a few words such as "lull apply p-12", into it. When another holds it, the error is
// a lull.Error of kind Locked that names the holder. The file stays for ever: removing it
// would let two processes lock two files of one name.
func Lock(path, what string) (*FileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, wrap("lock", path, err)
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		held := heldBy(path, f)
		return nil, errors.Join(held, f.Close())
	}
	l := &FileLock{f: f}
	if err == nil {
		err = l.write(strconv.Itoa(os.Getpid()) + " " + what + "\n")
	}
	if err != nil {
		return nil, errors.Join(wrap("lock", path, err), f.Close())
	}
	return l, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (l *FileLock) write(s string) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(s), 0)
	return err
}

// heldBy is the Locked error. The holder may not have written its name yet.
func heldBy(path string, f io.ReaderAt) error {
	buf := make([]byte, maxHolder)
	n, _ := f.ReadAt(buf, 0)
	line, _, _ := strings.Cut(string(buf[:n]), "\n")
	pid, what, _ := strings.Cut(line, " ")
	if _, err := strconv.Atoi(pid); err != nil {
		return lull.Errorf(lull.Locked, "wait for it to end, then run the same again",
			"lock %s: another process holds it", path)
	}
	return lull.Errorf(lull.Locked, "wait for it to end, or stop it: kill "+pid,
		"lock %s: process %s holds it: %q", path, pid, what)
}

// Unlock gives the lock back. A nil lock and a second call do nothing.
func (l *FileLock) Unlock() error {
	if l == nil || l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	err := (&FileLock{f: f}).write("")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unlock %s: %w", f.Name(), err)
	}
	return nil
}
