package db_test

import (
	"bytes"
	"testing"

	"github.com/lull-ops/lull/db"
)

func set(s string) db.Value { return db.Value{State: db.Set, Data: []byte(s)} }

func rows() []db.Row {
	expr := set(`{"a": 1.50}`)
	expr.Expr = []byte("JSON_OBJECT('a', 1.50)")
	empty := expr
	empty.Expr = []byte{}
	return []db.Row{
		nil,
		{},
		{{}, {State: db.Absent}, set(""), set("x"), set("\x00\x01\xff")},
		{expr, empty, set(string(bytes.Repeat([]byte("long "), 100_000)))},
	}
}

func same(a, b db.Row) bool {
	if (a == nil) != (b == nil) || len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].State != b[i].State || !bytes.Equal(a[i].Data, b[i].Data) || !bytes.Equal(a[i].Expr, b[i].Expr) ||
			(a[i].Expr == nil) != (b[i].Expr == nil) {
			return false
		}
	}
	return true
}

func TestRowsSurviveWriting(t *testing.T) {
	var buf []byte
	for _, r := range rows() {
		buf = db.AppendRow(buf, r)
	}
	rest, reused := buf, db.Row(nil)
	for i, want := range rows() {
		var got db.Row
		var err error
		if got, rest, err = db.ParseRow(rest, reused); err != nil || !same(got, want) {
			t.Fatalf("row %d came back as %v, %v", i, got, err)
		}
		reused = got
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestCloneOutlivesItsBuffer(t *testing.T) {
	buf := db.AppendRow(nil, rows()[3])
	row, _, err := db.ParseRow(buf, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept := row.Clone()
	clear(buf)
	if !same(kept, rows()[3]) {
		t.Error("the clone changed with the buffer")
	}
}

func TestEqual(t *testing.T) {
	f := func(a, b db.Value, want bool) {
		t.Helper()
		if a.Equal(b) != want || b.Equal(a) != want {
			t.Errorf("%v and %v: equal is not %v", a, b, want)
		}
	}
	f(set("a"), set("a"), true)
	f(set("a"), set("b"), false)
	f(db.Value{}, db.Value{}, true)
	f(set(""), db.Value{}, false)
	f(db.Value{State: db.Absent}, db.Value{State: db.Absent}, false)
}

func TestShow(t *testing.T) {
	f := func(c db.Column, v db.Value, want string) {
		t.Helper()
		if got := c.Show(v); got != want {
			t.Errorf("%v of %s shows as %q, want %q", v, c.DataType, got, want)
		}
	}
	enum := db.Column{DataType: "enum", Elements: []string{"new", "paid"}}
	f(enum, set("2"), "paid")
	f(enum, set("0"), "")
	f(enum, set("9"), "9")
	f(db.Column{DataType: "set", Elements: []string{"a", "b", "c"}}, set("5"), "a,c")
	f(db.Column{DataType: "blob", Charset: "binary"}, set("\x00A"), "0x0041")
	f(db.Column{DataType: "varchar", Charset: "latin1"}, set("\xe4"), "0xe4")
	f(db.Column{DataType: "int"}, db.Value{}, "NULL")
	f(db.Column{DataType: "int"}, db.Value{State: db.Absent}, "(not logged)")
}

func FuzzParseRow(f *testing.F) {
	for _, r := range rows()[:3] {
		f.Add(db.AppendRow(nil, r))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		row, rest, err := db.ParseRow(b, nil)
		if err != nil {
			return
		}
		again, left, err := db.ParseRow(db.AppendRow(nil, row), nil)
		if err != nil || len(left) != 0 || !same(row, again) {
			t.Fatalf("%v became %v with %d bytes left, %v", row, again, len(left), err)
		}
		if len(rest) > len(b) {
			t.Fatal("more is left than there was")
		}
	})
}
