package backup

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
)

// A server need not log the rows that foreign keys take. A row of a table in the middle, which
// has parents and children, may fall while its first snapshot is read, and then nothing tells
// that its children fell with it: they must be read afterwards.

// parentsFirst orders tables so that each comes after those it refers to, as far as it can be.
func parentsFirst(ctx context.Context, conn *mysql.Conn, names []db.Name) ([]db.Name, error) {
	if len(names) < 2 {
		return names, nil
	}
	tables := map[db.Name]*db.Table{}
	for _, n := range names {
		t, err := conn.Table(ctx, n)
		if err != nil {
			return names, err
		}
		tables[n] = t
	}
	var out []db.Name
	seen := map[db.Name]bool{}
	var visit func(n db.Name)
	visit = func(n db.Name) {
		t := tables[n]
		if t == nil || seen[n] {
			return
		}
		seen[n] = true
		for i := range t.Parents {
			visit(t.Parents[i].Parent)
		}
		out = append(out, n)
	}
	for _, n := range names {
		visit(n)
	}
	return out, nil
}

// takesRows says that a foreign key removes or changes rows of a table by itself.
func takesRows(t *db.Table) bool {
	return slices.ContainsFunc(t.Parents, func(fk db.ForeignKey) bool { return acts(fk.OnDelete) || acts(fk.OnUpdate) })
}

// middlesWait bounds how long a snapshot waits for those of the tables it refers to.
const middlesWait = 30 * time.Second

// middles is where the last snapshots that were read of a table's parents in the middle were
// complete: a snapshot of the table must not begin before.
func (k *keeper) middles(ctx context.Context, t *db.Table) (after history.Seq, err error) {
	conn, err := k.live(ctx)
	if err != nil {
		return 0, err
	}
	for i := range t.Parents {
		fk := &t.Parents[i]
		if fk.Parent == t.Name || !acts(fk.OnDelete) && !acts(fk.OnUpdate) || !k.site.db.Wants(fk.Parent) {
			continue
		}
		have, err := k.site.Repo.Snapshots(ctx, fk.Parent)
		if err != nil {
			return 0, err
		}
		at := slices.IndexFunc(have, func(s history.Snapshot) bool { return s.Origin == "read" })
		if at < 0 || have[at].End <= after {
			continue
		}
		parent, err := conn.Table(ctx, fk.Parent)
		if err != nil {
			return 0, err
		}
		if takesRows(parent) {
			after = have[at].End
		}
	}
	return after, nil
}

// awaitSafe waits until what is read from the server begins at seq or later.
func (k *keeper) awaitSafe(ctx context.Context, seq history.Seq) error {
	end := time.NewTimer(middlesWait)
	defer end.Stop()
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for k.recorder.Safe() < seq {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil // the fold says what is doubtful
		case <-tick.C:
		}
	}
	return nil
}

// errDoubtful says that a snapshot would hold rows that may not be exact.
var errDoubtful = errors.New("its rows are not known exactly")

// exactRows ends a table's rows with an error when they may not be exact.
func exactRows(ctx context.Context, t *fold.Table) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		for row, err := range t.Rows(ctx) {
			if !yield(row, err) || err != nil {
				return
			}
		}
		if !t.Exact {
			yield(nil, errDoubtful)
		}
	}
}
