package restore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

type typeCase struct {
	on   string // servers: "" all, "mariadb", "mysql", or "flavor>=version"
	def  string
	vals string // SQL expressions with " | " between them
	want string // canonical forms with " | " between them; "" where the round trip says enough
}

func typeCases() []typeCase {
	var bytes, safe, members []string
	for i := range 256 {
		bytes = append(bytes, fmt.Sprintf("%02X", i))
		if i > 0 && i < 128 {
			safe = append(safe, fmt.Sprintf("%02X", i))
		}
		if i < 64 {
			members = append(members, fmt.Sprintf("'m%d'", i))
		}
	}
	every, ascii := "X'"+strings.Join(bytes, "")+"'", "X'"+strings.Join(safe, "")+"'"
	set64 := "set(" + strings.Join(members, ",") + ")"
	return append(append(numberCases(set64), timeCases()...), append(stringCases(every, ascii), otherCases()...)...)
}

func numberCases(set64 string) []typeCase {
	return []typeCase{
		{"", "tinyint", "-128|127|0|-1", "-128|127|0|-1"},
		{"", "tinyint unsigned", "0|255", "0|255"},
		{"", "smallint", "-32768|32767", "-32768|32767"},
		{"", "smallint unsigned", "0|65535", ""},
		{"", "mediumint", "-8388608|8388607", ""},
		{"", "mediumint unsigned", "0|16777215", ""},
		{"", "int", "-2147483648|2147483647|-1", ""},
		{"", "int unsigned", "0|4294967295", ""},
		{"", "int(8) zerofill", "0|42|4294967295", "0|42|4294967295"},
		{"", "bigint", "-9223372036854775808|9223372036854775807|-1", "-9223372036854775808|9223372036854775807|-1"},
		{"", "bigint unsigned", "0|18446744073709551615|9223372036854775808", "0|18446744073709551615|9223372036854775808"},
		{"", "decimal(65,30)", strings.Repeat("9", 35) + "." + strings.Repeat("9", 30) + "|-0." + strings.Repeat("0", 29) + "1|0|-" + strings.Repeat("9", 35), ""},
		{"", "decimal(5,0)", "-99999|0|7", "-99999|0|7"},
		{"", "decimal(12,2)", "-12.5|0.05|-0.5|0|1234567890.12", "-12.50|0.05|-0.50|0.00|1234567890.12"},
		{"", "decimal(10,2) zerofill", "12.5|0", "12.50|0.00"},
		{"", "float", "0e0|-0e0|1.4e-45|3.4028234663852886e38|0.1|16777217|1/3e0|-1.1754944e-38|123456789", ""},
		{"", "float(7,3)", "0.1|-9999.999|1234.567", ""},
		{"", "double", "0e0|-0e0|5e-324|1.7976931348623157e308|0.1e0+0.2e0|2.2250738585072014e-308|-1/3e0|123456789012345678", ""},
		{"", "double(10,2)", "1.25|-99999999.99|0.1", "1.25e+00|-9.999999999e+07|1e-01"},
		{"", "bit(1)", "0|1", "0|1"},
		{"", "bit(9)", "511|256", "511|256"},
		{"", "bit(64)", "18446744073709551615|9223372036854775808|1|49", "18446744073709551615|9223372036854775808|1|49"},
		{"", "year", "0000|1901|2155|2000", "0000|1901|2155|2000"},
		{"", "enum('a','b','c')", "0|1|3", "0|1|3"},
		{"", "enum('0','1','x')", "0|1|2|3", "0|1|2|3"},
		{"", "enum('a','b') character set utf16", "2|0", "2|0"},
		{"", "enum('d\xc3\xa9j\xc3\xa0','''q') character set latin1", "1|2", "1|2"},
		{"", "set('a','b','c')", "0|1|7", "0|1|7"},
		{"", set64, "0|1|9223372036854775808|18446744073709551615|9007199254740993", "0|1|9223372036854775808|18446744073709551615|9007199254740993"},
	}
}

