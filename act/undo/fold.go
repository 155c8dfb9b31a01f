package undo

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
)

// net is what the accident did to one row in all: from the version before its first change
// to the one after its last. A nil Before was inserted, a nil After deleted.
type net struct {
	Before, After db.Row
}

// folder gathers the changes of one table and folds them per row, in bounded memory.
type folder struct {
	m    *mapper
	key  []int
	sort *extsort.Sorter
	buf  []byte
	val  []byte
}

func newFolder(dir string, m *mapper, key []int, memory int) *folder {
	return &folder{m: m, key: key, sort: extsort.New(dir, memory)}
}

// add takes one change, given in the columns of the live table. A change of the key is a
// row gone under the old one and a row come under the new one.
func (f *folder) add(before, after db.Row) error {
	if before != nil && after != nil {
		for _, i := range f.key {
			if after[i].State == db.Absent {
				after[i] = before[i] // a minimal image leaves out what did not change
			}
		}
	}
	if before == nil || after == nil || sameKey(before, after, f.key) {
		row := before
		if row == nil {
			row = after
		}
		return f.put(row, before, after)
	}
	if err := f.put(before, before, nil); err != nil {
		return err
	}
	return f.put(after, nil, after)
}

func (f *folder) put(keyed, before, after db.Row) error {
	var err error
	if f.buf, err = appendSortKey(f.buf[:0], f.m.live, keyed, f.key); err != nil {
		return err
	}
	f.val = db.AppendRow(f.val[:0], before)
	f.val = db.AppendRow(f.val, after)
	return f.sort.Add(f.buf, f.val)
}

func sameKey(a, b db.Row, key []int) bool {
	for _, i := range key {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// appendSortKey makes bytes that are equal exactly when the keys are, and that sort as the
// server's index does for integers, so that rows go back in index order.
func appendSortKey(dst []byte, t *db.Table, row db.Row, key []int) ([]byte, error) {
	for _, i := range key {
		v := row[i]
		switch v.State {
		case db.Absent:
			return nil, fmt.Errorf("the log does not hold column %s of %s, which is part of its key", t.Columns[i].Name, t.Name)
		case db.Null:
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		if n, ok := integerKey(&t.Columns[i], v.Data); ok {
			dst = binary.BigEndian.AppendUint64(dst, n)
			continue
		}
		// 0 bytes are escaped so that the terminator sorts a prefix first.
		for _, c := range v.Data {
			if dst = append(dst, c); c == 0 {
				dst = append(dst, 0xff)
			}
		}
		dst = append(dst, 0, 0)
	}
	return dst, nil
}

func isInteger(c *db.Column) bool {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return true
	}
	return false
}

func integerKey(c *db.Column, data []byte) (uint64, bool) {
	if !isInteger(c) {
		return 0, false
	}
	if c.Unsigned {
		n, err := strconv.ParseUint(string(data), 10, 64)
		return n, err == nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	return uint64(n) ^ 1<<63, err == nil
}

// nets hands out the folded rows in key order. Rows are valid until the next call.
type nets struct {
	it   *extsort.Iter
	more bool
	cur  net
	// first and last keep the group's rows, whose records the iterator reuses
	first, last []byte
	key         []byte
	bufB, bufA  db.Row
}

func (f *folder) nets() (*nets, error) {
	it, err := f.sort.Sort()
	if err != nil {
		return nil, err
	}
	n := &nets{it: it}
	n.more = it.Next()
	return n, it.Err()
}

// next folds one key's changes; nil at the end.
func (n *nets) next() (*net, error) {
	for n.more {
		n.key = append(n.key[:0], n.it.Key()...)
		n.first = append(n.first[:0], n.it.Value()...)
		single := true
		for {
			if n.more = n.it.Next(); !n.more || string(n.it.Key()) != string(n.key) {
				break
			}
			n.last = append(n.last[:0], n.it.Value()...)
			single = false
		}
		if err := n.it.Err(); err != nil {
			return nil, err
		}
		if err := n.fold(single); err != nil {
			return nil, err
		}
		if n.cur.Before != nil || n.cur.After != nil {
			return &n.cur, nil
		}
	}
	return nil, nil
}

// fold takes the before-image of the group's first record and the after-image of its last.
func (n *nets) fold(single bool) error {
	before, rest, err := db.ParseRow(n.first, n.bufB)
	if err != nil {
		return err
	}
	if !single {
		if _, rest, err = db.ParseRow(n.last, n.bufA); err != nil {
			return err
		}
	}
	after, _, err := db.ParseRow(rest, n.bufA)
	if err != nil {
		return err
	}
	if before != nil {
		n.bufB = before
	}
	if after != nil {
		n.bufA = after
	}
	n.cur = net{before, after}
	return nil
}

func (n *nets) close() error { return n.it.Close() }
