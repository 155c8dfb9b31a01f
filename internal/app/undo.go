package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/watch/accident"
)

// Undo says what is to be undone, and how.
type Undo struct {
	Selection
	Request  undo.Request
	Into     string
	Places   *Places
	Store    *act.Store
	Progress func(label string) func(read, total int64)
	// Direct, when set, opens where SQL goes. It is called when the rows can be written while
	// they are read; else the plan's rows are to be written by WriteSQL.
	Direct func() (io.Writer, error)
}

// Plan finds the selected transactions and makes the plan that takes them back.
func (d *Database) Plan(ctx context.Context, u Undo) (*act.Plan, error) {
	sel, err := d.pick(ctx, u.Selection, u.Places, u.Progress("reading binlogs"))
	if err != nil {
		return nil, err
	}
	u.Request.Source, u.Request.At = sel.source, sel.earliest()
	var target undo.Target
	if d.Conn != nil {
		target = newTarget(d.Conn)
		u.Request.Target = d.Conn.DSN.String()
		if u.Request.Server, err = Identity(ctx, d.Conn); err != nil {
			return nil, err
		}
	}
	if u.Into != "" {
		if u.Request.Into, err = d.sideTable(u.Into, sel); err != nil {
			return nil, err
		}
	}
	b, err := undo.NewBuild(u.Request, target, u.Store)
	if err != nil {
		return nil, err
	}
	if u.Direct != nil && d.Conn == nil && sel.onlyDeletes() {
		out, err := u.Direct()
		if err == nil {
			err = b.Direct(out)
		}
		if err != nil {
			return nil, errors.Join(err, b.Discard())
		}
	}
	p := planner{d: d, b: b, sel: sel, into: u.Into != "", takers: map[db.Name]func(*db.Change) error{}}
	if err := p.gather(ctx); err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	plan, err := b.Plan(ctx)
	return plan, errors.Join(err, b.Discard())
}

func (d *Database) sideTable(into string, sel *selected) (db.Name, error) {
	if len(sel.tables) != 1 {
		return db.Name{}, lull.Errorf(lull.Usage, "choose one with --table", "--into takes the rows of one table, and this touches %d", len(sel.tables))
	}
	schema := d.defaultSchema()
	if schema == "" {
		schema = sel.tables[0].Schema
	}
	name, err := parseName(into, schema)
	if err == nil && strings.EqualFold(name.String(), sel.tables[0].String()) {
		err = lull.Errorf(lull.Usage, "name another table, such as "+name.Table+"_back", "--into %s is the table itself", name)
	}
	return name, err
}

// planner hands the selected changes to a build.
type planner struct {
	d      *Database
	b      *undo.Build
	sel    *selected
	into   bool
	since  []binlogs.Redefinition
	loaded bool
	takers map[db.Name]func(*db.Change) error
	shapes map[db.Name]*db.Table
}

func (p *planner) gather(ctx context.Context) error {
	for _, g := range p.sel.result.Gaps {
		p.b.Warn(true, "%s at byte %d: %s", g.File, g.Pos, g.Reason)
	}
	for i := range p.sel.result.Touches {
		t := &p.sel.result.Touches[i]
		if t.RowsStay() {
			continue
		}
		p.b.Warn(true, "%s of %s in between cannot be undone: the log holds the statement, not the rows", strings.ToUpper(t.DDL), t.Table)
	}
	wanted := map[db.Name]bool{}
	for _, name := range p.sel.tables {
		wanted[name] = true
	}
	p.shapes = map[db.Name]*db.Table{}
	shape := func(t *binlog.TableMap) (*db.Table, error) {
		name := db.Name{Schema: t.Schema, Table: t.Table}
		if !wanted[name] {
			return nil, nil
		}
		return p.open(ctx, t)
	}
	err := binlogs.Changes(ctx, p.d.Logs, p.sel.result.Places, shape, func(ch *db.Change, _ history.Place) error {
		return p.takers[ch.Table.Name](ch)
	})
	if err != nil || p.d.Conn == nil || len(p.b.Keyless()) == 0 {
		return err
	}
	return p.later(ctx, shape)
}

