package e2e

import (
	"strings"
	"testing"
)

// family is an accident among tables p (parents), c (children of p) and g (children of c).
type family struct {
	name     string
	rule     string // of the foreign keys
	accident string
	since    string
	tables   string // that are named to undo; "" for all
	want     string // rows of p; of c; of g; "" when as before
	code     int
	says     string
}

const parentsAndChildren = `CREATE TABLE p (id int PRIMARY KEY, v int);
	CREATE TABLE c (id int PRIMARY KEY, p int, v int, KEY (p), CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p (id) RULE);
	CREATE TABLE g (id int PRIMARY KEY, c int, KEY (c), CONSTRAINT g_c FOREIGN KEY (c) REFERENCES c (id) RULE)`

const familyRows = "INSERT INTO p VALUES (1,10),(2,20),(3,30); INSERT INTO c VALUES (5,3,1),(6,2,2),(7,3,3),(8,NULL,4); INSERT INTO g VALUES (1,7),(2,6)"

func families() []family {
	return []family{
		{"all deleted by hand", "", "DELETE FROM g; DELETE FROM c; DELETE FROM p", "", "", "", 0, ""},
		{"parents deleted without checks", "", "SET foreign_key_checks=0; DELETE FROM p; DELETE FROM c; SET foreign_key_checks=1", "", "", "", 0, ""},
		{"parent deleted since", "", "DELETE FROM g; DELETE FROM c", "DELETE FROM p WHERE id=3", "", "1 10, 2 20; 6 2 2, 8 NULL 4; 2 6", 0, "its parent row in"},
		{"all inserted", "", "INSERT INTO p VALUES (4,1); INSERT INTO c VALUES (9,4,1); INSERT INTO g VALUES (9,9)", "", "", "", 0, ""},
		{"parent inserted, child since", "", "INSERT INTO p VALUES (4,1)", "INSERT INTO c VALUES (9,4,1)", "", "1 10, 2 20, 3 30, 4 1; 5 3 1, 6 2 2, 7 3 3, 8 NULL 4, 9 4 1; 1 7, 2 6", 0, "refer to it"},
		{"parent inserted, child since, by cascade", "ON DELETE CASCADE", "INSERT INTO p VALUES (4,1)", "INSERT INTO c VALUES (9,4,1)", "", "1 10, 2 20, 3 30, 4 1; 5 3 1, 6 2 2, 7 3 3, 8 NULL 4, 9 4 1; 1 7, 2 6", 0, "refer to it"},
		{"children inserted, grandchild since", "", "INSERT INTO p VALUES (4,1); INSERT INTO c VALUES (9,4,1)", "INSERT INTO g VALUES (9,9)", "", "1 10, 2 20, 3 30, 4 1; 5 3 1, 6 2 2, 7 3 3, 8 NULL 4, 9 4 1; 1 7, 2 6, 9 9", 0, "refer to it"},
		{"child moved to another parent", "", "UPDATE c SET p=1", "DELETE FROM p WHERE id=2", "", "1 10, 3 30; 5 3 1, 6 1 2, 7 3 3, 8 NULL 4; 1 7, 2 6", 0, "its parent row in"},
	}
}

func (l *lab) family(rule string) {
	l.Helper()
	l.exec("SET foreign_key_checks=0", "DROP TABLE IF EXISTS p, c, g", "SET foreign_key_checks=1")
	for s := range strings.SplitSeq(strings.ReplaceAll(parentsAndChildren, "RULE", rule), ";") {
		l.exec(s)
	}
	l.script(familyRows)
}

func (l *lab) familyRows() string {
	l.Helper()
	return strings.Join([]string{l.rows("p"), l.rows("c"), l.rows("g")}, "; ")
}

func TestFamilies(t *testing.T) {
	onAll(t, func(l *lab) {
		for _, f := range families() {
			l.Run(f.name, func(t *testing.T) { l.on(t).playFamily(f) })
		}
	})
}

func (l *lab) playFamily(f family) {
	l.Helper()
	l.family(f.rule)
	want := f.want
	if want == "" {
		want = l.familyRows()
	}
	span := l.span(f.accident)
	l.script(f.since)
	args := append([]string{"undo", "--yes", "--pos", span}, strings.Fields(f.tables)...)
	r := l.lull(f.code, args...)
	l.says(r.all(), f.says)
	if got := l.familyRows(); got != want {
		l.Errorf("holds\n %s\nwant\n %s\n%s", got, want, r.all())
	}
}

// What foreign keys did beside the accident is inverted where the server logs it, and named
// where it does not.
func TestCascades(t *testing.T) {
	onAll(t, func(l *lab) {
		f := func(rule, accident string) {
			l.Run(rule+" "+accident, func(t *testing.T) {
				l := l.on(t)
				l.family(rule)
				before, parents := l.familyRows(), l.rows("p")
				span := l.span(accident)
				if l.series("mysql-9") {
					l.lull(0, "undo", "--yes", "--pos", span)
					if got := l.familyRows(); got != before {
						l.Errorf("holds\n %s\nwant\n %s", got, before)
					}
					return
				}
				r := l.lull(4, "undo", "--yes", "--pos", span)
				l.says(r.all(), "rows of "+l.schema+".c|foreign key on "+l.schema+".p|take them from a backup")
				l.is("p", parents)
			})
		}
		f("ON DELETE CASCADE", "DELETE FROM p")
		f("ON DELETE CASCADE", "DELETE FROM p WHERE id=3")
		f("ON DELETE SET NULL", "DELETE FROM p WHERE id>1")
		f("ON UPDATE CASCADE", "UPDATE p SET id=id+100")
	})
}

func TestTrees(t *testing.T) {
	const table = "CREATE TABLE t (id int PRIMARY KEY, up int, KEY (up), CONSTRAINT t_up FOREIGN KEY (up) REFERENCES t (id))"
	onAll(t, func(l *lab) {
		f := func(name, rows, accident, since, want, says string) {
			l.Run(name, func(t *testing.T) {
				l := l.on(t)
				l.exec("SET foreign_key_checks=0", "DROP TABLE IF EXISTS t", table, "INSERT INTO t VALUES "+rows, "SET foreign_key_checks=1")
				if want == "" {
					want = l.rows("t")
				}
				span := l.span("SET foreign_key_checks=0; " + accident + "; SET foreign_key_checks=1")
				l.script("SET foreign_key_checks=0; " + since + "; SET foreign_key_checks=1")
				l.says(l.lull(0, "undo", "--yes", "--pos", span).all(), says)
				l.is("t", want)
			})
		}
		const tree = "(1,NULL),(2,7),(3,2),(7,1),(9,9)"
		f("deleted", tree, "DELETE FROM t", "", "", "")
		f("part deleted", tree, "DELETE FROM t WHERE id IN (2,3)", "", "", "")
		f("parent gone since", tree, "DELETE FROM t WHERE id IN (2,3)", "DELETE FROM t WHERE id=7", "1 NULL, 9 9", "its parent row in")
		f("inserted", "(1,NULL)", "INSERT INTO t VALUES (2,7),(3,2),(7,1),(9,9)", "", "", "")
		f("inserted, child since", "(1,NULL)", "INSERT INTO t VALUES (2,7),(3,2),(7,1)", "INSERT INTO t VALUES (8,2)", "1 NULL, 2 7, 7 1, 8 2", "refer to it")
	})
}
