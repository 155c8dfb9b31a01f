package binlog

import (
	"fmt"
	"math/bits"

	"github.com/lull-ops/lull/db"
)

// Flags of a row event.
const (
	flagStatementEnd   = 1
	flagNoForeignKeys  = 2
	partialJSONUpdates = 1
)

// Rows is one row event: images of rows of one table. It is valid until the parser's next event.
type Rows struct {
	Op    db.Op
	Table *TableMap
	// StatementEnd says that this is the last row event of its statement.
	StatementEnd bool
	// ForeignKeysOff says that the statement ran with foreign_key_checks=0: nothing cascaded.
	ForeignKeysOff bool

	partial       bool
	before, after []byte // bitmaps of the columns that the images have
	nBefore       int
	nAfter        int
	data          []byte
}

// rowShape is what an event type says about the body that follows.
type rowShape struct {
	op         db.Op
	v2         bool
	compressed bool
	partial    bool
}

func shapeOf(t EventType) (rowShape, bool) {
	switch t {
	case WriteRowsV0, WriteRowsV1:
		return rowShape{op: db.Insert}, true
	case UpdateRowsV0, UpdateRowsV1:
		return rowShape{op: db.Update}, true
	case DeleteRowsV0, DeleteRowsV1:
		return rowShape{op: db.Delete}, true
	case WriteRowsV2:
		return rowShape{op: db.Insert, v2: true}, true
	case UpdateRowsV2:
		return rowShape{op: db.Update, v2: true}, true
	case DeleteRowsV2:
		return rowShape{op: db.Delete, v2: true}, true
	case PartialUpdateRowsEvent:
		return rowShape{op: db.Update, v2: true, partial: true}, true
	case MariaWriteRowsCompV1:
		return rowShape{op: db.Insert, compressed: true}, true
	case MariaUpdateRowsCompV1:
		return rowShape{op: db.Update, compressed: true}, true
	case MariaDeleteRowsCompV1:
		return rowShape{op: db.Delete, compressed: true}, true
	case MariaWriteRowsComp:
		return rowShape{op: db.Insert, v2: true, compressed: true}, true
	case MariaUpdateRowsComp:
		return rowShape{op: db.Update, v2: true, compressed: true}, true
	case MariaDeleteRowsComp:
		return rowShape{op: db.Delete, v2: true, compressed: true}, true
	}
	return rowShape{}, false
}

// parse reads a row event's body. t is the table map of its table id.
func (r *Rows) parse(s rowShape, body []byte, t *TableMap, inflate func([]byte) ([]byte, error)) error {
	c := cursor{b: body}
	c.take(6)
	flags := c.uint(2)
	if s.v2 {
		n := int(c.uint(2))
		if n < 2 {
			return fmt.Errorf("row event has an extra part of %d bytes", n)
		}
		c.take(n - 2)
	}
	n := c.packed()
	if c.bad || n != uint64(len(t.Columns)) {
		return fmt.Errorf("row event of %d columns for %s.%s, whose table map has %d", n, t.Schema, t.Table, len(t.Columns))
	}
	*r = Rows{
		Op: s.op, Table: t, partial: s.partial,
		StatementEnd: flags&flagStatementEnd != 0, ForeignKeysOff: flags&flagNoForeignKeys != 0,
	}
	width := int(n+7) / 8
	first := c.take(width)
	switch s.op {
	case db.Insert:
		r.after = first
	case db.Update:
		r.before, r.after = first, c.take(width)
	default:
		r.before = first
	}
	if c.bad {
		return fmt.Errorf("row event of %s.%s is cut short", t.Schema, t.Table)
	}
	r.nBefore, r.nAfter = countBits(r.before, int(n)), countBits(r.after, int(n))
	r.data = c.b
	if s.compressed && len(c.b) > 0 {
		data, err := inflate(c.b)
		if err != nil {
			return fmt.Errorf("row event of %s.%s: %w", t.Schema, t.Table, err)
		}
		r.data = data
	}
	return nil
}

