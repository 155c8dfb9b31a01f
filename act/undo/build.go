package undo

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/predicate"
)

// sortMemory bounds the memory in which changes of one table are gathered; what is more
// goes to disk.
const sortMemory = 32 << 20

// Build makes a plan: register each table with Open, Add its changes, then Plan.
type Build struct {
	req     Request
	target  Target
	draft   *act.Draft
	tables  []*table
	warn    []act.Warning
	contest *contest
	shapes  map[db.Name]*db.Table
	seed    maphash.Seed
	direct  *direct // set when rows are written as SQL at once
}

// table is one table of a plan under construction.
type table struct {
	live     *db.Table
	key      []int
	mapper   *mapper
	where    *predicate.Expr
	folder   *folder
	judge    *judge
	plan     act.Table
	out      map[act.Verb]act.Out
	create   bool // the side table does not exist yet
	rowEnd   int  // MariaDB system versioning: the place of row_end in the log's rows, -1 without
	unstored int64
	kept     int64       // old values that were not logged, of rows that go back otherwise
	sql      *sqlSection // of a direct build
	index    int         // into the plan's tables
	// contested: rows may take each other's places. child: it refers to a table of the plan.
	contested, child bool
	// movesParents: values that children refer to are changed back.
	movesParents bool
}

// NewBuild begins a plan for the target in the store. Without a target the plan takes every
// row to be as the accident left it; it can be written as SQL, not applied.
func NewBuild(req Request, target Target, store *act.Store) (*Build, error) {
	if req.On == "" {
		req.On = KeepNow
	}
	d, err := store.Draft()
	if err != nil {
		return nil, err
	}
	d.Kind, d.Target, d.Server, d.Source, d.At, d.Triggers = "undo", req.Target, req.Server, req.Source, req.At, req.Triggers
	d.Narrowed = req.Only != "" || req.Where != "" || req.Into != (db.Name{})
	return &Build{
		req: req, target: target, draft: d, seed: maphash.MakeSeed(),
		contest: newContest(d.Dir()), shapes: map[db.Name]*db.Table{},
	}, nil
}

// Discard drops the plan unless it has been made.
func (b *Build) Discard() error {
	return errors.Join(b.contest.spool.Close(), b.draft.Discard())
}

// Warn adds something the reader of the plan must know.
func (b *Build) Warn(partly bool, format string, args ...any) {
	w := act.Warning{Text: fmt.Sprintf(format, args...), Partly: partly}
	if !slices.Contains(b.warn, w) {
		b.warn = append(b.warn, w)
	}
}

// Open registers a table: its columns as the log has them, as they are now, and the old names
// of columns renamed since (in lower case). It returns what takes the table's changes.
func (b *Build) Open(ctx context.Context, then, live *db.Table, renamed map[string]string) (func(*db.Change) error, error) {
	t := &table{live: live, out: map[act.Verb]act.Out{}, rowEnd: -1}
	t.rowEnd = rowEnd(then, live)
	if err := b.aside(ctx, t); err != nil {
		return nil, err
	}
	var err error
	if t.mapper, err = newMapper(then, t.live, renamed); err != nil {
		return nil, err
	}
	for _, name := range t.mapper.gone {
		b.Warn(true, "column %s of %s was dropped since: its values cannot be put back", name, t.live.Name)
	}
	if b.req.Where != "" {
		if t.where, err = predicate.Parse(b.req.Where, t.live); err != nil {
			return nil, lull.Errorf(lull.Usage, "--where takes conditions like \"status = 'paid' and amount >= 100\"", "--where: %w", err)
		}
	}
	t.judge = newJudge(t.live, b.req.On)
	t.key = t.live.RowKey()
	keyed := t.key
	if keyed == nil {
		keyed = t.judge.cols
	}
	t.folder = newFolder(b.draft.Dir(), t.mapper, keyed, sortMemory)
	t.plan = act.Table{Name: t.live.Name, Title: t.live.Name.String(), Key: t.key, Create: t.create, Like: live.Name.String()}
	b.tables = append(b.tables, t)
	return func(ch *db.Change) error { return t.add(b, ch) }, nil
}

// rowEnd is the place of a system-versioned table's row_end in the log's rows, -1 in other
// tables: a column that the table does not show, or that the server adds to its key.
func rowEnd(then, live *db.Table) int {
	if i := then.Index("row_end"); i >= 0 && then.Columns[i].Generated && live.Index("row_end") < 0 {
		return i
	}
	for _, i := range live.RowKey() {
		if c := &live.Columns[i]; c.Generated && c.DataType == "timestamp" && c.Scale == 6 {
			return then.Index(c.Name)
		}
	}
	return -1
}

