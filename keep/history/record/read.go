package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
)

// noteEvery is how often OnStatus is called when all is well.
const noteEvery = time.Second

// read follows the feed, and opens another one when it breaks, until ctx ends.
func (r *Recorder) read(ctx context.Context) error {
	for {
		again := r.gap != nil
		err := r.session(ctx)
		if left := r.leave(err); left != nil {
			return errors.Join(err, left)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case fsx.IsFull(err):
			r.diskFull(err)
		case errors.Is(err, ErrPurged), r.o.Purged != nil && r.o.Purged(err):
			r.purged(err)
		case lull.KindOf(err) != lull.Unreachable:
			return err
		default:
			r.update(true, func(s *Status) { fail(&s.FeedError, &s.FeedSince, err, r.o.Clock()) })
		}
		if r.gap != nil && !again {
			continue
		}
		if err := r.backoff.wait(ctx); err != nil {
			return err
		}
	}
}

func (r *Recorder) diskFull(err error) {
	r.update(true, func(s *Status) { fail(&s.DiskError, &s.DiskSince, err, r.o.Clock()) })
}

// purged remembers that a hole is to be written down, when there is something before it.
func (r *Recorder) purged(err error) {
	r.update(true, func(s *Status) { fail(&s.FeedError, &s.FeedSince, err, r.o.Clock()) })
	if r.gap == nil && r.cur.pos != (db.Position{}) {
		r.gap = &gap{reason: innermost(err)}
	}
}

// gap is a hole in the stream that was not written down yet.
type gap struct{ reason string }

// innermost is the message of the error that the others are wrapped around: what happened, and
// not where it was noticed. Of joined ones it is the last.
func innermost(err error) string {
	for {
		switch x := err.(type) { //nolint:errorlint // it goes down the chain itself
		case interface{ Unwrap() error }:
			if inner := x.Unwrap(); inner != nil {
				err = inner
				continue
			}
		case interface{ Unwrap() []error }:
			if list := x.Unwrap(); len(list) > 0 {
				err = list[len(list)-1]
				continue
			}
		}
		return err.Error()
	}
}

// leave ends a session in order: what was read to the end of a transaction is sealed, and the
// rest forgotten. err is what ended the session.
func (r *Recorder) leave(err error) error {
	if r.batch == nil && !r.unplaced {
		r.loose = nil
		return nil
	}
	whole := r.batch != nil && !r.batch.inside && !r.batch.empty() && !r.unplaced
	if !whole || fsx.IsFull(err) {
		return r.discard()
	}
	err = r.seal(r.o.Clock())
	switch {
	case err == nil:
		r.loose = nil
		return nil
	case fsx.IsFull(err):
		r.diskFull(err)
		err = nil
	}
	return errors.Join(err, r.discard())
}

// discard goes back to where the stream is sealed.
func (r *Recorder) discard() error {
	r.unplaced, r.loose, r.hole = false, nil, ""
	r.cur = r.sealed
	r.known.revert(r.sealed.ordinal)
	r.from = r.sealed.pos
	r.mu.Lock()
	r.trail.cut(r.sealed.seq)
	r.readPos = db.Position{}
	r.mu.Unlock()
	if r.batch == nil {
		return nil
	}
	b := r.batch
	r.batch = nil
	return b.drop()
}

// session reads one feed to its end.
func (r *Recorder) session(ctx context.Context) error {
	fresh := r.gap != nil || r.cur.pos == (db.Position{})
	start := Start{Pos: r.cur.pos, Server: r.cur.server, Fresh: fresh}
	if !fresh {
		start.Known = r.known.list()
	}
	feed, server, err := r.o.Open(ctx, start)
	if err != nil {
		return fmt.Errorf("open the stream of changes: %w", err)
	}
	defer func() { _ = feed.Close() }() // what ended the session says more
	if err := r.begin(server, fresh); err != nil {
		return err
	}
	if all, ok := feed.(knower); ok {
		for _, d := range all.Known() {
			r.known.learn(d)
		}
	}
	for first := true; ; first = false {
		step, err := feed.Next(ctx)
		if err != nil {
			return fmt.Errorf("read the stream of changes: %w", err)
		}
		if first {
			r.feedWorks()
			if step.Kind == history.IdleStep && !r.unplaced {
				step.At = r.cur.at // it says where the feed begins, which may be long ago
			}
		}
		if err := r.step(ctx, step); err != nil {
			return err
		}
	}
}

