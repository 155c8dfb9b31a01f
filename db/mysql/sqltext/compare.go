package sqltext

import (
	"bytes"
	"slices"

	"github.com/lull-ops/lull/db"
)

// AppendKeyEqual appends a condition that finds the key's values, one for each of the
// columns cols, through an index and in the columns' collations: 'a' finds 'A' where the
// collation ignores case.
func AppendKeyEqual(dst []byte, t *db.Table, cols []int, key db.Row) []byte {
	for n, i := range cols {
		if n > 0 {
			dst = append(dst, " AND "...)
		}
		dst = appendKeyEqual(dst, &t.Columns[i], key[n])
	}
	return dst
}

// AppendKeyColumn appends the column as it is compared with AppendKey's values.
func AppendKeyColumn(dst []byte, col *db.Column) []byte {
	// Servers compare a SET with a number as floating point, which holds 53 members.
	if col.DataType == "set" && len(col.Elements) > 53 {
		return appendCast(dst, col.Name, "UNSIGNED")
	}
	return AppendIdent(dst, col.Name)
}

func appendKeyEqual(dst []byte, col *db.Column, v db.Value) []byte {
	dst = AppendKeyColumn(dst, col)
	if v.State == db.Null {
		return append(dst, " IS NULL"...)
	}
	return AppendKey(append(dst, '='), col, v)
}

// AppendKeyIn appends a condition that finds any of the keys as AppendKeyEqual does. Keys of
// several columns become a chain of OR: every server answers that through an index, which
// is not so for row constructors.
func AppendKeyIn(dst []byte, t *db.Table, cols []int, keys []db.Row) []byte {
	if len(cols) > 1 || slices.ContainsFunc(keys, func(k db.Row) bool { return k[0].State == db.Null }) {
		for n, key := range keys {
			if n > 0 {
				dst = append(dst, " OR "...)
			}
			dst = append(AppendKeyEqual(append(dst, '('), t, cols, key), ')')
		}
		return dst
	}
	col := &t.Columns[cols[0]]
	dst = append(AppendKeyColumn(dst, col), " IN ("...)
	for n, key := range keys {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = AppendKey(dst, col, key[0])
	}
	return append(dst, ')')
}

// AppendEqual appends a condition that is true exactly when col holds v, byte for byte and
// bit for bit. It never uses an index on text. v must not be Absent.
func AppendEqual(dst []byte, col *db.Column, v db.Value) []byte {
	if v.State == db.Null {
		return append(AppendIdent(dst, col.Name), " IS NULL"...)
	}
	c := classOf(col)
	switch c {
	case bits, enum, set:
		return append(append(appendCast(dst, col.Name, "UNSIGNED"), '='), v.Data...)
	case text, temporal:
		return appendQuoted(append(appendCast(dst, col.Name, "BINARY"), '='), v.Data)
	case float:
		return appendFloatEqual(dst, col, v.Data)
	case json:
		return appendJSONEqual(dst, col, v.Data)
	case opaque:
		dst = append(AppendIdent(append(dst, "HEX("...), col.Name), ")='"...)
		return append(appendHex(dst, v.Data), '\'')
	}
	dst = append(AppendIdent(dst, col.Name), '=')
	return appendLiteral(dst, col, c, v)
}

func appendCast(dst []byte, name, to string) []byte {
	dst = AppendIdent(append(dst, "CAST("...), name)
	dst = append(dst, " AS "...)
	return append(append(dst, to...), ')')
}

func appendFloatEqual(dst []byte, col *db.Column, data []byte) []byte {
	dst = append(AppendIdent(dst, col.Name), "*1e0="...)
	dst = append(dst, data...)
	// 0 and -0 are equal as numbers and differ only in print.
	switch {
	case bytes.HasPrefix(data, []byte("-0e")):
		dst = append(AppendIdent(append(dst, " AND CONCAT("...), col.Name), "*1e0)='-0'"...)
	case bytes.HasPrefix(data, []byte("0e")):
		dst = append(AppendIdent(append(dst, " AND CONCAT("...), col.Name), "*1e0)='0'"...)
	}
	return dst
}

// JSON compares 1 and 1.0 as equal, so its text is compared.
func appendJSONEqual(dst []byte, col *db.Column, data []byte) []byte {
	const head, tail = "CAST(CAST(", " AS CHAR CHARACTER SET utf8mb4) AS BINARY)"
	dst = append(AppendIdent(append(dst, head...), col.Name), tail...)
	dst = append(dst, '=')
	return appendQuoted(dst, data)
}

func appendWhere(dst []byte, t *db.Table, key []int, was db.Row, guard []int) []byte {
	start := len(dst)
	and := func() {
		if len(dst) > start {
			dst = append(dst, " AND "...)
		} else {
			dst = append(dst, " WHERE "...)
		}
	}
	for _, i := range key {
		and()
		dst = appendKeyEqual(dst, &t.Columns[i], was[i])
	}
	for _, i := range guard {
		if was[i].State != db.Absent {
			and()
			dst = AppendEqual(dst, &t.Columns[i], was[i])
		}
	}
	if len(key) == 0 {
		dst = append(dst, " LIMIT 1"...)
	}
	return dst
}

// AppendUpdate appends an UPDATE that sets columns set to their values in to, of the one
// row whose columns key and guard are exactly as in was. Without a key, one of the equal
// rows is changed. The tag stands in a comment behind the verb.
func AppendUpdate(dst []byte, t *db.Table, tag string, set []int, to db.Row, key []int, was db.Row, guard []int) []byte {
	dst = appendVerb(dst, "UPDATE", tag)
	dst = AppendName(dst, t.Name)
	dst = append(dst, " SET "...)
	for n, i := range set {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendIdent(dst, t.Columns[i].Name), '=')
		dst = AppendLiteral(dst, &t.Columns[i], to[i])
	}
	dst = appendKept(dst, t, "", set)
	return appendWhere(dst, t, key, was, guard)
}

// AppendDelete appends a DELETE of the one row whose columns key and guard are exactly as
// in was. Without a key, one of the equal rows goes.
func AppendDelete(dst []byte, t *db.Table, tag string, key []int, was db.Row, guard []int) []byte {
	dst = appendVerb(dst, "DELETE", tag)
	dst = append(dst, "FROM "...)
	dst = AppendName(dst, t.Name)
	return appendWhere(dst, t, key, was, guard)
}

// AppendDeleteIn appends a DELETE of all rows that have the keys' values in the columns cols;
// it compares nothing else.
func AppendDeleteIn(dst []byte, t *db.Table, tag string, cols []int, keys []db.Row) []byte {
	dst = AppendName(append(appendVerb(dst, "DELETE", tag), "FROM "...), t.Name)
	return AppendKeyIn(append(dst, " WHERE "...), t, cols, keys)
}

// appendKept assigns every other column that may have an ON UPDATE clause to itself, which
// keeps the clause from firing.
func appendKept(dst []byte, t *db.Table, alias string, set []int) []byte {
	for i := range t.Columns {
		col := &t.Columns[i]
		if col.DataType != "timestamp" && col.DataType != "datetime" || col.Generated || slices.Contains(set, i) {
			continue
		}
		dst = AppendIdent(append(append(dst, ','), alias...), col.Name)
		dst = AppendIdent(append(append(dst, '='), alias...), col.Name)
	}
	return dst
}

// appendVerb writes the comment where every server keeps it in the statement's log.
func appendVerb(dst []byte, verb, tag string) []byte {
	dst = append(append(dst, verb...), ' ')
	if tag != "" {
		dst = append(append(append(dst, "/* "...), tag...), " */ "...)
	}
	return dst
}
