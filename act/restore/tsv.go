package restore

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// noSpace finds the system's "no space left on device" in what a server says, which older
// ones give by number only.
func noSpace(message string) bool {
	return strings.Contains(message, "error 28") || strings.Contains(message, "Errcode: 28")
}

// field is how a column's values travel in LOAD DATA.
type field uint8

const (
	raw      field = iota // canonical bytes
	asBits                // BIT: the bytes of the number
	byNumber              // ENUM, SET: through a variable, as a number instead of a name
	inUTF8                // JSON of MySQL: through a variable, as text instead of bytes
	inASCII               // UUID, INET4, INET6: likewise
	wide                  // text in units of 2 or 4 bytes
)

func fieldOf(c *db.Column) field {
	switch c.DataType {
	case "bit":
		return asBits
	case "enum", "set":
		return byNumber
	case "json":
		return inUTF8
	case "uuid", "inet4", "inet6":
		return inASCII
	}
	if unitOf(c.Charset) > 1 {
		return wide
	}
	return raw
}

func unitOf(charset string) int {
	switch charset {
	case "utf16", "utf16le", "ucs2":
		return 2
	case "utf32":
		return 4
	}
	return 1
}

// encoder writes rows of one table as LOAD DATA reads them.
type encoder struct {
	table  *db.Table
	cols   []int
	fields []field
}

func newEncoder(t *db.Table) *encoder {
	e := &encoder{table: t, cols: Stored(t)}
	for _, i := range e.cols {
		e.fields = append(e.fields, fieldOf(&t.Columns[i]))
	}
	return e
}

// statement is the LOAD DATA that reads from the driver's reader of that name.
func (e *encoder) statement(reader string) string {
	dst := []byte("LOAD DATA LOCAL INFILE 'Reader::" + reader + "' INTO TABLE ")
	dst = append(sqltext.AppendName(dst, e.table.Name), ` CHARACTER SET binary FIELDS TERMINATED BY '\t' ENCLOSED BY '' ESCAPED BY '\\' LINES TERMINATED BY '\n' (`...)
	var set []byte
	for n, i := range e.cols {
		if n > 0 {
			dst = append(dst, ',')
		}
		name := e.table.Columns[i].Name
		convert := map[field][2]string{byNumber: {"CAST(", " AS UNSIGNED)"}, inUTF8: {"CONVERT(", " USING utf8mb4)"}, inASCII: {"CONVERT(", " USING latin1)"}}
		around, ok := convert[e.fields[n]]
		if !ok {
			dst = sqltext.AppendIdent(dst, name)
			continue
		}
		v := "@lull" + strconv.Itoa(n)
		dst = append(dst, v...)
		set = append(sqltext.AppendIdent(append(set, ','), name), ("=" + around[0] + v + around[1])...)
	}
	dst = append(dst, ')')
	if set != nil {
		dst = append(append(dst, " SET "...), set[1:]...)
	}
	return string(dst)
}

// odd says that a row cannot travel by LOAD DATA: an expression is no value, and text that
// the server would pad instead of refusing needs a literal.
func (e *encoder) odd(row db.Row) bool {
	for n, i := range e.cols {
		switch e.fields[n] {
		case inUTF8:
			if row[i].Expr != nil {
				return true
			}
		case wide:
			if len(row[i].Data)%unitOf(e.table.Columns[i].Charset) != 0 {
				return true
			}
		}
	}
	return false
}

// zero says that a row holds index 0 of an ENUM, of which the server warns.
func (e *encoder) zero(row db.Row) bool {
	for n, i := range e.cols {
		if e.fields[n] == byNumber && e.table.Columns[i].DataType == "enum" && row[i].State == db.Set && string(row[i].Data) == "0" {
			return true
		}
	}
	return false
}

var errUnknown = errors.New("a value of the row is not known")

func (e *encoder) append(dst []byte, row db.Row) ([]byte, error) {
	for n, i := range e.cols {
		if n > 0 {
			dst = append(dst, '\t')
		}
		v := row[i]
		switch {
		case v.State == db.Null:
			dst = append(dst, '\\', 'N')
		case v.State == db.Absent:
			return dst, errUnknown
		case e.fields[n] == asBits:
			x, err := strconv.ParseUint(string(v.Data), 10, 64)
			if err != nil {
				return dst, err
			}
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], x)
			dst = appendEscaped(dst, b[8-(e.table.Columns[i].Length+7)/8:])
		default:
			dst = appendEscaped(dst, v.Data)
		}
	}
	return append(dst, '\n'), nil
}

// appendEscaped escapes what ends a field or a line, and the zero byte.
func appendEscaped(dst, s []byte) []byte {
	from := 0
	for i, c := range s {
		if c > '\n' && c != '\\' {
			continue
		}
		var e byte
		switch c {
		case 0:
			e = '0'
		case '\t':
			e = 't'
		case '\n':
			e = 'n'
		case '\\':
			e = '\\'
		default:
			continue
		}
		dst = append(append(dst, s[from:i]...), '\\', e)
		from = i + 1
	}
	return append(dst, s[from:]...)
}
