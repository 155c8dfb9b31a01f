package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql"
)

// column is a type and some of its values, which are SQL expressions with "|" between them.
type column struct {
	on, def, values string // on: "" all servers, "mariadb", "mysql", or "flavor>=version"
}

// every holds all bytes.
func every() string {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%02X", i)
	}
	return "X'" + b.String() + "'"
}

func members(n int) string {
	var m []string
	for i := range n {
		m = append(m, fmt.Sprintf("'m%d'", i))
	}
	return strings.Join(m, ",")
}

func columns() []column {
	return []column{
		{"", "tinyint", "-128|127|0"},
		{"", "tinyint unsigned", "0|255"},
		{"", "smallint", "-32768|32767"},
		{"", "smallint unsigned", "65535"},
		{"", "mediumint", "-8388608|8388607"},
		{"", "mediumint unsigned", "16777215"},
		{"", "int", "-2147483648|2147483647"},
		{"", "int unsigned", "4294967295"},
		{"", "int(8) zerofill", "42"},
		{"", "bigint", "-9223372036854775808|9223372036854775807"},
		{"", "bigint unsigned", "18446744073709551615|9223372036854775808"},
		{"", "decimal(65,30)", "-0.000000000000000000000000000001|99999999999999999999999999999999999"},
		{"", "decimal(12,2)", "-12.5|0.05|0"},
		{"", "decimal(5,0)", "-99999"},
		{"", "float", "0e0|-0e0|1.4e-45|3.4028234663852886e38|0.1|16777217|1/3e0"},
		{"", "float(7,3)", "0.1|-9999.999"},
		{"", "double", "0e0|-0e0|5e-324|1.7976931348623157e308|0.1e0+0.2e0|-1/3e0"},
		{"", "bit(1)", "1|0"},
		{"", "bit(9)", "511"},
		{"", "bit(64)", "18446744073709551615|9223372036854775808|49"},
		{"", "year", "0000|1901|2155"},
		{"", "enum('a','b','c')", "1|3|0"},
		{"", "enum('d\u00e9j\u00e0','''q') character set latin1", "1|2"},
		{"", "set('a','b','c')", "0|7"},
		{"", "set(" + members(64) + ")", "1|9223372036854775808|18446744073709551615|9007199254740993"},
		{"", "date", "'0000-00-00'|'2026-02-28'|'2026-00-10'|'9999-12-31'"},
		{"", "time", "'-838:59:59'|'838:59:59'|'00:00:00'"},
		{"", "time(3)", "'-00:00:00.5'|'12:34:56.789'"},
		{"", "time(6)", "'-100:00:00.000001'"},
		{"", "datetime", "'0000-00-00'|'9999-12-31 23:59:59'"},
		{"", "datetime(6)", "'2026-11-20 14:02:11.123456'"},
		{"", "datetime(1)", "'2026-11-20 14:02:11.1'"},
		{"", "timestamp null", "'0000-00-00'|'1970-01-01 00:00:01'|'2038-01-19 03:14:07'"},
		{"", "timestamp(6) null", "'2026-10-25 02:30:00.999999'"},
		{"", "timestamp null default current_timestamp on update current_timestamp", "'2001-02-03 04:05:06'"},
		{"", "datetime default current_timestamp on update current_timestamp", "'2001-02-03 04:05:06'"},
		{"", "char(255) character set latin1", every() + "|''|'a'"},
		{"", "char(10) character set utf8mb4", "X'F09F9880'|'a  '|''"},
		{"", "varchar(300) character set latin1", every() + "|'a  '"},
		{"", "varchar(300) character set utf8mb4", "X'F09F9880'|'O''Re\\\\illy'|X'00'|'a '"},
		{"", "varchar(300) character set utf8mb4 collate utf8mb4_bin", "'a'|'A'|X'C3A9'"},
		{"", "varchar(30) character set sjis", "X'835C'|X'955C27'"},
		{"", "varchar(30) character set utf16", "X'D83DDE00'|X'0041'"},
		{"", "text character set utf8mb4", "REPEAT('x',70)|''|NULL"},
		{"", "longtext", "REPEAT('y',300000)"},
		{"", "tinytext character set latin1", "X'FF00FE'"},
		{"", "mediumtext", "'\\\\n'"},
		{"", "binary(8)", "X'00'|X'0000000000000000'|X'FF000000000000FF'"},
		{"", "varbinary(300)", every() + "|''|X'00'"},
		{"", "tinyblob", every()[:400] + "'|''"},
		{"", "blob", "X'00'|''"},
		{"", "longblob", "REPEAT(X'00FF27',100000)"},
		{"", "geometry", "ST_GeomFromText('POINT(1 2)')|ST_GeomFromText('LINESTRING(0 0,1 1,2 2)')"},
		{"", "point", "ST_GeomFromText('POINT(0.1 -0.2)')"},
		{"mariadb", "json", "'{\"a\": 1.0, \"b\":[1,2 ,3]}'|'null'"},
		{"mysql>=5.7", "json", "'{\"a\": 1.0, \"b\":[1,2,3]}'|CAST(1.50 AS JSON)|CAST(CAST('2026-01-02' AS date) AS JSON)|JSON_OBJECT('d',CAST('10:11:12.5' AS time(6)),'n',CAST(1.10 AS decimal(10,4)))|CAST(X'00FF' AS JSON)|'[]'|'\"\"'|CAST(18446744073709551615 AS JSON)"},
		{"mariadb", "uuid", "'6ccd780c-baba-1026-9564-5b8c656024db'|'00000000-0000-0000-0000-000000000000'"},
		{"mariadb", "inet6", "'::'|'2001:db8::1'|'::ffff:1.2.3.4'"},
		{"mariadb", "inet4", "'0.0.0.0'|'255.1.2.3'"},
		{"mariadb", "varchar(500) compressed", "REPEAT('c',400)|''|'q'"},
		{"mariadb", "blob compressed", "REPEAT(X'00',4000)|''"},
		{"mysql>=9", "vector(3)", "X'0000803F0000004000004040'"},
	}
}

