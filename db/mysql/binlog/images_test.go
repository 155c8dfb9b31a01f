package binlog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func (l *lab) shapeOf(name string) shapes {
	t := l.table(name)
	return func(m *binlog.TableMap) *db.Table {
		if m.Table != name {
			return nil
		}
		return t
	}
}

// TestRowImages reads logs that do not have every column.
func TestRowImages(t *testing.T) {
	each(t, func(l *lab) {
		for _, tt := range []struct{ image, update, delete string }{
			{"FULL", `("1", "2", "text", "t") -> ("1", "3", "text", "t") missing []`, `("1", "3", "text", "t") -> () missing []`},
			{"NOBLOB", `("1", "2", absent, "t") -> ("1", "3", absent, "t") missing [2]`, `("1", "3", absent, "t") -> () missing [2]`},
			{"MINIMAL", `("1", absent, absent, absent) -> (absent, "3", absent, absent) missing [1 2 3]`, `("1", absent, absent, absent) -> () missing [1 2 3]`},
		} {
			l.exec("DROP TABLE IF EXISTS r;\nCREATE TABLE r (id INT PRIMARY KEY, v INT, b TEXT, s VARCHAR(9));\n" +
				"INSERT INTO r VALUES (1, 2, 'text', 't');\nSET SESSION binlog_row_image = " + tt.image)
			log := l.script("UPDATE r SET v = 3;\nDELETE FROM r")
			var got []string
			for _, s := range l.steps(log, l.shapeOf("r")) {
				for _, c := range s.rows {
					got = append(got, fmt.Sprintf("%s -> %s missing %v", line(c.before), line(c.after), s.miss))
				}
				if s.Kind == binlog.Changed && s.full != (tt.image == "FULL") {
					l.Errorf("%s %s: complete is %v", l.series, tt.image, s.full)
				}
			}
			if !slices.Equal(got, []string{tt.update, tt.delete}) {
				l.Errorf("%s %s:\ngot  %s\nwant %s\n     %s", l.series, tt.image, strings.Join(got, "\n     "), tt.update, tt.delete)
			}
		}
		l.exec("SET SESSION binlog_row_image = FULL")
	})
}

// TestLacks tells generated columns, which MariaDB 11.8 leaves out, from lost ones.
func TestLacks(t *testing.T) {
	each(t, func(l *lab) {
		if l.series == "mysql-5.6" {
			return // knows no generated columns
		}
		l.exec("CREATE TABLE g (id INT PRIMARY KEY, v INT, w INT AS (v + 1) STORED, x INT AS (v + 2) VIRTUAL);\nINSERT INTO g (id, v) VALUES (1, 1)")
		shape := l.table("g")
		for image, want := range map[string]string{"FULL": "[] []", "MINIMAL": "[1] [1]"} {
			l.exec("SET SESSION binlog_row_image = " + image)
			log := l.script("UPDATE g SET v = v + 1;\nDELETE FROM g;\nINSERT INTO g (id, v) VALUES (1, 1)")
			var got []string
			p := binlog.NewParser(strings.NewReader(string(log)), binlog.Options{})
			for ev, err := p.Next(); err == nil; ev, err = p.Next() {
				if ev.Kind == binlog.Changed && ev.Rows.Op != db.Insert {
					got = append(got, fmt.Sprint(ev.Rows.Lacks(shape)))
				}
			}
			if strings.Join(got, " ") != want {
				l.Errorf("%s %s: %s, want %s", l.series, image, got, want)
			}
		}
		l.exec("SET SESSION binlog_row_image = FULL")
	})
}

