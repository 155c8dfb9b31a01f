package binlog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// typed is one column and the expressions stored in it, one a row.
type typed struct {
	def    string
	values []string
}

// col reads "DEFINITION | value | value".
func col(line string) typed {
	f := strings.Split(line, " | ")
	return typed{f[0], f[1:]}
}

func cols(lines string) (out []typed) {
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		out = append(out, col(strings.TrimSpace(line)))
	}
	return out
}

// numbers mix signs, and YEAR among them, so that a bit counted wrongly shifts all others.
const numbers = `
TINYINT | -128 | 127 | 0 | NULL
YEAR | 1901 | 2155 | 0 | NULL
TINYINT UNSIGNED | 255 | 0 | 128
SMALLINT | -32768 | 32767
SMALLINT UNSIGNED ZEROFILL | 65535 | 32768 | 5
YEAR | 0 | 1999
BIT(1) | 1 | 0 | NULL
MEDIUMINT | -8388608 | 8388607 | -1
MEDIUMINT UNSIGNED | 16777215 | 8388608 | 0
INT | -2147483648 | 2147483647
DATE | '0000-00-00' | '2026-00-31' | '2026-02-31' | '9999-12-31' | '0001-01-01' | NULL
INT UNSIGNED | 4294967295 | 2147483648
BIGINT | -9223372036854775808 | 9223372036854775807 | NULL
BIGINT UNSIGNED | 18446744073709551615 | 9223372036854775808
DECIMAL(65,30) | -99999999999999999999999999999999999.999999999999999999999999999999 | 0.000000000000000000000000000001 | 0 | -1
DECIMAL(10,0) | -9999999999 | 9999999999 | 0 | -1
DECIMAL(9,9) | -0.999999999 | 0.000000001 | 0
DECIMAL(65,0) | 99999999999999999999999999999999999999999999999999999999999999999 | -10
DECIMAL(1,0) UNSIGNED | 9 | 0
DECIMAL(18,9) | -123456789.987654321 | 1.5 | 100000000.000000001
DECIMAL(19,1) | 1000000000.1 | -900000000000000000.9 | 5
DECIMAL(7,3) | 1000.001 | -12.5 | 0.05
FLOAT | 3.4028234663852886e38 | 1e-45 | -1.1754944e-38 | 0.1 | -0e0 | NULL
FLOAT UNSIGNED | 16777216 | 0.3
FLOAT(7,3) | 1234.567 | -0.001
DOUBLE | 1.7976931348623157e308 | 5e-324 | 2.2250738585072014e-308 | -0e0 | 0.1 | -123456.789e-9
DOUBLE UNSIGNED | 1e22 | 1e21 | 0
DOUBLE(12,4) | 99999999.1234 | -1.5
TINYINT UNSIGNED | 200 | 3
`