// later hands out what became of tables without a key after the accident.
func (p *planner) later(ctx context.Context, shape func(*binlog.TableMap) (*db.Table, error)) error {
	last := p.sel.result.Places[len(p.sel.result.Places)-1]
	names := history.Names{}
	for _, n := range p.b.Keyless() {
		names = append(names, n.String())
	}
	w := history.Window{Since: history.Bound{File: last.File, Pos: last.End}}
	r, err := binlogs.Scan(ctx, p.d.Logs, binlogs.Query{Window: w, Tables: names, All: true, MinRows: 1, Places: true})
	if err != nil || len(r.Places) == 0 {
		return err
	}
	return binlogs.Changes(ctx, p.d.Logs, r.Places, shape, func(ch *db.Change, _ history.Place) error {
		return p.b.Later(ch.Table.Name, ch)
	})
}

// open works out a table's columns of then and registers it with the build, the first time
// the log describes it.
func (p *planner) open(ctx context.Context, t *binlog.TableMap) (*db.Table, error) {
	name := db.Name{Schema: t.Schema, Table: t.Table}
	live, err := p.live(ctx, name)
	if err != nil {
		return nil, err
	}
	given := p.d.givenTable(name)
	if err := p.redefinitions(ctx, t, given, live); err != nil {
		return nil, err
	}
	if live == nil {
		if live, err = p.liveNow(ctx, name); err != nil {
			return nil, err
		}
	}
	then, err := binlogs.ShapeThen(t, given, live, p.since)
	if err != nil {
		return nil, err
	}
	then.Shape.Name = name
	if old := p.shapes[name]; old != nil {
		if !sameNames(old, then.Shape) {
			return nil, lull.Errorf(lull.Refused, "undo the transactions before and after it one by one", "the columns of %s were changed in the middle of what is to be undone", name)
		}
		return then.Shape, nil
	}
	if live == nil || then.Now != name {
		if live, err = p.renamed(ctx, name, then, given); err != nil {
			return nil, err
		}
	}
	take, err := p.b.Open(ctx, then.Shape, live, then.Renamed)
	if err != nil {
		return nil, err
	}
	p.shapes[name], p.takers[name] = then.Shape, take
	return then.Shape, p.warn(ctx, name, live)
}

func sameNames(a, b *db.Table) bool {
	if len(a.Columns) != len(b.Columns) {
		return false
	}
	for i := range a.Columns {
		if !strings.EqualFold(a.Columns[i].Name, b.Columns[i].Name) {
			return false
		}
	}
	return true
}

// live is the table as it is now; nil when there is no server or no such table.
func (p *planner) live(ctx context.Context, name db.Name) (*db.Table, error) {
	if p.d.Conn == nil {
		return nil, nil
	}
	t, err := p.d.Conn.Table(ctx, name)
	if lull.KindOf(err) == lull.Usage {
		return nil, nil
	}
	return t, err
}

// liveNow is the table under the name it was given since; nil when there is none.
func (p *planner) liveNow(ctx context.Context, name db.Name) (*db.Table, error) {
	now := binlogs.NameNow(name, p.since)
	if now == name {
		return nil, nil
	}
	return p.live(ctx, now)
}

// redefinitions reads what became of the tables since, when it can matter: the log does not
// name its columns, or names others than the table has.
func (p *planner) redefinitions(ctx context.Context, t *binlog.TableMap, given, live *db.Table) error {
	if p.loaded || p.d.Conn == nil {
		return nil
	}
	if (t.HasNames || given != nil) && live != nil && namesAgree(t, given, live) {
		return nil
	}
	p.loaded = true
	last := p.sel.result.Places[len(p.sel.result.Places)-1]
	var err error
	p.since, err = binlogs.Redefinitions(ctx, p.d.Logs, last, p.sel.tables)
	return err
}

func namesAgree(t *binlog.TableMap, given, live *db.Table) bool {
	shape := given
	if shape == nil {
		shape = t.Shape()
	}
	for i := range shape.Columns {
		if live.Index(shape.Columns[i].Name) < 0 {
			return false
		}
	}
	return true
}

