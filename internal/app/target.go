// Package app wires the rooms together: it opens databases, hands histories to the judge and
// plans to their executors. It owns no rule of its own.
package app

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// mysqlTarget is a MySQL or MariaDB server as undo needs it.
type mysqlTarget struct {
	reader
	conn       *mysql.Conn
	commitWait time.Duration
}

var (
	_ undo.Target = (*mysqlTarget)(nil)
	_ undo.Tx     = (*mysqlTx)(nil)
)

func newTarget(c *mysql.Conn) *mysqlTarget {
	return &mysqlTarget{reader: reader{q: c.DB}, conn: c, commitWait: commitWait}
}

// reader reads rows on one connection or a pool of them.
type reader struct {
	q rowio.Querier
	// lock makes Exists see what others committed since the transaction began: a snapshot would
	// miss a child that came, and a DELETE would take it along by its foreign key.
	lock bool
}

func (r reader) Lookup(ctx context.Context, t *db.Table, by []int, keys []db.Row, lock bool, fn func(i int, now db.Row) error) error {
	return rowio.Lookup(ctx, r.q, t, by, keys, rowio.LookupOptions{ForUpdate: lock}, fn)
}

func (r reader) Exists(ctx context.Context, t *db.Table, by []int, keys []db.Row) ([]bool, error) {
	return rowio.Exists(ctx, r.q, t, by, keys, r.lock)
}

func (r reader) Stream(ctx context.Context, t *db.Table) iter.Seq2[db.Row, error] {
	return rowio.Stream(ctx, r.q, t, nil, "")
}

func (t *mysqlTarget) Table(ctx context.Context, name db.Name) (*db.Table, error) {
	return t.conn.Table(ctx, name)
}

func (t *mysqlTarget) CreateLike(ctx context.Context, name db.Name, like string) error {
	from, err := t.titled(ctx, like)
	if err != nil {
		return err
	}
	stmt := append([]byte("CREATE TABLE IF NOT EXISTS "), sqltext.AppendName(nil, name)...)
	stmt = sqltext.AppendName(append(stmt, " LIKE "...), from)
	if _, err := t.conn.DB.ExecContext(ctx, string(stmt)); err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	return nil
}

// titled finds the table that "schema.table" stands for; both parts may have dots inside.
func (t *mysqlTarget) titled(ctx context.Context, title string) (db.Name, error) {
	var found []db.Name
	for i := range len(title) {
		if title[i] != '.' {
			continue
		}
		name := db.Name{Schema: title[:i], Table: title[i+1:]}
		switch _, err := t.conn.Table(ctx, name); {
		case err == nil:
			found = append(found, name)
		case lull.KindOf(err) != lull.Usage:
			return db.Name{}, err
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return db.Name{}, lull.Errorf(lull.Refused, "make the plan again with the same lull undo", "table %s is not there any more", title)
	}
	return db.Name{}, lull.Errorf(lull.Refused, "create the table of --into by hand", "%s may be any of %d tables", title, len(found))
}

// The server's reasons to break a transaction off that another try may not meet.
const (
	errDeadlock    = 1213
	errLockTimeout = 1205
)

func (t *mysqlTarget) Retry(err error) bool {
	e, ok := errors.AsType[*driverpkg.MySQLError](err)
	return ok && (e.Number == errDeadlock || e.Number == errLockTimeout)
}

// mysqlTx is a transaction on a connection of its own.
type mysqlTx struct {
	reader
	conn   *sql.Conn
	tag    string
	packet int
	checks bool
	wait   time.Duration // for the answer to COMMIT
}

func (t *mysqlTarget) Begin(ctx context.Context, tag string, checks bool) (undo.Tx, error) {
	conn, err := t.conn.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	x := &mysqlTx{reader: reader{q: conn, lock: true}, conn: conn, tag: "lull " + tag, packet: int(t.conn.MaxAllowedPacket), checks: checks, wait: t.commitWait}
	for _, stmt := range []string{fmt.Sprintf("SET foreign_key_checks=%d", bit(checks)), "START TRANSACTION"} {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return nil, errors.Join(fmt.Errorf("begin: %w", err), x.drop())
		}
	}
	return x, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// drop closes the connection itself: what it had set is gone with it, and the server rolls
// the transaction back.
func (x *mysqlTx) drop() error {
	_ = x.conn.Raw(func(any) error { return driver.ErrBadConn }) // says so to the pool
	return ignoreClosed(x.conn.Close())
}

func ignoreClosed(err error) error {
	if errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

func (x *mysqlTx) writer(t *db.Table) *rowio.Writer {
	return rowio.NewWriter(x.conn, t, rowio.WriterOptions{MaxPacket: x.packet, Tag: x.tag})
}

// taken tells undo which row was in the way.
type taken struct{ *rowio.DuplicateError }

func (e taken) Duplicate() string { return fmt.Sprintf("%s in key %s", e.Entry, e.Key) }

// barred tells undo which foreign key does not allow a write.
type barred struct{ *driverpkg.MySQLError }

func (e barred) Foreign() string { return e.Message }

// The server's refusals of a parent that is referred to, and of a child without a parent.
const (
	errReferenced   = 1451
	errNoReferenced = 1452
)

func wrapTaken(err error) error {
	if d, ok := errors.AsType[*rowio.DuplicateError](err); ok {
		return taken{d}
	}
	if e, ok := errors.AsType[*driverpkg.MySQLError](err); ok && (e.Number == errReferenced || e.Number == errNoReferenced) {
		return barred{e}
	}
	return err
}

func (x *mysqlTx) Insert(ctx context.Context, t *db.Table, rows iter.Seq2[db.Row, error]) error {
	_, err := x.writer(t).Insert(ctx, rows)
	return wrapTaken(err)
}

func (x *mysqlTx) Update(ctx context.Context, t *db.Table, items []undo.Change) error {
	updates := make([]rowio.Update, len(items))
	for i, it := range items {
		updates[i] = rowio.Update{Key: it.Key, Set: it.Set, To: it.To}
	}
	return wrapTaken(x.writer(t).Update(ctx, updates))
}

func (x *mysqlTx) Delete(ctx context.Context, t *db.Table, keys []db.Row) error {
	return wrapTaken(x.writer(t).Delete(ctx, keys))
}

// Commit is not cut short by a cancelled context: its outcome must be known. A server that
// does not answer for long leaves it in doubt, as a lost connection does.
func (x *mysqlTx) Commit() error {
	ctx, cancel := context.WithTimeout(context.Background(), x.wait)
	defer cancel()
	if _, err := x.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return errors.Join(err, x.drop())
	}
	if !x.checks {
		return x.drop()
	}
	return x.conn.Close()
}

// Rollback asks the server first, so that no lock is left when it returns; a connection that
// does not answer is only dropped.
func (x *mysqlTx) Rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWait)
	defer cancel()
	_, _ = x.conn.ExecContext(ctx, "ROLLBACK") // the server does it by itself when the connection is gone
	return x.drop()
}

// How long a server is given to answer. A big commit may take a while to reach all disks and
// replicas; what waits longer is stuck behind a lock.
const (
	commitWait   = 60 * time.Second
	rollbackWait = 10 * time.Second
)
