package binlogs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

const annotated = "--loose-binlog-rows-query-log-events=ON" // MySQL; MariaDB annotates by default

// rows makes n rows with the ids from, from+1, ...
func rows(table string, from, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (id, v) VALUES ", table)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d, 'v%d')", from+i, from+i)
	}
	return b.String()
}

const tableA = "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(50)) ENGINE=InnoDB"

// scanCase is what is run, and what is found of it.
type scanCase struct {
	name, do, want string
	where          string // "mysql", "mariadb": only there
}

// scanCases has one line for each thing a transaction can do.
func scanCases() []scanCase {
	return []scanCase{
		{name: "delete", do: "DELETE FROM a", want: "a -4"},
		{name: "update", do: "UPDATE a SET v='y' WHERE id<3", want: "a ~2"},
		{name: "update that changes nothing", do: "UPDATE a SET v='x'", want: ""},
		{name: "insert", do: "INSERT INTO a VALUES (9,'x')", want: "a +1"},
		{name: "several statements", do: "BEGIN;\nDELETE FROM a WHERE id=1;\nUPDATE a SET v='z';\nINSERT INTO a VALUES (7,'x');\nCOMMIT", want: "a +1 ~3 -1"},
		{name: "several tables", do: "BEGIN;\nDELETE FROM a WHERE id=1;\nDELETE FROM b;\nCOMMIT", want: "a -1; b -4"},
		{name: "multi-table delete", do: "DELETE a, b FROM a JOIN b USING (id) WHERE a.id<3", want: "a -2; b -2"},
		{name: "savepoint", do: "BEGIN;\nDELETE FROM a WHERE id=1;\nSAVEPOINT s;\nDELETE FROM a;\nROLLBACK TO s;\nCOMMIT", want: "a -1"},
		{name: "rollback", do: "BEGIN;\nDELETE FROM a;\nROLLBACK", want: ""},
		{name: "MyISAM in a rollback", do: "BEGIN;\nDELETE FROM a;\nDELETE FROM m WHERE id<4;\nROLLBACK", want: "m -3", where: "mariadb"},
		{name: "replace", do: "REPLACE INTO a VALUES (1,'new'),(8,'x')", want: "a +1 ~1"},
		{name: "on duplicate key", do: "INSERT INTO a VALUES (1,'n'),(8,'x') ON DUPLICATE KEY UPDATE v='dup'", want: "a +1 ~1"},
		{name: "truncate", do: "TRUNCATE a", want: "a truncate"},
		{name: "drop", do: "DROP TABLE a, b", want: "a drop; b drop"},
		{name: "create or replace", do: "CREATE OR REPLACE TABLE a (id INT)", want: "a create or replace", where: "mariadb"},
		{name: "create or replace select", do: "CREATE OR REPLACE TABLE a AS SELECT * FROM b", want: "a +4; a create or replace", where: "mariadb"},
		{name: "create select", do: "CREATE TABLE c AS SELECT * FROM a", want: "c +4"},
		{name: "rename away", do: "RENAME TABLE a TO a_old", want: "a rename"},
		{name: "alter rename away", do: "ALTER TABLE a RENAME TO a_old", want: "a rename"},
		{name: "online schema change", do: "CREATE TABLE c LIKE a;\nRENAME TABLE a TO a_del, c TO a", want: "c rename"},
		{name: "drop column", do: "ALTER TABLE a ADD w INT, DROP v", want: "a drop column"},
		{name: "add column", do: "ALTER TABLE a ADD w INT", want: ""},
		{name: "drop partition", do: "ALTER TABLE p DROP PARTITION p0", want: "p drop partition"},
		{name: "truncate partition", do: "ALTER TABLE p TRUNCATE PARTITION p0", want: "p truncate partition"},
		{name: "temporary table", do: "CREATE TEMPORARY TABLE c (id INT);\nINSERT INTO c VALUES (1);\nDELETE FROM c;\nDROP TEMPORARY TABLE c", want: ""},
		{name: "XA commit", do: "XA START 'x1','b';\nDELETE FROM a;\nXA END 'x1','b';\nXA PREPARE 'x1','b';\nXA COMMIT 'x1','b'", want: "a -4"},
		{name: "XA one phase", do: "XA START 'x2';\nDELETE FROM a;\nXA END 'x2';\nXA COMMIT 'x2' ONE PHASE", want: "a -4"},
		{name: "XA rollback", do: "XA START 'x3';\nDELETE FROM a;\nXA END 'x3';\nXA PREPARE 'x3';\nXA ROLLBACK 'x3'", want: ""},
		{
			name: "XA name used again", want: "a -1",
			do: "XA START 'x4';\nDELETE FROM a WHERE id=1;\nXA END 'x4';\nXA PREPARE 'x4';\nXA COMMIT 'x4';\n" +
				"XA START 'x4';\nDELETE FROM a;\nXA END 'x4';\nXA PREPARE 'x4';\nXA ROLLBACK 'x4'",
		},
		{name: "system versioned delete", do: "DELETE FROM s WHERE id<3", want: "s -2", where: "mariadb"},
		{name: "system versioned update", do: "UPDATE s SET v='n' WHERE id<3", want: "s ~2", where: "mariadb"},
		{name: "system versioned insert", do: "INSERT INTO s VALUES (9,'x')", want: "s +1", where: "mariadb"},
	}
}

