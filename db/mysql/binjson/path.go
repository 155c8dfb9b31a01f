package binjson

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// leg is one step of a path: a member's name, or a place in an array counted from its start
// or from its last element.
type leg struct {
	name   []byte
	index  int
	cell   bool
	ofLast bool
}

// place is the leg's index in an array of n elements; inside says that an element is there.
// Past the end it is n, so that an insert appends.
func (l leg) place(n int) (at int, inside bool) {
	if !l.ofLast {
		return min(l.index, n), l.index < n
	}
	return max(n-1-l.index, 0), l.index < n
}

// parsePath reads a path as the server writes it into a diff: $, then .name, ."quoted name",
// [n], [last] or [last-n]. Wildcards and ranges never stand in a diff.
func parsePath(s string) ([]leg, error) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, fmt.Errorf("%w: path does not start with $", ErrDamaged)
	}
	var legs []leg
	for rest != "" {
		l, n, ok := nextLeg(rest)
		if !ok {
			return nil, fmt.Errorf("%w: path at byte %d", ErrDamaged, len(s)-len(rest))
		}
		legs, rest = append(legs, l), rest[n:]
	}
	return legs, nil
}

// nextLeg reads one leg and says how many bytes it took.
func nextLeg(s string) (l leg, n int, ok bool) {
	switch {
	case s[0] == '[':
		return cellLeg(s)
	case strings.HasPrefix(s, `."`):
		name, n, ok := unquote(s[1:])
		return leg{name: name}, n + 1, ok
	case s[0] == '.':
		end := strings.IndexAny(s[1:], ".[*\" \t\r\n")
		if end < 0 {
			end = len(s) - 1
		}
		return leg{name: []byte(s[1 : 1+end])}, 1 + end, end > 0
	}
	return l, 0, false
}

func cellLeg(s string) (l leg, n int, ok bool) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return l, 0, false
	}
	l.cell = true
	digits, ofLast := strings.CutPrefix(s[1:end], "last")
	if ofLast {
		l.ofLast = true
		if digits == "" {
			return l, end + 1, true
		}
		if digits, ok = strings.CutPrefix(digits, "-"); !ok {
			return l, 0, false
		}
	}
	v, err := strconv.ParseUint(digits, 10, 32)
	l.index = int(v)
	return l, end + 1, err == nil
}

// unquote reads a JSON string from the front of s and says how many bytes it took.
func unquote(s string) (out []byte, n int, ok bool) {
	out = []byte{}
	for i := 1; i < len(s); {
		switch s[i] {
		case '"':
			return out, i + 1, true
		case '\\':
			if out, n = unescape(out, s[i:]); n == 0 {
				return nil, 0, false
			}
			i += n
		default:
			out = append(out, s[i])
			i++
		}
	}
	return nil, 0, false
}

// unescape appends what the escape at the front of s stands for; n is 0 when it is damaged.
func unescape(dst []byte, s string) (out []byte, n int) {
	if len(s) < 2 {
		return dst, 0
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(from, s[1]); i >= 0 {
		return append(dst, to[i]), 2
	}
	r, ok := hexRune(s)
	if !ok {
		return dst, 0
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(dst, r), 6
	}
	low, ok := hexRune(s[6:])
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return dst, 0
	}
	return utf8.AppendRune(dst, r), 12
}

// hexRune reads \uXXXX from the front of s.
func hexRune(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(v), err == nil
}

// compareKeys is the order of an object's keys: by length, then by bytes.
func compareKeys(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}
