package app

import (
	"context"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/watch/accident"
)

// planner hands the selected changes to a build.
type planner struct {
	d      *Database
	b      *undo.Build // nil when the changes are only looked at
	sel    *selected
	into   bool
	since  []binlogs.Redefinition // since the first selected place, oldest first
	logs   []binlogs.Log          // the logs that since was read from
	unread error                  // why since could not be read
	loaded bool
	opened map[db.Name]*opened
}

// opened is a table that the build takes changes of.
type opened struct {
	*then
	take func(*db.Change) error
}

// then is a table as its rows in one transaction have it.
type then struct {
	*binlogs.Then
	given, live *db.Table
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
	shape := func(t *binlog.TableMap, at history.Place) (*db.Table, error) {
		if !slices.Contains(p.sel.tables, db.Name{Schema: t.Schema, Table: t.Table}) {
			return nil, nil
		}
		return p.open(ctx, t, at)
	}
	err := binlogs.Changes(ctx, p.d.Logs, p.sel.result.Places, shape, func(ch *db.Change, at history.Place) error {
		if !p.sel.takes(at, ch.Table.Name) {
			return nil
		}
		return p.opened[ch.Table.Name].take(ch)
	})
	if err != nil || p.d.Conn == nil || p.into || len(p.b.Keyless()) == 0 {
		return err
	}
	return p.later(ctx)
}

// later hands out what else became of tables without a key since the accident began.
func (p *planner) later(ctx context.Context) error {
	keyless := p.b.Keyless()
	var names history.Names
	for _, n := range slices.Concat(keyless, p.sel.tables, renamedIn(p.since)) {
		names = append(names, n.String())
	}
	first := p.sel.result.Places[0]
	w := history.Window{Since: history.Bound{File: first.File, Pos: first.Start}}
	r, err := binlogs.Scan(ctx, p.d.Logs, binlogs.Query{Window: w, Tables: names, All: true, MinRows: 1, Places: true})
	if err != nil || len(r.Places) == 0 {
		return err
	}
	for _, g := range r.Gaps {
		p.b.Warn(true, "%s at byte %d: %s", g.File, g.Pos, g.Reason)
	}
	nameNow := map[*db.Table]db.Name{}
	shape := func(t *binlog.TableMap, at history.Place) (*db.Table, error) {
		now := binlogs.NameNow(db.Name{Schema: t.Schema, Table: t.Table}, p.after(at))
		if !slices.Contains(keyless, now) {
			return nil, nil
		}
		then, err := p.laterShape(ctx, t, at)
		nameNow[then] = now
		return then, err
	}
	return binlogs.Changes(ctx, p.d.Logs, r.Places, shape, func(ch *db.Change, at history.Place) error {
		if p.sel.takes(at, ch.Table.Name) {
			return nil
		}
		return p.b.Later(nameNow[ch.Table], ch)
	})
}

func renamedIn(since []binlogs.Redefinition) []db.Name {
	var out []db.Name
	for i := range since {
		for _, r := range since[i].Renames {
			out = append(out, r.From, r.To)
		}
	}
	return out
}

// laterShape is the columns of a table without a key, which must be those of the rows that
// are undone: they are compared as a whole.
func (p *planner) laterShape(ctx context.Context, t *binlog.TableMap, at history.Place) (*db.Table, error) {
	th, err := p.then(ctx, t, at)
	if err != nil {
		return nil, err
	}
	for _, o := range p.opened {
		if o.Now == th.Now && !o.same(th) {
			return nil, changedBetween(th.Shape.Name)
		}
	}
	return th.Shape, nil
}

// open works out a table's columns of then and registers it with the build, the first time
// the log describes it.
func (p *planner) open(ctx context.Context, t *binlog.TableMap, at history.Place) (*db.Table, error) {
	th, err := p.then(ctx, t, at)
	if err != nil {
		return nil, err
	}
	name := th.Shape.Name
	if old := p.opened[name]; old != nil {
		if old.Now != th.Now || !old.same(th) {
			return nil, changedBetween(name)
		}
		return th.Shape, nil
	}
	for _, other := range p.opened {
		if other.Now == th.Now {
			return nil, changedBetween(name) // renamed: two names of one table
		}
	}
	live := th.live
	if live == nil || th.Now != name {
		if live, err = p.renamed(ctx, name, th); err != nil {
			return nil, err
		}
	}
	take, err := p.b.Open(ctx, th.Shape, live, th.Renamed)
	if err != nil {
		return nil, err
	}
	p.opened[name] = &opened{th, take}
	return th.Shape, p.warn(ctx, name, live)
}

