package restore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

const (
	chunkBytes  = 256 << 10 // larger statements were no faster
	commitBytes = 16 << 20  // what a transaction writes: more only makes a server's undo and binlog caches spill

)

// chunk is some rows, ready to be sent: lines for LOAD DATA, or an INSERT.
type chunk struct {
	buf  []byte
	rows int64
	sql  bool
	zero bool // index 0 of an ENUM is among them
}

// Load sends the rows on several connections, each of which takes the next chunk when it is
// done with one, and commits every 16 MB. Indexes of a larger InnoDB table that nothing needs
// yet are built at the end, as sorting once is cheaper than a place for each row. Uniqueness
// is always checked by the server.
func (m *MySQL) Load(ctx context.Context, t *db.Table, rows iter.Seq2[db.Row, error], parallel int, progress func(int64)) error {
	keys, err := m.secondary(ctx, t)
	if err != nil {
		return err
	}
	if err := m.Exec(ctx, "", keys.drop(t.Name)...); err != nil {
		return err
	}
	if err := m.send(ctx, t, rows, parallel, progress); err != nil {
		return err
	}
	if err := m.Exec(ctx, "", keys.add(t.Name)...); err != nil {
		return fmt.Errorf("build the indexes: %w", err)
	}
	return nil
}

func (m *MySQL) send(ctx context.Context, t *db.Table, rows iter.Seq2[db.Row, error], parallel int, progress func(int64)) error {
	way, err := m.way(ctx)
	if err != nil {
		return err
	}
	if way == LoadData {
		if parallel, err = m.loaders(ctx, t, parallel); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	l := &load{conn: m.Conn, table: t, enc: newEncoder(t), way: way, chunks: make(chan chunk, parallel), free: make(chan []byte, 2*parallel+1), progress: progress, stall: m.Stall}
	if l.stall == 0 {
		l.stall = defaultStall
	}
	g.Go(func() error {
		defer close(l.chunks)
		return l.produce(ctx, rows)
	})
	for range parallel {
		g.Go(func() error { return l.work(ctx) })
	}
	return g.Wait()
}

// way chooses, where the user has not.
func (m *MySQL) way(ctx context.Context) (Way, error) {
	if m.Way != Auto {
		return m.Way, nil
	}
	var on bool
	if err := m.Conn.DB.QueryRowContext(ctx, "SELECT @@GLOBAL.local_infile").Scan(&on); err != nil {
		return "", fmt.Errorf("read local_infile: %w", err)
	}
	if on {
		return LoadData, nil
	}
	return Inserts, nil
}

// loaders is 1 when LOAD DATA locks the table's counter until it ends: more of them would
// only wait for each other.
func (m *MySQL) loaders(ctx context.Context, t *db.Table, parallel int) (int, error) {
	if t.Engine != "InnoDB" {
		return 1, nil
	}
	if !slices.ContainsFunc(t.Columns, func(c db.Column) bool { return c.AutoInc }) {
		return parallel, nil
	}
	const interleaved = 2
	var mode int
	if err := m.Conn.DB.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_autoinc_lock_mode").Scan(&mode); err != nil {
		return 0, fmt.Errorf("read innodb_autoinc_lock_mode: %w", err)
	}
	if mode != interleaved {
		return 1, nil
	}
	return parallel, nil
}

type load struct {
	conn     *mysql.Conn
	table    *db.Table
	enc      *encoder
	way      Way
	chunks   chan chunk
	free     chan []byte // buffers to use again
	progress func(int64)
	stall    time.Duration
	sent     int64
}

func (l *load) buffer() []byte {
	select {
	case b := <-l.free:
		return b[:0]
	default:
		return make([]byte, 0, chunkBytes+chunkBytes/4)
	}
}

func (l *load) release(b []byte) {
	if cap(b) > 4*chunkBytes {
		return // one huge row is no reason to keep its memory
	}
	select {
	case l.free <- b:
	default:
	}
}

