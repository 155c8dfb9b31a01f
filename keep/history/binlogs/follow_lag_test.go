package binlogs_test

import (
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// count is how many losses name a table and have words in their reason.
func (m *mirror) count(table, words string) (n int) {
	for _, l := range m.lost {
		if strings.HasPrefix(l, table+": ") && strings.Contains(l, words) {
			n++
		}
	}
	return n
}

// TestFollowBehind reads statements that the server has left behind already.
func TestFollowBehind(t *testing.T) {
	each(t, func(l *lab) {
		c := l.open()
		l.exec("CREATE TABLE a (id int PRIMARY KEY, x int)")
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		m.tables[l.table("a")] = &mirrored{rows: map[string]db.Row{}}
		l.exec("CREATE TABLE a_new LIKE a;\nINSERT INTO a VALUES (1, 1);\nINSERT INTO a_new SELECT * FROM a;\nINSERT INTO a_new VALUES (2, 2);\nRENAME TABLE a TO a_old, a_new TO a")
		m.until(f, l.position(c))
		l.exec("INSERT INTO a VALUES (3, 3);\nUPDATE a SET x = 7 WHERE id = 1;\nDELETE FROM a WHERE id = 2")
		m.until(f, l.position(c))
		if n := m.same(c, l.schema); n != 2 || len(m.lost) > 0 {
			l.Errorf("%d tables compared, lost %q", n, m.lost)
		}
	})
}

// TestFollowSaysEachLoss leaves out rows of a table whose columns nobody can tell any more.
func TestFollowSaysEachLoss(t *testing.T) {
	each(t, func(l *lab) {
		c := l.open()
		l.exec("CREATE TABLE b (id int PRIMARY KEY, x int)")
		f := l.follow(c, binlogs.FollowOptions{From: l.position(c)})
		m := newMirror(l.TB)
		l.exec("INSERT INTO b VALUES (2, 2);\nBEGIN;\nINSERT INTO b VALUES (3, 3);\nINSERT INTO b VALUES (4, 4);\nCOMMIT;\nRENAME TABLE b TO c;\nINSERT INTO c VALUES (5, 5)")
		m.until(f, l.position(c))
		if n := m.count("b", "are not known"); n != 2 {
			l.Errorf("rows of b were left out in two transactions, and %d told it: %q", n, m.lost)
		}
		if n := m.count("c", ""); n != 0 {
			l.Errorf("the columns of c are known, and it was lost: %q", m.lost)
		}
		known := false
		for _, d := range f.Known() {
			known = known || d.Table.Name == l.table("c")
		}
		if !known {
			l.Error("nobody asked for c")
		}
	})
}

// TestFollowWithoutGrants meets rows of a table that the user may not see.
func TestFollowWithoutGrants(t *testing.T) {
	each(t, func(l *lab) {
		name := l.schema + "_r"
		l.exec("CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (id int PRIMARY KEY);\nCREATE USER '" + name + "'@'%' IDENTIFIED BY 'pw';\n" +
			"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '" + name + "'@'%';\nGRANT SELECT ON " + l.schema + ".a TO '" + name + "'@'%'")
		defer l.exec("DROP USER '" + name + "'@'%'")
		dsn, err := mysql.ParseDSN("mysql://" + name + ":pw@" + l.srv.Addr() + "/?tls=preferred")
		if err != nil {
			l.Fatal(err)
		}
		c, err := mysql.Open(l.Context(), dsn, mysql.Env{})
		if err != nil {
			l.Fatal(err)
		}
		defer c.Close()
		f := l.follow(c, binlogs.FollowOptions{})
		l.exec("INSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1)")
		for err == nil {
			var st *history.Step
			if st, err = f.Next(l.Context()); err == nil && st.Kind == history.EventStep {
				l.Errorf("%+v", st.Event)
			}
		}
		if lull.KindOf(err) != lull.Usage {
			l.Error(err)
		}
	})
}
