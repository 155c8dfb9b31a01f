package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
	"github.com/lull-ops/lull/keep/history/snapshot"
)

const (
	roundEvery   = 5 * time.Second // how often it is looked at what is due
	catalogEvery = time.Hour
	grace        = day // between condemning an object and deleting it
)

// jobs does what is due, round after round, until ctx ends.
func (k *keeper) jobs(ctx context.Context) error {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	said := ""
	for {
		err := k.round(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			k.say("NO: %s", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round does what is due once. One job that fails does not keep the others from being done.
func (k *keeper) round(ctx context.Context) error {
	if k.recorder.Status().Seq == 0 && k.recorder.Status().Pos.File == "" {
		return nil // the recorder has not begun
	}
	_, err := k.snapshots(ctx, snapshotOptions{})
	errs := []error{err, k.keepCatalog(ctx)}
	if merged, err := k.site.Repo.Merge(ctx, repo.MergeOptions{Dir: k.dir(), Now: k.site.where.Clock()}); err != nil {
		errs = append(errs, err)
	} else if merged.From > 0 {
		k.say("%d packs of changes joined", merged.From)
	}
	for _, to := range k.site.backup.Copies {
		if _, _, err := k.site.copyTo(ctx, to, nil); err != nil {
			errs = append(errs, fmt.Errorf("copy to %s: %w", to, err))
		}
	}
	if now := k.site.where.Clock(); now.Sub(k.lastDay) >= day {
		r, err := k.site.Prune(ctx)
		if err == nil && r.Condemned+r.Deleted > 0 {
			k.say("%d objects condemned, %d deleted", r.Condemned, r.Deleted)
		}
		errs = append(errs, err)
		k.lastDay = now
	}
	errs = append(errs, k.drills(ctx))
	return errors.Join(errs...)
}

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
	var errs []error
	for _, name := range tables {
		due, inside, err := k.due(ctx, name, opt.all)
		if err == nil && due {
			err = k.take(ctx, conn, name, inside, opt, out)
		}
		if err != nil {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			out.Problems = append(out.Problems, fmt.Sprintf("%s has no new snapshot: %s", name, err))
			errs = append(errs, fmt.Errorf("take a snapshot of %s: %w", name, err))
		}
	}
	k.forgetLost()
	return out, errors.Join(errs...)
}

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
	k.mu.Lock()
	lost := k.lost[name] || k.lost[db.Name{}]
	k.mu.Unlock()
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
	} else {
		s, err = k.read(ctx, conn, name, opt)
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.lost, name)
	err = k.writeLost()
	k.mu.Unlock()
	k.say("snapshot of %s: %d rows, %d bytes, %s", name, s.Rows, s.Bytes, s.Origin)
	out.Tables = append(out.Tables, name.String())
	out.Rows += s.Rows
	out.Bytes += s.Bytes
	return err
}

// forgetLost clears "all tables" once each of them was looked at.
func (k *keeper) forgetLost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost[db.Name{}] {
		delete(k.lost, db.Name{})
		if err := k.writeLost(); err != nil {
			k.tell(k.site.where.Clock(), k.site.Name+": note: "+err.Error())
		}
	}
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
	return snapshot.Fold(ctx, k.site.Repo, m, table.Rows(ctx), k.dir(), k.site.where.Clock)
}

