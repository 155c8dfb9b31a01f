package predicate

import (
	"bytes"
	"strconv"
	"strings"
)

// mostDigits is the most digits a number literal may have: DECIMAL has 65, and a DOUBLE
// written out 309.
const mostDigits = 400

// plainDecimal writes a number without exponent, plus sign, and needless zeros.
func plainDecimal(s string) (string, bool) {
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	mantissa, exp := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > mostDigits || n < -mostDigits {
			return "", false
		}
		mantissa, exp = s[:i], n
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	if whole+frac == "" || strings.Trim(whole+frac, "0123456789") != "" || len(whole+frac) > mostDigits {
		return "", false
	}
	if exp > 0 {
		frac += strings.Repeat("0", max(0, exp-len(frac)))
		whole, frac = whole+frac[:exp], frac[exp:]
	} else if exp < 0 {
		whole = strings.Repeat("0", max(0, -exp-len(whole))) + whole
		whole, frac = whole[:len(whole)+exp], whole[len(whole)+exp:]+frac
	}
	whole, frac = strings.TrimLeft(whole, "0"), strings.TrimRight(frac, "0")
	if whole == "" {
		whole = "0"
	}
	out := whole
	if frac != "" {
		out += "." + frac
	}
	if neg && out != "0" {
		out = "-" + out
	}
	return out, true
}

// compareDecimal compares two decimal texts exactly, however long.
func compareDecimal(x, y []byte) int {
	xneg, yneg := isNegative(x), isNegative(y)
	switch {
	case xneg && !yneg:
		return -1
	case !xneg && yneg:
		return 1
	case xneg:
		return compareMagnitude(y[1:], x[1:])
	}
	return compareMagnitude(x, y)
}

// isNegative is false for a zero with a sign.
func isNegative(b []byte) bool {
	return len(b) > 0 && b[0] == '-' && bytes.ContainsAny(b, "123456789")
}

func compareMagnitude(x, y []byte) int {
	xw, xf := halves(x)
	yw, yf := halves(y)
	if len(xw) != len(yw) {
		if len(xw) < len(yw) {
			return -1
		}
		return 1
	}
	if c := bytes.Compare(xw, yw); c != 0 {
		return c
	}
	return bytes.Compare(xf, yf)
}

// halves is the digits before and after the point, without leading and trailing zeros.
func halves(b []byte) (whole, frac []byte) {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:] // a negative zero
	}
	whole = b
	if i := bytes.IndexByte(b, '.'); i >= 0 {
		whole, frac = b[:i], b[i+1:]
	}
	for len(whole) > 0 && whole[0] == '0' {
		whole = whole[1:]
	}
	for len(frac) > 0 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	return whole, frac
}
