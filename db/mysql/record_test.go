package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestCatalog(t *testing.T) {
	for _, srv := range servertest.All(t) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			root, schema := servertest.DB(t, srv)
			c := dial(t, srv, schema)
			run(t, c.DB, "CREATE TABLE a (id int PRIMARY KEY);\nCREATE VIEW v AS SELECT * FROM a;\nCREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1;\n"+
				"CREATE PROCEDURE p() SELECT 1;\nCREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.id = NEW.id + 1;\n"+
				"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
			weak := dialURL(t, user(t, srv, root, schema, "seer", "IDENTIFIED BY 'pw'", "SELECT ON "+schema+".*"))
			found, missing, err := c.Catalog(t.Context(), []string{schema})
			if err != nil || len(missing) > 0 {
				t.Fatal(missing, err)
			}
			var kinds []string
			for _, s := range found {
				if s.Kind != "grant" {
					kinds = append(kinds, s.Kind)
				}
				if !strings.HasPrefix(s.SQL, "CREATE ") && !strings.HasPrefix(s.SQL, "GRANT ") || strings.Contains(s.SQL, "IDENTIFIED") {
					t.Errorf("%+v", s)
				}
			}
			if got := strings.Join(kinds, " "); got != "database function procedure view trigger event" {
				t.Errorf("found %s", got)
			}
			if !slices.ContainsFunc(found, func(s Statement) bool { return s.Name == "'seer'@'127.0.0.1'" && strings.Contains(s.SQL, "SELECT ON") }) {
				t.Error("the grant is missing")
			}
			if _, missing, err = weak.Catalog(t.Context(), []string{schema}); err != nil || len(missing) == 0 {
				t.Errorf("an account that may not see views misses %q: %v", missing, err)
			}
		})
	}
}

func TestGrantsWithoutSecrets(t *testing.T) {
	f := func(grant, want string) {
		t.Helper()
		if got := withoutSecret(grant); got != want {
			t.Errorf("%s becomes %s, want %s", grant, got, want)
		}
	}
	f("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29' WITH GRANT OPTION", "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION")
	f("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA unix_socket OR mysql_native_password USING '*X' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3", "GRANT USAGE ON *.* TO `a`@`%` REQUIRE SSL WITH MAX_USER_CONNECTIONS 3")
	f("GRANT USAGE ON *.* TO 'a'@'%' IDENTIFIED BY PASSWORD '*X'", "GRANT USAGE ON *.* TO 'a'@'%'")
	f("GRANT SELECT ON `identified by`.* TO `IDENTIFIED`@`%`", "GRANT SELECT ON `identified by`.* TO `IDENTIFIED`@`%`")
}

