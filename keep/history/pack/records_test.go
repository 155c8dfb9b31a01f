package pack_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

var (
	null   = db.Value{}
	absent = db.Value{State: db.Absent}
	price  = db.Value{State: db.Set, Data: []byte(`{"a": 1.50}`), Expr: []byte("JSON_OBJECT('a', 1.50)")}
	long   = set(strings.Repeat("long ", 60))
)

func row(values ...db.Value) db.Row { return append(db.Row{}, values...) }

// allRows are rows of every sort of value.
func allRows() []db.Row {
	noExpr := set("1")
	noExpr.Expr = []byte{}
	return []db.Row{
		row(set("1"), set("billing"), null), row(), row(null, absent, set(""), set("\x00\xff\n"), price, noExpr, long), nil, row(set("2")),
	}
}

func TestRowsComeBack(t *testing.T) {
	var payload []byte
	for _, r := range allRows() {
		payload = db.AppendRow(payload, r)
	}
	var got []db.Row
	if err := pack.EachRow(payload, func(r db.Row) error { got = append(got, r.Clone()); return nil }); err != nil {
		t.Fatal(err)
	}
	same(t, got, allRows())
}

// allChanges are changes of every sort, in the order in which a table has them.
func allChanges() []history.RowChange {
	f := func(seq history.Seq, n uint64, op db.Op, before, after db.Row) history.RowChange {
		return history.RowChange{Seq: seq, N: n, Op: op, Before: before, After: after, Definition: "d-1"}
	}
	noExpr := set(`{"a": 1.50}`)
	nine := func(v db.Value) db.Row {
		return row(set("1"), null, absent, set("a"), set("b"), null, set("c"), set(""), v)
	}
	off := f(9, 0, db.Delete, row(set("8"), price), nil)
	off.ForeignKeysOff = true
	return []history.RowChange{
		f(7, 3, db.Insert, nil, row(set("1"), set("x"), null)),
		f(7, 4, db.Update, row(set("1"), set("x"), null), row(set("1"), set("y"), null)),
		f(7, 9, db.Update, row(set("1"), absent, null), row(absent, set("y"), set(""))),
		f(8, 0, db.Update, row(set("1"), price), row(set("1"), noExpr)),
		f(8, 1, db.Update, row(set("1")), row(set("1"))),
		f(8, 2, db.Update, row(), row()),
		off,
		f(9, 1, db.Update, nine(set("old")), nine(long)),
		f(9, 2, db.Update, nine(long), nine(null)),
		f(1<<60, 1<<60, db.Delete, row(null, absent), nil),
		f(1<<60, 1<<61, db.Insert, nil, row()),
		f(1<<60+1, 0, db.Update, row(set("1"), set("2")), row(set("1"))),
		f(1<<60+1, 1, db.Update, nil, row(set("1"))),
		f(1<<60+2, 0, db.Update, row(null, null, null), row(set("1"), absent, null)),
	}
}

func TestChangesComeBack(t *testing.T) {
	var w pack.ChangeWriter
	for range 2 {
		w.Reset()
		for _, c := range allChanges() {
			w.Add(&c)
		}
	}
	m := pack.Member{Definition: "d-1", Count: w.Count()}
	got := readChanges(t, w.Bytes(), &m)
	same(t, got, allChanges())
	if w.Len() != len(w.Bytes()) || w.Count() != int64(len(got)) {
		t.Errorf("%d bytes and %d changes are said to be %d and %d", len(w.Bytes()), len(got), w.Len(), w.Count())
	}
	m.Count++
	damaged(t, pack.EachChange(w.Bytes(), &m, func(*history.RowChange) error { return nil }))
}

