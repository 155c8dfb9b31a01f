package undo

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// pick is a row's values of some columns.
func pick(row db.Row, cols []int) db.Row {
	out := make(db.Row, len(cols))
	for i, c := range cols {
		out[i] = row[c]
	}
	return out
}

func indexes(t *db.Table, names []string) []int {
	out := make([]int, len(names))
	for i, n := range names {
		if out[i] = t.Index(n); out[i] < 0 {
			return nil
		}
	}
	return out
}

func allSet(row db.Row) bool {
	return !slices.ContainsFunc(row, func(v db.Value) bool { return v.State != db.Set })
}

// writesAny says that the verdict sets one of the columns.
func (v *verdict) writesAny(cols []int) bool {
	switch v.do {
	case act.Insert:
		return true
	case act.Update:
		return slices.ContainsFunc(v.rec.Set, func(i int) bool { return slices.Contains(cols, i) })
	}
	return false
}

// leaves says that the verdict takes the row away from its values of the columns.
func (v *verdict) leaves(cols []int) bool {
	return v.do == act.Delete || v.do == act.Update && v.writesAny(cols)
}

// constraints judges a batch's verdicts against unique keys and foreign keys. What depends
// on nothing is recorded at once.
func (b *Build) constraints(ctx context.Context, t *table, verdicts []verdict) error {
	needs := make([][]need, len(verdicts))
	if b.target == nil {
		b.passing(t, verdicts, needs)
	} else if !t.create {
		for i := range verdicts {
			if v := &verdicts[i]; v.occupied {
				needs[i] = append(needs[i], b.rowLeaves(t, v, v.rec.Was, b.rowKeyName(t), v.rec.Why))
			}
		}
		if err := b.clashes(ctx, t, verdicts, needs); err != nil {
			return err
		}
		if err := b.parents(ctx, t, verdicts, needs); err != nil {
			return err
		}
		if err := b.children(ctx, t, verdicts, needs); err != nil {
			return err
		}
	}
	for i := range verdicts {
		v := &verdicts[i]
		facts, moves := b.facts(t, v)
		if len(needs[i]) == 0 && !moves {
			b.contest.give(facts)
			if err := b.record(t, v); err != nil {
				return err
			}
			continue
		}
		if err := b.contest.add(t.index, v, needs[i], facts); err != nil {
			return err
		}
	}
	return nil
}

// passing finds rows that pass their keys on among each other where there is no table to look
// at: a key is taken to be free unless the accident gave it to another row.
func (b *Build) passing(t *table, verdicts []verdict, needs [][]need) {
	if !t.judge.moves {
		return
	}
	for i := range verdicts {
		if v := &verdicts[i]; v.do == act.Update && v.writesAny(t.key) {
			x := b.rowLeaves(t, v, v.rec.To, b.rowKeyName(t), "")
			x.soft = true
			needs[i] = append(needs[i], x)
		}
	}
}

// rowKeyName is the name of the key that tells rows apart.
func (b *Build) rowKeyName(t *table) string {
	for _, k := range t.live.Keys {
		if slices.Equal(k.Columns, t.key) {
			return k.Name
		}
	}
	return ""
}

// rowLeaves is the need that a row goes, or gives its values of a key up, to make room for v.
func (b *Build) rowLeaves(t *table, v *verdict, holder db.Row, key, why string) need {
	id := pick(holder, t.key)
	return need{
		fact: b.fact("gone", t.live.Name, id), or: b.fact("left "+key, t.live.Name, id), why: why,
		place: true, now: v.do == act.Update,
	}
}

// facts are what a verdict makes true and others may need. moves says that others may take
// the place of the row, which stays.
func (b *Build) facts(t *table, v *verdict) (facts []fact, moves bool) {
	if t.create || t.key == nil {
		return nil, false
	}
	switch v.do {
	case act.Delete:
		if t.contested || t.child {
			facts = append(facts, b.fact("gone", t.live.Name, pick(v.rec.Now, t.key)))
		}
	case act.Update:
		for _, k := range t.live.Keys {
			if !k.Prefix && v.leaves(k.Columns) {
				moves = true
				facts = append(facts, b.fact("left "+k.Name, t.live.Name, pick(v.rec.Now, t.key)))
			}
		}
		for i, fk := range t.live.Parents {
			if cols := indexes(t.live, fk.ChildColumns); t.child && v.leaves(cols) {
				facts = append(facts, b.fact("orphan "+strconv.Itoa(i), t.live.Name, pick(v.rec.Now, t.key)))
			}
		}
	}
	if v.do == act.Insert || v.do == act.Update {
		for _, fk := range t.live.Children {
			cols := indexes(t.live, fk.ParentColumns)
			if cols != nil && b.among(fk.Child) && v.writesAny(cols) {
				t.movesParents = t.movesParents || v.do == act.Update
				facts = append(facts, b.fact("there", t.live.Name, pick(v.rec.To, cols)))
			}
		}
	}
	return facts, moves
}

