package undo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// ApplyOptions bound an apply.
type ApplyOptions struct {
	// Connections is how many transactions run at once where a plan is not atomic.
	Connections int
	// Fresh says that the plan was made just now by this process: its rows are not compared
	// once more before the first batch.
	Fresh bool
	// Server is the identity of the database connected to.
	Server string
	Now    func() time.Time
	// Progress is called with the number of rows just written.
	Progress func(rows int64)
}

// apply carries out one plan.
type apply struct {
	target Target
	plan   *act.Stored
	ledger *act.Ledger
	opt    ApplyOptions

	inserted, updated, deleted, verified atomic.Int64
	sum                                  checksum
	used                                 sync.Pool // of *records
}

// attempts is how often a transaction is tried when the server breaks it off.
const attempts = 4

// Apply carries out exactly the plan, or refuses it. A plan that is done already gives its
// receipt again. When it is interrupted, calling it again goes on.
func Apply(ctx context.Context, target Target, plan *act.Stored, opt ApplyOptions) (*act.Receipt, error) {
	lock, err := plan.Lock()
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if plan.State() == act.Done {
		return plan.Receipt()
	}
	a := &apply{target: target, plan: plan, opt: opt}
	if err := a.allowed(ctx); err != nil {
		return nil, err
	}
	if a.ledger, err = plan.OpenLedger(); err != nil {
		return nil, err
	}
	defer a.ledger.Close()
	if err := a.run(ctx); err != nil {
		return nil, a.failed(err)
	}
	r := a.receipt()
	if err := plan.Finish(r); err != nil {
		return nil, lull.Errorf(lull.Partly, "lull apply "+plan.ID, "%s is carried out, but its receipt could not be stored: %w", plan.ID, err)
	}
	return r, nil
}

// allowed checks that the plan still is what was read and fits the database.
func (a *apply) allowed(ctx context.Context) error {
	p := a.plan
	if p.State() == act.Planned && p.Expired() {
		return lull.Errorf(lull.Refused, "make the plan again with the same lull undo", "plan %s expired at %s", p.ID, p.Expires.Local().Format(time.TimeOnly))
	}
	if p.Server != a.opt.Server {
		return lull.Errorf(lull.Refused, "connect to the server the plan was made for", "plan %s was made for another server (%s, this is %s)", p.ID, p.Server, a.opt.Server)
	}
	if !a.opt.Fresh {
		if err := p.Check(); err != nil {
			return err
		}
	}
	for i := range p.Tables {
		t := &p.Tables[i]
		if t.Create {
			continue
		}
		live, err := a.target.Table(ctx, t.Name)
		if err != nil {
			return err
		}
		if !sameShape(live, t.Shape) {
			return lull.Errorf(lull.Refused, "make the plan again with the same lull undo", "plan %s is stale: the shape of %s was changed since", p.ID, t.Name)
		}
	}
	return nil
}

func sameShape(a, b *db.Table) bool {
	x, y := *a, *b
	x.Rows, y.Rows = 0, 0
	xb, xerr := json.Marshal(&x)
	yb, yerr := json.Marshal(&y)
	return xerr == nil && yerr == nil && bytes.Equal(xb, yb)
}

func (a *apply) run(ctx context.Context) error {
	for i := range a.plan.Tables {
		if t := &a.plan.Tables[i]; t.Create {
			if err := a.target.CreateLike(ctx, t.Name, t.Like); err != nil {
				return err
			}
		}
	}
	if a.plan.Atomic {
		return a.atomic(ctx)
	}
	if !a.opt.Fresh && !a.ledger.Any() {
		if err := a.precheck(ctx); err != nil {
			return err
		}
	}
	for i, sec := range a.plan.Sections {
		if sec.Do == act.Keep {
			continue
		}
		if err := a.section(ctx, i, sec); err != nil {
			return err
		}
	}
	return nil
}

// failed says how far things are: a plan of which nothing was written is as if never begun.
func (a *apply) failed(err error) error {
	if a.ledger.Any() {
		return lull.Errorf(max(lull.KindOf(err), lull.Partly), "lull apply "+a.plan.ID+" goes on where it stopped; lull undo "+a.plan.ID+" takes back what is written",
			"%s is interrupted: %w", a.plan.ID, err)
	}
	return errors.Join(err, a.plan.Abandon())
}

// atomic writes all sections in one transaction.
func (a *apply) atomic(ctx context.Context) error {
	all := act.Batch{Section: -1}
	if a.ledger.IsDone(all) {
		return a.recount(ctx)
	}
	if a.ledger.InDoubt(all) {
		s, err := a.standing(ctx)
		if err != nil {
			return err
		}
		done, err := a.landed(s)
		if err != nil {
			return err
		}
		if done {
			return errors.Join(a.ledger.Finish(all), a.recount(ctx))
		}
	}
	return a.transact(ctx, all, func(tx Tx, c *counts) error {
		if err := a.keylessAsPlanned(ctx, tx); err != nil {
			return err
		}
		for i := range a.plan.Sections {
			if err := a.stretch(ctx, tx, act.Batch{Section: i, Rows: a.plan.Sections[i].Rows}, nil, c); err != nil {
				return err
			}
		}
		if a.plan.Unchecked {
			return a.noOrphans(ctx, tx)
		}
		return nil
	})
}

// counts is what one transaction did; it counts only once that is committed.
type counts struct {
	inserted, updated, deleted, verified int64
	sum                                  checksum
}

