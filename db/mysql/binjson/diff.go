package binjson

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Op is what a Diff does at its path.
type Op byte

// The operations of a partial update, with the numbers they have in the log.
const (
	Replace Op = 0 // the value that is there
	Insert  Op = 1 // a new member, or a new element before the path's place
	Remove  Op = 2
)

// Diff is one step of a partial update.
type Diff struct {
	Op    Op
	Path  string // as the server writes it: $.a."b c"[3]
	Value []byte // binary JSON; nil for Remove
}

// ParseDiffs reads the list of diffs that stands for a JSON column in the after-image of a
// partial update; b is what follows the column's four length bytes. Values point into b and
// are not checked before Apply. An error wraps ErrDamaged.
func ParseDiffs(b []byte) ([]Diff, error) {
	var diffs []Diff
	for rest := b; len(rest) > 0; {
		d, n, err := parseDiff(rest)
		if err != nil {
			return nil, fmt.Errorf("read JSON diff %d: %w", len(diffs), err)
		}
		diffs, rest = append(diffs, d), rest[n:]
	}
	return diffs, nil
}

// parseDiff reads one diff and says how many bytes it took.
func parseDiff(b []byte) (d Diff, n int, err error) {
	d.Op = Op(b[0])
	if d.Op > Remove {
		return d, 0, fmt.Errorf("%w: operation %d", ErrDamaged, d.Op)
	}
	path, rest, err := cutCounted(b[1:])
	if err != nil {
		return d, 0, err
	}
	d.Path = string(path)
	if _, err := parsePath(d.Path); err != nil {
		return d, 0, err
	}
	if d.Op != Remove {
		if d.Value, rest, err = cutCounted(rest); err != nil {
			return d, 0, err
		}
	}
	return d, len(b) - len(rest), nil
}

// cutCounted reads bytes behind a length of the client protocol's form: one byte up to 250,
// else 252, 253 or 254 and two, three or eight bytes.
func cutCounted(b []byte) (data, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("%w: cut short", ErrDamaged)
	}
	n, width := uint64(b[0]), 0
	switch b[0] {
	case 251, 255:
		return nil, nil, fmt.Errorf("%w: length byte %d", ErrDamaged, b[0])
	case 252:
		width = 2
	case 253:
		width = 3
	case 254:
		width = 8
	}
	if b = b[1:]; width > 0 {
		if len(b) < width {
			return nil, nil, fmt.Errorf("%w: cut short", ErrDamaged)
		}
		var word [8]byte
		copy(word[:], b[:width])
		n, b = binary.LittleEndian.Uint64(word[:]), b[width:]
	}
	if n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", ErrDamaged, len(b), n)
	}
	return b[:n:n], b[n:], nil
}

// Apply is the document after the diffs, in order, as binary JSON. It is laid out as the
// server lays out a document that it writes whole; the server itself may have changed its
// copy in place, which leaves gaps, so the bytes may differ where the documents are the
// same. An error wraps ErrReject when a diff does not fit the document, else ErrDamaged or
// ErrDepth.
func Apply(doc []byte, diffs []Diff) ([]byte, error) {
	root, err := decode(doc)
	if err != nil {
		return nil, fmt.Errorf("read JSON document: %w", err)
	}
	for i, d := range diffs {
		if err := d.apply(&root); err != nil {
			return nil, fmt.Errorf("apply JSON diff %d at %.200s: %w", i, d.Path, err)
		}
	}
	return root.encode()
}

func (d Diff) apply(root *tree) error {
	legs, err := parsePath(d.Path)
	if err != nil {
		return err
	}
	if len(legs) == 0 {
		return fmt.Errorf("%w: it names the whole document", ErrReject)
	}
	t := root
	for _, l := range legs[:len(legs)-1] {
		at, found := t.box.step(l)
		if !found {
			return fmt.Errorf("%w: no such path", ErrReject)
		}
		t = &t.box.kids[at]
	}
	return d.change(t.box, legs[len(legs)-1])
}

// step is the place of the leg among b's children, or where it would be inserted. b is nil
// for a scalar.
func (b *branch) step(l leg) (at int, found bool) {
	switch {
	case b == nil || l.cell == b.object:
		return 0, false
	case l.cell:
		return l.place(len(b.kids))
	}
	return b.find(l.name)
}

// change carries the diff out at the last leg below b.
func (d Diff) change(b *branch, l leg) error {
	at, found := b.step(l)
	if d.Op == Insert {
		return d.insert(b, l, at, found)
	}
	if !found {
		return fmt.Errorf("%w: no such path", ErrReject)
	}
	if d.Op == Remove {
		b.kids = slices.Delete(b.kids, at, at+1)
		if b.object {
			b.keys = slices.Delete(b.keys, at, at+1)
		}
		return nil
	}
	v, err := decode(d.Value)
	if err == nil {
		b.kids[at] = v
	}
	return err
}

func (d Diff) insert(b *branch, l leg, at int, found bool) error {
	if b == nil || l.cell == b.object || len(l.name) > math.MaxUint16 {
		return fmt.Errorf("%w: no such path", ErrReject)
	}
	if b.object && found {
		return fmt.Errorf("%w: the key is there already", ErrReject)
	}
	v, err := decode(d.Value)
	if err != nil {
		return err
	}
	b.kids = slices.Insert(b.kids, at, v)
	if b.object {
		b.keys = slices.Insert(b.keys, at, l.name)
	}
	return nil
}
