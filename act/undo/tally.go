package undo

import (
	"context"
	"hash/maphash"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// Rows of a table without a key are told apart only by their number, so a plan for one is
// compared with the table by counting: how many rows equal to each of the plan's there were
// when it was made, how many there are to be, and how many there are.

// standing says how far what a plan writes is written.
type standing struct {
	planned int64 // rows that are as the plan found them
	written int64 // rows that are as it makes them
	all     int64
}

func (s *standing) add(o standing) {
	s.planned += o.planned
	s.written += o.written
	s.all += o.all
}

// alike counts the rows that are equal to each other.
type alike struct{ there, change, seen int64 }

// tally counts one table without a key.
func (a *apply) tally(ctx context.Context, r Reader, table int) (standing, error) {
	t := a.plan.Tables[table].Shape
	cols := newJudge(t, KeepNow).cols
	counts, seed := map[uint64]*alike{}, maphash.MakeSeed()
	var key []byte
	find := func(row db.Row) (*alike, error) {
		var err error
		if key, err = appendSortKey(key[:0], t, row, cols); err != nil {
			return nil, err
		}
		return counts[maphash.Bytes(seed, key)], nil
	}
	err := a.planned(table, func(row db.Row, there, change int64) error {
		c, err := find(row)
		if err == nil && c == nil {
			c = &alike{}
			counts[maphash.Bytes(seed, key)] = c
		}
		if err == nil {
			c.there, c.change = max(c.there, there), c.change+change
		}
		return err
	})
	if err != nil {
		return standing{}, err
	}
	for row, err := range r.Stream(ctx, t) {
		if err != nil {
			return standing{}, err
		}
		c, err := find(row)
		if err != nil {
			return standing{}, err
		}
		if c != nil {
			c.seen++
		}
	}
	var s standing
	for _, c := range counts {
		switch {
		case c.change == 0:
			continue
		case c.seen == c.there:
			s.planned++
		case c.seen == c.there+c.change:
			s.written++
		}
		s.all++
	}
	return s, nil
}

// planned walks the rows of which a plan changes the number. What an update makes is left
// out: the plan does not know how many of those there were.
func (a *apply) planned(table int, fn func(row db.Row, there, change int64) error) error {
	for i, sec := range a.plan.Sections {
		if sec.Table != table || sec.Do == act.Keep {
			continue
		}
		err := a.each(i, sec, func(_ act.Batch, recs []act.Record) error {
			for k := range recs {
				row, change := recs[k].Now, int64(-1)
				if sec.Do == act.Insert {
					row, change = recs[k].To, 1
				}
				if err := fn(row, recs[k].There, change); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keylessAsPlanned refuses a plan when the number of some row in a table without a key is
// another than when it was made.
func (a *apply) keylessAsPlanned(ctx context.Context, tx Tx) error {
	for i := range a.plan.Tables {
		t := &a.plan.Tables[i]
		if t.Key != nil || t.Writes() == 0 {
			continue
		}
		s, err := a.tally(ctx, tx, i)
		if err != nil {
			return err
		}
		if s.planned < s.all {
			return a.stale("rows of %s, which has no key, were put back or changed since", t.Name)
		}
	}
	return nil
}

// standing looks how far the whole plan is written.
func (a *apply) standing(ctx context.Context) (standing, error) {
	var sum standing
	for i := range a.plan.Tables {
		if a.plan.Tables[i].Key == nil {
			s, err := a.tally(ctx, a.target, i)
			if err != nil {
				return sum, err
			}
			sum.add(s)
		}
	}
	for i, sec := range a.plan.Sections {
		if sec.Do == act.Keep || a.plan.Tables[sec.Table].Key == nil {
			continue
		}
		err := a.each(i, sec, func(b act.Batch, recs []act.Record) error {
			planned, written, err := a.compare(ctx, b, recs)
			sum.add(standing{int64(planned), int64(written), int64(len(recs))})
			return err
		})
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// landed says whether a transaction, which is there as a whole or not at all, was committed.
func (a *apply) landed(s standing) (bool, error) {
	switch {
	case s.planned == s.all:
		return false, nil
	case s.planned == 0 && s.written > 0:
		return true, nil
	}
	return false, a.stale("it was interrupted while it committed, and rows were changed since: %d are as before, %d as it makes them, %d otherwise",
		s.planned, s.written, s.all-s.planned-s.written)
}

// Committed says whether a plan whose apply was interrupted has written anything: a plan in
// batches may have, one in a single transaction is asked after.
func Committed(ctx context.Context, target Target, plan *act.Stored) (bool, error) {
	if plan.State() != act.Started || !plan.Atomic {
		return plan.State() != act.Planned, nil
	}
	a := &apply{target: target, plan: plan}
	s, err := a.standing(ctx)
	if err != nil {
		return false, err
	}
	return a.landed(s)
}
