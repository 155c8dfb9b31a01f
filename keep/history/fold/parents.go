package fold

import (
	"context"
	"errors"
	"fmt"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// logParents indexes what the log says happened to the values that foreign keys refer to.
func (f *fold) logParents(ctx context.Context) error {
	for _, n := range f.order {
		for _, g := range n.up {
			if err := f.logEdge(ctx, g); err != nil {
				return fmt.Errorf("read changes of %s, which %s refers to: %w", g.parent.name, n.name, err)
			}
		}
	}
	return nil
}

func (f *fold) logEdge(ctx context.Context, g *edge) error {
	a := &adder{g: g, s: extsort.New(f.t.opt.Dir, f.t.opt.Memory)}
	defer a.s.Close()
	for _, p := range g.pieces {
		f.lostParent(g, p)
		err := f.s.past.Changes(ctx, []db.Name{p.Name}, p.From-1, p.To, func(_ db.Name, c *history.RowChange) error {
			return f.logChange(ctx, a, c)
		})
		if err != nil {
			return err
		}
	}
	if err := f.unseen(ctx, g); err != nil {
		return err
	}
	n := a.s.Len()
	it, err := a.s.Sort()
	if err != nil {
		return err
	}
	g.logged, err = newIndex(it, n, f.t.opt.Dir, f.memory())
	return err
}

// unseen warns when a table's parents changed before its base begins, and what that did to its
// rows counts for another table.
func (f *fold) unseen(ctx context.Context, g *edge) error {
	b := g.child.basis
	if g.epoch > 0 || b.base == nil || g.child.need >= b.from {
		return nil
	}
	name := g.pieces[0].Name
	err := f.s.past.Changes(ctx, []db.Name{name}, g.child.need, b.from, func(_ db.Name, c *history.RowChange) error {
		if c.Op == db.Insert || c.ForeignKeysOff {
			return nil
		}
		f.warn("%s: there is no snapshot from before transaction %d, and foreign keys may have changed rows by then", g.child.name, c.Seq)
		return errStop
	})
	if errors.Is(err, errStop) {
		return nil // one is as good as all
	}
	return err
}

// memory is what an index may hold.
func (f *fold) memory() int {
	if f.t.opt.Memory > 0 {
		return f.t.opt.Memory / 2
	}
	return extsort.DefaultMemory / 2
}

func (f *fold) lostParent(g *edge, p Interval) {
	for i := f.s.before(p.From - 1); i < len(f.s.events) && f.s.events[i].Seq < p.To; i++ {
		if e := &f.s.events[i]; e.Kind == history.Lost && touches(e, p.Name) {
			f.warn("%s refers to %s, and what happened there at transaction %d is not known: %s", g.child.name, p.Name, e.Seq, e.Reason)
		}
	}
}

func (f *fold) logChange(ctx context.Context, a *adder, c *history.RowChange) error {
	if c.ForeignKeysOff || c.Op == db.Insert {
		return nil
	}
	d, err := f.s.definition(ctx, c.Definition)
	if err != nil {
		return err
	}
	cols := a.g.parentCols(d.Table)
	if cols == nil {
		f.warn("%s refers to columns of %s that its definition at transaction %d does not have", a.g.child.name, d.Table.Name, c.Seq)
		return nil
	}
	e, known := change(c.Before, c.After, cols)
	if !known {
		a.g.ask = true
		a.g.first = min(a.g.first, c.Seq)
		return nil
	}
	if e.old == nil {
		return nil
	}
	a.g.first = min(a.g.first, c.Seq)
	f.movesUnread(a.g, c.Seq, e)
	f.middleUnread(a.g, c.Seq, e)
	return a.add(place{c.Seq, c.N}, d.Table, cols, e)
}

// change is what a change of a row does to the referenced columns cols: an event without old
// values when nothing, and not known when the images do not tell.
func change(before, after db.Row, cols []int) (e event, known bool) {
	old, whole := pick(nil, before, cols)
	if after == nil {
		return eventOf(old, nil, whole)
	}
	fresh, _ := pick(nil, after, cols)
	changed := false
	for i := range fresh {
		if fresh[i].State == db.Absent {
			fresh[i] = old[i]
			continue
		}
		changed = changed || !fresh[i].Equal(old[i])
	}
	if !changed {
		return event{}, true
	}
	return eventOf(old, fresh, whole)
}

func eventOf(old, fresh db.Row, whole bool) (event, bool) {
	if whole {
		return event{old, fresh}, true
	}
	for i := range old {
		if old[i].State == db.Null {
			return event{}, true
		}
	}
	return event{}, false
}

// movesUnread warns of a child's rows that changed their keys unlogged while a snapshot read
// them: it may have read neither the old place nor the new one.
func (f *fold) movesUnread(g *edge, seq history.Seq, e event) {
	if e.new != nil && g.update != none && g.child.fuzzyAt(seq) && g.movesKey() {
		f.warn("%s: keys changed by a foreign key at transaction %d while the snapshot was read", g.child.name, seq)
	}
}

// middleUnread warns of rows that may have fallen by way of a table between: while the snapshot
// of that one was read, a row of it could fall unread and unlogged, and with it rows that were
// read before.
func (f *fold) middleUnread(g *edge, seq history.Seq, e event) {
	if !g.child.fuzzyAt(seq) || e.new == nil && g.onDelete == none || e.new != nil && g.update == none {
		return
	}
	for _, d := range g.child.down {
		if d.child.basis != nil && d.child.basis.from < seq && d.inForce(seq) {
			f.warn("%s: foreign keys took effect through %s while the snapshot of that was read", d.child.name, g.child.name)
		}
	}
}

// movesKey says that the foreign key's columns are part of what tells the child's rows apart.
func (g *edge) movesKey() bool {
	t := g.child.basis.epochs[g.epoch].def.Table
	key := t.RowKey()
	if key == nil {
		return true
	}
	for _, c := range key {
		if has(g.fk.ChildColumns, t.Columns[c].Name) {
			return true
		}
	}
	return false
}

// emit notes what became of the values that others refer to in a row that changed unlogged.
func (f *fold) emit(n *node, t *db.Table, p place, old, fresh db.Row) (emitted bool, err error) {
	for _, g := range n.down {
		if !g.inForce(p.seq) || g.sorter == nil {
			continue
		}
		cols := g.parentCols(t)
		if cols == nil {
			continue
		}
		e, known := change(old, fresh, cols)
		if !known || e.old == nil {
			continue
		}
		f.movesUnread(g, p.seq, e)
		f.middleUnread(g, p.seq, e)
		a := &adder{g: g, s: g.sorter}
		if err := a.add(p, t, cols, e); err != nil {
			return emitted, err
		}
		n.sum += mix(a.key, a.val)
		emitted = true
	}
	return emitted, nil
}
