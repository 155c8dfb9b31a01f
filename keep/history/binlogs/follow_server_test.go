package binlogs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// own starts a server that the test may kill.
func own(t *testing.T, b server.Binaries, args ...string) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), server.Options{Binaries: b, Dir: t.TempDir(), Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, s *server.Server) *mysql.Conn {
	t.Helper()
	dsn, err := mysql.ParseDSN(s.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	c, err := mysql.Open(t.Context(), dsn, mysql.Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exec(t *testing.T, pool *sql.DB, script string) {
	t.Helper()
	for stmt := range strings.SplitSeq(script, ";\n") {
		if _, err := pool.ExecContext(t.Context(), stmt); err != nil {
			t.Fatalf("%v in %.300s", err, stmt)
		}
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestFollowThroughACrash(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		t.Run(b.Series(), func(t *testing.T) {
			s := own(t, b)
			c := dial(t, s)
			f := must[*binlogs.Feed](t)(binlogs.Follow(t.Context(), c, binlogs.FollowOptions{}))
			m := newMirror(t)
			exec(t, c.DB, "CREATE DATABASE d;\nCREATE TABLE d.a (id int PRIMARY KEY, x int) ENGINE=InnoDB;\nINSERT INTO d.a VALUES (1, 1), (2, 2)")
			m.until(f, must[db.Position](t)(c.Position(t.Context())))
			s.Kill()
			var err error
			for err == nil {
				var st *history.Step
				if st, err = f.Next(t.Context()); err == nil {
					m.take(st)
				}
			}
			if lull.KindOf(err) != lull.Unreachable {
				t.Errorf("after a crash: %v", err)
			}
			known := f.Known()
			f.Close()
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			c = dial(t, s)
			exec(t, c.DB, "UPDATE d.a SET x = 5 WHERE id = 2;\nALTER TABLE d.a ADD y int;\nINSERT INTO d.a VALUES (3, 3, 3)")
			f = must[*binlogs.Feed](t)(binlogs.Follow(t.Context(), c, binlogs.FollowOptions{From: m.pos, Known: known}))
			defer f.Close()
			m.until(f, must[db.Position](t)(c.Position(t.Context())))
			if m.same(c, "d") != 1 {
				t.Error("the table was lost: ", m.lost)
			}
		})
	}
}

func TestFollowFromAPurgedPlace(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		t.Run(b.Series(), func(t *testing.T) {
			s := own(t, b)
			c := dial(t, s)
			from := must[db.Position](t)(c.Position(t.Context()))
			exec(t, c.DB, "CREATE DATABASE d;\nFLUSH BINARY LOGS;\nFLUSH BINARY LOGS")
			now := must[db.Position](t)(c.Position(t.Context()))
			deadline := time.Now().Add(10 * time.Second)
			for must[[]mysql.LogFile](t)(c.Binlogs(t.Context()))[0].Name == from.File && time.Now().Before(deadline) {
				exec(t, c.DB, "PURGE BINARY LOGS TO '"+now.File+"'") // MariaDB keeps a file until its checkpoint is written
			}
			if _, err := binlogs.Follow(t.Context(), c, binlogs.FollowOptions{From: from}); !errors.Is(err, binlogs.ErrPurged) || errors.Is(err, binlogs.ErrLost) {
				t.Errorf("from a purged log: %v", err)
			}
			ahead := now
			ahead.Offset += 10_000_000
			if _, err := binlogs.Follow(t.Context(), c, binlogs.FollowOptions{From: ahead}); !errors.Is(err, binlogs.ErrLost) {
				t.Errorf("from behind the log: %v", err)
			}
		})
	}
}

func TestFollowFailover(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		if b.Flavor != "mariadb" {
			continue
		}
		t.Run(b.Series(), func(t *testing.T) {
			p := own(t, b, "--server-id=1", "--gtid-strict-mode=1")
			r := own(t, b, "--server-id=2", "--log-slave-updates=1", "--gtid-strict-mode=1")
			pc, rc := dial(t, p), dial(t, r)
			exec(t, pc.DB, "CREATE USER repl@'%' IDENTIFIED BY 'pw';\nGRANT REPLICATION SLAVE ON *.* TO repl@'%'")
			host, port, _ := strings.Cut(p.Addr(), ":")
			exec(t, rc.DB, "FLUSH BINARY LOGS;\nCHANGE MASTER TO MASTER_HOST='"+host+"', MASTER_PORT="+port+", MASTER_USER='repl', MASTER_PASSWORD='pw', MASTER_USE_GTID=slave_pos;\nSTART SLAVE")
			f := must[*binlogs.Feed](t)(binlogs.Follow(t.Context(), pc, binlogs.FollowOptions{}))
			m := newMirror(t)
			exec(t, pc.DB, "CREATE DATABASE d;\nCREATE TABLE d.a (id int PRIMARY KEY, x int);\nINSERT INTO d.a VALUES (1, 1), (2, 2)")
			m.until(f, must[db.Position](t)(pc.Position(t.Context())))
			known, from := f.Known(), m.pos
			f.Close()
			server := must[string](t)(pc.Identity(t.Context()))
			exec(t, pc.DB, "DELETE FROM d.a WHERE id = 1")
			last := must[db.Position](t)(pc.Position(t.Context()))
			exec(t, rc.DB, "SELECT MASTER_GTID_WAIT('"+last.GTID+"', 20)")
			exec(t, rc.DB, "STOP SLAVE;\nINSERT INTO d.a VALUES (7, 7)")
			f = must[*binlogs.Feed](t)(binlogs.Follow(t.Context(), rc, binlogs.FollowOptions{From: from, Server: server, Known: known}))
			defer f.Close()
			m.pos = db.Position{}
			m.until(f, must[db.Position](t)(rc.Position(t.Context())))
			if m.same(rc, "d") != 1 {
				t.Error("the table was lost: ", m.lost)
			}
			ahead := from
			ahead.GTID = "0-1-99999"
			if _, err := binlogs.Follow(t.Context(), rc, binlogs.FollowOptions{From: ahead, Server: server}); !errors.Is(err, binlogs.ErrLost) {
				t.Errorf("to a server that lacks transactions: %v", err)
			}
			ahead.GTID = strings.Replace(from.GTID, "0-1-", "0-9-", 1)
			if _, err := binlogs.Follow(t.Context(), rc, binlogs.FollowOptions{From: ahead, Server: server}); !errors.Is(err, binlogs.ErrLost) {
				t.Errorf("to a server with another history: %v", err)
			}
		})
	}
}

// TestFollowLargeTransaction reads a transaction that is not held back whole, and small images.
func TestFollowLargeTransaction(t *testing.T) {
	each(t, func(l *lab) {
		c := l.open()
		l.exec("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, x varchar(300), y int);\nINSERT INTO a (x, y) VALUES (REPEAT('x', 300), 1)")
		for range 13 {
			l.exec("INSERT INTO a (x, y) SELECT x, id FROM a")
		}
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		m.tables[l.table("a")] = &mirrored{lost: true}
		l.exec("CREATE TABLE b LIKE a;\nINSERT INTO b SELECT * FROM a;\nSET SESSION binlog_row_image = MINIMAL;\nUPDATE b SET y = y + 1;\n" +
			"UPDATE b SET x = 'short' WHERE id < 100;\nDELETE FROM b WHERE id % 3 = 0;\nSET SESSION binlog_row_image = FULL")
		m.until(f, l.position(c))
		if m.same(c, l.schema) != 1 {
			l.Error(m.lost)
		}
	})
}

// TestFollowRollback undoes part of what is logged.
func TestFollowRollback(t *testing.T) {
	each(t, func(l *lab) {
		if l.on("mysql-9.7") { // with GTIDs it refuses such a transaction
			return
		}
		c := l.open()
		l.exec("CREATE TABLE a (id int PRIMARY KEY) ENGINE=InnoDB;\nCREATE TABLE b (id int PRIMARY KEY) ENGINE=MyISAM")
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		m.tables[l.table("a")] = &mirrored{rows: map[string]db.Row{}}
		m.tables[l.table("b")] = &mirrored{rows: map[string]db.Row{}}
		l.exec("BEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);\nROLLBACK;\nBEGIN;\nINSERT INTO a VALUES (2);\nROLLBACK;\nINSERT INTO a VALUES (3)")
		m.until(f, l.position(c))
		if n := m.same(c, l.schema); n != 2 {
			l.Errorf("%d tables compared, lost %q", n, m.lost)
		}
	})
}

// TestFollowLeavesNothing counts what an ended feed leaves behind.
func TestFollowLeavesNothing(t *testing.T) {
	l := newLab(t, oneMariaDB(t))
	c := l.open()
	before := runtime.NumGoroutine()
	for range 10 {
		f := l.follow(c, binlogs.FollowOptions{})
		if _, err := f.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			var err error
			for err == nil {
				_, err = f.Next(t.Context())
			}
			done <- err
		}()
		f.Close()
		if err := <-done; err == nil {
			t.Error("a closed feed goes on")
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before+8 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before+8 { // the pool's own
		t.Errorf("%d goroutines, %d before", n, before)
	}
	for l.ask("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog%'") != "0" {
		if time.Now().After(deadline) {
			t.Fatal("streams are left open")
		}
	}
}

// BenchmarkFollow measures rows a second.
func BenchmarkFollow(b *testing.B) {
	l := newLab(b, oneMariaDB(b))
	c := l.open()
	l.exec("CREATE TABLE a (id int PRIMARY KEY, x varchar(30), y int, z datetime, d decimal(10,2))")
	from := l.position(c)
	l.exec("INSERT INTO a SELECT seq, CONCAT('row ', seq), seq, NOW(), seq FROM seq_1_to_300000")
	to := l.position(c)
	rows := 0
	for b.Loop() {
		f := l.follow(c, binlogs.FollowOptions{From: from})
		for pos := from; pos.Offset < to.Offset; {
			st, err := f.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			switch st.Kind {
			case history.RowStep:
				rows++
			case history.CommitStep, history.IdleStep:
				pos = st.Pos
			}
		}
		f.Close()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	if rows == 0 {
		b.Error(fmt.Sprint("no rows from ", from))
	}
}
