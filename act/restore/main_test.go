package restore

import (
	"database/sql"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// live is a server and a private database in it.
type live struct {
	testing.TB
	server *server.Server
	conn   *mysql.Conn
	schema string
}

func connect(t testing.TB, srv *server.Server) *live {
	t.Helper()
	_, name := servertest.DB(t, srv)
	dsn, err := mysql.ParseDSN(srv.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := mysql.Open(t.Context(), dsn, mysql.Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &live{t, srv, c, name}
}

// onAll runs a test on every server there is, with each way of loading.
func onAll(t *testing.T, test func(t *testing.T, l *live, way Way)) {
	for _, srv := range servertest.All(t, "--loose-local-infile=1") {
		for _, way := range []Way{LoadData, Inserts} {
			t.Run(srv.Binaries().Series()+"/"+string(way), func(t *testing.T) { test(t, connect(t, srv), way) })
		}
	}
}

func (l *live) name(table string) db.Name { return db.Name{Schema: l.schema, Table: table} }

func (l *live) target(way Way) *MySQL { return &MySQL{Conn: l.conn, Way: way} }

func (l *live) exec(stmts ...string) {
	l.Helper()
	conn, err := l.conn.DB.Conn(l.Context())
	l.must(err)
	defer conn.Close()
	for _, s := range stmts {
		if _, err := conn.ExecContext(l.Context(), s); err != nil {
			l.Fatalf("%.300s: %v", s, err)
		}
	}
}

func (l *live) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// text is a query's result with a space between columns and a newline after each row but the last.
func (l *live) text(query string) string {
	l.Helper()
	rows, err := l.conn.DB.QueryContext(l.Context(), query)
	if err != nil {
		l.Fatalf("%.300s: %v", query, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	l.must(err)
	var lines []string
	for rows.Next() {
		vals, dest := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		l.must(rows.Scan(dest...))
		var words []string
		for _, v := range vals {
			if !v.Valid {
				v.String = "NULL"
			}
			words = append(words, v.String)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	l.must(rows.Err())
	return strings.Join(lines, "\n")
}

func (l *live) table(name string) *db.Table {
	l.Helper()
	t, err := l.conn.Table(l.Context(), l.name(name))
	l.must(err)
	return t
}

// past is a live table as a repository would hand it out.
func (l *live) past(name string) Table {
	l.Helper()
	t := l.table(name)
	create := l.text("SHOW CREATE TABLE `" + name + "`")
	def, err := history.NewDefinition(t, []string{create[len(name)+1:]})
	l.must(err)
	return Table{Name: t.Name, Definition: def, Rows: l.target(Auto).Stream(l.Context(), t, nil), Estimate: -1}
}

// tables are the names in the schema that are not in the list.
func (l *live) tablesBut(names ...string) string {
	l.Helper()
	return l.text(fmt.Sprintf("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='%s' AND TABLE_NAME NOT IN ('%s')", l.schema, strings.Join(names, "','")))
}

func (l *live) same(a, b string) {
	l.Helper()
	sum := func(t string) string {
		_, sum, _ := strings.Cut(l.text("CHECKSUM TABLE "+t), " ")
		return sum
	}
	if x, y := sum(a), sum(b); x != y {
		l.Errorf("checksum of %s is %s, of %s %s", a, x, b, y)
	}
}

func each(rows ...db.Row) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// row makes a row of texts; "NULL" is NULL.
func row(vals ...string) db.Row {
	var r db.Row
	for _, v := range vals {
		if v == "NULL" {
			r = append(r, db.Value{})
			continue
		}
		r = append(r, db.Value{State: db.Set, Data: []byte(v)})
	}
	return r
}

// again is another pool of connections to the same server, which are in a schema or in none.
func (l *live) again(schema string) *mysql.Conn {
	l.Helper()
	dsn, err := mysql.ParseDSN(l.server.URL(schema))
	l.must(err)
	c, err := mysql.Open(l.Context(), dsn, mysql.Env{})
	l.must(err)
	l.Cleanup(func() { c.Close() })
	return c
}
