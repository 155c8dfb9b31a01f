package predicate

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lull-ops/lull"
)

type kind uint8

const (
	end    kind = iota
	word        // unquoted: a keyword or a column
	quoted      // `column`
	str         // 'text' or "text", unescaped
	number      // 12.5e3
	hexes       // 0x4c or x'4c', decoded
	op
)

type token struct {
	kind kind
	text string
	pos  int // byte offset
}

// errorAt is a usage error that names the place in the expression, in characters from 1.
func errorAt(src string, pos int, hint, format string, args ...any) error {
	at := utf8.RuneCountInString(src[:min(pos, len(src))]) + 1
	return lull.Errorf(lull.Usage, hint, "read condition at character %d: %w", at, fmt.Errorf(format, args...))
}

// tokenize splits an expression; the last token is an end.
func tokenize(src string) ([]token, error) {
	var out []token
	for i := 0; ; {
		for i < len(src) && (src[i] == ' ' || src[i] >= '\t' && src[i] <= '\r') {
			i++
		}
		if i == len(src) {
			return append(out, token{end, "", i}), nil
		}
		t, next, err := scan(src, i)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		i = next
	}
}

func scan(src string, i int) (token, int, error) {
	c := src[i]
	switch {
	case c == '\'' || c == '"' || c == '`':
		return scanQuoted(src, i)
	case (c == 'x' || c == 'X') && i+1 < len(src) && src[i+1] == '\'':
		t, next, err := scanQuoted(src, i+1)
		if err != nil {
			return t, next, err
		}
		return decodeHex(src, i, next, t.text)
	case c == '0' && i+2 < len(src) && src[i+1] == 'x' && isHex(src[i+2]):
		j := i + 2
		for j < len(src) && isWord(src[j]) {
			j++
		}
		digits := src[i+2 : j]
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		return decodeHex(src, i, j, digits)
	case isDigit(c), c == '.' && i+1 < len(src) && isDigit(src[i+1]):
		j := numberEnd(src, i)
		return token{number, src[i:j], i}, j, nil
	case isWord(c):
		j := i
		for j < len(src) && isWord(src[j]) {
			j++
		}
		return token{word, src[i:j], i}, j, nil
	}
	for _, o := range [...]string{"<=>", "<=", ">=", "<>", "!=", "&&", "||", "(", ")", ",", "=", "<", ">", "!", "-", "+", "."} {
		if strings.HasPrefix(src[i:], o) {
			return token{op, o, i}, i + len(o), nil
		}
	}
	return token{}, i, errorAt(src, i, "", "expected a value or an operator, found %q", src[i:i+1])
}

func decodeHex(src string, from, to int, digits string) (token, int, error) {
	b, err := hex.DecodeString(digits)
	if err != nil {
		return token{}, to, errorAt(src, from, "", "expected pairs of hexadecimal digits, found %q", src[from:to])
	}
	return token{hexes, string(b), from}, to, nil
}

// numberEnd is behind digits, one point and an exponent.
func numberEnd(src string, i int) int {
	digits := func() {
		for i < len(src) && isDigit(src[i]) {
			i++
		}
	}
	digits()
	if i < len(src) && src[i] == '.' {
		i++
		digits()
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		mark := i
		i++
		if i < len(src) && (src[i] == '-' || src[i] == '+') {
			i++
		}
		from := i
		if digits(); i == from {
			i = mark
		}
	}
	return i
}

// scanQuoted undoes doubled quotes and backslashes; \% and \_ stay as they are, for LIKE.
func scanQuoted(src string, from int) (token, int, error) {
	q := src[from]
	var b strings.Builder
	for i := from + 1; i < len(src); i++ {
		c := src[i]
		switch {
		case c == q && i+1 < len(src) && src[i+1] == q:
			i++
			b.WriteByte(q)
		case c == q:
			kind := str
			if q == '`' {
				kind = quoted
			}
			return token{kind, b.String(), from}, i + 1, nil
		case c == '\\' && q != '`' && i+1 < len(src):
			i++
			b.WriteString(escaped(src[i]))
		default:
			b.WriteByte(c)
		}
	}
	return token{}, from, errorAt(src, from, "", "expected a closing %c", q)
}

func escaped(c byte) string {
	if i := strings.IndexByte("0bnrtZ", c); i >= 0 {
		return "\x00\b\n\r\t\x1a"[i : i+1]
	}
	if c == '%' || c == '_' {
		return `\` + string(rune(c))
	}
	return string([]byte{c})
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isWord(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || isDigit(c) || c == '_' || c == '$' || c >= 0x80
}
