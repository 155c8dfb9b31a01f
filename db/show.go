package db

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Show is the value as people read it: the members of an ENUM or SET by name, bytes in hex,
// NULL and unknown values by word. It may hold any characters; a terminal needs it made safe.
func (c *Column) Show(v Value) string {
	switch v.State {
	case Null:
		return "NULL"
	case Absent:
		return "(not logged)"
	}
	switch {
	case c.DataType == "enum" && len(c.Elements) > 0:
		if n, err := strconv.Atoi(string(v.Data)); err == nil && n >= 0 && n <= len(c.Elements) {
			return append([]string{""}, c.Elements...)[n]
		}
	case c.DataType == "set" && len(c.Elements) > 0:
		if n, err := strconv.ParseUint(string(v.Data), 10, 64); err == nil {
			return c.members(n)
		}
	case c.Charset == "binary" && c.DataType != "json" || c.DataType == "geometry" || !utf8.Valid(v.Data):
		return "0x" + hex.EncodeToString(v.Data)
	}
	return string(v.Data)
}

func (c *Column) members(mask uint64) string {
	var names []string
	for i, e := range c.Elements {
		if mask>>i&1 == 1 {
			names = append(names, e)
		}
	}
	return strings.Join(names, ",")
}
