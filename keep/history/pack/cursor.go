package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/lull-ops/lull/db"
)

// maxColumns is the most values a row may have: far more than any table, few enough to make
// room for without a second thought.
const maxColumns = 1 << 16

// cursor reads a binary payload from front to back. After the first mistake it is bad, and
// all it returns is zero.
type cursor struct {
	src    []byte
	what   string // kind of the payload
	record int64  // number of the record being read, from 0
	why    string // "" until it is bad
}

func (c *cursor) more() bool { return c.why == "" && len(c.src) > 0 }

func (c *cursor) fail(why string) {
	if c.why == "" {
		c.why, c.src = why, nil
	}
}

func (c *cursor) err() error {
	if c.why == "" {
		return nil
	}
	return corrupt(fmt.Sprintf("record %d of %s", c.record, c.what), "%s", c.why)
}

func (c *cursor) byte() byte {
	if len(c.src) == 0 {
		c.fail("it is cut short")
		return 0
	}
	b := c.src[0]
	c.src = c.src[1:]
	return b
}

func (c *cursor) uvarint() uint64 {
	n, w := binary.Uvarint(c.src)
	if w <= 0 {
		c.fail("a number is cut short or too large")
		return 0
	}
	c.src = c.src[w:]
	return n
}

func (c *cursor) varint() int64 {
	n, w := binary.Varint(c.src)
	if w <= 0 {
		c.fail("a number is cut short or too large")
		return 0
	}
	c.src = c.src[w:]
	return n
}

// bytes returns the next n bytes, which are the payload's own.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.src)) {
		c.fail("bytes are cut short")
		return nil
	}
	b := c.src[:n:n]
	c.src = c.src[n:]
	return b
}

// row reads a row into buf when it is large enough. Its values are the payload's own bytes.
func (c *cursor) row(buf db.Row) db.Row {
	if n, w := binary.Uvarint(c.src); w <= 0 || n > maxColumns+1 || n > uint64(len(c.src)-w)+1 {
		c.fail("a row is cut short or too wide")
		return nil
	}
	row, rest, err := db.ParseRow(c.src, buf)
	if err != nil {
		c.fail(err.Error())
		return nil
	}
	c.src = rest
	return row
}

// EachRow hands the rows of a rows payload, which db.AppendRow wrote one after the other, to
// fn, valid until it returns. An error of fn ends it; damage is a CorruptError.
func EachRow(payload []byte, fn func(db.Row) error) error {
	c := cursor{src: payload, what: string(Rows)}
	var buf db.Row
	for ; c.more(); c.record++ {
		row := c.row(buf)
		if c.why != "" {
			break
		}
		if row != nil {
			buf = row
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return c.err()
}
