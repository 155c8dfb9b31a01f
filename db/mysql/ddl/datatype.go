package ddl

import (
	"strconv"
	"strings"
)

// dataType is a column's type as it is written: the type's own word after synonyms, and what
// stands in its parentheses.
type dataType struct {
	base     string // canonical type: "bigint"
	args     []Token
	given    bool   // parentheses were written
	charset  string // by the type itself (NCHAR), later the column's
	unsigned bool   // by the type itself: SERIAL
	serial   bool
}

// synonym is the canonical type of a word, for types of one word.
func synonym(word string) string {
	switch word {
	case "integer", "int4":
		return "int"
	case "int1":
		return "tinyint"
	case "int2":
		return "smallint"
	case "int3", "middleint":
		return "mediumint"
	case "int8":
		return "bigint"
	case "dec", "numeric", "fixed":
		return "decimal"
	case "real", "float8":
		return "double"
	case "float4":
		return "float"
	case "character", "nchar":
		return "char"
	case "varcharacter", "nvarchar":
		return "varchar"
	}
	return word
}

// dataType takes a type with its parentheses.
func (c *cursor) dataType() (dataType, error) {
	t := c.peek()
	if t.Kind != Word && t.Kind != Ident {
		return dataType{}, c.expected("a column type")
	}
	c.i++
	word := strings.ToLower(t.Text)
	d := dataType{base: synonym(word)}
	if word == "national" {
		word = strings.ToLower(c.peek().Text)
		if c.any("CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER") {
			d.base = synonym(word)
		}
		word = "nchar"
	}
	if word == "nchar" || word == "nvarchar" {
		d.charset = "utf8mb3"
	}
	c.secondWord(&d)
	if c.peek().isOp("(") {
		if err := c.typeArgs(&d); err != nil {
			return d, err
		}
	}
	d.settle(word)
	return d, nil
}

// secondWord takes what follows the first word of a type of several words.
func (c *cursor) secondWord(d *dataType) {
	switch d.base {
	case "char":
		if c.any("VARYING") {
			d.base = "varchar"
		}
	case "double":
		c.any("PRECISION")
	case "long":
		d.base = "mediumtext"
		switch {
		case c.any("VARBINARY"):
			d.base = "mediumblob"
		case c.any("CHAR", "CHARACTER"):
			c.any("VARYING")
		default:
			c.any("VARCHAR", "VARCHARACTER")
		}
	}
}

func (c *cursor) typeArgs(d *dataType) error {
	c.i++
	d.given = true
	for {
		t := c.peek()
		if t.Kind == End || t.Kind == Bad || t.Kind == Op {
			return c.expected("a length or an element")
		}
		c.i++
		d.args = append(d.args, t)
		if c.op(")") {
			return nil
		}
		if !c.op(",") {
			return c.expected(`"," or ")"`)
		}
	}
}

// settle applies the rules that need the parentheses: word is the type as written.
func (d *dataType) settle(word string) {
	switch {
	case word == "bool" || word == "boolean":
		d.base, d.given, d.args = "tinyint", true, []Token{{Kind: Number, Text: "1"}}
	case word == "serial":
		d.base, d.unsigned, d.serial = "bigint", true, true
	case d.base == "float" && len(d.args) == 1:
		if d.number(0, 0) > 24 {
			d.base = "double"
		}
		d.args, d.given = nil, false
	}
}

// number is the i-th number in the parentheses, or other.
func (d *dataType) number(i, other int) int {
	if i >= len(d.args) {
		return other
	}
	n, err := strconv.Atoi(d.args[i].Text)
	if err != nil || n < 0 {
		return other
	}
	return n
}

// isText says that a type has a character set.
func isText(base string) bool {
	switch base {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set":
		return true
	}
	return false
}

func isBinary(base string) bool {
	switch base {
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return true
	}
	return false
}

// binaryType is the type that a text type becomes in the character set binary.
func binaryType(base string) string {
	switch base {
	case "char":
		return "binary"
	case "varchar":
		return "varbinary"
	}
	return strings.Replace(base, "text", "blob", 1)
}

// sized is the smallest TEXT or BLOB that holds length characters.
func sized(base string, length, width int) string {
	bytes := length * width
	switch {
	case bytes < 1<<8:
		return "tiny" + base
	case bytes < 1<<16:
		return base
	case bytes < 1<<24:
		return "medium" + base
	}
	return "long" + base
}

// scale is the number of fractional digits the type keeps.
func (d *dataType) scale() int {
	switch d.base {
	case "decimal":
		return d.number(1, 0)
	case "time", "datetime", "timestamp":
		return d.number(0, 0)
	}
	return 0
}

// length is the number of bytes of BINARY and bits of BIT.
func (d *dataType) length() int {
	if d.base == "binary" || d.base == "bit" {
		return d.number(0, 1)
	}
	return 0
}

// print is the type as the servers print it, without unsigned and zerofill. An integer's
// display width is kept as written.
func (d *dataType) print() string {
	switch d.base {
	case "enum", "set":
		return d.base + "(" + printElements(d.args, d.charset == "binary") + ")"
	case "decimal":
		return "decimal(" + strconv.Itoa(d.number(0, 10)) + "," + strconv.Itoa(d.scale()) + ")"
	case "char", "binary", "bit":
		return d.base + "(" + strconv.Itoa(d.number(0, 1)) + ")"
	case "time", "datetime", "timestamp":
		if d.scale() == 0 {
			return d.base
		}
	}
	if !d.given || strings.HasSuffix(d.base, "text") || strings.HasSuffix(d.base, "blob") {
		return d.base
	}
	args := make([]string, len(d.args))
	for i, a := range d.args {
		args[i] = a.Text
	}
	return d.base + "(" + strings.Join(args, ",") + ")"
}

func printElements(args []Token, keepSpaces bool) string {
	escape := strings.NewReplacer("'", "''", `\`, `\\`, "\x00", `\0`, "\n", `\n`, "\r", `\r`)
	var b strings.Builder
	for i, a := range args {
		if i > 0 {
			b.WriteByte(',')
		}
		text := element(a)
		if !keepSpaces {
			text = strings.TrimRight(text, " ")
		}
		b.WriteString("'" + escape.Replace(text) + "'")
	}
	return b.String()
}

// element is the text of an ENUM or SET member.
func element(t Token) string {
	if t.Kind != Hex || len(t.Text)%2 != 0 {
		return t.Text
	}
	out := make([]byte, 0, len(t.Text)/2)
	for i := 0; i < len(t.Text); i += 2 {
		n, err := strconv.ParseUint(t.Text[i:i+2], 16, 8)
		if err != nil {
			return t.Text
		}
		out = append(out, byte(n))
	}
	return string(out)
}
