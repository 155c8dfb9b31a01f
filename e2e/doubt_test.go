package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// inDoubt makes a plan look as if its apply was killed when it was about to commit.
func (l *lab) inDoubt(plan string) {
	l.Helper()
	ledger := `{"what":"run","at":"2026-11-20T14:00:00Z","section":0,"from":0,"rows":0}` + "\n" +
		`{"what":"begin","section":-1,"from":0,"rows":0}` + "\n"
	if err := os.WriteFile(filepath.Join(l.data, "plans", plan, "ledger"), []byte(ledger), 0o600); err != nil {
		l.Fatal(err)
	}
}

// One row that somebody else wrote does not prove that a whole transaction was committed.
func TestOneRowProvesNothing(t *testing.T) {
	onAll(t, func(l *lab) {
		l.Run("inserts", func(t *testing.T) {
			l := l.on(t)
			plan, _ := l.planned("DELETE FROM t")
			l.inDoubt(plan)
			l.exec("INSERT INTO t VALUES (2,'bob',20)")
			l.says(l.lull(5, "apply", plan).all(), "interrupted while it committed|2 are as before, 1 as it makes them")
			l.is("t", "2 bob 20")
		})
		l.Run("deletes", func(t *testing.T) {
			l := l.on(t)
			plan, _ := l.planned("INSERT INTO t VALUES (7,'x',1),(8,'y',1)")
			l.inDoubt(plan)
			l.exec("DELETE FROM t WHERE id=7")
			l.lull(5, "apply", plan)
			l.is("t", threeRows+", 8 y 1")
		})
		l.Run("nothing was committed", func(t *testing.T) {
			l := l.on(t)
			plan, before := l.planned("DELETE FROM t")
			l.inDoubt(plan)
			l.lull(0, "apply", plan)
			l.is("t", before)
		})
	})
}

const threeRows = "1 ann 10, 2 bob 20, 3 cy 30"

// Rows without a key are compared by their number before anything is written.
func TestKeylessPlansAreCompared(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE k (a int, b int)", "INSERT INTO k VALUES (1,1),(1,1),(2,2)")
		span := l.span("DELETE FROM k")
		first, second := l.plan(0, "--pos", span), l.plan(0, "--pos", span)
		l.lull(0, "apply", first)
		l.says(l.lull(5, "apply", second).all(), "is stale|has no key, were put back")
		l.is("k", "1 1, 1 1, 2 2")
		span = l.span("DELETE FROM k WHERE a=1")
		plan := l.plan(0, "--pos", span)
		l.exec("INSERT INTO k VALUES (1,1)")
		l.lull(5, "apply", plan)
		l.is("k", "1 1, 2 2")
	})
}

func TestTablesWithoutTransactions(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE m (id int PRIMARY KEY, v int) ENGINE=MyISAM", "INSERT INTO m VALUES (1,1),(2,2)")
		l.says(l.lull(5, "undo", "--pos", l.span("DELETE FROM m")).all(), "is a MyISAM table|--out")
	})
}

// A key that was made shorter since cannot tell the rows of then apart.
func TestKeyMadeShorterSince(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE n (a int, b int, PRIMARY KEY (a,b))", "INSERT INTO n VALUES (1,1),(1,2)")
		span := l.span("DELETE FROM n")
		l.exec("ALTER TABLE n DROP PRIMARY KEY, ADD PRIMARY KEY (a)")
		l.says(l.lull(5, "undo", "--pos", span).all(), "the table's key was changed since")
	})
}

// A row that took the key which the accident gave another one is left alone.
func TestAnotherRowUnderAMovedKey(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE o (id int PRIMARY KEY, who varchar(9), cents int)", "INSERT INTO o VALUES (5,'ann',10)")
		span := l.span("UPDATE o SET id=6 WHERE id=5")
		l.exec("DELETE FROM o", "INSERT INTO o VALUES (6,'bob',77)")
		l.says(l.lull(0, "undo", "--pos", span, "--yes").all(), "another row has the key")
		l.is("o", "6 bob 77")
	})
}

