package binjson

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type bytes of values.
const (
	tSmallObject = 0x00
	tLargeObject = 0x01
	tSmallArray  = 0x02
	tLargeArray  = 0x03
	tLiteral     = 0x04
	tInt16       = 0x05
	tUint16      = 0x06
	tInt32       = 0x07
	tUint32      = 0x08
	tInt64       = 0x09
	tUint64      = 0x0a
	tDouble      = 0x0b
	tString      = 0x0c
	tOpaque      = 0x0f
)

// Literals, the one byte after tLiteral.
const (
	litNull  = 0
	litTrue  = 1
	litFalse = 2
)

// Column types that opaque values have a text form for.
const (
	colTimestamp = 7
	colDate      = 10
	colTime      = 11
	colDatetime  = 12
	colVarString = 253
	colDecimal   = 246
)

// node is one value: its type byte and the bytes from its start to its container's end.
type node struct {
	typ    byte
	data   []byte
	inline bool // data lies in the container's value entry
}

// walk counts the bytes a call has read. Values of an honest document never overlap, so
// reading more than the document's length means that offsets are shared.
type walk struct{ left int }

func (w *walk) spend(n int) error {
	if w.left -= n; w.left < 0 {
		return fmt.Errorf("%w: values overlap", ErrDamaged)
	}
	return nil
}

// open is the walk over doc and its outermost value.
func open(doc []byte) (*walk, node) {
	if len(doc) == 0 {
		return &walk{}, node{typ: tLiteral, data: []byte{litNull}, inline: true}
	}
	return &walk{left: len(doc)}, node{typ: doc[0], data: doc[1:]}
}

func (n node) container() bool { return n.typ <= tLargeArray }

// box is an opened array or object.
type box struct {
	data   []byte // exactly the container's bytes
	count  int
	object bool
	large  bool
}

// width is the size of counts, sizes and offsets.
func width(large bool) int {
	if large {
		return 4
	}
	return 2
}

// word reads a count, size or offset. No document has 2 GiB, so larger ones are all the same.
func (b *box) word(at int) int {
	if b.large {
		return int(min(binary.LittleEndian.Uint32(b.data[at:]), math.MaxInt32))
	}
	return int(binary.LittleEndian.Uint16(b.data[at:]))
}

func (b *box) keyEntry() int   { return width(b.large) + 2 }
func (b *box) valueEntry() int { return width(b.large) + 1 }

// values is where the value entries start.
func (b *box) values() int {
	at := 2 * width(b.large)
	if b.object {
		at += b.count * b.keyEntry()
	}
	return at
}

func (b *box) header() int { return b.values() + b.count*b.valueEntry() }

// box opens an array or object and pays for its header.
func (w *walk) box(n node) (box, error) {
	b := box{data: n.data, object: n.typ <= tLargeObject, large: n.typ == tLargeObject || n.typ == tLargeArray}
	if len(n.data) < 2*width(b.large) {
		return b, fmt.Errorf("%w: container cut short", ErrDamaged)
	}
	b.count = b.word(0)
	size := b.word(width(b.large))
	if size > len(n.data) || b.count > size || b.header() > size {
		return b, fmt.Errorf("%w: container of %d members in %d bytes", ErrDamaged, b.count, size)
	}
	b.data = n.data[:size]
	return b, w.spend(b.header())
}

// key is the i'th member's name.
func (w *walk) key(b *box, i int) ([]byte, error) {
	at := 2*width(b.large) + i*b.keyEntry()
	off := b.word(at)
	n := int(binary.LittleEndian.Uint16(b.data[at+width(b.large):]))
	if off < b.header() || off > len(b.data)-n {
		return nil, fmt.Errorf("%w: key %d outside its object", ErrDamaged, i)
	}
	return b.data[off : off+n], w.spend(n)
}

