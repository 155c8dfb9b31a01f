package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// scenario is an accident in table t, honest work since, and what lull must make of it.
type scenario struct {
	name     string
	table    string // columns and keys
	rows     string
	accident string
	since    string
	args     string // of lull undo
	want     string // the rows afterwards; "" when they must be as before the accident
	code     int    // of lull undo --yes
	says     string // parts separated by "|"
}

const (
	billing = "id int PRIMARY KEY, who varchar(20), cents int"
	three   = "(1,'ann',10), (2,'bob',20), (3,'cy',30)"
)

func TestDeletes(t *testing.T) {
	play(t, []scenario{
		{"all of it", billing, three, "DELETE FROM t", "", "", "", 0, "3 inserted"},
		{"new rows stay", billing, three, "DELETE FROM t", "INSERT INTO t VALUES (4,'dee',40)", "", "1 ann 10, 2 bob 20, 3 cy 30, 4 dee 40", 0, ""},
		{"put back equal", billing, three, "DELETE FROM t", "INSERT INTO t VALUES (2,'bob',20)", "", "", 0, "2 inserted"},
		{"put back different", billing, three, "DELETE FROM t", "INSERT INTO t VALUES (2,'bo',2)", "", "1 ann 10, 2 bo 2, 3 cy 30", 0, "put back since, and differs"},
		{"and restored", billing, three, "DELETE FROM t", "INSERT INTO t VALUES (2,'bo',2)", "--on-conflict restore", "", 0, "1 changed back"},
		{"and refused", billing, three, "DELETE FROM t", "INSERT INTO t VALUES (2,'bo',2)", "--on-conflict fail", "2 bo 2", 5, "1 rows were changed since"},
		{"some, by --where", billing, three, "DELETE FROM t", "", "--where cents>=20", "2 bob 20, 3 cy 30", 0, ""},
		{"some, by kind", billing, three, "DELETE FROM t WHERE id=1; UPDATE t SET cents=0; INSERT INTO t VALUES (9,'x',9)", "", "--only delete", "1 ann 10, 2 bob 0, 3 cy 0, 9 x 9", 0, ""},
		{"in several transactions", billing, three, "UPDATE t SET cents=0; UPDATE t SET who='x'; DELETE FROM t WHERE id>1", "", "", "", 0, ""},
		{"deleted, put back and deleted", billing, three, "DELETE FROM t WHERE id=2; INSERT INTO t VALUES (2,'other',0); DELETE FROM t", "", "", "", 0, ""},
		{"inserted and deleted", billing, three, "INSERT INTO t VALUES (5,'e',5); DELETE FROM t WHERE id=5; DELETE FROM t", "", "", "", 0, ""},
		{"unique value taken", "id int PRIMARY KEY, code int, UNIQUE KEY code (code)", "(1,10), (2,20)", "DELETE FROM t", "INSERT INTO t VALUES (7,20)", "", "1 10, 7 20", 0, "another row has its value of code"},
	})
}

