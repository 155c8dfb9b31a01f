package undo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

// shape is table t with an integer key and two columns.
func shape() *db.Table {
	return &db.Table{
		Name: db.Name{Schema: "shop", Table: "t"}, Columns: []db.Column{{Name: "id", DataType: "int"}, {Name: "a"}, {Name: "b"}},
		Keys: []db.Key{{Name: "PRIMARY", Primary: true, NotNull: true, Columns: []int{0}}},
	}
}

// row reads "1 x -": "-" is NULL, "?" is not in the log, and "" no row.
func row(s string) db.Row {
	if s == "" {
		return nil
	}
	var out db.Row
	for w := range strings.FieldsSeq(s) {
		v := db.Value{State: db.Set, Data: []byte(w)}
		switch w {
		case "-":
			v = db.Value{}
		case "?":
			v = db.Value{State: db.Absent}
		}
		out = append(out, v)
	}
	return out
}

func text(r db.Row) string {
	var out []string
	for _, v := range r {
		switch v.State {
		case db.Null:
			out = append(out, "-")
		case db.Absent:
			out = append(out, "?")
		default:
			out = append(out, string(v.Data))
		}
	}
	return strings.Join(out, " ")
}

func TestJudge(t *testing.T) {
	f := func(on OnConflict, before, after, now, want string) {
		t.Helper()
		j := newJudge(shape(), on)
		j.key = []int{0}
		v := j.judge(&net{row(before), row(after)}, row(now))
		got := string(v.do)
		if len(v.rec.Set) > 0 {
			got += fmt.Sprint(v.rec.Set)
		}
		if v.forced {
			got += " forced"
		}
		if v.occupied {
			got += " occupied"
		}
		if got != want {
			t.Errorf("%s: %q -> %q, now %q: %q, want %q", on, before, after, now, got, want)
		}
	}
	f(KeepNow, "1 x y", "", "", "insert")
	f(KeepNow, "1 x y", "", "1 x y", "")
	f(KeepNow, "1 x y", "", "1 x z", "keep")
	f(RestoreThen, "1 x y", "", "1 x z", "update[2] forced")
	f(KeepNow, "1 x -", "", "1 x -", "")
	f(KeepNow, "1 x ?", "", "1 x z", "")
	f(KeepNow, "a x y", "", "A x y", "insert occupied")

	f(KeepNow, "", "1 x y", "", "")
	f(KeepNow, "", "1 x y", "1 x y", "delete")
	f(KeepNow, "", "1 x y", "1 x z", "keep")
	f(RestoreThen, "", "1 x y", "1 x z", "delete forced")

	f(KeepNow, "1 x y", "1 x 0", "1 x 0", "update[2]")
	f(KeepNow, "1 x y", "1 x 0", "1 x y", "")
	f(KeepNow, "1 x y", "1 x 0", "1 e 0", "update[2]")
	f(KeepNow, "1 x y", "1 x 0", "1 x e", "keep")
	f(RestoreThen, "1 x y", "1 x 0", "1 x e", "update[2] forced")
	f(KeepNow, "1 x y", "1 0 0", "1 0 e", "update[1]")
	f(KeepNow, "1 x y", "1 x 0", "", "keep")
	f(RestoreThen, "1 x y", "1 x 0", "", "insert forced")
	f(RestoreThen, "1 x ?", "1 x 0", "", "keep")
	f(KeepNow, "1 x -", "1 x 0", "1 x 0", "update[2]")
	f(KeepNow, "1 x y", "1 x -", "1 x -", "update[2]")
	f(KeepNow, "1 x y", "9 x y", "9 x y", "update[0]")
	f(KeepNow, "1 x y", "9 x y", "9 e y", "update[0]")
	f(KeepNow, "1 ? ?", "1 0 ?", "1 0 y", "")
}

// Changes fold to what they did to each row in all, whichever keys it had in between.
func TestFold(t *testing.T) {
	f := func(changes, want string) {
		t.Helper()
		m, err := newMapper(shape(), shape(), nil)
		if err != nil {
			t.Fatal(err)
		}
		fold := newFolder(t.TempDir(), m, []int{0}, 0)
		for c := range strings.SplitSeq(changes, "; ") {
			before, after, _ := strings.Cut(c, ">")
			if err := fold.add(row(before), row(after)); err != nil {
				t.Fatal(err)
			}
		}
		ns, err := fold.nets()
		if err != nil {
			t.Fatal(err)
		}
		defer ns.close()
		var got []string
		for {
			n, err := ns.next()
			if err != nil {
				t.Fatal(err)
			}
			if n == nil {
				break
			}
			got = append(got, text(n.Before)+">"+text(n.After))
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("%s\nfolds to %s\nwant     %s", changes, got, want)
		}
	}
	f("1 x y>", "1 x y>")
	f("2 x y>; 1 x y>; >3 z z", "1 x y>; 2 x y>; >3 z z")
	f("1 x y>1 0 y; 1 0 y>1 0 0; 1 0 0>", "1 x y>")
	f(">1 x y; 1 x y>1 x z", ">1 x z")
	f(">1 x y; 1 x y>", "")
	f("1 x y>; >1 a b; 1 a b>1 a c", "1 x y>1 a c")
	f("1 x y>9 x y", "1 x y>9 x y")
	f("1 x y>9 x y; 9 x y>9 0 y", "1 x y>9 0 y")
	f("1 x y>1 0 y; 1 0 y>9 0 y; 9 0 y>20 0 0", "1 x y>20 0 0")
	f("2 b b>3 b b; 1 a a>2 a a", "1 a a>2 a a; 2 b b>3 b b")
	f("2 b b>; 1 a a>2 a a", "2 b b>; 1 a a>2 a a")
	f("1 a a>7 a a; 7 a a>", "1 a a>")
	f(">1 a a; 1 a a>7 a a", ">7 a a")
	f(">1 a a; 1 a a>7 a a; 7 a a>", "")
	f("1 a a>7 a a; 7 a a>1 a a", "1 a a>1 a a")
	f("1 a a>0 a a; 2 b b>1 b b; 0 a a>2 a a", "2 b b>1 b b; 1 a a>2 a a")
	f("1 ? ?>1 0 ?; 1 ? ?>1 ? 0", "1 ? ?>1 0 0")
	f("-5 a a>; -50 b b>; 3 c c>", "-50 b b>; -5 a a>; 3 c c>")
}