func timeCases() []typeCase {
	cases := []typeCase{
		{"", "date", "'0000-00-00'|'2026-02-31'|'2026-00-10'|'9999-12-31'|'1000-01-01'|'0000-01-01'", "0000-00-00|2026-02-31|2026-00-10|9999-12-31|1000-01-01|0000-01-01"},
	}
	fraction := ".123456"
	for n := range 7 {
		f := ""
		if n > 0 {
			f = fraction[:n+1]
		}
		cases = append(cases,
			typeCase{"", fmt.Sprintf("time(%d)", n), "'-838:59:59'|'838:59:59'|'00:00:00'|'-00:00:01" + f + "'|'12:34:56" + f + "'|'-100:00:00" + f + "'", ""},
			typeCase{"", fmt.Sprintf("datetime(%d)", n), "'0000-00-00'|'2026-11-20 14:02:11" + f + "'|'9999-12-31 23:59:59'|'2026-02-31 01:02:03" + f + "'", ""},
			typeCase{"", fmt.Sprintf("timestamp(%d) null", n), "'0000-00-00'|'1970-01-01 00:00:01" + f + "'|'2038-01-19 03:14:07" + f + "'", ""})
	}
	return append(cases,
		typeCase{"", "timestamp null default current_timestamp on update current_timestamp", "'2026-03-29 01:30:00'|'2026-10-25 02:30:00'", "2026-03-29 01:30:00|2026-10-25 02:30:00"},
		typeCase{"", "time(2)", "'-00:00:00.5'", "-00:00:00.50"})
}

func stringCases(every, ascii string) []typeCase {
	cases := []typeCase{
		{"", "char(255) character set latin1", every + "|''|'a'|X'E9FF80'", ""},
		{"", "char(10) character set utf8mb4", "X'F09F9880'|'a  '|''", "\U0001F600|a|"},
		{"", "varchar(300) character set latin1", every + "|'a  '|'a'|'A'|X'61E9'", ""},
		{"", "varchar(300) character set utf8mb4", ascii + "|X'F09F9880'|X'EFBFBF'|'O''Re\\\\illy'|'a'|'A'|'a '", ""},
		{"", "varchar(300) character set utf8mb4 collate utf8mb4_bin", "'a'|'A'|'a '|X'C3A9'", ""},
		{"", "varchar(300) character set utf8 collate utf8_unicode_ci", "'a'|'B'|X'E282AC'", ""},
		{"", "varchar(30) character set ascii", "'a'|X'7F'", ""},
		{"", "varchar(30) character set sjis", "X'835C'|X'955C27'|'a\\\\'|X'B1'", ""},
		{"", "varchar(30) character set cp932", "X'835C5C27'", ""},
		{"", "varchar(30) character set gbk", "X'815C'|X'BFD5C7275C'", ""},
		{"", "varchar(30) character set big5", "X'A45C'|X'B35C27'", ""},
		{"", "varchar(30) character set ujis", "X'A4A2'|X'8FA2AF'", ""},
		{"", "varchar(30) character set utf16", "X'00410027005C0000'|X'D83DDE00'|''", ""},
		{"", "varchar(30) character set utf16le", "X'41005C00'", ""},
		{"", "varchar(30) character set ucs2 collate ucs2_bin", "X'00410027005C'|X'0000'", ""},
		{"", "char(30) character set utf32", "X'000000410001F600'", ""},
		{"", "text character set utf8mb4", "'x'|''|repeat('\\n\\r\\0\\Z''\"\\\\', 9000)|X'F09F9880'", ""},
		{"", "tinytext character set sjis", "X'835C'", ""},
		{"", "longtext character set latin1", every, ""},
		{"", "mediumtext character set utf16", "X'0000005C'", ""},
		{"", "varchar(300) character set binary", every, ""},
		{"", "binary(8)", "X'0001'|X'FF00'|''|X'2020202020202020'", "\x00\x01\x00\x00\x00\x00\x00\x00|\xff\x00\x00\x00\x00\x00\x00\x00|\x00\x00\x00\x00\x00\x00\x00\x00|        "},
		{"", "varbinary(300)", every + "|X'00'|''|X'2000'|X'20'", ""},
		{"", "tinyblob", "X'00'|''", ""},
		{"", "blob", every + "|''|repeat(X'00', 1000)", ""},
		{"", "longblob", every, ""},
	}
	return append(cases,
		typeCase{"mariadb", "text compressed character set utf8mb4", "repeat('abc', 500)|'x'", ""},
		typeCase{"mariadb", "varchar(500) compressed character set latin1", "repeat('abc', 100)|X'E9'", ""},
		typeCase{"mariadb", "blob compressed", "repeat(X'00', 900)|" + every, ""},
		typeCase{"mysql>=8", "varchar(30) character set utf8mb4 collate utf8mb4_0900_ai_ci", "'a'|'A'|'a '|X'C3A1'", ""},
		typeCase{"mysql>=8", "varchar(30) character set gb18030", "X'815C'|X'81308130'", ""})
}

