package mysql

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// findings are one line each: name, answer, fix.
func findings(t testing.TB, c *Conn) map[string]Finding {
	t.Helper()
	list, err := c.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Finding{}
	for _, f := range list {
		if _, twice := out[f.Name]; twice {
			t.Errorf("%s is told twice", f.Name)
		}
		if strings.Contains(f.Detail+f.Fix, "\n") || f.Detail == "" || f.Answer == OK && f.Fix != "" || strings.Contains(f.Detail+f.Fix, "%!") {
			t.Errorf("%+v", f)
		}
		out[f.Name] = f
	}
	return out
}

func expect(t testing.TB, c *Conn, got map[string]Finding, name string, a Answer, detail, fix string) {
	t.Helper()
	f := got[name]
	if f.Answer != a || !strings.Contains(f.Detail, detail) || !strings.Contains(f.Fix, fix) {
		t.Errorf("%s %s: %s: %+v, want %s, %q, %q", c.Flavor, c.Version, name, f, a, detail, fix)
	}
}

// TestCheckWell has nothing to complain about but what the server cannot do.
func TestCheckWell(t *testing.T) {
	for _, srv := range servertest.All(t, "--loose-binlog-row-metadata=FULL", "--loose-binlog-rows-query-log-events=ON", "--sync-binlog=1") {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE x (id int PRIMARY KEY)")
		for name, f := range findings(t, c) {
			if f.Answer != OK && (name != "binlog_row_metadata" || c.Version.Major != 5) {
				t.Errorf("%s %s: %+v", c.Flavor, c.Version, f)
			}
		}
	}
}

func TestCheckSettings(t *testing.T) {
	c := dial(t, servertest.MariaDB(t, "--binlog-format=MIXED", "--binlog-row-image=MINIMAL", "--expire-logs-days=1",
		"--binlog-annotate-row-events=OFF", "--binlog-ignore-db=secret", "--read-only=ON"), "")
	got := findings(t, c)
	expect(t, c, got, "binlog_format", No, "MIXED", "SET GLOBAL binlog_format = ROW; and binlog_format = ROW in my.cnf")
	expect(t, c, got, "binlog_row_image", No, "MINIMAL", "binlog_row_image = FULL")
	expect(t, c, got, "binlog_row_metadata", Warn, "NO_LOG", "binlog_row_metadata = FULL")
	expect(t, c, got, "binlog_annotate_row_events", Warn, "what was typed", "binlog_annotate_row_events = ON")
	expect(t, c, got, "retention", Warn, "24h0m0s", "= 259200")
	expect(t, c, got, "sync_binlog", Warn, "0:", "sync_binlog = 1")
	expect(t, c, got, "binlog filters", Warn, "secret", "binlog_ignore_db")
	expect(t, c, got, "read binlogs", OK, "they reach back to", "")
	for _, srv := range servertest.Versions(t, "mysql-9") {
		c := dial(t, srv, "")
		got := findings(t, c)
		expect(t, c, got, "binlog_rows_query_log_events", Warn, "what was typed", "SET PERSIST binlog_rows_query_log_events = ON")
		expect(t, c, got, "binlog_row_metadata", Warn, "MINIMAL", "SET PERSIST binlog_row_metadata = FULL")
		expect(t, c, got, "retention", OK, "720h", "")
		run(t, c.DB, "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON', GLOBAL binlog_row_image = 'NOBLOB'")
		got = findings(t, c)
		run(t, c.DB, "SET GLOBAL binlog_row_value_options = '', GLOBAL binlog_row_image = 'FULL'")
		expect(t, c, got, "binlog_row_value_options", Warn, "PARTIAL_JSON", "SET PERSIST binlog_row_value_options = ''")
		expect(t, c, got, "binlog_row_image", Warn, "NOBLOB", "SET PERSIST binlog_row_image = FULL")
	}
}

// TestCheckReplica makes a replica by name only: its source never answers.
func TestCheckReplica(t *testing.T) {
	c := dial(t, servertest.MariaDB(t, "--skip-slave-start"), "")
	if f, ok := findings(t, c)["log_slave_updates"]; ok {
		t.Errorf("on a server that is no replica: %+v", f)
	}
	run(t, c.DB, "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'x'")
	expect(t, c, findings(t, c), "log_slave_updates", Warn, "ask the source", "log_slave_updates = ON in my.cnf")
}

func TestCheckNoBinlog(t *testing.T) {
	c := dial(t, servertest.MariaDB(t, "--skip-log-bin"), "")
	got := findings(t, c)
	expect(t, c, got, "log_bin", No, "writes no binlog", "log_bin = binlog, server_id = 1 in my.cnf")
	if _, ok := got["retention"]; ok {
		t.Error("retention of no logs")
	}
}

