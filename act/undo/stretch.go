package undo

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// checksum sums rows regardless of their order: two CRCs of each, added up.
type checksum struct {
	mu   sync.Mutex
	bits uint64
	buf  []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (c *checksum) row(key string, r db.Row) {
	c.buf = db.AppendRow(append(c.buf[:0], key...), r)
	c.bits += uint64(crc32.ChecksumIEEE(c.buf))<<32 | uint64(crc32.Checksum(c.buf, castagnoli))
}

func (c *checksum) join(o *checksum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bits += o.bits
}

// chunkRows is how many records are locked, written and verified together.
const chunkRows = 2000

// stretch writes a batch's records within tx; recs nil reads the whole section.
func (a *apply) stretch(ctx context.Context, tx Tx, b act.Batch, recs []act.Record, c *counts) error {
	sec := a.plan.Sections[b.Section]
	if sec.Do == act.Keep {
		return nil
	}
	w := &sectionWriter{a: a, tx: tx, do: sec.Do, t: a.plan.Tables[sec.Table].Shape, key: a.plan.Tables[sec.Table].Key, c: c}
	w.cols = newJudge(w.t, KeepNow).cols
	if recs != nil {
		return w.chunks(ctx, recs)
	}
	return a.each(b.Section, sec, func(_ act.Batch, recs []act.Record) error { return w.chunks(ctx, recs) })
}

// sectionWriter writes records of one section in one transaction.
type sectionWriter struct {
	a    *apply
	tx   Tx
	do   act.Verb
	t    *db.Table
	key  []int
	cols []int
	c    *counts
}

func (w *sectionWriter) chunks(ctx context.Context, recs []act.Record) error {
	for len(recs) > 0 {
		n := min(len(recs), chunkRows)
		if err := w.chunk(ctx, recs[:n]); err != nil {
			return err
		}
		if w.a.opt.Progress != nil {
			w.a.opt.Progress(int64(n))
		}
		recs = recs[n:]
	}
	return nil
}

func (w *sectionWriter) chunk(ctx context.Context, recs []act.Record) error {
	switch w.do {
	case act.Insert:
		if err := w.insert(ctx, recs); err != nil {
			return err
		}
		w.c.inserted += int64(len(recs))
	case act.Update:
		if err := w.locked(ctx, recs); err != nil {
			return err
		}
		if !w.a.plan.Unchecked {
			if err := w.childless(ctx, recs); err != nil {
				return err
			}
		}
		if err := w.tx.Update(ctx, w.t, w.changes(recs)); err != nil {
			return w.explain(err)
		}
		w.c.updated += int64(len(recs))
	default:
		if err := w.locked(ctx, recs); err != nil {
			return err
		}
		if !w.a.plan.Unchecked {
			if err := w.childless(ctx, recs); err != nil {
				return err
			}
		}
		if err := w.tx.Delete(ctx, w.t, w.whole(recs)); err != nil {
			return w.explain(err)
		}
		w.c.deleted += int64(len(recs))
	}
	return w.verify(ctx, recs)
}

func (w *sectionWriter) insert(ctx context.Context, recs []act.Record) error {
	err := w.tx.Insert(ctx, w.t, func(yield func(db.Row, error) bool) {
		for i := range recs {
			if !yield(recs[i].To, nil) {
				return
			}
		}
	})
	return w.explain(err)
}

// duplicate is what a target returns when another row has a row's unique values.
type duplicate interface {
	error
	Duplicate() string
}

// foreign is what a target returns when a foreign key does not allow a write.
type foreign interface {
	error
	Foreign() string
}

// explain turns a row that appeared since the plan into the plan being stale.
func (w *sectionWriter) explain(err error) error {
	if d, ok := errors.AsType[duplicate](err); ok {
		return w.a.stale("a row with %s is in %s by now", d.Duplicate(), w.t.Name)
	}
	if f, ok := errors.AsType[foreign](err); ok {
		return w.a.stale("rows of %s cannot be written: %s", w.t.Name, f.Foreign())
	}
	return err
}

// locked locks the rows and compares them with what the plan found.
func (w *sectionWriter) locked(ctx context.Context, recs []act.Record) error {
	if w.key == nil {
		return nil // the write itself names the whole row, and counts
	}
	j := judge{cols: w.cols}
	return w.tx.Lookup(ctx, w.t, w.key, w.keysOf(recs, true), true, func(i int, now db.Row) error {
		if now == nil {
			return w.a.stale("row %s of %s is gone", w.show(recs[i].Now), w.t.Name)
		}
		if !j.sameKnown(recs[i].Now, now) {
			return w.a.stale("row %s of %s was changed since", w.show(recs[i].Now), w.t.Name)
		}
		return nil
	})
}

// noOrphans looks at the end of a transaction without foreign keys whether rows refer to
// those that were deleted.
func (a *apply) noOrphans(ctx context.Context, tx Tx) error {
	for i, sec := range a.plan.Sections {
		if sec.Do == act.Keep {
			continue
		}
		w := a.reader(act.Batch{Section: i})
		w.tx = tx
		err := a.each(i, sec, func(_ act.Batch, recs []act.Record) error {
			if sec.Do != act.Insert {
				if err := w.childless(ctx, recs); err != nil {
					return err
				}
			}
			if sec.Do == act.Delete {
				return nil
			}
			return w.parented(ctx, recs)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parented refuses rows whose parent is gone, at the end of a transaction without foreign keys.
func (w *sectionWriter) parented(ctx context.Context, recs []act.Record) error {
	for _, fk := range w.t.Parents {
		cols := indexes(w.t, fk.ChildColumns)
		parent, err := w.a.target.Table(ctx, fk.Parent)
		if err != nil {
			return err
		}
		by := indexes(parent, fk.ParentColumns)
		var values []db.Row
		for i := range recs {
			if v := pick(afterOf(w.t, w.key, &recs[i]), cols); allSet(v) {
				values = append(values, v)
			}
		}
		there, err := w.tx.Exists(ctx, parent, by, values)
		if err != nil {
			return err
		}
		for i := range there {
			if !there[i] {
				return w.a.stale("a row of %s would have no parent in %s", w.t.Name, fk.Parent)
			}
		}
	}
	return nil
}

// childless refuses to delete rows, or to change the values of theirs, that others refer to:
// before it is done, where the others would go or be emptied with them; at the end, where the
// server does not look. A deleted row that came back under its key is none.
func (w *sectionWriter) childless(ctx context.Context, recs []act.Record) error {
	for _, fk := range w.t.Children {
		rule := fk.OnDelete
		if w.do == act.Update {
			rule = fk.OnUpdate
		}
		if !w.a.plan.Unchecked && !strings.HasPrefix(rule, "SET ") && (rule != "CASCADE" || w.do == act.Update) {
			continue // the server sees to it
		}
		cols := indexes(w.t, fk.ParentColumns)
		if cols == nil {
			continue
		}
		gone := recs
		if w.do == act.Update {
			gone = leaving(recs, cols)
		}
		if err := w.unreferred(ctx, fk, cols, gone); err != nil {
			return err
		}
	}
	return nil
}

// leaving is the records that change one of the columns.
func leaving(recs []act.Record, cols []int) []act.Record {
	var out []act.Record
	for i := range recs {
		if slices.ContainsFunc(recs[i].Set, func(c int) bool { return slices.Contains(cols, c) }) {
			out = append(out, recs[i])
		}
	}
	return out
}

func (w *sectionWriter) unreferred(ctx context.Context, fk db.ForeignKey, cols []int, recs []act.Record) error {
	if len(recs) == 0 {
		return nil
	}
	child, err := w.a.target.Table(ctx, fk.Child)
	if err != nil {
		return err
	}
	by := indexes(child, fk.ChildColumns)
	values := make([]db.Row, len(recs))
	for i := range recs {
		values[i] = pick(recs[i].Now, cols)
	}
	there, err := w.tx.Exists(ctx, child, by, values)
	if err != nil {
		return err
	}
	back := make([]bool, len(recs))
	// Under a changed value another row may stand by now: children that follow it on their
	// own, outside the plan, would belong to the wrong one.
	if w.a.plan.Unchecked && (w.do == act.Delete || w.inPlan(fk.Child)) {
		if back, err = w.tx.Exists(ctx, w.t, cols, values); err != nil {
			return err
		}
	}
	for i, yes := range there {
		if yes && !back[i] {
			return w.a.stale("rows of %s refer to row %s of %s and would be lost or orphaned", fk.Child, w.show(recs[i].Now), w.t.Name)
		}
	}
	return nil
}

func (w *sectionWriter) inPlan(name db.Name) bool {
	return slices.ContainsFunc(w.a.plan.Tables, func(t act.Table) bool { return t.Name == name })
}

func (w *sectionWriter) changes(recs []act.Record) []Change {
	out := make([]Change, len(recs))
	for i := range recs {
		key := recs[i].Now
		if w.key != nil {
			key = pick(recs[i].Now, w.key)
		}
		out[i] = Change{Key: key, Set: recs[i].Set, To: recs[i].To}
	}
	return out
}

func (w *sectionWriter) whole(recs []act.Record) []db.Row {
	if w.key != nil {
		return w.keysOf(recs, true)
	}
	out := make([]db.Row, len(recs))
	for i := range recs {
		out[i] = recs[i].Now
	}
	return out
}

// keysOf is the rows' keys before the write, or after it.
func (w *sectionWriter) keysOf(recs []act.Record, before bool) []db.Row {
	out, values := make([]db.Row, len(recs)), make([]db.Value, 0, len(recs)*len(w.key))
	for i := range recs {
		row := recs[i].Now
		if row == nil || !before && recs[i].To != nil {
			row = afterOf(w.t, w.key, &recs[i])
		}
		for _, c := range w.key {
			values = append(values, row[c])
		}
		out[i] = values[i*len(w.key):][:len(w.key):len(w.key)]
	}
	return out
}

// afterOf is the row as it will be: an update keeps what it does not set, but for a key that
// the server computes.
func afterOf(t *db.Table, key []int, rec *act.Record) db.Row {
	if rec.Now == nil || rec.To == nil {
		return rec.To
	}
	out := append(db.Row(nil), rec.Now...)
	for _, i := range rec.Set {
		out[i] = rec.To[i]
	}
	for _, i := range key {
		if t.Columns[i].Generated && rec.To[i].State != db.Absent {
			out[i] = rec.To[i]
		}
	}
	return out
}

// verify reads the rows back, before anything is committed, and compares every column.
func (w *sectionWriter) verify(ctx context.Context, recs []act.Record) error {
	if w.key == nil {
		w.c.verified += int64(len(recs)) // each statement hit exactly its rows
		for i := range recs {
			w.c.sum.row(w.t.Table, afterOf(w.t, w.key, &recs[i]))
		}
		return nil
	}
	j := judge{cols: w.cols}
	return w.tx.Lookup(ctx, w.t, w.key, w.keysOf(recs, false), false, func(i int, now db.Row) error {
		want := afterOf(w.t, w.key, &recs[i])
		if w.do == act.Delete {
			want = nil
		}
		if (now == nil) != (want == nil) || now != nil && !j.sameKnown(want, now) {
			return fmt.Errorf("row %s of %s is not as planned after writing it: a trigger or the server changed it", w.show(recs[i].To), w.t.Name)
		}
		w.c.verified++
		w.c.sum.row(w.t.Table, now)
		return nil
	})
}

// show names a row by its key.
func (w *sectionWriter) show(row db.Row) string { return ShowKey(w.t, w.key, row) }

// ShowKey prints a row's key for people: id=7, or its first columns when it has no key. The
// values may hold any characters.
func ShowKey(t *db.Table, key []int, row db.Row) string {
	if row == nil {
		return "?"
	}
	if key == nil {
		for i := range min(3, len(row)) {
			key = append(key, i)
		}
	}
	var parts []string
	for _, i := range key {
		parts = append(parts, t.Columns[i].Name+"="+t.Columns[i].Show(row[i]))
	}
	return strings.Join(parts, " ")
}

// isEOF is the end of a section.
func isEOF(err error) bool { return errors.Is(err, io.EOF) }
