package history_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

func at(second int) time.Time { return time.Date(2026, 3, 1, 14, 2, second, 0, time.UTC) }

// TestID tells touches apart by what the log says, and by nothing that a run adds.
func TestID(t *testing.T) {
	base := history.Touch{Tx: db.Tx{GTID: "0-1-7", File: "bin.000001", Start: 4, At: at(1), Server: 1}, Table: db.Name{Schema: "shop", Table: "a"}}
	if id := base.ID(); !regexp.MustCompile(`^f-[0-9a-hjkmnp-tv-z]{7}$`).MatchString(id) {
		t.Errorf("id %q", id)
	}
	noGTID := base
	noGTID.Tx.GTID = ""
	for _, c := range []struct {
		name   string
		of     history.Touch
		change func(*history.Touch)
		same   bool
	}{
		{"another file under GTIDs", base, func(x *history.Touch) { x.Tx.File = "copy.000009" }, true},
		{"more of it read", base, func(x *history.Touch) { x.Tx.End, x.Statement, x.Deleted = 9, "DELETE", 5 }, true},
		{"another GTID", base, func(x *history.Touch) { x.Tx.GTID = "0-1-8" }, false},
		{"another table", base, func(x *history.Touch) { x.Table.Table = "b" }, false},
		{"a statement", base, func(x *history.Touch) { x.DDL = "truncate" }, false},
		{"another second", base, func(x *history.Touch) { x.Tx.At = at(2) }, false},
		{"another place", noGTID, func(x *history.Touch) { x.Tx.Start = 5 }, false},
		{"another server", noGTID, func(x *history.Touch) { x.Tx.Server = 2 }, false},
		{"another end", noGTID, func(x *history.Touch) { x.Tx.End = 5 }, true},
	} {
		x := c.of
		c.change(&x)
		if (x.ID() == c.of.ID()) != c.same {
			t.Errorf("%s: %s and %s", c.name, c.of.ID(), x.ID())
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		names         history.Names
		schema, table string
		want          bool
	}{
		{nil, "shop", "a", true},
		{history.Names{"a"}, "shop", "a", true},
		{history.Names{"A"}, "shop", "a", true},
		{history.Names{"shop.a"}, "shop", "a", true},
		{history.Names{"Shop.A"}, "shop", "a", true},
		{history.Names{"blog.a"}, "shop", "a", false},
		{history.Names{"b", "shop.c"}, "shop", "a", false},
	} {
		if got := c.names.Has(c.schema, c.table); got != c.want {
			t.Errorf("%q has %s.%s: %v", c.names, c.schema, c.table, got)
		}
	}
}

func TestBound(t *testing.T) {
	for want, b := range map[string]history.Bound{
		"ever":                {},
		"0-1-7":               {GTID: "0-1-7"},
		"bin.000001:4":        {File: "bin.000001", Pos: 4},
		"2026-03-01 14:02:01": {Time: time.Date(2026, 3, 1, 14, 2, 1, 0, time.Local)},
	} {
		if b.String() != want || b.IsZero() != (want == "ever") {
			t.Errorf("%+v is %q, zero %v", b, b, b.IsZero())
		}
	}
}

// TestUsual gives a bound that 19 of 20 transactions stay below.
func TestUsual(t *testing.T) {
	for _, c := range []struct {
		deletes []int64 // of one transaction each
		want    int64
	}{
		{nil, 1},
		{[]int64{0, 0, 0, 0}, 1},
		{[]int64{1, 1, 1}, 2},
		{[]int64{3, 3, 3}, 4},
		{[]int64{4, 4, 4}, 8},
		{append(make([]int64, 19), 1000), 1},
		{append(make([]int64, 17), 1000, 1000, 1000), 1024},
	} {
		var one, other history.Stats
		for i, n := range c.deletes {
			s := []*history.Stats{&one, &other}[i%2]
			s.Add(1, 2, n, int64(i%3))
		}
		one.Merge(&other)
		if got := one.UsualDeletes(); got != c.want {
			t.Errorf("%v: %d, want %d", c.deletes, got, c.want)
		}
		var sum, minutes int64
		for _, n := range c.deletes {
			sum += n
		}
		for _, n := range one.Minutes {
			minutes += n
		}
		if one.Deleted != sum || minutes != sum || one.Transactions != int64(len(c.deletes)) || one.Updated != 2*one.Transactions {
			t.Errorf("%v: %+v", c.deletes, one)
		}
	}
}

// TestTotal adds up touches by table.
func TestTotal(t *testing.T) {
	var r history.Result
	a, child := db.Name{Schema: "shop", Table: "a"}, db.Name{Schema: "shop", Table: "child"}
	r.Total(history.Touch{Table: a, Deleted: 1, Statements: 1, ForeignKeysOff: true})
	r.Total(history.Touch{Table: a, Updated: 2, Inserted: 3, Statements: 2, Incomplete: "NOBLOB", Children: []db.Name{child}})
	r.Total(history.Touch{Table: a, Incomplete: "MINIMAL", Children: []db.Name{child}})
	got := r.Totals[a]
	if got.Rows() != 6 || got.Statements != 3 || got.Incomplete != "MINIMAL" || len(got.Children) != 1 || got.ForeignKeysOff {
		t.Errorf("%+v", got)
	}
}

func TestNewestFirst(t *testing.T) {
	touch := func(second int, table string) history.Touch {
		return history.Touch{Tx: db.Tx{At: at(second)}, Table: db.Name{Table: table}}
	}
	r := history.Result{Touches: []history.Touch{touch(1, "a"), touch(2, "b"), touch(2, "c"), touch(1, "d")}}
	r.NewestFirst()
	got := ""
	for i := range r.Touches {
		got += r.Touches[i].Table.Table
	}
	if got != "cbda" {
		t.Errorf("order %s, want cbda", got)
	}
}
