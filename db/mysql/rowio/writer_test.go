package rowio

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

func TestInsertIsExactOrFails(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE w (id int, name varchar(5) character set utf8mb4, e enum('a','b'), d decimal(5,2), dt date, u varchar(9) character set utf16, PRIMARY KEY (id), UNIQUE by_name (name))",
			"INSERT INTO w (id, name) VALUES (7, 'seven')")
		for _, c := range []struct{ id, name, e, d, dt, u, want string }{
			{"1", "ok", "1", "1.00", "2026-01-01", "\x00a", ""},
			{"2", "zero", "0", "1.00", "0000-00-00", "", ""},
			{"3", "123456", "1", "1.00", "2026-01-01", "", "Data too long"},
			{"3", "12345 ", "1", "1.00", "2026-01-01", "", "truncated"},
			{"3", "n", "3", "1.00", "2026-01-01", "", "truncated"},
			{"3", "n", "1", "1.005", "2026-01-01", "", "truncated"},
			{"3", "n", "1", "1000.00", "2026-01-01", "", "Out of range"},
			{"3", "n", "1", "1.00", "2026-13-01", "", "Incorrect date"},
			{"3", "\xff", "1", "1.00", "2026-01-01", "", "Incorrect string"},
			{"3", "n", "1", "1.00", "2026-01-01", "a", "Invalid utf8mb4"},
			{"3", "\xff", "0", "1.00", "2026-01-01", "", "Incorrect string"},
			{"7", "n", "1", "1.00", "2026-01-01", "", "another row has 7 in key PRIMARY"},
			{"3", "SEVEN", "1", "1.00", "2026-01-01", "", "another row has SEVEN in key by_name"},
		} {
			l.exec("BEGIN")
			_, err := NewWriter(l, l.table("w"), WriterOptions{}).Insert(l.T.Context(), each([]db.Row{key(c.id, c.name, c.e, c.d, c.dt, c.u)}))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				l.Errorf("%+v: error %v", c, err)
			}
			if dup, ok := errors.AsType[*DuplicateError](err); ok != strings.HasPrefix(c.want, "another") {
				l.Errorf("%+v: DuplicateError is %v", c, dup)
			}
			l.exec("ROLLBACK")
			if mode := l.text("SELECT @@sql_mode"); !strings.Contains(mode, "STRICT_ALL_TABLES") {
				l.Errorf("%+v: sql_mode is left as %s", c, mode)
			}
		}
	})
}

func TestInsertOfManyRowsInSmallStatements(t *testing.T) {
	onAll(t, func(l *live) {
		l.makeKeyed(keyCase{cols: "k int", key: "k", vals: "%d"}, "src")
		l.exec("ALTER TABLE src ADD e enum('a') , ADD gone int NULL DEFAULT 5", "UPDATE src SET e=IF(k%100=7, NULL, 1), v=REPEAT('x', k%50)",
			"CREATE TABLE twin LIKE src", "CREATE TABLE zero (e enum('a') NOT NULL)")
		rows := l.all(l.table("src"))
		for i, r := range rows {
			if i%500 == 3 {
				r[len(r)-1].State = db.Absent // takes the default
			}
			if i%1000 == 5 {
				r[len(r)-2] = db.Value{State: db.Set, Data: []byte("0")}
			}
		}
		n, err := NewWriter(l, l.table("twin"), WriterOptions{MaxPacket: 4096, Tag: "lull p-1"}).Insert(l.T.Context(), each(rows))
		l.must(err)
		if n != keyRows {
			l.Errorf("inserted %d rows", n)
		}
		l.exec("SET sql_mode=''", "UPDATE src SET e=0 WHERE k%1000=5", "SET sql_mode='"+sqltext.Mode+"'")
		l.same("src", "twin")
	})
}

