package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// mostColumns is the most columns a table can have on any server.
const mostColumns = 4096

// tableDef is a table with what its later columns need to know.
type tableDef struct {
	*db.Table
	charset, collation string // default of the table; "" when the server's default holds
	versioned          bool
	defs               []*columnDef
	keys               []*keyDef
}

// tableBody takes "(columns and keys) options" of CREATE TABLE.
func (c *cursor) tableBody(t *tableDef) error {
	line := c.line()
	if !c.op("(") {
		return c.expected(`"(" and the columns of table ` + t.Table.Table)
	}
	for {
		if err := c.tableItem(t); err != nil {
			return err
		}
		if c.op(")") {
			break
		}
		if !c.op(",") {
			return c.expected(`"," or ")" in table ` + t.Table.Table)
		}
	}
	if err := c.tableOptions(t); err != nil {
		return err
	}
	if err := t.build(); err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

func (c *cursor) tableItem(t *tableDef) error {
	k, ok, err := c.tableKey(t.Schema)
	if err != nil {
		return err
	}
	if ok {
		t.keys = append(t.keys, k)
		return nil
	}
	d, err := c.column(t.Schema)
	if err != nil {
		return err
	}
	if len(t.defs) == mostColumns {
		return c.expected(fmt.Sprintf("at most %d columns", mostColumns))
	}
	t.defs = append(t.defs, d)
	t.keys = append(t.keys, d.keys()...)
	return nil
}

// tableOptions takes character set, engine and versioning out of a table's options.
func (c *cursor) tableOptions(t *tableDef) error {
	var charset, collate string
	for !c.done() {
		switch {
		case c.charsetWord():
			charset, _ = c.option()
		case c.any("COLLATE"):
			collate, _ = c.option()
		case c.any("ENGINE", "TYPE"):
			t.Engine, _ = c.option()
		case c.words("WITH", "SYSTEM", "VERSIONING"):
			t.versioned = true
		case c.peek().isOneOf("SELECT", "WITH"):
			return c.expected("a table without SELECT, whose columns cannot be known from the file")
		default:
			if !c.group() {
				c.i++
			}
		}
	}
	t.setCharset(charset, collate)
	return nil
}

// setCharset changes the table's default; both empty leave it as it is.
func (t *tableDef) setCharset(charset, collate string) {
	if charset == "" && collate == "" {
		return
	}
	if charset == "" {
		charset = t.charset
	}
	t.charset, t.collation = collationOf(charset, collate)
}

// build makes the table's columns and keys from the definitions.
func (t *tableDef) build() error {
	explicit := false
	for _, d := range t.defs {
		d.resolve(t.charset, t.collation)
		if d.rowStart || d.rowEnd {
			explicit, d.col.Nullable = true, false
		}
		t.Columns = append(t.Columns, d.col)
	}
	if t.versioned && !explicit {
		t.Columns = append(t.Columns, hiddenPeriod()...)
	}
	k := newKeyer(t.Table)
	for _, def := range t.keys {
		if def.period != "" {
			if err := k.add(def); err != nil {
				return err
			}
		}
	}
	for _, def := range t.keys {
		if err := k.add(def); err != nil {
			return err
		}
	}
	if t.versioned {
		keysByVersion(t.Table)
	}
	settleKeys(t.Table)
	t.defs, t.keys = nil, nil
	return nil
}

// keysByVersion puts the end of the row's life into each key, as MariaDB does: a table WITH
// SYSTEM VERSIONING keeps old rows beside the current one.
func keysByVersion(t *db.Table) {
	end := len(t.Columns) - 1
	for i, c := range t.Columns {
		if isRowBound(c) {
			end = i
		}
	}
	for i := range t.Keys {
		k := &t.Keys[i]
		if !slices.Contains(k.Columns, end) {
			k.Columns = append(k.Columns, end)
		}
	}
}

// hiddenPeriod is the columns that MariaDB puts behind the others of a table WITH SYSTEM
// VERSIONING that names none itself. SHOW CREATE TABLE hides them, the binlog has them.
func hiddenPeriod() []db.Column {
	c := db.Column{Name: "row_start", DataType: "timestamp", ColumnType: "timestamp(6)", Generated: true, Invisible: true, Scale: 6}
	end := c
	end.Name = "row_end"
	return []db.Column{c, end}
}

// hiddenTail is how many columns at the end are hiddenPeriod's.
func hiddenTail(cols []db.Column) int {
	n := len(cols)
	if n < 2 || !hidden(cols[n-2], "row_start") || !hidden(cols[n-1], "row_end") {
		return 0
	}
	return 2
}

func hidden(c db.Column, name string) bool {
	return c.Generated && c.Invisible && strings.EqualFold(c.Name, name)
}
