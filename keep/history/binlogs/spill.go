package binlogs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lull-ops/lull/db"
)

// spill is rows of one transaction in a temporary file. A record is the number of the row's
// reader, its db.Op, 1 with foreign_key_checks=0, the length of what follows, and two rows as
// db.AppendRow writes them.
type spill struct {
	file    *os.File
	readers []*rowReader
}

// toFile moves the held rows to a file. Events stay, and so come behind them.
func (h *held) toFile() error {
	if h.spill == nil {
		f, err := os.CreateTemp("", "lull-prepared-*.tmp")
		if err != nil {
			return fmt.Errorf("spill a prepared transaction: %w", err)
		}
		_ = os.Remove(f.Name()) // where an open file can be removed, no crash leaves it behind
		h.spill = &spill{file: f}
	}
	w := bufio.NewWriterSize(h.spill.file, spillBuffer)
	var events []heldStep
	end := len(h.buf)
	ends := make([]int, len(h.steps))
	for i := len(h.steps) - 1; i >= 0; i-- {
		ends[i] = end
		if h.steps[i].event == nil {
			end = h.steps[i].at
		}
	}
	for i := range h.steps {
		st := &h.steps[i]
		if st.event != nil {
			events = append(events, *st)
			continue
		}
		if err := h.spill.write(w, st, h.buf[st.at:ends[i]]); err != nil {
			return fmt.Errorf("spill a prepared transaction: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("spill a prepared transaction: %w", err)
	}
	h.steps, h.buf = append(h.steps[:0], events...), h.buf[:0]
	return nil
}

const spillBuffer = 64 << 10

func (s *spill) write(w *bufio.Writer, st *heldStep, rows []byte) error {
	if n := len(s.readers); n == 0 || s.readers[n-1] != st.rows {
		s.readers = append(s.readers, st.rows)
	}
	off := byte(0)
	if st.off {
		off = 1
	}
	head := binary.AppendUvarint(nil, uint64(len(s.readers)-1))
	head = append(head, byte(st.op), off)
	head = binary.AppendUvarint(head, uint64(len(rows)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(rows)
	return err
}

// each calls fn with every row; a nil spill has none.
func (s *spill) each(fn func(st *heldStep, rows []byte) error) error {
	if s == nil {
		return nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read a prepared transaction: %w", err)
	}
	r := bufio.NewReaderSize(s.file, spillBuffer)
	var buf []byte
	for {
		st, rows, err := s.read(r, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a prepared transaction: %w", err)
		}
		buf = rows
		if err := fn(&st, rows); err != nil {
			return err
		}
	}
}

// read reads a record; rows are in buf when they fit. io.EOF comes only in front of one.
func (s *spill) read(r *bufio.Reader, buf []byte) (st heldStep, rows []byte, err error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return st, nil, err
	}
	if n >= uint64(len(s.readers)) {
		return st, nil, errors.New("the temporary file is damaged")
	}
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return st, nil, io.ErrUnexpectedEOF
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return st, nil, io.ErrUnexpectedEOF
	}
	if uint64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	rows = buf[:size]
	if _, err := io.ReadFull(r, rows); err != nil {
		return st, nil, io.ErrUnexpectedEOF
	}
	return heldStep{rows: s.readers[n], op: db.Op(head[0]), off: head[1] == 1}, rows, nil
}

// close removes the file, where it could not be removed while it was open.
func (s *spill) close() {
	if s == nil {
		return
	}
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}
