package binlog

import (
	"fmt"
	"strings"

	"github.com/lull-ops/lull/db"
)

// Fits says that a table's column can be what the log's column was: same storage type. It
// is how shapes of a table from before a DDL statement are told apart. A column with an
// empty DataType is of unknown type and fits all.
func (c *Column) Fits(s *db.Column) bool {
	if s.DataType == "" {
		return true
	}
	if c.Name != "" && s.Name != "" && !strings.EqualFold(c.Name, s.Name) {
		return false
	}
	switch c.Type {
	case TypeNewDecimal:
		return s.DataType == "decimal" && int(c.Meta&0xff) == s.Scale
	case TypeTimestamp2, TypeDatetime2, TypeTime2:
		return one(s.DataType, fits[c.Type]) && int(c.Meta) == s.Scale
	case TypeString:
		return c.fitsString(s)
	case TypeVarchar, TypeVarString, TypeVarcharCompressed:
		return one(s.DataType, fits[TypeVarchar])
	case TypeBit:
		return s.DataType == "bit" && (s.Length == 0 || int(c.Meta>>8)*8+int(c.Meta&0xff) == s.Length)
	case TypeEnum:
		return s.DataType == "enum" && (len(s.Elements) > 255) == (c.Meta == 2)
	case TypeBlob, TypeBlobCompressed:
		return c.fitsBlob(s)
	}
	return one(s.DataType, fits[c.Type])
}

// one says that word is among the space-separated words.
func one(word, words string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

// fits is the column types, as information_schema spells them, that a log type can be.
var fits = map[Type]string{
	TypeTiny: "tinyint", TypeShort: "smallint", TypeInt24: "mediumint", TypeLong: "int", TypeLongLong: "bigint",
	TypeFloat: "float", TypeDouble: "double", TypeYear: "year", TypeDate: "date", TypeNewDate: "date",
	TypeTime: "time", TypeTime2: "time", TypeDatetime: "datetime", TypeDatetime2: "datetime",
	TypeTimestamp: "timestamp", TypeTimestamp2: "timestamp", TypeVarchar: "varchar varbinary vector",
	TypeSet: "set", TypeJSON: "json", TypeVector: "vector",
	TypeGeometry: "geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection geomcollection",
}

// fitsString matches CHAR and the fixed binary types; the log has the length in bytes.
func (c *Column) fitsString(s *db.Column) bool {
	switch s.DataType {
	case "char":
		return true
	case "binary":
		return s.Length == 0 || s.Length == int(c.Meta)
	case "uuid", "inet6":
		return c.Meta == 16
	case "inet4":
		return c.Meta == 4
	}
	return false
}

// fitsBlob matches the blob family by the size of its length prefix. MariaDB writes JSON as LONGTEXT.
func (c *Column) fitsBlob(s *db.Column) bool {
	switch s.DataType {
	case "tinyblob", "tinytext":
		return c.Meta == 1
	case "blob", "text":
		return c.Meta == 2
	case "mediumblob", "mediumtext":
		return c.Meta == 3
	case "longblob", "longtext", "json":
		return c.Meta == 4
	}
	return false
}

// Shape is the table as the log's own metadata describes it: nil when the log has no column
// names (binlog_row_metadata is not FULL). Types the log does not tell apart come out as the
// plainer one: UUID and INET6 as BINARY(16).
func (t *TableMap) Shape() *db.Table {
	if !t.HasNames {
		return nil
	}
	out := &db.Table{Name: db.Name{Schema: t.Schema, Table: t.Table}, Rows: -1}
	for i := range t.Columns {
		out.Columns = append(out.Columns, t.Columns[i].Described())
	}
	if len(t.PrimaryKey) > 0 {
		out.Keys = []db.Key{{Name: "PRIMARY", Columns: t.PrimaryKey, Primary: true, NotNull: true, Prefix: t.PrefixKey}}
	}
	return out
}

// Described is the column as far as the log describes it.
func (c *Column) Described() db.Column {
	out := db.Column{Name: c.Name, Unsigned: c.Unsigned, Nullable: c.Nullable, Elements: c.Elements, Invisible: c.Invisible}
	if c.Collation == binaryCollation {
		out.Charset, out.Collation = "binary", "binary"
	}
	out.DataType = c.dataType()
	out.ColumnType = out.DataType
	switch c.Type {
	case TypeNewDecimal:
		out.Scale = int(c.Meta & 0xff)
		out.ColumnType = fmt.Sprintf("decimal(%d,%d)", c.Meta>>8, out.Scale)
	case TypeTimestamp2, TypeDatetime2, TypeTime2:
		out.Scale = int(c.Meta)
	case TypeBit:
		out.Length = int(c.Meta>>8)*8 + int(c.Meta&0xff)
	case TypeString, TypeVarchar:
		out.Length = int(c.Meta)
	}
	if c.Unsigned {
		out.ColumnType += " unsigned"
	}
	return out
}

const binaryCollation = 63

func (c *Column) dataType() string {
	binary := c.Collation == binaryCollation
	pick := func(text, bytes string) string {
		if binary {
			return bytes
		}
		return text
	}
	switch c.Type {
	case TypeString:
		return pick("char", "binary")
	case TypeVarchar, TypeVarString, TypeVarcharCompressed:
		return pick("varchar", "varbinary")
	case TypeBlob, TypeBlobCompressed:
		return pick([]string{"", "tinytext", "text", "mediumtext", "longtext"}[c.Meta],
			[]string{"", "tinyblob", "blob", "mediumblob", "longblob"}[c.Meta])
	case TypeEnum:
		return "enum"
	case TypeBit:
		return "bit"
	case TypeNewDecimal:
		return "decimal"
	case TypeGeometry:
		return "geometry"
	}
	return fits[c.Type]
}
