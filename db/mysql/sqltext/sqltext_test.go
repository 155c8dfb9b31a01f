package sqltext

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

func value(s string) db.Value {
	switch s {
	case "NULL":
		return db.Value{}
	case "ABSENT":
		return db.Value{State: db.Absent}
	}
	return db.Value{State: db.Set, Data: []byte(s)}
}

func row(vals ...string) (r db.Row) {
	for _, v := range vals {
		r = append(r, value(v))
	}
	return r
}

func column(dataType, charset string) *db.Column {
	return &db.Column{Name: "c", DataType: dataType, Charset: charset}
}

func TestLiteralKeyAndEqual(t *testing.T) {
	f := func(dataType, charset, v, literal, key, equal string) {
		t.Helper()
		col := column(dataType, charset)
		if got := string(AppendLiteral(nil, col, value(v))); got != literal {
			t.Errorf("literal of %s %q is %s, want %s", dataType, v, got, literal)
		}
		if got := string(AppendKey(nil, col, value(v))); got != key {
			t.Errorf("key of %s %q is %s, want %s", dataType, v, got, key)
		}
		if got := string(AppendEqual(nil, col, value(v))); got != equal {
			t.Errorf("comparison of %s %q is %s, want %s", dataType, v, got, equal)
		}
	}
	f("bigint", "", "-5", "-5", "-5", "`c`=-5")
	f("bigint", "", "NULL", "NULL", "NULL", "`c` IS NULL")
	f("decimal", "", "-0.50", "-0.50", "-0.50", "`c`=-0.50")
	f("float", "", "1.5e+00", "1.5e+00", "1.5e+00", "`c`*1e0=1.5e+00")
	f("double", "", "-0e+00", "-0e+00", "-0e+00", "`c`*1e0=-0e+00 AND CONCAT(`c`*1e0)='-0'")
	f("double", "", "0e+00", "0e+00", "0e+00", "`c`*1e0=0e+00 AND CONCAT(`c`*1e0)='0'")
	f("bit", "", "5", "5", "5", "CAST(`c` AS UNSIGNED)=5")
	f("enum", "latin1", "2", "2", "2", "CAST(`c` AS UNSIGNED)=2")
	f("year", "", "0000", "0000", "0000", "`c`=0000")
	f("time", "", "-01:00:00", "'-01:00:00'", "'-01:00:00'", "CAST(`c` AS BINARY)='-01:00:00'")
	f("varchar", "utf8mb4", "it's", `'it\'s'`, `_utf8mb4'it\'s'`, "CAST(`c` AS BINARY)='it\\'s'")
	f("varchar", "sjis", "\x83\\", "'\x83\\\\'", "_sjis X'835C'", "CAST(`c` AS BINARY)='\x83\\\\'")
	f("text", "utf16", "\x00'", `'\0\''`, "_utf16 X'0027'", "CAST(`c` AS BINARY)='\\0\\''")
	f("text", "utf16", "'", "_utf8mb4 X'FF'", "_utf8mb4 X'FF'", "CAST(`c` AS BINARY)='\\''")
	f("varchar", "binary", "\x00\n\r\x1a\"", `'\0\n\r\Z"'`, `'\0\n\r\Z"'`, ``+"`c`="+`'\0\n\r\Z"'`)
	f("blob", "binary", "", "''", "''", "`c`=''")
	f("json", "", `{"a":1}`, `_utf8mb4'{"a":1}'`, `_utf8mb4'{"a":1}'`, "CAST(CAST(`c` AS CHAR CHARACTER SET utf8mb4) AS BINARY)='{\"a\":1}'")
	f("point", "", "\xab", "'\xab'", "'\xab'", "HEX(`c`)='AB'")
	f("uuid", "", "a-b", "_latin1'a-b'", "_latin1'a-b'", "`c`=_latin1'a-b'")
}

func TestNames(t *testing.T) {
	if got := string(AppendName(nil, db.Name{Schema: "a`b", Table: "1-x"})); got != "`a``b`.`1-x`" {
		t.Error(got)
	}
	if got := string(AppendName(nil, db.Name{Table: "x"})); got != "`x`" {
		t.Error(got)
	}
}

func table() *db.Table {
	return &db.Table{Name: db.Name{Schema: "s", Table: "t"}, Columns: []db.Column{
		{Name: "id", DataType: "int"},
		{Name: "v", DataType: "varchar", Charset: "latin1", Collation: "latin1_bin"},
		{Name: "g", DataType: "int", Generated: true},
		{Name: "at", DataType: "timestamp"},
		{Name: "e", DataType: "enum"},
	}, Keys: []db.Key{{Name: "PRIMARY", Columns: []int{0}, Primary: true, NotNull: true}}}
}

