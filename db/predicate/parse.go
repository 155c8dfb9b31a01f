package predicate

import (
	"maps"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// deepest is how far parentheses, NOT and signs may be nested.
const deepest = 200

type parser struct {
	src   string
	toks  []token
	i     int
	table *db.Table
	used  map[int]bool
	read  *[]int // the columns that all of the expression reads, once it is parsed
	depth int
}

// Parse reads a condition over the columns of t, in the language of the package comment. An
// error is a lull.Error of kind Usage in one line that names the character where it is.
func Parse(expr string, t *db.Table) (*Expr, error) {
	toks, err := tokenize(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{src: expr, toks: toks, table: t, used: map[int]bool{}, read: new([]int)}
	v, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != end {
		return nil, p.expected("AND, OR or the end")
	}
	match, err := p.truth(v)
	if err != nil {
		return nil, err
	}
	*p.read = slices.Sorted(maps.Keys(p.used))
	return &Expr{src: expr, match: match, columns: *p.read}, nil
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) fail(pos int, hint, format string, args ...any) error {
	return errorAt(p.src, pos, hint, format, args...)
}

func (p *parser) expected(what string) error {
	t := p.peek()
	if t.kind == end {
		return p.fail(t.pos, "", "expected %s, found the end", what)
	}
	text := p.src[t.pos:p.toks[p.i+1].pos]
	if len(text) > 30 {
		text = text[:30]
	}
	return p.fail(t.pos, "", "expected %s, found %q", what, strings.TrimSpace(text))
}

// word takes one of the keywords.
func (p *parser) word(ws ...string) bool {
	t := p.peek()
	for _, w := range ws {
		if t.kind == word && strings.EqualFold(t.text, w) {
			p.i++
			return true
		}
	}
	return false
}

// op takes one of the operators and is "" when none comes next.
func (p *parser) op(ops ...string) string {
	t := p.peek()
	if t.kind == op && slices.Contains(ops, t.text) {
		p.i++
		return t.text
	}
	return ""
}

// chain reads operands of one of the three logical operators.
func (p *parser) chain(operand func() (value, error), more func() bool, join func([]test) test) (value, error) {
	first, err := operand()
	if err != nil || !more() {
		return first, err
	}
	t, err := p.truth(first)
	if err != nil {
		return first, err
	}
	tests := []test{t}
	for {
		v, err := operand()
		if err != nil {
			return v, err
		}
		if t, err = p.truth(v); err != nil {
			return v, err
		}
		tests = append(tests, t)
		if !more() {
			return p.logical(join(tests), first.pos), nil
		}
	}
}

func (p *parser) or() (value, error) {
	return p.chain(p.xor, func() bool { return p.word("or") || p.op("||") != "" }, or)
}

func (p *parser) xor() (value, error) {
	return p.chain(p.and, func() bool { return p.word("xor") }, xor)
}

func (p *parser) and() (value, error) {
	return p.chain(p.not, func() bool { return p.word("and") || p.op("&&") != "" }, and)
}

func (p *parser) not() (value, error) {
	pos := p.peek().pos
	if !p.word("not") {
		return p.comparison()
	}
	return p.negated(pos, p.not)
}

// negated reads an operand of NOT or ! one level deeper.
func (p *parser) negated(pos int, operand func() (value, error)) (value, error) {
	if err := p.deeper(pos); err != nil {
		return value{}, err
	}
	defer func() { p.depth-- }()
	v, err := operand()
	if err != nil {
		return v, err
	}
	t, err := p.truth(v)
	return p.logical(negate(t), pos), err
}

func (p *parser) deeper(pos int) error {
	if p.depth++; p.depth > deepest {
		return p.fail(pos, "", "expected at most %d levels of nesting", deepest)
	}
	return nil
}

// comparison reads a = b, a IS NULL and chains of them, which bind to the left.
func (p *parser) comparison() (value, error) {
	left, err := p.predicate()
	for err == nil {
		if p.word("is") {
			left, err = p.is(left)
			continue
		}
		at := p.peek().pos
		o := p.op("=", "<>", "!=", "<", "<=", ">", ">=", "<=>")
		if o == "" {
			return left, nil
		}
		var right value
		if right, err = p.predicate(); err != nil {
			return left, err
		}
		var t test
		t, err = p.compare(o, at, left, right)
		left = p.logical(t, left.pos)
	}
	return left, err
}

func (p *parser) is(left value) (value, error) {
	negative := p.word("not")
	var t test
	switch {
	case p.word("null"):
		t = left.isNull()
	case p.word("true", "false", "unknown"):
		want := map[string]Tri{"true": True, "false": False, "unknown": Unknown}[strings.ToLower(p.toks[p.i-1].text)]
		truth, err := p.truth(left)
		if err != nil {
			return left, err
		}
		t = func(r db.Row) Tri {
			got := truth(r)
			if got == Unknown && left.absent(r) {
				return Unknown
			}
			return tri(got == want)
		}
	default:
		return left, p.expected("NULL, NOT NULL, TRUE, FALSE or UNKNOWN")
	}
	if negative {
		t = negate(t)
	}
	return p.logical(t, left.pos), nil
}

// predicate reads IN, BETWEEN and LIKE.
func (p *parser) predicate() (value, error) {
	left, err := p.primary()
	if err != nil {
		return left, err
	}
	at := p.peek().pos
	negative := p.word("not")
	var t test
	switch {
	case p.word("in"):
		t, err = p.in(left, at)
	case p.word("between"):
		t, err = p.between(left, at)
	case p.word("like"):
		t, err = p.like(left)
	case negative:
		return left, p.expected("IN, BETWEEN or LIKE")
	default:
		return left, nil
	}
	if err != nil {
		return left, err
	}
	if negative {
		t = negate(t)
	}
	return p.logical(t, left.pos), nil
}

func (p *parser) in(left value, at int) (test, error) {
	if p.op("(") == "" {
		return nil, p.expected(`"("`)
	}
	var items []value
	for {
		v, err := p.primary()
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		if p.op(")") != "" {
			break
		}
		if p.op(",") == "" {
			return nil, p.expected(`"," or ")"`)
		}
	}
	return p.oneOf(left, items, at)
}

func (p *parser) between(left value, at int) (test, error) {
	low, err := p.primary()
	if err != nil {
		return nil, err
	}
	if !p.word("and") {
		return nil, p.expected("AND")
	}
	high, err := p.primary()
	if err != nil {
		return nil, err
	}
	from, err := p.compare(">=", at, left, low)
	if err != nil {
		return nil, err
	}
	to, err := p.compare("<=", at, left, high)
	return and([]test{from, to}), err
}

// primary reads a literal, a column, a condition in parentheses, or ! before one of them.
func (p *parser) primary() (value, error) {
	t := p.peek()
	p.i++
	switch t.kind {
	case str:
		return p.text(t), nil
	case number:
		return value{class: exact, lit: true, data: []byte(t.text), pos: t.pos}, nil
	case hexes:
		return value{class: binary, lit: true, data: []byte(t.text), pos: t.pos, hex: true}, nil
	case quoted:
		return p.column(t)
	case word:
		return p.named(t)
	case op:
		return p.prefixed(t)
	}
	p.i--
	return value{}, p.expected("a value")
}

// text joins adjacent strings, as SQL does.
func (p *parser) text(t token) value {
	v := value{class: text, lit: true, data: []byte(t.text), pos: t.pos, fold: true, charset: "utf8mb4"}
	for p.peek().kind == str {
		v.data = append(v.data, p.peek().text...)
		p.i++
	}
	return v
}

func (p *parser) prefixed(t token) (value, error) {
	switch t.text {
	case "!":
		return p.negated(t.pos, p.primary)
	case "(":
		if err := p.deeper(t.pos); err != nil {
			return value{}, err
		}
		defer func() { p.depth-- }()
		v, err := p.or()
		if err == nil && p.op(")") == "" {
			err = p.expected(`")"`)
		}
		return v, err
	case "-", "+":
		if n := p.peek(); n.kind == number {
			p.i++
			sign := strings.TrimPrefix(t.text, "+")
			return value{class: exact, lit: true, data: []byte(sign + n.text), pos: t.pos}, nil
		}
		return value{}, p.expected("a number")
	}
	p.i--
	return value{}, p.expected("a value")
}

// named reads a keyword that is a value, or a column.
func (p *parser) named(t token) (value, error) {
	next := p.peek()
	switch strings.ToLower(t.text) {
	case "true", "false":
		d := "0"
		if strings.EqualFold(t.text, "true") {
			d = "1"
		}
		return value{class: exact, lit: true, data: []byte(d), pos: t.pos}, nil
	case "null":
		return value{class: null, lit: true, pos: t.pos}, nil
	case "date", "time", "timestamp":
		if next.kind == str {
			p.i++
			return p.text(next), nil
		}
	case "and", "or", "xor", "not", "in", "is", "like", "between", "escape":
		p.i--
		return value{}, p.expected("a value")
	}
	if next.kind == op && next.text == "(" {
		return value{}, p.fail(t.pos, "functions cannot be used here", "expected a column or a value, found function %q", t.text)
	}
	return p.column(t)
}

// column finds a column by name; table.column and schema.table.column name it, too.
func (p *parser) column(t token) (value, error) {
	name := t
	for p.op(".") != "" {
		name = p.peek()
		if name.kind != word && name.kind != quoted {
			return value{}, p.expected("a column name")
		}
		p.i++
	}
	i := p.table.Index(name.text)
	if i < 0 {
		return value{}, p.fail(name.pos, "columns: "+p.columnNames(), "unknown column %q in table %s", name.text, p.table.Name)
	}
	p.used[i] = true
	return columnValue(&p.table.Columns[i], i, t.pos), nil
}

func (p *parser) columnNames() string {
	names := make([]string, len(p.table.Columns))
	for i, c := range p.table.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
