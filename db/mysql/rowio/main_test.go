package rowio

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// live is one connection to a private database of its own.
type live struct {
	*testing.T
	*sql.Conn
	server *mysql.Conn
	schema string
}

func connect(t *testing.T, srv *server.Server) *live {
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
	conn, err := c.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &live{t, conn, c, name}
}

// onAll runs a test on every server there is.
func onAll(t *testing.T, test func(l *live)) {
	for _, srv := range servertest.All(t) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) { test(connect(t, srv)) })
	}
}

func (l *live) exec(stmts ...string) {
	l.Helper()
	for _, s := range stmts {
		if _, err := l.ExecContext(l.T.Context(), s); err != nil {
			l.Fatalf("%.300s: %v", s, err)
		}
	}
}

func (l *live) table(name string) *db.Table {
	l.Helper()
	t, err := l.server.Table(l.T.Context(), db.Name{Schema: l.schema, Table: name})
	if err != nil {
		l.Fatal(err)
	}
	return t
}

// text is a query's result with a space between columns and a newline after each row but the last.
func (l *live) text(query string) string {
	l.Helper()
	rows, err := l.QueryContext(l.T.Context(), query)
	if err != nil {
		l.Fatalf("%.300s: %v", query, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		l.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		vals, dest := make([]sql.NullString, len(cols)), make([]any, len(cols))
		for i := range vals {
			dest[i] = &vals[i]
		}
		if err := rows.Scan(dest...); err != nil {
			l.Fatal(err)
		}
		var words []string
		for _, v := range vals {
			if !v.Valid {
				v.String = "NULL"
			}
			words = append(words, v.String)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	if err := rows.Err(); err != nil {
		l.Fatal(err)
	}
	return strings.Join(lines, "\n")
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

func (l *live) all(t *db.Table) []db.Row {
	l.Helper()
	var out []db.Row
	for row, err := range Stream(l.T.Context(), l, t, nil, "") {
		if err != nil {
			l.Fatal(err)
		}
		out = append(out, row.Clone())
	}
	return out
}

func (l *live) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func each(rows []db.Row) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// key makes a key of texts; "NULL" is NULL.
func key(vals ...string) db.Row {
	var k db.Row
	for _, v := range vals {
		if v == "NULL" {
			k = append(k, db.Value{})
			continue
		}
		k = append(k, db.Value{State: db.Set, Data: []byte(v)})
	}
	return k
}

// lookup returns "i=first column" words for what Lookup finds.
func (l *live) lookup(t *db.Table, by []int, opt LookupOptions, keys ...db.Row) string {
	l.Helper()
	found := make([][]string, len(keys))
	err := Lookup(context.Background(), l, t, by, keys, opt, func(i int, row db.Row) error {
		word := "none"
		if row != nil {
			word = string(row[0].Data)
		}
		found[i] = append(found[i], word)
		return nil
	})
	l.must(err)
	var words []string
	for i, f := range found {
		words = append(words, fmt.Sprintf("%d=%s", i, strings.Join(f, "+")))
	}
	return strings.Join(words, " ")
}
