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
	m     *mapper
	dir   string
	key   []int
	sort  *extsort.Sorter
	moves uint64 // changes that gave a row another key
	buf   []byte
	val   []byte
}

func newFolder(dir string, m *mapper, key []int, memory int) *folder {
	return &folder{m: m, dir: dir, key: key, sort: extsort.New(dir, memory)}
}

// add takes one change, given in the columns of the live table. A change of the key is kept
// under both keys: as a departure and an arrival that have one number.
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
		return f.put(row, before, after, 0)
	}
	f.moves++
	if err := f.put(before, before, nil, f.moves); err != nil {
		return err
	}
	return f.put(after, nil, after, f.moves)
}

// put keeps one record: both rows, and the number of the move it is a half of.
func (f *folder) put(keyed, before, after db.Row, move uint64) error {
	var err error
	if f.buf, err = appendSortKey(f.buf[:0], f.m.live, keyed, f.key); err != nil {
		return err
	}
	f.val = db.AppendRow(f.val[:0], before)
	f.val = db.AppendRow(f.val, after)
	f.val = binary.AppendUvarint(f.val, move)
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