const temporals = `
TIME | '-838:59:59' | '838:59:59' | '00:00:00' | '-00:00:01' | NULL
TIME(1) | '-838:59:58.9' | '00:00:00.1' | '-00:00:00.1' | '12:13:14.5'
TIME(2) | '-838:59:58.99' | '00:00:00.01' | '-00:00:00.01'
TIME(3) | '-00:00:00.001' | '-12:34:56.789' | '100:00:00.1'
TIME(4) | '-00:00:00.0001' | '-12:34:56.7890' | '-01:00:00'
TIME(5) | '-00:00:00.00001' | '-12:34:56.78901' | '838:00:00.99999'
TIME(6) | '-00:00:00.000001' | '-838:59:58.999999' | '-12:00:00' | '23:59:59.999999'
DATETIME | '0000-00-00 00:00:00' | '2026-00-00 00:00:00' | '2026-02-31 23:59:59' | '9999-12-31 23:59:59' | NULL
DATETIME(1) | '1000-01-01 00:00:00.1' | '0000-00-00 00:00:00.0' | '2026-11-20 14:02:11.9'
DATETIME(2) | '1000-01-01 00:00:00.01' | '0001-00-01 00:00:00.99'
DATETIME(3) | '1000-01-01 00:00:00.001' | '9999-12-31 23:59:59.999'
DATETIME(4) | '1000-01-01 00:00:00.0001' | '9999-12-31 23:59:59.9999'
DATETIME(5) | '1000-01-01 00:00:00.00001' | '9999-12-31 23:59:59.99999'
DATETIME(6) | '1000-01-01 00:00:00.000001' | '9999-12-31 23:59:59.999999' | '0000-00-00 00:00:00'
TIMESTAMP NULL | '1970-01-01 00:00:01' | '2038-01-19 03:14:07' | '0000-00-00 00:00:00' | NULL
TIMESTAMP(1) NULL | '1970-01-01 00:00:01.1' | '2038-01-19 03:14:07.9' | '0000-00-00 00:00:00'
TIMESTAMP(2) NULL | '1970-01-01 00:00:01.01' | '2038-01-19 03:14:07.99' | NULL
TIMESTAMP(3) NULL | '1970-01-01 00:00:01.001' | '2026-11-20 14:02:11.123'
TIMESTAMP(4) NULL | '1970-01-01 00:00:01.0001' | '2026-11-20 14:02:11.1234' | '0000-00-00 00:00:00'
TIMESTAMP(5) NULL | '1970-01-01 00:00:01.00001' | '2026-11-20 14:02:11.12345'
TIMESTAMP(6) NULL | '1970-01-01 00:00:01.000001' | '2026-11-20 14:02:11.123456' | '0000-00-00 00:00:00'
DATE | '2026-11-20' | '0000-01-00' | NULL
`

// texts mix character sets and types without one, for the lists of collations in the log
// leave columns out.
const texts = `
VARCHAR(20) CHARACTER SET latin1 | x'E9FF20' | '' | 'a  ' | NULL
ENUM('a','é','') CHARACTER SET utf8 | 'a' | 2 | 3 | 0
CHAR(255) CHARACTER SET utf8mb4 | REPEAT(x'F09F9880', 255) | '' | 'x' | REPEAT('y', 255)
VARBINARY(300) | x'0000' | '' | REPEAT(x'00', 256) | x'FF00'
BINARY(20) | x'0100000000' | x'00' | REPEAT(x'FF', 20) | 'x  '
CHAR(10) CHARACTER SET latin1 | 'abc' | x'FF' | '          ' | NULL
SET('x','y','z') | 'x,z' | '' | 'y' | NULL
GEOMETRY | ST_GeomFromText('POINT(1 2)') | ST_GeomFromText('LINESTRING(0 0,1 1,2 0)', 4326) | NULL
VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin | REPEAT('a', 255) | REPEAT(x'C3A9', 255) | ''
VARCHAR(20) CHARACTER SET sjis | x'835C835C' | x'B1' | 'a'
CHAR(5) CHARACTER SET utf16 | x'00610062' | x'D83DDE00' | x'0020'
VARCHAR(10) CHARACTER SET utf16 | x'0061' | x'D83DDE000020' | ''
VARCHAR(255) CHARACTER SET latin1 | REPEAT('b', 255) | ''
VARCHAR(256) CHARACTER SET latin1 | REPEAT('b', 256) | REPEAT('b', 255) | ''
CHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin | REPEAT(x'F09F9880', 64) | 'q'
TINYTEXT CHARACTER SET latin1 | REPEAT('t', 255) | '' | NULL
TEXT CHARACTER SET utf8mb4 | REPEAT(x'F09F9880', 16383) | REPEAT('t', 65535) | '' | REPEAT('t', 256)
MEDIUMTEXT CHARACTER SET sjis | REPEAT(x'835C', 40000) | ''
LONGTEXT CHARACTER SET utf16 | REPEAT(x'00610062', 20000) | ''
TINYBLOB | REPEAT(x'00', 255) | '' | x'00'
BLOB | REPEAT(x'00', 65535) | x'610000' | NULL
MEDIUMBLOB | REPEAT(x'00FF', 35000) | x'00' | ''
LONGBLOB | REPEAT(x'00FF', 70000) | '' | x'00'
CHAR(0) | '' | NULL
BINARY(1) | x'00' | 'a' | NULL
BINARY(255) | '' | REPEAT('z', 255) | REPEAT(x'00', 255)
VARCHAR(5) CHARACTER SET binary | x'00' | 'abcde'
ENUM('r','g','b') CHARACTER SET latin1 | 'r' | 'b' | 0 | NULL
CHAR(4) CHARACTER SET ascii | 'zz' | ''
`

