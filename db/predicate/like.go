package predicate

import (
	"unicode/utf8"

	"github.com/lull-ops/lull/db"
)

// part is one element of a LIKE pattern.
type part struct {
	r    rune
	any  bool // _
	many bool // %
}

// like makes the test of LIKE, which works on the text of any value but FLOAT, DOUBLE, BIT and
// geometries: how those are printed is not how they are kept.
func (p *parser) like(left value) (test, error) {
	pattern, err := p.primary()
	if err != nil {
		return nil, err
	}
	escape, err := p.escape()
	if err != nil {
		return nil, err
	}
	if left.class == null || pattern.class == null {
		return always(Unknown), nil
	}
	if !pattern.lit || pattern.class != text {
		return nil, p.fail(pattern.pos, "", "expected a pattern in quotes")
	}
	left = left.asText()
	bit := left.col != nil && left.col.DataType == "bit"
	if left.class == float || bit || left.class == opaque && left.col.DataType != "json" {
		return nil, p.fail(left.pos, "", "cannot match %s with LIKE", left.describe())
	}
	charset, fold := "ascii", false
	switch left.class {
	case text:
		charset, fold = left.charset, left.fold
	case opaque:
		charset = "utf8mb4"
	}
	key := func(r rune) rune { return r }
	if fold {
		key = folded
	}
	decode := decoderOf(charset)
	read := decodeUTF8
	if left.class == binary {
		read = decode
	}
	parts := compileLike(pattern.data, escape, read, key)
	return func(r db.Row) Tri {
		v := left.get(r)
		if v.State != db.Set {
			return Unknown
		}
		return tri(matchLike(v.Data, parts, decode, key))
	}, nil
}

// escape takes ESCAPE 'c'; -1 stands for no escape character.
func (p *parser) escape() (rune, error) {
	if !p.word("escape") {
		return '\\', nil
	}
	t := p.peek()
	if t.kind != str || utf8.RuneCountInString(t.text) > 1 {
		return 0, p.expected("one character in quotes")
	}
	p.i++
	if t.text == "" {
		return -1, nil
	}
	r, _ := utf8.DecodeRuneInString(t.text)
	return r, nil
}

func compileLike(pattern []byte, escape rune, read decoder, key func(rune) rune) []part {
	var out []part
	for len(pattern) > 0 {
		r, n := read(pattern)
		pattern = pattern[n:]
		switch {
		case r == escape && len(pattern) > 0:
			r, n = read(pattern)
			pattern = pattern[n:]
			out = append(out, part{r: key(r)})
		case r == '%':
			if len(out) == 0 || !out[len(out)-1].many {
				out = append(out, part{many: true})
			}
		case r == '_':
			out = append(out, part{any: true})
		default:
			out = append(out, part{r: key(r)})
		}
	}
	return out
}

// matchLike goes back to the last % only, so that it takes at most text times pattern steps.
func matchLike(b []byte, parts []part, decode decoder, key func(rune) rune) bool {
	i, star := 0, -1
	var retry []byte
	for len(b) > 0 {
		r, n := decode(b)
		switch {
		case i < len(parts) && parts[i].many:
			star, retry = i, b
			i++
			continue
		case i < len(parts) && (parts[i].any || parts[i].r == key(r)):
			i++
			b = b[n:]
			continue
		case star < 0:
			return false
		}
		_, n = decode(retry)
		retry = retry[n:]
		b, i = retry, star+1
	}
	for i < len(parts) && parts[i].many {
		i++
	}
	return i == len(parts)
}
