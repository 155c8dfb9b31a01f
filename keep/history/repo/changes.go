package repo

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Changes implements history.Past. Of each pack it fetches the members of those tables only. A
// hole in the chain that lies in (after, upto] is a HoleError, before anything behind it is
// handed out.
func (r *Repo) Changes(ctx context.Context, tables []db.Name, after, upto history.Seq, fn func(db.Name, *history.RowChange) error) error {
	w := &changesWalk{repo: r, wanted: tableSet(tables), after: after, upto: upto, fn: fn, told: map[db.Name]told{}}
	if err := r.onChain(ctx, upto, func(c *chain) error { return w.run(ctx, c) }); err != nil {
		return fmt.Errorf("read changes of %s: %w", r, err)
	}
	return nil
}

// told is how far a table's changes were handed out.
type told struct {
	seq history.Seq
	n   uint64
}

// changesWalk hands out changes, and goes on where it was on another chain of the same history.
type changesWalk struct {
	repo        *Repo
	wanted      func(db.Name) bool
	after, upto history.Seq // after moves on with each pack
	start       history.Seq // after at the beginning of a run
	fn          func(db.Name, *history.RowChange) error
	told        map[db.Name]told
	again       bool
}

// firstFetch is a pack with its first members that are wanted.
type firstFetch struct {
	o        *opened
	groups   []group
	payloads [][]byte
}

func (w *changesWalk) run(ctx context.Context, c *chain) error {
	w.start = w.after
	defer func() { w.again = true }()
	logs, err := w.repo.span(ctx, c, w.after, w.upto)
	if err != nil {
		return err
	}
	ends, err := w.repo.summaries(ctx, logs)
	if err != nil {
		return err
	}
	if err := w.repo.unbroken(ctx, c, logs, ends, w.after); err != nil {
		return err
	}
	return ahead(ctx, len(logs), atOnce/2, func(ctx context.Context, i int) (*firstFetch, error) {
		return w.fetch(ctx, logs[i])
	}, func(i int, f *firstFetch) error {
		if i > 0 {
			if h := w.repo.hole(logs[i-1], logs[i], ends[i-1], ends[i]); h != nil && h.After < w.upto {
				return &HoleError{*h}
			}
		}
		if err := w.pack(ctx, f); err != nil {
			return fmt.Errorf("read %s: %w", logs[i].Name, err)
		}
		w.after = max(w.after, min(w.upto, ends[i].Last))
		return nil
	})
}

// unbroken says what is missing between after and the first pack behind it.
func (r *Repo) unbroken(ctx context.Context, c *chain, logs []Log, ends []*summary, after history.Seq) error {
	if len(logs) == 0 || ends[0].First-1 <= after {
		return nil
	}
	h := &Hole{Before: ends[0].First, Until: ends[0].MinAt, Reason: "history begins there"}
	for i, l := range c.logs {
		if l.Name == logs[0].Name && i > 0 {
			before, err := r.summary(ctx, c.logs[i-1])
			if err != nil {
				return err
			}
			if h = r.hole(c.logs[i-1], l, before, ends[0]); h == nil {
				return nil
			}
		}
	}
	return &HoleError{*h}
}

func (w *changesWalk) fetch(ctx context.Context, l Log) (*firstFetch, error) {
	ix, err := w.repo.LogIndex(ctx, l)
	if err != nil {
		return nil, err
	}
	f := &firstFetch{}
	for i := range ix.Members {
		if m := &ix.Members[i]; m.Kind == pack.Changes && w.wanted(m.Table) {
			f.o, err = w.repo.openLog(ctx, l)
			break
		}
	}
	if err != nil || f.o == nil {
		return f, err
	}
	f.groups = f.o.groups(func(m *pack.Member) bool {
		return m.Kind == pack.Changes && m.Last > w.start && m.First <= w.upto && w.wanted(m.Table)
	})
	if len(f.groups) > 0 {
		f.payloads, err = f.o.payloads(ctx, &f.groups[0])
	}
	return f, err
}

// pack hands out the changes of one pack.
func (w *changesWalk) pack(ctx context.Context, f *firstFetch) error {
	return ahead(ctx, len(f.groups), 2, func(ctx context.Context, i int) ([][]byte, error) {
		if i == 0 {
			return f.payloads, nil
		}
		return f.o.payloads(ctx, &f.groups[i])
	}, func(i int, payloads [][]byte) error {
		for k, m := range f.groups[i].members {
			if err := w.member(&f.o.Index().Members[m], payloads[k]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *changesWalk) member(m *pack.Member, payload []byte) error {
	before := w.told[m.Table]
	return pack.EachChange(payload, m, func(c *history.RowChange) error {
		if c.Seq <= w.after || c.Seq > w.upto {
			return nil
		}
		if w.again && (c.Seq < before.seq || c.Seq == before.seq && c.N <= before.n) {
			return nil
		}
		if err := w.fn(m.Table, c); err != nil {
			return err
		}
		w.told[m.Table] = told{c.Seq, c.N}
		return nil
	})
}
