package mysql

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// dial connects as root and ends with the test.
func dial(t testing.TB, srv *server.Server, schema string) *Conn {
	t.Helper()
	return dialURL(t, srv.URL(schema))
}

func dialURL(t testing.TB, url string) *Conn {
	t.Helper()
	c, err := openURL(t.Context(), url, Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func openURL(ctx context.Context, url string, env Env) (*Conn, error) {
	d, err := ParseDSN(url)
	if err != nil {
		return nil, err
	}
	return Open(ctx, d, env)
}

func run(t testing.TB, db *sql.DB, script string) {
	t.Helper()
	for stmt := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), stmt); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
}

// user makes an account with these grants and gives its URL.
func user(t testing.TB, srv *server.Server, db *sql.DB, schema, name, login string, grants ...string) string {
	t.Helper()
	run(t, db, "CREATE USER "+name+"@'127.0.0.1' "+login)
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP USER "+name+"@'127.0.0.1'"); err != nil {
			t.Error(err)
		}
	})
	for _, g := range grants {
		run(t, db, "GRANT "+g+" TO "+name+"@'127.0.0.1'")
	}
	return "mysql://" + name + ":pw@" + srv.Addr() + "/" + schema
}
