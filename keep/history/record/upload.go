package record

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/lull-ops/lull"
)

// upload puts the sealed packs into the store, in order and until ctx ends.
func (r *Recorder) upload(ctx context.Context) error {
	var b backoff
	for {
		p, err := r.next(ctx)
		if err != nil {
			return err
		}
		err = r.put(ctx, &p)
		switch {
		case err == nil:
			b.reset()
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case lull.KindOf(err) == lull.Locked:
			return err
		}
		if _, local := errors.AsType[*localError](err); local {
			return err
		}
		r.storeFailed(err)
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
}

// next waits for a pack.
func (r *Recorder) next(ctx context.Context) (sealedPack, error) {
	for {
		r.mu.Lock()
		changed := r.changed
		if len(r.queue) > 0 {
			p := r.queue[0]
			r.mu.Unlock()
			return p, nil
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return sealedPack{}, ctx.Err()
		case <-changed:
		}
	}
}

// localError is an error of the folder, which no other try mends.
type localError struct{ error }

// put stores a pack and takes it out of the folder.
func (r *Recorder) put(ctx context.Context, p *sealedPack) error {
	f, err := os.Open(p.path)
	if err != nil {
		return &localError{fmt.Errorf("open pack: %w", err)}
	}
	defer f.Close()
	if err := r.o.Repo.PutLog(ctx, p.ordinal, f, p.size); err != nil {
		return err
	}
	if err := os.Remove(p.path); err != nil {
		return &localError{fmt.Errorf("remove stored pack: %w", err)}
	}
	now := r.o.Clock()
	r.mu.Lock()
	r.queue = r.queue[1:]
	r.stored = p.tip
	r.describe(func(s *Status) { s.LastPut = now })
	r.mu.Unlock()
	r.storeWorks()
	return nil
}
