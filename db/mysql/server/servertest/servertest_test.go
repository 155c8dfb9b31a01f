package servertest_test

import (
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

func TestShared(t *testing.T) {
	a, b := servertest.MariaDB(t), servertest.MariaDB(t)
	if a != b {
		t.Error("the same flags gave two servers")
	}
	if c := servertest.MariaDB(t, "--server-id=9"); c == a {
		t.Error("other flags gave the same server")
	}
}

func TestDB(t *testing.T) {
	srv := servertest.MariaDB(t)
	var first string
	t.Run("use", func(t *testing.T) {
		db, name := servertest.DB(t, srv)
		first = name
		if _, err := db.Exec("CREATE TABLE x (id INT)"); err != nil {
			t.Fatal(err)
		}
	})
	db, name := servertest.DB(t, srv)
	if name == first {
		t.Errorf("two tests got the database %s", name)
	}
	var n int
	if err := db.QueryRow("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name=?", first).Scan(&n); err != nil || n != 0 {
		t.Errorf("the first test's database: %d, %v; want it dropped", n, err)
	}
}

// TestAll asks each server who it is.
func TestAll(t *testing.T) {
	for _, srv := range servertest.All(t, "--loose-binlog-row-metadata=FULL") {
		db, _ := servertest.DB(t, srv)
		var version string
		if err := db.QueryRow("SELECT VERSION()").Scan(&version); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(version, srv.Binaries().Version) {
			t.Errorf("%s calls itself %s", srv.Binaries().Version, version)
		}
	}
}

func TestVersions(t *testing.T) {
	if got := servertest.Versions(t, "mariadb-10.11", "mariadb-1"); len(got) != 1 || got[0].Flavor() != "mariadb" {
		t.Errorf("got %d servers, want the one MariaDB 10.11", len(got))
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		series, want string
		ok           bool
	}{
		{"mysql-9.7", "mysql-9.7", true},
		{"mysql-9.7", "mysql-9", true},
		{"mysql-9.7", "mysql", true},
		{"mysql-9.7", "mysql-9.", false},
		{"mysql-9.17", "mysql-9.1", false},
		{"mariadb-10.11", "mariadb-1", false},
		{"mysql-9.7", "mariadb", false},
	} {
		if got := servertest.Matches(c.series, c.want); got != c.ok {
			t.Errorf("Matches(%q, %q) = %v", c.series, c.want, got)
		}
	}
}
