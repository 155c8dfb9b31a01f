package binlog_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

var update = flag.Bool("update", false, "record the logs in testdata on the servers there are")

// recording is what the logs in testdata hold: each sort of event the server has.
const recording = `CREATE TABLE a (id INT UNSIGNED PRIMARY KEY, v DECIMAL(7,2), s VARCHAR(300) CHARACTER SET utf8mb4, t DATETIME(3), e ENUM('x','y'), b BLOB);
INSERT INTO a VALUES (1, -1.5, 'é', '2026-11-20 14:02:11.123', 'x', x'00FF'), (2, 0, REPEAT('s', 260), NULL, 'y', ''), (4294967295, NULL, '', '2026-11-20', NULL, NULL);
BEGIN;
UPDATE a SET v = v + 1, b = REPEAT('b', 400);
SAVEPOINT sp;
DELETE FROM a WHERE id = 2;
COMMIT;
XA START 'trx';
INSERT INTO a (id) VALUES (9);
XA END 'trx';
XA PREPARE 'trx';
XA COMMIT 'trx';
CREATE TABLE c AS SELECT id FROM a;
TRUNCATE TABLE c`

const recordingJSON = `SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
CREATE TABLE j (id INT PRIMARY KEY, a JSON, n INT, b JSON);
INSERT INTO j VALUES (1, _utf8mb4'{"k":[1,2,3],"s":"long enough to be worth a diff, one hopes"}', 1, _utf8mb4'[1.5]'), (2, NULL, 2, JSON_ARRAY(1.50, DATE'2026-01-02'));
UPDATE j SET a = JSON_SET(a, _utf8mb4'$.k[1]', 7), n = 5, b = JSON_ARRAY(NOW() > 0);
SET SESSION binlog_row_value_options = ''`

// TestRecord writes testdata when asked to, and always checks that a server of today logs
// what can be read.
func TestRecord(t *testing.T) {
	record := func(name string, args ...string) {
		each(t, func(l *lab) {
			script := recording
			if l.series == "mysql-9.7" {
				script += ";\n" + recordingJSON
			}
			log := l.script(script)
			if text := l.render(log); !strings.Contains(text, "Commit") {
				t.Errorf("%s: no transaction in\n%s", l.series, text)
			}
			if *update {
				write(t, l.series+name+".binlog", log)
			}
		}, args...)
	}
	record("", "--loose-binlog-row-metadata=FULL", "--loose-binlog-annotate-row-events=ON", "--loose-binlog-rows-query-log-events=ON")
	record("-compressed", "--loose-binlog-row-metadata=FULL", "--loose-log-bin-compress=ON", "--loose-log-bin-compress-min-len=10",
		"--loose-binlog-transaction-compression=ON")
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCorpus reads the recorded logs and compares with the text recorded beside them.
func TestCorpus(t *testing.T) {
	for name, log := range corpus(t) {
		steps, err := parse(log, (*binlog.TableMap).Shape)
		got := render(steps)
		if err != nil {
			got += err.Error() + "\n"
		}
		if *update {
			write(t, name+".txt", []byte(got))
		}
		want, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got, want)
		}
	}
}

// corpus is the logs in testdata by name.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "*.binlog"))
	if err != nil || len(names) == 0 {
		t.Fatalf("testdata holds no logs: %v", err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".binlog")] = b
	}
	return out
}

func (l *lab) render(log []byte) string {
	l.Helper()
	return render(l.steps(log, (*binlog.TableMap).Shape))
}

var kinds = strings.Fields("0 Begin Statement Touched Changed Query Commit Rollback Prepared XACommit XARollback Incident Rotate Stop Started")

// render is one line an event.
func render(steps []step) string {
	var b bytes.Buffer
	for _, s := range steps {
		fmt.Fprintf(&b, "%d-%d %s", s.Pos, s.End, kinds[s.Kind])
		if len(s.SQL) > 0 {
			fmt.Fprintf(&b, " %.60q", s.SQL)
		}
		if s.Table != nil {
			fmt.Fprintf(&b, " %s", s.Table.Table)
		}
		if s.XID != "" {
			fmt.Fprintf(&b, " xid=%s", s.XID)
		}
		fmt.Fprintf(&b, " tx=%s %d-%d\n", s.tx.GTID, s.tx.Start, s.tx.End)
		if s.Kind == binlog.Changed && len(s.rows) == 0 {
			fmt.Fprintf(&b, "    %d rows\n", s.n)
		}
		for _, c := range s.rows {
			fmt.Fprintf(&b, "    %s -> %s\n", line(c.before), line(c.after))
		}
	}
	return b.String()
}

func line(r db.Row) string {
	var out []string
	for _, v := range r {
		text := show(v)
		if v.State == db.Set {
			text = fmt.Sprintf("%.40q", v.Data)
		}
		if v.Expr != nil {
			text += fmt.Sprintf(" = %.40q", v.Expr)
		}
		out = append(out, text)
	}
	return "(" + strings.Join(out, ", ") + ")"
}
