package fold

import (
	"context"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// feed hands the rows a segment starts from to the walker, in order.
func (w *walker) feed(ctx context.Context, i int, prev *extsort.Iter) error {
	switch {
	case i > 0:
		return w.sorted(prev)
	case w.n.basis.base == nil:
		return nil
	}
	b := w.n.basis.base
	d, err := w.f.s.definition(ctx, b.Definition)
	if err != nil {
		return err
	}
	m, said := w.g.mapping(d, b.End)
	if !said {
		w.f.warn("%s: no ALTER is known that explains the columns of its snapshot; they go by their names", w.n.name)
	}
	w.f.forms(w.n, d.Table, w.g.table, m)
	if m == nil && len(d.Table.Columns) != len(w.g.table.Columns) {
		return damaged(w.n.name, b.End)
	}
	in := &reader{w: w, m: m}
	if b.Sorted && w.g.key != nil && sameOrder(d.Table, w.g, m) {
		return w.f.s.past.Rows(ctx, b, in.direct)
	}
	in.s = w.f.sorter()
	defer in.s.Close()
	if err := w.f.s.past.Rows(ctx, b, in.gather); err != nil {
		return err
	}
	it, err := in.s.Sort()
	if err != nil {
		return err
	}
	defer it.Close()
	return w.sorted(it)
}

// sameOrder says that rows sorted by the snapshot's key are sorted by the segment's.
func sameOrder(t *db.Table, g *segment, m []history.ColumnFrom) bool {
	key := t.RowKey()
	if m == nil {
		return slices.Equal(key, g.key)
	}
	if len(key) != len(g.key) {
		return false
	}
	for i, k := range g.key {
		if m[k].Old != key[i] || !sameKind(&t.Columns[key[i]], &g.table.Columns[k]) {
			return false
		}
	}
	return true
}

func (w *walker) sorted(it *extsort.Iter) error {
	var buf db.Row
	for it.Next() {
		row, _, err := db.ParseRow(it.Value(), buf)
		if err != nil {
			return err
		}
		buf = row
		if err := w.row(it.Key(), row); err != nil {
			return err
		}
	}
	return it.Err()
}

// reader takes the rows of a snapshot.
type reader struct {
	w        *walker
	m        []history.ColumnFrom
	s        *extsort.Sorter
	row      db.Row
	key, val []byte
}

func (r *reader) shape(row db.Row) (db.Row, error) {
	if r.m != nil {
		r.row = mapRow(r.row, row, r.m)
		row = r.row
	}
	if wrong(row, r.w.g.table) || row == nil {
		return nil, damaged(r.w.n.name, r.w.n.basis.base.End)
	}
	r.key = db.AppendKey(r.key[:0], r.w.g.table, r.w.g.order, row)
	return row, nil
}

func (r *reader) direct(row db.Row) error {
	row, err := r.shape(row)
	if err != nil {
		return err
	}
	return r.w.row(r.key, row)
}

func (r *reader) gather(row db.Row) error {
	row, err := r.shape(row)
	if err != nil {
		return err
	}
	r.val = db.AppendRow(r.val[:0], row)
	return r.s.Add(r.key, r.val)
}