// Children that refer to a value which goes back would be emptied: nothing is written.
func TestChildrenThatWouldBeEmptied(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE p (id int PRIMARY KEY, code int, UNIQUE KEY (code))",
			"CREATE TABLE c (id int PRIMARY KEY, code int, FOREIGN KEY (code) REFERENCES p (code) ON UPDATE SET NULL)",
			"INSERT INTO p VALUES (1,10)")
		span := l.span("UPDATE p SET code=20")
		l.exec("INSERT INTO c VALUES (1,20)")
		r := l.try("undo", "--pos", span, "--yes")
		if r.code == 0 {
			l.Errorf("it was written: %s", r.all())
		}
		l.is("c", "1 20")
		l.is("p", "1 20")
	})
}

func TestSideTableOfAnotherShape(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE t ("+billing+")", "INSERT INTO t VALUES "+three, "CREATE TABLE other (id int PRIMARY KEY, city varchar(9))")
		l.says(l.lull(2, "undo", "--pos", l.span("DELETE FROM t"), "--into", "other").all(), "is not shaped like")
		l.is("other", "")
	})
}

// A plan that was interrupted before it wrote has nothing to take back.
func TestTakingBackWhatWasNotWritten(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE k (a int, b int)", "INSERT INTO k VALUES (1,1),(1,1),(1,1)")
	plan := l.plan(0, "--pos", l.span("DELETE FROM k LIMIT 1"))
	l.inDoubt(plan)
	l.says(l.lull(2, "undo", plan, "--yes").all(), "was interrupted before it wrote anything|lull apply "+plan)
	l.is("k", "1 1, 1 1")
}

// What lull put back is no part of an accident that a window holds.
func TestWindowLeavesOutOwnRepairs(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	plan, before := l.planned("DELETE FROM t WHERE id=1")
	from := l.here()
	l.lull(0, "apply", plan)
	l.exec("DELETE FROM t")
	l.lull(0, "undo", "--yes", "--since", from, "--until", l.here(), "--table", "t")
	l.is("t", before)
}

// One damaged plan hides no other.
func TestDamagedPlanHidesNoOther(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	plan, _ := l.planned("DELETE FROM t")
	if err := os.Mkdir(filepath.Join(l.data, "plans", "p-77"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.says(l.lull(2, "plans").all(), plan+"|p-77")
}

// A self-referring table runs without foreign keys: a parent that goes away before apply is
// still noticed.
func TestParentGoneWithoutForeignKeys(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE dept (id int PRIMARY KEY)",
		"CREATE TABLE emp (id int PRIMARY KEY, boss int, dept int, FOREIGN KEY (boss) REFERENCES emp (id), FOREIGN KEY (dept) REFERENCES dept (id))",
		"INSERT INTO dept VALUES (1),(2)", "INSERT INTO emp VALUES (1,NULL,1),(2,1,2)")
	plan := l.plan(0, "--pos", l.span("DELETE FROM emp WHERE id=2"))
	l.exec("DELETE FROM dept WHERE id=2")
	l.says(l.lull(5, "apply", plan).all(), "would have no parent in")
	l.is("emp", "1 NULL 1")
}

// Children that the server moved with a shift of keys would belong to the wrong parents when
// the shift goes back without foreign keys: nothing is written.
func TestChildrenOfShiftedKeys(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE p (id int PRIMARY KEY, who varchar(9))",
		"CREATE TABLE c (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES p (id) ON UPDATE CASCADE)",
		"INSERT INTO p VALUES (1,'ann'),(2,'bob')", "INSERT INTO c VALUES (1,1),(2,2)")
	span := l.span("UPDATE p SET id=id+1 ORDER BY id DESC")
	parents, children := l.rows("p"), l.rows("c")
	r := l.try("undo", "--pos", span, "--yes")
	if r.code == 0 {
		t.Errorf("it was written: %s", r.all())
	}
	l.is("p", parents)
	l.is("c", children)
}

// Text whose character set was changed since is not put back as other letters.
func TestCharacterSetChangedSince(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE s (id int PRIMARY KEY, v varchar(20)) CHARACTER SET cp1251", "INSERT INTO s VALUES (1,'Привет')")
	span := l.span("DELETE FROM s")
	l.exec("ALTER TABLE s CONVERT TO CHARACTER SET koi8r")
	l.says(l.lull(5, "undo", "--pos", span).all(), "character set")
	l.is("s", "")
}
