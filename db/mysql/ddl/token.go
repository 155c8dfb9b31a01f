package ddl

import "strings"

// Kind says what a Token is.
type Kind uint8

// The kinds of tokens.
const (
	End      Kind = iota // end of the text, or the delimiter between two statements
	Word                 // unquoted word: a keyword or an identifier
	Ident                // surely an identifier: `quoted`, or a word after a dot
	String               // 'text' or "text"; in a name's place "text" is an identifier
	Number               // 12, 1.5, 1e10
	Hex                  // 0xff, x'ff'; Text is the digits
	Bit                  // 0b01, b'01'; Text is the digits
	Variable             // @name, @@name
	Op                   // punctuation: one to three characters
	Bad                  // a quote that is never closed
)

// Token is one word of a statement. Text is what it means: without quotes, escapes undone.
// Pos and End are its byte offsets in the source.
type Token struct {
	Kind     Kind
	Quote    byte // ' " or ` for a quoted token, else 0
	Text     string
	Pos, End int
}

// Tokenize splits sql into tokens, without comments and without an End token. A semicolon is
// an Op. It takes time linear in the length of sql and accepts any bytes.
func Tokenize(sql string) []Token {
	lx := lexer{src: sql}
	var out []Token
	for t := lx.next(); t.Kind != End || t.Text != ""; t = lx.next() {
		out = append(out, t)
	}
	return out
}

// lexer hands out tokens one by one, so that a dump's INSERTs are skipped without being kept.
type lexer struct {
	src   string
	pos   int
	open  int    // versioned comments that are open: their */ is skipped
	delim string // delimiter of the mysql client; "" makes the semicolon an Op
	prev  byte   // last byte of the token before this one when that ended in a name, else 0
}

// next is the next token; at the end of the text an End token without Text, again and again.
func (lx *lexer) next() Token {
	lx.skipSpace()
	t := lx.scan()
	if t.Kind == Word || t.Kind == Ident || (t.Kind == String && t.Quote == '"') {
		lx.prev = 'a'
	} else if t.Kind == Op && t.Text == "." {
		lx.prev = '.'
	} else {
		lx.prev = 0
	}
	return t
}

func (lx *lexer) scan() Token {
	start := lx.pos
	if start >= len(lx.src) {
		return Token{Kind: End, Pos: start, End: start}
	}
	if lx.delim != "" && strings.HasPrefix(lx.src[start:], lx.delim) {
		return lx.token(End, start, start+len(lx.delim))
	}
	c := lx.src[start]
	switch {
	case c == '\'' || c == '"' || c == '`':
		return lx.quoted(start, start, c)
	case c == '@':
		return lx.variable()
	case (c == 'x' || c == 'X' || c == 'b' || c == 'B') && lx.at(start+1) == '\'':
		return lx.radixString(c | 0x20)
	case c >= '0' && c <= '9' && lx.prev != '.':
		return lx.number()
	case c == '.' && lx.prev != 'a' && isDigit(lx.at(start+1)):
		return lx.number()
	case isWord(c):
		kind := Word
		if lx.prev == '.' {
			kind = Ident
		}
		return lx.token(kind, start, lx.wordEnd(start))
	}
	return lx.op()
}

func (lx *lexer) token(kind Kind, from, to int) Token {
	lx.pos = to
	return Token{Kind: kind, Text: lx.src[from:to], Pos: from, End: to}
}

// at is the byte at i, or 0 behind the end.
func (lx *lexer) at(i int) byte {
	if i < len(lx.src) {
		return lx.src[i]
	}
	return 0
}

func (lx *lexer) wordEnd(i int) int {
	for i < len(lx.src) && isWord(lx.src[i]) && !lx.atDelim(i) {
		i++
	}
	return i
}

// atDelim says that a delimiter like $$ starts here: the mysql client ends a word there.
func (lx *lexer) atDelim(i int) bool {
	return lx.delim != "" && lx.delim != ";" && strings.HasPrefix(lx.src[i:], lx.delim)
}

// number scans 12, 1.5, .5, 1e-3, 0xff, 0b1, and names that start with digits.
func (lx *lexer) number() Token {
	start := lx.pos
	end := lx.wordEnd(start)
	if end == start {
		end = start + 1 // a number that starts with its point
	}
	word := lx.src[start:end]
	if len(word) > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'b') {
		if t, ok := lx.radixWord(word, start, end); ok {
			return t
		}
	}
	digits := strings.IndexFunc(word, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 && lx.at(end) == '.' {
		end = lx.wordEnd(end + 1)
		word = lx.src[start:end]
	} else if word == "." {
		end = lx.wordEnd(end)
		word = lx.src[start:end]
	}
	return lx.numberTail(word, start, end)
}

// numberTail takes a signed exponent, and tells 1e5 from the name 1ea.
func (lx *lexer) numberTail(word string, start, end int) Token {
	mantissa := strings.TrimLeft(word, "0123456789.")
	if mantissa == "" {
		return lx.token(Number, start, end)
	}
	if mantissa[0] != 'e' && mantissa[0] != 'E' {
		return lx.token(Word, start, end)
	}
	exp := mantissa[1:]
	if exp == "" && (lx.at(end) == '-' || lx.at(end) == '+') && isDigit(lx.at(end+1)) {
		return lx.token(Number, start, lx.wordEnd(end+1))
	}
	if exp == "" || strings.Trim(exp, "0123456789") != "" {
		return lx.token(Word, start, end)
	}
	return lx.token(Number, start, end)
}

func (lx *lexer) radixWord(word string, start, end int) (Token, bool) {
	kind, set := Hex, "0123456789abcdefABCDEF"
	if word[1] == 'b' {
		kind, set = Bit, "01"
	}
	if strings.Trim(word[2:], set) != "" {
		return Token{}, false
	}
	t := lx.token(kind, start, end)
	t.Text = word[2:]
	return t, true
}

// radixString scans x'ff' and b'01'.
func (lx *lexer) radixString(c byte) Token {
	t := lx.quoted(lx.pos, lx.pos+1, '\'')
	if t.Kind == String {
		t.Kind = Hex
		if c == 'b' {
			t.Kind = Bit
		}
	}
	return t
}

func (lx *lexer) variable() Token {
	start := lx.pos
	i := start + 1
	if lx.at(i) == '@' {
		i++
	}
	if q := lx.at(i); q == '\'' || q == '"' || q == '`' {
		t := lx.quoted(start, i, q)
		if t.Kind != Bad {
			t.Kind = Variable
		}
		return t
	}
	return lx.token(Variable, start, lx.wordEnd(i))
}

func (lx *lexer) op() Token {
	start := lx.pos
	for _, op := range [...]string{"<=>", "->>", "||", "&&", "<=", ">=", "<>", "!=", ":=", "<<", ">>", "->"} {
		if strings.HasPrefix(lx.src[start:], op) {
			return lx.token(Op, start, start+len(op))
		}
	}
	return lx.token(Op, start, start+1)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || isDigit(c) || c == '_' || c == '$' || c >= 0x80
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
