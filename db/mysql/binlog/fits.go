package binlog

import (
	"fmt"
	"strings"

	"github.com/lull-ops/lull/db"
)

// Fits says that a table's column can be what the log's column was: same storage type. It
// is how shapes of a table from before a DDL statement are told apart. A column with an
// empty DataType is of unknown type and fits all.
func (col *Column) Fits(s *db.Column) bool {
	if s.DataType == "" {
		return true
	}
	if col.Name != "" && s.Name != "" && !strings.EqualFold(col.Name, s.Name) {
		return false
	}
	switch col.Type {
	case TypeNewDecimal:
		return s.DataType == "decimal" && int(col.Meta&0xff) == s.Scale
	case TypeTimestamp2, TypeDatetime2, TypeTime2:
		return one(s.DataType, fits[col.Type]) && int(col.Meta) == s.Scale
	case TypeString:
		return col.fitsString(s)
	case TypeVarchar, TypeVarString, TypeVarcharCompressed:
		return one(s.DataType, fits[TypeVarchar])
	case TypeBit:
		return s.DataType == "bit" && (s.Length == 0 || int(col.Meta>>8)*8+int(col.Meta&0xff) == s.Length)
	case TypeEnum:
		return s.DataType == "enum" && (len(s.Elements) > 255) == (col.Meta == 2)
	case TypeBlob, TypeBlobCompressed:
		return col.fitsBlob(s)
	}
	return one(s.DataType, fits[col.Type])
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
func (col *Column) fitsString(s *db.Column) bool {
	switch s.DataType {
	case "char":
		return true
	case "binary":
		return s.Length == 0 || s.Length == int(col.Meta)
	case "uuid", "inet6":
		return col.Meta == 16
	case "inet4":
		return col.Meta == 4
	}
	return false
}

// fitsBlob matches the blob family by the size of its length prefix. MariaDB writes JSON as LONGTEXT.
func (col *Column) fitsBlob(s *db.Column) bool {
	switch s.DataType {
	case "tinyblob", "tinytext":
		return col.Meta == 1
	case "blob", "text":
		return col.Meta == 2
	case "mediumblob", "mediumtext":
		return col.Meta == 3
	case "longblob", "longtext", "json":
		return col.Meta == 4
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
func (col *Column) Described() db.Column {
	out := db.Column{Name: col.Name, Unsigned: col.Unsigned, Nullable: col.Nullable, Elements: col.Elements, Invisible: col.Invisible}
	if col.Collation == binaryCollation {
		out.Charset, out.Collation = "binary", "binary"
	}
	out.DataType = col.dataType()
	out.ColumnType = out.DataType
	switch col.Type {
	case TypeNewDecimal:
		out.Scale = int(col.Meta & 0xff)
		out.ColumnType = fmt.Sprintf("decimal(%d,%d)", col.Meta>>8, out.Scale)
	case TypeTimestamp2, TypeDatetime2, TypeTime2:
		out.Scale = int(col.Meta)
	case TypeBit:
		out.Length = int(col.Meta>>8)*8 + int(col.Meta&0xff)
	case TypeString, TypeVarchar:
		out.Length = int(col.Meta)
	}
	if col.Unsigned {
		out.ColumnType += " unsigned"
	}
	return out
}

const binaryCollation = 63

func (col *Column) dataType() string {
	binary := col.Collation == binaryCollation
	pick := func(text, bytes string) string {
		if binary {
			return bytes
		}
		return text
	}
	switch col.Type {
	case TypeString:
		return pick("char", "binary")
	case TypeVarchar, TypeVarString, TypeVarcharCompressed:
		return pick("varchar", "varbinary")
	case TypeBlob, TypeBlobCompressed:
		return pick([]string{"", "tinytext", "text", "mediumtext", "longtext"}[col.Meta],
			[]string{"", "tinyblob", "blob", "mediumblob", "longblob"}[col.Meta])
	case TypeEnum:
		return "enum"
	case TypeBit:
		return "bit"
	case TypeNewDecimal:
		return "decimal"
	case TypeGeometry:
		return "geometry"
	}
	return fits[col.Type]
}
