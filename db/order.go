package db

import (
	"encoding/binary"
	"strconv"
)

// AppendKey appends a key that stands for the values of the columns cols of row: equal exactly
// when the values are, and comparable with bytes.Compare. Integers sort as numbers, so that
// rows read in the order of an integer primary key are in order already; all else sorts by its
// canonical bytes, whatever the collation.
func AppendKey(dst []byte, t *Table, cols []int, row Row) []byte {
	for _, i := range cols {
		dst = appendKeyValue(dst, &t.Columns[i], row[i])
	}
	return dst
}

const (
	keyNull byte = iota + 1
	keyAbsent
	keyNumber
	keyBytes
)

func appendKeyValue(dst []byte, c *Column, v Value) []byte {
	switch v.State {
	case Null:
		return append(dst, keyNull)
	case Absent:
		return append(dst, keyAbsent)
	}
	if n, ok := integer(c, v.Data); ok {
		return binary.BigEndian.AppendUint64(append(dst, keyNumber), n)
	}
	// A zero byte in the value becomes 0 0xff, so that 0 0 can end it.
	dst = append(dst, keyBytes)
	for _, b := range v.Data {
		if dst = append(dst, b); b == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0)
}

// integer reads a value of an integer column so that its bytes sort as the numbers do.
func integer(c *Column, data []byte) (uint64, bool) {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
	default:
		return 0, false
	}
	if c.Unsigned {
		n, err := strconv.ParseUint(string(data), 10, 64)
		return n, err == nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	return uint64(n) ^ 1<<63, err == nil
}
