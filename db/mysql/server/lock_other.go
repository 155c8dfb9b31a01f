//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package server

import (
	"fmt"
	"os"
)

// canLock says that tryLock tells whether another process holds a lock.
const canLock = false

// tryLock only opens the file here: processes that make the same template at once may each
// fail, and the one that comes later finds it made.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	return f, nil
}
