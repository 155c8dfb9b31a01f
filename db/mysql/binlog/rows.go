package binlog

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

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

// rowShapes has what each type of row event says; op is 0 for all other types.
var rowShapes = [256]rowShape{
	WriteRowsV0:            {op: db.Insert},
	UpdateRowsV0:           {op: db.Update},
	DeleteRowsV0:           {op: db.Delete},
	WriteRowsV1:            {op: db.Insert},
	UpdateRowsV1:           {op: db.Update},
	DeleteRowsV1:           {op: db.Delete},
	WriteRowsV2:            {op: db.Insert, v2: true},
	UpdateRowsV2:           {op: db.Update, v2: true},
	DeleteRowsV2:           {op: db.Delete, v2: true},
	PartialUpdateRowsEvent: {op: db.Update, v2: true, partial: true},
	MariaWriteRowsCompV1:   {op: db.Insert, compressed: true},
	MariaUpdateRowsCompV1:  {op: db.Update, compressed: true},
	MariaDeleteRowsCompV1:  {op: db.Delete, compressed: true},
	MariaWriteRowsComp:     {op: db.Insert, v2: true, compressed: true},
	MariaUpdateRowsComp:    {op: db.Update, v2: true, compressed: true},
	MariaDeleteRowsComp:    {op: db.Delete, v2: true, compressed: true},
}

// parse reads a row event's body. t is the table map of its table id.
func (r *Rows) parse(s *rowShape, body []byte, t *TableMap, z *inflater) error {
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
		data, err := z.inflate(c.b)
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

// Lacks is Missing without the columns that shape says are generated, which need no undoing:
// MariaDB 11.8 leaves them out of the images of UPDATE and DELETE. shape has the columns of
// r.Table in their order.
func (r *Rows) Lacks(shape *db.Table) []int {
	out := r.Missing()
	return slices.DeleteFunc(out, func(i int) bool { return i < len(shape.Columns) && shape.Columns[i].Generated })
}

// Size is the bytes of row images in the event.
func (r *Rows) Size() int { return len(r.data) }

var errNoColumns = errors.New("its rows have no columns")

// Count walks the row images and returns how many rows the event changes.
func (r *Rows) Count() (int, error) {
	n := 0
	for b := r.data; len(b) > 0; n++ {
		before, after, err := r.next(b)
		if err != nil {
			return n, err
		}
		if before+after == 0 {
			return n, r.wrong(errNoColumns)
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
			return 0, 0, r.wrong(err)
		}
	}
	if r.after == nil {
		return before, 0, nil
	}
	pre := 0
	if r.partial {
		if pre, _, err = r.preamble(b[before:]); err != nil {
			return 0, 0, r.wrong(err)
		}
	}
	after, err = l.image(b[before+pre:], r.after, r.nAfter, r.nAfter == len(l.fields))
	if err != nil {
		return 0, 0, r.wrong(err)
	}
	return before, pre + after, nil
}

func (r *Rows) wrong(err error) error {
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
		return 0, nil, errRowShort
	}
	return len(b) - len(c.b), partial, nil
}

// Each decodes the rows and calls fn with each one's images: before is nil for an Insert,
// after for a Delete. The rows are valid until fn returns.
func (r *Rows) Each(d *Decoder, fn func(before, after db.Row) error) error {
	if len(d.cols) != len(r.Table.Columns) {
		return fmt.Errorf("decoder of %d columns for rows of %d", len(d.cols), len(r.Table.Columns))
	}
	for b := r.data; len(b) > 0; {
		n, before, after, err := r.decode(d, b)
		if err != nil {
			return r.wrong(err)
		}
		if n == 0 {
			return r.wrong(errNoColumns)
		}
		if err := fn(before, after); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// decode reads the first row in b, which takes n bytes.
func (r *Rows) decode(d *Decoder, b []byte) (n int, before, after db.Row, err error) {
	d.arena = d.arena[:0]
	if r.before != nil {
		before = d.before
		if n, err = d.image(before, b, r.before, r.nBefore, nil); err != nil {
			return 0, nil, nil, err
		}
	}
	if r.after == nil {
		return n, before, nil, nil
	}
	var partial []byte
	if r.partial {
		pre := 0
		if pre, partial, err = r.preamble(b[n:]); err != nil {
			return 0, nil, nil, err
		}
		n += pre
	}
	m, err := d.image(d.after, b[n:], r.after, r.nAfter, partial)
	return n + m, before, d.after, err
}