// TestPartialJSON applies diffs to documents, several a row, under full and minimal images.
func TestPartialJSON(t *testing.T) {
	on(t, "mysql-9", func(l *lab) {
		l.exec("SET SESSION binlog_row_value_options = 'PARTIAL_JSON';\nSET NAMES utf8mb4")
		l.exec("CREATE TABLE j (id INT PRIMARY KEY, a JSON, s VARCHAR(9), b JSON, c JSON, t INT)")
		long := `"long enough to be worth a diff, and then some more, so that the server thinks so too"`
		for i := range 12 {
			l.exec(fmt.Sprintf(`INSERT INTO j VALUES (%d, '{"k":[1,2,{"x":1}],"s":%s}', 's', %s, '[1,2,%s]', 1)`, i, long,
				[]string{`NULL`, `'{"n":1.5,"l":` + long + `}'`, `'[]'`}[i%3], long))
		}
		shape := l.table("j")
		before := l.live(shape)
		log := l.script(`UPDATE j SET a = JSON_SET(a, '$.k[2].x', JSON_ARRAY(1.50, id), '$.new', 'é'), c = JSON_REMOVE(c, '$[0]'), t = 2;
UPDATE j SET b = JSON_REPLACE(b, '$.n', 2.5) WHERE id < 6`)
		after := l.live(shape)
		got := map[string]db.Row{}
		partial := 0
		for _, s := range l.steps(log, l.shapeOf("j")) {
			if s.Header.Type == binlog.PartialUpdateRowsEvent {
				partial++
			}
			for _, c := range s.rows {
				id := string(c.before[0].Data)
				want := got[id]
				if want == nil {
					want = before[indexOf(before, id)]
				}
				l.same("before "+id, shape, []db.Row{c.before}, []db.Row{want}, nil)
				got[id] = c.after
			}
		}
		for id, row := range got {
			l.same("after "+id, shape, []db.Row{row}, []db.Row{after[indexOf(after, id)]}, nil)
		}
		if partial != 2 || len(got) != 12 {
			l.Errorf("%d partial events for %d rows, want 2 for 12", partial, len(got))
		}
		l.exec("SET SESSION binlog_row_image = MINIMAL")
		log = l.script(`UPDATE j SET c = JSON_SET(c, '$[0]', 7), t = 5 WHERE id = 1`)
		rows := changes(l.steps(log, l.shapeOf("j")))
		if len(rows) != 1 || line(rows[0].after) != `(absent, absent, absent, absent, absent, "5")` {
			l.Errorf("minimal: %v", rows)
		}
		l.exec("SET SESSION binlog_row_image = FULL, binlog_row_value_options = ''")
	})
}

func indexOf(rows []db.Row, id string) int {
	return slices.IndexFunc(rows, func(r db.Row) bool { return string(r[0].Data) == id })
}

// TestWide has more columns than a bitmap's first bytes, with every third NULL.
func TestWide(t *testing.T) {
	each(t, func(l *lab) {
		const n = 1000
		var defs, values, set []string
		for i := range n {
			defs = append(defs, fmt.Sprintf("c%d %s", i, []string{"TINYINT UNSIGNED", "INT", "VARCHAR(3)"}[i%3]))
			values = append(values, []string{"200", fmt.Sprint(-i), "NULL"}[(i+i/7)%3])
			set = append(set, fmt.Sprintf("c%d = NULL", i))
		}
		l.exec("CREATE TABLE w (id INT PRIMARY KEY, " + strings.Join(defs, ",") + ") ENGINE=MyISAM;\nSET SESSION sql_mode = ''")
		shape := l.table("w")
		var live []db.Row
		log := l.log(func() {
			l.exec("INSERT INTO w VALUES (1," + strings.Join(values, ",") + ")")
			live = l.live(shape)
			l.exec("UPDATE w SET " + strings.Join(set[:n/2], ",") + ";\nDELETE FROM w")
		})
		got := changes(l.steps(log, l.shapeOf("w")))
		if len(got) != 3 {
			l.Fatalf("%d changes", len(got))
		}
		l.same("insert", shape, []db.Row{got[0].after}, live, nil)
		l.same("update", shape, []db.Row{got[1].before}, live, nil)
		l.same("delete", shape, []db.Row{got[2].before}, []db.Row{got[1].after}, nil)
	})
}

// TestWithoutKey has duplicate rows; LOAD DATA and a large statement make events of many rows.
func TestWithoutKey(t *testing.T) {
	each(t, func(l *lab) {
		csv := filepath.Join(l.srv.TmpDir(), "rows.csv")
		if err := os.WriteFile(csv, []byte(strings.Repeat("7\tx\n", 9000)), 0o644); err != nil {
			l.Fatal(err)
		}
		l.exec("CREATE TABLE k (id INT, s VARCHAR(9))")
		log := l.script("LOAD DATA INFILE '" + csv + "' INTO TABLE k;\nUPDATE k SET s = 'y' LIMIT 4000;\nDELETE FROM k WHERE s = 'y';\nDELETE FROM k")
		total := map[db.Op]int{}
		for _, s := range l.steps(log, l.shapeOf("k")) {
			total[s.op] += s.n
			if len(s.rows) != s.n {
				l.Errorf("%d rows decoded, %d counted", len(s.rows), s.n)
			}
		}
		if total[db.Insert] != 9000 || total[db.Update] != 4000 || total[db.Delete] != 9000 {
			l.Errorf("%s: %v", l.series, total)
		}
	})
}