func (l *load) send(ctx context.Context, c chunk) error {
	select {
	case l.chunks <- c:
		l.sent += c.rows
		l.progress(l.sent)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// produce turns rows into chunks.
func (l *load) produce(ctx context.Context, rows iter.Seq2[db.Row, error]) error {
	lax := false
	in := sqltext.NewInserter(l.table, "", l.statementBytes(), func(stmt []byte, n int) error {
		if n == 0 {
			lax = !lax
			return nil
		}
		return l.send(ctx, chunk{buf: append(l.buffer(), stmt...), rows: int64(n), sql: true, zero: lax})
	})
	c := chunk{buf: l.buffer()}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if l.way == Inserts || l.enc.odd(row) {
			if err := in.Add(row); err != nil {
				return err
			}
			continue
		}
		if c.buf, err = l.enc.append(c.buf, row); err != nil {
			return err
		}
		c.zero = c.zero || l.enc.zero(row)
		if c.rows++; len(c.buf) >= chunkBytes {
			if err := l.send(ctx, c); err != nil {
				return err
			}
			c = chunk{buf: l.buffer()}
		}
	}
	if c.rows > 0 {
		if err := l.send(ctx, c); err != nil {
			return err
		}
	}
	return in.Flush()
}

func (l *load) statementBytes() int {
	if p := int(l.conn.MaxAllowedPacket); p > 0 {
		return min(chunkBytes, p/2)
	}
	return chunkBytes
}

// loader is one connection that loads.
type loader struct {
	*load
	conn  *sql.Conn
	lax   bool
	bytes int // since the last commit
}

func (l *load) work(ctx context.Context) (err error) {
	conn, err := l.conn.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, discard(conn)) }()
	w := &loader{load: l, conn: conn}
	if err := w.exec(ctx, "SET SESSION "+l.session()); err != nil {
		return err
	}
	for c := range l.chunks {
		for more := &c; more != nil; {
			c := *more
			if more, err = w.write(ctx, c); err != nil {
				return err
			}
		}
		if w.bytes < commitBytes {
			continue
		}
		if err := w.commit(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.commit(ctx)
}

// session lets rows in that were there, whatever is checked of new ones. unique_checks stays
// on: without it some servers let duplicates in, and MariaDB locks the whole table.
func (l *load) session() string {
	set := "autocommit=0, foreign_key_checks=0, innodb_lock_wait_timeout=600"
	if l.conn.Flavor == mysql.MariaDB && l.conn.Version.AtLeast(10, 2, 1) {
		set += ", check_constraint_checks=0"
	}
	return set
}

func (w *loader) exec(ctx context.Context, stmt string) error {
	if _, err := w.conn.ExecContext(ctx, stmt); err != nil {
		return explain(ctx, err)
	}
	return nil
}

func (w *loader) commit(ctx context.Context) error {
	w.bytes = 0
	return w.exec(ctx, "COMMIT")
}

// write sends a chunk. LOAD DATA takes more chunks as they come; when one of them is an
// INSERT it is returned, to be written next.
func (w *loader) write(ctx context.Context, c chunk) (*chunk, error) {
	if c.sql {
		return nil, w.insert(ctx, c)
	}
	name := "lull-" + rand.Text()
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f := &feed{ctx: ctx, load: w.load, cur: c, left: c.buf, rows: c.rows, bytes: len(c.buf), zero: c.zero}
	f.idle = time.AfterFunc(w.stall, func() { stop(errStalled) })
	defer f.idle.Stop()
	driverpkg.RegisterReaderHandler(name, func() io.Reader { return f })
	defer driverpkg.DeregisterReaderHandler(name)
	res, err := w.conn.ExecContext(running, w.enc.statement(name))
	if err != nil && errors.Is(context.Cause(running), errStalled) {
		return nil, lull.Errorf(lull.Unreachable, "look whether the server is well, and run it again", "%w for %s", errStalled, w.stall)
	}
	if err != nil {
		return nil, explain(ctx, err)
	}
	w.bytes += f.bytes
	return f.next, w.check(ctx, res, f.rows, f.zero)
}

func (w *loader) insert(ctx context.Context, c chunk) error {
	if c.zero != w.lax {
		mode := sqltext.Mode
		if c.zero {
			mode = sqltext.LaxMode
		}
		if err := w.exec(ctx, "SET SESSION sql_mode='"+mode+"'"); err != nil {
			return err
		}
		w.lax = c.zero
	}
	res, err := w.conn.ExecContext(ctx, string(c.buf))
	if err != nil {
		return explain(ctx, err)
	}
	w.bytes += len(c.buf)
	w.release(c.buf)
	return w.check(ctx, res, c.rows, c.zero)
}

// check fails when the server wrote other rows than it was sent: LOAD DATA LOCAL only warns
// of duplicates and of values that do not fit.
func (w *loader) check(ctx context.Context, res sql.Result, rows int64, zero bool) error {
	if err := w.warnings(ctx, zero); err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != rows {
		err = fmt.Errorf("the server wrote %d of %d rows", n, rows)
	}
	return err
}

func (w *loader) warnings(ctx context.Context, zero bool) (err error) {
	rs, err := w.conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return fmt.Errorf("read warnings: %w", err)
	}
	defer func() { err = errors.Join(err, rs.Close()) }()
	for rs.Next() {
		var level, message string
		var code int
		if err := rs.Scan(&level, &code, &message); err != nil {
			return fmt.Errorf("read warnings: %w", err)
		}
		if !rowio.Harmless(w.table, code, message, zero) {
			return fmt.Errorf("write the rows: %s", strings.TrimSpace(message))
		}
	}
	return rs.Err()
}

var errStalled = errors.New("the server has taken no rows")

// feed is what LOAD DATA reads: chunks as they come, up to a transaction's size.
type feed struct {
	idle  *time.Timer // runs while the server is to take what was read
	ctx   context.Context
	load  *load
	cur   chunk
	left  []byte
	rows  int64
	bytes int
	zero  bool
	next  *chunk // an INSERT that came between
}

func (f *feed) Read(p []byte) (n int, err error) {
	f.idle.Stop()
	defer func() {
		if err == nil {
			f.idle.Reset(f.load.stall)
		}
	}()
	if len(f.left) == 0 {
		f.load.release(f.cur.buf)
		f.cur = chunk{}
		if f.bytes >= commitBytes {
			return 0, io.EOF
		}
		select {
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		case c, ok := <-f.load.chunks:
			if !ok {
				return 0, io.EOF
			}
			if c.sql {
				f.next = &c
				return 0, io.EOF
			}
			f.cur, f.left = c, c.buf
			f.rows += c.rows
			f.bytes += len(c.buf)
			f.zero = f.zero || c.zero
		}
	}
	n = copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}