func TestScan(t *testing.T) {
	const seed = "INSERT INTO a VALUES (1,'x'),(2,'x'),(3,'x'),(4,'x');\nINSERT INTO b SELECT * FROM a;\nINSERT INTO m SELECT * FROM a"
	each(t, func(l *lab) {
		q := l.all()
		q.Tables = append(q.Tables, l.names("m", "p", "s")...)
		for _, c := range scanCases() {
			if c.where != "" && c.where != l.srv.Flavor() {
				continue
			}
			l.exec("DROP TABLE IF EXISTS a, b, c, m, p, s, a_old, a_del")
			l.exec(tableA + ";\nCREATE TABLE b LIKE a;\nCREATE TABLE m (id INT, v VARCHAR(50)) ENGINE=MyISAM;\n" + seed)
			l.exec("CREATE TABLE p (id INT) ENGINE=InnoDB PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)")
			if l.maria() {
				l.exec("CREATE TABLE s (id INT PRIMARY KEY, v VARCHAR(50)) WITH SYSTEM VERSIONING;\nINSERT INTO s SELECT * FROM a")
			}
			l.exec("FLUSH BINARY LOGS")
			l.first = l.logs()[len(l.logs())-1].Name()
			l.exec(c.do)
			got := text(l.scan(q).Touches)
			if got != c.want {
				l.Errorf("%s: found %q, want %q", c.name, got, c.want)
			}
		}
	}, annotated)
}

// TestStatementFormat finds what a session without row logging did, once a table and verb.
func TestStatementFormat(t *testing.T) {
	each(t, func(l *lab) {
		l.exec(tableA + ";\nCREATE TABLE b LIKE a;\nSET SESSION binlog_format='STATEMENT'")
		l.exec("BEGIN;\nDELETE FROM a WHERE id=1;\nDELETE FROM a;\nUPDATE b SET v='x';\nCOMMIT;\nDELETE FROM b")
		r := l.scan(l.all())
		if got, want := text(r.Touches), "a statement delete; b statement update; b statement delete"; got != want {
			l.Fatalf("found %q, want %q", got, want)
		}
		if r.Touches[0].Statements != 2 || r.Touches[0].Tx != r.Touches[1].Tx {
			l.Errorf("%+v", r.Touches[0])
		}
		if tx := r.Touches[0].Tx; tx.End <= tx.Start || tx.Start == r.Touches[2].Tx.Start {
			l.Errorf("position %d-%d", tx.Start, tx.End)
		}
	})
}

// TestTouch checks everything a find line shows of one transaction.
func TestTouch(t *testing.T) {
	each(t, func(l *lab) {
		l.exec(tableA)
		l.exec(rows("a", 1, 1000))
		l.exec("BEGIN;\nUPDATE a SET v='small' WHERE id=1")
		n := l.exec("DELETE FROM a WHERE id > 400 -- the big one")
		l.exec("INSERT INTO a VALUES (5000,'not this');\nCOMMIT")
		r := l.scan(binlogs.Query{MinRows: 100, Tables: l.names("a")})
		if len(r.Touches) != 1 || r.Passed != 1 {
			l.Fatalf("found %q, passed %d, want the delete and one passed insert", text(r.Touches), r.Passed)
		}
		x := r.Touches[0]
		if x.Deleted != n || x.Updated != 1 || x.Inserted != 1 || x.Statements != 3 {
			l.Errorf("counts %+v, want %d deleted", x, n)
		}
		if !strings.HasPrefix(x.Statement, "DELETE FROM a WHERE id > 400") {
			l.Errorf("statement %q", x.Statement)
		}
		if thread := l.ask("SELECT CONNECTION_ID()"); strconv.Itoa(int(x.Tx.Thread)) != thread && (x.Tx.Thread != 0 || !l.maria()) {
			l.Errorf("thread %d, want %s", x.Tx.Thread, thread)
		}
		if l.maria() && x.Tx.GTID != l.ask("SELECT @@last_gtid") {
			l.Errorf("GTID %q, want %s", x.Tx.GTID, l.ask("SELECT @@last_gtid"))
		}
		// Start and End select the transaction.
		for _, end := range []int64{x.Tx.Start + 1, x.Tx.End} {
			w := history.Window{Since: history.Bound{File: x.Tx.File, Pos: x.Tx.Start}, Until: history.Bound{File: x.Tx.File, Pos: end}}
			again := l.scan(binlogs.Query{Window: w, All: true, MinRows: 1})
			if text(again.Touches) != "a +1 ~1 -600" || again.Touches[0].ID() != x.ID() {
				l.Errorf("by position up to %d: %q, want the transaction %s", end, text(again.Touches), x.ID())
			}
		}
	}, annotated)
}