// knower is a Feed that knows more tables' definitions than its steps have named: those that
// nothing has happened to yet, and that an ALTER may be the first thing to happen to.
type knower interface {
	Known() []*history.Definition
}

func (r *Recorder) feedWorks() {
	r.mu.Lock()
	was := r.status.FeedError
	r.mu.Unlock()
	if was != nil {
		r.update(true, func(s *Status) { s.FeedError, s.FeedSince = nil, time.Time{} })
	}
}

// begin makes ready for a feed of the server.
func (r *Recorder) begin(server string, fresh bool) error {
	now := r.o.Clock()
	moved := r.cur.server != "" && r.cur.server != server
	r.cur.server = server
	r.mu.Lock()
	r.readPos = db.Position{}
	switch {
	case moved || fresh:
		r.trail.reset()
	default:
		r.readPos = r.cur.pos
		if len(r.trail.stretches) == 0 {
			r.trail.push(stretch{file: r.cur.pos.File, off: r.cur.pos.Offset, seq: r.cur.seq, at: now})
		}
	}
	r.describe(func(s *Status) { s.Server = server })
	r.mu.Unlock()
	if !fresh {
		if r.skip != "" {
			return r.writeSkip()
		}
		return nil
	}
	r.unplaced = true
	r.known.clear()
	if r.gap == nil {
		return nil
	}
	return r.writeGap(now)
}

// writeGap gives the hole two numbers of its own, where it begins and where it ends: moments
// between them lie in it, and snapshots which begin behind it have a Start that says so. It
// counts from the last moment that is known.
func (r *Recorder) writeGap(now time.Time) error {
	at := r.cur.at
	if at.IsZero() {
		at = now
	}
	r.hole = fmt.Sprintf("nothing is known from %s to %s: %s",
		at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), r.gap.reason)
	return r.lone(history.Event{Kind: history.Lost, Reason: r.hole}, at, r.cur.pos, now)
}

// endHole notes where the hole ends, before anything that is known again.
func (r *Recorder) endHole(pos db.Position, now time.Time) error {
	if r.hole == "" {
		return nil
	}
	reason := r.hole
	r.hole = ""
	return r.lone(history.Event{Kind: history.Lost, Reason: reason}, now, pos, now)
}

// lone records an event outside of all transactions as one of its own.
func (r *Recorder) lone(e history.Event, at time.Time, pos db.Position, now time.Time) error {
	if err := r.ensure(); err != nil {
		return err
	}
	r.batch.event(&e, nil, nil)
	tx := db.Tx{File: pos.File, Start: pos.Offset, End: pos.Offset, At: at}
	if err := r.batch.commit(&tx, nil, now); err != nil {
		return err
	}
	r.cur.seq = r.batch.last
	r.notice(r.cur.seq, &e)
	return nil
}

// ensure begins a pack when none is open.
func (r *Recorder) ensure() error {
	if r.batch != nil {
		return nil
	}
	var err error
	r.batch, err = newBatch(r.o.Dir, r.cur.seq+1, r.o.Recipients, r.create)
	return err
}

// step takes one step of the feed.
func (r *Recorder) step(ctx context.Context, s *history.Step) error {
	switch s.Kind {
	case history.RowStep:
		if err := r.enter(ctx); err != nil {
			return err
		}
		r.known.learn(s.Definition)
		c := history.RowChange{Op: s.Change.Op, ForeignKeysOff: s.ForeignKeysOff, Before: s.Change.Before, After: s.Change.After}
		return r.batch.change(&c, s.Definition.Table.Name, s.Definition)
	case history.EventStep:
		if s.Event.Kind == history.Lost && (r.batch == nil || !r.batch.inside) {
			r.loose = append(r.loose, *s.Event)
			return nil
		}
		if err := r.enter(ctx); err != nil {
			return err
		}
		r.happened(s.Event, s.New)
		return nil
	case history.CommitStep:
		return r.commit(ctx, s)
	case history.IdleStep:
		return r.idle(ctx, s)
	}
	return fmt.Errorf("read the stream of changes: step of kind %d", s.Kind)
}

