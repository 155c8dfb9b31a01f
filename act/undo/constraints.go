package undo

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// maxRemembered bounds the keys remembered for children; beyond it parents are looked up
// when the plan is applied, by the server.
const maxRemembered = 4 << 20

// remember notes a row that the plan brings back, by the values its children refer to.
func (b *Build) remember(t *table, row db.Row) {
	for _, fk := range t.live.Children {
		cols := indexes(t.live, fk.ParentColumns)
		if cols == nil {
			continue
		}
		set := b.inserts[t.live.Name]
		if set == nil {
			set = map[uint64]bool{}
			b.inserts[t.live.Name] = set
		}
		if len(set) < maxRemembered {
			set[b.hash(pick(row, cols))] = true
		}
	}
}

func (b *Build) hash(values db.Row) uint64 { return maphash.Bytes(b.seed, db.AppendRow(nil, values)) }

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

// clashes turns rows whose values of another unique key were taken since into conflicts.
func (b *Build) clashes(ctx context.Context, t *table, verdicts []verdict) error {
	for _, k := range t.live.Keys {
		if k.Prefix || slices.Equal(k.Columns, t.key) {
			continue
		}
		var at []int
		var values []db.Row
		for i := range verdicts {
			if verdicts[i].writesAny(k.Columns) {
				if v := pick(verdicts[i].rec.To, k.Columns); allSet(v) {
					at, values = append(at, i), append(values, v)
				}
			}
		}
		if len(at) == 0 {
			continue
		}
		err := b.target.Lookup(ctx, t.live, k.Columns, values, false, func(n int, holder db.Row) error {
			v := &verdicts[at[n]]
			if holder == nil || v.do == act.Keep || b.frees(t, v, holder, k.Columns, verdicts) {
				return nil
			}
			v.do = act.Keep
			v.rec.Set = nil
			v.rec.Why = fmt.Sprintf("another row has its value of %s by now", k.Name)
			if v.rec.Now == nil {
				v.rec.Was = nil
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("compare with %s: %w", t.live.Name, err)
		}
	}
	return nil
}

// frees says that the row in the way is the row itself, or one that the same batch changes
// so that it is out of the way by then.
func (b *Build) frees(t *table, v *verdict, holder db.Row, cols []int, verdicts []verdict) bool {
	if v.rec.Now != nil && sameKey(v.rec.Now, holder, t.key) {
		return true
	}
	for i := range verdicts {
		o := &verdicts[i]
		if o.rec.Now != nil && sameKey(o.rec.Now, holder, t.key) {
			return o.do == act.Delete || o.do == act.Update && o.writesAny(cols)
		}
	}
	return false
}

func allSet(row db.Row) bool {
	return !slices.ContainsFunc(row, func(v db.Value) bool { return v.State != db.Set })
}

// parents turns rows whose parent is gone, and does not come back by this plan, into conflicts.
func (b *Build) parents(ctx context.Context, t *table, verdicts []verdict) error {
	for _, fk := range t.live.Parents {
		cols := indexes(t.live, fk.ChildColumns)
		if cols == nil || fk.Parent == t.live.Name {
			continue
		}
		if err := b.parent(ctx, t, fk, cols, verdicts); err != nil {
			return err
		}
	}
	return nil
}

func (b *Build) parent(ctx context.Context, t *table, fk db.ForeignKey, cols []int, verdicts []verdict) error {
	var at []int
	var values []db.Row
	for i := range verdicts {
		if !verdicts[i].writesAny(cols) {
			continue
		}
		if v := pick(verdicts[i].rec.To, cols); allSet(v) && !b.inserts[fk.Parent][b.hash(v)] {
			at, values = append(at, i), append(values, v)
		}
	}
	if len(at) == 0 {
		return nil
	}
	parent, err := b.shape(ctx, fk.Parent)
	if err != nil {
		return err
	}
	by := indexes(parent, fk.ParentColumns)
	if by == nil {
		return nil
	}
	there, err := b.target.Exists(ctx, parent, by, values)
	if err != nil {
		return fmt.Errorf("look for parents in %s: %w", fk.Parent, err)
	}
	for n, ok := range there {
		if v := &verdicts[at[n]]; !ok {
			v.do, v.rec.Set = act.Keep, nil
			v.rec.Why = fmt.Sprintf("its parent row in %s is gone", fk.Parent)
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