const jsons = `
JSON | '{"a":1,"b":[true,null,"x"]}' | '[]' | 'null' | NULL | '"\\u00e9"' | '-0.0' | '[1.5e300, 18446744073709551615]'
JSON | CONCAT('"', REPEAT('j', 70000), '"') | CONCAT('[', REPEAT('1,', 40000), '2]') | '{}'
`

// asText gives literals a character set, without which MySQL takes them for no JSON.
func asText(columns []typed) []typed {
	for _, c := range columns {
		for i, v := range c.values {
			c.values[i] = "CONVERT(" + v + " USING utf8mb4)"
		}
	}
	return columns
}

// bitColumns has every width.
func bitColumns() (out []typed) {
	for n := 1; n <= 64; n++ {
		all := "b'" + strings.Repeat("1", n) + "'"
		out = append(out, typed{fmt.Sprintf("BIT(%d)", n), []string{all, "b'1'", "b'0'", "b'1" + strings.Repeat("0", n-1) + "'", "NULL"}})
	}
	return out
}

func members(n int) string {
	m := make([]string, n)
	for i := range m {
		m[i] = fmt.Sprintf("'m%d'", i+1)
	}
	return strings.Join(m, ",")
}

func memberColumns() (out []typed) {
	for _, n := range []int{1, 8, 9, 16, 17, 24, 25, 32, 33, 40, 56, 64} {
		all := fmt.Sprintf("%d", ^uint64(0)>>(64-n))
		out = append(out, typed{"SET(" + members(n) + ")", []string{all, "0", "1", fmt.Sprint(uint64(1) << (n - 1)), "NULL"}})
	}
	for _, n := range []int{1, 255, 256, 300} {
		out = append(out, typed{"ENUM(" + members(n) + ")", []string{fmt.Sprint(n), "1", "''", "NULL"}})
	}
	return out
}

const mariaTypes = `
UUID | _latin1'123e4567-e89b-12d3-a456-426614174000' | _latin1'00000000-0000-0000-0000-000000000000' | _latin1'ffffffff-ffff-ffff-ffff-ffffffffffff' | NULL
VARCHAR(10) CHARACTER SET latin1 | 'a' | x'E9'
UUID | _latin1'9b2cd7f1-9d0b-4e43-a7f3-1d1d2a3b0000' | _latin1'018f5d6e-8b7c-7abc-8def-000000000000' | _latin1'6ba7b810-9dad-11d1-80b4-00c04fd43000'
UUID | _latin1'00000000-0000-4000-8000-000000000000' | _latin1'1ec9414c-232a-6b00-b3c8-9e6bdeced846' | _latin1'00112233-4455-8677-8899-aabbccddeeff' | _latin1'00000000-0000-1000-0000-000000000001' | _latin1'ffffffff-ffff-1fff-7fff-ffffffffffff'
UUID | _latin1'01234567-0000-f000-8100-000000000000' | _latin1'01234567-0000-0000-8000-000000000000' | _latin1'01234567-89ab-5000-8000-000000000000'
INET6 | _latin1'::' | _latin1'::1' | _latin1'::ffff:192.0.2.1' | _latin1'::192.0.2.1' | _latin1'2001:db8::ff00:42:8329' | _latin1'1:0:0:2:0:0:0:3' | _latin1'::ffff' | NULL
INET6 | _latin1'1::' | _latin1'1:2:3:4:5:6:7:8' | _latin1'1:2:3:4:5:6:7::' | _latin1'0:1:2:3:4:5:6:7' | _latin1'fe80::1:0:0:1' | _latin1'::1:0' | _latin1'::ffff:0:0' | _latin1'::ff:ffff' | _latin1'0:0:1::'
INET6 | _latin1'::1:2:3' | _latin1'::fffe:1.2.3.4' | _latin1'1:0:0:4:5:0:0:8' | _latin1'::0.0.1.0' | _latin1'::0.1.0.0' | _latin1'64:ff9b::192.0.2.33' | _latin1'1:0:3:0:5:0:7:0' | _latin1'0:0:0:0:1::'
INET4 | _latin1'0.0.0.0' | _latin1'255.255.255.255' | _latin1'10.0.0.1' | _latin1'1.0.0.0' | NULL
VARCHAR(1000) COMPRESSED CHARACTER SET utf8mb4 | REPEAT('a', 1000) | '' | 'short' | REPEAT(x'C3A9', 1000) | NULL
TEXT COMPRESSED | REPEAT('t', 65000) | '' | 'x' | REPEAT('ab', 150) | NULL
BLOB COMPRESSED | REPEAT(x'00', 60000) | x'00' | ''
VARBINARY(300) COMPRESSED | REPEAT(x'00', 300) | x'0000' | '' | REPEAT('v', 255)
LONGBLOB COMPRESSED | REPEAT('xyz', 60000) | '' | 'x'
TINYTEXT COMPRESSED | REPEAT('t', 250) | '' | 'q'
BIGINT UNSIGNED | 18446744073709551615 | 1
VARCHAR(7) CHARACTER SET sjis | x'835C' | 'a'
`