func changedBetween(name db.Name) error {
	return lull.Errorf(lull.Refused, "undo the transactions before and after it one by one", "the columns or the name of %s were changed in the middle of what is to be undone", name)
}

// same says that two transactions saw the same columns, and that each is the same column by now.
func (th *then) same(o *then) bool {
	return slices.EqualFunc(th.Shape.Columns, o.Shape.Columns, func(a, b db.Column) bool {
		return strings.EqualFold(a.Name, b.Name) && strings.EqualFold(th.NameNow(a.Name), o.NameNow(b.Name)) &&
			a.DataType == b.DataType && a.Unsigned == b.Unsigned && a.Length == b.Length && a.Scale == b.Scale &&
			a.Charset == b.Charset && slices.Equal(a.Elements, b.Elements)
	})
}

// then works out a table's columns in the transaction at a place.
func (p *planner) then(ctx context.Context, t *binlog.TableMap, at history.Place) (*then, error) {
	name := db.Name{Schema: t.Schema, Table: t.Table}
	if err := p.redefinitions(ctx); err != nil {
		return nil, err
	}
	since := p.after(at)
	live, err := p.live(ctx, binlogs.NameNow(name, since))
	if err != nil {
		return nil, err
	}
	given := p.d.givenTable(name)
	if p.unread != nil && p.d.Conn != nil {
		if !t.HasNames && given == nil || live == nil || !namesAgree(t, given, live) {
			return nil, p.unread
		}
		p.warnUnread(name)
	}
	if given != nil && !p.stable(name, at) {
		return nil, changedBetween(name)
	}
	th, err := binlogs.ShapeThen(t, given, live, since)
	if err != nil {
		return nil, err
	}
	th.Shape.Name = name
	return &then{th, given, live}, nil
}

func (p *planner) warnUnread(name db.Name) {
	if p.b != nil {
		p.b.Warn(false, "whether columns of %s were renamed since cannot be seen: %v", name, p.unread)
	}
}

// stable says that no ALTER after a place and before the last one changed the columns, which
// one given CREATE TABLE cannot describe.
func (p *planner) stable(name db.Name, at history.Place) bool {
	last := p.sel.result.Places[len(p.sel.result.Places)-1]
	between := p.after(at)
	end := slices.IndexFunc(between, func(r binlogs.Redefinition) bool { return p.order(r.Place, last) >= 0 })
	if end >= 0 {
		between = between[:end]
	}
	return !binlogs.ChangesColumns(name, between)
}

// after is what redefined tables after a place.
func (p *planner) after(at history.Place) []binlogs.Redefinition {
	for i := range p.since {
		if p.order(p.since[i].Place, at) > 0 {
			return p.since[i:]
		}
	}
	return nil
}

func (p *planner) order(a, b history.Place) int { return placeOrder(p.logs, a, b) }

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

// redefinitions reads what became of the tables since the first selected transaction.
// Without a server only what lies between the selected ones matters: nothing is compared
// with now.
func (p *planner) redefinitions(ctx context.Context) error {
	if p.loaded {
		return nil
	}
	p.loaded = true
	places := p.sel.result.Places
	first, last := places[0], places[len(places)-1]
	p.logs = p.d.Logs
	if p.d.Conn == nil {
		if first == last {
			return nil
		}
		end := slices.IndexFunc(p.logs, func(l binlogs.Log) bool { return l.Name() == last.File })
		p.logs = p.logs[:end+1]
	} else if p.logs, p.unread = p.d.untilNow(ctx); p.unread != nil {
		p.logs = p.d.Logs
		return ctx.Err()
	}
	p.since, p.unread = binlogs.Redefinitions(ctx, p.logs, first, p.sel.tables)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
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
func (p *planner) renamed(ctx context.Context, name db.Name, then *then) (*db.Table, error) {
	if p.d.Conn == nil {
		if then.given != nil {
			return then.given, nil
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