// enter begins a transaction, unless it has begun.
func (r *Recorder) enter(ctx context.Context) error {
	if r.batch != nil && r.batch.inside {
		return nil
	}
	if err := r.sealDue(r.o.Clock()); err != nil {
		return err
	}
	if err := r.room(ctx); err != nil {
		return err
	}
	if err := r.ensure(); err != nil {
		return err
	}
	if err := r.endHole(r.cur.pos, r.o.Clock()); err != nil {
		return err
	}
	for i := range r.loose { // they were part of it
		r.happened(&r.loose[i], nil)
	}
	r.loose = nil
	return nil
}

func (r *Recorder) happened(e *history.Event, d *history.Definition) {
	r.batch.event(e, d, r.known.now[e.Table])
	r.known.happened(e, d)
}

func (r *Recorder) commit(ctx context.Context, s *history.Step) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	if r.o.OnCommit != nil {
		tx := s.Tx
		if err := r.o.OnCommit(ctx, r.batch.seq(), &tx, s.Touches); err != nil {
			return fmt.Errorf("look at transaction %d: %w", r.batch.seq(), err)
		}
	}
	now := r.o.Clock()
	for i := range r.batch.pending {
		r.notice(r.batch.seq(), &r.batch.pending[i])
	}
	if err := r.batch.commit(&s.Tx, s.Touches, now); err != nil {
		return err
	}
	r.cur.seq = r.batch.last
	if r.unplaced {
		r.placed(db.Position{File: s.Tx.File, Offset: s.Tx.Start})
	}
	return r.moved(s.Pos, s.Tx.At, now, true)
}

// idle moves the position when no transaction is open.
func (r *Recorder) idle(ctx context.Context, s *history.Step) error {
	r.backoff.reset()
	if r.batch != nil && r.batch.inside {
		return nil
	}
	now := r.o.Clock()
	if r.unplaced {
		r.placed(s.Pos)
	}
	if err := r.endHole(s.Pos, now); err != nil {
		return err
	}
	if len(r.loose) > 0 {
		if err := r.room(ctx); err != nil {
			return err
		}
		for _, e := range r.loose {
			if err := r.lone(e, s.At, r.cur.pos, now); err != nil {
				return err
			}
		}
		r.loose = nil
	}
	return r.moved(s.Pos, s.At, now, false)
}

// placed says where a fresh start begins.
func (r *Recorder) placed(pos db.Position) {
	if r.sealed.ordinal == 0 {
		r.from = pos
	}
	r.unplaced, r.gap, r.urgent, r.begun = false, nil, true, true
}

// moved takes note of a new position between transactions.
func (r *Recorder) moved(pos db.Position, at, now time.Time, commit bool) error {
	r.cur.pos = pos
	if at.After(r.cur.at) {
		r.cur.at = at
	}
	r.mu.Lock()
	r.readPos = pos
	switch {
	case r.begun:
		r.begun = false
		r.freshFrom = r.sealed.ordinal + 1
		r.trail.push(stretch{file: pos.File, off: pos.Offset, seq: r.cur.seq, at: now, fresh: true})
	case commit:
		r.trail.commit(pos, r.cur.seq, now)
	default:
		r.trail.place(pos, r.cur.seq, now)
	}
	r.status.Seq, r.status.Pos, r.status.At = r.cur.seq, pos, r.cur.at
	if r.waiters > 0 {
		r.wake()
	}
	r.mu.Unlock()
	if err := r.sealDue(now); err != nil {
		return err
	}
	if now.Sub(r.lastNote) >= noteEvery {
		r.lastNote = now
		r.tell()
	}
	return nil
}
