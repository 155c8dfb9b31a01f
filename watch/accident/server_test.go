package accident_test

import (
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/watch/accident"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// TestCascades judges real cascades by what each server logs of them.
func TestCascades(t *testing.T) {
	tables := []string{
		"CREATE TABLE orders (id INT PRIMARY KEY) ENGINE=InnoDB",
		"CREATE TABLE orphans (id INT) ENGINE=InnoDB",
		"CREATE TABLE `lines` (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES orders (id) ON DELETE CASCADE) ENGINE=InnoDB",
		"CREATE TABLE parts (id INT, l INT, FOREIGN KEY (l) REFERENCES `lines` (id) ON DELETE CASCADE) ENGINE=InnoDB",
		"CREATE TABLE strict (id INT, o INT, FOREIGN KEY (o) REFERENCES orders (id)) ENGINE=InnoDB",
	}
	rows := []string{"INSERT INTO orders VALUES (1),(2),(3)", "INSERT INTO `lines` VALUES (1,1),(2,2)", "INSERT INTO parts VALUES (1,1)"}
	for _, c := range []struct {
		do                    string
		maria, mysql5, mysql9 string // why it cannot be undone whole
	}{
		{"DELETE FROM orders WHERE id=3", "lines, parts", "lines", ""}, // nothing fell, but no log tells
		{"DELETE FROM orders", "lines, parts", "lines", ""},
		{"UPDATE orders SET id=7 WHERE id=3", "", "", ""},
		{"DELETE FROM parts", "", "", ""},
	} {
		for _, srv := range servertest.All(t) {
			pool, schema := servertest.DB(t, srv)
			for _, sql := range append(append(tables, rows...), c.do) {
				if _, err := pool.Exec(sql); err != nil {
					t.Fatalf("%s: %v in %s", srv.Binaries().Series(), err, sql)
				}
			}
			want := c.maria
			switch {
			case servertest.Matches(srv.Binaries().Series(), "mysql-5"):
				want = c.mysql5
			case srv.Flavor() == "mysql":
				want = c.mysql9
			}
			a := last(t, srv.URL(schema), srv.BinlogDir(), schema)
			got := ""
			if a.Undoable == accident.Partly {
				got, _, _ = strings.Cut(strings.TrimPrefix(a.Why, "rows of "), " may have")
				got = strings.ReplaceAll(got, schema+".", "")
			}
			if got != want || a.Undoable == accident.No {
				t.Errorf("%s: %s: %s, %q; want the rows of %q named", srv.Binaries().Series(), c.do, a.Undoable, a.Why, want)
			}
		}
	}
}

// last judges the first table of the last transaction in a schema.
func last(t *testing.T, url, dir, schema string) accident.Accident {
	t.Helper()
	dsn, err := mysql.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := mysql.Open(t.Context(), dsn, mysql.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	logs, err := binlogs.Files([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	var tables history.Names
	for _, name := range []string{"orders", "lines", "parts"} {
		tables = append(tables, schema+"."+name)
	}
	r, err := binlogs.Scan(t.Context(), logs, binlogs.Query{All: true, MinRows: 1, Tables: tables})
	if err != nil {
		t.Fatal(err)
	}
	r.NewestFirst()
	judged, err := accident.Judge(t.Context(), r, conn)
	if err != nil {
		t.Fatal(err)
	}
	newest := judged[0].Tx
	for _, a := range judged {
		if a.Tx == newest && a.Table.Table == "orders" {
			return a
		}
	}
	return judged[0]
}