// transact runs one batch's writes in a transaction, and again when the server breaks it off.
func (a *apply) transact(ctx context.Context, b act.Batch, write func(Tx, *counts) error) error {
	for try := 1; ; try++ {
		err := a.once(ctx, b, write)
		if err == nil || try == attempts || ctx.Err() != nil || !a.target.Retry(err) || a.ledger.InDoubt(b) {
			return err
		}
	}
}

func (a *apply) once(ctx context.Context, b act.Batch, write func(Tx, *counts) error) error {
	tx, err := a.target.Begin(ctx, a.plan.ID, !a.plan.Unchecked)
	if err != nil {
		return err
	}
	var c counts
	if err := write(tx, &c); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := a.ledger.Begin(b); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return lull.Errorf(lull.Unreachable, "lull apply "+a.plan.ID+" finds out and goes on", "the server did not say whether it committed: %w", err)
	}
	a.add(&c)
	return a.ledger.Finish(b)
}

func (a *apply) add(c *counts) {
	a.inserted.Add(c.inserted)
	a.updated.Add(c.updated)
	a.deleted.Add(c.deleted)
	a.verified.Add(c.verified)
	a.sum.join(&c.sum)
}

// The size of a batch of a plan that is not atomic.
const (
	applyRows  = 10_000
	applyBytes = 4 << 20
)

// section writes one section in batches, several at a time.
func (a *apply) section(ctx context.Context, index int, sec act.Section) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, a.opt.Connections))
	err := a.cut(index, sec, func(b act.Batch, x *records) error {
		if err := gctx.Err(); err != nil {
			return err
		}
		g.Go(func() error {
			defer a.used.Put(x)
			return a.batch(gctx, b, x.recs)
		})
		return nil
	})
	if werr := g.Wait(); werr != nil {
		return werr
	}
	return err
}

// records is a run of a section's records with the bytes they point into. They are used
// again and again: a plan may have millions.
type records struct {
	buf  []byte
	ends []int
	recs []act.Record
}

func (x *records) reset() { x.buf, x.ends = x.buf[:0], x.ends[:0] }

// settle parses the records once the buffer has stopped growing.
func (x *records) settle() error {
	if n := len(x.ends); cap(x.recs) < n {
		x.recs = append(x.recs[:cap(x.recs)], make([]act.Record, n-cap(x.recs))...)
	}
	x.recs = x.recs[:len(x.ends)]
	at := 0
	for i, end := range x.ends {
		if err := x.recs[i].Parse(x.buf[at:end:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// cut reads a section's records and hands them out in batches; the cuts are the same in
// every run, because the ledger speaks of them. Who is done with a batch may put it back
// into a.used.
func (a *apply) cut(index int, sec act.Section, fn func(act.Batch, *records) error) error {
	in, err := a.plan.Records(sec)
	if err != nil {
		return err
	}
	defer in.Close()
	b := act.Batch{Section: index}
	for {
		x, ok := a.used.Get().(*records)
		if !ok {
			x = &records{}
		}
		x.reset()
		for len(x.ends) < applyRows && len(x.buf) < applyBytes && err == nil {
			if x.buf, err = in.Append(x.buf); err == nil {
				x.ends = append(x.ends, len(x.buf))
			}
		}
		if err != nil && !isEOF(err) {
			return err
		}
		if b.Rows = int64(len(x.ends)); b.Rows == 0 {
			return nil
		}
		if err := x.settle(); err != nil {
			return err
		}
		if err := fn(b, x); err != nil {
			return err
		}
		b.From += b.Rows
	}
}

// each walks a section's records, a batch at a time.
func (a *apply) each(index int, sec act.Section, fn func(act.Batch, []act.Record) error) error {
	return a.cut(index, sec, func(b act.Batch, x *records) error {
		defer a.used.Put(x)
		return fn(b, x.recs)
	})
}

// batch writes one batch unless an earlier run did.
func (a *apply) batch(ctx context.Context, b act.Batch, recs []act.Record) error {
	if a.ledger.IsDone(b) {
		return a.count(ctx, b, recs)
	}
	if a.ledger.InDoubt(b) {
		planned, written, err := a.compare(ctx, b, recs)
		if err != nil {
			return err
		}
		done, err := a.landed(standing{int64(planned), int64(written), int64(len(recs))})
		if err != nil {
			return err
		}
		if done {
			return errors.Join(a.ledger.Finish(b), a.count(ctx, b, recs))
		}
	}
	return a.transact(ctx, b, func(tx Tx, c *counts) error { return a.stretch(ctx, tx, b, recs, c) })
}

func (a *apply) receipt() *act.Receipt {
	return &act.Receipt{
		Lull: lull.ContractVersion, Plan: a.plan.ID, Digest: a.plan.Digest,
		Started: a.ledger.Began, Finished: a.opt.Now().UTC(), Resumed: a.ledger.Runs - 1,
		Inserted: a.inserted.Load(), Updated: a.updated.Load(), Deleted: a.deleted.Load(),
		Verified: a.verified.Load(), Checksum: fmt.Sprintf("%016x", a.sum.bits), Warnings: a.plan.Warnings,
	}
}

// stale is the refusal of a plan whose rows are not as it found them.
func (a *apply) stale(format string, args ...any) error {
	return lull.Errorf(lull.Refused, "make the plan again with the same lull undo", "plan %s is stale: %s", a.plan.ID, fmt.Sprintf(format, args...))
}
