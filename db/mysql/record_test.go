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

// TestExactSnapshot transfers between two tables while snapshots are taken: their sum is the same in
// each, and the rows of the log up to the position are those in it.
func TestExactSnapshot(t *testing.T) {
	for _, srv := range servertest.All(t) {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			_, schema := servertest.DB(t, srv)
			c := dial(t, srv, schema)
			run(t, c.DB, "CREATE TABLE n (id int PRIMARY KEY AUTO_INCREMENT) ENGINE=InnoDB;\nFLUSH BINARY LOGS")
			stop := make(chan struct{})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(3 * time.Millisecond): // some quiet is needed
						}
						if _, err := c.DB.ExecContext(context.WithoutCancel(t.Context()), "INSERT INTO n VALUES (NULL)"); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for range 10 {
				exact(t, c)
			}
			close(stop)
			wg.Wait()
		})
	}
}

// exact compares the rows in a snapshot with the insert events before its position.
func exact(t *testing.T, c *Conn) {
	s, pos, err := c.ExactSnapshot(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	var rows int
	if err := s.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM n").Scan(&rows); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	logged := 0
	err = c.each(t.Context(), fmt.Sprintf("SHOW BINLOG EVENTS IN '%s'", pos.File), func(row []sql.NullString) {
		var start int64
		_, _ = fmt.Sscan(row[1].String, &start)
		if strings.HasPrefix(row[2].String, "Write_rows") && start < pos.Offset {
			logged++
		}
	})
	if err != nil || rows != logged {
		t.Errorf("the snapshot at %+v has %d rows, the log %d: %v", pos, rows, logged, err)
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
			d, err := c.Follow(t.Context(), pos.File, pos.Offset, func() error {
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