func (l *lab) has(on string) bool {
	l.Helper()
	flavor, since, bounded := strings.Cut(on, ">=")
	if flavor != "" && flavor != l.srv.Flavor() {
		return false
	}
	if !bounded {
		return true
	}
	_, have := mysql.ParseVersion(l.text("SELECT VERSION()"))
	_, want := mysql.ParseVersion(since)
	return have.AtLeast(want.Major, want.Minor, want.Patch)
}

// Every type's values come back bit for bit, after a DELETE and after an UPDATE of all of them,
// whatever the log says about the columns.
func TestEveryTypeComesBack(t *testing.T) {
	for _, metadata := range []string{"FULL", "MINIMAL"} {
		onAll(t, func(l *lab) {
			for i, c := range columns() {
				if !l.has(c.on) {
					continue
				}
				l.Run(metadata+" "+c.def[:min(len(c.def), 50)], func(t *testing.T) { l.on(t).comesBack(c, fmt.Sprintf("t%d", i)) })
			}
		}, "--loose-binlog-row-metadata="+metadata)
	}
}

func (l *lab) comesBack(c column, table string) {
	l.exec("CREATE TABLE "+table+" (id int PRIMARY KEY, v "+c.def+", n int)", "CREATE TABLE "+table+"_was LIKE "+table)
	values := append(strings.Split(c.values, "|"), "NULL")
	for i, v := range values {
		l.exec(fmt.Sprintf("INSERT INTO %s VALUES (%d, %s, 0)", table, i, v))
	}
	l.exec("INSERT INTO " + table + "_was SELECT * FROM " + table)
	check := func(what string) {
		l.Helper()
		if a, b := l.sum(table), l.sum(table+"_was"); a != b {
			l.Errorf("%s: checksum is %s, was %s", what, a, b)
		}
		diff := l.text(fmt.Sprintf("SELECT w.id, HEX(w.v), HEX(t.v) FROM %[1]s_was w LEFT JOIN %[1]s t USING (id) WHERE t.id IS NULL OR NOT HEX(w.v)<=>HEX(t.v)", table))
		if diff != "" {
			l.Errorf("%s: rows differ: %.500s", what, diff)
		}
	}
	span := l.span("DELETE FROM " + table)
	l.lull(0, "undo", "--yes", "--pos", span)
	check("after DELETE")
	// Each row takes the value of the next one.
	span = l.span(fmt.Sprintf("UPDATE %[1]s t JOIN %[1]s_was w ON w.id=(t.id+1)%%%[2]d SET t.v=w.v, t.n=1", table, len(values)))
	l.exec(fmt.Sprintf("UPDATE %[1]s t JOIN %[1]s_was w USING (id) SET t.v=w.v WHERE t.id=0", table)) // corrected by hand
	l.lull(0, "undo", "--yes", "--pos", span)
	check("after UPDATE")
	if n := l.text("SELECT SUM(n) FROM " + table); n != "0" {
		l.Errorf("n is still changed in %s rows", n)
	}
}

