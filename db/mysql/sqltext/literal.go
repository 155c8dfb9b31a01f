package sqltext

import (
	endian "encoding/binary"

	"github.com/lull-ops/lull/db"
)

// AppendIdent appends a quoted identifier.
func AppendIdent(dst []byte, name string) []byte {
	dst = append(dst, '`')
	for i := 0; i < len(name); i++ {
		if name[i] == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '`')
}

// AppendName appends a table's quoted name, with its schema unless that is empty.
func AppendName(dst []byte, n db.Name) []byte {
	if n.Schema != "" {
		dst = AppendIdent(dst, n.Schema)
		dst = append(dst, '.')
	}
	return AppendIdent(dst, n.Table)
}

// AppendLiteral appends the value as it is written into col. Absent is written as DEFAULT.
// A strict session refuses index 0 of an ENUM: see LaxMode.
func AppendLiteral(dst []byte, col *db.Column, v db.Value) []byte {
	return appendLiteral(dst, col, classOf(col), v)
}

func appendLiteral(dst []byte, col *db.Column, c class, v db.Value) []byte {
	switch v.State {
	case db.Null:
		return append(dst, "NULL"...)
	case db.Absent:
		return append(dst, "DEFAULT"...)
	}
	switch c {
	case integer, decimal, float, bits, enum, set, year:
		if !isNumber(v.Data) {
			return appendRefused(dst) // a stored plan or repository that somebody wrote into
		}
		return append(dst, v.Data...)
	case json:
		return appendJSON(dst, v)
	case named:
		// A binary literal would be taken for the address itself.
		return appendQuoted(append(dst, "_latin1"...), v.Data)
	case text:
		if len(v.Data)%unit(col.Charset) != 0 {
			return appendRefused(dst)
		}
	}
	return appendQuoted(dst, v.Data)
}

// AppendKey appends the value as it is compared with col through an index: text carries its
// character set, so that the comparison is made in the column's collation.
func AppendKey(dst []byte, col *db.Column, v db.Value) []byte {
	c := classOf(col)
	if c != text || v.State != db.Set {
		return appendLiteral(dst, col, c, v)
	}
	if len(v.Data)%unit(col.Charset) != 0 {
		return appendRefused(dst)
	}
	if col.Charset == "" {
		return appendQuoted(dst, v.Data)
	}
	dst = append(dst, '_')
	dst = append(dst, col.Charset...)
	if quotable(col.Charset) {
		return appendQuoted(dst, v.Data)
	}
	dst = append(dst, " X'"...)
	return append(appendHex(dst, v.Data), '\'')
}

func appendJSON(dst []byte, v db.Value) []byte {
	if v.Expr != nil {
		return append(dst, v.Expr...)
	}
	return appendQuoted(append(dst, "_utf8mb4"...), v.Data)
}

// appendRefused appends a literal that every server refuses, for text that the server
// would change instead of refusing.
func appendRefused(dst []byte) []byte { return append(dst, "_utf8mb4 X'FF'"...) }

// isNumber says that the bytes can be nothing but a number.
func isNumber(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return len(s) > 0 && s[0] != '-' || len(s) > 1 && s[1] != '-'
}

// Bytes below 64 that need an escape: NUL, LF, CR, 0x1A and the quote.
const escaped = 1<<0 | 1<<'\n' | 1<<'\r' | 1<<0x1a | 1<<'\''

func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '\'')
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '\'')
		}
		dst = append(dst, '\\', escape(s[n]))
		s = s[n+1:]
	}
}

// plain is how many bytes s begins with that stand for themselves between quotes.
func plain(s []byte) int {
	n := 0
	for n < len(s) {
		for len(s)-n >= 8 && plain8(endian.LittleEndian.Uint64(s[n:])) {
			n += 8
		}
		for end := min(n+8, len(s)); n < end; n++ {
			if c := s[n]; c < 64 && escaped>>c&1 != 0 || c == '\\' {
				return n
			}
		}
	}
	return n
}

// plain8 says that eight bytes surely need no escape: none is a control character, a quote
// or a backslash. A byte is found by the borrow that subtracting from it leaves in its top
// bit; a borrow from the byte below may only find too much.
func plain8(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^ones*'\'', w^ones*'\\'
	return ((w-ones*0x20)&^w|(quote-ones)&^quote|(slash-ones)&^slash)&tops == 0
}

// escape is what stands for c behind a backslash.
func escape(c byte) byte {
	switch c {
	case 0:
		return '0'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case 0x1a:
		return 'Z'
	}
	return c
}

func appendHex(dst, s []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range s {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
