package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// cursor walks over the tokens of one statement.
type cursor struct {
	toks []Token
	i    int
	src  string // for error lines and for expressions that are kept as text
}

// statement is a cursor over the first statement of sql.
func statement(sql string) *cursor {
	lx := lexer{src: sql, delim: ";"}
	c := &cursor{src: sql}
	for {
		t := lx.next()
		if t.Kind != End {
			c.toks = append(c.toks, t)
		} else if t.Text == "" || len(c.toks) > 0 {
			return c
		}
	}
}

func (c *cursor) peek() Token { return c.peekAt(0) }

func (c *cursor) peekAt(n int) Token {
	if c.i+n < len(c.toks) {
		return c.toks[c.i+n]
	}
	return Token{Kind: End, Pos: len(c.src), End: len(c.src)}
}

func (c *cursor) done() bool { return c.i >= len(c.toks) }

// isWord says that a token is the unquoted word w; w is in upper case.
func (t Token) isWord(w string) bool {
	return t.Kind == Word && len(t.Text) == len(w) && strings.EqualFold(t.Text, w)
}

func (t Token) isOp(op string) bool { return t.Kind == Op && t.Text == op }

// isOneOf says that a token is one of the unquoted words.
func (t Token) isOneOf(words ...string) bool {
	return slices.ContainsFunc(words, t.isWord)
}

// words takes the given words when all of them come next.
func (c *cursor) words(ws ...string) bool {
	for n, w := range ws {
		if !c.peekAt(n).isWord(w) {
			return false
		}
	}
	c.i += len(ws)
	return true
}

// any takes one token when it is one of the words.
func (c *cursor) any(ws ...string) bool {
	if c.peek().isOneOf(ws...) {
		c.i++
		return true
	}
	return false
}

func (c *cursor) op(op string) bool {
	if c.peek().isOp(op) {
		c.i++
		return true
	}
	return false
}

// name takes an identifier in any quoting.
func (c *cursor) name() (string, bool) {
	t := c.peek()
	if t.Text != "" && (t.Kind == Word || t.Kind == Ident || t.Kind == String && t.Quote == '"') {
		c.i++
		return t.Text, true
	}
	return "", false
}

// table takes a table's name: t, s.t or .t; schema is for names without one.
func (c *cursor) table(schema string) (db.Name, bool) {
	c.op(".")
	first, ok := c.name()
	if !ok {
		return db.Name{}, false
	}
	if !c.peek().isOp(".") || c.peekAt(1).isOp("*") {
		return db.Name{Schema: schema, Table: first}, true
	}
	c.i++
	second, ok := c.name()
	return db.Name{Schema: first, Table: second}, ok
}

// group skips a group in parentheses and says whether there was one that is closed.
func (c *cursor) group() bool {
	if !c.peek().isOp("(") {
		return false
	}
	depth := 0
	for ; !c.done(); c.i++ {
		switch t := c.peek(); {
		case t.isOp("("):
			depth++
		case t.isOp(")"):
			if depth--; depth == 0 {
				c.i++
				return true
			}
		}
	}
	return false
}

// skipItem moves to the next comma or closing parenthesis outside parentheses.
func (c *cursor) skipItem() {
	for !c.atItemEnd() {
		if !c.group() {
			c.i++
		}
	}
}

func (c *cursor) atItemEnd() bool {
	t := c.peek()
	return t.Kind == End || t.isOp(",") || t.isOp(")")
}

// expected is an error that names the line and what should stand there.
func (c *cursor) expected(what string) error {
	t, line := c.peek(), c.line()
	what = printable(what)
	switch t.Kind {
	case End:
		return fmt.Errorf("line %d: expected %s, found the end of the statement", line, what)
	case Bad:
		return fmt.Errorf("line %d: expected %s, found a quote that is never closed", line, what)
	}
	return fmt.Errorf("line %d: expected %s, found %q", line, what, clip(c.src[t.Pos:t.End]))
}

// line is the line of the next token, from 1.
func (c *cursor) line() int { return 1 + strings.Count(c.src[:c.peek().Pos], "\n") }

// printable keeps a name from breaking an error into several lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
