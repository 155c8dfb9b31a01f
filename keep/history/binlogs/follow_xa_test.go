package binlogs_test

import (
	"fmt"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// xaLab is a lab whose server logs XA transactions when they are prepared, with two tables and a
// mirror that follows them.
func xaLab(t *testing.T, fn func(l *lab, c *mysql.Conn, f *binlogs.Feed, m *mirror)) {
	t.Helper()
	each(t, func(l *lab) {
		if l.on("mysql-5.6") { // it logs XA transactions when they are committed
			return
		}
		c := l.open()
		l.exec("CREATE TABLE a (id int PRIMARY KEY, x varchar(200)) ENGINE=InnoDB;\nCREATE TABLE b (id int PRIMARY KEY, x varchar(200)) ENGINE=InnoDB")
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		m.tables[l.table("a")] = &mirrored{rows: map[string]db.Row{}}
		m.tables[l.table("b")] = &mirrored{rows: map[string]db.Row{}}
		fn(l, c, f, m)
	})
}

func (l *lab) prepared(xid, stmts string) string {
	return "XA START '" + xid + "';\n" + stmts + ";\nXA END '" + xid + "';\nXA PREPARE '" + xid + "'"
}

// TestFollowXA compares while a transaction is prepared, when nobody sees its rows, and after.
func TestFollowXA(t *testing.T) {
	xaLab(t, func(l *lab, c *mysql.Conn, f *binlogs.Feed, m *mirror) {
		compare := func(when string, commits, touches int) {
			m.until(f, l.position(c))
			if n := m.same(c, l.schema); n != 2 || len(m.lost) > 0 || m.commits != commits || len(m.touches) != touches {
				l.Errorf("%s: %d tables compared, lost %q, %d commits, %d touches", when, n, m.lost, m.commits, len(m.touches))
			}
		}
		l.exec(l.prepared("x1", "INSERT INTO a VALUES (1, 'x')"))
		compare("prepared", 1, 0)
		l.exec("XA COMMIT 'x1'")
		compare("committed", 2, 1)
		for id := range m.touches {
			if tx := m.touches[id].Tx; tx.End != m.pos.Offset {
				l.Errorf("a touch is of the transaction that ends at %d, not of the commit at %d", tx.End, m.pos.Offset)
			}
		}
		l.exec(l.prepared("x2", "INSERT INTO b VALUES (1, 'x')") + ";\nXA ROLLBACK 'x2'")
		compare("rolled back", 4, 1)
		l.exec("XA START 'x3';\nINSERT INTO b VALUES (3, 'x');\nXA END 'x3';\nXA COMMIT 'x3' ONE PHASE")
		compare("in one phase", 5, 2)
	})
}

// TestFollowXAUndecided commits what was prepared before the feed began, and rolls it back.
func TestFollowXAUndecided(t *testing.T) {
	xaLab(t, func(l *lab, c *mysql.Conn, f *binlogs.Feed, m *mirror) {
		l.exec(l.prepared("x1", "INSERT INTO a VALUES (1, 'x')"))
		m.until(f, l.position(c))
		f.Close()
		f = l.follow(c, binlogs.FollowOptions{From: m.pos, Known: f.Known()})
		l.exec("XA ROLLBACK 'x1'")
		m.until(f, l.position(c))
		if len(m.lost) > 0 {
			l.Errorf("nothing happened, and lost %q", m.lost)
		}
		l.exec(l.prepared("x2", "INSERT INTO a VALUES (2, 'x')"))
		m.until(f, l.position(c))
		f.Close()
		f = l.follow(c, binlogs.FollowOptions{From: m.pos, Known: f.Known()})
		l.exec("XA COMMIT 'x2'")
		m.until(f, l.position(c))
		if m.count("", "was prepared before") != 1 || !m.tables[l.table("a")].lost || !m.tables[l.table("b")].lost {
			l.Errorf("lost %q", m.lost)
		}
	})
}

// TestFollowLargeXA prepares more than is held in memory.
func TestFollowLargeXA(t *testing.T) {
	xaLab(t, func(l *lab, c *mysql.Conn, f *binlogs.Feed, m *mirror) {
		l.exec("INSERT INTO a VALUES (0, REPEAT('a', 200))")
		for n := 1; n < 1<<15; n *= 2 {
			l.exec(fmt.Sprintf("INSERT INTO a SELECT id + %d, x FROM a", n))
		}
		l.exec(l.prepared("x1", "INSERT INTO b SELECT * FROM a;\nUPDATE b SET x = CONCAT(id, 'y') WHERE id % 3 = 0;\nDELETE FROM b WHERE id < 1000"))
		m.until(f, l.position(c))
		if len(m.tables[l.table("b")].rows) > 0 {
			l.Error("what is prepared was handed out")
		}
		l.exec("XA COMMIT 'x1'")
		m.until(f, l.position(c))
		if n := m.same(c, l.schema); n != 2 || len(m.lost) > 0 {
			l.Errorf("%d tables compared, lost %q", n, m.lost)
		}
	})
}
