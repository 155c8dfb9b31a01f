package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// Rows logged before and after an ALTER are not read by one and the same list of columns.
func TestAlteredBetween(t *testing.T) {
	for _, metadata := range []string{"--loose-binlog-row-metadata=FULL", "--loose-binlog-row-metadata=MINIMAL"} {
		onAll(t, func(l *lab) {
			f := func(name, ddl string, code int, want string) {
				l.Run(metadata+" "+name, func(t *testing.T) {
					l := l.on(t)
					l.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "INSERT INTO t VALUES (1,10,100), (2,20,200)")
					span := l.span("DELETE FROM t WHERE id=1; " + ddl + "; DELETE FROM t WHERE id=2")
					r := l.try("undo", "--yes", "--pos", span)
					if r.code != code {
						l.Errorf("exit code %d, want %d: %s", r.code, code, r.all())
					}
					if code == 5 && !strings.Contains(r.all(), "in the middle of what is to be undone") {
						l.says(r.all(), "is not certain")
					}
					l.is("t", want)
				})
			}
			f("columns swapped", "ALTER TABLE t MODIFY a int AFTER b", 5, "")
			f("column added", "ALTER TABLE t ADD c int", 5, "")
			f("column widened", "ALTER TABLE t MODIFY a bigint", 5, "")
			f("index added", "ALTER TABLE t ADD KEY (a)", 0, "1 10 100, 2 20 200")
			f("another table in its place", "RENAME TABLE t TO u; CREATE TABLE t (id int PRIMARY KEY, b int, a int); INSERT INTO t VALUES (2,2,2)", 5, "")
			if !l.series("mysql-5.6") {
				f("names swapped", "ALTER TABLE t CHANGE a b int, CHANGE b a int", 5, "")
			}
		}, metadata)
	}
}

// A log that names its columns does not tell what they are called by now.
func TestNamesSwapped(t *testing.T) {
	onAll(t, func(l *lab) {
		f := func(ddl, want string) {
			l.Helper()
			l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "INSERT INTO t VALUES (1,10,100)")
			span := l.span("DELETE FROM t")
			l.script(ddl)
			l.lull(0, "undo", "--yes", "--pos", span)
			l.is("t", want)
		}
		f("ALTER TABLE t CHANGE a b int, CHANGE b a int", "1 10 100")
		f("ALTER TABLE t CHANGE a old_a int, ADD a int DEFAULT 5", "1 10 100 5")
	}, "--loose-binlog-row-metadata=FULL")
}

// copyLogs copies the server's logs up to a file to a folder.
func (l *lab) copyLogs(until string) string {
	l.Helper()
	dir := l.TempDir()
	names, err := filepath.Glob(filepath.Join(l.srv.BinlogDir(), "*.[0-9]*"))
	if err != nil || len(names) == 0 {
		l.Fatalf("list logs: %v", err)
	}
	for _, n := range names {
		if filepath.Base(n) > until {
			continue
		}
		b, err := os.ReadFile(n)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(n)), b, 0o600)
		}
		if err != nil {
			l.Fatal(err)
		}
	}
	return dir
}

// A DDL in a log that was not given is looked for on the server.
func TestOldFilesAndServer(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	f := func(name, base string, code int, want, says string) {
		l.Run(name, func(t *testing.T) {
			l := l.on(t)
			l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b int)", "INSERT INTO t VALUES (1,10,100)")
			span := l.span("DELETE FROM t")
			file, _, _ := strings.Cut(span, ":")
			dir := l.copyLogs(file)
			l.exec("FLUSH BINARY LOGS", "ALTER TABLE t MODIFY a varchar(10) AFTER b")
			if base != "" {
				files, _ := filepath.Glob(filepath.Join(dir, "*"))
				for _, path := range files {
					if err := os.Rename(path, filepath.Join(dir, base+filepath.Ext(path))); err != nil {
						t.Fatal(err)
					}
				}
				span = strings.ReplaceAll(span, strings.TrimSuffix(file, filepath.Ext(file)), base)
			}
			url := strings.TrimPrefix(l.command().Env[4], "LULL_DB=")
			r := l.try("undo", "--yes", "--pos", span, "--binlog", dir, "--db", url)
			if r.code != code {
				l.Errorf("exit code %d, want %d: %s", r.code, code, r.all())
			}
			l.says(r.all(), says)
			l.is("t", want)
		})
	}
	f("the server goes on", "", 0, "1 100 10", "")
	f("another server's", "elsewhere", 5, "", "cannot be seen|--schema FILE.sql")
}

// Each finding is of one table in one transaction.
func TestSeveralFindings(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE a (id int PRIMARY KEY, v int)", "CREATE TABLE b (id int PRIMARY KEY, v int)",
		"INSERT INTO a VALUES (1,1)", "INSERT INTO b VALUES (1,1), (2,2)")
	l.script("BEGIN; DELETE FROM a; UPDATE b SET v=7 WHERE id=1; COMMIT; DELETE FROM b WHERE id=2")
	ids := []string{l.findings("a")[0], l.findings("b")[0]}
	l.says(l.lull(2, "undo", ids[0], "--table", "b").all(), "none of the findings is of --table")
	l.lull(0, "undo", "--yes", ids[0], ids[1])
	l.is("a", "1 1")
	l.is("b", "1 7, 2 2")
}

// What happened to equal rows of a table without a key counts wherever it happened.
func TestKeylessInBetween(t *testing.T) {
	onAll(t, func(l *lab) {
		l.Run("put back after a rename", func(t *testing.T) {
			l := l.on(t)
			l.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE t (id int, v int)", "INSERT INTO t VALUES (1,1), (2,2)")
			span := l.span("DELETE FROM t")
			l.script("RENAME TABLE t TO u; INSERT INTO u VALUES (1,1)")
			l.lull(0, "undo", "--yes", "--pos", span)
			l.is("u", "1 1, 2 2")
		})
		l.Run("put back in between", func(t *testing.T) {
			l := l.on(t)
			l.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE t (id int, v int)", "INSERT INTO t VALUES (1,1), (2,2)")
			l.script("DELETE FROM t WHERE id=1; INSERT INTO t VALUES (1,1); DELETE FROM t WHERE id=2")
			ids := l.findings("t")
			l.lull(0, "undo", "--yes", ids[0], ids[2])
			l.is("t", "1 1, 2 2")
		})
	})
}

// findings are the ids of everything that happened to a table, newest first.
func (l *lab) findings(table string) []string {
	l.Helper()
	var ids []string
	for f := range strings.FieldsSeq(l.lull(0, "find", "--all", "--min-rows", "1", "--json", "--table", table).out) {
		if strings.HasPrefix(f, `"f-`) {
			ids = append(ids, strings.Trim(f, `",`))
		}
	}
	if len(ids) == 0 {
		l.Fatalf("no finding of %s", table)
	}
	return ids
}
