package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history/pack"
)

// object is a pack.Source over an object of a store. Ranges that are held are not fetched again.
type object struct {
	store blob.Store
	name  string
	size  int64

	mu   sync.Mutex
	held []stretch
}

type stretch struct {
	off  int64
	data []byte
}

func (s stretch) has(off, n int64) bool {
	return off >= s.off && off+n <= s.off+int64(len(s.data))
}

func (o *object) Size() int64 { return o.size }

// ReadAt implements pack.Source.
func (o *object) ReadAt(ctx context.Context, p []byte, off int64) error {
	if data := o.find(off, int64(len(p))); data != nil {
		copy(p, data)
		return nil
	}
	in, err := o.store.Open(ctx, o.name, off, int64(len(p)))
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.ReadFull(in, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &pack.CorruptError{Where: o.name, Reason: fmt.Sprintf("it is shorter than %d bytes", o.size)}
	}
	return err
}

func (o *object) find(off, n int64) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.held {
		if s.has(off, n) {
			return s.data[off-s.off:][:n]
		}
	}
	return nil
}

// hold fetches a range in one piece, for the reads that follow until release is called.
func (o *object) hold(ctx context.Context, off, n int64) (release func(), err error) {
	if o.find(off, n) != nil {
		return func() {}, nil
	}
	data := make([]byte, n)
	if err := o.ReadAt(ctx, data, off); err != nil {
		return nil, err
	}
	o.keep(off, data)
	return func() { o.drop(off, n) }, nil
}

func (o *object) keep(off int64, data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = append(o.held, stretch{off, data})
}

func (o *object) drop(off, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.held, func(s stretch) bool { return s.off == off && int64(len(s.data)) == n }); i >= 0 {
		o.held = slices.Delete(o.held, i, i+1)
	}
}

// tailSource keeps what of the object's end is read until it is done: the whole index, and a
// little more.
type tailSource struct {
	*object
	tail stretch
	done bool
}

// ReadAt implements pack.Source.
func (t *tailSource) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := t.object.ReadAt(ctx, p, off); err != nil {
		return err
	}
	end := off + int64(len(p))
	switch {
	case t.done:
	case t.tail.data == nil && end == t.size:
		t.tail = stretch{off, slices.Clone(p)}
	case t.tail.data != nil && off < t.tail.off && end >= t.tail.off:
		t.tail = stretch{off, append(slices.Clone(p[:t.tail.off-off]), t.tail.data...)}
	}
	return nil
}

// seeker reads a whole object of a store from any place on, as Put wants it.
type seeker struct {
	ctx   context.Context
	store blob.Store
	name  string
	size  int64
	at    int64
	in    io.ReadCloser
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("read %s: offset %d", s.name, offset)
	}
	if offset != s.at {
		s.Close()
		s.at = offset
	}
	return offset, nil
}

func (s *seeker) Read(p []byte) (int, error) {
	if s.in == nil {
		if s.at >= s.size {
			return 0, io.EOF
		}
		var err error
		if s.in, err = s.store.Open(s.ctx, s.name, s.at, -1); err != nil {
			return 0, err
		}
	}
	n, err := s.in.Read(p)
	s.at += int64(n)
	return n, err
}

// Close ends what is being read; a Read after it goes on where the last one ended.
func (s *seeker) Close() {
	if s.in != nil {
		s.in.Close()
		s.in = nil
	}
}