// among says that the plan is about this table, too.
func (b *Build) among(name db.Name) bool {
	return slices.ContainsFunc(b.tables, func(t *table) bool { return t.live.Name == name })
}

// clashes finds the rows whose unique values another row has by now.
func (b *Build) clashes(ctx context.Context, t *table, verdicts []verdict, needs [][]need) error {
	for _, k := range t.live.Keys {
		own := slices.Equal(k.Columns, t.key)
		if k.Prefix {
			continue
		}
		var at []int
		var values []db.Row
		for i := range verdicts {
			v := &verdicts[i]
			if !v.writesAny(k.Columns) || own && v.do == act.Insert {
				continue // of an insert the row key was looked up already
			}
			if x := pick(v.rec.To, k.Columns); allSet(x) {
				at, values = append(at, i), append(values, x)
			}
		}
		if len(at) == 0 {
			continue
		}
		why := "another row has its value of " + k.Name + " by now"
		err := b.target.Lookup(ctx, t.live, k.Columns, values, false, func(n int, holder db.Row) error {
			v := &verdicts[at[n]]
			if holder == nil || v.rec.Now != nil && sameKey(v.rec.Now, holder, t.key) {
				return nil
			}
			needs[at[n]] = append(needs[at[n]], b.rowLeaves(t, v, holder, k.Name, why))
			return nil
		})
		if err != nil {
			return fmt.Errorf("compare with %s: %w", t.live.Name, err)
		}
	}
	return nil
}

// parents finds the rows whose parent is gone; the plan may bring it back.
func (b *Build) parents(ctx context.Context, t *table, verdicts []verdict, needs [][]need) error {
	for _, fk := range t.live.Parents {
		cols := indexes(t.live, fk.ChildColumns)
		if cols == nil {
			continue
		}
		var at []int
		var values []db.Row
		for i := range verdicts {
			if v := &verdicts[i]; v.writesAny(cols) {
				if x := pick(v.rec.To, cols); allSet(x) {
					at, values = append(at, i), append(values, x)
				}
			}
		}
		if len(at) == 0 {
			continue
		}
		parent, err := b.shape(ctx, fk.Parent)
		if err != nil {
			return err
		}
		by := indexes(parent, fk.ParentColumns)
		if by == nil {
			continue
		}
		there, err := b.target.Exists(ctx, parent, by, values)
		if err != nil {
			return fmt.Errorf("look for parents in %s: %w", fk.Parent, err)
		}
		for n, ok := range there {
			if !ok {
				why := fmt.Sprintf("its parent row in %s is gone", fk.Parent)
				needs[at[n]] = append(needs[at[n]], need{fact: b.fact("there", fk.Parent, values[n]), why: why})
			}
		}
	}
	return nil
}

// children finds the rows to delete that others refer to; the plan may take these along.
func (b *Build) children(ctx context.Context, t *table, verdicts []verdict, needs [][]need) error {
	for _, fk := range t.live.Children {
		cols := indexes(t.live, fk.ParentColumns)
		var at []int
		var values []db.Row
		for i := range verdicts {
			if v := &verdicts[i]; v.do == act.Delete && cols != nil {
				if x := pick(v.rec.Now, cols); allSet(x) {
					at, values = append(at, i), append(values, x)
				}
			}
		}
		if len(at) == 0 {
			continue
		}
		child, err := b.shape(ctx, fk.Child)
		if err != nil {
			return err
		}
		by, key := indexes(child, fk.ChildColumns), child.RowKey()
		if by == nil {
			continue
		}
		index := slices.IndexFunc(child.Parents, func(p db.ForeignKey) bool { return p.Name == fk.Name })
		why := fmt.Sprintf("rows of %s refer to it by now", fk.Child)
		err = b.target.Lookup(ctx, child, by, values, false, func(n int, row db.Row) error {
			if row == nil {
				return nil
			}
			known := needs[at[n]]
			switch {
			case !b.among(fk.Child):
				if len(known) == 0 || known[len(known)-1].fact != 0 {
					needs[at[n]] = append(known, need{why: why})
				}
			case key != nil: // of a child without a key the server has to say whether it went
				id := pick(row, key)
				needs[at[n]] = append(known, need{
					fact: b.fact("gone", fk.Child, id), or: b.fact("orphan "+strconv.Itoa(index), fk.Child, id), why: why,
				})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for children in %s: %w", fk.Child, err)
		}
	}
	return nil
}

// shape reads a table's shape once.
func (b *Build) shape(ctx context.Context, name db.Name) (*db.Table, error) {
	if t := b.shapes[name]; t != nil {
		return t, nil
	}
	t, err := b.target.Table(ctx, name)
	if err == nil {
		b.shapes[name] = t
	}
	return t, err
}