// addresses are random ones full of zeros, where the rules of printing and packing lie.
func addresses(n int) []typed {
	r := rand.New(rand.NewPCG(3, 4))
	hex := func(group int) string {
		b := make([]byte, 16)
		for i := 0; i < len(b); i += group {
			if r.IntN(2) == 0 {
				for j := range group {
					b[i+j] = byte(r.Uint32() >> (r.IntN(3) * 4))
				}
			}
		}
		return fmt.Sprintf("%x", b)
	}
	out := []typed{{def: "INET6"}, {def: "UUID"}, {def: "INET4"}}
	for range n {
		out[0].values = append(out[0].values, "x'"+hex(2)+"'")
		u := []byte(hex(1))
		if u[12] >= '8' {
			u[16] = 'a' // MariaDB refuses what it could not tell from a UUID in its own order
		}
		out[1].values = append(out[1].values, fmt.Sprintf("_latin1'%s-%s-%s-%s-%s'", u[:8], u[8:12], u[12:16], u[16:20], u[20:]))
		out[2].values = append(out[2].values, "x'"+hex(1)[:8]+"'")
	}
	return out
}

// generated stands among others: virtual columns have a place in row images too.
const generated = `
INT UNSIGNED | 7 | 4294967290
BIGINT AS (c1 + 1) VIRTUAL
VARCHAR(10) CHARACTER SET latin1 | 'a' | x'E9' | NULL
VARCHAR(30) CHARACTER SET latin1 AS (CONCAT(c3, 'x')) STORED
INT INVISIBLE | 5 | NULL
DECIMAL(5,2) | 1.25 | -1
`

const vectors = `
VECTOR(3) NOT NULL | x'0000803F0000004000004040' | x'000000000000000000000080'
VARCHAR(10) CHARACTER SET latin1 | x'E9' | 'b'
`

func TestTypes(t *testing.T) {
	each(t, func(l *lab) {
		l.types("numbers", cols(numbers))
		l.types("temporals", cols(temporals))
		l.types("texts", cols(texts))
		l.types("bits", bitColumns())
		l.types("members", memberColumns())
		if l.series != "mysql-5.6" {
			l.types("jsons", asText(cols(jsons)))
			l.types("computed", cols(generated))
		}
		if l.maria() {
			l.types("maria", cols(mariaTypes))
			l.types("addresses", addresses(300))
		}
		if l.series == "mysql-9.7" || l.series == "mariadb-11.8" {
			l.types("vectors", cols(vectors))
		}
	}, "--loose-binlog-row-metadata=FULL", "--max-allowed-packet=64M")
}

