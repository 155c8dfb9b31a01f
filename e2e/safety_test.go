package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// planned makes table t, has the accident, and plans its undoing.
func (l *lab) planned(accident string, args ...string) (plan, before string) {
	l.Helper()
	l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+billing+")", "INSERT INTO t VALUES "+three)
	before = l.rows("t")
	return l.plan(0, append([]string{"--pos", l.span(accident)}, args...)...), before
}

// A plan is carried out as it was read, or not at all.
func TestStalePlans(t *testing.T) {
	onAll(t, func(l *lab) {
		f := func(name, accident, since, says string) {
			l.Run(name, func(t *testing.T) {
				l := l.on(t)
				plan, _ := l.planned(accident)
				l.script(since)
				now := l.rows("t")
				l.says(l.lull(5, "apply", plan).all(), says)
				l.is("t", now)
				l.says(l.lull(0, "plans").out, plan)
				if _, err := os.Stat(filepath.Join(l.data, "plans", plan, "ledger")); err == nil {
					l.Error("a refused plan left a ledger")
				}
			})
		}
		f("row put back", "DELETE FROM t", "INSERT INTO t VALUES (2,'bob',20)", "is stale")
		f("row changed", "UPDATE t SET cents=0", "UPDATE t SET who='x' WHERE id=3", "is stale|row id=3 of|was changed since")
		f("row gone", "UPDATE t SET cents=0", "DELETE FROM t WHERE id=3", "is stale|row id=3 of|is gone")
		f("row changed, of those inserted", "INSERT INTO t VALUES (7,'x',1)", "UPDATE t SET who='y' WHERE id=7", "is stale")
		f("column added", "DELETE FROM t", "ALTER TABLE t ADD extra int", "the shape of|was changed since")
		f("key added", "DELETE FROM t", "ALTER TABLE t ADD UNIQUE KEY (who)", "the shape of|was changed since")
	})
}

func TestPlanCannotBeTamperedWith(t *testing.T) {
	onAll(t, func(l *lab) {
		plan, _ := l.planned("DELETE FROM t")
		dir := filepath.Join(l.data, "plans", plan)
		f := func(file, says string, change func([]byte) []byte) {
			t.Helper()
			path := filepath.Join(dir, file)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(was), 0o600); err != nil {
				t.Fatal(err)
			}
			l.says(l.lull(5, "apply", plan).all(), says)
			l.is("t", "")
			if err := os.WriteFile(path, was, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f("plan.json", "was changed since it was made", func(b []byte) []byte { return bytes.Replace(b, []byte(`"rows": 3`), []byte(`"rows": 2`), 1) })
		f("plan.json", "was changed since it was made", func(b []byte) []byte { return bytes.Replace(b, []byte(`"insert"`), []byte(`"delete"`), 1) })
		sections, err := filepath.Glob(filepath.Join(dir, "*.rows"))
		if err != nil || len(sections) != 1 {
			t.Fatalf("sections: %v %v", sections, err)
		}
		f(filepath.Base(sections[0]), "does not match its sum", func(b []byte) []byte { return bytes.Replace(b, []byte("bob"), []byte("eve"), 1) })
		f(filepath.Base(sections[0]), "does not match its sum", func(b []byte) []byte { return b[:len(b)-3] })
		l.lull(0, "apply", plan)
	})
}

func TestApplyTwice(t *testing.T) {
	onAll(t, func(l *lab) {
		plan, before := l.planned("DELETE FROM t")
		first := l.lull(0, "apply", plan, "--json")
		l.is("t", before)
		l.exec("DELETE FROM t WHERE id=2")
		again := l.lull(0, "apply", plan, "--json")
		l.is("t", "1 ann 10, 3 cy 30")
		sum := func(r result) (out struct{ Checksum string }) {
			if err := json.Unmarshal([]byte(r.out), &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		if a, b := sum(first), sum(again); a != b || a.Checksum == "" {
			t.Errorf("receipts differ: %s%s", first.out, again.out)
		}
	})
}

func TestUndoOfUndo(t *testing.T) {
	onAll(t, func(l *lab) {
		f := func(accident, after string) {
			l.Run(accident, func(t *testing.T) {
				l := l.on(t)
				plan, before := l.planned(accident)
				l.lull(0, "apply", plan)
				l.is("t", before)
				l.lull(0, "undo", plan, "--yes")
				l.is("t", after)
				l.lull(0, "undo", "p-2", "--yes")
				l.is("t", before)
				l.exec("UPDATE t SET who='new' WHERE id=2")
				edited := l.rows("t")
				l.lull(0, "undo", "p-3")
				l.lull(0, "undo", "p-3", "--yes")
				if got := l.rows("t"); !strings.Contains(got, "2 new ") && !strings.Contains(got, " new ") {
					l.Errorf("the honest edit is lost: %s, was %s", got, edited)
				}
			})
		}
		f("DELETE FROM t", "")
		f("UPDATE t SET cents=0", "1 ann 0, 2 bob 0, 3 cy 0")
		f("UPDATE t SET id=id+100", "101 ann 10, 102 bob 20, 103 cy 30")
		f("UPDATE t SET id=id+1 ORDER BY id DESC", "2 ann 10, 3 bob 20, 4 cy 30")
		f("DELETE FROM t WHERE id=1; UPDATE t SET cents=1 WHERE id=2; INSERT INTO t VALUES (9,'x',9)", "2 bob 1, 3 cy 30, 9 x 9")
	})
}

func TestWaysToSelect(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE t ("+billing+")", "INSERT INTO t VALUES "+three)
		before := l.rows("t")
		reset := func(accident string) string {
			l.exec("DELETE FROM t", "INSERT INTO t VALUES "+three)
			return l.span(accident)
		}
		at, _, _ := strings.Cut(reset("DELETE FROM t"), "..")
		l.lull(0, "undo", "--yes", "--pos", at)
		l.is("t", before)
		from, to, _ := strings.Cut(reset("DELETE FROM t"), "..")
		l.lull(0, "undo", "--yes", "--since", from, "--until", to)
		l.is("t", before)
		reset("DELETE FROM t")
		r := l.lull(0, "find", "t", "--json", "--min-rows", "1")
		var found struct {
			Accidents []struct {
				ID, GTID, Table string
				Deleted         int
			}
		}
		if err := json.Unmarshal([]byte(r.out), &found); err != nil || len(found.Accidents) == 0 {
			t.Fatalf("find: %v\n%s", err, r.out)
		}
		newest := found.Accidents[0]
		if newest.Deleted != 3 {
			t.Fatalf("newest is %+v", newest)
		}
		l.lull(0, "undo", "--yes", newest.ID)
		l.is("t", before)
		if newest.GTID != "" {
			l.exec("DELETE FROM t")
			l.lull(0, "undo", "--yes", "--gtid", newest.GTID)
			l.is("t", before)
		}
		l.exec("DO SLEEP(1.1)")
		since := time.Now().Truncate(time.Second) // what most servers log
		l.exec("DELETE FROM t WHERE id=1", "DELETE FROM t", "DO SLEEP(1.1)")
		until := time.Now().Truncate(time.Second)
		l.exec("INSERT INTO t VALUES (5,'e',5)")
		l.lull(0, "undo", "--yes", "--since", since.Format(time.RFC3339Nano), "--until", until.Format(time.RFC3339Nano), "--table", "t")
		l.is("t", before+", 5 e 5")
	})
}

func TestSideTables(t *testing.T) {
	onAll(t, func(l *lab) {
		l.grant("CREATE")
		plan, _ := l.planned("DELETE FROM t WHERE id>1", "--into", "t_back")
		l.lull(0, "apply", plan)
		l.is("t", "1 ann 10")
		l.is("t_back", "2 bob 20, 3 cy 30")
		plan, _ = l.planned("UPDATE t SET cents=0", "--into", "t_back")
		l.lull(0, "apply", plan)
		l.is("t", "1 ann 0, 2 bob 0, 3 cy 0")
		l.is("t_back", "1 ann 10, 2 bob 20, 3 cy 30")
	})
}

// SQL written by --out does what apply would do.
func TestOutIsThePlan(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE t ("+billing+")", "INSERT INTO t VALUES "+three)
		span := l.span("DELETE FROM t WHERE id=1; UPDATE t SET cents=0; INSERT INTO t VALUES (8,'y',1), (9,'x',9)")
		l.exec("UPDATE t SET who='robert' WHERE id=2", "UPDATE t SET cents=5 WHERE id=3", "UPDATE t SET cents=2 WHERE id=8")
		out := filepath.Join(l.data, "undo.sql")
		now := l.rows("t")
		l.lull(0, "undo", "--pos", span, "--out", out)
		l.is("t", now)
		l.client(out)
		l.is("t", "1 ann 10, 2 robert 20, 3 cy 5, 8 y 2")
	})
}

