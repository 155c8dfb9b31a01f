package binjson

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// tree is a decoded value that can be changed: a scalar, or an array or object. Strings and
// keys point into the document.
type tree struct {
	scalar
	box *branch // nil for scalars
}

// branch is an array or object.
type branch struct {
	object bool
	large  bool     // it needs four-byte offsets; set by measure
	size   int      // its bytes without the type byte; set by measure
	keys   [][]byte // of an object, sorted
	kids   []tree
}

func decode(doc []byte) (tree, error) {
	w, n := open(doc)
	return w.tree(n, 0)
}

func (w *walk) tree(n node, depth int) (tree, error) {
	if !n.container() {
		s, err := w.scalar(n)
		return tree{scalar: s}, err
	}
	if depth++; depth > MaxDepth {
		return tree{}, ErrDepth
	}
	b, err := w.box(n)
	if err != nil {
		return tree{}, err
	}
	t := &branch{object: b.object, kids: make([]tree, b.count)}
	if b.object {
		if t.keys, err = w.keys(&b); err != nil {
			return tree{}, err
		}
	}
	for i := range b.count {
		c, err := b.child(i)
		if err != nil {
			return tree{}, err
		}
		if t.kids[i], err = w.tree(c, depth); err != nil {
			return tree{}, err
		}
	}
	return tree{box: t}, nil
}

func (w *walk) keys(b *box) ([][]byte, error) {
	keys := make([][]byte, b.count)
	for i := range keys {
		k, err := w.key(b, i)
		if err != nil {
			return nil, err
		}
		if i > 0 && compareKeys(keys[i-1], k) >= 0 {
			return nil, fmt.Errorf("%w: keys out of order", ErrDamaged)
		}
		keys[i] = k
	}
	return keys, nil
}

// find is the place of a key, or where it would be.
func (b *branch) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(b.keys, key, compareKeys)
}

// encode is the binary document, laid out as the server lays out a document that it writes
// whole: every container small where it and all containers inside it fit 64 KiB.
func (t *tree) encode() ([]byte, error) {
	if err := t.measure(0); err != nil {
		return nil, err
	}
	return t.append(append(make([]byte, 0, 1+t.size()), t.kind())), nil
}

// measure sets size and large for the whole subtree.
func (t *tree) measure(depth int) error {
	b := t.box
	if b == nil {
		return nil
	}
	if depth++; depth > MaxDepth {
		return ErrDepth
	}
	b.large = false
	for i := range b.kids {
		k := &b.kids[i]
		if err := k.measure(depth); err != nil {
			return err
		}
		b.large = b.large || k.box != nil && k.box.large
	}
	b.size = b.layout()
	if !b.large && b.size > math.MaxUint16 {
		b.large = true
		b.size = b.layout()
	}
	if b.size > math.MaxInt32 {
		return fmt.Errorf("%w: document over 2 GiB", ErrReject)
	}
	return nil
}

// layout is the container's size with its width of offsets.
func (b *branch) layout() int {
	w := width(b.large)
	n := 2*w + len(b.kids)*(w+1) + len(b.keys)*(w+2)
	for _, k := range b.keys {
		n += len(k)
	}
	for i := range b.kids {
		if k := &b.kids[i]; !inlined(k.kind(), b.large) {
			n += k.size()
		}
	}
	return n
}

// kind is the type byte; integers take the smallest type that holds them.
func (t *tree) kind() byte {
	switch {
	case t.box != nil:
		return t.box.kind()
	case t.typ == tInt64:
		v := int64(t.bits)
		if v == int64(int16(v)) {
			return tInt16
		}
		if v == int64(int32(v)) {
			return tInt32
		}
	case t.typ == tUint64:
		if t.bits <= math.MaxUint16 {
			return tUint16
		}
		if t.bits <= math.MaxUint32 {
			return tUint32
		}
	}
	return t.typ
}

func (b *branch) kind() byte {
	switch {
	case b.object && b.large:
		return tLargeObject
	case b.object:
		return tSmallObject
	case b.large:
		return tLargeArray
	}
	return tSmallArray
}

// size is the value's bytes without its type byte.
func (t *tree) size() int {
	if t.box != nil {
		return t.box.size
	}
	switch t.typ {
	case tString:
		return varLengthSize(len(t.data)) + len(t.data)
	case tOpaque:
		return 1 + varLengthSize(len(t.data)) + len(t.data)
	}
	return fixedSize(t.kind())
}

func (t *tree) append(dst []byte) []byte {
	if t.box != nil {
		return t.box.append(dst)
	}
	switch t.typ {
	case tOpaque:
		dst = append(dst, t.col)
		fallthrough
	case tString:
		return append(appendVarLength(dst, len(t.data)), t.data...)
	}
	return appendUint(dst, t.bits, fixedSize(t.kind()))
}

func (b *branch) append(dst []byte) []byte {
	w := width(b.large)
	dst = appendUint(dst, uint64(len(b.kids)), w)
	dst = appendUint(dst, uint64(b.size), w)
	at := 2*w + len(b.keys)*(w+2) + len(b.kids)*(w+1)
	for _, k := range b.keys {
		dst = appendUint(dst, uint64(at), w)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(k)))
		at += len(k)
	}
	dst = b.appendEntries(dst, at)
	for _, k := range b.keys {
		dst = append(dst, k...)
	}
	for i := range b.kids {
		if k := &b.kids[i]; !inlined(k.kind(), b.large) {
			dst = k.append(dst)
		}
	}
	return dst
}

// appendEntries appends the value entries; at is the offset of the first value.
func (b *branch) appendEntries(dst []byte, at int) []byte {
	w := width(b.large)
	for i := range b.kids {
		k := &b.kids[i]
		dst = append(dst, k.kind())
		if inlined(k.kind(), b.large) {
			dst = appendUint(dst, k.bits, w)
			continue
		}
		dst = appendUint(dst, uint64(at), w)
		at += k.size()
	}
	return dst
}

// appendUint appends the low n bytes of v, little endian.
func appendUint(dst []byte, v uint64, n int) []byte {
	var tmp [8]byte
	binary.LittleEndian.PutUint64(tmp[:], v)
	return append(dst, tmp[:n]...)
}

func varLengthSize(n int) int {
	size := 1
	for n >>= 7; n > 0; n >>= 7 {
		size++
	}
	return size
}

func appendVarLength(dst []byte, n int) []byte {
	for ; n > 0x7f; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
