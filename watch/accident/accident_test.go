package accident_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch/accident"
)

// live answers for a database in a table test.
type live struct {
	tables map[string]*db.Table
	logs   bool
	err    error
}

func (l live) Table(_ context.Context, name db.Name) (*db.Table, error) {
	if t := l.tables[name.Table]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such table")
}

func (l live) Rows(_ context.Context, t *db.Table) (int64, error) { return t.Rows, nil }

func (l live) LogsCascades(context.Context) (bool, error) { return l.logs, l.err }

func name(table string) db.Name { return db.Name{Schema: "shop", Table: table} }

// shop is a database of orders with lines that fall with them and notes that forget them.
func shop(logsCascades bool) live {
	key := func(child, onDelete, onUpdate string) db.ForeignKey {
		return db.ForeignKey{Child: name(child), Parent: name("orders"), OnDelete: onDelete, OnUpdate: onUpdate}
	}
	return live{logs: logsCascades, tables: map[string]*db.Table{
		"orders": {Name: name("orders"), Rows: 100, Children: []db.ForeignKey{
			key("lines", "CASCADE", "RESTRICT"), key("notes", "SET NULL", "CASCADE"), key("audits", "RESTRICT", "NO ACTION"),
		}},
		"logs": {Name: name("logs"), Rows: -1},
	}}
}

func TestUndoable(t *testing.T) {
	const maria, mysql = history.MariaDB, history.MySQL
	names := func(tables ...string) (out []db.Name) {
		for _, t := range tables {
			out = append(out, name(t))
		}
		return out
	}
	for _, c := range []struct {
		name  string
		touch history.Touch
		live  accident.Live
		want  accident.Undoable
		why   string // a part of it
	}{
		{"rows", history.Touch{Deleted: 5}, nil, accident.Yes, ""},
		{"minimal image", history.Touch{Deleted: 5, Incomplete: "MINIMAL"}, nil, accident.No, "binlog_row_image was MINIMAL"},
		{"minimal image of inserts", history.Touch{Inserted: 5, Incomplete: "MINIMAL"}, nil, accident.Yes, ""},
		{"no blobs", history.Touch{Updated: 5, Incomplete: "NOBLOB"}, nil, accident.Partly, "binlog_row_image was NOBLOB"},
		{"truncate", history.Touch{DDL: "truncate"}, nil, accident.No, "a backup from before"},
		{"rename", history.Touch{DDL: "rename"}, nil, accident.No, "no row is lost"},
		{"drop column", history.Touch{DDL: "drop column", Columns: []string{"v"}}, nil, accident.No, "not the column's values"},
		{"statement", history.Touch{DDL: "statement delete"}, nil, accident.No, "binlog_format was not ROW"},
		{"trace without a server", history.Touch{Deleted: 1, Origin: maria, Children: names("lines")}, nil, accident.Partly, "rows of shop.lines"},
		{"trace of a cascade", history.Touch{Deleted: 1, Origin: maria, Children: names("lines")}, shop(false), accident.Partly, "rows of shop.lines"},
		{"trace of SET NULL on update", history.Touch{Updated: 1, Origin: maria, Children: names("notes")}, shop(false), accident.Partly, "rows of shop.notes"},
		{"trace of a trigger", history.Touch{Deleted: 1, Origin: maria, Children: names("logs")}, shop(false), accident.Yes, ""},
		{"trace of a key that does nothing", history.Touch{Deleted: 1, Origin: maria, Children: names("audits")}, shop(false), accident.Yes, ""},
		{"trace of grandchildren", history.Touch{Deleted: 1, Origin: maria, Children: names("lines", "parts", "audits")}, shop(false), accident.Partly, "rows of shop.lines, shop.parts may have"},
		{"MariaDB without a trace", history.Touch{Deleted: 1, Origin: maria}, shop(false), accident.Yes, ""},
		{"older MySQL, delete", history.Touch{Deleted: 1, Origin: mysql}, shop(false), accident.Partly, "rows of shop.lines, shop.notes may have"},
		{"older MySQL, update", history.Touch{Updated: 1, Origin: mysql}, shop(false), accident.Partly, "rows of shop.notes may have"},
		{"older MySQL, insert", history.Touch{Inserted: 1, Origin: mysql}, shop(false), accident.Yes, ""},
		{"older MySQL, keys off", history.Touch{Deleted: 1, Origin: mysql, ForeignKeysOff: true}, shop(false), accident.Yes, ""},
		{"older MySQL without a server", history.Touch{Deleted: 1, Origin: mysql}, nil, accident.Yes, ""},
		{"MySQL that logs cascades", history.Touch{Deleted: 1, Origin: mysql}, shop(true), accident.Yes, ""},
	} {
		c.touch.Table = name("orders")
		got, err := accident.Judge(t.Context(), &history.Result{Touches: []history.Touch{c.touch}}, c.live)
		if err != nil || len(got) != 1 {
			t.Fatal(c.name, got, err)
		}
		if a := got[0]; a.Undoable != c.want || !strings.Contains(a.Why, c.why) || (a.Why == "") != (c.want == accident.Yes) {
			t.Errorf("%s: %s, %q; want %s, %q", c.name, a.Undoable, a.Why, c.want, c.why)
		}
	}
}

