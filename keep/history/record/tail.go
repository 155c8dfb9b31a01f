package record

import (
	"context"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Safe is the number of a transaction that is in the store and that every reader of the server
// sees by now. It is only good for what is read from the server after Reached said that the
// recorder is there: before that it may be 0.
func (r *Recorder) Safe() history.Seq {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq, _ := r.safe()
	return seq
}

// safe is Safe; false when nothing is yet. mu is held.
func (r *Recorder) safe() (history.Seq, bool) {
	if r.stored.ordinal < r.freshFrom {
		return 0, false
	}
	return r.trail.settled(r.o.Clock(), r.stored.seq)
}

// Reached waits until the recorder has read the log of its server up to pos, the store has what
// was read, and Safe is good, and returns the number of the last transaction that ends at or
// before pos. A place that was read too long ago, or that belongs to a server which is not
// recorded any more, is a lull.Error of kind Failed.
func (r *Recorder) Reached(ctx context.Context, pos db.Position) (history.Seq, error) {
	if pos.File == "" {
		return 0, lull.Errorf(lull.Failed, "", "wait for the recorder: the place in the log has no file")
	}
	r.mu.Lock()
	r.waiters++
	server := r.trail.server
	known := r.readPos.File != ""
	defer func() {
		r.mu.Lock()
		r.waiters--
		r.mu.Unlock()
	}()
	for {
		if !known {
			server, known = r.trail.server, r.readPos.File != ""
		}
		seq, done, err := r.reached(pos, server)
		changed := r.changed
		r.mu.Unlock()
		if done || err != nil {
			return seq, err
		}
		if err := await(ctx, changed); err != nil {
			return 0, err
		}
		r.mu.Lock()
	}
}

// At says that a feed which was opened in this run has read its server's log up to pos, and that
// the store has all transactions up to there. Unlike Reached it does not wait until every reader
// sees them. What it asks for is sealed soon, so that it may be asked again and again.
func (r *Recorder) At(pos db.Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pos.File == "" || r.readPos.File == "" || compare(r.readPos, pos) < 0 || len(r.trail.stretches) == 0 {
		return false
	}
	seq, ok := r.trail.find(pos)
	if !ok {
		seq = r.trail.stretches[0].seq // pos is before all that was read in this run
	}
	if r.stored.seq < seq {
		r.flushUpTo = max(r.flushUpTo, seq)
		return false
	}
	return r.stored.ordinal >= r.freshFrom
}

// reached looks whether pos is; mu is held.
func (r *Recorder) reached(pos db.Position, server int) (seq history.Seq, done bool, err error) {
	if r.trail.server != server {
		return 0, false, lull.Errorf(lull.Failed, "begin again", "wait for the recorder to reach %s:%d: it follows another server or history now",
			pos.File, pos.Offset)
	}
	if r.readPos.File == "" || compare(r.readPos, pos) < 0 {
		return 0, false, nil
	}
	seq, ok := r.trail.find(pos)
	if !ok {
		return 0, false, lull.Errorf(lull.Failed, "begin again", "wait for the recorder to reach %s:%d: it was there too long ago", pos.File, pos.Offset)
	}
	if r.stored.seq < seq {
		r.flushUpTo = max(r.flushUpTo, seq)
		return 0, false, nil
	}
	_, ok = r.safe()
	return seq, ok, nil
}

// await waits for a change, or for time to pass.
func await(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(hurry)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-t.C:
	}
	return nil
}

// notice takes note of an event of the transaction seq, before it counts: who keeps in mind what
// is lost must do so before the recorder can be killed behind it.
func (r *Recorder) notice(seq history.Seq, e *history.Event) {
	r.note(seq, e)
	if e.Kind != history.Lost || r.o.OnLost == nil {
		return
	}
	var tables []db.Name
	if e.Table != (db.Name{}) {
		tables = []db.Name{e.Table}
	}
	r.o.OnLost(tables, e.Reason)
}

// Changed says that something happened to a table as a whole behind the transaction since, as
// far as this Recorder saw it: rows that were read from the server before are no snapshot that
// begins at since.
func (r *Recorder) Changed(table db.Name, since history.Seq) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[table] > since || r.events[db.Name{}] > since
}

// note remembers an event for Changed.
func (r *Recorder) note(seq history.Seq, e *history.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[e.Table] = max(r.events[e.Table], seq)
	if e.To != (db.Name{}) {
		r.events[e.To] = max(r.events[e.To], seq)
	}
}