func otherCases() []typeCase {
	return []typeCase{
		{"", "geometry", "ST_GeomFromText('POINT(1 2)')|ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')|ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')", ""},
		{"", "point", "ST_GeomFromText('POINT(-1.5 2e300)', 3857)|ST_GeomFromText('POINT(0 0)')", ""},
		{"", "linestring", "ST_GeomFromText('LINESTRING(0 0,10 10,20 25)')", ""},
		{"", "multipolygon", "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))')", ""},
		{"mysql>=8", "geometry", "ST_GeomFromText('POINT(48.1 11.5)', 4326)", ""},
		{"mysql>=8", "point not null srid 4326", "ST_GeomFromText('POINT(48.1 11.5)', 4326)", ""},
		{"mysql>=5.7", "json", `_utf8mb4'{"b": 1.0, "a": [1, null, true, "\\"x\\\\n"], "e": 1e300}'|_utf8mb4'"\\u20ac"'|_utf8mb4'null'|_utf8mb4'18446744073709551615'|_utf8mb4'-0.0'|_utf8mb4'[]'`, ""},
		{"mariadb", "json", `'{"b":1.0,  "a" : [1,"\\"x"], "b":2}'|'null'`, `{"b":1.0,  "a" : [1,"\"x"], "b":2}|null`},
		{"mariadb", "uuid", "_latin1'123e4567-e89b-12d3-a456-426614174000'|_latin1'ffffffff-ffff-ffff-ffff-ffffffffffff'", "123e4567-e89b-12d3-a456-426614174000|ffffffff-ffff-ffff-ffff-ffffffffffff"},
		{"mariadb", "inet6", "_latin1'::'|_latin1'::ffff:192.0.2.1'|_latin1'3a3a:6666:6666:3a31:3932:2e30:2e32:2e31'|_latin1'2001:db8::12:345'", "::|::ffff:192.0.2.1|3a3a:6666:6666:3a31:3932:2e30:2e32:2e31|2001:db8::12:345"},
		{"mariadb", "inet4", "_latin1'0.0.0.0'|_latin1'255.255.255.255'", ""},
		{"mariadb>=11.7", "vector(3)", "X'0000803F0000004000004040'|X'5C27000A0D1A0000FFFFFF7F'", ""},
		{"mysql>=9", "vector(3)", "X'0000803F0000004000004040'|X'5C27000A0D1A22000000007F'", ""},
	}
}

func (c typeCase) runsOn(l *live) bool {
	flavor, since, bounded := strings.Cut(c.on, ">=")
	if flavor != "" && flavor != string(l.conn.Flavor) {
		return false
	}
	if !bounded {
		return true
	}
	_, v := mysql.ParseVersion(since)
	return l.conn.Version.AtLeast(v.Major, v.Minor, v.Patch)
}

// makeTyped makes a table of one column of the case's type with its values.
func (l *live) makeTyped(c typeCase, name string) {
	l.Helper()
	vals := strings.Split(c.vals, "|")
	stmts := []string{"CREATE TABLE " + name + " (id int PRIMARY KEY, v " + c.def + ")", "SET SESSION sql_mode='" + sqltext.LaxMode + "'"}
	for i, v := range vals {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO %s VALUES (%d, %s)", name, i+1, v))
	}
	if !strings.Contains(c.def, "not null") {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO %s VALUES (%d, NULL)", name, len(vals)+1))
	}
	l.exec(append(stmts, "SET SESSION sql_mode='"+sqltext.Mode+"'")...)
}

// Every type's values come into another table exactly, by each way.
func TestEveryTypeComesExactly(t *testing.T) {
	onAll(t, func(t *testing.T, l *live, way Way) {
		for i, c := range typeCases() {
			if !c.runsOn(l) {
				continue
			}
			t.Run(c.def[:min(len(c.def), 60)], func(t *testing.T) {
				sub := *l
				sub.TB = t
				name := fmt.Sprintf("t%d", i)
				sub.makeTyped(c, name)
				past := sub.past(name)
				r, err := Into(t.Context(), sub.target(way), past, sub.name(name+"_side"), Options{})
				sub.must(err)
				sub.sameValues(name, name+"_side")
				want, err := Sum(past.Definition.Table, past.Rows)
				sub.must(err)
				if r.Digest != want.Sum() || r.Rows != want.Rows {
					t.Errorf("receipt %+v, want %d rows %s", r, want.Rows, want.Sum())
				}
			})
		}
	})
}

func (l *live) sameValues(a, b string) {
	l.Helper()
	l.same(a, b)
	diff := l.text(fmt.Sprintf("SELECT s.id, HEX(s.v), HEX(w.v) FROM %s s LEFT JOIN %s w ON s.id=w.id WHERE NOT HEX(s.v)<=>HEX(w.v)", a, b))
	if diff != "" {
		l.Errorf("%s is not %s:\n%s", b, a, diff)
	}
}