// TestID finds the same ids from the files, from copies of them, through the server, and by id.
func TestID(t *testing.T) {
	each(t, func(l *lab) {
		l.exec(tableA)
		l.exec(rows("a", 1, 10) + ";\nDELETE FROM a WHERE id<5;\nBEGIN;\nDELETE FROM a;\nCOMMIT;\nTRUNCATE a")
		want := ids(l.scan(l.all()))
		if len(want) != 4 {
			l.Fatalf("ids %v", want)
		}
		dir := l.TempDir()
		for _, x := range l.logs() {
			b, err := os.ReadFile(filepath.Join(l.srv.BinlogDir(), x.Name()))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, x.Name()), b, 0o600)
			}
			if err != nil {
				l.Fatal(err)
			}
		}
		copied, err := binlogs.Files([]string{dir})
		if err != nil {
			l.Fatal(err)
		}
		for where, logs := range map[string][]binlogs.Log{"again": l.logs(), "copies": copied, "server": l.overWire()} {
			if got := ids(scan(l, logs, l.all())); fmt.Sprint(got) != fmt.Sprint(want) {
				l.Errorf("%s: ids %v, want %v", where, got, want)
			}
			for _, id := range want {
				r := scan(l, logs, binlogs.Query{ID: id, All: true})
				if len(r.Touches) != 1 || r.Touches[0].ID() != id {
					l.Errorf("%s: by id %s: %q", where, id, text(r.Touches))
				}
			}
		}
	}, "--loose-gtid-mode=ON", "--loose-enforce-gtid-consistency=ON", "--log-slave-updates=ON")
}

func ids(r *history.Result) []string {
	var out []string
	for i := range r.Touches {
		out = append(out, r.Touches[i].ID())
	}
	return out
}

// TestNoWhere reports small transactions by their statement.
func TestNoWhere(t *testing.T) {
	padding := strings.Repeat("/* pad */ ", 100<<10)
	cases := []struct {
		do, want string
	}{
		{"DELETE FROM a", "DELETE without WHERE"},
		{"UPDATE a SET v='n'", "UPDATE without WHERE"},
		{"DELETE FROM a WHERE 1=1", "DELETE with WHERE 1=1, which is true for every row"},
		{"DELETE FROM a WHERE (1)", "DELETE with WHERE (1), which is true for every row"},
		{"DELETE FROM a WHERE true", "DELETE with WHERE true, which is true for every row"},
		{"/* app */ DELETE FROM a", "DELETE without WHERE"},
		{"DELETE FROM a " + padding, "DELETE without WHERE"},
		{"DELETE FROM a WHERE id=1", ""},
		{"DELETE FROM a\nwhere\tid=1", ""},
		{"UPDATE a SET v='n' LIMIT 2", ""},
		{"DELETE FROM a " + padding + "WHERE id=1", ""},
		{"UPDATE a SET v='" + strings.Repeat("x", 40) + "' WHERE id=1 OR v='" + strings.Repeat("y", 1<<20) + "'", ""},
	}
	each(t, func(l *lab) {
		for _, c := range cases {
			l.exec("DROP TABLE IF EXISTS a;\n" + tableA + ";\nFLUSH BINARY LOGS")
			l.exec(rows("a", 1, 5))
			l.first = l.logs()[len(l.logs())-1].Name()
			l.exec(c.do)
			r := l.scan(binlogs.Query{MinRows: 100, NoWhere: true, Tables: l.names("a")})
			got := ""
			if len(r.Touches) > 0 {
				got = r.Touches[0].NoWhere
			}
			if got != c.want {
				l.Errorf("%.60q: %q, want %q", c.do, got, c.want)
			}
			if len(r.Touches) > 0 && len(r.Touches[0].Statement) > history.MaxStatement {
				l.Errorf("%.60q: statement of %d bytes", c.do, len(r.Touches[0].Statement))
			}
		}
	}, annotated)
}

