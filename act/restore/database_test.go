package restore

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history/pack"
)

// kept is a live table with its rows in memory.
func (l *live) kept(name string) Table {
	l.Helper()
	t := l.past(name)
	var rows []db.Row
	for r, err := range t.Rows {
		l.must(err)
		rows = append(rows, r.Clone())
	}
	t.Rows = each(rows...)
	return t
}

// shop is a database with something of everything; it is dropped again.
func (l *live) shop() ([]Table, []pack.Statement) {
	l.Helper()
	l.exec("CREATE TABLE parent (id int PRIMARY KEY, n int)", "CREATE TABLE child (id int PRIMARY KEY, p int, CONSTRAINT c_p FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
		"CREATE TABLE log (what varchar(20))", "INSERT INTO parent VALUES (1,10),(2,20)", "INSERT INTO child VALUES (1,1),(2,2),(3,2)")
	tables := []Table{l.kept("child"), l.kept("log"), l.kept("parent")}
	of := func(kind, name, sql string) pack.Statement {
		return pack.Statement{Kind: kind, Schema: l.schema, Name: name, SQL: sql}
	}
	catalog := []pack.Statement{
		{Kind: "schema", Name: l.schema, SQL: "CREATE DATABASE `" + l.schema + "` CHARACTER SET latin1"},
		{Kind: "user", Name: "clerk", SQL: "CREATE USER clerk_" + l.schema},
		{Kind: "grant", Name: "clerk", SQL: "GRANT SELECT ON " + l.schema + ".* TO clerk_" + l.schema},
		of("view", "a_top", "CREATE VIEW a_top AS SELECT * FROM b_middle"), of("view", "b_middle", "CREATE VIEW b_middle AS SELECT id, twice(n) AS n FROM parent"),
		of("function", "twice", "CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN 2*x"),
		of("procedure", "clear_up", "CREATE PROCEDURE clear_up() BEGIN DELETE FROM nowhere; END"),
		of("trigger", "on_parent", "CREATE TRIGGER on_parent AFTER INSERT ON parent FOR EACH ROW INSERT INTO log VALUES ('caf\u00e9')"),
		of("event", "nightly", "CREATE EVENT `nightly` ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' ON COMPLETION PRESERVE ENABLE COMMENT 'DO it' DO DELETE FROM log"),
	}
	l.exec("DROP DATABASE " + l.schema)
	l.conn = l.again("")
	return tables, catalog
}

func TestDatabase(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		tables, catalog := l.shop()
		defer func() { l.exec("DROP USER clerk_" + l.schema) }()
		r, err := Database(t.Context(), l.target(way), tables, catalog, Options{Grants: true})
		if err != nil {
			t.Fatalf("%v: %+v", err, r)
		}
		l.conn = l.again(l.schema)
		for _, c := range []struct{ query, want string }{
			{"SELECT @@character_set_database", "latin1"},
			{"SELECT GROUP_CONCAT(id, ':', n ORDER BY id) FROM a_top", "1:20,2:40"},
			{"SELECT COUNT(*) FROM log", "0"},
			{"SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA=DATABASE()", "DISABLED"},
			{"SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA=DATABASE()", "2"},
			{"SELECT @@GLOBAL.sql_mode = SQL_MODE, CHARACTER_SET_CLIENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=DATABASE()", "1 utf8mb4"},
		} {
			if got := l.text(c.query); got != c.want {
				t.Errorf("%s: %s, want %s", c.query, got, c.want)
			}
		}
		if !strings.Contains(l.text("SHOW GRANTS FOR clerk_"+l.schema), "SELECT ON") {
			t.Error("the grant is not there")
		}
		l.exec("DELETE FROM parent WHERE id=2")
		if got := l.text("SELECT id FROM child"); got != "1" {
			t.Errorf("children %s", got)
		}
		if len(r.Tables) != 3 || r.Tables[0].Rows != 3 || len(r.Objects) != 6 || !slices.Equal(r.DisabledEvents, []string{l.schema + ".nightly"}) || r.Grants != nil {
			t.Errorf("%+v", r)
		}
		if _, err := Database(t.Context(), l.target(way), tables, catalog, Options{}); lull.KindOf(err) != lull.Refused {
			t.Errorf("again: %v", err)
		}
	})
}

