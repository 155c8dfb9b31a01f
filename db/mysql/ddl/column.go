package ddl

import (
	"strings"

	"github.com/lull-ops/lull/db"
)

// columnDef is a column as it is written, before the table's character set is known.
type columnDef struct {
	col      db.Column
	typ      dataType
	charset  string
	collate  string
	binary   bool // the BINARY attribute: the character set's _bin collation
	zerofill bool
	packed   bool // MariaDB COMPRESSED
	primary  bool
	unique   bool
	rowStart bool // GENERATED ALWAYS AS ROW START or END
	rowEnd   bool
	refers   *db.ForeignKey
	first    bool
	after    string

	// def is the expression after DEFAULT; nil when there is none.
	def []Token
}

// column takes a name, a type and attributes, up to the end of the item.
func (c *cursor) column(schema string) (*columnDef, error) {
	name, ok := c.name()
	if !ok {
		return nil, c.expected("a column name")
	}
	typ, err := c.dataType()
	if err != nil {
		return nil, err
	}
	d := &columnDef{typ: typ, charset: typ.charset}
	d.col = db.Column{Name: name, Nullable: true, Unsigned: typ.unsigned}
	if typ.serial {
		d.col.Nullable, d.col.AutoInc, d.unique = false, true, true
	}
	for !c.atItemEnd() {
		if c.peek().Kind == Bad {
			return nil, c.expected("an attribute of column " + name)
		}
		c.attribute(d, schema)
	}
	d.resolve("", "")
	return d, nil
}

