package ddl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

func showOp(op AlterOp) string {
	if op.Kind == OtherOp && (op.key != nil || op.dropKey != "") {
		return "key"
	}
	out := [...]string{"other", "add", "drop", "rename", "change", "modify", "to", "convert", "+versions", "-versions"}[op.Kind]
	if op.Old != "" {
		out += " " + op.Old
	}
	if op.New != "" {
		out += ">" + op.New + ":" + op.Column.ColumnType
	}
	if op.First {
		out += " first"
	}
	if op.After != "" {
		out += " after " + op.After
	}
	if op.IfExists {
		out += "?"
	}
	if op.Kind == RenameTable {
		out += " " + op.To.String()
	}
	if op.Kind == ConvertCharset {
		out += " " + op.Column.Collation
	}
	return out
}

func TestParseAlter(t *testing.T) {
	for sql, want := range map[string]string{
		"alter table t add a int": "add>a:int",
		"alter table t add column if not exists `a b` decimal(5,2) unsigned not null default (1+(2)) comment 'x, (' after `c`":                         "add>a b:decimal(5,2) unsigned after c?",
		"alter table t add (a int, b enum('x,','y)'), key (a)), algorithm=instant, lock=none":                                                          "add>a:int;add>b:enum('x,','y)');key;other;other",
		"alter table t drop a, drop column if exists b, drop primary key, drop index i, drop foreign key f, drop check c":                              "drop a;drop b?;key;key;other;other",
		"alter table t change a b varchar(3) not null first":                                                                                           "change a>b:varchar(3) first",
		"alter table t change column `a` `a` int after x, modify y bigint unsigned":                                                                    "change a>a:int after x;modify y>y:bigint unsigned",
		"alter table t rename column a to b, rename to s.u":                                                                                            "rename a>b:;to s.u",
		"alter table t rename u, engine=innodb comment='a, b'":                                                                                         "to d.u;other",
		"alter table t add index (a, b), add unique key x (c), add constraint f foreign key (a) references p (id) on delete cascade, add fulltext (x)": "key;key;key;key",
		"alter table t order by a, b":         "other",
		"alter table t drop partition p0, p1": "other",
		"alter table t reorganize partition p0, p1 into (partition p values less than (3))":                    "other",
		"alter table t convert to character set utf8":                                                          "convert utf8mb3_general_ci",
		"alter table t alter column a set default 5, alter b drop default":                                     "other;other",
		"alter table t add system versioning, drop system versioning":                                          "+versions;-versions",
		"alter table t add a int primary key, add period for system_time (a, b)":                               "add>a:int;key;key",
		"alter table t add a int default null on update current_timestamp(6), add b int default 'x' collate y": "add>a:int;add>b:int",
		"alter table t /* add b int, */ add /*!80023 c int */ -- x\n":                                          "add>c:int",
		"alter table t add column g int generated always as (a + b) virtual after z":                           "add>g:int after z",
		"alter table t add a int partition by hash(a) partitions 4":                                            "add>a:int",
		"create index i using btree on t (a(10), (b+1))":                                                       "key",
		"alter table t add d int default next value for s.q first":                                             "add>d:int first",
		"alter table t add d varchar(3) default _latin1'first' after b":                                        "add>d:varchar(3) after b",
		"alter table t": "",
	} {
		name, ops, err := ParseAlter(sql, "d")
		var got []string
		for _, op := range ops {
			got = append(got, showOp(op))
		}
		if err != nil || strings.Join(got, ";") != want || name != (db.Name{Schema: "d", Table: "t"}) {
			t.Errorf("%s: %s, %v\n got %s\nwant %s", sql, name, err, strings.Join(got, ";"), want)
		}
	}
	if got := DropsColumn("alter table t drop a, drop index b, drop column `c d`"); !slices.Equal(got, []string{"a", "c d"}) {
		t.Errorf("dropped columns: %q", got)
	}
}

