package predicate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

func orders() *db.Table {
	return &db.Table{Name: db.Name{Schema: "shop", Table: "orders"}, Columns: []db.Column{
		{Name: "id", DataType: "bigint", Unsigned: true},
		{Name: "amount", DataType: "decimal", Scale: 2},
		{Name: "status", DataType: "enum", Elements: []string{"new", "paid", "lost"}, Charset: "utf8mb4", Collation: "utf8mb4_general_ci"},
		{Name: "flags", DataType: "set", Elements: []string{"a", "b", "c"}, Charset: "utf8mb4", Collation: "utf8mb4_bin"},
		{Name: "name", DataType: "varchar", Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"},
		{Name: "code", DataType: "varchar", Charset: "utf8mb4", Collation: "utf8mb4_bin"},
		{Name: "old", DataType: "varchar", Charset: "latin1", Collation: "latin1_swedish_ci"},
		{Name: "score", DataType: "double"},
		{Name: "day", DataType: "date"},
		{Name: "at", DataType: "datetime", Scale: 3},
		{Name: "ts", DataType: "timestamp"},
		{Name: "took", DataType: "time", Scale: 1},
		{Name: "raw", DataType: "varbinary", Charset: "binary"},
		{Name: "bits", DataType: "bit", Length: 8},
		{Name: "none", DataType: "int", Nullable: true},
		{Name: "gone", DataType: "int", Nullable: true},
		{Name: "uid", DataType: "uuid"},
		{Name: "doc", DataType: "json"},
		{Name: "wide", DataType: "varchar", Charset: "ucs2", Collation: "ucs2_general_ci"},
		{Name: "order by", DataType: "tinyint"},
	}}
}

func order1() db.Row {
	var row db.Row
	for _, s := range []string{
		"18446744073709551615", "-12.50", "2", "5", "Müller ", "aB%", "stra\xdfe", "1.5e+00", "2026-11-20",
		"2026-11-20 14:02:11.250", "2026-11-20 13:02:11", "-100:00:01.5", "\x00\xff'", "65",
	} {
		row = append(row, db.Value{State: db.Set, Data: []byte(s)})
	}
	row = append(row, db.Value{}, db.Value{State: db.Absent})
	for _, s := range []string{"123e4567-e89b-12d3-a456-426614174000", `{"a": 1}`, "\x00H\x00i", "1"} {
		row = append(row, db.Value{State: db.Set, Data: []byte(s)})
	}
	return row
}

// Each line is conditions that hold, that do not, and that cannot be said, for order1.
func TestMatch(t *testing.T) {
	for want, conditions := range map[Tri]string{
		True: `id = 18446744073709551615
			id > 18446744073709551614
			id <> 18446744073709551614.9
			id >= 1e19
			id = '18446744073709551615'
			amount = -12.5
			amount < -12.49999999999999999999
			amount between -13 and -12
			amount not between 0 and 5
			amount in (1, 2, -12.500)
			status = 'PAID'
			status = 2
			status <> 'new'
			status in ('new', 'paid')
			status in ('new','paid','lost','new','paid','lost','new','paid','lost')
			status like 'p%'
			status > 'lost'
			flags = 'c,a'
			flags = 5
			flags like '%c'
			name = 'MÜLLER'
			name like 'mü_ler_'
			name > 'muller'
			code = 'aB%'
			code != 'ab%'
			code like 'a_\%'
			code like 'a_|%' escape '|'
			not code like 'ab%'
			code not like 'A%'
			old = 'STRAßE'
			old like 'stra_e'
			score = 1.5
			score > 1
			score < '1.6'
			day = '2026-11-20'
			day = '2026-11-20 00:00:00'
			day < '2026-11-20 00:00:01'
			day > DATE '2026-1-5'
			day like '2026-11%'
			day = at or day < at
			at > '2026-11-20'
			at = '2026-11-20 14:02:11.25'
			at < '2026-11-20T14:03'
			ts = TIMESTAMP '2026-11-20 13:02:11'
			ts = '2026-11-20T14:02:11+01:00'
			ts < at
			took < '-100:00:01'
			took = '-100:00:01.500'
			took < '00:00:00'
			raw = 0x00ff27
			raw = x'00FF27'
			raw like '%\''
			bits = 65
			bits = 0x41
			none is null
			none <=> null
			not none <=> 1
			id is not null
			(none = 1) is unknown
			(none = 1) is not true
			(none = 1) is null
			none is unknown
			uid = '123E4567-e89b-12d3-a456-426614174000'
			doc like '%"a"%'
			wide = 'hi'
			wide like 'H_'
			` + "`order by`" + `
			` + "orders.`order by` = true" + `
			shop.orders.id > 1
			1
			1 = 1
			'a' = 'A '
			not 0
			! none is null or 1
			1 or none = 1
			1 xor 0
			0 || 1 && 1
			1 = 1 = 1
			not 1 = 2
			id > 1 and (amount < 0 or gone = 1)
			none in (1, null) is null
			5 < id
			'paid' = status
			1 or 0 and 0
			1 xor 1 or 1
			- 12.5 = amount
			id in (1,2,3,4,5,6,7,8,18446744073709551615)`,
		False: `id = 1
			id < 0
			amount > -12.5
			status = 'lost'
			status = ''
			code = 'AB%'
			code = 'aB% '
			code in ('a','b','c','d','e','f','g','h','i')
			none is not null
			none <=> 1
			none is true
			gone = 1 and 0
			raw = 'x'
			! 1
			not 1
			1 xor 1
			score in (1, 2)
			2 = 1 = 1
			(1 or 1) and 0
			flags like 'b%'
			day > '2026-11-20 00:00:00.000001'
			not (1 or gone = 1)`,
		Unknown: `none = 1
			none <> 1
			not none = 1
			none in (1, 2)
			id in (1, null)
			id not in (1, null)
			none like '%'
			none between 1 and 2
			none and 1
			none or 0
			none xor 1
			none
			null
			not null
			id = null
			gone = 1
			gone is null
			gone is not null
			gone <=> null
			gone <=> 1
			(gone = 1) is null
			(gone = 1) is unknown
			(gone = 1) is true
			gone is not true
			gone in (1, 2, 3, 4, 5, 6, 7, 8)
			gone or none`,
	} {
		for line := range strings.SplitSeq(conditions, "\n") {
			src := strings.TrimSpace(line)
			e, err := Parse(src, orders())
			if err != nil {
				t.Errorf("%s: %v", src, err)
				continue
			}
			if got := e.Match(order1()); got != want {
				t.Errorf("%s is %s, want %s", src, got, want)
			}
			e.Match(nil)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for src, want := range map[string]string{
		"":                            "character 1: expected a value, found the end",
		"id =":                        "character 5: expected a value, found the end",
		"ä = 1":                       `character 1: unknown column "ä" in table shop.orders`,
		"id = 1 and stauts = 'x'":     `character 12: unknown column "stauts"`,
		"status = 'payed'":            `character 10: column status has no element "payed"`,
		"flags = 'a,x'":               `character 9: column flags has no element "x"`,
		"now() > at":                  `character 1: expected a column or a value, found function "now"`,
		"id = 'x'":                    `character 6: expected a number of at most 400 digits, found "x"`,
		"id = 1e999":                  "expected a number of at most",
		"code = 5":                    "character 6: cannot compare column code (varchar) with a number",
		"day = 5":                     "cannot compare column day (date) with a number",
		"day = 'x'":                   `character 7: expected a date, found "x"`,
		"day = '2026-13-01'":          "expected a date",
		"at = '2026-11-20 10:00:00Z'": "an offset is only possible for a TIMESTAMP",
		"took = 'x'":                  "expected a time",
		"code = id":                   "cannot compare column code (varchar) with column id (bigint)",
		"doc = 'x'":                   "cannot compare column doc (json)",
		"score like '1%'":             "cannot match column score (double) with LIKE",
		"code":                        "character 1: expected a condition",
		"id = 1 2":                    `character 8: expected AND, OR or the end, found "2"`,
		"(id = 1":                     `expected ")"`,
		"id in 1":                     `expected "("`,
		"id in (1 2)":                 `expected "," or ")"`,
		"id between 1":                "expected AND",
		"id not 1":                    "expected IN, BETWEEN or LIKE",
		"id is 1":                     "expected NULL",
		"code like id":                "expected a pattern in quotes",
		"code like 'x' escape 'ab'":   "expected one character",
		"code = 'x":                   "character 8: expected a closing '",
		"id = 1; drop":                `character 7: expected a value or an operator, found ";"`,
		"id + 1 = 2":                  `character 4: expected AND, OR or the end, found "+"`,
		"- id = 2":                    "character 3: expected a number",
		"old = '日'":                   `cannot write "日" in character set latin1`,
		"raw = x'0'":                  "expected pairs of hexadecimal digits",
		"and = 1":                     "character 1: expected a value",
		strings.Repeat("(", 1000):     "at most 200 levels",
		strings.Repeat("not ", 1000):  "at most 200 levels",
	} {
		_, err := Parse(src, orders())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s\n got %v\nwant %s", src, err, want)
		}
		if err != nil && (lull.KindOf(err) != lull.Usage || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.40s: not a usage error of one line: %v", src, err)
		}
	}
}

func TestColumnsAndString(t *testing.T) {
	e, err := Parse("status = 'paid' and id > 3 or ID < 9", orders())
	if err != nil || fmt.Sprint(e.Columns(), e) != "[0 2] status = 'paid' and id > 3 or ID < 9" {
		t.Errorf("%v, %v %s", err, e.Columns(), e)
	}
}

func TestCompareDecimal(t *testing.T) {
	for _, row := range []struct {
		x, y string
		want int
	}{
		{"1", "1.0", 0},
		{"-0.00", "0", 0},
		{"-1", "1", -1},
		{"-2", "-1", -1},
		{"10", "9", 1},
		{"0.1", "0.09", 1},
		{"-0.1", "-0.09", -1},
		{"007", "7", 0},
		{"9007199254740993", "9007199254740992", 1},
		{"0", "-0.01", 1},
	} {
		if got := compareDecimal([]byte(row.x), []byte(row.y)); got != row.want {
			t.Errorf("%s against %s is %d, want %d", row.x, row.y, got, row.want)
		}
		if got := compareDecimal([]byte(row.y), []byte(row.x)); got != -row.want {
			t.Errorf("%s against %s is %d, want %d", row.y, row.x, got, -row.want)
		}
	}
	for in, want := range map[string]string{"1e3": "1000", "12.50": "12.5", "1.234e2": "123.4", "5e-3": "0.005", "-0": "0", ".5": "0.5", "1e-2": "0.01"} {
		if got, ok := plainDecimal(in); got != want || !ok {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"status='paid' and amount >= 100", "id in (1,2) or not name like 'a%' escape '|'", "at between '2026-01-01' and timestamp '2026-02-01 10:00'",
		"gone <=> null xor (raw = 0xff)", "flags = 'a,b' is not true", "took > '10:00'", "((", "uid = 'x' || doc like '%'", "bits = x'41' && ! none",
	} {
		f.Add(s, "12", "2026-11-20 14:02:11")
	}
	f.Fuzz(func(t *testing.T, src, a, b string) {
		e, err := Parse(src, orders())
		if err != nil {
			var le *lull.Error
			if !errors.As(err, &le) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		row := order1()
		plain, whole := e.Match(row), negate(e.match)
		if whole(row) != not(plain) {
			t.Fatal("NOT is not the opposite")
		}
		for i := range row {
			if row[i].State == db.Set {
				row[i].Data = []byte([]string{a, b}[i%2])
			}
		}
		e.Match(row)
		for i := range row {
			row[i] = db.Value{State: db.Absent}
		}
		if got := e.Match(row); len(e.Columns()) > 0 && got != Unknown && got != constantPart(src) {
			t.Fatalf("%s is %s for a row of which nothing is known", src, got)
		}
	})
}

// constantPart lets through what may be decided without the row: an OR or AND with literals.
func constantPart(src string) Tri {
	e, err := Parse(src, orders())
	if err != nil {
		return Unknown
	}
	a := e.Match(nil)
	if a != e.Match(order1()) {
		return Unknown
	}
	return a
}

func BenchmarkMatch(b *testing.B) {
	e, err := Parse("status = 'paid' and amount <= 100 and name like 'mü%' and at > '2026-11-01'", orders())
	if err != nil {
		b.Fatal(err)
	}
	row := order1()
	b.ReportAllocs()
	for b.Loop() {
		if e.Match(row) != True {
			b.Fatal("no match")
		}
	}
}
