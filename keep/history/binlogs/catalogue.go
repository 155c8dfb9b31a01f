package binlogs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// catalogue is the tables there are at the place of the log that is being read. The server only
// tells what they are by now, which is later.
type catalogue struct {
	conn   *mysql.Conn
	tables map[db.Name]*tracked // by folded name
	whole  bool                 // no wanted table is missing
}

// tracked is a table.
type tracked struct {
	def *history.Definition // nil when nobody knows it
	// until is where the server was when it told def. A DDL statement that the log has before
	// it may be in def already. Zero when def is right for the place that is being read.
	until   db.Position
	refusal refusal // while def is nil
}

// mayHave says that a statement which ends at a place of the log may be in the definition already.
func (t *tracked) mayHave(end db.Position) bool {
	return t.until.File != "" && !before(t.until, end)
}

func newCatalogue(conn *mysql.Conn, known []*history.Definition) catalogue {
	c := catalogue{conn: conn, tables: map[db.Name]*tracked{}}
	for _, d := range known {
		c.put(d.Table.Name, &tracked{def: d})
	}
	return c
}

// fold is a name as the server tells tables apart.
func (c *catalogue) fold(n db.Name) db.Name {
	if c.conn.LowerCaseNames == 0 {
		return n
	}
	return db.Name{Schema: strings.ToLower(n.Schema), Table: strings.ToLower(n.Table)}
}

func (c *catalogue) get(n db.Name) *tracked { return c.tables[c.fold(n)] }

func (c *catalogue) put(n db.Name, t *tracked) { c.tables[c.fold(n)] = t }

func (c *catalogue) drop(n db.Name) { delete(c.tables, c.fold(n)) }

func (c *catalogue) known() []*history.Definition {
	var out []*history.Definition
	for _, t := range c.tables {
		if t.def != nil {
			out = append(out, t.def)
		}
	}
	slices.SortFunc(out, func(a, b *history.Definition) int { return compareTables(a.Table.Name, b.Table.Name) })
	return out
}

func compareTables(a, b db.Name) int { return strings.Compare(a.String(), b.String()) }

// inSchema are the names of a schema's tables.
func (c *catalogue) inSchema(schema string) []db.Name {
	want := c.fold(db.Name{Schema: schema}).Schema
	var out []db.Name
	for n, t := range c.tables {
		if n.Schema != want {
			continue
		}
		if t.def != nil {
			n = t.def.Table.Name
		}
		out = append(out, n)
	}
	slices.SortFunc(out, compareTables)
	return out
}

// parallelAsks is how many definitions are read at once; the pool has connections for more.
const parallelAsks = 4