// TestTypesWithoutMetadata reads the same logs where only the shape knows signs.
func TestTypesWithoutMetadata(t *testing.T) {
	each(t, func(l *lab) {
		l.types("numbers", cols(numbers))
		l.types("texts", cols(texts))
	}, "--max-allowed-packet=64M")
}

// types makes a table of the columns, fills it, updates every row, deletes all, and
// compares each image in the log with what a SELECT saw at the time.
func (l *lab) types(name string, columns []typed) {
	l.Helper()
	n := 0
	var defs []string
	for i, c := range columns {
		n = max(n, len(c.values))
		defs = append(defs, fmt.Sprintf("c%d %s", i+1, l.adapt(c.def)))
	}
	l.exec(fmt.Sprintf("CREATE TABLE %s (id INT UNSIGNED PRIMARY KEY, %s) %s", name, strings.Join(defs, ", "), l.rowFormat()))
	var first, second []db.Row
	shape := l.table(name)
	log := l.log(func() {
		for r := range n {
			l.exec(l.insert(name, columns, r))
		}
		first = l.live(shape)
		for r := range n {
			l.exec(l.update(name, columns, r))
		}
		second = l.live(shape)
		l.exec("DELETE FROM " + name + " ORDER BY id")
	})
	for r, row := range first {
		for i, c := range columns {
			if null := row[i+1].State == db.Null; c.writable() && null != strings.Contains(c.value(r), "NULL") {
				l.Errorf("%s, row %d: the server stored %s for %s %s", name, r, show(row[i+1]), c.def, c.value(r))
			}
		}
	}
	check := func(what string, find shapes, skip func(int) bool) {
		var inserted, before, after, deleted []db.Row
		for _, c := range changes(l.steps(log, find)) {
			switch c.op {
			case db.Insert:
				inserted = append(inserted, c.after)
			case db.Update:
				before, after = append(before, c.before), append(after, c.after)
			default:
				deleted = append(deleted, c.before)
			}
		}
		l.same(what+" "+name+" insert", shape, inserted, first, skip)
		l.same(what+" "+name+" before update", shape, before, first, skip)
		l.same(what+" "+name+" after update", shape, after, second, skip)
		l.same(what+" "+name+" before delete", shape, deleted, second, skip)
	}
	check("by the live shape,", func(*binlog.TableMap) *db.Table { return shape }, nil)
	if l.metadata() == "FULL" {
		// A log does not tell these from the types they are stored as.
		skip := func(i int) bool {
			return slices.Contains([]string{"uuid", "inet4", "inet6"}, shape.Columns[i].DataType)
		}
		check("by the log's shape,", (*binlog.TableMap).Shape, skip)
	}
}

func (l *lab) metadata() string {
	if l.series == "mysql-5.6" {
		return ""
	}
	return l.ask("SELECT @@binlog_row_metadata")
}

// adapt turns MariaDB's spelling into the server's.
func (l *lab) adapt(def string) string {
	switch {
	case l.maria():
		return def
	case l.series == "mysql-5.6":
		def = strings.ReplaceAll(def, "VIRTUAL", "")
	}
	return def
}

func (l *lab) rowFormat() string {
	if l.series == "mysql-5.6" {
		return "ENGINE=MyISAM" // its InnoDB keeps 768 bytes of every column in the row
	}
	return "ROW_FORMAT=DYNAMIC"
}

func (c typed) writable() bool { return len(c.values) > 0 }

func (c typed) value(r int) string { return c.values[r%len(c.values)] }

func (l *lab) insert(table string, columns []typed, r int) string {
	names, values := []string{"id"}, []string{fmt.Sprint(r)}
	for i, c := range columns {
		if c.writable() {
			names, values = append(names, fmt.Sprintf("c%d", i+1)), append(values, c.value(r))
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ","), strings.Join(values, ","))
}

func (l *lab) update(table string, columns []typed, r int) string {
	var set []string
	for i, c := range columns {
		if c.writable() {
			set = append(set, fmt.Sprintf("c%d=%s", i+1, c.value(r+1)))
		}
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE id=%d", table, strings.Join(set, ","), r)
}