// aside points a table's rows to the side table that the request names.
func (b *Build) aside(ctx context.Context, t *table) error {
	if b.req.Into == (db.Name{}) {
		return nil
	}
	if b.target == nil {
		copied := *t.live
		copied.Name = b.req.Into
		t.live = &copied
		return nil
	}
	side, err := b.target.Table(ctx, b.req.Into)
	if err == nil {
		defer func() { t.live = side }()
		return shapedLike(side, t.live)
	}
	if lull.KindOf(err) != lull.Usage {
		return err
	}
	copied := *t.live
	copied.Name, copied.Parents, copied.Children, copied.Triggers = b.req.Into, nil, nil, nil
	t.live, t.create = &copied, true
	return nil
}

// shapedLike refuses a side table that the rows do not fit into.
func shapedLike(side, live *db.Table) error {
	for i := range live.Columns {
		c := &live.Columns[i]
		if k := side.Index(c.Name); !c.Generated && (k < 0 || side.Columns[k].ColumnType != c.ColumnType) {
			return lull.Errorf(lull.Usage, "name a table that is not there yet: it is created like "+live.Table,
				"--into %s: it is not shaped like %s, whose column is %s %s", side.Name, live.Name, c.Name, c.ColumnType)
		}
	}
	return nil
}

// endOfTime is the row_end of a row that is not history.
const endOfTime = "2038-01-19 03:14:07.999999"

// versioned makes of a change in a system-versioned table what its user did: the server
// writes a DELETE as an update of row_end, and adds a row of history to each UPDATE. It
// returns false for what is only history.
func (t *table) versioned(ch *db.Change) bool {
	isHistory := func(r db.Row) bool {
		end := string(r[t.rowEnd].Data)
		return end != endOfTime && end < "2106"
	}
	if ch.Before != nil && isHistory(ch.Before) || ch.Before == nil && isHistory(ch.After) {
		return false
	}
	if ch.After != nil && isHistory(ch.After) {
		ch.Op, ch.After = db.Delete, nil
	}
	return true
}

func (t *table) add(b *Build, ch *db.Change) error {
	if t.rowEnd >= 0 && !t.versioned(ch) {
		return nil
	}
	if !b.req.Only.takes(ch.Op) {
		return nil
	}
	before, err := t.mapper.mapRow(0, ch.Before)
	if err != nil {
		return err
	}
	after, err := t.mapper.mapRow(1, ch.After)
	if err != nil {
		return err
	}
	if b.direct != nil {
		return t.addDirect(b, &net{Before: before})
	}
	if t.key == nil && before != nil && after != nil {
		return t.folder.addLinked(before, after)
	}
	return t.folder.add(before, after)
}

