// Package db holds the words for speaking to any database: values, rows, tables, changes
// and positions. Engines live in the packages below it; nothing here does I/O.
package db

import "time"

// State says whether a Value is known.
type State uint8

// The states of a value.
const (
	Null   State = iota // SQL NULL
	Set                 // Data holds the value
	Absent              // the log did not record this column for this row
)

// Value is one column's value in its engine's canonical text: a form that is equal byte
// for byte exactly when the stored values are equal, whichever way the value was read.
// package db/mysql documents the form for each MySQL type.
type Value struct {
	Data  []byte
	State State
	// Expr is set when Data is not enough to store the value again: an SQL expression that
	// is (MySQL JSON documents that hold decimals, dates or other types text has no form for).
	Expr []byte
}

// Row is one row's values, in the order of its Table's Columns.
type Row []Value

// Op is what a Change did to its row.
type Op uint8

// The changes there are.
const (
	Insert Op = iota + 1
	Update
	Delete
)

// Change is one row before and after. Before is nil for an Insert, After for a Delete.
// Rows are only valid until the next Change is read unless Clone is called.
type Change struct {
	Op            Op
	Table         *Table
	Before, After Row
}

// Column describes one column of a table.
type Column struct {
	Name       string
	DataType   string // bare type in lower case: "bigint", "varchar", "enum"
	ColumnType string // whole type as the engine prints it: "bigint(20) unsigned"
	Unsigned   bool
	Nullable   bool
	Generated  bool // computed from an expression, virtual or stored: never written
	Invisible  bool
	AutoInc    bool
	Charset    string // "" for types without one; "binary" for BINARY, VARBINARY, BLOB
	Collation  string
	Elements   []string // members of ENUM and SET, in order, as bytes in Charset
	Length     int      // BINARY(n): n bytes, BIT(n): n bits; 0 when it does not matter
	Scale      int      // fractional digits of DECIMAL, TIME, DATETIME, TIMESTAMP
}

// Key is a primary or unique index.
type Key struct {
	Name    string
	Columns []int // indexes into Table.Columns, in index order
	Primary bool
	// NotNull says that every column is NOT NULL, so that the key tells rows apart.
	NotNull bool
	// Prefix says that some column is indexed by prefix or expression: it cannot tell rows apart.
	Prefix bool
}

// ForeignKey is a reference from a child table to a parent table.
type ForeignKey struct {
	Name          string
	Child         Name
	ChildColumns  []string
	Parent        Name
	ParentColumns []string
	OnDelete      string // "CASCADE", "SET NULL", "RESTRICT", "NO ACTION", "SET DEFAULT"
	OnUpdate      string
}

// Trigger is a trigger on a table.
type Trigger struct {
	Name   string
	Timing string // "BEFORE" or "AFTER"
	Event  string // "INSERT", "UPDATE" or "DELETE"
}

// Name is a table's qualified name.
type Name struct{ Schema, Table string }

// String is "schema.table".
func (n Name) String() string { return n.Schema + "." + n.Table }

// Table is a table's shape at one moment.
type Table struct {
	Name
	Engine   string // storage engine: "InnoDB"; "" when unknown
	Columns  []Column
	Keys     []Key        // primary key first
	Parents  []ForeignKey // references this table makes
	Children []ForeignKey // references made to this table
	Triggers []Trigger
	Rows     int64 // the engine's estimate; -1 when unknown
}

// Index is the place of the named column, or -1. MySQL column names ignore case.
func (t *Table) Index(name string) int {
	for i := range t.Columns {
		if equalFold(t.Columns[i].Name, name) {
			return i
		}
	}
	return -1
}

// RowKey is the key that tells rows apart: the primary key, else the first unique key
// that is NOT NULL and indexes whole columns; nil when there is none.
func (t *Table) RowKey() []int {
	for _, k := range t.Keys {
		if k.Primary && !k.Prefix {
			return k.Columns
		}
	}
	for _, k := range t.Keys {
		if k.NotNull && !k.Prefix {
			return k.Columns
		}
	}
	return nil
}

// Position is a place in a server's log. File and Offset are bytes in a binlog; GTID is the
// transaction's global id where the server has one.
type Position struct {
	File   string
	Offset int64
	GTID   string
}

// Tx is what is known of one transaction.
type Tx struct {
	GTID   string
	File   string
	Start  int64 // offset of the transaction's first event
	End    int64 // offset just after its last event
	At     time.Time
	Thread uint32 // connection id on the server, 0 when the log has none
	Server uint32 // server_id of the origin
}
