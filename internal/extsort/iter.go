package extsort

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Iter hands the sorted records out once. It is not safe for several goroutines.
type Iter struct {
	spill *spill  // nil when everything fits into memory
	mem   *buffer // nil when there is a file
	next  int     // next entry of mem
	heap  []*leg  // legs that have a record, the smallest first
	cur   *leg    // leg whose record is handed out; it is heap[0]
	key   []byte
	value []byte
	err   error
	shut  bool
}

// leg reads one run. Its value is left in the reader until the record is wanted, so that
// merging many runs of huge rows holds one of them.
type leg struct {
	r      *bufio.Reader
	order  int // of the run: equal keys come from the earlier run first
	prefix uint64
	key    []byte
	value  int // bytes of the value, unread
}

func newIter(sp *spill, mem *buffer, runs []run, readBuffer int) *Iter {
	it := &Iter{spill: sp}
	if mem != nil {
		own := *mem
		it.mem = &own
	}
	for i, r := range runs {
		section := io.NewSectionReader(sp.f, r.start, r.end-r.start)
		l := &leg{r: bufio.NewReaderSize(section, readBuffer), order: i}
		ok, err := l.advance()
		if err != nil {
			it.err = spillError("read", sp.dir, err)
			return it
		}
		if ok {
			it.heap = append(it.heap, l)
		}
	}
	for i := len(it.heap)/2 - 1; i >= 0; i-- {
		it.sink(i)
	}
	return it
}

// Next goes to the next record; false is the end or an error.
func (it *Iter) Next() bool {
	it.key, it.value = nil, it.value[:0]
	if it.shut && it.err == nil {
		it.err = errClosed
	}
	if it.err != nil {
		return false
	}
	if it.mem != nil {
		return it.nextInMemory()
	}
	if it.cur != nil {
		ok, err := it.cur.advance()
		if err != nil {
			it.err = spillError("read", it.spill.dir, err)
			return false
		}
		if !ok {
			n := len(it.heap) - 1
			it.heap[0] = it.heap[n]
			it.heap[n] = nil
			it.heap = it.heap[:n]
		}
		it.sink(0)
		it.cur = nil
	}
	if len(it.heap) == 0 {
		return false
	}
	it.cur = it.heap[0]
	it.key = it.cur.key
	if it.value, it.err = it.cur.readValue(it.value); it.err != nil {
		it.err = spillError("read", it.spill.dir, it.err)
		return false
	}
	return true
}

func (it *Iter) nextInMemory() bool {
	if it.next >= len(it.mem.entry) {
		return false
	}
	_, it.key, it.value = it.mem.record(it.mem.entry[it.next])
	it.next++
	return true
}

// Key is the record's key, valid until Next or Close.
func (it *Iter) Key() []byte { return it.key }

// Value is the record's value, valid until Next or Close.
func (it *Iter) Value() []byte { return it.value }

// Err is what stopped Next, nil at the end of the records.
func (it *Iter) Err() error { return it.err }

var errClosed = errors.New("read record: the iterator is closed")

// Close gives memory and file back; it may be called at any time, and again.
func (it *Iter) Close() error {
	it.shut = true
	sp := it.spill
	it.spill, it.mem, it.heap, it.cur, it.key, it.value = nil, nil, nil, nil, nil, nil
	if err := sp.close(); err != nil {
		return fmt.Errorf("close sort file: %w", err)
	}
	return nil
}

func (it *Iter) less(i, j int) bool {
	a, b := it.heap[i], it.heap[j]
	if a.prefix != b.prefix {
		return a.prefix < b.prefix
	}
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	return a.order < b.order
}

// sink lets heap[i] fall to its place.
func (it *Iter) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(it.heap); c++ {
			if it.less(c, least) {
				least = c
			}
		}
		if least == i {
			return
		}
		it.heap[i], it.heap[least] = it.heap[least], it.heap[i]
		i = least
	}
}

// advance reads the next record's key; false is the end of the run.
func (l *leg) advance() (bool, error) {
	k, err := binary.ReadUvarint(l.r)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v, err := binary.ReadUvarint(l.r)
	if err != nil {
		return false, unexpected(err)
	}
	l.value = int(v)
	l.key = resize(l.key, int(k))
	if _, err := io.ReadFull(l.r, l.key); err != nil {
		return false, unexpected(err)
	}
	l.prefix = prefixOf(l.key)
	return true, nil
}

// readValue reads the value that follows the key into buf.
func (l *leg) readValue(buf []byte) ([]byte, error) {
	buf = resize(buf, l.value)
	if _, err := io.ReadFull(l.r, buf); err != nil {
		return nil, unexpected(err)
	}
	return buf, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func resize(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return make([]byte, n, n+n/4)
}
