package binlogs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/db/mysql/sqltext"
	"github.com/lull-ops/lull/keep/history"
)

// columnsFrom says where the values of each column of now come from in rows that were there
// before the ALTER. why is not empty when that does not tell all of them.
func columnsFrom(was, now *db.Table, ops []ddl.AlterOp) (out []history.ColumnFrom, why string) {
	byNew := map[string]*ddl.AlterOp{}
	gone := map[string]bool{} // old names that mean another column afterwards, or none
	for i := range ops {
		if ops[i].New != "" {
			byNew[strings.ToLower(ops[i].New)] = &ops[i]
		}
		if k := ops[i].Kind; k == ddl.DropColumn || k == ddl.RenameColumn || k == ddl.ChangeColumn {
			gone[strings.ToLower(ops[i].Old)] = true
		}
	}
	for i := range now.Columns {
		c := &now.Columns[i]
		op := byNew[strings.ToLower(c.Name)]
		old := -1
		switch {
		case op == nil:
			old = was.Index(c.Name)
		case op.Kind != ddl.AddColumn:
			old = was.Index(op.Old)
		case op.IfExists && !gone[strings.ToLower(c.Name)]:
			old = was.Index(c.Name) // ADD COLUMN IF NOT EXISTS
		}
		from := history.ColumnFrom{Old: old}
		if old >= 0 {
			if !keepsValues(&was.Columns[old], c) {
				why = "values of column " + c.Name + " were converted"
			}
		} else {
			ok := false
			if from.Default, ok = newValue(c, op); !ok {
				why = "the values of the new column " + c.Name + " are not in the log"
			}
		}
		out = append(out, from)
	}
	return out, why
}

// keepsValues says that a change of a column leaves the canonical form of every value it can hold
// as it is.
func keepsValues(a, b *db.Column) bool {
	switch {
	case a.Generated || b.Generated:
		return a.Generated == b.Generated && a.ColumnType == b.ColumnType // the expression may differ, but nobody restores it
	case a.Nullable && !b.Nullable, b.AutoInc && !a.AutoInc, !sameBytes(a.Charset, b.Charset):
		return false
	}
	if n := integerSize(a.DataType); n > 0 {
		m := integerSize(b.DataType)
		return a.Unsigned == b.Unsigned && m >= n || a.Unsigned && !b.Unsigned && m > n
	}
	switch a.DataType {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return textSize(b) >= textSize(a)
	case "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return b.DataType != "binary" && textSize(b) >= textSize(a)
	case "enum", "set":
		return a.DataType == b.DataType && len(b.Elements) >= len(a.Elements) && slices.Equal(a.Elements, b.Elements[:len(a.Elements)])
	case "decimal":
		p, _ := precision(a)
		q, _ := precision(b)
		return b.DataType == a.DataType && a.Scale == b.Scale && q >= p && (a.Unsigned == b.Unsigned || a.Unsigned)
	}
	return a.DataType == b.DataType && a.Unsigned == b.Unsigned && a.Length == b.Length && a.Scale == b.Scale
}

// sameBytes says that text of one character set is the same bytes in another one.
func sameBytes(a, b string) bool {
	return sameCharset(a, b) || a == "ascii" && (threeByte(b) || b == "utf8mb4" || b == "latin1") || threeByte(a) && b == "utf8mb4"
}

// integerSize is an integer type's bytes, 0 for other types.
func integerSize(dataType string) int {
	switch dataType {
	case "tinyint":
		return 1
	case "smallint":
		return 2
	case "mediumint":
		return 3
	case "int":
		return 4
	case "bigint":
		return 8
	}
	return 0
}

// textSize is how much a text or blob column holds, for columns of one character set; 0 for
// other types.
func textSize(c *db.Column) int {
	switch c.DataType {
	case "char", "varchar", "varbinary":
		n, _ := precision(c)
		return n
	case "tinytext", "tinyblob":
		return 1<<8 - 1
	case "text", "blob":
		return 1<<16 - 1
	case "mediumtext", "mediumblob":
		return 1<<24 - 1
	case "longtext", "longblob":
		return 1<<32 - 1
	}
	return 0
}

// precision is the first number in a column type's brackets.
func precision(c *db.Column) (int, bool) {
	_, rest, _ := strings.Cut(c.ColumnType, "(")
	end := strings.IndexAny(rest, ",)")
	if end < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(rest[:end])
	return n, err == nil
}