func readChanges(t *testing.T, payload []byte, m *pack.Member) []history.RowChange {
	t.Helper()
	var got []history.RowChange
	err := pack.EachChange(payload, m, func(c *history.RowChange) error {
		kept := *c
		kept.Before, kept.After = c.Before.Clone(), c.After.Clone()
		got = append(got, kept)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

type transaction struct {
	seq     history.Seq
	tx      db.Tx
	touches []history.Touch
}

// allTransactions are transactions of every sort.
func allTransactions() []transaction {
	f := func(seq history.Seq, tx db.Tx, touches ...history.Touch) transaction {
		for i := range touches {
			touches[i].Tx = tx
		}
		return transaction{seq, tx, touches}
	}
	orders, lines := db.Name{Schema: "shop", Table: "orders"}, db.Name{Schema: "shop", Table: "order_lines"}
	at := started.Add(123456 * time.Microsecond)
	return []transaction{
		f(1, db.Tx{GTID: "0-1-270", File: "bin.000001", Start: 4, End: 900, At: at, Thread: 41, Server: 1},
			history.Touch{Table: orders, Inserted: 1, Updated: 2, Deleted: 3, Origin: history.MariaDB, Children: []db.Name{lines, orders}},
			history.Touch{
				Table: lines, Deleted: 1 << 40, Statement: "delete from order_lines", Statements: 3, NoWhere: "it has no WHERE",
				Incomplete: history.Minimal, ForeignKeysOff: true, Plan: "p-12",
			}),
		f(2, db.Tx{GTID: "0-1-271", File: "bin.000001", Start: 900, End: 950, At: at.Add(-time.Hour)},
			history.Touch{Table: orders, DDL: "drop column", Columns: []string{"a", "", "a"}, Statement: "cut \xc3"}),
		f(3, db.Tx{GTID: "3e11fa47-71ca-11e1-9e33-c80aa9429562:23", File: "bin.000002", Start: 4, End: 4}),
		f(7, db.Tx{GTID: "0-1-007", Thread: 1<<32 - 1, Server: 1<<32 - 1, At: at}),
		f(8, db.Tx{GTID: "no number", Start: 1 << 62, End: -1, At: at}),
		f(9, db.Tx{GTID: "18446744073709551615", At: at}, history.Touch{}),
		f(1<<63, db.Tx{GTID: "1-18446744073709551616", At: at}),
	}
}

func TestTransactionsComeBack(t *testing.T) {
	var w pack.TransactionWriter
	for range 2 {
		w.Reset()
		for _, x := range allTransactions() {
			w.Add(x.seq, &x.tx, x.touches)
		}
	}
	var got []transaction
	err := pack.EachTransaction(w.Bytes(), func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
		got = append(got, transaction{seq, tx, append([]history.Touch(nil), touches...)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, allTransactions())
	if w.Count() != int64(len(got)) || w.Len() != len(w.Bytes()) {
		t.Errorf("there are %d of %d bytes", w.Count(), w.Len())
	}
}

func allEvents() []history.Event {
	orders := db.Name{Schema: "shop", Table: "orders"}
	return []history.Event{
		{Seq: 4, At: started, Kind: history.Created, Table: orders, Definition: "d-1", Statement: "create table <orders> (…)"},
		{
			Seq: 5, At: started.Add(time.Microsecond), Kind: history.Altered, Table: orders, Was: "d-1", Definition: "d-2",
			Columns: []history.ColumnFrom{{Old: 1}, {Old: -1, Default: []byte{}}, {Old: -1, Default: []byte("\xff\x00")}, {Old: -1}},
		},
		{Seq: 6, At: started, Kind: history.Renamed, Table: orders, To: db.Name{Schema: "old", Table: "ord\xe9rs"}},
		{Seq: 6, Kind: history.Lost, Reason: "cut \xc3", Statement: "\x00delete\n"},
	}
}

func allDefinitions() []history.Definition {
	table := db.Table{
		Name: db.Name{Schema: "shop", Table: "orders"}, Engine: "InnoDB", Rows: -1,
		Columns: []db.Column{
			{Name: "id", DataType: "bigint", ColumnType: "bigint(20) unsigned", Unsigned: true, AutoInc: true},
			{Name: "état", DataType: "enum", ColumnType: "enum('new','gel\xf6scht')", Charset: "latin1", Elements: []string{"new", "gel\xf6scht", ""}},
		},
		Keys:    []db.Key{{Name: "PRIMARY", Columns: []int{0}, Primary: true, NotNull: true}},
		Parents: []db.ForeignKey{{Name: "f", Child: db.Name{Schema: "shop", Table: "orders"}, ChildColumns: []string{"id"}, OnDelete: "CASCADE"}},
	}
	return []history.Definition{
		{ID: "d-1", Table: &table, Script: []string{"create table orders (id int)", "alter table orders comment '\xff'"}},
		{ID: "d-2", Table: &db.Table{}},
	}
}

func allStatements() []pack.Statement {
	return []pack.Statement{
		{Kind: "view", Schema: "shop", Name: "open_orders", SQL: "create view open_orders as select 1 < 2;\n-- two lines"},
		{Kind: "grant", Name: "'app'@'%'", SQL: "grant select on `shop`.* to 'app'@'%' -- \xff"},
	}
}

func TestLinesComeBack(t *testing.T) {
	var events, definitions, statements []byte
	for _, e := range allEvents() {
		events = must(pack.AppendEvent(events, &e))(t)
	}
	for _, d := range allDefinitions() {
		definitions = must(pack.AppendDefinition(definitions, &d))(t)
	}
	for _, s := range allStatements() {
		statements = must(pack.AppendStatement(statements, &s))(t)
	}
	var gotEvents []history.Event
	fine(t, pack.EachEvent(events, func(e *history.Event) error { gotEvents = append(gotEvents, *e); return nil }))
	same(t, gotEvents, allEvents())
	var gotDefinitions []history.Definition
	fine(t, pack.EachDefinition(definitions, func(d *history.Definition) error { gotDefinitions = append(gotDefinitions, *d); return nil }))
	same(t, gotDefinitions, allDefinitions())
	var gotStatements []pack.Statement
	fine(t, pack.EachStatement(statements, func(s *pack.Statement) error { gotStatements = append(gotStatements, *s); return nil }))
	same(t, gotStatements, allStatements())
}

// What cannot be read again is not written.
func TestEmptyLinesAreRefused(t *testing.T) {
	f := func(_ []byte, err error) {
		t.Helper()
		if err == nil {
			t.Error("an empty record was written")
		}
	}
	f(pack.AppendEvent(nil, &history.Event{}))
	f(pack.AppendDefinition(nil, &history.Definition{ID: "d-1"}))
	f(pack.AppendDefinition(nil, &history.Definition{Table: &db.Table{}}))
	f(pack.AppendStatement(nil, &pack.Statement{Name: "v"}))
	damaged(t, pack.EachEvent([]byte("null\n"), nil))
	damaged(t, pack.EachDefinition([]byte(`{"id":"d-1"}`+"\n"), nil))
	damaged(t, pack.EachStatement([]byte("{}\n"), nil))
	damaged(t, pack.EachStatement([]byte(`{"kind":"view"}`), nil))
}

// An error of the reader's own ends the reading and comes back as it is.
func TestReadersMayStop(t *testing.T) {
	enough := errors.New("enough")
	f := func(what string, err error) {
		t.Helper()
		if err != enough { //nolint:errorlint // it must not be wrapped
			t.Errorf("%s: %v", what, err)
		}
	}
	var changes pack.ChangeWriter
	changes.Add(&allChanges()[0])
	var transactions pack.TransactionWriter
	transactions.Add(1, &db.Tx{}, nil)
	f("rows", pack.EachRow(db.AppendRow(nil, row()), func(db.Row) error { return enough }))
	f("changes", pack.EachChange(changes.Bytes(), &pack.Member{}, func(*history.RowChange) error { return enough }))
	f("transactions", pack.EachTransaction(transactions.Bytes(), func(history.Seq, db.Tx, []history.Touch) error { return enough }))
	f("events", pack.EachEvent(must(pack.AppendEvent(nil, &allEvents()[0]))(t), func(*history.Event) error { return enough }))
	f("definitions", pack.EachDefinition(must(pack.AppendDefinition(nil, &allDefinitions()[0]))(t),
		func(*history.Definition) error { return enough }))
	f("statements", pack.EachStatement(must(pack.AppendStatement(nil, &allStatements()[0]))(t), func(*pack.Statement) error { return enough }))
}

func TestDamagedRecords(t *testing.T) {
	changes := func(b ...byte) {
		t.Helper()
		damaged(t, pack.EachChange(b, &pack.Member{}, func(*history.RowChange) error { return nil }))
	}
	changes(0, 1, 0, 2, 0)                           // no operation
	changes(1, 1)                                    // no number
	changes(1|8, 1, 0, 1)                            // an insert with an update's flag
	changes(0x80|1, 1, 0, 1)                         // a flag nobody knows
	changes(2, 1, 0, 2, 0, 1)                        // a value differs that is not there
	changes(2, 1, 0, 2, 0, 0, 2, 0)                  // a value is there that does not differ
	changes(2, 1, 0, 0, 1)                           // an update to nothing
	changes(1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xf, 0) // a row of millions
	transactions := func(b ...byte) {
		t.Helper()
		damaged(t, pack.EachTransaction(b, func(history.Seq, db.Tx, []history.Touch) error { return nil }))
	}
	transactions(1, 2, 0, 0, 0, 0, 0, 0, 0)                               // a text that is not there
	transactions(1, 1, 200, 1, 'x', 0, 0, 0, 0, 0, 0, 0)                  // one that is cut short
	transactions(1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0)    // a thread of more than 32 bits
	transactions(1, 0, 0, 0, 0, 0, 0, 3, 0)                               // an unknown kind of GTID
	transactions(1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 1) // touches that do not come
	transactions(1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x7f, 0, 0, 0, 0, 0, 0) // unknown flags
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came back as\n%.2000v\nnot as\n%.2000v", got, want)
	}
}

func damaged(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*pack.CorruptError](err); !ok || e.Where == "" || e.Reason == "" {
		t.Errorf("damage is told as %v", err)
	}
}

func fine(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
