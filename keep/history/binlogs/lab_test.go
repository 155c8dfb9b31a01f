package binlogs_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// lab is one session on a server, with a schema of its own, and the logs it writes.
type lab struct {
	testing.TB
	srv    *server.Server
	series string
	conn   *sql.Conn
	schema string
	first  string // the log that the lab began with
}

func newLab(t testing.TB, srv *server.Server) *lab {
	t.Helper()
	pool, schema := servertest.DB(t, srv)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &lab{TB: t, srv: srv, series: srv.Binaries().Series(), conn: conn, schema: schema}
	l.exec("FLUSH BINARY LOGS")
	all := l.allLogs()
	l.first = all[len(all)-1].Name()
	return l
}

// each runs fn on every server there is.
func each(t *testing.T, fn func(*lab), args ...string) {
	t.Helper()
	for _, srv := range servertest.All(t, append(args, impatient)...) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) { fn(newLab(t, srv)) })
	}
}

func (l *lab) maria() bool { return l.srv.Flavor() == "mariadb" }

// on says that the lab's server is of one of the release lines.
func (l *lab) on(lines ...string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return servertest.Matches(l.series, line) })
}

// exec runs the statements, which a line break after a semicolon separates, and returns the
// rows that the last one changed.
func (l *lab) exec(script string) int64 {
	l.Helper()
	var n int64
	for stmt := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		r, err := l.conn.ExecContext(context.WithoutCancel(l.Context()), stmt)
		if err != nil {
			l.Fatalf("%v in %.400s", err, stmt)
		}
		n, _ = r.RowsAffected()
	}
	return n
}

// rotate begins another log from another session, because one within XA must not.
func (l *lab) rotate() {
	l.Helper()
	pool, err := sql.Open("mysql", l.srv.RootDSN(""))
	if err == nil {
		_, err = pool.Exec("FLUSH BINARY LOGS")
		pool.Close()
	}
	if err != nil {
		l.Fatal(err)
	}
}

// ask is the first column of a query's first row.
func (l *lab) ask(query string) string {
	l.Helper()
	var s sql.NullString
	if err := l.conn.QueryRowContext(l.Context(), query).Scan(&s); err != nil {
		l.Fatalf("%v in %s", err, query)
	}
	return s.String
}

func (l *lab) allLogs() []binlogs.Log {
	l.Helper()
	logs, err := binlogs.Files([]string{l.srv.BinlogDir()})
	if err != nil {
		l.Fatal(err)
	}
	return logs
}

// logs are the files that were written since the lab began.
func (l *lab) logs() []binlogs.Log {
	l.Helper()
	return slices.DeleteFunc(l.allLogs(), func(x binlogs.Log) bool { return x.Name() < l.first })
}

// overWire are the same logs read through the server.
func (l *lab) overWire() []binlogs.Log {
	l.Helper()
	c := l.open()
	files, err := c.Binlogs(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	var out []binlogs.Log
	for _, f := range files {
		if f.Name >= l.first {
			out = append(out, wire{c, f})
		}
	}
	return out
}

func (l *lab) open() *mysql.Conn {
	l.Helper()
	dsn, err := mysql.ParseDSN(l.srv.URL(l.schema))
	if err != nil {
		l.Fatal(err)
	}
	c, err := mysql.Open(l.Context(), dsn, mysql.Env{})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	return c
}

// wire is a log read over the replication protocol.
type wire struct {
	c *mysql.Conn
	f mysql.LogFile
}

func (w wire) Name() string { return w.f.Name }

func (w wire) Size() int64 { return w.f.Size }

func (w wire) Started(ctx context.Context) (time.Time, error) {
	return w.c.FirstTimestamp(ctx, w.f.Name)
}

func (w wire) Open(ctx context.Context, from int64) (io.ReadCloser, binlog.Options, error) {
	d, err := w.c.Dump(ctx, w.f.Name, from)
	if err != nil {
		return nil, binlog.Options{}, err
	}
	_, start, r, err := d.Next()
	if err != nil {
		d.Close()
		return nil, binlog.Options{}, err
	}
	return struct {
		io.Reader
		io.Closer
	}{r, d}, binlog.Options{NoMagic: true, Start: start}, nil
}

// scan reads the lab's logs and wants no gaps.
func (l *lab) scan(q binlogs.Query) *history.Result {
	l.Helper()
	r := scan(l.TB, l.logs(), q)
	if len(r.Gaps) > 0 {
		l.Fatalf("gaps: %+v", r.Gaps)
	}
	return r
}

func scan(t testing.TB, logs []binlogs.Log, q binlogs.Query) *history.Result {
	t.Helper()
	r, err := binlogs.Scan(t.Context(), logs, q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// all asks for every change of the lab's tables.
func (l *lab) all() binlogs.Query {
	return binlogs.Query{All: true, MinRows: 1, Tables: l.names("a", "b", "c", "d", "e", "*")}
}

func (l *lab) names(tables ...string) history.Names {
	var out history.Names
	for _, t := range tables {
		out = append(out, l.schema+"."+t)
	}
	return out
}

func (l *lab) table(name string) db.Name { return db.Name{Schema: l.schema, Table: name} }

// text is the touches in one line each: "a -3", "b +1 ~2", "a truncate".
func text(touches []history.Touch) string {
	var out []string
	for i := range touches {
		t := &touches[i]
		s := t.Table.Table
		if t.DDL != "" {
			s += " " + t.DDL
		}
		for _, c := range []struct {
			sign string
			n    int64
		}{{"+", t.Inserted}, {"~", t.Updated}, {"-", t.Deleted}} {
			if c.n > 0 {
				s += fmt.Sprintf(" %s%d", c.sign, c.n)
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// oneMariaDB is the server for what does not depend on the server.
func oneMariaDB(t testing.TB) *server.Server { return servertest.MariaDB(t, annotated, impatient) }

// impatient makes a statement that waits for another session's lock fail.
const impatient = "--lock-wait-timeout=5"

// unchecked is a server whose logs have no checksums, so that tests can change them.
func unchecked(t testing.TB) *server.Server {
	return servertest.MariaDB(t, "--binlog-checksum=NONE", impatient)
}

func connect(t testing.TB, srv *server.Server) *sql.Conn {
	t.Helper()
	pool, err := sql.Open("mysql", srv.RootDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
