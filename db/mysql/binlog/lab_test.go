package binlog_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// lab is one session on a server and the log it writes.
type lab struct {
	testing.TB
	srv    *server.Server
	series string
	my     *mysql.Conn
	conn   *sql.Conn
	schema string
}

func newLab(t testing.TB, srv *server.Server) *lab {
	t.Helper()
	_, schema := servertest.DB(t, srv)
	dsn, err := mysql.ParseDSN(srv.URL(schema))
	if err != nil {
		t.Fatal(err)
	}
	my, err := mysql.Open(t.Context(), dsn, mysql.Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { my.Close() })
	conn, err := my.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &lab{t, srv, srv.Binaries().Series(), my, conn, schema}
	l.exec("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'")
	return l
}

// each runs fn on every server there is.
func each(t *testing.T, fn func(*lab), args ...string) {
	for _, srv := range servertest.All(t, args...) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) { fn(newLab(t, srv)) })
	}
}

// on is each for the servers of one flavor or release line.
func on(t *testing.T, series string, fn func(*lab), args ...string) {
	for _, b := range servertest.Trees(t) {
		if servertest.Matches(b.Series(), series) {
			t.Run(b.Series(), func(t *testing.T) { fn(newLab(t, servertest.Shared(t, b, args...))) })
		}
	}
}

func (l *lab) maria() bool { return strings.HasPrefix(l.series, "mariadb") }

// exec runs the statements, which a line break after a semicolon separates.
func (l *lab) exec(script string) {
	l.Helper()
	for stmt := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		if _, err := l.conn.ExecContext(l.Context(), stmt); err != nil {
			l.Fatalf("%v in %.400s", err, stmt)
		}
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

// log starts a new file, runs the script, and returns what the file holds by then.
func (l *lab) log(do func()) []byte {
	l.Helper()
	l.exec("FLUSH BINARY LOGS")
	do()
	return l.current()
}

func (l *lab) file() string {
	l.Helper()
	pos, err := l.my.Position(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return pos.File
}

func (l *lab) current() []byte {
	l.Helper()
	b, err := os.ReadFile(filepath.Join(l.srv.BinlogDir(), filepath.Base(l.file())))
	if err != nil {
		l.Fatal(err)
	}
	return b
}

func (l *lab) script(script string) []byte {
	l.Helper()
	return l.log(func() { l.exec(script) })
}

// step is an Event that outlives its parser.
type step struct {
	binlog.Event
	rows []change
	op   db.Op
	n    int
	miss []int
	full bool
	tx   db.Tx
	open bool
}

type change struct {
	op            db.Op
	before, after db.Row
}

// shapes finds the columns for a table map; nil leaves the rows undecoded.
type shapes func(*binlog.TableMap) *db.Table

// parse reads a whole log.
func parse(log []byte, find shapes) (steps []step, err error) {
	return drain(binlog.NewParser(bytes.NewReader(log), binlog.Options{}), find)
}

func drain(p *binlog.Parser, find shapes) (steps []step, err error) {
	for {
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			return steps, nil
		}
		if err != nil {
			return steps, err
		}
		s := step{Event: *ev, open: p.Open()}
		s.SQL = bytes.Clone(ev.SQL)
		if s.tx, err = p.Tx(); err != nil {
			return steps, err
		}
		if ev.Kind == binlog.Changed {
			if err := s.read(ev.Rows, find); err != nil {
				return steps, err
			}
		}
		steps = append(steps, s)
	}
}

func (s *step) read(r *binlog.Rows, find shapes) (err error) {
	s.op, s.miss, s.full = r.Op, r.Missing(), r.Complete()
	if s.n, err = r.Count(); err != nil || find == nil {
		return err
	}
	shape := find(r.Table)
	if shape == nil {
		return nil
	}
	d, err := binlog.NewDecoder(r.Table, shape)
	if err != nil {
		return err
	}
	return r.Each(d, func(before, after db.Row) error {
		s.rows = append(s.rows, change{r.Op, before.Clone(), after.Clone()})
		return nil
	})
}

func (l *lab) steps(log []byte, find shapes) []step {
	l.Helper()
	steps, err := parse(log, find)
	if err != nil {
		l.Fatal(err)
	}
	return steps
}

func changes(steps []step) (out []change) {
	for _, s := range steps {
		out = append(out, s.rows...)
	}
	return out
}

func (l *lab) table(name string) *db.Table {
	l.Helper()
	t, err := l.my.Table(l.Context(), db.Name{Schema: l.schema, Table: name})
	if err != nil {
		l.Fatal(err)
	}
	return t
}

// live reads a table's rows in canonical form, by id.
func (l *lab) live(t *db.Table) []db.Row {
	l.Helper()
	cols := make([]int, len(t.Columns))
	for i := range cols {
		cols[i] = i
	}
	q := "SELECT " + string(sqltext.AppendSelectList(nil, t, cols)) + " FROM `" + t.Table + "` ORDER BY id"
	rows, err := l.conn.QueryContext(context.Background(), q)
	if err != nil {
		l.Fatal(err)
	}
	defer rows.Close()
	raw := make([]sql.RawBytes, len(cols))
	into := make([]any, len(cols))
	for i := range raw {
		into[i] = &raw[i]
	}
	var out []db.Row
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			l.Fatal(err)
		}
		row := make(db.Row, len(cols))
		for i, b := range raw {
			if b == nil {
				continue
			}
			data, err := sqltext.Canonical(nil, &t.Columns[i], b)
			if err != nil {
				l.Fatal(err)
			}
			row[i] = db.Value{State: db.Set, Data: data}
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		l.Fatal(err)
	}
	return out
}

// same compares decoded rows with live ones; skip leaves out columns.
func (l *lab) same(what string, t *db.Table, got, want []db.Row, skip func(i int) bool) {
	l.Helper()
	if len(got) != len(want) {
		l.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for r := range want {
		for i := range want[r] {
			if skip != nil && skip(i) {
				continue
			}
			if l.leavesOut(&t.Columns[i], got[r][i], what) {
				continue
			}
			if g, w := got[r][i], want[r][i]; g.State != w.State || !bytes.Equal(g.Data, w.Data) {
				l.Errorf("%s, row %d, %s %s: got %s, want %s", what, r, t.Columns[i].Name, t.Columns[i].ColumnType, show(g), show(w))
			}
		}
	}
}

// leavesOut says that a server does not log a generated column: MariaDB 11.8 has none in the
// images of UPDATE and DELETE.
func (l *lab) leavesOut(c *db.Column, v db.Value, what string) bool {
	return c.Generated && v.State == db.Absent && l.series == "mariadb-11.8" && !strings.HasSuffix(what, "insert")
}

func show(v db.Value) string {
	if v.State != db.Set {
		return [...]string{"NULL", "", "absent"}[v.State]
	}
	return fmt.Sprintf("%.90q (%d bytes)", v.Data, len(v.Data))
}