// Plan compares the changes with what is there now and stores what is to be done.
func (b *Build) Plan(ctx context.Context) (*act.Plan, error) {
	if b.direct != nil {
		if err := b.finishDirect(); err != nil {
			return nil, err
		}
		return b.commit()
	}
	b.parentsFirst()
	for i, t := range b.tables {
		t.index = i
		if err := b.open(i, t); err != nil {
			return nil, err
		}
		if err := b.table(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := b.settleContest(); err != nil {
		return nil, err
	}
	return b.commit()
}

// parentsFirst orders the tables so that a row's parents are put back before it.
func (b *Build) parentsFirst() {
	depth := map[db.Name]int{}
	for range b.tables { // as many rounds as the longest chain can have
		for _, t := range b.tables {
			for _, fk := range t.live.Parents {
				if d, ok := depth[fk.Parent]; ok && fk.Parent != t.live.Name && depth[t.live.Name] <= d {
					depth[t.live.Name] = d + 1
				}
			}
			depth[t.live.Name] += 0
		}
	}
	slices.SortStableFunc(b.tables, func(x, y *table) int { return depth[x.live.Name] - depth[y.live.Name] })
}

func (b *Build) open(i int, t *table) error {
	for _, v := range []act.Verb{act.Delete, act.Update, act.Insert, act.Keep} {
		out, err := b.draft.Section(i, v)
		if err != nil {
			return err
		}
		t.out[v] = out
	}
	return nil
}

// commit puts the sections in order and seals the plan.
func (b *Build) commit() (*act.Plan, error) {
	d := b.draft
	for _, t := range b.tables {
		p := t.plan
		shape := *t.live
		shape.Rows = 0 // an estimate that changes by itself
		p.Shape = &shape
		if b.direct == nil {
			p.Delete, p.Update, p.Insert, p.Keep = t.out[act.Delete].Rows(), t.out[act.Update].Rows(), t.out[act.Insert].Rows(), t.out[act.Keep].Rows()
		}
		if err := b.transactional(t, &p); err != nil {
			return nil, err
		}
		if err := b.triggers(t, &p); err != nil {
			return nil, err
		}
		d.Tables = append(d.Tables, p)
	}
	d.Warnings = b.warn
	for _, t := range b.tables {
		if t.textual() && t.writes(act.Insert) && t.writes(act.Delete) {
			b.contest.crossed = true // 'a' comes back when 'A' is gone
		}
	}
	d.Order(b.order)
	sum := d.Totals()
	d.Atomic = sum.Writes() <= AtomicRows
	if b.req.Atomic != nil {
		d.Atomic = *b.req.Atomic
	}
	d.Unchecked = b.unchecked()
	if d.Unchecked || b.contest.crossed || len(b.Keyless()) > 0 {
		// In between the rows break rules that they keep at the end, or cannot be told apart.
		d.Atomic = true
	}
	if sum.Keep > 0 && b.req.On == FailPlan {
		return nil, lull.Errorf(lull.Refused, "leave out --on-conflict fail to see them, or choose keep or restore",
			"%d rows were changed since the accident, and --on-conflict is fail", sum.Keep)
	}
	return d.Commit()
}

// order is the order of two sections: parents are updated and inserted before their children,
// and rows are deleted after that, children first. Only where rows take the places of others
// these must be gone before.
func (b *Build) order(x, y act.Section) int {
	rank := func(s act.Section) int {
		switch {
		case s.Do == act.Keep:
			return 2
		case s.Do != act.Delete:
			return 0
		case b.contest.crossed:
			return -1
		}
		return 1
	}
	if r := rank(x) - rank(y); r != 0 {
		return r
	}
	if x.Do == act.Delete {
		return y.Table - x.Table
	}
	if x.Table != y.Table {
		return x.Table - y.Table
	}
	return strings.Compare(string(y.Do), string(x.Do)) // updates, then inserts
}

// unchecked says that foreign keys cannot be enforced while the plan is written: rows of one
// table refer to each other, rows leave for a moment to make room, or the server would change
// children that the plan changes itself.
func (b *Build) unchecked() bool {
	for _, t := range b.tables {
		if t.create {
			continue
		}
		for _, fk := range t.live.Parents {
			if fk.Parent == t.live.Name && t.writes(act.Insert, act.Update, act.Delete) {
				return true
			}
		}
		if b.contest.crossed && len(t.live.Parents)+len(t.live.Children) > 0 {
			return true
		}
		for _, fk := range t.live.Children {
			if t.movesParents && b.among(fk.Child) {
				return true
			}
		}
	}
	return false
}

func (t *table) writes(verbs ...act.Verb) bool {
	return slices.ContainsFunc(verbs, func(v act.Verb) bool {
		out, ok := t.out[v]
		return ok && out.Rows() > 0
	})
}

// transactional refuses a table whose engine cannot take a half-done write back.
func (b *Build) transactional(t *table, p *act.Table) error {
	if b.target == nil || p.Writes() == 0 {
		return nil
	}
	switch strings.ToLower(t.live.Engine) {
	case "", "innodb", "rocksdb", "tokudb", "ndbcluster", "ndb":
		return nil
	}
	return lull.Errorf(lull.Refused, "write SQL with --out and look it over, or put the rows into a side table of another engine with --into",
		"%s is a %s table: it has no transactions, so a plan for it could stop half-way", t.live.Name, t.live.Engine)
}

// triggers refuses a plan whose writes would fire some, because what they do is not undone.
func (b *Build) triggers(t *table, p *act.Table) error {
	if t.create {
		return nil
	}
	writes := map[string]int64{"INSERT": p.Insert, "UPDATE": p.Update, "DELETE": p.Delete}
	var names []string
	for _, tr := range t.live.Triggers {
		if writes[tr.Event] > 0 {
			names = append(names, fmt.Sprintf("%s (%s %s)", tr.Name, tr.Timing, tr.Event))
		}
	}
	if len(names) == 0 {
		return nil
	}
	if !b.req.Triggers {
		return lull.Errorf(lull.Refused, "add --allow-triggers to let them fire, or disable them first",
			"writing to %s would fire %s", t.live.Name, list(names))
	}
	b.warn = append(b.warn, act.Warning{Text: fmt.Sprintf("triggers of %s will fire: %s", t.live.Name, list(names))})
	return nil
}

func list(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	out := names[0]
	var outSb411 strings.Builder
	for _, n := range names[1 : len(names)-1] {
		outSb411.WriteString(", " + n)
	}
	out += outSb411.String()
	return out + " and " + names[len(names)-1]
}
