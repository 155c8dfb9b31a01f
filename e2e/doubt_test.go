package e2e

import (
	"os"
	"path/filepath"
	"testing"
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
