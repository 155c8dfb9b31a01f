package ddl

import "github.com/lull-ops/lull/db"

// dml finds the tables that a DML statement changes.
func (c *cursor) dml(s *Statement, schema string) bool {
	verb := c.peek()
	c.i++
	for c.any("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "CONCURRENT", "QUICK", "IGNORE") {
	}
	switch {
	case verb.isWord("DELETE"):
		s.Verb = Delete
		c.any("HISTORY")
		return c.deleteTargets(s, schema)
	case verb.isWord("UPDATE"):
		s.Verb = Update
		for _, r := range c.references(schema, "SET") {
			s.Tables = append(s.Tables, r.table)
		}
		return len(s.Tables) > 0
	case verb.isWord("LOAD"):
		return c.load(s, schema)
	}
	s.Verb = Insert
	if verb.isWord("REPLACE") {
		s.Verb = Replace
	}
	c.any("INTO")
	ok := c.target(s, schema)
	for !c.done() && !s.Select {
		s.Select = c.any("SELECT", "WITH") || c.peek().isOp("(") && c.peekAt(1).isOneOf("SELECT", "WITH")
		if !c.group() {
			c.i++
		}
	}
	return ok
}

func (c *cursor) load(s *Statement, schema string) bool {
	if !c.any("DATA", "XML") {
		return false
	}
	s.Verb = Load
	for !c.done() {
		if c.words("INTO", "TABLE") {
			return c.target(s, schema)
		}
		c.i++
	}
	return false
}

// reference is a table in a FROM list and the name it goes by there.
type reference struct {
	table db.Name
	alias string
}

// deleteTargets resolves the three forms: DELETE FROM t, DELETE a, b FROM refs, and
// DELETE FROM a, b USING refs.
func (c *cursor) deleteTargets(s *Statement, schema string) bool {
	from := c.any("FROM")
	var targets []db.Name
	for {
		n, ok := c.table("")
		if !ok {
			return false
		}
		if c.op(".") {
			c.op("*")
		}
		targets = append(targets, n)
		if !c.op(",") {
			break
		}
	}
	if !from && !c.any("FROM") || from && !c.any("USING") {
		if n := targets[0]; n.Schema == "" {
			targets[0].Schema = schema
		}
		s.Tables = targets[:1]
		return from
	}
	refs := c.references(schema, "WHERE")
	for _, n := range targets {
		s.Tables = append(s.Tables, resolve(n, refs, schema))
	}
	return true
}

// resolve finds the table that a target of a multi-table DELETE means.
func resolve(n db.Name, refs []reference, schema string) db.Name {
	if n.Schema != "" {
		return n
	}
	for _, r := range refs {
		if r.alias == n.Table {
			return r.table
		}
	}
	return db.Name{Schema: schema, Table: n.Table}
}

// references takes the tables of a FROM list up to a word outside parentheses. Derived
// tables are left out.
func (c *cursor) references(schema, until string) []reference {
	var out []reference
	wanted := true // a table's name may come next
	for !c.done() && !c.peek().isOneOf(until, "ORDER", "LIMIT", "RETURNING") {
		t := c.peek()
		switch {
		case t.isOp("(") && wanted && !c.peekAt(1).isOneOf("SELECT", "WITH", "VALUES", "TABLE"):
			c.i++
		case t.isOp("("):
			c.group()
			wanted = false
		case t.isOp(","), t.isOneOf("JOIN", "STRAIGHT_JOIN"):
			c.i++
			wanted = true
		case wanted && !t.isOneOf("LATERAL"):
			wanted = false
			out = c.reference(out, schema)
		default:
			c.i++
		}
	}
	return out
}

// reference takes one table with its alias.
func (c *cursor) reference(out []reference, schema string) []reference {
	n, ok := c.table(schema)
	if !ok {
		c.i++
		return out
	}
	r := reference{table: n, alias: n.Table}
	if c.any("PARTITION") {
		c.group()
	}
	if c.any("AS") || c.aliasNext() {
		if a, ok := c.name(); ok {
			r.alias = a
		}
	}
	return append(out, r)
}

// aliasNext says that the next word is an alias and not what may follow a table.
func (c *cursor) aliasNext() bool {
	t := c.peek()
	if t.Kind == Ident {
		return true
	}
	return t.Kind == Word && !t.isOneOf("SET", "WHERE", "ORDER", "LIMIT", "JOIN", "INNER", "CROSS", "LEFT", "RIGHT", "NATURAL",
		"STRAIGHT_JOIN", "ON", "USING", "USE", "FORCE", "IGNORE", "RETURNING", "FOR", "PARTITION")
}