func TestTriggers(t *testing.T) {
	onAll(t, func(l *lab) {
		l.grant("TRIGGER")
		l.exec("CREATE TABLE t ("+billing+")", "CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, what varchar(20))", "INSERT INTO t VALUES "+three,
			"CREATE TRIGGER t_in AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('insert')")
		before := l.rows("t")
		span := l.span("DELETE FROM t")
		l.says(l.lull(5, "undo", "--yes", "--pos", span).all(), "would fire t_in|--allow-triggers")
		l.is("t", "")
		l.says(l.lull(0, "undo", "--yes", "--pos", span, "--allow-triggers").all(), "will fire: t_in")
		l.is("t", before)
		if n := l.text("SELECT COUNT(*) FROM log"); n != "3" {
			t.Errorf("the trigger fired %s times", n)
		}
		span = l.span("UPDATE t SET cents=0")
		l.lull(0, "undo", "--yes", "--pos", span) // nothing fires on UPDATE
		l.is("t", before)
		l.exec("CREATE TRIGGER t_up BEFORE UPDATE ON t FOR EACH ROW SET NEW.cents=NEW.cents+1")
		l.exec("DROP TRIGGER t_in")
		span = l.span("UPDATE t SET who='x'")
		now := l.rows("t")
		l.says(l.lull(1, "undo", "--yes", "--pos", span, "--allow-triggers").all(), "not as planned after writing it")
		l.is("t", now)
	})
}

func TestStatementsThatTakeTables(t *testing.T) {
	onAll(t, func(l *lab) {
		for _, stmt := range []string{"TRUNCATE TABLE t", "DROP TABLE t"} {
			l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+billing+")", "INSERT INTO t VALUES "+three)
			span := l.span(stmt)
			l.says(l.lull(3, "undo", "--pos", span, "--yes").all(), "cannot be undone from binlogs alone|restore the table from a backup")
		}
	})
}
