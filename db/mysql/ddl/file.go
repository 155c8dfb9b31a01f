package ddl

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// file reads the statements of a schema file one after the other.
type file struct {
	lx     lexer
	schema string // of the last USE
	tables map[db.Name]*tableDef
	order  []db.Name
	// databases holds the default character set and collation of each CREATE DATABASE.
	databases map[string][2]string
}

// ParseCreateTables reads the tables of a schema file: the output of SHOW CREATE TABLE,
// mysqldump or mariadb-dump, or statements written by hand. USE, CREATE DATABASE, DROP, RENAME,
// ALTER TABLE, CREATE INDEX and CREATE TRIGGER take effect as a server would do it; all else
// is skipped. A table outside any USE has the Schema "". Rows is -1. Children holds the
// references made by tables of the same file. Tables come in the order of the file.
//
// A MariaDB table WITH SYSTEM VERSIONING has the hidden columns that its binlog has. An error
// names the line and what was expected there.
func ParseCreateTables(sql string) ([]*db.Table, error) {
	f := &file{
		lx:        lexer{src: sql, delim: ";"},
		tables:    map[db.Name]*tableDef{},
		databases: map[string][2]string{},
	}
	for {
		more, err := f.statement()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	var out []*db.Table
	for _, name := range f.order {
		if t := f.tables[name]; t != nil {
			out = append(out, t.Table)
		}
	}
	fillChildren(out)
	return out, nil
}

func fillChildren(tables []*db.Table) {
	byName := make(map[db.Name]*db.Table, len(tables))
	for _, t := range tables {
		byName[t.Name] = t
	}
	for _, t := range tables {
		for _, fk := range t.Parents {
			if p := byName[fk.Parent]; p != nil {
				p.Children = append(p.Children, fk)
			}
		}
	}
}

// statement reads one statement; more is false at the end of the file.
func (f *file) statement() (more bool, err error) {
	t := f.lx.next()
	switch {
	case t.Kind == End:
		return t.Text != "", nil
	case t.isWord("DELIMITER"):
		return true, f.delimiter()
	case t.isWord("USE"):
		f.use()
		return true, nil
	case !t.isOneOf("CREATE", "ALTER", "DROP", "RENAME"):
		return true, f.skip(t)
	}
	c := &cursor{src: f.lx.src}
	for ; t.Kind != End; t = f.lx.next() {
		c.toks = append(c.toks, t)
		if t.Kind == Bad {
			c.i = len(c.toks) - 1
			return false, c.expected("the end of the statement")
		}
	}
	return true, f.run(c)
}

// skip moves behind the statement that starts with t.
func (f *file) skip(t Token) error {
	for ; t.Kind != End; t = f.lx.next() {
		if t.Kind == Bad {
			c := cursor{src: f.lx.src, toks: []Token{t}}
			return c.expected("the end of the statement")
		}
	}
	return nil
}

// delimiter carries out the mysql client's DELIMITER, which reaches to the end of its line.
func (f *file) delimiter() error {
	from := f.lx.pos
	f.lx.skipPast("\n", 0)
	word := strings.Fields(f.lx.src[from:f.lx.pos])
	const longest = 15 // the client's own limit
	if len(word) == 0 || len(word[0]) > longest {
		c := cursor{src: f.lx.src, toks: []Token{{Kind: Op, Pos: from, End: from}}}
		return c.expected("a delimiter of at most 15 bytes")
	}
	f.lx.delim = word[0]
	return nil
}

// use takes the name after USE; the client needs no delimiter behind it.
func (f *file) use() {
	if t := f.lx.next(); t.Kind != End {
		f.schema = t.Text
	}
	mark := f.lx.pos
	if t := f.lx.next(); t.Kind != End {
		f.lx.pos = mark
	}
}

func (f *file) run(c *cursor) error {
	if c.trigger(f) {
		return nil
	}
	if c.words("ALTER", "DATABASE") || c.words("ALTER", "SCHEMA") {
		f.database(c)
		return nil
	}
	c.i = 0
	s := Statement{}
	known := c.classify(&s, f.schema)
	c.i = 0
	if !known || s.Temporary {
		return nil
	}
	switch s.Verb {
	case Create, CreateOrReplace:
		return f.create(c, s)
	case Alter:
		return f.alter(c)
	case Drop:
		for _, n := range s.Tables {
			delete(f.tables, n)
		}
	case DropDatabase:
		f.dropDatabase(s.Database)
	case CreateDatabase:
		c.words("CREATE", "OR", "REPLACE")
		c.any("CREATE")
		c.i++
		c.words("IF", "NOT", "EXISTS")
		f.database(c)
	case Rename:
		for _, r := range s.Renames {
			f.rename(r)
		}
	}
	return nil
}

// database takes the name and the default character set of a database.
func (f *file) database(c *cursor) {
	name := f.schema
	if !c.peek().isOneOf("DEFAULT", "CHARACTER", "CHARSET", "COLLATE") {
		name, _ = c.name()
	}
	t := tableDef{}
	var charset, collate string
	for !c.done() {
		switch {
		case c.charsetWord():
			charset, _ = c.option()
		case c.any("COLLATE"):
			collate, _ = c.option()
		default:
			c.i++
		}
	}
	t.setCharset(charset, collate)
	f.databases[name] = [2]string{t.charset, t.collation}
}

func (f *file) dropDatabase(name string) {
	for n := range f.tables {
		if n.Schema == name {
			delete(f.tables, n)
		}
	}
}

func (f *file) create(c *cursor, s Statement) error {
	name := s.Tables[0]
	if s.IfNotExists && f.tables[name] != nil {
		return nil
	}
	if s.Like.Table != "" {
		return f.like(c, name, s.Like)
	}
	for !c.done() && !c.peek().isWord("TABLE") {
		c.i++
	}
	c.i++
	c.words("IF", "NOT", "EXISTS")
	c.table("")
	def := f.databases[name.Schema]
	t := &tableDef{Table: &db.Table{Name: name, Rows: -1}, charset: def[0], collation: def[1]}
	if err := c.tableBody(t); err != nil {
		return err
	}
	f.put(t)
	return nil
}

func (f *file) put(t *tableDef) {
	if f.tables[t.Name] == nil {
		f.order = slices.DeleteFunc(f.order, func(n db.Name) bool { return n == t.Name })
		f.order = append(f.order, t.Name)
	}
	f.tables[t.Name] = t
}

// like copies a table's shape: keys come along, references and triggers do not.
func (f *file) like(c *cursor, name, model db.Name) error {
	m := f.tables[model]
	if m == nil {
		return c.expected("table " + model.Table + " earlier in the file")
	}
	t := *m
	t.Table = clone(m.Table)
	t.Name, t.Parents, t.Children, t.Triggers = name, nil, nil, nil
	t.Table.Name = name
	f.put(&t)
	return nil
}

func (f *file) rename(r Renaming) {
	t := f.tables[r.From]
	if t == nil || f.tables[r.To] != nil {
		return
	}
	delete(f.tables, r.From)
	t.Table.Name = r.To
	for i := range t.Parents {
		t.Parents[i].Child = r.To
	}
	f.put(t)
}

// alter carries out an ALTER of a table that the file has; one of another table is skipped.
func (f *file) alter(c *cursor) error {
	line := c.line()
	name, ops, err := c.parseAlter(f.schema)
	t := f.tables[name]
	if t == nil {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range ops {
		if d := ops[i].def; d != nil {
			d.resolve(t.charset, t.collation)
			ops[i].Column = d.col
		}
	}
	after, err := After(t.Table, ops)
	if err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	to := after.Name
	after.Name = name
	t.Table = after
	if to != name {
		f.rename(Renaming{name, to})
	}
	return nil
}

// trigger takes CREATE TRIGGER into its table and says whether it was one.
func (c *cursor) trigger(f *file) bool {
	if !c.any("CREATE") {
		return false
	}
	for !c.done() && !c.any("TRIGGER") {
		if c.peek().isOneOf("TABLE", "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "DATABASE", "INDEX") {
			c.i = 0
			return false
		}
		c.i++
	}
	c.words("IF", "NOT", "EXISTS")
	name, ok := c.table("")
	g := db.Trigger{Name: name.Table, Timing: strings.ToUpper(c.peek().Text)}
	if !ok || !c.any("BEFORE", "AFTER") {
		return true
	}
	g.Event = strings.ToUpper(c.peek().Text)
	for !c.done() && !c.any("ON") {
		c.i++
	}
	if on, ok := c.table(f.schema); ok && f.tables[on] != nil {
		t := f.tables[on].Table
		t.Triggers = append(t.Triggers, g)
	}
	return true
}

var errNoColumns = errors.New("no columns would be left")
