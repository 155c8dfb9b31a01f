package record

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/lull-ops/lull/keep/history/pack"
)

const (
	// heartbeat is how often a pack says that nothing happened.
	heartbeat = 5 * time.Minute
	// hurry is how often a pack may be sealed for those who wait for one.
	hurry = 500 * time.Millisecond
)

// sealDue seals the pack when it is time. It must not be called inside of a transaction.
func (r *Recorder) sealDue(now time.Time) error {
	if r.unplaced || !r.urgent && !r.due(now) {
		return nil
	}
	return r.seal(now)
}

func (r *Recorder) due(now time.Time) bool {
	b := r.batch
	if b == nil || b.empty() {
		// A log that was left behind may be purged: nothing must depend on it any more.
		rotated := r.sealed.pos.File != r.cur.pos.File
		return now.Sub(r.lastSeal) >= heartbeat || rotated && now.Sub(r.lastSeal) >= r.o.FlushEvery
	}
	r.mu.Lock()
	wanted := r.flushUpTo >= b.first
	r.mu.Unlock()
	return now.Sub(b.firstAt) >= r.o.FlushEvery || b.w.Size() >= r.o.FlushBytes ||
		wanted && now.Sub(r.lastSeal) >= hurry
}

// seal ends the pack at the last transaction and hands it to the uploader.
func (r *Recorder) seal(now time.Time) error {
	if err := r.ensure(); err != nil {
		return err
	}
	next := r.cur
	next.ordinal = r.sealed.ordinal + 1
	ix := pack.Index{
		Kind: pack.Log, Database: r.o.Database, Created: now, Server: r.cur.server, From: r.from, To: r.cur.pos,
	}
	if r.batch.empty() {
		ix.MaxAt = r.cur.at // nothing was committed until then
	}
	path := filepath.Join(r.o.Dir, packName(next.ordinal))
	if err := r.file(ix, next, path); err != nil {
		return errors.Join(err, r.discard()) // it can be ended only once
	}
	size, first := r.batch.w.Size(), r.batch.first
	r.known.sealed()
	r.batch, r.urgent, r.skip = nil, false, ""
	r.sealed, r.cur, r.from, r.lastSeal = next, next, next.pos, now
	r.backoff.reset()
	r.mu.Lock()
	r.queue = append(r.queue, sealedPack{tip: next, first: first, path: path, size: size})
	was := r.status.DiskError
	r.describe(func(s *Status) { s.DiskError, s.DiskSince = nil, time.Time{} })
	r.mu.Unlock()
	if was != nil {
		r.tell()
	}
	return nil
}

// file ends the open pack and gives it its name.
func (r *Recorder) file(ix pack.Index, next tip, path string) error {
	if err := r.batch.finish(ix); err != nil {
		return err
	}
	if err := r.known.save(r.o.Dir, r.o.Repo.ID(), next.ordinal, next.seq); err != nil {
		return err
	}
	return r.batch.seal(path)
}

// room waits until the store has taken so much that there is room for more.
func (r *Recorder) room(ctx context.Context) error {
	for {
		r.mu.Lock()
		full := r.pending() >= r.o.SpoolBytes
		was := r.status.Full
		r.status.Full = full
		changed := r.changed
		r.mu.Unlock()
		if full != was {
			r.tell()
		}
		if !full {
			return nil
		}
		if r.batch != nil && !r.batch.empty() && !r.unplaced {
			if err := r.seal(r.o.Clock()); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
