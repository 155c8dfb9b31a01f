package undo

import (
	"context"
	"fmt"
	"slices"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/predicate"
)

// How many rows are compared with the live table at a time.
const (
	batchRows  = 2000
	batchBytes = 4 << 20
)

// batch is a run of folded rows whose bytes stay put.
type batch struct {
	buf  []byte
	nets []net
	now  []db.Row
	keys []db.Row
}

func (x *batch) add(n *net) {
	x.buf = db.AppendRow(x.buf, n.Before)
	x.buf = db.AppendRow(x.buf, n.After)
	if len(x.nets) < cap(x.nets) {
		x.nets = x.nets[:len(x.nets)+1] // keep the slot's rows for reuse
		return
	}
	x.nets = append(x.nets, net{})
}

// settle parses the rows once the buffer has stopped growing.
func (x *batch) settle(key []int) error {
	rest := x.buf
	x.keys, x.now = x.keys[:0], x.now[:0]
	values := make([]db.Value, 0, len(x.nets)*len(key))
	for i := range x.nets {
		n := &x.nets[i]
		var err error
		if n.Before, rest, err = db.ParseRow(rest, n.Before); err != nil {
			return err
		}
		if n.After, rest, err = db.ParseRow(rest, n.After); err != nil {
			return err
		}
		row := n.After // the key it has now, if it has another one
		if row == nil {
			row = n.Before
		}
		for _, c := range key {
			values = append(values, row[c])
		}
		x.keys = append(x.keys, values[i*len(key):][:len(key):len(key)])
		x.now = append(x.now, nil)
	}
	return nil
}

func (x *batch) reset() { x.buf, x.nets = x.buf[:0], x.nets[:0] }

// table compares all folded rows of one table with what is there now.
func (b *Build) table(ctx context.Context, t *table) error {
	ns, err := t.folder.nets()
	if err != nil {
		return err
	}
	defer ns.close()
	ns.some = b.req.Only != ""
	if t.key == nil {
		return b.keyless(ctx, t, ns)
	}
	t.judge.key, t.judge.moves = t.key, t.folder.moves > 0
	t.contested = b.contends(t)
	t.child = slices.ContainsFunc(t.live.Parents, func(fk db.ForeignKey) bool { return b.among(fk.Parent) })
	var x batch
	for {
		x.reset()
		if err := b.take(t, ns, &x); err != nil {
			return err
		}
		if len(x.nets) == 0 {
			break
		}
		if err := b.compare(ctx, t, &x); err != nil {
			return err
		}
	}
	b.lost(t)
	return nil
}

// contends says that rows of the table may take each other's places.
func (b *Build) contends(t *table) bool {
	others := slices.ContainsFunc(t.live.Keys, func(k db.Key) bool { return !k.Prefix && !slices.Equal(k.Columns, t.key) })
	return t.textual() || others || t.judge.moves
}

// textual says that keys may be equal to the server though they are spelled otherwise.
func (t *table) textual() bool {
	return slices.ContainsFunc(t.key, func(i int) bool { return t.live.Columns[i].Collation != "" })
}

// take fills a batch with the rows the request wants.
func (b *Build) take(t *table, ns *nets, x *batch) error {
	for len(x.nets) < batchRows && len(x.buf) < batchBytes {
		n, err := ns.next()
		if err != nil {
			return err
		}
		if n == nil {
			break
		}
		if n = b.wanted(t, n); n != nil {
			x.add(n)
		}
	}
	return x.settle(t.key)
}

// wanted applies --where and --into, and leaves out what the log does not hold.
func (b *Build) wanted(t *table, n *net) *net {
	if t.where != nil {
		row := n.Before
		if row == nil {
			row = n.After
		}
		if t.where.Match(row) != predicate.True {
			return nil
		}
	}
	if b.req.Into != (db.Name{}) {
		if n.Before == nil {
			return nil
		}
		n = &net{Before: n.Before}
	}
	if t.unrecoverable(n) {
		t.plan.Lost++
		return nil
	}
	return n
}

// unrecoverable says that the images do not hold what would be needed: of a deleted row any
// column that has no NULL to stand for it, of an update the old values.
func (t *table) unrecoverable(n *net) bool {
	if n.Before == nil {
		return false
	}
	if n.After == nil {
		for _, i := range t.judge.cols {
			if n.Before[i].State != db.Absent || t.mapper.from[i] < 0 {
				continue
			}
			if c := &t.live.Columns[i]; !c.Nullable || !isLarge(c) {
				return true
			}
			t.unstored++
		}
		return false
	}
	missing, known := int64(0), false
	for _, i := range t.judge.cols {
		switch {
		case n.After[i].State == db.Absent || t.mapper.from[i] < 0:
		case n.Before[i].State == db.Absent:
			missing++
		case !n.Before[i].Equal(n.After[i]):
			known = true
		}
	}
	if known {
		t.kept += missing
	}
	return missing > 0 && !known
}

// isLarge says that binlog_row_image=NOBLOB leaves the column out.
func isLarge(c *db.Column) bool {
	switch c.DataType {
	case "tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text", "mediumtext", "longtext", "json":
		return true
	}
	return false
}

// lost says what the log did not hold.
func (b *Build) lost(t *table) {
	if t.plan.Lost > 0 {
		b.Warn(true, "%d rows of %s cannot be brought back: the server logged only their keys and changes (binlog_row_image is not FULL)", t.plan.Lost, t.live.Name)
	}
	if t.kept > 0 {
		b.Warn(true, "%d old values of %s were not logged (binlog_row_image is not FULL) and stay as the accident left them", t.kept, t.live.Name)
	}
	if t.unstored > 0 {
		b.Warn(true, "%d values of BLOB, TEXT and JSON columns of %s were not logged (binlog_row_image=NOBLOB) and come back as NULL", t.unstored, t.live.Name)
	}
}

// compare judges a batch against the live rows and writes the verdicts in key order.
func (b *Build) compare(ctx context.Context, t *table, x *batch) error {
	if b.target == nil {
		for i := range x.nets {
			x.now[i] = x.nets[i].After.Clone()
		}
	} else if !t.create {
		err := b.target.Lookup(ctx, t.live, t.key, x.keys, false, func(i int, now db.Row) error {
			x.now[i] = now.Clone()
			return nil
		})
		if err != nil {
			return fmt.Errorf("compare with %s: %w", t.live.Name, err)
		}
	}
	verdicts := make([]verdict, len(x.nets))
	for i := range x.nets {
		verdicts[i] = t.judge.judge(&x.nets[i], x.now[i])
		if len(verdicts[i].rec.Set) > 0 {
			verdicts[i].rec.Set = append([]int(nil), verdicts[i].rec.Set...)
		}
	}
	return b.constraints(ctx, t, verdicts)
}

func (b *Build) record(t *table, v *verdict) error {
	if v.do == "" {
		t.plan.Same++
		return nil
	}
	if v.forced {
		t.plan.Forced++
	}
	if v.do == act.Update && v.rec.Why != "" {
		t.plan.Partial++
	}
	return t.out[v.do].Add(&v.rec)
}
