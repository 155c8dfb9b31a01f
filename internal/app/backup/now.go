package backup

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/term"
)

// NowOptions say what to do besides recording.
type NowOptions struct {
	All   bool // a snapshot of every table
	Table func(name string, estimate int64) (progress func(rows int64))
	Say   func(string)
}

// NowDone is what one run has done.
type NowDone struct {
	Database     string
	Began        bool // there was no repository before
	Transactions int64
	Until        string
	Snapshots    []string
	Rows, Bytes  int64
	Problems     []string
}

// errDone ends a recorder that has come as far as it should.
var errDone = errors.New("done")

// Now records what happened since the last time, takes the snapshots that are due, and ends.
func Now(ctx context.Context, w Where, opt NowOptions) (*NowDone, error) {
	k, err := newKeeper(ctx, w, ServeOptions{Say: func(_ time.Time, text string) { opt.Say(text) }})
	if err != nil {
		return nil, err
	}
	defer k.close()
	k.once = true
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	out := &NowDone{Database: k.site.Name, Began: end.Seq == 0 && end.Pos == db.Position{}}
	g, run := errgroup.WithContext(ctx)
	g.Go(func() error { return k.recorder.Run(run) })
	g.Go(func() error { return k.impatient(run) })
	g.Go(func() error {
		if err := k.now(run, opt, out); err != nil {
			return err
		}
		return errDone
	})
	if err := g.Wait(); !errors.Is(err, errDone) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	last := k.recorder.Status()
	k.onStatus(last)
	out.Transactions = int64(last.Seq - end.Seq)
	out.Until = last.At.UTC().Format(time.RFC3339Nano)
	return out, nil
}

// now catches up, takes the snapshots, and waits until the store has what they need.
func (k *keeper) now(ctx context.Context, opt NowOptions, out *NowDone) error {
	if err := k.catchUp(ctx); err != nil {
		return err
	}
	done, err := k.snapshots(ctx, snapshotOptions{all: opt.All, progress: opt.Table})
	if err != nil && (ctx.Err() != nil || len(done.Problems) == 0) {
		return err
	}
	out.Snapshots, out.Rows, out.Bytes, out.Problems = done.Tables, done.Rows, done.Bytes, done.Problems
	if err := k.keepCatalog(ctx); err != nil {
		return err
	}
	if err := k.catchUp(ctx); err != nil {
		return err
	}
	for _, to := range k.site.backup.Copies {
		n, size, err := k.site.copyTo(ctx, to, nil)
		if err != nil {
			return err
		}
		k.say("%s copied to %s, %s", term.Plural(n, "object"), to, term.Bytes(size))
	}
	return nil
}

// catchUp records up to what the server has written by now, and waits until that is stored.
func (k *keeper) catchUp(ctx context.Context) error {
	conn, err := k.live(ctx)
	if err != nil {
		return err
	}
	pos, err := conn.Position(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(catchUpEvery)
	defer tick.Stop()
	for {
		if k.recorder.At(pos) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

const (
	catchUpEvery = 50 * time.Millisecond
	// patience is how long a system may not answer before a run that somebody waits for gives up.
	patience = 30 * time.Second
)

// impatient ends a run that waits for a system which does not answer.
func (k *keeper) impatient(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st := k.recorder.Status()
		if what, since := trouble(&st); what != "" && k.site.where.Clock().Sub(since) > patience {
			return lull.Errorf(lull.Unreachable, "lull check; run it again, it goes on where it was", "%s", what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