func TestCheckGrants(t *testing.T) {
	for i, srv := range servertest.All(t) {
		root, schema := servertest.DB(t, srv)
		run(t, root, "CREATE TABLE x (id int PRIMARY KEY);\nCREATE TRIGGER tr BEFORE DELETE ON x FOR EACH ROW SET @x = 1")
		name := fmt.Sprint("none", i)
		weak := dialURL(t, user(t, srv, root, schema, name, "IDENTIFIED BY 'pw'", "SELECT, INSERT ON "+schema+".*"))
		got := findings(t, weak)
		to := " TO '" + name + "'@'127.0.0.1'"
		expect(t, weak, got, "grant REPLICATION SLAVE", No, "not granted", "GRANT REPLICATION SLAVE ON *.*"+to)
		monitor := weak.monitorPrivilege()
		expect(t, weak, got, "grant "+monitor, No, "not granted", "GRANT "+monitor+" ON *.*"+to)
		expect(t, weak, got, "grant on tables", No, "UPDATE, DELETE is missing", "GRANT UPDATE, DELETE ON `"+schema+"`.*"+to)
		expect(t, weak, got, "grant TRIGGER", Warn, "hidden", "GRANT TRIGGER ON `"+schema+"`.*"+to)
		expect(t, weak, got, "list binlogs", No, "", monitor)
		// Carrying out every fix must leave nothing to fix.
		for _, f := range got {
			if strings.HasPrefix(f.Fix, "GRANT ") {
				run(t, root, f.Fix)
			}
		}
		rds := dialURL(t, weak.urlForTest("pw"))
		for name, f := range findings(t, rds) {
			if strings.HasPrefix(name, "grant") && f.Answer != OK || f.Answer == No {
				t.Errorf("%s after the fixes: %+v", rds.Flavor, f)
			}
		}
		expect(t, rds, findings(t, rds), "triggers", Warn, schema+".x", "")
	}
}

// urlForTest is the DSN with its password.
func (c *Conn) urlForTest(password string) string {
	return strings.Replace(c.DSN.String(), "@", ":"+password+"@", 1)
}

func TestCheckRoles(t *testing.T) {
	for i, srv := range servertest.Versions(t, "mariadb-10.11", "mariadb-11", "mysql-9") {
		root, schema := servertest.DB(t, srv)
		name := fmt.Sprint("byrole", i)
		url := user(t, srv, root, schema, name, "IDENTIFIED BY 'pw'")
		run(t, root, "CREATE ROLE lullrole;\nGRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO lullrole;\nGRANT lullrole TO "+name+"@'127.0.0.1'")
		of := "SET DEFAULT ROLE lullrole TO "
		if srv.Flavor() == "mariadb" {
			of = "SET DEFAULT ROLE lullrole FOR "
		}
		run(t, root, of+name+"@'127.0.0.1'")
		c := dialURL(t, url)
		for name, f := range findings(t, c) {
			if f.Answer == No || name == "grant TRIGGER" && f.Answer != OK {
				t.Errorf("%s: %+v", c.Flavor, f)
			}
		}
		run(t, root, "DROP ROLE lullrole")
	}
}

func TestCheckTables(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, `CREATE TABLE p (id int PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE c (id int, UNIQUE (id), FOREIGN KEY f (id) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE k (id int NOT NULL, s varchar(9) NOT NULL, UNIQUE (s(3)));
CREATE TABLE u (id int NOT NULL, UNIQUE (id))`)
		got := findings(t, c)
		expect(t, c, got, "tables without a key", Warn, fmt.Sprintf("in %[1]s.c, %[1]s.k", schema), "ADD PRIMARY KEY")
		logged, err := c.LogsCascades(t.Context())
		if want := c.Flavor == MySQL && c.Version.Major == 9; err != nil || logged != want {
			t.Errorf("%s %s: cascades logged %v, %v", c.Flavor, c.Version, logged, err)
		}
		answer := Warn
		if logged {
			answer = OK
		}
		expect(t, c, got, "foreign keys", answer, schema+".c (", "")
	}
}

func TestCloudRetention(t *testing.T) {
	for _, x := range []struct {
		value sql.NullString
		want  Answer
	}{
		{sql.NullString{}, No},
		{sql.NullString{String: "0", Valid: true}, No},
		{sql.NullString{String: "24", Valid: true}, Warn},
		{sql.NullString{String: "72", Valid: true}, OK},
	} {
		k := &checker{Conn: &Conn{Cloud: "rds"}}
		k.cloudHours(x.value, "CALL mysql.rds_set_configuration('binlog retention hours', 72)")
		if f := k.found[0]; f.Answer != x.want || (f.Fix == "") != (x.want == OK) {
			t.Errorf("%v: %+v", x.value, f)
		}
	}
	if s := (&Conn{Cloud: "aurora"}).fix("binlog_row_metadata", "FULL"); !strings.Contains(s, "cluster parameter group") {
		t.Error(s)
	}
}

// TestCloudRetentionFromTable reads the table that Amazon's servers have.
func TestCloudRetentionFromTable(t *testing.T) {
	srv := servertest.MariaDB(t, "--max-connections=50")
	c := dial(t, srv, "")
	c.Cloud = "rds"
	got := findings(t, c)
	expect(t, c, got, "retention", Warn, "cannot be read", "rds_show_configuration")
	run(t, c.DB, "CREATE TABLE mysql.rds_configuration (name varchar(100), value varchar(100), description varchar(300));\n"+
		"INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL, '')")
	expect(t, c, findings(t, c), "retention", No, "purged at once", "CALL mysql.rds_set_configuration('binlog retention hours', 72)")
	run(t, c.DB, "UPDATE mysql.rds_configuration SET value = '168'")
	expect(t, c, findings(t, c), "retention", OK, "168h", "")
}

func TestRetentionIsEnoughForAWeekend(t *testing.T) {
	if enoughRetention < 64*time.Hour {
		t.Error("from Friday 18:00 to Monday 09:00 it is 63 hours")
	}
}
