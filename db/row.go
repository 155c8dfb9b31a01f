package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

// Equal says that two values are both known and the same.
func (v Value) Equal(w Value) bool {
	return v.State == w.State && v.State != Absent && (v.State == Null || bytes.Equal(v.Data, w.Data))
}

// Clone copies the row's bytes so that it outlives the buffer it was read from.
func (r Row) Clone() Row {
	if r == nil {
		return nil
	}
	n := 0
	for _, v := range r {
		n += len(v.Data) + len(v.Expr)
	}
	buf := make([]byte, 0, n)
	out := make(Row, len(r))
	for i, v := range r {
		out[i].State = v.State
		if v.State == Set {
			s := len(buf)
			buf = append(buf, v.Data...)
			out[i].Data = buf[s:len(buf):len(buf)]
		}
		if v.Expr != nil {
			s := len(buf)
			buf = append(buf, v.Expr...)
			out[i].Expr = buf[s:len(buf):len(buf)]
		}
	}
	return out
}

// AppendRow appends the row to dst: uvarint count of values plus 1 (0 for a nil row), then
// per value uvarint 0 for NULL, 1 for absent, or twice its length plus 2 and the bytes; plus 3
// when an expression follows, uvarint length first.
func AppendRow(dst []byte, r Row) []byte {
	if r == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r))+1)
	for _, v := range r {
		switch v.State {
		case Null:
			dst = append(dst, 0)
		case Absent:
			dst = append(dst, 1)
		default:
			tag := uint64(len(v.Data))*2 + 2
			if v.Expr != nil {
				tag++
			}
			dst = binary.AppendUvarint(dst, tag)
			dst = append(dst, v.Data...)
			if v.Expr != nil {
				dst = binary.AppendUvarint(dst, uint64(len(v.Expr)))
				dst = append(dst, v.Expr...)
			}
		}
	}
	return dst
}

var errRow = errors.New("row record is cut short or damaged")

// ParseRow reads a row that AppendRow wrote from the front of src and returns what follows.
// Values point into src; buf is reused for the row when it is large enough.
func ParseRow(src []byte, buf Row) (row Row, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)) {
		return nil, nil, errRow
	}
	src = src[w:]
	if n == 0 {
		return nil, src, nil
	}
	if buf != nil && uint64(cap(buf)) >= n-1 {
		row = buf[:n-1]
	} else {
		row = make(Row, n-1)
	}
	for i := range row {
		if row[i], src, err = parseValue(src); err != nil {
			return nil, nil, err
		}
	}
	return row, src, nil
}

func parseValue(src []byte) (Value, []byte, error) {
	tag, w := binary.Uvarint(src)
	if w <= 0 {
		return Value{}, nil, errRow
	}
	src = src[w:]
	if tag < 2 {
		return Value{State: [2]State{Null, Absent}[tag]}, src, nil
	}
	l := (tag - 2) / 2
	if l > uint64(len(src)) {
		return Value{}, nil, errRow
	}
	v := Value{State: Set, Data: src[:l:l]}
	src = src[l:]
	if tag&1 == 1 {
		l, w := binary.Uvarint(src)
		if w <= 0 || l > uint64(len(src)-w) {
			return Value{}, nil, errRow
		}
		v.Expr = src[w : w+int(l)]
		src = src[w+int(l):]
	}
	return v, src, nil
}
