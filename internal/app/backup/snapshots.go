package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/keep/history/snapshot"
)

// snapshotOptions say which snapshots to take.
type snapshotOptions struct {
	all      bool
	progress func(table string, estimate int64) func(rows int64)
}

// taken is what snapshots did.
type taken struct {
	Tables      []string
	Rows, Bytes int64
	Problems    []string
}

// snapshots takes those that are due, one table after the other.
func (k *keeper) snapshots(ctx context.Context, opt snapshotOptions) (*taken, error) {
	out := &taken{}
	conn, err := k.live(ctx)
	if err != nil {
		return out, err
	}
	tables, err := k.site.liveTables(ctx, conn)
	if err != nil {
		return out, err
	}
	if err := k.spreadLost(tables); err != nil {
		return out, err
	}
	var look []db.Name
	for _, name := range tables {
		if opt.all || k.isLost(name) || !k.site.where.Clock().Before(k.lookAgain[name]) {
			look = append(look, name)
		}
	}
	if look, err = parentsFirst(ctx, conn, look); err != nil {
		return out, err
	}
	var errs []error
	for _, name := range look {
		noted := k.lostSince(name)
		due, inside, err := k.due(ctx, name, opt.all)
		k.later(name, due, err)
		if err == nil && due {
			err = k.take(ctx, conn, name, inside, opt, out)
		}
		if err == nil {
			err = k.found(name, noted)
		}
		if err != nil {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			out.Problems = append(out.Problems, fmt.Sprintf("%s has no new snapshot: %s", name, err))
			errs = append(errs, fmt.Errorf("take a snapshot of %s: %w", name, err))
		}
	}
	return out, errors.Join(errs...)
}

// isLost says that a table can only be restored from a snapshot that is yet to be taken.
func (k *keeper) isLost(name db.Name) bool { return k.lostSince(name) > 0 }

// lostSince is the number of the note that a table needs a new snapshot, 0 when it needs none.
func (k *keeper) lostSince(name db.Name) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost[name]
}

// spreadLost makes "all tables" a note for each, so that one that fails is tried again.
func (k *keeper) spreadLost(tables []db.Name) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	noted, all := k.lost[db.Name{}]
	if !all {
		return nil
	}
	for _, t := range tables {
		k.lost[t] = max(k.lost[t], noted)
	}
	delete(k.lost, db.Name{})
	return k.writeLost()
}

// found notes that a table needs no snapshot any more, unless it was lost again since.
func (k *keeper) found(name db.Name, noted uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if noted == 0 || k.lost[name] != noted {
		return nil
	}
	delete(k.lost, name)
	return k.writeLost()
}

// later notes when a table is to be looked at again: what is due is tried again soon, the
// rest need not be asked of a store that is far away all the time.
func (k *keeper) later(name db.Name, due bool, err error) {
	wait := lookEvery
	if due || err != nil {
		wait = retryEvery
	}
	k.lookAgain[name] = k.site.where.Clock().Add(wait)
}

const (
	lookEvery  = 10 * time.Minute
	retryEvery = 30 * time.Second
)

// liveTables are the tables on the server that are to be recorded.
func (s *Site) liveTables(ctx context.Context, conn *mysql.Conn) ([]db.Name, error) {
	all, err := conn.Tables(ctx, "")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(n db.Name) bool { return !s.db.Wants(n) }), nil
}

// readable says that this machine can read what it stores.
func (s *Site) readable() bool { return len(s.Repo.Recipients()) == 0 || len(s.keys.Identities) > 0 }

// due says whether a table needs a new snapshot, and whether one can be made inside the
// repository, from an older one and the changes since.
func (k *keeper) due(ctx context.Context, name db.Name, all bool) (due, inside bool, err error) {
	lost := k.isLost(name)
	have, err := k.site.Repo.Snapshots(ctx, name)
	if err != nil {
		return false, false, err
	}
	now := k.site.where.Clock()
	if !k.site.readable() {
		return all || lost || len(have) == 0 || now.Sub(have[0].At) >= k.site.backup.Every.D(), false, nil
	}
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return false, false, err
	}
	table, err := fold.Find(ctx, k.site.Repo, name, end.Seq, fold.Options{Dir: k.dir()})
	switch lull.KindOf(err) {
	case lull.Usage, lull.Refused, lull.No: // it cannot be restored, or nobody has heard of it
		return true, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if !table.Exact {
		return true, false, nil
	}
	if table.Base == nil { // born since recording began
		return all || end.Seq-table.From > bornChanges, true, nil
	}
	if middle, err := k.middles(ctx, table.Definition.Table); err != nil || table.Base.Start < middle {
		return err == nil, false, err
	}
	age := k.site.backup.Every.D()
	if k.site.backup.Daily > 0 {
		age = min(age, day)
	}
	if !all && now.Sub(table.Base.At) < age {
		return false, false, nil
	}
	changed, err := k.changed(ctx, name, table.Base.End, end.Seq)
	return changed, true, err
}

// changed says that a table has changes in (after, upto].
func (k *keeper) changed(ctx context.Context, name db.Name, after, upto history.Seq) (bool, error) {
	err := k.site.Repo.Changes(ctx, []db.Name{name}, after, upto, func(db.Name, *history.RowChange) error { return errDone })
	if errors.Is(err, errDone) {
		return true, nil
	}
	return false, err
}

// bornChanges is after how many transactions a table that was born empty gets its first snapshot.
const bornChanges = 100_000

