package restore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
)

// tableCase is a table as statements make it, with t for its name; alone says on which flavor.
type tableCase struct{ name, alone, create, fill string }

func tableCases() []tableCase {
	return []tableCase{
		{"no rows", "", "CREATE TABLE t (a int PRIMARY KEY, b text)", ""},
		{"no key", "", "CREATE TABLE t (a int, b varchar(9))", "(1,'x'),(1,'x'),(NULL,NULL),(2,'')"},
		{"text key", "", "CREATE TABLE t (k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, b int)", "('b',1),('A',2),('\xc3\xa4\xc3\xa4',3),('c ',4)"},
		{"two part key", "", "CREATE TABLE t (a int, k varbinary(20), b int, PRIMARY KEY (k, a))", "(1,X'00FF',1),(2,X'00FF',1),(1,'',9)"},
		{"unique keys", "", "CREATE TABLE t (a int PRIMARY KEY, b int, c varchar(9), UNIQUE KEY b (b), UNIQUE KEY cb (c, b), KEY c (c(3)))", "(1,1,'x'),(2,NULL,'x'),(3,NULL,'x')"},
		{"counter at zero", "", "CREATE TABLE t (a int AUTO_INCREMENT PRIMARY KEY, b int) AUTO_INCREMENT=77", "(0,1),(-5,2),(12,3)"},
		{"generated", "mariadb", "CREATE TABLE t (a int PRIMARY KEY, v int AS (a+1) VIRTUAL, s varchar(9) AS (concat(b,'!')) STORED, b varchar(9), KEY s (s))", ""},
		{"generated", "mysql", "CREATE TABLE t (a int PRIMARY KEY, v int AS (a+1) VIRTUAL, s varchar(9) AS (concat(b,'!')) STORED, b varchar(9), KEY s (s))", ""},
		{"invisible", "mariadb", "CREATE TABLE t (a int PRIMARY KEY, h int INVISIBLE DEFAULT 5, b int)", "(1,2),(2,3)"},
		{"odd names", "", "CREATE TABLE t (`a``b` int PRIMARY KEY, `select` int, `t` int, KEY `t` (`t`)) COMMENT='t; (a, FOREIGN KEY x'", "(1,2,3)"},
		{"partitions", "", "CREATE TABLE t (a int PRIMARY KEY, b int) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)", "(1,1),(11,2)"},
		{"myisam", "", "CREATE TABLE t (a int, b int, KEY (b)) ENGINE=MyISAM", "(1,2),(3,4)"},
		{"failed check", "mariadb", "CREATE TABLE t (a int PRIMARY KEY, b int, CONSTRAINT big CHECK (b > 5))", "(1,9),(2,1)"},
		{"big fields", "", "CREATE TABLE t (a int PRIMARY KEY, b longtext, c longblob)", "(1,repeat('x\\n\\t\\\\',200000),repeat(X'00FF',300000)),(2,'','')"},
		{"versions", "mariadb", "CREATE TABLE t (a int PRIMARY KEY, b int) WITH SYSTEM VERSIONING", "(1,2),(3,4)"},
	}
}

func (c *tableCase) make(l *live) {
	l.Helper()
	stmts := []string{c.create}
	if c.name == "failed check" {
		stmts = append(stmts, "SET check_constraint_checks=0")
	}
	if c.fill != "" {
		stmts = append(stmts, "INSERT INTO t VALUES "+c.fill)
	}
	if c.name == "generated" {
		stmts = append(stmts, "INSERT INTO t (a,b) VALUES (1,'x'),(2,NULL)")
	}
	if c.name == "failed check" {
		stmts = append(stmts, "SET check_constraint_checks=1")
	}
	l.exec(stmts...)
}

