package restore

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lull-ops/lull/db"
)

// reader turns one column's canonical values into what programs that know no MySQL read.
type reader struct {
	col     *db.Column
	members []string // of an ENUM or SET, in UTF-8
	decode  func(dst, src []byte) []byte
	buf     []byte
}

func newTextReader(c *db.Column) *reader {
	r := &reader{col: c, decode: decoderOf(c)}
	for _, m := range c.Elements {
		text := hex.AppendEncode(nil, []byte(m))
		if r.decode != nil {
			text = r.decode(nil, []byte(m))
		}
		r.members = append(r.members, string(text))
	}
	return r
}

// isBytes says that the column's values are no text: bytes, or text in a character set that
// is not decoded here. They are written as they are stored.
func (r *reader) isBytes() bool { return r.decode == nil }

// text is a value in UTF-8: members of ENUM and SET by name, floating point numbers in the
// shortest form that reads back to the same, bytes and members that are not decoded in
// hexadecimal, all else as canonical.
// It is valid until the next call.
func (r *reader) text(v db.Value) []byte {
	r.buf = r.buf[:0]
	switch r.col.DataType {
	case "enum":
		if n, err := strconv.Atoi(string(v.Data)); err == nil && n > 0 && n <= len(r.members) {
			r.buf = append(r.buf, r.members[n-1]...)
		}
	case "set":
		mask, _ := strconv.ParseUint(string(v.Data), 10, 64)
		var names []string
		for ; mask != 0; mask &= mask - 1 {
			if i := bits.TrailingZeros64(mask); i < len(r.members) {
				names = append(names, r.members[i])
			}
		}
		r.buf = append(r.buf, strings.Join(names, ",")...)
	case "float", "double":
		x, _ := strconv.ParseFloat(string(v.Data), 64)
		size := 64
		if r.col.DataType == "float" {
			size = 32
		}
		r.buf = strconv.AppendFloat(r.buf, x, 'g', -1, size)
	default:
		if r.isBytes() {
			r.buf = hex.AppendEncode(r.buf, v.Data)
		} else {
			r.buf = r.decode(r.buf, v.Data)
		}
	}
	return r.buf
}

// decoderOf makes UTF-8 of the column's text; nil when it holds bytes or text in a
// character set that is not known here.
func decoderOf(c *db.Column) func(dst, src []byte) []byte {
	same := func(dst, src []byte) []byte { return append(dst, src...) }
	switch c.DataType {
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection",
		"vector", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return nil
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set":
	default:
		return same
	}
	switch c.Charset {
	case "", "ascii", "utf8", "utf8mb3", "utf8mb4":
		return same
	case "latin1":
		return decodeLatin1
	case "ucs2", "utf16":
		return func(dst, src []byte) []byte { return decode16(dst, src, binary.BigEndian) }
	case "utf16le":
		return func(dst, src []byte) []byte { return decode16(dst, src, binary.LittleEndian) }
	case "utf32":
		return decode32
	}
	return nil
}

// MySQL's latin1 is Windows 1252; the five bytes that this leaves open stand for themselves.
const latin1High = "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f" +
	"\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178"

func decodeLatin1(dst, src []byte) []byte {
	high := []rune(latin1High)
	for _, c := range src {
		switch {
		case c < 0x80:
			dst = append(dst, c)
		case c < 0xa0:
			dst = utf8.AppendRune(dst, high[c-0x80])
		default:
			dst = utf8.AppendRune(dst, rune(c))
		}
	}
	return dst
}

func decode16(dst, src []byte, order binary.ByteOrder) []byte {
	for ; len(src) >= 2; src = src[2:] {
		r := rune(order.Uint16(src))
		if utf16.IsSurrogate(r) && len(src) >= 4 {
			r = utf16.DecodeRune(r, rune(order.Uint16(src[2:])))
			src = src[2:]
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func decode32(dst, src []byte) []byte {
	for ; len(src) >= 4; src = src[4:] {
		dst = utf8.AppendRune(dst, rune(binary.BigEndian.Uint32(src)))
	}
	return dst
}