func TestUpdates(t *testing.T) {
	play(t, []scenario{
		{"all of it", billing, three, "UPDATE t SET cents=0", "", "", "", 0, "3 changed back"},
		{"another column edited", billing, three, "UPDATE t SET cents=0", "UPDATE t SET who='robert' WHERE id=2", "", "1 ann 10, 2 robert 20, 3 cy 30", 0, ""},
		{"same column edited", billing, three, "UPDATE t SET cents=0", "UPDATE t SET cents=99 WHERE id=2", "", "1 ann 10, 2 bob 99, 3 cy 30", 0, "changed again since"},
		{"same column edited, restored", billing, three, "UPDATE t SET cents=0", "UPDATE t SET cents=99 WHERE id=2", "--on-conflict restore", "", 0, ""},
		{"two columns, one edited", billing, three, "UPDATE t SET cents=0, who='?'", "UPDATE t SET cents=99 WHERE id=2", "", "1 ann 10, 2 bob 99, 3 cy 30", 0, ""},
		{"corrected by hand", billing, three, "UPDATE t SET cents=0", "UPDATE t SET cents=20 WHERE id=2", "", "", 0, "2 changed back"},
		{"row gone since", billing, three, "UPDATE t SET cents=0", "DELETE FROM t WHERE id=2", "", "1 ann 10, 3 cy 30", 0, "the row is gone"},
		{"row gone since, restored", billing, three, "UPDATE t SET cents=0", "DELETE FROM t WHERE id=2", "--on-conflict restore", "", 0, ""},
		{"to NULL and from NULL", billing, "(1,NULL,10), (2,'bob',NULL), (3,NULL,NULL)", "UPDATE t SET who=IF(who IS NULL,'x',NULL), cents=IF(cents IS NULL,1,NULL)", "", "", "", 0, ""},
		{"key moved", billing, three, "UPDATE t SET id=id+1000", "", "", "", 0, ""},
		{"key moved, other column edited", billing, three, "UPDATE t SET id=id+1000", "UPDATE t SET who='robert' WHERE id=1002", "", "1 ann 10, 2 robert 20, 3 cy 30", 0, ""},
		{"key moved, row edited and gone", billing, three, "UPDATE t SET id=id+1000, cents=0", "UPDATE t SET cents=5 WHERE id=1001; DELETE FROM t WHERE id=1003", "", "1 ann 5, 2 bob 20", 0, "the row is gone"},
		{"key moved, old key taken", billing, three, "UPDATE t SET id=id+1000", "INSERT INTO t VALUES (2,'new',0)", "", "1 ann 10, 2 new 0, 3 cy 30, 1002 bob 20", 0, "another row has its value of PRIMARY"},
		{"keys moved along", billing, three, "UPDATE t SET id=id+1 ORDER BY id DESC", "", "", "", 0, ""},
		{"keys moved along, one edited", billing, three, "UPDATE t SET id=id+1 ORDER BY id DESC", "UPDATE t SET who='robert' WHERE id=3", "", "1 ann 10, 2 robert 20, 3 cy 30", 0, ""},
		{"keys moved twice", billing, three, "UPDATE t SET id=id+1000; UPDATE t SET id=id+1000", "UPDATE t SET who='robert' WHERE id=2002", "", "1 ann 10, 2 robert 20, 3 cy 30", 0, ""},
		{"unique values moved along", "id int PRIMARY KEY, code int, UNIQUE KEY code (code)", "(1,10), (2,11), (3,12)", "UPDATE t SET code=code+1 ORDER BY id DESC", "", "", "", 0, ""},
		{"unique values swapped", "id int PRIMARY KEY, code int, UNIQUE KEY code (code)", "(1,10), (2,11), (3,12)", "UPDATE t SET code=0 WHERE id=1; UPDATE t SET code=10 WHERE id=2; UPDATE t SET code=11 WHERE id=1", "", "", "", 0, ""},
		{"unique value taken", "id int PRIMARY KEY, code int, UNIQUE KEY code (code)", "(1,10), (2,20)", "UPDATE t SET code=code+1", "INSERT INTO t VALUES (7,20)", "", "1 10, 2 21, 7 20", 0, "another row has its value of code"},
	})
}

func TestInserts(t *testing.T) {
	play(t, []scenario{
		{"all of it", billing, three, "INSERT INTO t VALUES (7,'x',1), (8,'y',2)", "", "", "", 0, "2 deleted"},
		{"one edited", billing, three, "INSERT INTO t VALUES (7,'x',1), (8,'y',2)", "UPDATE t SET cents=3 WHERE id=8", "", "1 ann 10, 2 bob 20, 3 cy 30, 8 y 3", 0, "changed since it was inserted"},
		{"one edited, restored", billing, three, "INSERT INTO t VALUES (7,'x',1), (8,'y',2)", "UPDATE t SET cents=3 WHERE id=8", "--on-conflict restore", "", 0, ""},
		{"one gone", billing, three, "INSERT INTO t VALUES (7,'x',1), (8,'y',2)", "DELETE FROM t WHERE id=8", "", "", 0, "1 deleted"},
		{"and updated", billing, three, "INSERT INTO t VALUES (7,'x',1), (8,'y',2); UPDATE t SET cents=0", "", "", "", 0, ""},
		{"replaced", billing, three, "REPLACE INTO t VALUES (1,'x',1), (8,'y',2)", "", "", "", 0, ""},
		{"on duplicate key", billing, three, "INSERT INTO t VALUES (1,'x',1), (8,'y',2) ON DUPLICATE KEY UPDATE cents=0", "", "", "", 0, ""},
	})
}