// Tables of many shapes come exactly, with the same definition but for the name.
func TestInto(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		for _, c := range tableCases() {
			if c.alone != "" && c.alone != string(l.conn.Flavor) || c.name == "generated" && !l.conn.Version.AtLeast(5, 7, 0) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				sub := *l
				sub.TB = t
				c.make(&sub)
				defer sub.exec("DROP TABLE IF EXISTS t, side")
				past := sub.past("t")
				past.Estimate = deferRows
				r, err := Into(t.Context(), sub.target(way), past, sub.name("side"), Options{})
				sub.must(err)
				if c.name != "versions" { // its rows know when they were written
					sub.same("t", "side")
				}
				if r.Table != sub.name("side") || len(r.Warnings) > 0 {
					t.Errorf("receipt %+v", r)
				}
				if a, b := strings.ReplaceAll(sub.created("t"), "`big`", "`CONSTRAINT_1`"), sub.created("side"); a != b {
					t.Errorf("made\n%s\nof\n%s", b, a)
				}
				if left := sub.tablesBut("t", "side"); left != "" {
					t.Errorf("left behind: %s", left)
				}
			})
		}
	})
}

// created is SHOW CREATE TABLE without the table's name and the counter.
func (l *live) created(name string) string {
	l.Helper()
	_, text, _ := strings.Cut(l.text("SHOW CREATE TABLE "+name), "(")
	if i := strings.Index(text, "AUTO_INCREMENT="); i >= 0 {
		_, rest, _ := strings.Cut(text[i:], " ")
		text = text[:i] + rest
	}
	return text
}

func TestIntoManyRows(t *testing.T) {
	const n = 120000
	onAll(t, func(t *testing.T, l *live, way Way) {
		create := billing
		if !l.conn.Version.AtLeast(5, 7, 0) {
			create = strings.ReplaceAll(create, "current_timestamp()", "current_timestamp")
		}
		if strings.Contains(string(l.conn.Flavor), "mysql") {
			create = strings.ReplaceAll(create, "current_timestamp()", "CURRENT_TIMESTAMP")
		}
		l.exec(create)
		past := l.past("billing")
		past.Rows, past.Estimate = bills(n), n
		var last int64
		r, err := Into(t.Context(), l.target(way), past, l.name("side"), Options{Parallel: 3, Clock: time.Now, Progress: func(_ db.Name, done, _ int64) { last = done }})
		l.must(err)
		want, err := Sum(past.Definition.Table, past.Rows)
		l.must(err)
		if r.Rows != n || r.Digest != want.Sum() || r.Seconds <= 0 || last != n {
			t.Errorf("receipt %+v, progress %d, want digest %s", r, last, want.Sum())
		}
		if got := l.text("SELECT COUNT(*), COUNT(DISTINCT id), SUM(customer) = (SELECT SUM(customer) FROM side FORCE INDEX (customer)) FROM side"); got != fmt.Sprintf("%d %d 1", n, n) {
			t.Errorf("side has %s", got)
		}
		if a, b := l.created("billing"), l.created("side"); a != b {
			t.Errorf("made\n%s\nof\n%s", b, a)
		}
	})
}

func TestIntoRefuses(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE t (a int PRIMARY KEY)", "INSERT INTO t VALUES (1)", "CREATE TABLE bare (b int)", "CREATE VIEW v AS SELECT 1 AS x")
		for _, as := range []string{"t", "bare", "v"} {
			_, err := Into(t.Context(), l.target(way), l.past("t"), l.name(as), Options{})
			if lull.KindOf(err) != lull.Refused {
				t.Errorf("into %s: %v", as, err)
			}
		}
		// Somebody takes the name while rows are loaded.
		past := l.past("t")
		rows := past.Rows
		past.Rows = func(yield func(db.Row, error) bool) {
			l.exec("CREATE TABLE side (mine int)")
			rows(yield)
		}
		if _, err := Into(t.Context(), l.target(way), past, l.name("side"), Options{}); lull.KindOf(err) != lull.Refused {
			t.Errorf("into a name that was taken meanwhile: %v", err)
		}
		if left := l.tablesBut("t", "bare", "v", "side"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})
}

