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
	s.p = nil // its buffers are done with
	return s, err
}

// join puts the logs' results together and settles the transactions that XA prepared in one
// log and decided in another.
func join(scans []*scanner) *history.Result {
	out := &history.Result{Stats: map[db.Name]*history.Stats{}}
	rolledBack := map[string]bool{}
	for _, s := range scans {
		for _, d := range s.decided {
			if !d.committed {
				rolledBack[d.xid] = true
			}
		}
	}
	for _, s := range scans {
		gone := map[int]bool{}
		for _, p := range s.pending {
			if rolledBack[p.xid] {
				gone[p.index] = true
			}
		}
		for i := range s.res.Touches {
			if !gone[i] {
				out.Touches = append(out.Touches, s.res.Touches[i])
			}
		}
		for i := range s.res.Places {
			if !gone[i] {
				out.Places = append(out.Places, s.res.Places[i])
			}
		}
		for _, t := range s.res.Totals {
			out.Total(*t)
		}
		out.Gaps = append(out.Gaps, s.res.Gaps...)
		out.Transactions += s.res.Transactions
		out.Bytes += s.res.Bytes
		out.Passed += s.res.Passed
		out.Files = append(out.Files, s.file)
		for name, st := range s.res.Stats {
			if have := out.Stats[name]; have != nil {
				have.Merge(st)
			} else {
				out.Stats[name] = st
			}
		}
	}
	return out
}
