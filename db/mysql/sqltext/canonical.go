package sqltext

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/lull-ops/lull/db"
)

// AppendSelectList appends the expressions to SELECT so that Canonical can turn what the
// server sends into canonical values of the columns cols, in this order.
func AppendSelectList(dst []byte, t *db.Table, cols []int) []byte {
	for n, i := range cols {
		if n > 0 {
			dst = append(dst, ',')
		}
		name := t.Columns[i].Name
		switch classOf(&t.Columns[i]) {
		case float:
			// A product has no fixed digits and is printed so that it reads back exactly.
			dst = append(AppendIdent(dst, name), "*1e0"...)
		case bits, enum, set:
			dst = appendCast(dst, name, "UNSIGNED")
		default:
			dst = AppendIdent(dst, name)
		}
	}
	return dst
}

// Canonical appends the canonical form of raw, the text that the server sent for col's
// expression in AppendSelectList. It fails when raw is no such text.
func Canonical(dst []byte, col *db.Column, raw []byte) ([]byte, error) {
	ok := true
	switch classOf(col) {
	case integer, bits, enum, set:
		dst, ok = appendInteger(dst, raw)
	case decimal:
		dst, ok = appendDecimal(dst, raw, col.Scale)
	case float:
		dst, ok = appendFloat(dst, raw)
	case year:
		ok = allDigits(raw)
		for n := len(raw); n < 4; n++ {
			dst = append(dst, '0')
		}
		dst = append(dst, raw...)
	case binary:
		dst = append(dst, raw...)
		if col.DataType == "binary" {
			for n := len(raw); n < col.Length; n++ {
				dst = append(dst, 0)
			}
		}
	default:
		dst = append(dst, raw...)
	}
	if !ok {
		return dst, fmt.Errorf("read column %s: %q is no %s", col.Name, raw, col.DataType)
	}
	return dst, nil
}

func cutSign(raw []byte) (digits []byte, negative bool) {
	return bytes.CutPrefix(raw, []byte("-"))
}

func allDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendInteger drops the zeros of ZEROFILL.
func appendInteger(dst, raw []byte) ([]byte, bool) {
	digits, negative := cutSign(raw)
	if len(digits) == 0 || !allDigits(digits) {
		return dst, false
	}
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	if negative && digits[0] != '0' {
		dst = append(dst, '-')
	}
	return append(dst, digits...), true
}

// appendFloat refuses the names and hexadecimal forms that only Go reads.
func appendFloat(dst, raw []byte) ([]byte, bool) {
	for _, c := range raw {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return dst, false
		}
	}
	x, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return dst, false
	}
	return strconv.AppendFloat(dst, x, 'e', -1, 64), true
}

func appendDecimal(dst, raw []byte, scale int) ([]byte, bool) {
	digits, negative := cutSign(raw)
	whole, frac, _ := bytes.Cut(digits, []byte("."))
	if len(whole)+len(frac) == 0 || !allDigits(whole) || !allDigits(frac) || len(frac) > scale {
		return dst, false
	}
	whole = bytes.TrimLeft(whole, "0")
	if negative && len(whole)+len(bytes.Trim(frac, "0")) > 0 {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if scale == 0 {
		return dst, true
	}
	dst = append(append(dst, '.'), frac...)
	for n := len(frac); n < scale; n++ {
		dst = append(dst, '0')
	}
	return dst, true
}
