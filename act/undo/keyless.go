package undo

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
)

// addLinked takes an update in a table without a key. It is kept under the row that the
// accident made, so that it can be found; a mark under the old one tells when a row was
// changed twice.
func (f *folder) addLinked(before, after db.Row) error {
	if err := f.put(before, nil, nil, 0); err != nil {
		return err
	}
	return f.put(after, before, after, 0)
}

// group is what the accident did to all rows that are equal to each other, in a table that
// has no key to tell them apart.
type group struct {
	key     []byte
	row     db.Row
	deleted int64
	added   int64
	marks   int64
	updates []db.Row // the versions before of the rows updated to this one
	since   int64    // how many were inserted since, less those that went
}

// keyless compares by counting: each distinct row of the accident against the equal rows of
// the table, both sorted.
func (b *Build) keyless(ctx context.Context, t *table, ns *nets) error {
	live, err := b.liveRows(ctx, t)
	if err != nil {
		return err
	}
	defer live.Close()
	more := live.Next()
	for {
		g, err := t.nextGroup(ns)
		if err != nil {
			return err
		}
		if g == nil {
			break
		}
		for more && string(live.Key()) < string(g.key) {
			more = live.Next()
		}
		there := int64(0)
		if b.target == nil {
			there = g.added + int64(len(g.updates))
		}
		for more && string(live.Key()) == string(g.key) {
			there++
			more = live.Next()
		}
		if err := b.settle(t, g, there); err != nil {
			return err
		}
	}
	b.Warn(false, "%s has no key: equal rows are told apart only by their number", t.live.Name)
	b.lost(t)
	return live.Err()
}

// liveRows is the table's rows, sorted like the accident's.
func (b *Build) liveRows(ctx context.Context, t *table) (*extsort.Iter, error) {
	s := extsort.New(b.draft.Dir(), sortMemory)
	if !t.create && b.target != nil {
		var key []byte
		for row, err := range b.target.Stream(ctx, t.live) {
			if err == nil {
				key, err = appendSortKey(key[:0], t.live, row, t.judge.cols)
			}
			if err == nil {
				err = s.Add(key, nil)
			}
			if err != nil {
				s.Close()
				return nil, fmt.Errorf("read %s: %w", t.live.Name, err)
			}
		}
	}
	return s.Sort()
}

// nextGroup gathers the records of equal rows; nil at the end.
func (t *table) nextGroup(ns *nets) (*group, error) {
	if !ns.more {
		return nil, ns.it.Err()
	}
	g := &group{key: append([]byte(nil), ns.it.Key()...)}
	for ns.more && string(ns.it.Key()) == string(g.key) {
		before, rest, err := db.ParseRow(ns.it.Value(), nil)
		if err != nil {
			return nil, err
		}
		after, _, err := db.ParseRow(rest, nil)
		if err != nil {
			return nil, err
		}
		before, after = before.Clone(), after.Clone()
		switch v := ns.it.Value(); v[len(v)-1] {
		case laterCome:
			g.since++
			ns.more = ns.it.Next()
			continue
		case laterGone:
			g.since--
			ns.more = ns.it.Next()
			continue
		}
		switch {
		case before == nil && after == nil:
			g.marks++
		case after == nil:
			g.deleted, g.row = g.deleted+1, before
		case before == nil:
			g.added, g.row = g.added+1, after
		default:
			g.updates, g.row = append(g.updates, before), after
		}
		ns.more = ns.it.Next()
	}
	if len(g.updates) > 0 && g.marks > 0 {
		return nil, lull.Errorf(lull.Refused, "limit it to one transaction or write SQL with --out",
			"rows of %s were changed more than once, and it has no key to follow them by", t.live.Name)
	}
	return g, ns.it.Err()
}

// settle decides about a group of which there rows are in the table now.
func (b *Build) settle(t *table, g *group, there int64) error {
	if g.row == nil {
		return nil // the accident did not touch it
	}
	if gone := g.deleted - g.added; gone > 0 {
		if err := b.putBack(t, g, gone, there); err != nil {
			return err
		}
	} else if gone < 0 && b.wanted(t, &net{After: g.row}) != nil {
		for range min(-gone, there) {
			if err := b.record(t, &verdict{do: act.Delete, rec: act.Record{Now: g.row, Was: g.row, There: there}}); err != nil {
				return err
			}
		}
		t.plan.Same += max(0, -gone-there)
		there = max(0, there+gone)
	}
	for _, before := range g.updates {
		n := &net{before, g.row}
		if n = b.wanted(t, n); n == nil {
			continue
		}
		var v verdict
		if n.After == nil { // rows that go to a side table
			v = verdict{do: act.Insert, rec: act.Record{To: before}}
		} else if there > 0 {
			there--
			v = verdict{do: act.Update, rec: act.Record{Now: g.row, To: before, Was: g.row, Set: t.judge.differing(before, g.row), There: there + 1}}
		} else {
			v = conflict("no row is as the accident left it", n, nil)
		}
		if err := b.record(t, &v); err != nil {
			return err
		}
	}
	return nil
}

// putBack inserts the rows that are gone, but for those that somebody put back since.
func (b *Build) putBack(t *table, g *group, gone, there int64) error {
	if b.wanted(t, &net{Before: g.row}) == nil {
		return nil
	}
	back := min(gone, there, max(g.since, 0))
	if b.req.Into != (db.Name{}) {
		back = min(gone, there) // what is in a side table came from a plan before
	}
	t.plan.Same += back
	for range gone - back {
		if err := b.record(t, &verdict{do: act.Insert, rec: act.Record{To: g.row, There: there}}); err != nil {
			return err
		}
	}
	return nil
}

// Marks of what became of rows after the accident.
const (
	laterCome = 1
	laterGone = 2
)

// Keyless are the tables that have no key. Of these the build wants to know what was changed
// after the accident, by Later: else it cannot tell a row that was put back from an equal one
// that was there all the time.
func (b *Build) Keyless() []db.Name {
	var out []db.Name
	for _, t := range b.tables {
		if t.key == nil && !t.create {
			out = append(out, t.live.Name)
		}
	}
	return out
}

// Later takes a change of a table without a key that came after what is undone.
func (b *Build) Later(name db.Name, ch *db.Change) error {
	for _, t := range b.tables {
		if t.live.Name != name {
			continue
		}
		for which, row := range []db.Row{ch.Before, ch.After} {
			row, err := t.mapper.mapRow(which, row)
			if err == nil && row != nil {
				err = t.folder.put(row, nil, nil, []uint64{laterGone, laterCome}[which])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