func TestUpdateAndDelete(t *testing.T) {
	to, was := row("1", "b", "0", "NULL", "1"), row("1", "a", "0", "NULL", "ABSENT")
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{
			AppendUpdate(nil, table(), "lull p-1", []int{1}, to, []int{0}, was, []int{1, 3, 4}),
			"UPDATE /* lull p-1 */ `s`.`t` SET `v`='b',`at`=`at` WHERE `id`=1 AND CAST(`v` AS BINARY)='a' AND `at` IS NULL",
		},
		{
			AppendUpdate(nil, table(), "", []int{1, 3}, to, nil, was, []int{0, 1}),
			"UPDATE `s`.`t` SET `v`='b',`at`=NULL WHERE `id`=1 AND CAST(`v` AS BINARY)='a' LIMIT 1",
		},
		{AppendDelete(nil, table(), "x", []int{0}, was, nil), "DELETE /* x */ FROM `s`.`t` WHERE `id`=1"},
		{AppendDelete(nil, table(), "x", nil, was, []int{0, 4}), "DELETE /* x */ FROM `s`.`t` WHERE `id`=1 LIMIT 1"},
		{AppendDeleteIn(nil, table(), "", []int{0}, []db.Row{row("1"), row("2")}), "DELETE FROM `s`.`t` WHERE `id` IN (1,2)"},
		{
			AppendDeleteIn(nil, table(), "", []int{0, 1}, []db.Row{row("1", "a"), row("2", "NULL")}),
			"DELETE FROM `s`.`t` WHERE (`id`=1 AND `v`=_latin1'a') OR (`id`=2 AND `v` IS NULL)",
		},
	} {
		if string(c.got) != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func collect(stmts *[]string) Emit {
	return func(stmt []byte, rows int) error {
		*stmts = append(*stmts, string(stmt)+" #"+string(rune('0'+rows)))
		return nil
	}
}

func TestInserter(t *testing.T) {
	var got []string
	in := NewInserter(table(), "lull p-1", 106, collect(&got))
	for _, r := range []db.Row{
		row("1", "a", "9", "NULL", "1"), row("2", "b", "9", "NULL", "1"), row("3", "c", "9", "NULL", "1"),
		row("4", "d", "9", "NULL", "0"), row("5", "ABSENT", "9", "NULL", "1"),
	} {
		if err := in.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Flush(); err != nil {
		t.Fatal(err)
	}
	const head = "INSERT /* lull p-1 */ INTO `s`.`t` (`id`,`v`,`at`,`e`) VALUES\n"
	want := []string{
		head + "(1,'a',NULL,1),(2,'b',NULL,1) #2", head + "(3,'c',NULL,1) #1",
		"SET SESSION sql_mode='" + LaxMode + "' #0", head + "(4,'d',NULL,0) #1", "SET SESSION sql_mode='" + Mode + "' #0",
		"INSERT /* lull p-1 */ INTO `s`.`t` (`id`,`at`,`e`) VALUES\n(5,NULL,1) #1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestInserterStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	in := NewInserter(table(), "", 10, func([]byte, int) error { return broken })
	err := in.Add(row("1", "a", "9", "NULL", "1"))
	for err == nil {
		err = in.Add(row("2", "a", "9", "NULL", "1"))
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestUpdater(t *testing.T) {
	var got []string
	up := NewUpdater(table(), []int{0, 1}, "x", 1<<20, collect(&got))
	add := func(k1, k2 string, set []int, to db.Row) {
		t.Helper()
		if err := up.Add(row(k1, k2), set, to); err != nil {
			t.Fatal(err)
		}
	}
	add("1", "a", []int{1}, row("", "b", "", "", ""))
	add("2", "b", []int{1}, row("", "NULL", "", "", ""))
	add("3", "c", []int{3, 4}, row("", "", "", "2026-01-01 00:00:00", "0"))
	if err := up.Flush(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"UPDATE /* x */ `s`.`t` t JOIN (SELECT 1 k0,_latin1'a' k1,'b' v0 UNION ALL SELECT 2,_latin1'b',NULL) u ON t.`id`=u.k0 AND t.`v`=u.k1 COLLATE latin1_bin SET t.`v`=u.v0,t.`at`=t.`at` #2",
		"SET SESSION sql_mode='" + LaxMode + "' #0",
		"UPDATE /* x */ `s`.`t` t JOIN (SELECT 3 k0,_latin1'c' k1,'2026-01-01 00:00:00' v0,0 v1) u ON t.`id`=u.k0 AND t.`v`=u.k1 COLLATE latin1_bin SET t.`at`=u.v0,t.`e`=u.v1 #1",
		"SET SESSION sql_mode='" + Mode + "' #0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCanonical(t *testing.T) {
	f := func(col db.Column, raw, want string) {
		t.Helper()
		got, err := Canonical(nil, &col, []byte(raw))
		if want == "error" {
			if err == nil {
				t.Errorf("%s %q gives %q, want an error", col.DataType, raw, got)
			}
			return
		}
		if err != nil || string(got) != want {
			t.Errorf("%s %q gives %q, %v, want %q", col.DataType, raw, got, err, want)
		}
	}
	f(db.Column{DataType: "int"}, "00042", "42")
	f(db.Column{DataType: "int"}, "-0", "0")
	f(db.Column{DataType: "int"}, "000", "0")
	f(db.Column{DataType: "int"}, "", "error")
	f(db.Column{DataType: "int"}, "1.5", "error")
	f(db.Column{DataType: "decimal", Scale: 2}, "0012.5", "12.50")
	f(db.Column{DataType: "decimal", Scale: 2}, "-.5", "-0.50")
	f(db.Column{DataType: "decimal", Scale: 2}, "-0.00", "0.00")
	f(db.Column{DataType: "decimal", Scale: 0}, "-7", "-7")
	f(db.Column{DataType: "decimal", Scale: 1}, "1.25", "error")
	f(db.Column{DataType: "decimal", Scale: 1}, "x", "error")
	f(db.Column{DataType: "double"}, "-0", "-0e+00")
	f(db.Column{DataType: "float"}, "1.401298464324817e-45", "1.401298464324817e-45")
	f(db.Column{DataType: "double"}, "abc", "error")
	f(db.Column{DataType: "double"}, "nan", "error")
	f(db.Column{DataType: "double"}, "0x1p-2", "error")
	f(db.Column{DataType: "year"}, "x", "error")
	f(db.Column{DataType: "year"}, "0", "0000")
	f(db.Column{DataType: "binary", Charset: "binary", Length: 3}, "a", "a\x00\x00")
	f(db.Column{DataType: "varchar", Charset: "latin1"}, "\xe9 ", "\xe9 ")
}

func TestAppendersDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	col, v := column("varchar", "utf8mb4"), value(strings.Repeat("it's\n", 20))
	num, f := column("double", ""), []byte("1.5")
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendEqual(AppendKey(AppendLiteral(dst[:0], col, v), col, v), col, v)
		dst, _ = Canonical(dst, num, f)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// unquote reads a quoted literal as the server does.
func unquote(s []byte) (out, rest []byte) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\'':
			return out, s[i+1:]
		case '\\':
			i++
			from, to := "0nrZ", "\x00\n\r\x1a"
			if n := strings.IndexByte(from, s[i]); n >= 0 {
				out = append(out, to[n])
				continue
			}
		}
		out = append(out, s[i])
	}
	return nil, s
}

// TestQuotedAtEveryPlace puts each byte at each place of a longer text.
func TestQuotedAtEveryPlace(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			for _, around := range []byte{'a', ' ', 0x7f, 0xff, '\'', 0x80} {
				s := bytes.Repeat([]byte{around}, 20)
				s[at] = byte(c)
				out, rest := unquote(appendQuoted(nil, s))
				if len(rest) != 0 || !bytes.Equal(out, s) {
					t.Fatalf("%q reads as %q and %q", s, out, rest)
				}
			}
		}
	}
}

func BenchmarkQuoted(b *testing.B) {
	s := []byte("Item 3f2c1b0a99d84e7785d1c2b3a4f5e6d7 of order 1234567, paid by card – danke")
	var dst []byte
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		dst = appendQuoted(dst[:0], s)
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "'", "\\", "\\'", "\x00\n\r\x1a\"", "a\\'b''", "a text of more than eight bytes", "it's 'so': \\n or \n, then more", "\xff\x5c\x27", "%_\\%\\_\b\t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		lit := AppendLiteral(nil, column("blob", "binary"), db.Value{State: db.Set, Data: s})
		if out, rest := unquote(lit); len(rest) != 0 || !bytes.Equal(out, s) {
			t.Errorf("%q is written as %q, which reads as %q and %q", s, lit, out, rest)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"0", "-0", "007", "-12.50", ".5", "1e300", "-1.5e-10", "2026", "nan", "inf", "0x1p-2", "1_0", "9999999999999999999999"} {
		for kind := range byte(5) {
			f.Add(kind, []byte(s))
		}
	}
	types := []db.Column{{DataType: "bigint"}, {DataType: "decimal", Scale: 4}, {DataType: "double"}, {DataType: "year"}, {DataType: "bit"}}
	f.Fuzz(func(t *testing.T, kind byte, raw []byte) {
		col := types[int(kind)%len(types)]
		got, err := Canonical(nil, &col, raw)
		if err != nil {
			return
		}
		again, err := Canonical(nil, &col, got)
		if err != nil || !bytes.Equal(got, again) {
			t.Errorf("%s %q is %q, and that is %q, %v", col.DataType, raw, got, again, err)
		}
	})
}

func TestNumbersHoldNoStatements(t *testing.T) {
	col := &db.Column{Name: "n", DataType: "bigint"}
	for _, text := range []string{"1);DROP TABLE t", "", "-", "--1", "1 OR 1", "1/*", "0x41"} {
		got := string(AppendLiteral(nil, col, db.Value{State: db.Set, Data: []byte(text)}))
		if got != "_utf8mb4 X'FF'" {
			t.Errorf("%q is written as %s", text, got)
		}
	}
	for _, text := range []string{"0", "-12", "1e-05", "-1.5e+300", "12.50"} {
		if got := string(AppendLiteral(nil, col, db.Value{State: db.Set, Data: []byte(text)})); got != text {
			t.Errorf("%q is written as %s", text, got)
		}
	}
}