// TestPlan recognises the changes of a plan of Lull.
func TestPlan(t *testing.T) {
	each(t, func(l *lab) {
		l.exec(tableA + ";\n" + rows("a", 1, 3) + ";\nDELETE /* lull p-12 */ FROM a WHERE id<3")
		r := l.scan(l.all())
		if len(r.Touches) != 2 || r.Touches[0].Plan != "" || r.Touches[1].Plan != "p-12" {
			l.Errorf("%q %+v", text(r.Touches), r.Touches)
		}
	}, annotated)
}

// TestStatements counts statements with their texts in the log and without.
func TestStatements(t *testing.T) {
	for _, flag := range []string{"--loose-binlog-annotate-row-events=OFF", annotated} {
		each(t, func(l *lab) {
			l.exec(tableA + ";\nCREATE TABLE b LIKE a;\nBEGIN;\n" + rows("a", 1, 5) + ";\nDELETE FROM a WHERE id=1;\nINSERT INTO b SELECT * FROM a;\nUPDATE a SET v='n';\nCOMMIT")
			r := l.scan(l.all())
			if text(r.Touches) != "a +5 ~4 -1; b +4" || r.Touches[0].Statements != 3 || r.Touches[1].Statements != 1 {
				l.Errorf("%s: %q, %d and %d statements", flag, text(r.Touches), r.Touches[0].Statements, r.Touches[1].Statements)
			}
		}, flag)
	}
}

// TestXAAcrossLogs commits and rolls back in a later log than the rows are in.
func TestXAAcrossLogs(t *testing.T) {
	each(t, func(l *lab) {
		if l.on("mysql-5.6") {
			return // its XA transactions reach the log when they are committed
		}
		l.exec(tableA + ";\n" + rows("a", 1, 6))
		for i, end := range []string{"COMMIT", "ROLLBACK"} {
			l.exec(fmt.Sprintf("XA START 'y%d','q',7;\nDELETE FROM a WHERE id=%d;\nXA END 'y%[1]d','q',7;\nXA PREPARE 'y%[1]d','q',7", i, i+1))
			l.rotate()
			l.exec(fmt.Sprintf("XA %s 'y%d','q',7", end, i))
		}
		l.exec("DELETE FROM a WHERE id=5")
		r := l.scan(l.all())
		if got := text(r.Touches); got != "a +6; a -1; a -1" {
			l.Errorf("found %q", got)
		}
		q := l.all()
		q.Places = true
		r = l.scan(q)
		if got := r.Totals[l.table("a")]; len(r.Places) != 3 || got.Deleted != 2 {
			l.Errorf("places %v, total %+v", r.Places, got)
		}
		if st := r.Stats[l.table("a")]; st.Deleted != 2 || st.Transactions != 3 {
			l.Errorf("stats %+v", st)
		}
		l.exec("XA START 'y9';\nDELETE FROM a;\nXA END 'y9';\nXA PREPARE 'y9'")
		r = scan(l, l.logs(), l.all())
		if len(r.Gaps) != 1 || !strings.Contains(r.Gaps[0].Reason, "do not tell whether it was committed") {
			l.Errorf("undecided: gaps %+v", r.Gaps)
		}
		l.exec("XA ROLLBACK 'y9'")
	})
}

// TestNewestFirst orders what several logs hold.
func TestNewestFirst(t *testing.T) {
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA + ";\n" + rows("a", 1, 3) + ";\nFLUSH BINARY LOGS;\nDELETE FROM a WHERE id=1;\nFLUSH BINARY LOGS;\nUPDATE a SET v='n'")
	r := l.scan(l.all())
	if got := text(r.Touches); got != "a +3; a -1; a ~2" {
		t.Errorf("commit order: %q", got)
	}
	r.NewestFirst()
	if got := text(r.Touches); got != "a ~2; a -1; a +3" {
		t.Errorf("newest first: %q", got)
	}
	if len(r.Files) != 3 || r.Bytes < 500 {
		t.Errorf("files %v, %d bytes", r.Files, r.Bytes)
	}
}

// TestNames limits a scan to tables by either form of their name.
func TestNames(t *testing.T) {
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA + ";\nCREATE TABLE b LIKE a;\nBEGIN;\nINSERT INTO a VALUES (1,'x');\nINSERT INTO b VALUES (1,'x');\nCOMMIT;\nTRUNCATE b")
	for _, c := range []struct {
		names history.Names
		want  string
	}{
		{l.names("a"), "a +1"},
		{l.names("B"), "b +1; b truncate"},
		{history.Names{"b"}, "b +1; b truncate"},
		{l.names("none"), ""},
		{nil, "a +1; b +1; b truncate"},
	} {
		if got := text(l.scan(binlogs.Query{All: true, MinRows: 1, Tables: c.names}).Touches); got != c.want {
			t.Errorf("%v: %q, want %q", c.names, got, c.want)
		}
	}
}
