package extsort

import (
	"bytes"
	"errors"
	"math"
)

// DefaultMemory is the bound in bytes that New takes when it gets 0.
const DefaultMemory = 48 << 20

// minMemory keeps the buffers of a merge above a page.
const minMemory = 32 << 10

// Sorter takes records in any order. It is not safe for several goroutines.
type Sorter struct {
	dir    string
	mem    int
	open   func(dir string) (file, error)
	buf    buffer
	spill  *spill
	direct bool   // records go straight to the last run while they come in order
	raw    []byte // a record on its way to the file
	n      int64
	err    error
}

// New makes a Sorter whose files lie in dir and which holds about mem bytes: at most 0 is
// DefaultMemory. A single record larger than that is held whole, too. The caller must call
// Sort and close what it returns, or call Close.
func New(dir string, mem int) *Sorter {
	if mem <= 0 {
		mem = DefaultMemory
	}
	mem = max(mem, minMemory)
	return &Sorter{dir: dir, mem: mem, open: openTemp, buf: newBuffer(mem)}
}

var errDone = errors.New("add record: the sorter is closed or sorted already")

// Len is the number of records added.
func (s *Sorter) Len() int64 { return s.n }

// Add copies a record in. After an error the Sorter holds nothing any more, and every later
// call returns the same error; a disk without room is a lull.Error with a hint.
func (s *Sorter) Add(key, value []byte) error {
	if s.err != nil {
		return s.err
	}
	if uint64(len(key))+uint64(len(value))+maxHeader > math.MaxUint32 {
		return s.fail(errors.New("add record: key and value are larger than 4 GB"))
	}
	s.n++
	if s.direct {
		if bytes.Compare(s.spill.last, key) <= 0 {
			return s.fail(s.writeThrough(key, value))
		}
		s.direct = false
	}
	if s.buf.add(key, value) {
		return nil
	}
	if err := s.flush(); err != nil {
		return s.fail(err)
	}
	if s.direct && bytes.Compare(s.spill.last, key) <= 0 {
		return s.fail(s.writeThrough(key, value))
	}
	s.direct = false
	s.buf.add(key, value)
	return nil
}

func (s *Sorter) writeThrough(key, value []byte) error {
	s.raw = appendRecord(s.raw[:0], key, value)
	return s.spill.write(s.raw, key)
}

// flush moves the buffer to the file: onto the last run where it goes on in order, else as a
// new run. Input that came in order so far needs no buffer from here on.
func (s *Sorter) flush() error {
	if s.spill == nil {
		sp, err := newSpill(s.dir, s.open, s.mem)
		if err != nil {
			return err
		}
		s.spill = sp
	}
	inOrder := s.buf.sorted
	s.buf.sort()
	if len(s.spill.runs) == 0 || bytes.Compare(s.spill.last, s.buf.key(s.buf.entry[0])) > 0 {
		s.spill.begin()
	}
	for _, e := range s.buf.entry {
		raw, key, _ := s.buf.record(e)
		if err := s.spill.write(raw, key); err != nil {
			return err
		}
	}
	s.direct = inOrder
	if inOrder {
		s.buf.free()
	} else {
		s.buf.reset()
	}
	return nil
}

// fail remembers err and lets go of everything; nil is no failure.
func (s *Sorter) fail(err error) error {
	if err != nil {
		s.err = errors.Join(err, s.release())
		return s.err
	}
	return nil
}

func (s *Sorter) release() error {
	s.buf.free()
	sp := s.spill
	s.spill = nil
	return sp.close()
}

// Close drops all records. After Sort the Iter owns them, and Close does nothing.
func (s *Sorter) Close() error {
	if s.err != nil {
		return nil
	}
	s.err = errDone
	return s.release()
}

// Sort ends the input and returns the records in order. The caller must close the Iter.
func (s *Sorter) Sort() (*Iter, error) {
	if s.err != nil {
		return nil, s.err
	}
	it, err := s.merge()
	if err != nil {
		return nil, s.fail(err)
	}
	// The iterator owns buffer and file now.
	s.err, s.spill, s.buf = errDone, nil, newBuffer(s.mem)
	return it, nil
}

func (s *Sorter) merge() (*Iter, error) {
	if s.spill == nil {
		s.buf.sort()
		return newIter(nil, &s.buf, nil, 0), nil
	}
	// The readers need memory, so the rest may stay in its own only while it is small.
	if len(s.buf.entry) > 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	s.buf.free()
	if err := s.spill.flush(); err != nil {
		return nil, err
	}
	for len(s.spill.runs) > s.fanIn() {
		if err := s.pass(); err != nil {
			return nil, err
		}
	}
	return newIter(s.spill, nil, s.spill.runs, s.readBuffer(len(s.spill.runs))), nil
}

// maxReadBuffer is what one run's reader is given at most, minReadBuffer at least.
const (
	minReadBuffer = 8 << 10
	maxReadBuffer = 512 << 10
)

// fanIn is the number of runs that may be merged at once within the bound.
func (s *Sorter) fanIn() int { return max(2, s.mem/2/minReadBuffer) }

func (s *Sorter) readBuffer(runs int) int {
	return min(max(s.mem/2/max(runs, 1), minReadBuffer), maxReadBuffer)
}

// pass merges neighbouring runs into fewer in a new file. Only neighbours keep equal keys in
// the order of the input.
func (s *Sorter) pass() error {
	out, err := newSpill(s.dir, s.open, s.mem)
	if err != nil {
		return err
	}
	runs, fan := s.spill.runs, s.fanIn()
	for len(runs) > 0 {
		n := min(fan, len(runs))
		if err := s.mergeInto(out, runs[:n]); err != nil {
			return errors.Join(err, out.close())
		}
		runs = runs[n:]
	}
	if err := out.flush(); err != nil {
		return errors.Join(err, out.close())
	}
	old := s.spill
	s.spill = out
	return old.close()
}

func (s *Sorter) mergeInto(out *spill, runs []run) error {
	out.begin()
	it := newIter(s.spill, nil, runs, s.readBuffer(len(runs)))
	for it.Next() {
		s.raw = appendRecord(s.raw[:0], it.Key(), it.Value())
		if err := out.write(s.raw, it.Key()); err != nil {
			return err
		}
	}
	return it.Err()
}