func TestCountsMustMatch(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE w (id int PRIMARY KEY, v int)", "INSERT INTO w VALUES (1, 1), (2, 2)")
		w := NewWriter(l, l.table("w"), WriterOptions{})
		up := func(ids ...string) (items []Update) {
			for _, id := range ids {
				items = append(items, Update{Key: key(id), Set: []int{1}, To: key(id, "1")})
			}
			return items
		}
		l.must(w.Update(l.T.Context(), up("1", "2"))) // row 1 stays as it is and counts
		for name, err := range map[string]error{
			"update": w.Update(l.T.Context(), up("1", "3")),
			"delete": w.Delete(l.T.Context(), []db.Row{key("3"), key("2")}),
		} {
			if err == nil || !strings.Contains(err.Error(), "1 rows were hit by a statement for 2") {
				l.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Generated columns are left out, invisible ones are written, and columns with ON UPDATE
// keep what they hold when another column is set.
func TestColumnsThatServersFill(t *testing.T) {
	onAll(t, func(l *live) {
		def := "id int AUTO_INCREMENT PRIMARY KEY, v int, u timestamp NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP"
		vals := "(0, 1, '2002-02-02'), (5, 2, '2003-03-03')"
		if l.server.Flavor == mysql.MariaDB || l.server.Version.AtLeast(5, 7, 0) {
			def += ", g1 int AS (v+1) VIRTUAL, g2 int AS (v*2) STORED"
		}
		cols := "id, v, u"
		if l.server.Flavor == mysql.MariaDB || l.server.Version.AtLeast(8, 0, 23) {
			def += ", h int DEFAULT 9 INVISIBLE"
			cols, vals = "id, v, u, h", "(0, 1, '2002-02-02', 8), (5, 2, '2003-03-03', NULL)"
		}
		l.exec("CREATE TABLE g ("+def+")", "CREATE TABLE g2 LIKE g", "INSERT INTO g ("+cols+") VALUES "+vals)
		rows := l.all(l.table("g"))
		w := NewWriter(l, l.table("g2"), WriterOptions{})
		_, err := w.Insert(l.T.Context(), each(rows))
		l.must(err)
		l.same("g", "g2")
		to := rows[0].Clone()
		to[1] = key("77")[0]
		l.must(w.Update(l.T.Context(), []Update{{Key: rows[0][:1], Set: []int{1}, To: to}}))
		l.exec(string(sqltext.AppendUpdate(nil, l.table("g2"), "", []int{1}, to, []int{0}, rows[1], []int{2})))
		if got := l.text("SELECT v, u FROM g2 ORDER BY id"); got != "77 2002-02-02 00:00:00\n77 2003-03-03 00:00:00" {
			l.Errorf("the rows are now %q", got)
		}
		l.exec("INSERT INTO g2 (v) VALUES (1)")
		if got := l.text("SELECT MAX(id) FROM g2"); got != "6" {
			l.Errorf("the next automatic id is %s, want 6", got)
		}
	})
}

func TestTableWithoutKey(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE n (a int, b varchar(5), f double)", "INSERT INTO n VALUES (1,'x',0), (1,'x',0), (1,'X',0), (NULL,NULL,NULL)")
		n := l.table("n")
		w := NewWriter(l, n, WriterOptions{})
		row := key("1", "x", "0e+00")
		l.must(w.Delete(l.T.Context(), []db.Row{row}))
		l.must(w.Update(l.T.Context(), []Update{{Key: row, Set: []int{0}, To: key("2", "", "")}, {Key: key("NULL", "NULL", "NULL"), Set: []int{1}, To: key("", "y", "")}}))
		if got := l.text("SELECT a, b FROM n ORDER BY a, b"); got != "NULL y\n1 X\n2 x" {
			l.Errorf("the rows are now %q", got)
		}
		if err := w.Delete(l.T.Context(), []db.Row{row}); err == nil {
			l.Error("deleted a row that is not there")
		}
	})
}

func TestJSONExpression(t *testing.T) {
	onAll(t, func(l *live) {
		if l.server.Flavor == mysql.MariaDB || !l.server.Version.AtLeast(5, 7, 8) {
			return // no JSON type
		}
		l.exec("CREATE TABLE j (id int PRIMARY KEY, v json)")
		expr := key("1", `{"d": "2026-01-02", "n": 1.50}`)
		expr[1].Expr = []byte("JSON_OBJECT(_utf8mb4'd', CAST('2026-01-02' AS DATE), _utf8mb4'n', 1.50)")
		j := l.table("j")
		w := NewWriter(l, j, WriterOptions{})
		_, err := w.Insert(l.T.Context(), each([]db.Row{expr, key("2", "1")}))
		l.must(err)
		l.must(w.Update(l.T.Context(), []Update{{Key: key("2"), Set: []int{1}, To: expr}}))
		if got := l.text("SELECT JSON_TYPE(JSON_EXTRACT(v, _utf8mb4'$.d')), JSON_TYPE(JSON_EXTRACT(v, _utf8mb4'$.n')) FROM j"); got != "DATE DECIMAL\nDATE DECIMAL" {
			l.Errorf("types are %q", got)
		}
		cond := string(sqltext.AppendEqual(nil, &j.Columns[1], expr[1]))
		if got := l.text("SELECT COUNT(*) FROM j WHERE " + cond); got != "2" {
			l.Errorf("%s rows equal the expression", got)
		}
	})
}

func TestTagReachesTheLog(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE w (id int PRIMARY KEY, v int)", "SET SESSION "+map[mysql.Flavor]string{
			mysql.MariaDB: "binlog_annotate_row_events=1", mysql.MySQL: "binlog_rows_query_log_events=1",
		}[l.server.Flavor])
		w := NewWriter(l, l.table("w"), WriterOptions{Tag: "lull p-12"})
		_, err := w.Insert(l.T.Context(), each([]db.Row{key("1", "1")}))
		l.must(err)
		l.must(w.Update(l.T.Context(), []Update{{Key: key("1"), Set: []int{1}, To: key("1", "2")}}))
		l.must(w.Delete(l.T.Context(), []db.Row{key("1")}))
		status := "SHOW BINARY LOG STATUS"
		if l.server.Flavor == mysql.MySQL && !l.server.Version.AtLeast(8, 2, 0) || l.server.Flavor == mysql.MariaDB {
			status = "SHOW MASTER STATUS"
		}
		file, _, _ := strings.Cut(l.text(status), " ")
		events := l.text("SHOW BINLOG EVENTS IN '" + file + "'")
		for _, verb := range []string{"INSERT", "UPDATE", "DELETE"} {
			want := fmt.Sprintf("%s /* lull p-12 */ ", verb)
			if !strings.Contains(events, want) || !strings.Contains(events, l.schema) {
				l.Errorf("the log has no %q", want)
			}
		}
	})
}
