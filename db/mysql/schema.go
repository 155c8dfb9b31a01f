package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// Tables are the names of the base tables in schema, sorted; views and sequences are left
// out. An empty schema means all but the server's own.
func (c *Conn) Tables(ctx context.Context, schema string) ([]db.Name, error) {
	where := "TABLE_SCHEMA = " + literal(schema)
	if schema == "" {
		where = "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
	}
	var out []db.Name
	err := c.each(ctx, "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE "+where+
		" AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')", func(row []sql.NullString) {
		out = append(out, db.Name{Schema: row[0].String, Table: row[1].String})
	})
	if err != nil {
		return nil, c.failed(ctx, "list tables", err)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Schema != out[j].Schema {
			return out[i].Schema < out[j].Schema
		}
		return out[i].Table < out[j].Table
	})
	return out, nil
}

// Table reads a table's shape. An unknown table is a lull.Error of kind Usage that names
// the closest ones. Triggers are only seen with the TRIGGER privilege: see SeesTriggers.
//
// The hidden row_start and row_end of a MariaDB table WITH SYSTEM VERSIONING are not among
// the columns, though its rows in the binlog have them at the end.
func (c *Conn) Table(ctx context.Context, name db.Name) (*db.Table, error) {
	name, err := c.actualName(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &db.Table{Name: name, Rows: -1}
	for _, read := range []func(context.Context, *db.Table) error{
		c.readTable, c.readColumns, c.readKeys, c.readForeignKeys, c.readTriggers,
	} {
		if err := read(ctx, t); err != nil {
			return nil, c.failed(ctx, "read table "+name.String(), err)
		}
	}
	return t, nil
}

// NotTableError says that a name is that of something else than a base table.
type NotTableError struct {
	Name db.Name
	Kind string // "view", "sequence", ...
}

func (e *NotTableError) Error() string {
	return fmt.Sprintf("find table %s: it is a %s", e.Name, e.Kind)
}

// UnknownTableError says that there is no table of a name, or that the user may not see it;
// only Definition tells the two apart.
type UnknownTableError struct{ Name db.Name }

func (e *UnknownTableError) Error() string {
	return fmt.Sprintf("find table %s: there is no such table", e.Name)
}

// actualName is the name as the server keeps it.
func (c *Conn) actualName(ctx context.Context, name db.Name) (db.Name, error) {
	actual, kind, err := c.find(ctx, name)
	switch {
	case err != nil:
		return name, err
	case kind == "":
		return name, c.unknownTable(ctx, name)
	case !isTable(kind):
		return name, notTable(actual, kind)
	}
	return actual, nil
}

// find looks a name up that the user may see; kind is "" when there is none.
func (c *Conn) find(ctx context.Context, name db.Name) (actual db.Name, kind string, err error) {
	actual = name
	err = c.each(ctx, "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE "+c.is("TABLE_SCHEMA", name.Schema)+
		" AND "+c.is("TABLE_NAME", name.Table), func(row []sql.NullString) {
		if c.sameName(row[0].String, name.Table) {
			actual.Table, kind = row[0].String, row[1].String
		}
	})
	if err != nil {
		return name, "", c.failed(ctx, "find table "+name.String(), err)
	}
	return actual, kind, nil
}

func isTable(kind string) bool { return kind == "BASE TABLE" || kind == "SYSTEM VERSIONED" }

func notTable(name db.Name, kind string) error {
	return lull.Errorf(lull.Usage, "name the tables it reads from", "%w", &NotTableError{name, strings.ToLower(kind)})
}

// is compares a column of information_schema with a name, by the server's rules of case.
func (c *Conn) is(column, name string) string {
	switch c.LowerCaseNames {
	case 1:
		name = strings.ToLower(name)
	case 2:
		return "LOWER(" + column + ") = " + literal(strings.ToLower(name))
	}
	return column + " = " + literal(name)
}

// sameName is needed on top of is, because MariaDB's information_schema ignores case even
// where tables are told apart by it.
func (c *Conn) sameName(a, b string) bool {
	return a == b || c.LowerCaseNames != 0 && strings.EqualFold(a, b)
}

func (c *Conn) readTable(ctx context.Context, t *db.Table) error {
	return c.each(ctx, "SELECT TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES WHERE "+c.whereTable("TABLE", t.Name), func(row []sql.NullString) {
		if !c.sameName(row[0].String, t.Table) {
			return
		}
		t.Engine = row[1].String
		if n, err := strconv.ParseInt(row[2].String, 10, 64); err == nil {
			t.Rows = n
		}
	})
}

// whereTable is a condition on columns such as TABLE_SCHEMA and TABLE_NAME.
func (c *Conn) whereTable(prefix string, n db.Name) string {
	return c.is(prefix+"_SCHEMA", n.Schema) + " AND " + c.is(prefix+"_NAME", n.Table)
}

func (c *Conn) readColumns(ctx context.Context, t *db.Table) error {
	err := c.each(ctx, `SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, CHARACTER_SET_NAME, COLLATION_NAME,
		CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION
		FROM information_schema.COLUMNS WHERE `+c.whereTable("TABLE", t.Name)+" ORDER BY ORDINAL_POSITION", func(row []sql.NullString) {
		if c.sameName(row[0].String, t.Table) {
			t.Columns = append(t.Columns, column(row[1:]))
		}
	})
	if err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	if len(t.Columns) == 0 {
		return lull.Errorf(lull.Usage, fmt.Sprintf("GRANT SELECT ON %s.%s TO %s", quoteName(t.Schema), quoteName(t.Table), c.Account),
			"read table %s: its columns cannot be seen", t.Name)
	}
	for i := range t.Columns {
		if dt := t.Columns[i].DataType; dt == "enum" || dt == "set" {
			if err := c.setElements(ctx, &t.Columns[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// column makes a Column of: name, data type, column type, nullable, extra, charset,
// collation, character length, numeric precision, numeric scale, datetime precision.
func column(row []sql.NullString) db.Column {
	number := func(s sql.NullString) int { n, _ := strconv.Atoi(s.String); return n }
	extra := strings.ToUpper(row[4].String)
	col := db.Column{
		Name: row[0].String, DataType: strings.ToLower(row[1].String), ColumnType: row[2].String,
		Nullable:  row[3].String == "YES",
		Generated: isGenerated(extra),
		Invisible: strings.Contains(extra, "INVISIBLE"),
		AutoInc:   strings.Contains(extra, "AUTO_INCREMENT"),
		Charset:   row[5].String,
		Collation: row[6].String,
	}
	col.Unsigned = isUnsigned(col)
	switch col.DataType {
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		col.Charset, col.Collation = "binary", "binary"
	}
	switch col.DataType {
	case "binary":
		col.Length = number(row[7])
	case "bit":
		col.Length = number(row[8])
	case "decimal":
		col.Scale = number(row[9])
	case "time", "datetime", "timestamp":
		col.Scale = number(row[10])
	}
	return col
}

// isGenerated tells "VIRTUAL GENERATED" and "STORED GENERATED", and the older "VIRTUAL" and
// "PERSISTENT", from MySQL's "DEFAULT_GENERATED", which is a default and is written.
func isGenerated(extra string) bool {
	for word := range strings.FieldsSeq(extra) {
		switch word {
		case "GENERATED", "VIRTUAL", "PERSISTENT":
			return true
		}
	}
	return false
}

// isUnsigned looks for the word after the parenthesis, so that a member of an ENUM cannot
// be taken for it.
func isUnsigned(col db.Column) bool {
	switch col.DataType {
	case "enum", "set":
		return false
	}
	_, after, ok := strings.Cut(col.ColumnType, ")")
	if !ok {
		after = col.ColumnType
	}
	// ZEROFILL implies UNSIGNED, which every version prints as well.
	return slices.Contains(strings.Fields(after), "unsigned")
}