func TestKeys(t *testing.T) {
	play(t, []scenario{
		{"composite", "a int, b varchar(10), v int, PRIMARY KEY (b,a)", "(1,'x',1), (1,'y',2), (2,'x',3)", "DELETE FROM t WHERE a=1; UPDATE t SET v=0", "INSERT INTO t VALUES (1,'z',9)", "", "1 x 1, 1 y 2, 1 z 9, 2 x 3", 0, ""},
		{"negative", "id int PRIMARY KEY, v int", "(-5,1), (-1,2), (0,3), (1,4)", "DELETE FROM t WHERE id<1; UPDATE t SET v=9", "", "", "", 0, ""},
		{"huge", "id bigint unsigned PRIMARY KEY, v int", "(0,1), (9223372036854775808,2), (18446744073709551615,3)", "UPDATE t SET v=9; DELETE FROM t WHERE id>0", "", "", "", 0, ""},
		{"binary", "id varbinary(8) PRIMARY KEY, v int", "(X'00',1), (X'0000',2), (X'00FF00',3), (X'',4), (X'27',5)", "UPDATE t SET v=9; DELETE FROM t WHERE v=9", "", "", "", 0, ""},
		{"text, put back in capitals", "id varchar(8) PRIMARY KEY, v int", "('a',1), ('b',2)", "DELETE FROM t", "INSERT INTO t VALUES ('A',1)", "", "A 1, b 2", 0, "put back since"},
		{"text, put in capitals", "id varchar(8) PRIMARY KEY, v int", "('a',1), ('b',2)", "UPDATE t SET id=UPPER(id)", "", "", "", 0, ""},
		{"text, put in capitals and edited", "id varchar(8) PRIMARY KEY, v int", "('a',1), ('b',2)", "UPDATE t SET id=UPPER(id)", "UPDATE t SET v=7 WHERE id='a'", "", "a 7, b 2", 0, ""},
		{"text, replaced by capitals", "id varchar(8) PRIMARY KEY, v int", "('a',1), ('b',2)", "DELETE FROM t WHERE id='a'; INSERT INTO t VALUES ('A',5)", "", "", "", 0, ""},
		{"enum and date", "e enum('x','y'), d date, v int, PRIMARY KEY (d,e)", "('x','2026-01-01',1), ('y','0000-00-00',2)", "UPDATE t SET v=0; DELETE FROM t WHERE e='y'", "", "", "", 0, ""},
		{"unique, no primary", "id int NOT NULL, v int, UNIQUE KEY (id)", "(1,1), (2,2)", "UPDATE t SET v=0; DELETE FROM t WHERE id=1", "", "", "", 0, ""},
		{"unique with NULLs is none", "id int, v int, UNIQUE KEY (id)", "(1,1), (NULL,2), (NULL,2)", "DELETE FROM t", "", "", "", 0, "has no key"},
		{"none, deleted", "a int, b varchar(9)", "(1,'x'), (1,'x'), (NULL,NULL), (NULL,NULL), (2,'y')", "DELETE FROM t", "INSERT INTO t VALUES (1,'x'), (3,'z')", "", "NULL NULL, NULL NULL, 1 x, 1 x, 2 y, 3 z", 0, ""},
		{"none, updated", "a int, b varchar(9)", "(1,'x'), (1,'x'), (NULL,NULL), (2,'y')", "UPDATE t SET b='all'", "", "", "", 0, ""},
		{"none, updated and one edited", "a int, b varchar(9)", "(1,'x'), (3,'x'), (2,'y')", "UPDATE t SET b='all'", "UPDATE t SET a=4 WHERE a=3", "", "1 x, 2 y, 4 all", 0, "no row is as the accident left it"},
		{"none, inserted", "a int, b varchar(9)", "(1,'x'), (1,'x')", "INSERT INTO t VALUES (1,'x'), (2,'y'), (2,'y')", "DELETE FROM t WHERE a=2 LIMIT 1", "", "1 x, 1 x", 0, ""},
	})
}

// play runs the scenarios on every server, with whole row images.
func play(t *testing.T, list []scenario) {
	t.Helper()
	onAll(t, func(l *lab) {
		for i, s := range list {
			l.Run(s.name, func(t *testing.T) { l.on(t).play(s, fmt.Sprintf("t%d", i)) })
		}
	})
}

func (l *lab) play(s scenario, table string) {
	l.Helper()
	if l.series("mysql-5.6") && strings.Contains(s.table, "varchar") && strings.Contains(s.name, "NULLs") {
		return
	}
	name := func(stmts string) string { return rename(stmts, table) }
	l.exec("CREATE TABLE "+table+" ("+s.table+")", "INSERT INTO "+table+" VALUES "+s.rows)
	before, sum := l.rows(table), l.sum(table)
	span := l.span(name(s.accident))
	l.script(name(s.since))
	args := append([]string{"undo", "--yes", "--pos", span, "--table", table}, strings.Fields(s.args)...)
	r := l.lull(s.code, args...)
	l.says(r.all(), s.says)
	want := s.want
	if want == "" {
		want = before
		if got := l.sum(table); got != sum {
			l.Errorf("checksum is %s, was %s", got, sum)
		}
	}
	l.is(table, want)
}

// rename puts the name of the scenario's table in place of t.
func rename(stmts, table string) string {
	for _, before := range []string{"FROM ", "UPDATE ", "INTO ", "TABLE "} {
		for _, after := range []string{" ", ";"} {
			stmts = strings.ReplaceAll(stmts, before+"t"+after, before+table+after)
		}
		if strings.HasSuffix(stmts, before+"t") {
			stmts = strings.TrimSuffix(stmts, "t") + table
		}
	}
	return stmts
}