// TestEncodings reads the same changes under each way a server can write them.
func TestEncodings(t *testing.T) {
	const script = `INSERT INTO e VALUES (1, REPEAT('a', 5000)), (2, NULL), (3, '');
UPDATE e SET s = REPEAT('b', 70000) WHERE id = 2;
DELETE FROM e WHERE id = 1;
BEGIN;
DELETE FROM e;
INSERT INTO e VALUES (4, 'd');
COMMIT;
ALTER TABLE e ADD COLUMN x INT`
	run := func(args ...string) {
		each(t, func(l *lab) {
			l.exec("CREATE TABLE e (id INT PRIMARY KEY, s LONGTEXT)")
			find := l.shapeOf("e")
			steps := l.steps(l.script(script), find)
			var got []string
			for _, c := range changes(steps) {
				got = append(got, sizes(c.before)+">"+sizes(c.after))
			}
			if want := ">1:5000 >2:NULL >3:0 2:NULL>2:70000 1:5000> 2:70000> 3:0> >4:1"; strings.Join(got, " ") != want {
				l.Errorf("%s %v: %s, want %s", l.series, args, got, want)
			}
			if last := steps[len(steps)-1]; last.Kind != binlog.Query || string(last.SQL) != "ALTER TABLE e ADD COLUMN x INT" || last.Schema != l.schema {
				l.Errorf("%s %v: the last event is %q in %s", l.series, args, last.SQL, last.Schema)
			}
		}, args...)
	}
	run("--binlog-checksum=NONE")
	run("--binlog-checksum=CRC32", "--loose-log-bin-compress=ON", "--loose-log-bin-compress-min-len=10", "--loose-binlog-transaction-compression=ON")
	run("--binlog-checksum=NONE", "--loose-log-bin-compress=ON", "--loose-log-bin-compress-min-len=10", "--loose-binlog-transaction-compression=ON",
		"--max-allowed-packet=64M")
}

func sizes(r db.Row) string {
	if r == nil {
		return ""
	}
	if r[1].State == db.Null {
		return string(r[0].Data) + ":NULL"
	}
	return fmt.Sprintf("%s:%d", r[0].Data, len(r[1].Data))
}

// TestEncryptedLog lets a server encrypt its log. The key is for the test only.
func TestEncryptedLog(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("1;"+strings.Repeat("a7", 32)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(keys), 0o755); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, servertest.MariaDB(t, "--plugin-load-add=file_key_management", "--file-key-management-filename="+keys, "--encrypt-binlog=ON"))
	steps, err := parse(l.script("CREATE TABLE x (id INT)"), nil)
	if _, ok := errors.AsType[*binlog.UnsupportedError](err); !ok || len(steps) != 1 {
		t.Errorf("%d events, %v; want an UnsupportedError", len(steps), err)
	}
}

// TestMySQLIndexes has columns that the server hides: of functional and multi-valued indexes,
// and a generated invisible primary key.
func TestMySQLIndexes(t *testing.T) {
	on(t, "mysql-9", func(l *lab) {
		l.exec("SET NAMES utf8mb4;\nSET SESSION sql_generate_invisible_primary_key = ON")
		l.exec("CREATE TABLE h (id INT, d JSON, s VARCHAR(20), KEY ((CAST(d->'$.a' AS UNSIGNED ARRAY))), KEY ((LOWER(s))), KEY ((id + 1)))")
		shape := l.table("h")
		var live []db.Row
		log := l.log(func() {
			l.exec(`INSERT INTO h (id, d, s) VALUES (1, '{"a":[1,2]}', 'Ab'), (2, NULL, NULL)`)
			live = l.live(shape)
			l.exec("DELETE FROM h ORDER BY id")
		})
		got := changes(l.steps(log, l.shapeOf("h")))
		l.same("insert", shape, []db.Row{got[0].after, got[1].after}, live, nil)
		l.same("delete", shape, []db.Row{got[2].before, got[3].before}, live, nil)
	})
}