func TestDefinition(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, n varchar(40) DEFAULT ') ENGINE=x AUTO_INCREMENT=7') ENGINE=InnoDB;\nINSERT INTO a VALUES (5, 'x')")
		tab, create, err := c.Definition(t.Context(), db.Name{Schema: schema, Table: "a"})
		if err != nil || len(tab.Columns) != 2 || strings.Count(create, "AUTO_INCREMENT=") != 1 || strings.Contains(create, "=6") {
			t.Errorf("%s: %v %s", c.Flavor, err, create)
		}
		if c.Flavor == MariaDB && c.Version.AtLeast(10, 3, 4) {
			run(t, c.DB, "CREATE TABLE v (id int PRIMARY KEY, x int) WITH SYSTEM VERSIONING")
			tab, _, err := c.Definition(t.Context(), db.Name{Schema: schema, Table: "v"})
			if err != nil || !slices.Equal(tab.RowKey(), []int{0}) || len(tab.Columns) != 2 {
				t.Errorf("a versioned table has columns %v, key %v: %v", tab.Columns, tab.Keys, err)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	for _, srv := range servertest.All(t) {
		c := dial(t, srv, "")
		l, err := c.Load(t.Context())
		if err != nil || l.Running < 1 || l.Connections < 1 || l.MaxConnections < 1 || l.Lag != -1 {
			t.Errorf("%s: %+v, %v", c.Flavor, l, err)
		}
	}
}

// TestExactSnapshot inserts rows while snapshots are taken: those of the log up to the position are
// those in it.
func TestExactSnapshot(t *testing.T) {
	for _, srv := range servertest.All(t) {
		for _, engine := range []string{"InnoDB", "MyISAM", "MEMORY"} {
			t.Run(srv.Binaries().Series()+"/"+engine, func(t *testing.T) {
				_, schema := servertest.DB(t, srv)
				c := dial(t, srv, schema)
				run(t, c.DB, "CREATE TABLE n (id int) ENGINE="+engine+";\nFLUSH BINARY LOGS")
				pause := 3 * time.Millisecond // some quiet is needed
				if engine != "InnoDB" {
					pause = 0
				}
				stop := make(chan struct{})
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() {
						for {
							select {
							case <-stop:
								return
							case <-time.After(pause):
							}
							if _, err := c.DB.ExecContext(context.WithoutCancel(t.Context()), "INSERT INTO n VALUES (NULL)"); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				for range 10 {
					exact(t, c, db.Name{Schema: schema, Table: "n"})
				}
				close(stop)
				wg.Wait()
			})
		}
	}
}

// exact compares the rows in a snapshot with the insert events before its position.
func exact(t *testing.T, c *Conn, table db.Name) {
	s, pos, err := c.ExactTable(t.Context(), table)
	if err != nil {
		t.Error(err)
		return
	}
	var first, rows int
	for _, n := range []*int{&first, &rows} {
		if err := s.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM n").Scan(n); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	logged := 0
	const torn = 1220 // the server read an event that it was writing
	for range 50 {
		logged = 0
		err = c.each(t.Context(), fmt.Sprintf("SHOW BINLOG EVENTS IN '%s'", pos.File), func(row []sql.NullString) {
			var start int64
			_, _ = fmt.Sscan(row[1].String, &start)
			if strings.HasPrefix(row[2].String, "Write_rows") && start < pos.Offset {
				logged++
			}
		})
		if serverErrorNumber(err) != torn {
			break
		}
	}
	if err != nil || rows != logged || first != rows {
		t.Errorf("the snapshot at %+v has %d rows, then %d, the log %d: %v", pos, first, rows, logged, err)
	}
}

// TestExactTableRefused asks for what a user may not lock, and for what is not there.
func TestExactTableRefused(t *testing.T) {
	for _, srv := range servertest.All(t) {
		root, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE n (id int) ENGINE=MyISAM")
		weak := dialURL(t, user(t, srv, root, schema, "reader", "IDENTIFIED BY 'pw'", "SELECT ON "+schema+".*"))
		if _, _, err := weak.ExactTable(t.Context(), db.Name{Schema: schema, Table: "n"}); lull.KindOf(err) != lull.Refused || !strings.Contains(lull.HintOf(err), "LOCK TABLES") {
			t.Errorf("%s: %v", c.Flavor, err)
		}
		_, _, err := c.ExactTable(t.Context(), db.Name{Schema: schema, Table: "gone"})
		if _, unknown := errors.AsType[*UnknownTableError](err); !unknown {
			t.Errorf("%s: %v", c.Flavor, err)
		}
	}
}

// TestUncommittedIsNotSeen reads on a server whose sessions see what is not committed.
func TestUncommittedIsNotSeen(t *testing.T) {
	for _, srv := range servertest.All(t) {
		root, schema := servertest.DB(t, srv)
		run(t, root, "CREATE TABLE "+schema+".a (id int PRIMARY KEY) ENGINE=InnoDB;\nSET GLOBAL TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
		c := dial(t, srv, schema)
		tx, err := root.BeginTx(t.Context(), nil)
		if err == nil {
			_, err = tx.ExecContext(t.Context(), "INSERT INTO "+schema+".a VALUES (1)")
		}
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := c.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows are seen that nobody committed: %v", c.Flavor, n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		run(t, root, "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	}
}

// TestErrorKinds ends connections and streams the ways that servers do.
func TestErrorKinds(t *testing.T) {
	for _, srv := range servertest.All(t) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			root, schema := servertest.DB(t, srv)
			c := dial(t, srv, schema)
			pos, err := c.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err = c.Follow(t.Context(), "another", pos.File, pos.Offset, nil); lull.KindOf(err) != lull.Unreachable {
				t.Errorf("another server: %v", err)
			}
			beat := func() error {
				var id string
				if err := root.QueryRowContext(t.Context(), "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").Scan(&id); err != nil {
					return err
				}
				_, err := root.ExecContext(t.Context(), "KILL "+id)
				return err
			}
			here, err := c.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d, err := c.Follow(t.Context(), here, pos.File, pos.Offset, beat)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			_, _, r, err := d.Next()
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if lull.KindOf(err) != lull.Unreachable && err != nil {
				t.Errorf("a killed stream: %v", err)
			}
			weak := dialURL(t, user(t, srv, root, schema, "nobody", "IDENTIFIED BY 'pw'", "SELECT ON "+schema+".*"))
			if _, err := weak.DB.ExecContext(t.Context(), "CREATE TABLE x (id int)"); lull.KindOf(weak.Explain(t.Context(), "create", err)) != lull.Usage {
				t.Error(err)
			}
		})
	}
	c := &Conn{}
	for n, want := range map[uint16]lull.Kind{1040: lull.Unreachable, 1203: lull.Unreachable, 1053: lull.Unreachable, 1317: lull.Unreachable, 1927: lull.Unreachable, 2006: lull.Unreachable, 2013: lull.Unreachable, 1045: lull.Usage, 1142: lull.Usage, 1064: lull.Failed} {
		if err := c.Explain(t.Context(), "read", &driverpkg.MySQLError{Number: n}); lull.KindOf(err) != want {
			t.Errorf("error %d is of kind %d, want %d", n, lull.KindOf(err), want)
		}
	}
}

func TestFollowBeatsAndEnds(t *testing.T) {
	for _, srv := range servertest.All(t) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			_, schema := servertest.DB(t, srv)
			c := dial(t, srv, schema)
			pos, err := c.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			enough := errors.New("enough")
			beats, last := 0, time.Now()
			d, err := c.Follow(t.Context(), "", pos.File, pos.Offset, func() error {
				if gap := time.Since(last); gap > time.Second {
					t.Errorf("a heartbeat came after %s", gap)
				}
				if last = time.Now(); beats == 3 {
					return enough
				}
				beats++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			_, _, r, err := d.Next()
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if !errors.Is(err, enough) || beats != 3 {
				t.Errorf("%d beats, %v", beats, err)
			}
		})
	}
}