// attribute takes one attribute of a column. What does not change the column's shape is
// skipped token by token.
func (c *cursor) attribute(d *columnDef, schema string) {
	if c.typeAttribute(d) || c.keyAttribute(d, schema) {
		return
	}
	switch {
	case c.words("NOT", "NULL"):
		d.col.Nullable = false
	case c.any("NULL"):
		d.col.Nullable = true
	case c.any("DEFAULT"):
		from := c.i
		c.value()
		d.def = c.toks[from:c.i]
	case c.words("ON", "UPDATE"):
		c.value()
	case c.words("GENERATED", "ALWAYS", "AS"), c.any("AS"):
		d.col.Generated = true
		d.rowStart = c.words("ROW", "START")
		d.rowEnd = c.words("ROW", "END")
		c.group()
	case c.any("INVISIBLE"):
		d.col.Invisible = true
	case c.any("VISIBLE"):
		d.col.Invisible = false
	case c.any("COMMENT", "COLUMN_FORMAT", "STORAGE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "SRID"):
		c.op("=")
		c.i++
	case c.any("FIRST"):
		d.first = true
	case c.any("AFTER"):
		d.after, _ = c.name()
	default:
		if !c.group() {
			c.i++
		}
	}
}

// typeAttribute takes an attribute that belongs to the type.
func (c *cursor) typeAttribute(d *columnDef) bool {
	switch {
	case c.any("UNSIGNED"):
		d.col.Unsigned = true
	case c.any("SIGNED"):
	case c.any("ZEROFILL"):
		d.col.Unsigned, d.zerofill = true, true
	case c.charsetWord():
		d.charset, _ = c.option()
	case c.any("COLLATE"):
		d.collate, _ = c.option()
	case c.any("BINARY"):
		d.binary = true
	case c.any("ASCII"):
		d.charset = "latin1"
	case c.any("UNICODE"):
		d.charset = "ucs2"
	case c.any("BYTE"):
		d.charset = "binary"
	case c.any("COMPRESSED"):
		d.packed = true
		if c.op("=") {
			c.i++
		}
	default:
		return false
	}
	return true
}

// keyAttribute takes a key or a constraint that is written with the column.
func (c *cursor) keyAttribute(d *columnDef, schema string) bool {
	switch {
	case c.any("AUTO_INCREMENT"):
		d.col.AutoInc, d.col.Nullable = true, false
	case c.words("SERIAL", "DEFAULT", "VALUE"):
		d.col.AutoInc, d.col.Nullable, d.unique = true, false, true
	case c.any("UNIQUE"):
		c.any("KEY")
		d.unique = true
	case c.words("PRIMARY", "KEY"), c.any("KEY"):
		d.primary, d.col.Nullable = true, false
	case c.any("REFERENCES"):
		fk := &db.ForeignKey{ChildColumns: []string{d.col.Name}}
		if c.referenced(fk, schema) == nil {
			d.refers = fk
		}
	case c.any("CONSTRAINT"):
		if !c.peek().isOneOf("CHECK", "REFERENCES", "PRIMARY", "UNIQUE") {
			c.name()
		}
	default:
		return false
	}
	return true
}

// charsetWord takes CHARACTER SET or CHARSET.
func (c *cursor) charsetWord() bool {
	return c.words("CHARACTER", "SET") || c.words("CHAR", "SET") || c.any("CHARSET")
}

// option takes the value of an option: [=] word or 'string'.
func (c *cursor) option() (string, bool) {
	c.op("=")
	if t := c.peek(); t.Kind == String {
		c.i++
		return t.Text, true
	}
	return c.name()
}

// value skips the expression after DEFAULT or ON UPDATE, so that its NULL or its words are
// not taken for attributes.
func (c *cursor) value() {
	for c.op("-") || c.op("+") {
	}
	if c.group() || c.atItemEnd() {
		return
	}
	c.i++
	if c.peek().Kind == String || c.peek().Kind == Hex {
		c.i++ // _utf8mb4'text'
	}
	for c.op(".") && !c.atItemEnd() {
		c.i++
	}
	if c.words("VALUE", "FOR") { // NEXT VALUE FOR s
		c.table("")
	}
	c.group()
}

// resolve fills in what depends on the table's character set, "" when it is not known.
func (d *columnDef) resolve(charset, collation string) {
	typ := d.typ
	d.col.Charset, d.col.Collation = "", ""
	d.col.Elements = nil
	if isText(typ.base) {
		typ.base = d.resolveText(charset, collation)
	}
	if (typ.base == "text" || typ.base == "blob") && typ.number(0, 0) > 0 {
		typ.base = sized(typ.base, typ.number(0, 0), maxBytes(d.col.Charset))
	}
	if isBinary(typ.base) {
		d.col.Charset, d.col.Collation = "binary", "binary"
	}
	d.col.DataType, d.col.Scale, d.col.Length = typ.base, typ.scale(), typ.length()
	typ.charset = d.col.Charset
	d.col.ColumnType = typ.print()
	if d.col.Unsigned {
		d.col.ColumnType += " unsigned"
	}
	if d.zerofill {
		d.col.ColumnType += " zerofill"
	}
	if d.packed {
		d.col.ColumnType += " /*M!100301 COMPRESSED*/"
	}
}

// resolveText settles character set, collation and elements, and is the type they lead to.
func (d *columnDef) resolveText(charset, collation string) string {
	cs, coll := charset, collation
	switch {
	case d.collate != "":
		if d.charset != "" {
			cs = canonCharset(d.charset)
		}
		cs, coll = collationOf(cs, d.collate)
	case d.charset != "":
		cs, coll = collationOf(d.charset, "")
	}
	if d.binary && cs != "" && cs != "binary" {
		coll = cs + "_bin"
	}
	d.col.Charset, d.col.Collation = cs, coll
	if d.typ.base == "enum" || d.typ.base == "set" {
		d.col.Elements = elements(d.typ.args, cs)
		return d.typ.base
	}
	if cs == "binary" {
		return binaryType(d.typ.base)
	}
	return d.typ.base
}

// elements are the members of an ENUM or SET in a character set. Servers strip trailing
// spaces from them, except in the character set binary.
func elements(args []Token, charset string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		s := element(a)
		if a.Kind != Hex {
			if charset != "binary" {
				s = strings.TrimRight(s, " ")
			}
			s = encode(s, charset)
		}
		out[i] = s
	}
	return out
}
