package ddl

import "strings"

// skipSpace moves over white space and comments, into versioned comments and out of them.
func (lx *lexer) skipSpace() {
	for lx.pos < len(lx.src) {
		rest := lx.src[lx.pos:]
		c := rest[0]
		switch {
		case isSpace(c):
			lx.pos++
		case lx.delim != "" && strings.HasPrefix(rest, lx.delim):
			return
		case c == '#', c == '-' && strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' '):
			lx.skipPast("\n", 1)
		case strings.HasPrefix(rest, "/*"):
			lx.comment()
		case lx.open > 0 && strings.HasPrefix(rest, "*/"):
			lx.open--
			lx.pos += 2
		default:
			return
		}
		lx.prev = 0
	}
}

// skipPast moves behind the next place of s that is at least from bytes away, or to the end.
func (lx *lexer) skipPast(s string, from int) {
	from = min(lx.pos+from, len(lx.src))
	i := strings.Index(lx.src[from:], s)
	if i < 0 {
		lx.pos = len(lx.src)
		return
	}
	lx.pos = from + i + len(s)
}

// comment skips a plain comment and steps inside a versioned one.
func (lx *lexer) comment() {
	head := 2
	if lx.at(lx.pos+head) == 'M' {
		head++
	}
	if lx.at(lx.pos+head) != '!' {
		lx.skipPast("*/", 2)
		return
	}
	from := lx.pos + head + 1
	i := from
	for i < from+6 && isDigit(lx.at(i)) {
		i++
	}
	if lx.src[from:i] == "999999" {
		lx.skipPast("*/", 2)
		return
	}
	lx.pos = i
	lx.open++
}

// quoted scans a quoted token whose quote is at open; the token starts at start.
func (lx *lexer) quoted(start, open int, q byte) Token {
	set := string(q) + `\`
	if q == '`' {
		set = "`"
	}
	plain := true
	i := open + 1
	for {
		j := strings.IndexAny(lx.src[i:], set)
		if j < 0 {
			return lx.unclosed(start, open, q)
		}
		i += j
		if lx.src[i] == '\\' {
			if i+2 > len(lx.src)-1 {
				return lx.unclosed(start, open, q)
			}
			plain = false
			i += 2
			continue
		}
		if lx.at(i+1) != q {
			break
		}
		plain = false
		i += 2
	}
	text := lx.src[open+1 : i]
	if !plain {
		text = unescape(text, q)
	}
	kind := String
	if q == '`' {
		kind = Ident
	}
	lx.pos = i + 1
	return Token{Kind: kind, Quote: q, Text: text, Pos: start, End: lx.pos}
}

func (lx *lexer) unclosed(start, open int, q byte) Token {
	t := lx.token(Bad, start, len(lx.src))
	t.Quote = q
	t.Text = lx.src[open+1:]
	return t
}

// unescape undoes doubled quotes and, outside backticks, backslashes.
func unescape(s string, q byte) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && q != '`' {
			i++
			b.WriteString(escaped(s[i]))
			continue
		}
		if c == q {
			i++ // the second one of a doubled quote
		}
		b.WriteByte(c)
	}
	return b.String()
}

// escaped is the meaning of a backslash and c. \% and \_ keep the backslash: they are for LIKE.
func escaped(c byte) string {
	switch c {
	case '0':
		return "\x00"
	case 'b':
		return "\b"
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case 'Z':
		return "\x1a"
	case '%':
		return `\%`
	case '_':
		return `\_`
	}
	return string([]byte{c})
}