// newValue is the canonical value that a new column has in old rows, nil for NULL; ok is false
// when the log does not tell.
func newValue(c *db.Column, op *ddl.AlterOp) (value []byte, ok bool) {
	switch {
	case op == nil || c.Generated || c.AutoInc:
		return nil, false
	case len(op.Default) == 0 && c.DataType == "timestamp":
		return nil, false // old servers fill in the time of the ALTER
	case len(op.Default) == 0 && c.Nullable:
		return nil, true
	case len(op.Default) == 0:
		return implicitValue(c)
	}
	return literalValue(c, op.Default)
}

// implicitValue is what a NOT NULL column without a DEFAULT gets.
func implicitValue(c *db.Column) ([]byte, bool) {
	text := ""
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "bit", "set":
		text = "0"
	case "enum":
		text = "1"
	case "year":
		text = "0000"
	case "date":
		text = "0000-00-00"
	case "datetime":
		text = "0000-00-00 00:00:00" + fraction(c)
	case "time":
		text = "00:00:00" + fraction(c)
	case "decimal", "float", "double":
		v, err := sqltext.Canonical(nil, c, []byte("0"))
		return v, err == nil
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
	case "binary":
		return make([]byte, c.Length), true
	default:
		return nil, false
	}
	return []byte(text), true
}

func fraction(c *db.Column) string {
	if c.Scale == 0 {
		return ""
	}
	return "." + strings.Repeat("0", c.Scale)
}

// literalValue is the canonical value of DEFAULT NULL, a number or a string.
func literalValue(c *db.Column, def []ddl.Token) ([]byte, bool) {
	sign := ""
	if len(def) == 2 && def[0].Kind == ddl.Op && (def[0].Text == "-" || def[0].Text == "+") {
		sign, def = strings.TrimPrefix(def[0].Text, "+"), def[1:]
	}
	if len(def) != 1 {
		return nil, false
	}
	t := def[0]
	switch {
	case t.Kind == ddl.Word && strings.EqualFold(t.Text, "NULL"):
		return nil, true
	case t.Kind == ddl.Word && strings.EqualFold(t.Text, "TRUE"):
		t.Kind, t.Text = ddl.Number, "1"
	case t.Kind == ddl.Word && strings.EqualFold(t.Text, "FALSE"):
		t.Kind, t.Text = ddl.Number, "0"
	}
	if t.Kind != ddl.Number && t.Kind != ddl.String {
		return nil, false
	}
	return canonicalText(c, sign+t.Text, t.Kind == ddl.String)
}

// canonicalText is a literal's text as a column's value.
func canonicalText(c *db.Column, text string, quoted bool) ([]byte, bool) {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double":
		if c.DataType == "float" {
			x, err := strconv.ParseFloat(text, 32)
			if err != nil {
				return nil, false
			}
			return strconv.AppendFloat(nil, x, 'e', -1, 64), true
		}
		v, err := sqltext.Canonical(nil, c, []byte(text))
		return v, err == nil
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		if !quoted || !plain(text, c.Charset) {
			return nil, false
		}
		if c.DataType == "char" {
			text = strings.TrimRight(text, " ")
		}
		return []byte(text), true
	case "varbinary":
		return []byte(text), quoted && plain(text, "ascii")
	case "enum":
		i := slices.Index(c.Elements, text)
		return strconv.AppendInt(nil, int64(i)+1, 10), i >= 0 && quoted && plain(text, c.Charset)
	case "date":
		return []byte(text), like(text, "dddd-dd-dd")
	case "datetime":
		return []byte(text + fraction(c)), like(text, "dddd-dd-dd dd:dd:dd")
	}
	return nil, false
}

// plain says that a text of the log has the same bytes in a column of the character set: the log
// has it in the client's, which is not told.
func plain(text, charset string) bool {
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32":
		return false
	}
	for i := range len(text) {
		if text[i] >= 0x80 || text[i] == '\\' {
			return false
		}
	}
	return true
}

// like compares with a pattern in which d stands for a digit.
func like(text, pattern string) bool {
	if len(text) != len(pattern) {
		return false
	}
	for i := range len(pattern) {
		if digit := text[i] >= '0' && text[i] <= '9'; pattern[i] == 'd' && !digit || pattern[i] != 'd' && text[i] != pattern[i] {
			return false
		}
	}
	return true
}
