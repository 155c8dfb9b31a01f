package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lull-ops/lull/internal/fsx"
)

// scratchPrefix names folders for the rows of one run.
const scratchPrefix = "lull-out-"

// scratch makes a folder for this run's rows and removes those of runs that were killed,
// which hold people's data. Their owners' locks tell which those are.
func (a *runner) scratch() (dir string, done func(), err error) {
	base := a.scratchBase()
	sweepScratch(base)
	if dir, err = os.MkdirTemp(base, scratchPrefix); err != nil {
		return "", nil, fmt.Errorf("make a folder for rows: %w", err)
	}
	lock, err := fsx.Lock(filepath.Join(dir, "lock"), "writing SQL")
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() {
		_ = os.RemoveAll(dir)
		_ = lock.Unlock()
	}, nil
}

// scratchBase is in the data folder, which is this user's alone; where there is none, and
// none can be made, the system's folder for temporary files.
func (a *runner) scratchBase() string {
	dir, err := a.dataDir()
	if err != nil {
		return os.TempDir()
	}
	dir = filepath.Join(dir, "out")
	if fsx.SecureDir(dir) != nil {
		return os.TempDir()
	}
	return dir
}

func sweepScratch(base string) {
	left, _ := filepath.Glob(filepath.Join(base, scratchPrefix+"*")) // the pattern is well formed
	for _, dir := range left {
		lock, err := fsx.Lock(filepath.Join(dir, "lock"), "sweeping")
		if err != nil {
			continue // in use, or somebody else's
		}
		_ = os.RemoveAll(dir)
		_ = lock.Unlock()
	}
}
