package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	dirPrefix = "lull-server-"
	newPrefix = ".lull-new-"
	aliveName = "alive"

	// maxSocketPath leaves room below the 104 bytes of the smallest sockaddr_un.
	maxSocketPath = 99
)

// makeDir makes a server's directory and locks the file in it that says it is in use. It
// gets its final name last, so that sweep never sees it unlocked.
func makeDir(parent string) (string, *os.File, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", nil, fmt.Errorf("make the server's directory: %w", err)
	}
	making, err := os.MkdirTemp(parent, newPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make the server's directory: %w", err)
	}
	alive, err := tryLock(filepath.Join(making, aliveName))
	if err == nil {
		dir := filepath.Join(parent, dirPrefix+strings.TrimPrefix(filepath.Base(making), newPrefix))
		if err = os.Rename(making, dir); err == nil {
			return dir, alive, nil
		}
		alive.Close()
	}
	return "", nil, errors.Join(fmt.Errorf("make the server's directory: %w", err), os.RemoveAll(making))
}

// sweep removes the directories of servers whose processes died without Stop. One that
// cannot be removed is left for the next time: it is in nobody's way.
func sweep(parent string) {
	if !canLock {
		return
	}
	for _, dir := range all(parent, dirPrefix+"*") {
		path := filepath.Join(dir, aliveName)
		if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		if f, err := tryLock(path); err == nil {
			_ = os.RemoveAll(dir)
			f.Close()
		}
	}
}

// socketDir is dir, or a directory with a shorter path when a socket in dir could not be
// named.
func socketDir(dir string) (string, error) {
	const name = "/mysqld.sock"
	if len(dir)+len(name) <= maxSocketPath {
		return dir, nil
	}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		if len(parent)+len("/lull-0123456789")+len(name) <= maxSocketPath {
			d, err := os.MkdirTemp(parent, "lull-")
			if err != nil {
				return "", fmt.Errorf("make a directory for the socket: %w", err)
			}
			return d, nil
		}
	}
	return "", fmt.Errorf("make a directory for the socket: %s is too long a path", dir)
}

// freePort is a port that nobody listens on. It may be taken before it is used.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// lockEvery is how often a lock that another process holds is tried again.
const lockEvery = 50 * time.Millisecond

// lockFile waits for the lock on path, which is created when missing. Closing the file, or
// the end of the process, lets it go.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock on %s: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// errLocked says that another process holds the lock.
var errLocked = errors.New("it is locked")