// child is the i'th value. Its offset must lie after the entries, so there are no cycles.
func (b *box) child(i int) (node, error) {
	at := b.values() + i*b.valueEntry()
	typ := b.data[at]
	if inlined(typ, b.large) {
		return node{typ: typ, data: b.data[at+1 : at+b.valueEntry()], inline: true}, nil
	}
	off := b.word(at + 1)
	if off < b.header() || off > len(b.data) {
		return node{}, fmt.Errorf("%w: value %d outside its container", ErrDamaged, i)
	}
	return node{typ: typ, data: b.data[off:]}, nil
}

// inlined says that values of the type lie in the value entry itself.
func inlined(typ byte, large bool) bool {
	switch typ {
	case tLiteral, tInt16, tUint16:
		return true
	case tInt32, tUint32:
		return large
	}
	return false
}

// scalar is a decoded value that is neither array nor object. Integers have the type
// tInt64 or tUint64 whatever their stored width.
type scalar struct {
	typ  byte
	col  byte   // column type of an opaque value
	bits uint64 // literal, integer or double
	data []byte // string or opaque bytes
}

func (s scalar) double() float64 { return math.Float64frombits(s.bits) }

// scalar decodes n and pays for its bytes.
func (w *walk) scalar(n node) (scalar, error) {
	if n.typ == tString || n.typ == tOpaque {
		return w.bytes(n)
	}
	size := fixedSize(n.typ)
	if size == 0 {
		return scalar{}, fmt.Errorf("%w: unknown type %d", ErrDamaged, n.typ)
	}
	if len(n.data) < size {
		return scalar{}, fmt.Errorf("%w: value cut short", ErrDamaged)
	}
	if !n.inline {
		if err := w.spend(size); err != nil {
			return scalar{}, err
		}
	}
	s := fixed(n)
	if s.typ == tLiteral && s.bits > litFalse {
		return s, fmt.Errorf("%w: unknown literal %d", ErrDamaged, s.bits)
	}
	return s, nil
}

func fixedSize(typ byte) int {
	switch typ {
	case tLiteral:
		return 1
	case tInt16, tUint16:
		return 2
	case tInt32, tUint32:
		return 4
	case tInt64, tUint64, tDouble:
		return 8
	}
	return 0
}

// fixed decodes a value of fixed size whose bytes are all there.
func fixed(n node) scalar {
	le := binary.LittleEndian
	switch n.typ {
	case tLiteral:
		return scalar{typ: tLiteral, bits: uint64(n.data[0])}
	case tInt16:
		return scalar{typ: tInt64, bits: uint64(int16(le.Uint16(n.data)))}
	case tUint16:
		return scalar{typ: tUint64, bits: uint64(le.Uint16(n.data))}
	case tInt32:
		return scalar{typ: tInt64, bits: uint64(int32(le.Uint32(n.data)))}
	case tUint32:
		return scalar{typ: tUint64, bits: uint64(le.Uint32(n.data))}
	}
	return scalar{typ: n.typ, bits: le.Uint64(n.data)}
}

// bytes decodes a string or an opaque value.
func (w *walk) bytes(n node) (scalar, error) {
	s := scalar{typ: n.typ}
	src := n.data
	if n.typ == tOpaque {
		if len(src) == 0 {
			return s, fmt.Errorf("%w: opaque value cut short", ErrDamaged)
		}
		s.col, src = src[0], src[1:]
	}
	size, used := varLength(src)
	if used == 0 || size > uint64(len(src)-used) {
		return s, fmt.Errorf("%w: length of a string", ErrDamaged)
	}
	s.data = src[used : used+int(size)]
	return s, w.spend(used + int(size))
}

// varLength reads a length of seven bits a byte, low bits first; used is 0 when it is damaged.
func varLength(src []byte) (size uint64, used int) {
	for i := 0; i < len(src) && i < 5; i++ {
		size |= uint64(src[i]&0x7f) << (7 * i)
		if src[i]&0x80 == 0 {
			if size > math.MaxUint32 {
				return 0, 0
			}
			return size, i + 1
		}
	}
	return 0, 0
}