// A run goes on where an earlier one stopped, and does not take another table for its own.
func TestDatabaseResumes(t *testing.T) {
	l := connect(t, servertest.MariaDB(t))
	tables, catalog := l.shop()
	opt := Options{Resume: filepath.Join(t.TempDir(), "progress.json")}
	good := tables[2].Rows
	tables[2].Rows = func(yield func(db.Row, error) bool) {
		if yield(row("1", "10"), nil) {
			yield(nil, os.ErrDeadlineExceeded)
		}
	}
	if _, err := Database(t.Context(), l.target(Inserts), tables[:2], nil, opt); err != nil {
		t.Fatal(err)
	}
	if _, err := Database(t.Context(), l.target(Inserts), tables, catalog, opt); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Fatalf("a source that fails: %v", err)
	}
	tables[2].Rows = good
	for range 2 {
		r, err := Database(t.Context(), l.target(Inserts), tables, catalog, opt)
		l.must(err)
		if !r.Tables[0].Kept || !r.Tables[1].Kept || len(r.Grants) != 2 {
			t.Errorf("%+v", r)
		}
	}
	l.conn = l.again(l.schema)
	l.exec("UPDATE parent SET n=11 WHERE id=1")
	if _, err := Database(t.Context(), l.target(Inserts), tables, catalog, opt); lull.KindOf(err) != lull.Refused {
		t.Errorf("changed since: %v", err)
	}
	l.exec("CREATE TABLE mine (a int)")
	if _, err := Database(t.Context(), l.target(Inserts), tables, catalog, opt); lull.KindOf(err) != lull.Refused || !strings.Contains(err.Error(), "mine") {
		t.Errorf("another table: %v", err)
	}
	l.must(os.WriteFile(opt.Resume, []byte("{}"), 0o600))
	if _, err := Database(t.Context(), l.target(Inserts), tables, catalog, opt); lull.KindOf(err) != lull.Usage {
		t.Errorf("another file: %v", err)
	}
}

// What cannot be made is told, and the rest is made.
func TestDatabasePartly(t *testing.T) {
	l := connect(t, servertest.MariaDB(t))
	tables, catalog := l.shop()
	catalog = append(catalog, pack.Statement{Kind: "view", Schema: l.schema, Name: "broken", SQL: "CREATE VIEW broken AS SELECT * FROM nowhere"})
	r, err := Database(t.Context(), l.target(Auto), tables, catalog, Options{})
	if lull.KindOf(err) != lull.Partly || r == nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "view "+l.schema+".broken") || len(r.Objects) != 6 {
		t.Errorf("%v: %+v", err, r)
	}
}

// Connections that break in the middle leave nothing behind.
func TestIntoLosesItsConnections(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE t (a int PRIMARY KEY, b varchar(200))")
		killer := &live{TB: t, server: l.server, schema: l.schema, conn: l.again(l.schema)}
		past := l.past("t")
		past.Rows = iter.Seq2[db.Row, error](func(yield func(db.Row, error) bool) {
			for i := range 100000 {
				if i == 50000 {
					for id := range strings.FieldsSeq(killer.text("SELECT ID FROM information_schema.PROCESSLIST WHERE DB='" + l.schema + "' AND ID<>CONNECTION_ID()")) {
						_, _ = killer.conn.DB.ExecContext(t.Context(), "KILL "+id) // one may be gone already
					}
				}
				if !yield(row(fmt.Sprint(i), strings.Repeat("x", 100)), nil) {
					return
				}
			}
		})
		target := l.target(way)
		target.Stall = 3 * time.Second
		if _, err := Into(t.Context(), target, past, l.name("side"), Options{}); err == nil {
			t.Error("no error")
		}
		if left := killer.tablesBut("t"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})
}