// preload reads the definitions of all wanted tables when the feed begins at the server's
// position and knows none.
func (c *catalogue) preload(ctx context.Context, opt FollowOptions) error {
	if opt.From.File != "" || len(opt.Known) > 0 {
		return nil
	}
	names, err := c.conn.Tables(ctx, "")
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n db.Name) bool { return !opt.Want(n) })
	found := make([]*tracked, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelAsks)
	for i, n := range names {
		g.Go(func() (err error) {
			t := &tracked{}
			found[i] = t
			t.def, t.until, err = c.ask(ctx, n)
			if _, other := errors.AsType[*mysql.NotTableError](err); other {
				return nil // it is one by now
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, t := range found {
		if t.def != nil { // else it was dropped meanwhile
			c.put(names[i], t)
		}
	}
	c.whole = true
	return nil
}

// ask reads a table's definition from the server, nil when it has no such table, and a position
// of the server at which the definition was the same.
func (c *catalogue) ask(ctx context.Context, n db.Name) (*history.Definition, db.Position, error) {
	t, create, err := c.conn.Definition(ctx, n)
	if other, ok := errors.AsType[*mysql.NotTableError](err); ok {
		return nil, db.Position{}, other
	}
	if _, gone := errors.AsType[*mysql.UnknownTableError](err); gone {
		return nil, db.Position{}, nil
	}
	if err != nil {
		return nil, db.Position{}, err
	}
	pos, err := c.conn.Position(ctx)
	if err != nil {
		return nil, pos, err
	}
	def, err := define(t, []string{create})
	return def, pos, err
}

// define makes a definition of what users see of a table: without the columns and key parts of
// MariaDB's system versioning, which no row that is handed out has.
func define(t *db.Table, script []string) (*history.Definition, error) {
	out := *t
	out.Triggers = nil
	n := len(t.Columns)
	for n > 0 && t.Columns[n-1].Invisible && hidden(t.Columns[n-1].Name) {
		n--
	}
	out.Columns = t.Columns[:n]
	out.Keys = slices.Clone(t.Keys)
	for i := range out.Keys {
		k := &out.Keys[i]
		k.Columns = slices.DeleteFunc(slices.Clone(k.Columns), func(c int) bool { return c >= n })
	}
	return history.NewDefinition(&out, script)
}

// respelled is a definition once a table, maybe its own, has got another name.
func respelled(d *history.Definition, from, to db.Name, script []string) (*history.Definition, error) {
	t := *d.Table
	t.Parents = slices.Clone(t.Parents)
	if t.Name == from {
		t.Name = to
	}
	for i := range t.Parents {
		t.Parents[i].Child = t.Name
		if t.Parents[i].Parent == from {
			t.Parents[i].Parent = to
		}
	}
	return history.NewDefinition(&t, script)
}

// settled is a definition as of a place of the log.
type settled struct {
	def   *history.Definition
	until db.Position
	doubt bool // it may be of a later place
}

// settle finds the definition of a table right behind a statement that ends at a place of the
// log. derived is what the statement should have made of it, nil when nobody knows; script makes
// the same. The server's own words are better, when they are still about that.
func (c *catalogue) settle(ctx context.Context, n db.Name, end db.Position, derived *db.Table, script []string) (settled, error) {
	now, until, err := c.ask(ctx, n)
	if _, other := errors.AsType[*mysql.NotTableError](err); err != nil && !other {
		return settled{}, err
	}
	if now != nil {
		changed, sure, err := c.redefined(ctx, n, end, until)
		if err != nil {
			return settled{}, err
		}
		if sure && !changed && (derived == nil || sameParents(now.Table, derived)) || !sure && derived != nil && sameShape(now.Table, derived) {
			return settled{def: now}, nil
		}
	}
	if derived != nil {
		def, err := define(derived, script)
		return settled{def: def}, err
	}
	return settled{def: now, until: until, doubt: true}, nil
}

// mostLag is how much of the log is read for a statement about a table that comes later.
const mostLag = 256 << 20

// redefined says that the log has another statement about a table between two places. It is not
// sure when there is too much to read.
func (c *catalogue) redefined(ctx context.Context, n db.Name, from, to db.Position) (changed, sure bool, err error) {
	if !before(from, to) {
		return false, true, nil
	}
	files, err := c.conn.Binlogs(ctx)
	if err != nil {
		return false, false, err
	}
	var logs []Log
	lag := to.Offset - from.Offset
	for _, f := range files {
		if compareNames(f.Name, from.File) < 0 || compareNames(f.Name, to.File) > 0 {
			continue
		}
		logs = append(logs, serverLog{c.conn, f})
		if f.Name != to.File {
			lag += f.Size
		}
	}
	if lag > mostLag || len(logs) == 0 {
		return false, false, nil
	}
	found, err := Redefinitions(ctx, logs, history.Place{File: from.File, End: from.Offset}, []db.Name{n})
	return len(found) > 0, true, err
}

// before says that a place of the log comes before another.
func before(a, b db.Position) bool {
	if c := compareNames(a.File, b.File); c != 0 {
		return c < 0
	}
	return a.Offset < b.Offset
}

// sameShape says that two shapes take the same rows. Where one does not know a character set,
// the other's holds.
func sameShape(a, b *db.Table) bool {
	return slices.EqualFunc(shown(a), shown(b), func(x, y db.Column) bool {
		return strings.EqualFold(x.Name, y.Name) && x.DataType == y.DataType && x.Unsigned == y.Unsigned &&
			x.Nullable == y.Nullable && x.Generated == y.Generated && x.Length == y.Length && x.Scale == y.Scale &&
			slices.Equal(x.Elements, y.Elements) && sameCharset(x.Charset, y.Charset)
	}) && len(a.Keys) == len(b.Keys) && len(a.Parents) == len(b.Parents) && slices.Equal(a.RowKey(), b.RowKey())
}

// sameParents says that two shapes refer to the same tables: a RENAME changes the children of a
// table, too.
func sameParents(a, b *db.Table) bool {
	names := func(t *db.Table) (out []string) {
		for _, k := range t.Parents {
			out = append(out, k.Parent.String())
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(names(a), names(b))
}

// shown is a table's columns without hidden ones.
func shown(t *db.Table) []db.Column {
	n := len(t.Columns)
	for n > 0 && t.Columns[n-1].Invisible && hidden(t.Columns[n-1].Name) {
		n--
	}
	return t.Columns[:n]
}

func sameCharset(a, b string) bool {
	return a == b || a == "" || b == "" || threeByte(a) && threeByte(b)
}

func threeByte(charset string) bool { return charset == "utf8" || charset == "utf8mb3" }

// derive is a table that its script makes, nil when the script cannot be read.
func derive(n db.Name, script []string) *db.Table {
	text := "USE `" + strings.ReplaceAll(n.Schema, "`", "``") + "`;\n" + strings.Join(script, ";\n")
	tables, err := ddl.ParseCreateTables(text)
	if err != nil {
		return nil
	}
	for _, t := range tables {
		if sameTable(t.Name, n) {
			return t
		}
	}
	return nil
}

// renaming is a statement of a script that gives a table another name.
func renaming(from, to db.Name) string {
	return "RENAME TABLE " + quoted(from.Table) + " TO " + quoted(to.Table)
}

func quoted(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// unqualified is a statement without the schemas in front of its tables' names. Scripts are run
// in any schema, and must not touch a table of the same name elsewhere.
func unqualified(sql string, names ...db.Name) string {
	toks := ddl.Tokenize(sql)
	var out strings.Builder
	at := 0
	for i := 0; i+2 < len(toks); i++ {
		dotted := toks[i+1].Kind == ddl.Op && toks[i+1].Text == "." && (i == 0 || toks[i-1].Text != ".")
		isName := toks[i].Kind == ddl.Word || toks[i].Kind == ddl.Ident
		if !dotted || !isName || !slices.ContainsFunc(names, func(n db.Name) bool { return strings.EqualFold(n.Schema, toks[i].Text) }) {
			continue
		}
		out.WriteString(sql[at:toks[i].Pos])
		at = toks[i+2].Pos
	}
	out.WriteString(sql[at:])
	return out.String()
}

// childrenOf are the tables that refer to a parent.
func (c *catalogue) childrenOf(parent db.Name) []*tracked {
	var out []*tracked
	for _, n := range slices.SortedFunc(maps.Keys(c.tables), compareTables) {
		t := c.tables[n]
		if t.def != nil && slices.ContainsFunc(t.def.Table.Parents, func(k db.ForeignKey) bool { return c.fold(k.Parent) == c.fold(parent) }) {
			out = append(out, t)
		}
	}
	return out
}