// read takes a snapshot from the server.
func (k *keeper) read(ctx context.Context, conn *mysql.Conn, name db.Name, opt snapshotOptions) (*history.Snapshot, error) {
	src := &source{conn: conn}
	dir := filepath.Join(k.dir(), "snapshots")
	if err := fsx.SecureDir(dir); err != nil {
		return nil, err
	}
	so := snapshot.Options{Dir: dir, Throttle: k.throttle(conn), Clock: k.site.where.Clock, Changed: k.recorder.Changed}
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
	snap, pos, err := s.conn.ExactSnapshot(ctx)
	if err != nil {
		return pos, err
	}
	defer func() { _ = snap.Close() }() // only read from
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

// keepCatalog stores views, routines and rights when they have changed.
func (k *keeper) keepCatalog(ctx context.Context) error {
	now := k.site.where.Clock()
	if k.catalog != "" && now.Sub(k.catalogAt) < catalogEvery {
		return nil
	}
	conn, err := k.live(ctx)
	if err != nil {
		return err
	}
	schemas, err := k.site.schemas(ctx, conn)
	if err != nil {
		return err
	}
	found, missing, err := conn.Catalog(ctx, schemas)
	if err != nil {
		return err
	}
	var list []pack.Statement
	for _, s := range found {
		list = append(list, pack.Statement{Kind: s.Kind, Schema: s.Schema, Name: s.Name, SQL: s.SQL})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	digest := digestOf(text)
	k.catalogAt = now
	if k.catalog == "" {
		k.catalog = k.catalogKept(ctx)
	}
	if digest == k.catalog {
		return nil
	}
	if len(missing) > 0 {
		k.say("note: not seen, for want of rights: %s", strings.Join(missing, ", "))
	}
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return err
	}
	if err := k.site.Repo.PutCatalog(ctx, end.Ordinal, now, list); err != nil {
		return err
	}
	k.catalog = digest
	return nil
}

// catalogKept is the digest of the catalog that was stored by an earlier run; "" when there is
// none, or when it cannot be read here.
func (k *keeper) catalogKept(ctx context.Context) string {
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return ""
	}
	list, at, err := k.site.Repo.Catalog(ctx, end.Seq)
	if err != nil || at.IsZero() {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		return ""
	}
	return digestOf(text)
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// schemas are those of the recorded tables.
func (s *Site) schemas(ctx context.Context, conn *mysql.Conn) ([]string, error) {
	tables, err := s.liveTables(ctx, conn)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range tables {
		if !slices.Contains(out, t.Schema) {
			out = append(out, t.Schema)
		}
	}
	return out, nil
}

// Pruned is what retention did.
type Pruned struct {
	Condemned, Bytes, Deleted int64
	Held                      []string // why more is kept than was asked for
}

// Prune condemns what is kept for longer than the configuration says, and deletes what was
// condemned a day ago or earlier.
func (s *Site) Prune(ctx context.Context) (*Pruned, error) {
	if s.backup == nil {
		return nil, lull.Errorf(lull.Usage, "name lull.yaml with --config", "how long to keep what is only in the configuration")
	}
	policy := repo.Policy{Changes: s.backup.Keep.D(), Daily: s.backup.Daily.D(), Keep: 1}
	plan, err := s.Repo.Retain(ctx, policy, s.where.Clock(), grace)
	if err != nil {
		return nil, err
	}
	if plan.Blocked != "" {
		return nil, lull.Errorf(lull.Refused, "lull backup verify "+s.Name, "nothing was removed: %s", plan.Blocked)
	}
	out := &Pruned{Condemned: int64(len(plan.Condemned)), Deleted: int64(len(plan.Deleted)), Held: plan.Held}
	for i := range plan.Condemned {
		out.Bytes += plan.Condemned[i].Size
	}
	return out, nil
}

// Copy brings the configuration's copies up to date.
func (s *Site) Copy(ctx context.Context, progress func(read, total int64)) (objects, bytes int64, err error) {
	if s.backup == nil || len(s.backup.Copies) == 0 {
		return 0, 0, lull.Errorf(lull.Usage, "add copies: [STORE] to backups/"+s.Name, "no copies of %s are asked for", s.Name)
	}
	for _, to := range s.backup.Copies {
		n, size, err := s.copyTo(ctx, to, progress)
		objects, bytes = objects+n, bytes+size
		if err != nil {
			return objects, bytes, err
		}
	}
	return objects, bytes, nil
}

func (s *Site) copyTo(ctx context.Context, name string, progress func(read, total int64)) (objects, bytes int64, err error) {
	to, err := s.conf.openStore(name, s.where.Clock)
	if err != nil {
		return 0, 0, err
	}
	c, err := repo.Copy(ctx, s.store, to, s.Name+"/", progress)
	return int64(c.Objects), c.Bytes, err
}

// Verified is what Verify found.
type Verified struct {
	Objects, Bytes int64
	Decoded        bool
	Problems       []string
}

// Verify reads the whole repository.
func (s *Site) Verify(ctx context.Context, progress func(read, total int64)) (*Verified, error) {
	r, err := s.Repo.Verify(ctx, repo.VerifyOptions{Deep: true, Progress: progress})
	if err != nil {
		return nil, err
	}
	out := &Verified{Objects: int64(r.Objects), Bytes: r.Bytes, Decoded: !r.ChecksumsOnly}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, p.String())
	}
	return out, nil
}