// What the server computes or fills in by itself stays as it was.
func TestComputedColumns(t *testing.T) {
	onAll(t, func(l *lab) {
		f := func(on, name, columns, insert string) {
			if !l.has(on) {
				return
			}
			l.Run(name, func(t *testing.T) {
				l := l.on(t)
				l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+columns+")", "INSERT INTO t "+insert)
				before, sum := l.rows("t"), l.sum("t")
				for _, accident := range []string{"DELETE FROM t", "UPDATE t SET v=v+1", "DELETE FROM t WHERE v>1"} {
					span := l.span(accident)
					l.lull(0, "undo", "--yes", "--pos", span)
					l.is("t", before)
					if got := l.sum("t"); got != sum {
						l.Errorf("%s: checksum is %s, was %s", accident, got, sum)
					}
				}
			})
		}
		f("", "defaults", "id int PRIMARY KEY, v int DEFAULT 5, at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, n int NOT NULL DEFAULT 9", "VALUES (1,1,'2001-01-01',1),(2,2,'0000-00-00',2)")
		f("mariadb", "default expression", "id int PRIMARY KEY, v int, u varchar(40) DEFAULT (uuid())", "(id,v) VALUES (1,1),(2,2)")
		f("mysql>=8", "default expression", "id int PRIMARY KEY, v int, u varchar(40) DEFAULT (uuid())", "(id,v) VALUES (1,1),(2,2)")
		f("mariadb", "generated", "id int PRIMARY KEY, v int, a int AS (v*2) VIRTUAL, b int AS (v*3) STORED, c int", "(id,v,c) VALUES (1,1,1),(2,2,2)")
		f("mysql>=5.7", "generated", "id int PRIMARY KEY, v int, a int AS (v*2) VIRTUAL, b int AS (v*3) STORED, c int, KEY (a)", "(id,v,c) VALUES (1,1,1),(2,2,2)")
		f("mysql>=5.7", "generated key", "v int, id int AS (v*2) STORED PRIMARY KEY, c int", "(v,c) VALUES (1,1),(5,2)")
		f("mariadb", "invisible", "id int PRIMARY KEY, v int, h int INVISIBLE DEFAULT 3, x varchar(9) INVISIBLE", "(id,v,h,x) VALUES (1,1,7,'a'),(2,2,8,NULL)")
		f("mysql>=8.0.23", "invisible", "id int PRIMARY KEY, v int, h int INVISIBLE DEFAULT 3", "(id,v,h) VALUES (1,1,7),(2,2,8)")
		f("", "auto increment zero", "id int AUTO_INCREMENT PRIMARY KEY, v int", "VALUES (-3,1),(1,2),(700,3)")
	})
}

func TestAutoIncrementStaysAhead(t *testing.T) {
	onAll(t, func(l *lab) {
		l.exec("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int)", "INSERT INTO t VALUES (0,1),(0,2),(0,3)", "SET sql_mode='NO_AUTO_VALUE_ON_ZERO'", "INSERT INTO t VALUES (0,7)", "SET sql_mode=''")
		span := l.span("DELETE FROM t")
		l.exec("INSERT INTO t (v) VALUES (4)")
		l.lull(0, "undo", "--yes", "--pos", span)
		l.exec("INSERT INTO t (v) VALUES (5)")
		l.is("t", "0 7, 1 1, 2 2, 3 3, 4 4, 5 5")
	})
}