func TestReasons(t *testing.T) {
	usual := func(transactions int, deleted, updated int64) map[db.Name]*history.Stats {
		st := &history.Stats{Table: name("orders")}
		for range transactions {
			st.Add(0, updated, deleted, 0)
		}
		return map[db.Name]*history.Stats{name("orders"): st}
	}
	for _, c := range []struct {
		name  string
		touch history.Touch
		live  accident.Live
		stats map[db.Name]*history.Stats
		want  string
	}{
		{"nothing", history.Touch{Deleted: 1}, shop(true), nil, ""},
		{"no WHERE", history.Touch{Deleted: 1, NoWhere: "DELETE without WHERE"}, nil, nil, "DELETE without WHERE"},
		{"most of it", history.Touch{Deleted: 101}, shop(true), nil, "most of the table gone: 101 of about 201 rows"},
		{"half of it", history.Touch{Deleted: 100}, shop(true), nil, ""},
		{"the last row", history.Touch{Deleted: 1}, live{tables: map[string]*db.Table{"orders": {}}}, nil, ""},
		{"a table that is gone", history.Touch{Deleted: 1000}, live{}, nil, ""},
		{"far above", history.Touch{Deleted: 1000, Updated: 1000}, nil, usual(100, 3, 10), "1,000 deleted at once, usually fewer than 4; 1,000 updated at once, usually fewer than 16"},
		{"as usual", history.Touch{Deleted: 63, Updated: 15}, nil, usual(100, 3, 10), ""},
		{"too little to tell", history.Touch{Deleted: 1000}, nil, usual(10, 3, 3), ""},
		{"never updated", history.Touch{Deleted: 3}, nil, usual(100, 3, 0), ""},
		{"ours", history.Touch{Deleted: 1000, Plan: "p-12", NoWhere: "DELETE without WHERE"}, nil, nil, "lull p-12"},
		{"truncate", history.Touch{DDL: "truncate"}, nil, nil, "TRUNCATE"},
		{"drop partition", history.Touch{DDL: "drop partition"}, nil, nil, "DROP PARTITION"},
		{"drop column", history.Touch{DDL: "drop column", Columns: []string{"v", "w"}}, nil, nil, "ALTER drops column v, w"},
		{"statement", history.Touch{DDL: "statement delete"}, nil, nil, "DELETE logged as a statement"},
	} {
		c.touch.Table = name("orders")
		got, err := accident.Judge(t.Context(), &history.Result{Touches: []history.Touch{c.touch}, Stats: c.stats}, c.live)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if reasons := strings.Join(got[0].Reasons, "; "); reasons != c.want {
			t.Errorf("%s: %q, want %q", c.name, reasons, c.want)
		}
	}
}

// TestJudgeOrder keeps the order, and hands on what the database fails with.
func TestJudgeOrder(t *testing.T) {
	r := &history.Result{Touches: []history.Touch{{Table: name("orders")}, {Table: name("logs")}}}
	got, err := accident.Judge(t.Context(), r, shop(true))
	if err != nil || got[0].Table != name("orders") || got[1].Table != name("logs") {
		t.Errorf("%v, %v", got, err)
	}
	broken := errors.New("gone away")
	if _, err := accident.Judge(t.Context(), r, live{err: broken}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
