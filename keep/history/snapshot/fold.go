package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Moment is what a folded snapshot is of.
type Moment struct {
	Definition *history.Definition // the table's at Seq
	Seq        history.Seq
	At         time.Time // commit time of Seq
}

// Fold writes the rows that a table had behind a transaction as a snapshot, and returns it when
// the repository has it. After an error nothing of it is left. Rows are valid until the next
// one. Unfinished parts lie in dir.
func Fold(ctx context.Context, r Repository, m Moment, rows iter.Seq2[db.Row, error], dir string, now clock.Clock) (*history.Snapshot, error) {
	t := m.Definition.Table
	meta := history.Snapshot{ID: repo.SnapshotID(now()), Table: t.Name, Start: m.Seq, Origin: "folded"}
	w, err := r.NewSnapshot(ctx, meta, m.Definition, dir, repo.SnapshotOptions{})
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", t.Name, err)
	}
	sorted, err := write(ctx, w, t, rows)
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", t.Name, errors.Join(err, w.Abort(context.WithoutCancel(ctx))))
	}
	s, err := w.Close(repo.SnapshotEnd{End: m.Seq, At: m.At, Sorted: sorted})
	if err != nil {
		return nil, fmt.Errorf("fold %s: %w", t.Name, err)
	}
	return s, nil
}

// write adds the rows and says whether they came in the order of the table's key.
func write(ctx context.Context, w *repo.SnapshotWriter, t *db.Table, rows iter.Seq2[db.Row, error]) (sorted bool, err error) {
	key := t.RowKey()
	var last, next []byte
	sorted = key != nil
	first := true
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return false, err
		}
		if sorted {
			next = db.AppendKey(next[:0], t, key, row)
			sorted = first || bytes.Compare(last, next) < 0
			last, next, first = next, last, false
		}
		if err := w.Add(row); err != nil {
			return false, err
		}
	}
	return sorted, nil
}