func countBits(b []byte, n int) int {
	count := 0
	for i, x := range b {
		if left := n - i*8; left < 8 {
			x &= 1<<left - 1
		}
		count += bits.OnesCount8(x)
	}
	return count
}

// Complete says that every column is in the images the event has.
func (r *Rows) Complete() bool {
	n := len(r.Table.Columns)
	return (r.before == nil || r.nBefore == n) && (r.after == nil || r.nAfter == n)
}

// Missing is the columns that the before-image (of an Insert: the after-image) does not have.
func (r *Rows) Missing() []int {
	image := r.before
	if r.Op == db.Insert {
		image = r.after
	}
	var out []int
	for i := range r.Table.Columns {
		if !bit(image, i) {
			out = append(out, i)
		}
	}
	return out
}

// Size is the bytes of row images in the event.
func (r *Rows) Size() int { return len(r.data) }

// Count walks the row images and returns how many rows the event changes.
func (r *Rows) Count() (int, error) {
	n := 0
	for b := r.data; len(b) > 0; n++ {
		before, after, err := r.next(b)
		if err != nil {
			return n, err
		}
		if before+after == 0 {
			return n, fmt.Errorf("row event of %s.%s has rows without columns", r.Table.Schema, r.Table.Table)
		}
		b = b[before+after:]
	}
	return n, nil
}

// next is the lengths of the first row's before and after images in b; the after image's
// length includes a partial update's preamble.
func (r *Rows) next(b []byte) (before, after int, err error) {
	l := &r.Table.walk
	if r.before != nil {
		if before, err = l.image(b, r.before, r.nBefore, r.nBefore == len(l.fields)); err != nil {
			return 0, 0, r.short(err)
		}
	}
	if r.after == nil {
		return before, 0, nil
	}
	pre := 0
	if r.partial {
		if pre, _, err = r.preamble(b[before:]); err != nil {
			return 0, 0, err
		}
	}
	after, err = l.image(b[before+pre:], r.after, r.nAfter, r.nAfter == len(l.fields))
	if err != nil {
		return 0, 0, r.short(err)
	}
	return before, pre + after, nil
}

func (r *Rows) short(err error) error {
	return fmt.Errorf("row event of %s.%s: %w", r.Table.Schema, r.Table.Table, err)
}

// preamble reads what stands before a partial update's after-image: its options and, with
// partial JSON, one bit for each JSON column of the table that has a diff for a value.
func (r *Rows) preamble(b []byte) (n int, partial []byte, err error) {
	c := cursor{b: b}
	options := c.packed()
	if options&partialJSONUpdates != 0 {
		partial = c.take((r.Table.walk.jsons + 7) / 8)
	}
	if c.bad {
		return 0, nil, r.short(errRowShort)
	}
	return len(b) - len(c.b), partial, nil
}

// Each decodes the rows and calls fn with each one's images: before is nil for an Insert,
// after for a Delete. The rows are valid until fn returns.
func (r *Rows) Each(d *Decoder, fn func(before, after db.Row) error) error {
	for b := r.data; len(b) > 0; {
		nb, na, err := r.next(b)
		if err != nil {
			return err
		}
		if nb+na == 0 {
			return r.short(errRowShort)
		}
		d.arena = d.arena[:0]
		var before, after db.Row
		if r.before != nil {
			if before, err = d.decode(d.before, b[:nb], r.before, r.nBefore, nil); err != nil {
				return err
			}
		}
		if r.after != nil {
			image, partial := b[nb:nb+na], []byte(nil)
			if r.partial {
				n, bitmap, err := r.preamble(image)
				if err != nil {
					return err
				}
				image, partial = image[n:], bitmap
			}
			if after, err = d.decode(d.after, image, r.after, r.nAfter, partial); err != nil {
				return err
			}
		}
		d.settle(before)
		d.settle(after)
		if err := fn(before, after); err != nil {
			return err
		}
		b = b[nb+na:]
	}
	return nil
}
