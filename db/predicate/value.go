package predicate

import (
	"strconv"
	"strings"

	"github.com/lull-ops/lull/db"
)

// class is how values compare.
type class uint8

const (
	null   class = iota // the literal NULL
	exact               // integers, DECIMAL, BIT, YEAR, truth values: decimal text
	float               // FLOAT, DOUBLE
	text                // CHAR, VARCHAR, TEXT, UUID, INET4, INET6
	binary              // BINARY, VARBINARY, BLOB, VECTOR, hexadecimal literals
	day                 // DATE, DATETIME, TIMESTAMP
	clock               // TIME
	enum
	set
	opaque // JSON, GEOMETRY, unknown types: only IS NULL, and LIKE for JSON
)

// value is an operand: a literal, a column or a condition.
type value struct {
	class   class
	pos     int
	lit     bool
	hex     bool   // written as 0x4c: bytes or a number, as the other side needs it
	data    []byte // of a literal
	charset string // of text
	fold    bool   // text that ignores case
	col     *db.Column
	read    func(db.Row) db.Value // of all but literals
	test    test                  // of a condition
}

// get is the operand's value for a row.
func (v *value) get(r db.Row) db.Value {
	if v.read != nil {
		return v.read(r)
	}
	if v.class == null {
		return db.Value{}
	}
	return db.Value{State: db.Set, Data: v.data}
}

func (v *value) absent(r db.Row) bool { return v.get(r).State == db.Absent }

func (v *value) isNull() test {
	w := *v
	return func(r db.Row) Tri {
		switch w.get(r).State {
		case db.Absent:
			return Unknown
		case db.Null:
			return True
		}
		return False
	}
}

// logical makes an operand of a condition. Its Unknown reads as NULL, or as not known where
// that may be because of a value that is not.
func (p *parser) logical(t test, pos int) value {
	columns := p.read
	one, zero := []byte("1"), []byte("0")
	return value{class: exact, pos: pos, test: t, read: func(r db.Row) db.Value {
		switch t(r) {
		case True:
			return db.Value{State: db.Set, Data: one}
		case False:
			return db.Value{State: db.Set, Data: zero}
		}
		for _, i := range *columns {
			if i >= len(r) || r[i].State == db.Absent {
				return db.Value{State: db.Absent}
			}
		}
		return db.Value{}
	}}
}

func columnValue(c *db.Column, i, pos int) value {
	v := value{class: classOf(c), pos: pos, col: c, charset: c.Charset}
	v.fold = strings.HasSuffix(c.Collation, "_ci")
	if c.DataType == "uuid" || strings.HasPrefix(c.DataType, "inet") {
		v.fold, v.charset = true, "ascii"
	}
	v.read = func(r db.Row) db.Value {
		if i >= len(r) {
			return db.Value{State: db.Absent}
		}
		return r[i]
	}
	return v
}

func classOf(c *db.Column) class {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "bit", "year":
		return exact
	case "float", "double":
		return float
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "uuid", "inet4", "inet6":
		return text
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector":
		return binary
	case "date", "datetime", "timestamp":
		return day
	case "time":
		return clock
	case "enum":
		return enum
	case "set":
		return set
	}
	return opaque
}

// asText turns an ENUM or SET column into the text of its elements.
func (v value) asText() value {
	if v.class != enum && v.class != set {
		return v
	}
	read, elements, isSet := v.read, v.col.Elements, v.class == set
	v.class = text
	v.read = func(r db.Row) db.Value {
		w := read(r)
		if w.State != db.Set {
			return w
		}
		n, err := strconv.ParseUint(string(w.Data), 10, 64)
		switch {
		case err != nil, !isSet && n > uint64(len(elements)):
			return db.Value{State: db.Absent}
		case isSet:
			w.Data = setText(n, elements)
		case n == 0:
			w.Data = nil
		default:
			w.Data = []byte(elements[n-1])
		}
		return w
	}
	return v
}

func setText(mask uint64, elements []string) []byte {
	var out []byte
	for i, e := range elements {
		if mask>>i&1 == 0 {
			continue
		}
		if out != nil {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return out
}
