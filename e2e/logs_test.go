package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

const wide = "id int PRIMARY KEY, who varchar(20), note text, cents int NOT NULL DEFAULT 7"

const wideRows = "(1,'ann','n1',10), (2,'bob',NULL,20), (3,'cy','n3',30)"

// image is an accident logged with row images that leave columns out.
type image struct {
	name, image, accident, want string
	code                        int
	says                        string
}

func TestRowImages(t *testing.T) {
	onAll(t, func(l *lab) {
		for _, c := range []image{
			{"minimal delete", "MINIMAL", "DELETE FROM t", "", 4, "3 rows of|cannot be brought back"},
			{"minimal update", "MINIMAL", "UPDATE t SET cents=0", "1 ann n1 0, 2 bob NULL 0, 3 cy n3 0", 4, "cannot be brought back"},
			{"minimal insert", "MINIMAL", "INSERT INTO t VALUES (7,'x','y',1)", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, ""},
			{"minimal update of the key", "MINIMAL", "UPDATE t SET id=id+100", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, ""},
			{"noblob delete", "NOBLOB", "DELETE FROM t", "1 ann NULL 10, 2 bob NULL 20, 3 cy NULL 30", 4, "come back as NULL"},
			{"noblob update", "NOBLOB", "UPDATE t SET cents=0", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, ""},
			{"noblob update of the blob", "NOBLOB", "UPDATE t SET note='x', cents=0", "1 ann x 10, 2 bob x 20, 3 cy x 30", 4, ""},
		} {
			l.Run(c.name, func(t *testing.T) {
				l := l.on(t)
				l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+wide+")", "INSERT INTO t VALUES "+wideRows)
				span := l.span("SET binlog_row_image='" + c.image + "'; " + c.accident + "; SET binlog_row_image='FULL'")
				r := l.try("undo", "--yes", "--pos", span)
				if r.code != c.code {
					l.Errorf("exit code %d, want %d: %s", r.code, c.code, r.all())
				}
				l.says(r.all(), c.says)
				l.is("t", c.want)
			})
		}
	})
}

// change is a DDL between the accident and now.
type change struct {
	name, ddl, want string
	code            int
	says            string
	names           bool // it takes the column names of the log; without them it is refused
}

