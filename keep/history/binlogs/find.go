package binlogs

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Scan reads the logs' part of the window and reports what transactions did, in commit
// order. Memory does not grow with the logs, only with what is reported.
func Scan(ctx context.Context, logs []Log, q Query) (*history.Result, error) {
	w, err := resolve(ctx, logs, q.Window)
	if err != nil {
		return nil, err
	}
	q.Window = w
	parts, gaps, err := bracket(ctx, logs, w)
	if err != nil {
		return nil, err
	}
	scans := make([]*scanner, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(Parallel)
	for i, p := range parts {
		g.Go(func() error {
			s, err := scanPart(ctx, &q, p)
			scans[i] = s
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	settle(scans, w.Until.IsZero())
	out := join(scans)
	out.Gaps = append(gaps, out.Gaps...)
	return out, nil
}

func scanPart(ctx context.Context, q *Query, p part) (*scanner, error) {
	src, opts, err := p.log.Open(ctx, p.from)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p.log.Name(), err)
	}
	defer src.Close()
	s := newScanner(q, p.log, src, opts)
	err = s.run(ctx)
	s.res.Bytes = s.p.Pos() - p.from
	s.p, s.tx, s.stats, s.versions = nil, transaction{}, nil, nil // its buffers are done with
	return s, err
}

// join puts the logs' results together, in the logs' order.
func join(scans []*scanner) *history.Result {
	out := &history.Result{Stats: map[db.Name]*history.Stats{}}
	for _, s := range scans {
		r := &s.res
		for _, t := range r.Touches {
			if st := out.Stats[t.Table]; st != nil {
				t.Net += st.Inserted - st.Deleted
			}
			out.Touches = append(out.Touches, t)
		}
		out.Places = append(out.Places, r.Places...)
		for _, t := range r.Totals {
			out.Total(*t)
		}
		for name, st := range r.Stats {
			statsOf(out, name).Merge(st)
		}
		out.Gaps = append(out.Gaps, r.Gaps...)
		out.Transactions += r.Transactions
		out.Bytes += r.Bytes
		out.Passed += r.Passed
		out.Files = append(out.Files, s.file)
	}
	return out
}
