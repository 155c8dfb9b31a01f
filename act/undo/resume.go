package undo

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// precheck compares all rows of a plan with the database before the first batch is written,
// so that a stale plan changes nothing.
func (a *apply) precheck(ctx context.Context) error {
	for i, sec := range a.plan.Sections {
		if sec.Do == act.Keep {
			continue
		}
		err := a.each(i, sec, func(b act.Batch, recs []act.Record) error {
			planned, _, err := a.compare(ctx, b, recs)
			if err == nil && planned < len(recs) {
				return a.stale("%d rows of %s are not as they were when it was made", len(recs)-planned, a.plan.Tables[sec.Table].Name)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// compare counts the records whose rows are as the plan found them, and those that are as it
// would make them.
func (a *apply) compare(ctx context.Context, b act.Batch, recs []act.Record) (planned, written int, err error) {
	w := a.reader(b)
	if w.key == nil {
		return len(recs), 0, nil
	}
	j := judge{cols: w.cols}
	same := func(want, now db.Row) bool {
		return (want == nil) == (now == nil) && (want == nil || j.sameKnown(want, now))
	}
	moved := make([]bool, len(recs)) // found under its new key
	err = a.target.Lookup(ctx, w.t, w.key, w.keysOf(recs, false), false, func(i int, now db.Row) error {
		moved[i] = same(afterOf(w.t, w.key, &recs[i]), now) || w.do == act.Delete && now == nil
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	err = a.target.Lookup(ctx, w.t, w.key, w.keysOf(recs, true), false, func(i int, now db.Row) error {
		if same(recs[i].Now, now) {
			planned++
		} else if moved[i] {
			written++
		}
		return nil
	})
	return planned, written, err
}

func (a *apply) reader(b act.Batch) *sectionWriter {
	sec := a.plan.Sections[b.Section]
	t := &a.plan.Tables[sec.Table]
	return &sectionWriter{a: a, do: sec.Do, t: t.Shape, key: t.Key, cols: newJudge(t.Shape, KeepNow).cols}
}

// recount verifies and counts what an earlier run committed.
func (a *apply) recount(ctx context.Context) error {
	for i, sec := range a.plan.Sections {
		if sec.Do == act.Keep {
			continue
		}
		if err := a.each(i, sec, func(b act.Batch, recs []act.Record) error { return a.count(ctx, b, recs) }); err != nil {
			return err
		}
	}
	return nil
}

// count verifies one batch that is committed already. Rows may have been changed since,
// which is nobody's fault; they are counted as written and not as verified.
func (a *apply) count(ctx context.Context, b act.Batch, recs []act.Record) error {
	_, written, err := a.compare(ctx, b, recs)
	if err != nil {
		return err
	}
	n := int64(len(recs))
	switch a.plan.Sections[b.Section].Do {
	case act.Insert:
		a.inserted.Add(n)
	case act.Update:
		a.updated.Add(n)
	case act.Delete:
		a.deleted.Add(n)
	default:
		return lull.Errorf(lull.Failed, "", "section %d cannot be counted", b.Section)
	}
	if a.reader(b).key == nil {
		written = len(recs)
	}
	a.verified.Add(int64(written))
	return nil
}

// Changes hands out what a plan has written, or may have, as changes: undoing them takes the
// plan back.
func Changes(plan *act.Stored, table int, fn func(*db.Change) error) error {
	t := &plan.Tables[table]
	for i, sec := range plan.Sections {
		if sec.Table != table || sec.Do == act.Keep {
			continue
		}
		in, err := plan.Records(sec)
		if err != nil {
			return err
		}
		for {
			rec, err := in.Next()
			if err != nil {
				in.Close()
				if isEOF(err) {
					break
				}
				return fmt.Errorf("section %d of %s: %w", i, plan.ID, err)
			}
			if err := fn(&db.Change{Op: opOf[sec.Do], Table: t.Shape, Before: rec.Now, After: afterOf(t.Shape, t.Key, rec)}); err != nil {
				in.Close()
				return err
			}
		}
	}
	return nil
}

// opOf is the change that a section made.
var opOf = map[act.Verb]db.Op{act.Insert: db.Insert, act.Update: db.Update, act.Delete: db.Delete}
