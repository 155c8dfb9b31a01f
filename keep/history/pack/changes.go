package pack

import (
	"bytes"
	"encoding/binary"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// The bits of a change's flag byte.
const (
	changeOp    = 0x03 // db.Op
	changeFKOff = 0x04 // ForeignKeysOff
	changeWhole = 0x08 // an update's Before is written whole
)

// ChangeWriter makes the payload of a changes member: those of one table under one definition,
// in order of Seq and N. The zero ChangeWriter is empty. It is for one goroutine.
type ChangeWriter struct {
	buf   []byte
	count int64
	seq   history.Seq
	n     uint64
	diff  db.Row
}

// Add appends a change. It keeps nothing of c, and leaves out c.Definition, which is the
// member's to say.
func (w *ChangeWriter) Add(c *history.RowChange) {
	flags := byte(c.Op) & changeOp
	if c.ForeignKeysOff {
		flags |= changeFKOff
	}
	whole := len(c.Before) != len(c.After) || c.Before == nil || c.After == nil
	if c.Op == db.Update && whole {
		flags |= changeWhole
	}
	w.buf = append(w.buf, flags)
	w.buf = binary.AppendUvarint(w.buf, uint64(c.Seq-w.seq))
	if c.Seq == w.seq {
		w.buf = binary.AppendUvarint(w.buf, c.N-w.n)
	} else {
		w.buf = binary.AppendUvarint(w.buf, c.N)
	}
	w.seq, w.n = c.Seq, c.N
	w.count++
	switch {
	case c.Op == db.Delete:
		w.buf = db.AppendRow(w.buf, c.Before)
	case c.Op == db.Insert:
		w.buf = db.AppendRow(w.buf, c.After)
	case whole:
		w.buf = db.AppendRow(db.AppendRow(w.buf, c.After), c.Before)
	default:
		w.buf = db.AppendRow(w.buf, c.After)
		w.appendDiff(c.Before, c.After)
	}
}

// appendDiff appends a bit for each column, the first the lowest of the first byte, set where
// before is not after, and a row of before's values there.
func (w *ChangeWriter) appendDiff(before, after db.Row) {
	at := len(w.buf)
	for range (len(after) + 7) / 8 {
		w.buf = append(w.buf, 0)
	}
	w.diff = w.diff[:0]
	for i := range before {
		if !identical(&before[i], &after[i]) {
			w.buf[at+i/8] |= 1 << (i % 8)
			w.diff = append(w.diff, before[i])
		}
	}
	if w.diff == nil {
		w.diff = db.Row{}
	}
	w.buf = db.AppendRow(w.buf, w.diff)
}

// identical says that two values are written the same way.
func identical(a, b *db.Value) bool {
	if a.State != b.State {
		return false
	}
	return a.State != db.Set || bytes.Equal(a.Data, b.Data) &&
		(a.Expr == nil) == (b.Expr == nil) && bytes.Equal(a.Expr, b.Expr)
}

// Bytes is the payload so far, valid until the next Add or Reset.
func (w *ChangeWriter) Bytes() []byte { return w.buf }

// Len is how many bytes the payload has so far.
func (w *ChangeWriter) Len() int { return len(w.buf) }

// Count is how many changes the payload has so far.
func (w *ChangeWriter) Count() int64 { return w.count }

// Reset empties the writer and keeps its room.
func (w *ChangeWriter) Reset() {
	clear(w.diff)
	*w = ChangeWriter{buf: w.buf[:0], diff: w.diff[:0]}
}

// EachChange hands the changes of a changes payload to fn, valid until it returns. Definition
// is m's; Before of an update is whole. An error of fn ends it; damage is a CorruptError, and
// so is another number of changes than m.Count, when m has one.
func EachChange(payload []byte, m *Member, fn func(*history.RowChange) error) error {
	d := changeReader{cursor: cursor{src: payload, what: string(Changes)}}
	d.change.Definition = m.Definition
	for ; d.more(); d.record++ {
		d.next()
		if d.why != "" {
			break
		}
		if err := fn(&d.change); err != nil {
			return err
		}
	}
	if err := d.err(); err != nil {
		return err
	}
	if m.Count > 0 && d.record != m.Count {
		return corrupt(string(Changes), "%d records, not %d", d.record, m.Count)
	}
	return nil
}

type changeReader struct {
	cursor
	change        history.RowChange
	after, before db.Row // room for rows
	diff          db.Row
}

func (d *changeReader) next() {
	flags := d.byte()
	seq, n := d.uvarint(), d.uvarint()
	if seq == 0 {
		n += d.change.N
	}
	d.change.Seq += history.Seq(seq)
	d.change.N = n
	d.change.Op = db.Op(flags & changeOp)
	d.change.ForeignKeysOff = flags&changeFKOff != 0
	d.change.Before, d.change.After = nil, nil
	known := byte(changeOp | changeFKOff)
	switch d.change.Op {
	case db.Insert:
		d.change.After = keep(&d.after, d.row(d.after))
	case db.Delete:
		d.change.Before = keep(&d.before, d.row(d.before))
	case db.Update:
		known |= changeWhole
		d.change.After = keep(&d.after, d.row(d.after))
		if flags&changeWhole != 0 {
			d.change.Before = keep(&d.before, d.row(d.before))
		} else {
			d.change.Before = d.undiff(d.change.After)
		}
	default:
		d.fail("it is neither insert, update nor delete")
	}
	if flags&^known != 0 {
		d.fail("it has unknown flags")
	}
}

// keep remembers a row's room for the next one.
func keep(room *db.Row, row db.Row) db.Row {
	if row != nil {
		*room = row
	}
	return row
}

// undiff is what appendDiff wrote, completed from after.
func (d *changeReader) undiff(after db.Row) db.Row {
	mask := d.bytes(uint64(len(after)+7) / 8)
	diff := keep(&d.diff, d.row(d.diff))
	if d.why != "" {
		return nil
	}
	if after == nil || diff == nil {
		d.fail("an update has no rows")
		return nil
	}
	before := append(d.before[:0], after...)
	if before == nil {
		before = db.Row{}
	}
	d.before = before
	for i := range before {
		if mask[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if len(diff) == 0 {
			d.fail("an update has too few values")
			return nil
		}
		before[i], diff = diff[0], diff[1:]
	}
	if len(diff) != 0 {
		d.fail("an update has too many values")
		return nil
	}
	return before
}
