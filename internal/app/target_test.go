package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// lab is a target in a schema of its own.
func lab(t *testing.T, stmts ...string) (target *mysqlTarget, exec func(string), schema string) {
	t.Helper()
	srv := servertest.MariaDB(t)
	pool, schema := servertest.DB(t, srv)
	session, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	exec = func(stmt string) {
		t.Helper()
		if _, err := session.ExecContext(context.Background(), stmt); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
	for _, s := range stmts {
		exec(s)
	}
	c, err := Connect(t.Context(), "mysql://root@"+srv.Addr()+"/"+schema, "", mysql.Env{Getenv: func(string) string { return "" }, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newTarget(c), exec, schema
}

// TestExistsSeesCommitted finds a child that another session committed after the
// transaction's first read.
func TestExistsSeesCommitted(t *testing.T) {
	target, exec, schema := lab(t, "CREATE TABLE p (id int PRIMARY KEY)", "INSERT INTO p VALUES (1), (2)",
		"CREATE TABLE c (id int PRIMARY KEY, p int, KEY (p), FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)")
	parent, err := target.Table(t.Context(), db.Name{Schema: schema, Table: "p"})
	if err != nil {
		t.Fatal(err)
	}
	child, err := target.Table(t.Context(), db.Name{Schema: schema, Table: "c"})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := target.Begin(t.Context(), "p-1", true)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	row := func(id string) []db.Row { return []db.Row{{{State: db.Set, Data: []byte(id)}}} }
	if err := tx.Lookup(t.Context(), parent, []int{0}, row("1"), false, func(int, db.Row) error { return nil }); err != nil {
		t.Fatal(err)
	}
	exec("INSERT INTO c VALUES (1, 2)")
	if found, err := tx.Exists(t.Context(), child, []int{1}, row("2")); err != nil || !found[0] {
		t.Errorf("a committed child: found %v, %v", found, err)
	}
}

// TestCommitInDoubt does not wait for ever for a server that does not answer.
func TestCommitInDoubt(t *testing.T) {
	target, exec, schema := lab(t, "CREATE TABLE p (id int PRIMARY KEY)", "INSERT INTO p VALUES (1)")
	parent, err := target.Table(t.Context(), db.Name{Schema: schema, Table: "p"})
	if err != nil {
		t.Fatal(err)
	}
	target.commitWait = 100 * time.Millisecond
	tx, err := target.Begin(t.Context(), "p-1", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Delete(t.Context(), parent, []db.Row{{{State: db.Set, Data: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	exec("FLUSH TABLES WITH READ LOCK")
	defer exec("UNLOCK TABLES")
	if err := tx.Commit(); !errors.Is(err, context.DeadlineExceeded) || target.Retry(err) {
		t.Errorf("a commit behind a lock: %v, tried again %v", err, target.Retry(err))
	}
}

// TestCreateLike takes names with dots as they are.
func TestCreateLike(t *testing.T) {
	target, exec, schema := lab(t, "CREATE TABLE `a.b` (id int PRIMARY KEY)", "CREATE DATABASE `left.right`", "CREATE TABLE `left.right`.t (id int)")
	defer exec("DROP DATABASE `left.right`")
	for i, like := range []string{schema + ".a.b", "left.right.t"} {
		name := db.Name{Schema: schema, Table: "copy." + string(rune('0'+i))}
		if err := target.CreateLike(t.Context(), name, like); err != nil {
			t.Errorf("like %s: %v", like, err)
			continue
		}
		if _, err := target.Table(t.Context(), name); err != nil {
			t.Errorf("like %s: %v", like, err)
		}
	}
	if err := target.CreateLike(t.Context(), db.Name{Schema: schema, Table: "x"}, schema+".gone"); err == nil {
		t.Error("a table that is gone gave no error")
	}
}