// What fails leaves nothing, and says why in one line.
func TestIntoFails(t *testing.T) {
	boom := errors.New("boom")
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE t (a int PRIMARY KEY, b varchar(3), c int, UNIQUE KEY c (c))")
		for _, c := range []struct {
			name, want string
			rows       iter.Seq2[db.Row, error]
		}{
			{"duplicate", "Duplicate entry", each(row("1", "a", "1"), row("1", "b", "2"))},
			{"duplicate in another key", "Duplicate entry", each(row("1", "a", "7"), row("2", "b", "7"))},
			{"too long", "b", each(row("1", "abcd", "1"))},
			{"no number", "Error 1", each(row("x", "abc", "1"))},
			{"unknown value", "column b is not known", each(db.Row{row("1")[0], {State: db.Absent}, row("1")[0]})},
			{"short row", "1 values for 3 columns", each(row("1"))},
			{"source", "boom", func(yield func(db.Row, error) bool) {
				for i := range 30000 {
					if !yield(row(fmt.Sprint(i), "x", fmt.Sprint(i)), nil) {
						return
					}
				}
				yield(nil, boom)
			}},
		} {
			for _, estimate := range []int64{-1, 10} {
				past := l.past("t")
				past.Rows, past.Estimate = c.rows, estimate
				_, err := Into(t.Context(), l.target(way), past, l.name("side"), Options{})
				want := c.want
				if way == LoadData && c.name == "duplicate" && !l.conn.Version.AtLeast(5, 7, 0) || c.name == "duplicate in another key" && estimate > 0 && way == LoadData && !l.conn.Version.AtLeast(5, 7, 0) {
					want = "wrote 1 of 2 rows" // the old server does not say why
				}
				if way == LoadData && c.name == "no number" {
					want = "Incorrect integer value"
				}
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v", c.name, err)
				}
				if left := l.tablesBut("t"); left != "" {
					t.Fatalf("%s leaves %s", c.name, left)
				}
			}
		}
	})
}

func TestIntoIsCancelled(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE t (a int PRIMARY KEY, b varchar(200))")
		ctx, cancel := context.WithCancel(t.Context())
		past := l.past("t")
		past.Rows = func(yield func(db.Row, error) bool) {
			for i := range 1 << 30 {
				if i == 50000 {
					cancel()
				}
				if !yield(row(fmt.Sprint(i), strings.Repeat("x", 100)), nil) {
					return
				}
			}
		}
		_, err := Into(ctx, l.target(way), past, l.name("side"), Options{})
		if lull.KindOf(err) != lull.Interrupted {
			t.Errorf("cancelled: %v", err)
		}
		if left := l.tablesBut("t"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})
}