// take takes one snapshot.
func (k *keeper) take(ctx context.Context, conn *mysql.Conn, name db.Name, inside bool, opt snapshotOptions, out *taken) error {
	var s *history.Snapshot
	var err error
	if inside {
		s, err = k.folded(ctx, name)
		inside = !errors.Is(err, errDoubtful)
	}
	if !inside {
		s, err = k.read(ctx, conn, name, opt)
	}
	if err != nil {
		return err
	}
	if !inside {
		clear(k.lookAgain) // what refers to it may have to be read again
	}
	from := "read from the server"
	if inside {
		from = "made in the repository"
	}
	k.say("snapshot of %s: %s, %s, %s", name, term.Plural(s.Rows, "row"), term.Bytes(s.Bytes), from)
	out.Tables = append(out.Tables, name.String())
	out.Rows += s.Rows
	out.Bytes += s.Bytes
	return err
}

// folded makes a snapshot inside the repository.
func (k *keeper) folded(ctx context.Context, name db.Name) (*history.Snapshot, error) {
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	table, err := fold.Find(ctx, k.site.Repo, name, end.Seq, fold.Options{Dir: k.dir()})
	if err != nil {
		return nil, err
	}
	m := snapshot.Moment{Definition: table.Definition, Seq: end.Seq, At: end.At}
	return snapshot.Fold(ctx, k.site.Repo, m, exactRows(ctx, table), k.dir(), k.site.where.Clock)
}

// read takes a snapshot from the server.
func (k *keeper) read(ctx context.Context, conn *mysql.Conn, name db.Name, opt snapshotOptions) (*history.Snapshot, error) {
	if t, err := conn.Table(ctx, name); err != nil {
		return nil, err
	} else if after, err := k.middles(ctx, t); err != nil {
		return nil, err
	} else if err := k.awaitSafe(ctx, after); err != nil {
		return nil, err
	}
	src := &source{conn: conn}
	dir := filepath.Join(k.dir(), "snapshots")
	if err := fsx.SecureDir(dir); err != nil {
		return nil, err
	}
	so := snapshot.Options{Dir: dir, Throttle: k.throttle(conn), Clock: k.site.where.Clock, Changed: k.changedSince(ctx)}
	if opt.progress != nil {
		t, err := conn.Table(ctx, name)
		if err != nil {
			return nil, err
		}
		told := opt.progress(name.String(), t.Rows)
		so.Progress = func(p snapshot.Progress) { told(p.Rows) }
	}
	return snapshot.Take(ctx, src, k.recorder, k.site.Repo, name, so)
}

// changedSince says whether something happened to a table as a whole: what this recorder saw,
// and, for a snapshot that an earlier one began, what the repository tells.
func (k *keeper) changedSince(ctx context.Context) func(db.Name, history.Seq) bool {
	known := map[history.Seq][]history.Event{}
	return func(table db.Name, since history.Seq) bool {
		if k.recorder.Changed(table, since) {
			return true
		}
		events, asked := known[since]
		if !asked && k.site.readable() {
			var err error
			if events, err = k.site.Repo.Events(ctx, since, endless); err != nil {
				return true // nobody can tell: begin again
			}
			known[since] = events
		}
		return slices.ContainsFunc(events, func(e history.Event) bool {
			return e.Table == table || e.To == table || e.Table == db.Name{} && e.Kind == history.Lost
		})
	}
}

// endless is behind every transaction.
const endless = ^history.Seq(0)

// throttle waits while the server is busier than the configuration allows.
func (k *keeper) throttle(conn *mysql.Conn) func(context.Context) error {
	load := func(ctx context.Context) (snapshot.Load, error) {
		l, err := conn.Load(ctx)
		return snapshot.Load{Threads: l.Running, Lag: l.Lag, Connections: l.Connections, MaxConnections: l.MaxConnections}, err
	}
	limits := snapshot.Limits{MaxThreads: k.site.backup.MaxLoad, MaxLag: k.site.backup.MaxLag.D(), MaxConnectionsShare: maxConnections}
	return snapshot.Throttle(load, limits, k.site.where.Clock, func(reason string) {
		if reason != "" {
			k.say("a snapshot waits: %s", reason)
		}
	})
}

// maxConnections is the share of a server's connections that may be in use while it is read.
const maxConnections = 0.9

// source reads a server's tables for snapshots.
type source struct{ conn *mysql.Conn }

var _ snapshot.Source = (*source)(nil)

func (s *source) Chunk(ctx context.Context, t *db.Table, after db.Row, limit int, fn func(db.Row) error) (int, error) {
	return rowio.Chunk(ctx, s.conn.DB, t, nil, after, limit, fn)
}

func (s *source) Exact(ctx context.Context, t *db.Table, fn func(db.Row) error) (db.Position, error) {
	snap, pos, err := s.conn.ExactTable(ctx, t.Name)
	if err != nil {
		return pos, err
	}
	defer func() { _ = snap.Close() }() // only read from; writers may wait for it
	for row, err := range rowio.Stream(ctx, snap, t, nil, "") {
		if err == nil {
			err = fn(row)
		}
		if err != nil {
			return pos, err
		}
	}
	return pos, nil
}

func (s *source) Position(ctx context.Context) (db.Position, error) { return s.conn.Position(ctx) }

func (s *source) Definition(ctx context.Context, name db.Name) (*history.Definition, error) {
	t, create, err := s.conn.Definition(ctx, name)
	if err != nil {
		return nil, err
	}
	return history.NewDefinition(t, []string{create})
}
