package restore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/ddl"
)

// script makes an empty table under another name than its definition has.
type script struct {
	statements []string
	warnings   []string
}

var errScript = errors.New("the definition's script is not understood")

// makeScript rewrites a definition's statements so that they make the table to. A table that
// keeps its own name in the end is own: it keeps its foreign keys and the names of its
// constraints, which are unique in a schema.
func makeScript(stmts []string, was, to db.Name, own bool) (*script, error) {
	if len(stmts) == 0 {
		return nil, fmt.Errorf("%w: it is empty", errScript)
	}
	out := &script{}
	e := editor{to: quote(to), own: own, foreign: map[string]bool{}}
	for i, s := range stmts {
		s, err := e.rewrite(s, i == 0)
		if err != nil {
			return nil, err
		}
		if s != "" {
			out.statements = append(out.statements, s)
		}
	}
	if e.dropped > 0 {
		out.warnings = append(out.warnings, fmt.Sprintf("it is not called %s: %s left out", was, count(e.dropped, "foreign key is", "foreign keys are")))
	}
	return out, nil
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

type editor struct {
	to      string // the new name, quoted
	own     bool
	foreign map[string]bool // constraints left out so far, in lower case
	dropped int

	src  string
	toks []ddl.Token
	i    int
}

// rewrite is one statement with the new name; "" when nothing is left of it.
func (e *editor) rewrite(sql string, first bool) (string, error) {
	e.src = sql
	e.scan()
	switch {
	case e.is("CREATE") && e.object("TABLE"):
		return e.create()
	case first:
		return "", fmt.Errorf("%w: it does not begin with CREATE TABLE", errScript)
	case e.is("ALTER") && e.object("TABLE"):
		return e.alter()
	case (e.is("CREATE") || e.is("DROP")) && e.object("INDEX"):
		return e.index()
	case e.is("RENAME"):
		return "", nil // the name does not matter here
	}
	return "", fmt.Errorf("%w: %.40q", errScript, sql)
}

// scan reads the source, without semicolons at its end.
func (e *editor) scan() {
	e.toks, e.i = ddl.Tokenize(e.src), 0
	for n := len(e.toks); n > 0 && op(e.toks[n-1], ";"); n-- {
		e.src, e.toks = e.src[:e.toks[n-1].Pos], e.toks[:n-1]
	}
}

func word(t ddl.Token, w string) bool { return t.Kind == ddl.Word && strings.EqualFold(t.Text, w) }

func op(t ddl.Token, s string) bool { return t.Kind == ddl.Op && t.Text == s }

func (e *editor) at(i int) ddl.Token {
	if i < len(e.toks) {
		return e.toks[i]
	}
	return ddl.Token{Pos: len(e.src), End: len(e.src)}
}

func (e *editor) is(w string) bool { return word(e.at(e.i), w) }

func (e *editor) take(words ...string) bool {
	for n, w := range words {
		if !word(e.at(e.i+n), w) {
			return false
		}
	}
	e.i += len(words)
	return true
}

// object moves behind the word TABLE or INDEX when it comes among the verb's modifiers.
func (e *editor) object(w string) bool {
	for i := e.i + 1; i < min(len(e.toks), e.i+6) && e.toks[i].Kind == ddl.Word; i++ {
		if word(e.toks[i], w) {
			e.i = i + 1
			return true
		}
		if word(e.toks[i], "ON") {
			return false
		}
	}
	return false
}

// name replaces the table's name at the cursor; what stands before it is kept as it is.
func (e *editor) name() (head string, err error) {
	t := e.at(e.i)
	if t.Kind != ddl.Word && t.Kind != ddl.Ident && t.Quote != '"' {
		return "", fmt.Errorf("%w: no table name at byte %d", errScript, t.Pos)
	}
	head = e.src[:t.Pos] + e.to
	e.i++
	if op(e.at(e.i), ".") {
		e.i += 2
	}
	return head, nil
}

// rest is the source behind the last token that was taken.
func (e *editor) rest() string { return e.src[e.at(e.i-1).End:] }

func (e *editor) create() (string, error) {
	e.take("IF", "NOT", "EXISTS")
	head, err := e.name()
	if err != nil {
		return "", err
	}
	if e.own {
		return head + e.rest(), nil
	}
	between := e.rest()
	if !op(e.at(e.i), "(") {
		return head + between, nil
	}
	from := e.at(e.i).End
	items, last := e.items(e.i + 1)
	if last >= len(e.toks) {
		return "", fmt.Errorf("%w: a bracket is never closed", errScript)
	}
	return head + " (" + e.kept(items, from) + e.src[e.toks[last].Pos:], nil
}

// item is a run of tokens between commas: toks[from:to].
type item struct{ from, to int }

// items splits at the commas outside brackets, up to the bracket that closes or the end.
func (e *editor) items(i int) (out []item, end int) {
	depth, from := 0, i
	for ; i < len(e.toks); i++ {
		switch t := e.toks[i]; {
		case op(t, "("):
			depth++
		case op(t, ")") && depth == 0:
			return append(out, item{from, i}), i
		case op(t, ")"):
			depth--
		case op(t, ",") && depth == 0:
			out = append(out, item{from, i})
			from = i + 1
		}
	}
	return append(out, item{from, i}), i
}

// kept joins the items that stay as the source has them, with the versioned comments that a
// server prints around their ends; from is where the first one's white space begins.
func (e *editor) kept(items []item, from int) string {
	var out []string
	for _, it := range items {
		if text, ok := e.keepItem(it, from); ok {
			out = append(out, text)
		}
		from = e.at(it.to).End
	}
	return strings.Join(out, ",")
}

// keepItem says whether an item of a CREATE or ALTER stays in a table with another name, and
// how: foreign keys go, and checks lose their names.
func (e *editor) keepItem(it item, from int) (string, bool) {
	text := e.src[from:e.at(it.to).Pos]
	i := it.from
	add := word(e.at(i), "ADD")
	if add {
		i++
	}
	if word(e.at(i), "DROP") {
		return text, !e.dropsForeign(i + 1)
	}
	constraint := i
	name := ""
	if word(e.at(i), "CONSTRAINT") {
		if i++; !word(e.at(i), "FOREIGN") && !word(e.at(i), "CHECK") {
			name = e.at(i).Text
			i++
		}
	}
	switch {
	case word(e.at(i), "FOREIGN") && word(e.at(i+1), "KEY"):
		e.foreign[strings.ToLower(name)] = true
		e.dropped++
		return "", false
	case word(e.at(i), "CHECK") && i > constraint:
		return e.src[from:e.at(constraint).Pos] + e.src[e.at(i).Pos:e.at(it.to).Pos], true
	}
	return text, true
}

// dropsForeign says that a DROP is about a foreign key.
func (e *editor) dropsForeign(i int) bool {
	if word(e.at(i), "FOREIGN") {
		e.dropped--
		return true
	}
	if !word(e.at(i), "CONSTRAINT") {
		return false
	}
	if i++; word(e.at(i), "IF") {
		i += 2
	}
	if !e.foreign[strings.ToLower(e.at(i).Text)] {
		return false
	}
	e.dropped--
	return true
}

func (e *editor) alter() (string, error) {
	e.take("IF", "EXISTS")
	head, err := e.name()
	if err != nil {
		return "", err
	}
	from := e.at(e.i - 1).End
	items, _ := e.items(e.i)
	var stay []item
	for _, it := range items {
		if !e.renames(it) {
			stay = append(stay, it)
		}
	}
	if len(stay) == len(items) && e.own {
		return head + e.rest(), nil
	}
	var texts []string
	for _, it := range stay {
		if it.from == it.to {
			continue
		}
		text, ok := e.src[e.at(it.from).Pos:e.at(it.to).Pos], true
		if !e.own {
			text, ok = e.keepItem(it, e.at(it.from).Pos)
		}
		if ok {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return "", nil
	}
	return head + e.src[from:e.at(e.i).Pos] + strings.Join(texts, ", "), nil
}

// renames says that an item of an ALTER gives the table another name.
func (e *editor) renames(it item) bool {
	next := e.at(it.from + 1)
	return word(e.at(it.from), "RENAME") && !word(next, "COLUMN") && !word(next, "INDEX") && !word(next, "KEY") && !word(next, "CONSTRAINT")
}

// index rewrites CREATE INDEX i ON t and DROP INDEX i ON t.
func (e *editor) index() (string, error) {
	for ; e.i < len(e.toks); e.i++ {
		if !e.is("ON") {
			continue
		}
		e.i++
		head, err := e.name()
		return head + e.rest(), err
	}
	return "", fmt.Errorf("%w: an index without a table", errScript)
}