// What a killed run left is dropped by the next one, what a running one works on is not.
func TestIntoSweeps(t *testing.T) {
	l := connect(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE t (a int PRIMARY KEY)", "CREATE TABLE _lull_restore_000000000000000a (a int)", "CREATE TABLE _lull_restore_notes (a int)")
	other := &live{TB: t, server: l.server, schema: l.schema, conn: l.again(l.schema)}
	running, err := begin(t.Context(), other.target(Auto))
	l.must(err)
	work := running.workName(l.schema).Table
	l.exec("CREATE TABLE " + work + " (a int)")
	_, err = Into(t.Context(), l.target(Auto), l.past("t"), l.name("side"), Options{})
	l.must(err)
	if got := l.tablesBut("t", "side"); got != "_lull_restore_notes\n"+work && got != work+"\n_lull_restore_notes" {
		t.Errorf("left: %s", got)
	}
	running.release()
	other.conn.Close()
	_, err = Into(t.Context(), l.target(Auto), l.past("t"), l.name("side2"), Options{})
	l.must(err)
	if got := l.tablesBut("t", "side", "side2"); got != "_lull_restore_notes" {
		t.Errorf("left: %s", got)
	}
}

// A table in memory that is full stands for a disk that is.
func TestIntoFullServer(t *testing.T) {
	l := connect(t, servertest.MariaDB(t, "--loose-local-infile=1", "--max-heap-table-size=65536"))
	l.exec("CREATE TABLE t (a int PRIMARY KEY, b varchar(200)) ENGINE=MEMORY")
	past := l.past("t")
	past.Rows = func(yield func(db.Row, error) bool) {
		for i := range 5000 {
			if !yield(row(fmt.Sprint(i), "x"), nil) {
				return
			}
		}
	}
	for _, way := range []Way{LoadData, Inserts} {
		_, err := Into(t.Context(), l.target(way), past, l.name("side"), Options{})
		if err == nil || !strings.Contains(err.Error(), "full") || lull.HintOf(err) == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v (%s)", way, err, lull.HintOf(err))
		}
		if left := l.tablesBut("t"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
}

func TestNoSpace(t *testing.T) {
	for message, want := range map[string]bool{
		`Got error 28 "No space left on device" from storage engine InnoDB`:              true,
		"Got error 28 from storage engine":                                               true,
		`Error writing file '/tmp/x' (Errcode: 28 "No space left on device")`:            true,
		"Error writing file '/tmp/x' (Errcode: 28 - No space left on device)":            true,
		`Got error 168 "Unknown (generic) error from engine" from storage engine InnoDB`: false,
	} {
		if noSpace(message) != want {
			t.Errorf("%s: %v", message, !want)
		}
	}
}

// A table under another name loses its foreign keys and says so; under its own it keeps them.
func TestIntoForeignKeys(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE parent (id int PRIMARY KEY)", "INSERT INTO parent VALUES (1),(2)",
			"CREATE TABLE child (id int PRIMARY KEY, p int, up int, KEY p (p), KEY up (up), CONSTRAINT own_p FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE, CONSTRAINT own_up FOREIGN KEY (up) REFERENCES child (id), CONSTRAINT ok CHECK (id > 0))",
			"INSERT INTO child VALUES (1,1,NULL),(2,2,1)")
		past := l.past("child")
		past.Estimate = deferRows
		r, err := Into(t.Context(), l.target(way), past, l.name("side"), Options{})
		l.must(err)
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "2 foreign keys") {
			t.Errorf("warnings %q", r.Warnings)
		}
		if got := l.text("SHOW CREATE TABLE side"); strings.Contains(got, "FOREIGN") || !strings.Contains(got, "KEY `up` (`up`)") {
			t.Error(got)
		}
		rows := []db.Row{row("1", "1", "NULL"), row("2", "2", "1")}
		past.Rows = each(rows...)
		before := l.text("SHOW CREATE TABLE child")
		l.exec("DROP TABLE child")
		r, err = Into(t.Context(), l.target(way), past, l.name("child"), Options{})
		l.must(err)
		if after := l.text("SHOW CREATE TABLE child"); after != before || len(r.Warnings) > 0 {
			t.Errorf("%q, made\n%s\nof\n%s", r.Warnings, after, before)
		}
		l.exec("DELETE FROM parent WHERE id=2")
		if got := l.text("SELECT id FROM child"); got != "1" {
			t.Errorf("ON DELETE CASCADE does not: %s", got)
		}
	})
}

// A definition may be a CREATE TABLE and the ALTERs since.
func TestIntoAltered(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		l.exec("CREATE TABLE old (a int PRIMARY KEY, p int, s varchar(9) CHARACTER SET utf8mb4)")
		script := []string{
			l.past("old").Definition.Script[0], "ALTER TABLE old ADD COLUMN b varchar(20) DEFAULT 'x' AFTER a, ADD KEY s (s)", "CREATE INDEX b ON `" + l.schema + "`.old (b)",
			"alter table old rename to t", "ALTER TABLE " + l.schema + ".t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES nowhere (id), MODIFY s varchar(30) CHARACTER SET utf8mb4",
			"ALTER TABLE t DROP FOREIGN KEY fk, RENAME AS t2", "RENAME TABLE t2 TO t", "DROP INDEX b ON t;",
		}
		l.exec("ALTER TABLE old ADD COLUMN b varchar(20) DEFAULT 'x' AFTER a", "RENAME TABLE old TO t", "INSERT INTO t VALUES (1,'y',NULL,'z')")
		past := l.past("t")
		def, err := history.NewDefinition(past.Definition.Table, script)
		l.must(err)
		past.Definition = def
		_, err = Into(t.Context(), l.target(way), past, l.name("side"), Options{})
		l.must(err)
		l.same("t", "side")
		if got := l.text("SHOW CREATE TABLE side"); !strings.Contains(got, "varchar(30)") || !strings.Contains(got, "KEY `s`") || strings.Contains(got, "KEY `b`") {
			t.Error(got)
		}
	})
}