func changes() []change {
	return []change{
		{"column added", "ALTER TABLE t ADD extra int DEFAULT 5 FIRST", "5 1 ann n1 10, 5 2 bob NULL 20, 5 3 cy n3 30", 0, "", false},
		{"column dropped", "ALTER TABLE t DROP note", "1 ann 10, 2 bob 20, 3 cy 30", 4, "column note of|was dropped since", false},
		{"column renamed", "ALTER TABLE t CHANGE who name varchar(20)", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, "", false},
		{"columns swapped", "ALTER TABLE t MODIFY note text AFTER id", "1 n1 ann 10, 2 NULL bob 20, 3 n3 cy 30", 0, "", false},
		{"column widened", "ALTER TABLE t MODIFY cents bigint NOT NULL, MODIFY who varchar(200)", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, "", false},
		{"table renamed", "RENAME TABLE t TO u", "", 0, "is now called", false},
		{"table dropped", "DROP TABLE t", "", 5, "is not there any more", true},
		{"type changed", "ALTER TABLE t MODIFY who int", "", 5, "changed since", false},
		{"dropped and made again", "DROP TABLE t; CREATE TABLE t (" + wide + ")", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30", 0, "", true},
	}
}

func TestTablesChangedSince(t *testing.T) {
	for _, metadata := range []string{"--loose-binlog-row-metadata=FULL", "--loose-binlog-row-metadata=MINIMAL"} {
		onAll(t, func(l *lab) {
			for _, c := range changes() {
				l.Run(metadata+" "+c.name, func(t *testing.T) {
					l := l.on(t)
					l.exec("DROP TABLE IF EXISTS t, u", "CREATE TABLE t ("+wide+")", "INSERT INTO t VALUES "+wideRows)
					span := l.span("DELETE FROM t")
					l.script(c.ddl)
					if c.names && (strings.HasSuffix(metadata, "MINIMAL") || l.series("mysql-5.6")) {
						c.code, c.says, c.want = 5, "is not certain|--schema FILE.sql", ""
					}
					r := l.try("undo", "--yes", "--pos", span)
					if r.code != c.code {
						l.Errorf("exit code %d, want %d: %s", r.code, c.code, r.all())
					}
					l.says(r.all(), c.says)
					if c.want != "" {
						l.is("t", c.want)
					}
					if strings.HasPrefix(c.ddl, "RENAME") {
						l.is("u", "1 ann n1 10, 2 bob NULL 20, 3 cy n3 30")
					}
				})
			}
		}, metadata)
	}
}

// Every way to write the log gives the same rows.
func TestLogForms(t *testing.T) {
	f := func(name, wantServer string, args ...string) {
		t.Run(name, func(t *testing.T) {
			for _, b := range servertest.Trees(t) {
				if !strings.HasPrefix(b.Series(), wantServer) {
					continue
				}
				l := newLab(t, servertest.Shared(t, b, args...))
				l.exec("CREATE TABLE t (id int PRIMARY KEY, v longblob)", "INSERT INTO t VALUES (1,REPEAT('ab',5000)), (2,REPEAT('c',90000)), (3,NULL), (4,''), (5,X'00')")
				sum := l.sum("t")
				span := l.span("UPDATE t SET v=CONCAT('x',v); DELETE FROM t WHERE id<4")
				l.lull(0, "undo", "--yes", "--pos", span)
				if got := l.sum("t"); got != sum {
					l.Errorf("%s: checksum %s, want %s", b.Series(), got, sum)
				}
			}
		})
	}
	f("no checksums", "", "--binlog-checksum=NONE")
	f("compressed", "mariadb", "--loose-log-bin-compress=ON", "--loose-log-bin-compress-min-len=10")
	f("compressed", "mysql-9", "--loose-binlog-transaction-compression=ON")
	f("partial JSON", "mysql-9", "--loose-binlog-row-value-options=PARTIAL_JSON")
	f("with GTIDs", "mysql-9", "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-slave-updates=ON")
}

func TestVersionedTable(t *testing.T) {
	for _, srv := range servertest.All(t) {
		l := newLab(t, srv)
		if !l.isMariaDB() {
			continue
		}
		l.exec("CREATE TABLE t (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING", "INSERT INTO t VALUES (1,1),(2,2),(3,3)")
		span := l.span("UPDATE t SET v=v+10; DELETE FROM t WHERE id=3")
		l.script("UPDATE t SET v=99 WHERE id=2")
		l.lull(0, "undo", "--yes", "--pos", span)
		l.is("t", "1 1, 2 99, 3 3")
		l.exec("CREATE TABLE w (id int PRIMARY KEY, v int, s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s,e)) WITH SYSTEM VERSIONING",
			"INSERT INTO w (id,v) VALUES (1,1),(2,2),(3,3)")
		span = l.span("DELETE FROM w; INSERT INTO w (id,v) VALUES (7,7)")
		l.lull(0, "undo", "--yes", "--pos", span)
		if got := l.text("SELECT id,v FROM w ORDER BY id"); got != "1 1, 2 2, 3 3" {
			l.Errorf("w holds %s", got)
		}
	}
}

// The log's files alone are enough to write SQL that any client can run.
func TestOffline(t *testing.T) {
	for _, metadata := range []string{"--loose-binlog-row-metadata=FULL", "--loose-binlog-row-metadata=MINIMAL"} {
		onAll(t, func(l *lab) {
			for name, accident := range map[string]string{"delete": "DELETE FROM t", "update": "UPDATE t SET cents=0, note=NULL", "mixed": "DELETE FROM t WHERE id=2; UPDATE t SET who='x' WHERE id=1; INSERT INTO t VALUES (9,'x','y',1)"} {
				l.Run(metadata+" "+name, func(t *testing.T) {
					l := l.on(t)
					l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+wide+")", "INSERT INTO t VALUES "+wideRows)
					before := l.rows("t")
					span := l.span(accident)
					out, schema := filepath.Join(l.data, "undo.sql"), filepath.Join(l.data, "schema.sql")
					args := []string{"undo", "--binlog", l.srv.BinlogDir(), "--pos", span, "--out", out}
					if strings.HasSuffix(metadata, "MINIMAL") || l.series("mysql-5.6") {
						if r := l.try(args...); r.code == 0 {
							l.Errorf("undone without the columns' names: %s", r.all())
						}
						if err := os.WriteFile(schema, []byte("CREATE TABLE t ("+wide+");"), 0o600); err != nil {
							l.Fatal(err)
						}
						args = append(args, "--schema", schema)
					}
					l.lull(0, args...)
					l.client(out)
					l.is("t", before)
				})
			}
		}, metadata)
	}
}

// client runs a file of SQL with the server's own client.
func (l *lab) client(path string) {
	l.Helper()
	cmd := exec.CommandContext(l.Context(), "mariadb",
		"--no-defaults", "--protocol=tcp", "-h127.0.0.1", "-P"+l.srv.Addr()[strings.LastIndex(l.srv.Addr(), ":")+1:], "-uroot", l.schema)
	in, err := os.Open(path)
	if err != nil {
		l.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("run %s: %v\n%s", path, err, out)
	}
}