func TestParseAlterErrors(t *testing.T) {
	for sql, want := range map[string]string{
		"drop table t":                     "line 1: expected ALTER TABLE",
		"alter view v as select 1":         "line 1: expected TABLE and a table name",
		"alter table t\nadd a":             "line 2: expected a column type, found the end of the statement",
		"alter table t add (a int":         `expected "," or ")"`,
		"alter table t change a":           "expected a column name",
		"alter table t rename column a b":  "expected RENAME COLUMN old TO new",
		"alter table t drop":               "expected a column name",
		"alter table t add a enum('x)":     "found a quote that is never closed",
		"alter table t add a int) , add b": `expected "," or the end`,
	} {
		if _, _, err := ParseAlter(sql, "d"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", sql, err, want)
		}
	}
}

// tableOf makes a table whose columns are called as listed: "id" and then ints.
func tableOf(t *testing.T, names string) *db.Table {
	t.Helper()
	sql := "create table t (" + strings.ReplaceAll(names, " ", " int, ") + " int, unique u (" + names[:1] + "))"
	tables, err := ParseCreateTables(sql)
	if err != nil {
		t.Fatal(err)
	}
	return tables[0]
}

func columns(t *db.Table) string {
	var out []string
	for _, c := range t.Columns {
		name := c.Name
		if c.DataType == "" {
			name += "?"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// The results of these on MariaDB 10.11 are the wanted ones.
func TestAfter(t *testing.T) {
	for _, row := range [][3]string{
		{"a b c", "add x int first, add y int first, modify c int after x, drop b, add b2 int after c", "y x c b2 a"},
		{"a b", "change a b int, change b a int", "b a"},
		{"a b", "rename column a to b, rename column b to a", "b a"},
		{"a b c", "drop a, add a int", "b c a"},
		{"a b c", "change b z int after c", "a c z"},
		{"a b", "add column if not exists A int first", "a b"},
		{"a b", "drop column if exists x", "a b"},
		{"a b", "add system versioning", "a b row_start row_end"},
		{"a", "add b int, add index (b), add c int after a", "a c b"},
		{"a b", "modify column if exists x int first", "a b"},
		{"a b c", "change b z int, add n int after z, modify a int after n", "z n a c"},
	} {
		_, ops, err := ParseAlter("alter table t "+row[1], "")
		if err != nil {
			t.Fatal(err)
		}
		was := tableOf(t, row[0])
		got, err := After(was, ops)
		if err != nil || columns(got) != row[2] {
			t.Errorf("(%s) %s: (%v) %v, want (%s)", row[0], row[1], columns(got), err, row[2])
		}
		if columns(was) != row[0] {
			t.Errorf("%s changed its argument to %s", row[1], columns(was))
		}
		checkTable(t, got)
	}
}

func TestHiddenVersionColumnsStayLast(t *testing.T) {
	tables, err := ParseCreateTables("create table t (a int primary key) with system versioning; alter table t add b int;" +
		"create table u like t; alter table u drop system versioning")
	if err != nil || columns(tables[0]) != "a b row_start row_end" || columns(tables[1]) != "a b" {
		t.Fatalf("%v, %s, %s", err, columns(tables[0]), columns(tables[1]))
	}
	if got := keysOf(tables[0]) + " " + keysOf(tables[1]); got != "PRIMARY(a row_end) PRIMARY(a)" {
		t.Errorf("keys %s", got)
	}
}

func TestBefore(t *testing.T) {
	for _, row := range [][3]string{
		{"a b c", "add c int", "a b"},
		{"a x", "rename column b to x", "a b"},
		{"a b", "drop c", "c? a b|a c? b|a b c?"},
		{"a b", "modify b int", "a b?"},
		{"b a", "modify b int first", "b? a|a b?"},
		{"a z", "change y z int", "a y?"},
		{"b a", "rename column a to b, rename column b to a", "a b"},
		{"a b", "add column if not exists b int", "a|a b"},
		{"a", "drop column if exists b", "b? a|a b?|a"},
		{"b a", "drop a, add a int", "a? b|b a?"},
		{"a row_start row_end", "add b int", ""},
		{"a b", "engine=innodb", "a b"},
		{"a", "drop b, drop c", "c? b? a|b? c? a|b? a c?|c? a b?|a c? b?|a b? c?"},
	} {
		_, ops, err := ParseAlter("alter table t "+row[1], "")
		if err != nil {
			t.Fatal(err)
		}
		now := tableOf(t, row[0])
		shapes, err := Before(now, ops)
		var got []string
		for _, s := range shapes {
			got = append(got, columns(s))
			checkTable(t, s)
		}
		want := strings.Split(row[2], "|")
		if row[2] == "" {
			want = nil
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || (err != nil) != (want == nil) {
			t.Errorf("(%s) %s: %q, %v; want %q", row[0], row[1], got, err, want)
		}
	}
}

func TestBeforeKeysAndNames(t *testing.T) {
	_, ops, err := ParseAlter("alter table t add primary key (b), rename column c to a, rename to s.u", "d")
	if err != nil {
		t.Fatal(err)
	}
	now := tableOf(t, "a b")
	now.Keys = append([]db.Key{{Name: "PRIMARY", Columns: []int{1}, Primary: true, NotNull: true}}, now.Keys...)
	shapes, err := Before(now, ops)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(shapes[0].Name, " ", columns(shapes[0]), " ", keysOf(shapes[0])); got != "d.t c b u(c)?" {
		t.Errorf("before: %s", got)
	}
}

func TestBeforeIsBounded(t *testing.T) {
	_, ops, _ := ParseAlter("alter table t drop x, drop y, drop z, drop w", "")
	if _, err := Before(tableOf(t, "a b c d e f g h i j k l"), ops); err == nil || !strings.Contains(err.Error(), "more than 4096") {
		t.Errorf("four columns dropped from sixteen: %v", err)
	}
	_, ops, _ = ParseAlter("alter table t "+strings.Repeat("add if not exists x int,", 40)+" comment='x'", "")
	if _, err := Before(tableOf(t, "a x"), ops); err == nil {
		t.Error("2^40 variants: no error")
	}
}

// FuzzAlter also checks that undoing an ALTER finds the shape it was done to.
func FuzzAlter(f *testing.F) {
	for _, s := range []string{
		"add x int first, drop b", "change a b int, change b a int", "add (x int, y int), modify c int after a",
		"rename column a to z, add a enum('q') after z", "drop column if exists q, add if not exists a int", "convert to charset utf8, add key (a)",
		"add system versioning", "drop partition p, q", "add constraint x primary key (a, b(3))",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, items string) {
		_, ops, err := ParseAlter("alter table t "+items, "")
		if err != nil {
			return
		}
		was, err := ParseCreateTables("create table t (a int primary key, b int, c int, unique (b, c))")
		if err != nil {
			t.Fatal(err)
		}
		now, err := After(was[0], ops)
		if err != nil || ambiguous(ops) {
			return
		}
		checkTable(t, now)
		shapes, err := Before(now, ops)
		if err != nil {
			if strings.Contains(err.Error(), "more than") {
				return
			}
			t.Fatalf("%s made (%s): %v", items, columns(now), err)
		}
		found := slices.ContainsFunc(shapes, func(s *db.Table) bool {
			checkTable(t, s)
			return strings.EqualFold(strings.ReplaceAll(columns(s), "?", ""), "a b c")
		})
		if !found {
			t.Fatalf("%s made (%s): (a b c) is not among %d shapes", items, columns(now), len(shapes))
		}
	})
}

// ambiguous says that ops name one column twice, which no server accepts.
func ambiguous(ops []AlterOp) bool {
	old, now := map[string]bool{}, map[string]bool{"a": true, "b": true, "c": true, "row_start": true, "row_end": true}
	for _, op := range ops {
		o := strings.ToLower(op.Old)
		if o != "" && old[o] {
			return true
		}
		old[o] = true
		delete(now, o)
	}
	for _, op := range ops {
		n := strings.ToLower(op.New)
		if n != "" && (now[n] && !op.IfExists || now[n+"\x00"]) || strings.Contains(op.New+op.Old, "?") {
			return true
		}
		if op.Kind >= ConvertCharset {
			return true
		}
		now[n+"\x00"] = n != ""
	}
	return false
}
