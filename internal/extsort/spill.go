package extsort

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/fsx"
)

// file is what runs are kept in.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// openTemp makes a file in dir that is gone when it is closed, or when the process dies.
func openTemp(dir string) (file, error) {
	f, err := os.CreateTemp(dir, "lull-sort-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// run is a stretch of the file that is in order: bytes [start, end).
type run struct{ start, end int64 }

// spill is the file with its runs. Only its last run can grow.
type spill struct {
	dir  string
	f    file
	w    *bufio.Writer
	size int64
	runs []run
	last []byte // key of the last record written
}

const writeBuffer = 256 << 10

func newSpill(dir string, open func(dir string) (file, error), mem int) (*spill, error) {
	f, err := open(dir)
	if err != nil {
		return nil, spillError("create", dir, err)
	}
	return &spill{dir: dir, f: f, w: bufio.NewWriterSize(f, min(writeBuffer, max(mem/8, minBlock)))}, nil
}

// begin starts a run; what is written from now on is in order with itself only.
func (s *spill) begin() { s.runs = append(s.runs, run{s.size, s.size}) }

// write adds a record to the last run; key is the raw record's.
func (s *spill) write(raw, key []byte) error {
	n, err := s.w.Write(raw)
	s.size += int64(n)
	s.runs[len(s.runs)-1].end = s.size
	if err != nil {
		return spillError("write", s.dir, err)
	}
	s.last = append(s.last[:0], key...)
	return nil
}

// flush makes all that was written readable.
func (s *spill) flush() error {
	if err := s.w.Flush(); err != nil {
		return spillError("write", s.dir, err)
	}
	return nil
}

func (s *spill) close() error {
	if s == nil || s.f == nil {
		return nil
	}
	f := s.f
	s.f, s.w = nil, nil
	return f.Close()
}

func spillError(verb, dir string, err error) error {
	if fsx.IsFull(err) {
		return lull.Errorf(lull.Failed, "free some space on the disk of "+dir+", or choose another with --data DIR",
			"%s sort file in %s: the disk is full: %w", verb, dir, err)
	}
	return fmt.Errorf("%s sort file in %s: %w", verb, dir, err)
}
