package backup

import (
	"context"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Recorded is the site's past as find reads it.
type Recorded struct{ site *Site }

var _ app.Recorded = Recorded{}

// Recorded reads the site's transactions; nil when they begin no earlier than the server's own
// logs do. since is where they begin.
func (s *Site) Recorded(ctx context.Context, logs time.Time) (past app.Recorded, since time.Time, err error) {
	if err := s.open(ctx); err != nil {
		return nil, logs, err
	}
	if !s.canRead() {
		return nil, logs, lull.Errorf(lull.Usage, "add identity: to backups/"+s.Name, "it is encrypted, and the key is not here")
	}
	if since = s.Repo.Header().Created; !since.Before(logs) {
		return nil, logs, nil
	}
	return Recorded{s}, since, nil
}

// End is where the recorded past ends, and on which server.
func (r Recorded) End(ctx context.Context) (db.Position, string, error) {
	end, err := r.site.Repo.End(ctx)
	if err != nil {
		return end.Pos, "", err
	}
	// An idle recorder has read further than what it has stored.
	if st, err := r.site.status(); err == nil && st.Seq == end.Seq && before(end.Pos, st.Pos) {
		end.Pos = st.Pos
	}
	return end.Pos, end.Server, nil
}

// Past collects what a scan of the server's own logs would have found.
func (r Recorded) Past(ctx context.Context, q *binlogs.Query) (*history.Result, error) {
	out := &history.Result{Stats: map[db.Name]*history.Stats{}, Files: []string{r.site.String()}}
	after, upto, err := r.site.window(ctx, q.Window)
	if err != nil {
		return nil, err
	}
	holes, err := r.site.Repo.Transactions(ctx, after, upto, func(_ history.Seq, tx db.Tx, touches []history.Touch) error {
		out.Transactions++
		passed, reported := false, false
		for i := range touches {
			t := &touches[i]
			if !q.Tables.Has(t.Table.Schema, t.Table.Table) {
				continue
			}
			statsOf(out, t.Table).Add(t.Inserted, t.Updated, t.Deleted, tx.At.Unix()/60)
			passed = passed || t.Updated+t.Deleted == 0 && t.DDL == "" && t.Inserted >= q.MinRows
			if wanted(q, t) {
				reported = true
				out.Touches = append(out.Touches, *t)
			}
		}
		if passed && !reported {
			out.Passed++
		}
		return nil
	})
	for _, h := range holes {
		out.Gaps = append(out.Gaps, history.Gap{File: r.site.Name, At: h.Since, Reason: h.String()})
	}
	if err != nil {
		return out, err
	}
	return out, r.unread(ctx, out, after, upto, holes)
}

// unread adds the gaps of what the recorder could not read: logs that were purged before.
func (r Recorded) unread(ctx context.Context, out *history.Result, after, upto history.Seq, holes []repo.Hole) error {
	events, err := r.site.Repo.Events(ctx, after, upto)
	if err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		hole := slices.ContainsFunc(holes, func(h repo.Hole) bool { return h.Reason == e.Reason })
		// One hole may have an event at both of its ends.
		told := slices.ContainsFunc(out.Gaps, func(g history.Gap) bool { return g.Reason == e.Reason })
		if e.Kind == history.Lost && e.Table == (db.Name{}) && e.Statement == "" && !hole && !told {
			out.Gaps = append(out.Gaps, history.Gap{File: r.site.Name, At: e.At, Reason: e.Reason})
		}
	}
	return nil
}

// Holds says that a table's rows before a transaction can be brought back from the repository,
// whatever became of them in it.
func (s *Site) Holds(ctx context.Context, tx *db.Tx, table db.Name) bool {
	if s.open(ctx) != nil || !s.canRead() {
		return false
	}
	cut, err := s.Repo.Cut(ctx, history.Bound{File: tx.File, Pos: tx.Start})
	if err != nil {
		return false
	}
	end, err := s.Repo.End(ctx)
	if err != nil || cut.Seq >= end.Seq {
		return false // it is not recorded yet
	}
	was, err := fold.Find(ctx, s.Repo, table, cut.Seq, fold.Options{})
	return err == nil && was.Exact
}

// window finds the transactions of a window: those in (after, upto].
func (s *Site) window(ctx context.Context, w history.Window) (after, upto history.Seq, err error) {
	end, err := s.Repo.End(ctx)
	if err != nil {
		return 0, 0, err
	}
	bound := func(b history.Bound, open history.Seq) (history.Seq, error) {
		if b.IsZero() {
			return open, nil
		}
		cut, err := s.Repo.Cut(ctx, b)
		if lull.KindOf(err) == lull.Usage && !b.Time.IsZero() {
			if b.Time.After(end.At) {
				return end.Seq, nil
			}
			return 0, nil // before recording began, or in a hole: what there is from there on
		}
		return cut.Seq, err
	}
	if after, err = bound(w.Since, 0); err != nil {
		return 0, 0, err
	}
	if w.Since.GTID != "" && after > 0 {
		after-- // the bound includes its transaction
	}
	upto, err = bound(w.Until, end.Seq)
	return after, upto, err
}

func statsOf(r *history.Result, name db.Name) *history.Stats {
	st := r.Stats[name]
	if st == nil {
		st = &history.Stats{Table: name}
		r.Stats[name] = st
	}
	return st
}

// wanted says that a touch is to be reported, as a scan does.
func wanted(q *binlogs.Query, t *history.Touch) bool {
	destroyed := t.Updated + t.Deleted
	switch {
	case t.DDL != "":
		return true
	case q.ID != "":
		return t.ID() == q.ID
	case q.Others && t.Plan != "":
		return false
	case q.All:
		return t.Rows() >= q.MinRows
	case destroyed >= q.MinRows:
		return destroyed > 0
	}
	return q.NoWhere && destroyed > 0 && t.NoWhere != ""
}
