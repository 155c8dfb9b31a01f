package ddl

import "strings"

// NoWhere says that sql is a DELETE or UPDATE that nothing holds back from every row: see
// NoWhereReason.
func NoWhere(sql string) bool { return NoWhereReason(sql) != "" }

// NoWhereReason says in a few words why a DELETE or UPDATE hits every row: it has no LIMIT, no
// join condition, and either no WHERE or one that is true by itself ("WHERE 1=1"). It is ""
// for a statement that is held back, and for any other statement.
func NoWhereReason(sql string) string {
	c := statement(sql)
	c.prologue()
	verb := strings.ToUpper(c.peek().Text)
	if !c.any("DELETE", "UPDATE") {
		return ""
	}
	if c.peek().isWord("HISTORY") && c.peekAt(1).isWord("FROM") {
		return ""
	}
	where, held := c.condition(verb == "DELETE")
	if held {
		return ""
	}
	if where == nil {
		return verb + " without WHERE"
	}
	if !alwaysTrue(where, 0) {
		return ""
	}
	text := c.src[where[0].Pos:where[len(where)-1].End]
	return verb + " with WHERE " + clip(strings.Join(strings.Fields(text), " ")) + ", which is true for every row"
}

// condition finds the tokens of the WHERE outside parentheses; held says that something else
// limits the statement.
func (c *cursor) condition(isDelete bool) (where []Token, held bool) {
	for c.any("LOW_PRIORITY", "QUICK", "IGNORE") {
	}
	namesByUsing := isDelete && c.any("FROM") // DELETE FROM a USING a, b: no join condition
	inTables := true
	for !c.done() {
		switch {
		case c.any("LIMIT", "NATURAL"), c.words("FOR", "PORTION"):
			return nil, true
		case c.any("WHERE"):
			where = c.until("ORDER", "LIMIT", "RETURNING")
			inTables = false
		case c.any("SET", "ORDER", "RETURNING"):
			inTables = false
		case inTables && c.any("ON"):
			if !alwaysTrue(c.until("WHERE", "SET", "JOIN", "LEFT", "RIGHT", "INNER", "CROSS", "STRAIGHT_JOIN", "ORDER", "LIMIT", "RETURNING"), 0) {
				return nil, true
			}
		case inTables && c.any("USING"):
			if !namesByUsing {
				return nil, true
			}
			namesByUsing = false
		case inTables && c.peek().isOp("(") && !c.peekAt(1).isOneOf("SELECT", "WITH"):
			if c.joinInside() {
				return nil, true
			}
		default:
			if !c.group() {
				c.i++
			}
		}
	}
	return where, false
}

// joinInside skips a group and says whether it joins tables on a condition:
// UPDATE (a JOIN b ON a.id = b.id) SET ...
func (c *cursor) joinInside() bool {
	from := c.i
	c.group()
	for _, t := range c.toks[from:c.i] {
		if t.isOneOf("SELECT", "ON", "USING", "NATURAL") {
			return !t.isWord("SELECT")
		}
	}
	return false
}

// until takes tokens up to one of the words outside parentheses, or to the end.
func (c *cursor) until(words ...string) []Token {
	from := c.i
	for !c.done() && !c.peek().isOneOf(words...) && !c.peek().isOp(";") {
		if !c.group() {
			c.i++
		}
	}
	return c.toks[from:c.i]
}

// alwaysTrue says that a condition is surely true whatever the row: constants compared with
// themselves, joined by AND, or by OR with anything. Deep nesting counts as not sure.
func alwaysTrue(toks []Token, depth int) bool {
	const deepest = 16
	if depth > deepest || len(toks) == 0 || toks[0].isWord("CASE") {
		return false
	}
	if parts := split(toks, "OR", "||"); len(parts) > 1 {
		for _, p := range parts {
			if alwaysTrue(p, depth+1) {
				return true
			}
		}
		return false
	}
	if parts := split(toks, "AND", "&&"); len(parts) > 1 {
		for _, p := range parts {
			if !alwaysTrue(p, depth+1) {
				return false
			}
		}
		return true
	}
	if toks[0].isWord("NOT") || toks[0].isOp("!") {
		return len(toks) == 2 && constant(toks[1]) == "0"
	}
	if wrapped(toks) {
		return alwaysTrue(toks[1:len(toks)-1], depth+1)
	}
	return trueTerm(toks)
}

// trueTerm judges one term: 1, TRUE, 'a'='a', 1<>0.
func trueTerm(toks []Token) bool {
	left := constant(toks[0])
	if len(toks) == 1 {
		return left != "" && left[0] != '\'' && left != "0"
	}
	if len(toks) != 3 || left == "" {
		return false
	}
	right := constant(toks[2])
	if right == "" {
		return false
	}
	switch toks[1].Text {
	case "=", "<=>", ">=", "<=":
		return left == right
	case "<>", "!=":
		return left != right && (left[0] == '\'') == (right[0] == '\'')
	}
	return false
}

// constant is a literal in a comparable form, or "" for anything else and for NULL.
func constant(t Token) string {
	switch {
	case t.Kind == Number:
		s := strings.TrimLeft(t.Text, "0")
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		if s == "" {
			return "0"
		}
		return s
	case t.Kind == String:
		return "'" + t.Text
	case t.isWord("TRUE"):
		return "1"
	case t.isWord("FALSE"):
		return "0"
	}
	return ""
}

// split cuts tokens at a word or operator outside parentheses.
func split(toks []Token, word, op string) [][]Token {
	var out [][]Token
	depth, from := 0, 0
	for i, t := range toks {
		switch {
		case t.isOp("("):
			depth++
		case t.isOp(")"):
			depth--
		case depth == 0 && (t.isWord(word) || t.isOp(op)):
			out = append(out, toks[from:i])
			from = i + 1
		}
	}
	return append(out, toks[from:])
}

// wrapped says that one pair of parentheses holds all the tokens.
func wrapped(toks []Token) bool {
	if len(toks) < 3 || !toks[0].isOp("(") {
		return false
	}
	depth := 0
	for i, t := range toks {
		if t.isOp("(") {
			depth++
		} else if t.isOp(")") {
			depth--
		}
		if depth == 0 {
			return i == len(toks)-1
		}
	}
	return false
}
