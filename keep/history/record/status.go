package record

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Status is how a Recorder is doing.
type Status struct {
	Seq    history.Seq // the last transaction that was read
	Pos    db.Position // how far the server's log was read
	Server string
	At     time.Time // commit time of Seq, or later, when nothing has happened until then
	// Behind is how far the present is ahead of At.
	Behind time.Duration
	// Pending is how many bytes wait for the store; Stored the last transaction it has.
	Pending int64
	Stored  history.Seq
	LastPut time.Time // when the store took the last pack; zero when it has not yet
	// The errors are nil when things go well, and else the last one; the times say since when
	// nothing has worked.
	StoreError error
	StoreSince time.Time
	FeedError  error
	FeedSince  time.Time
	DiskError  error // Dir has no room
	DiskSince  time.Time
	// Full says that reading waits because SpoolBytes wait for the store.
	Full bool
	// Left is a folder in Dir with packs that were put aside, because they are damaged or do not
	// fit behind what the store has; "" for none. Nobody reads them any more.
	Left string
}

// Status is how the Recorder is doing now.
func (r *Recorder) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.present()
}

// present is the status; mu is held.
func (r *Recorder) present() Status {
	s := r.status
	s.Stored = r.stored.seq
	s.Pending = r.pending()
	if !s.At.IsZero() {
		s.Behind = max(0, r.o.Clock().Sub(s.At))
	}
	if s.Behind < idleSlack && s.FeedError == nil && s.DiskError == nil && !s.Full {
		s.Behind = 0
	}
	return s
}

// pending is how many bytes wait for the store; mu is held.
func (r *Recorder) pending() int64 {
	var n int64
	for i := range r.queue {
		n += r.queue[i].size
	}
	return n
}

// idleSlack is within how much time a feed says that nothing happened.
const idleSlack = 2 * time.Second

// describe changes the status; mu is held.
func (r *Recorder) describe(change func(*Status)) {
	change(&r.status)
	r.wake()
}

// wake lets those who wait look again; mu is held.
func (r *Recorder) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// update changes the status and says so at once when something went wrong or right again.
func (r *Recorder) update(tell bool, change func(*Status)) {
	r.mu.Lock()
	r.describe(change)
	r.mu.Unlock()
	if tell {
		r.tell()
	}
}

func (r *Recorder) tell() {
	if r.o.OnStatus == nil {
		return
	}
	r.notifying.Lock()
	defer r.notifying.Unlock()
	r.o.OnStatus(r.Status())
}

func (r *Recorder) storeFailed(err error) {
	now := r.o.Clock()
	r.update(true, func(s *Status) { fail(&s.StoreError, &s.StoreSince, err, now) })
}

func (r *Recorder) storeWorks() {
	r.mu.Lock()
	was := r.status.StoreError
	r.mu.Unlock()
	r.update(was != nil, func(s *Status) { s.StoreError, s.StoreSince = nil, time.Time{} })
}

func fail(slot *error, since *time.Time, err error, now time.Time) {
	if *slot == nil {
		*since = now
	}
	*slot = err
}

// backoff spreads tries over time: half a second at first, up to half a minute.
type backoff struct{ tries int }

const (
	firstWait = 500 * time.Millisecond
	lastWait  = 30 * time.Second
)

func (b *backoff) reset() { b.tries = 0 }

// wait waits for a random time that grows from try to try.
func (b *backoff) wait(ctx context.Context) error {
	most := min(firstWait<<min(b.tries, 10), lastWait)
	b.tries++
	return pause(ctx, firstWait/2+rand.N(most))
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
