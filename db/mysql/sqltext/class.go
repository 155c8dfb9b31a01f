package sqltext

import "github.com/lull-ops/lull/db"

// class groups the types that share a literal form.
type class uint8

const (
	integer  class = iota // digits
	decimal               // digits with a fixed fraction
	float                 // FLOAT, DOUBLE
	bits                  // BIT
	enum                  // by index
	set                   // by mask
	year                  // four digits
	temporal              // DATE, TIME, DATETIME, TIMESTAMP
	text                  // bytes in a character set
	binary                // bytes
	json                  // JSON
	opaque                // GEOMETRY, VECTOR: bytes that cannot be compared as they are
	named                 // UUID, INET4, INET6: ASCII names of a binary value
)

func classOf(c *db.Column) class {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "bool", "boolean":
		return integer
	case "decimal", "numeric", "dec", "fixed":
		return decimal
	case "float", "double", "real":
		return float
	case "bit":
		return bits
	case "enum":
		return enum
	case "set":
		return set
	case "year":
		return year
	case "date", "time", "datetime", "timestamp":
		return temporal
	case "json":
		return json
	case "uuid", "inet4", "inet6":
		return named
	case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
		"multipolygon", "geometrycollection", "geomcollection", "vector":
		return opaque
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return binary
	}
	if c.Charset == "binary" {
		return binary
	}
	return text
}

// unit is the size in bytes of the charset's code unit. A server pads text that ends in
// the middle of a unit instead of refusing it.
func unit(charset string) int {
	switch charset {
	case "utf16", "utf16le", "ucs2":
		return 2
	case "utf32":
		return 4
	}
	return 1
}

// quotable says that the bytes of a quote and a backslash never occur inside another
// character, so that escaped text may follow an introducer.
func quotable(charset string) bool {
	switch charset {
	case "sjis", "cp932", "gbk", "big5", "gb18030":
		return false
	}
	return unit(charset) == 1
}