// renamed finds the table that the logged one is now.
func (p *planner) renamed(ctx context.Context, name db.Name, then *binlogs.Then, given *db.Table) (*db.Table, error) {
	if p.d.Conn == nil {
		if given != nil {
			return given, nil
		}
		if then.Shape.RowKey() == nil {
			p.b.Warn(false, "the log does not say which columns are the key of %s: rows are told apart by all their columns", name)
		}
		return then.Shape, nil
	}
	if then.Now != name {
		p.b.Warn(false, "%s is now called %s", name, then.Now)
		return p.d.Conn.Table(ctx, then.Now)
	}
	if p.into {
		return then.Shape, nil
	}
	return nil, lull.Errorf(lull.Refused, "create it again from `lull show` or a dump, or write the rows as SQL with --binlog and --out",
		"table %s is not there any more", name)
}

// warn says what the plan cannot bring back, and what it cannot see.
func (p *planner) warn(ctx context.Context, name db.Name, live *db.Table) error {
	total := p.sel.result.Totals[name]
	if total == nil {
		return nil
	}
	if total.Incomplete == history.Savepoint {
		return lull.Errorf(lull.No, "look at the rows with `lull find --key`, and put back by hand what is missing",
			"part of the transaction was rolled back to a savepoint while a table without transactions was written: the log does not tell which rows of %s", name)
	}
	logged := false
	var known *db.Table
	if p.d.Conn != nil {
		var err error
		known = live
		if logged, err = p.d.Conn.LogsCascades(ctx); err != nil {
			return err
		}
		sees, err := p.d.Conn.SeesTriggers(ctx, live.Name)
		if err != nil {
			return err
		}
		if !sees {
			p.b.Warn(false, "this user has no TRIGGER privilege: whether triggers of %s will fire cannot be seen", live.Name)
		}
	}
	for _, child := range accident.Cascaded(total, known, logged) {
		if total.Origin == history.MariaDB {
			p.b.Warn(true, "rows of %s may have fallen or changed by a foreign key on %s; MariaDB does not log them: take them from a backup", child, name)
			continue
		}
		p.b.Warn(true, "rows of %s may have fallen or changed by a foreign key on %s; this server does not log them: take them from a backup", child, name)
	}
	return nil
}

// TakeBack makes the plan that undoes another plan.
func TakeBack(ctx context.Context, c *mysql.Conn, done *act.Stored, req undo.Request, store *act.Store) (*act.Plan, error) {
	if done.State() == act.Planned {
		return nil, lull.Errorf(lull.Usage, "there is nothing to take back", "plan %s was never applied", done.ID)
	}
	server, err := Identity(ctx, c)
	if err != nil {
		return nil, err
	}
	if server != done.Server {
		return nil, lull.Errorf(lull.Refused, "connect to the server the plan was made for", "plan %s was made for another server", done.ID)
	}
	req.Source, req.Target, req.Server = []string{done.ID}, c.DSN.String(), server
	target := newTarget(c)
	b, err := undo.NewBuild(req, target, store)
	if err != nil {
		return nil, err
	}
	err = takeBack(ctx, target, b, done)
	if err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	plan, err := b.Plan(ctx)
	return plan, errors.Join(err, b.Discard())
}

func takeBack(ctx context.Context, target undo.Target, b *undo.Build, done *act.Stored) error {
	for i := range done.Tables {
		t := &done.Tables[i]
		live, err := target.Table(ctx, t.Name)
		if err != nil {
			return err
		}
		take, err := b.Open(ctx, t.Shape, live, nil)
		if err != nil {
			return err
		}
		if err := undo.Changes(done, i, take); err != nil {
			return fmt.Errorf("read plan %s: %w", done.ID, err)
		}
	}
	return nil
}

// Apply carries out a stored plan on the server it was made for.
func Apply(ctx context.Context, c *mysql.Conn, plan *act.Stored, opt undo.ApplyOptions) (*act.Receipt, error) {
	server, err := Identity(ctx, c)
	if err != nil {
		return nil, err
	}
	opt.Server = server
	r, err := undo.Apply(ctx, newTarget(c), plan, opt)
	return r, denied(err)
}

// WriteSQL writes a plan as SQL.
func WriteSQL(out io.Writer, plan *act.Stored) error { return undo.WriteSQL(out, plan) }
