package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/lull-ops/lull/db"
)

var errElements = errors.New("member list of ENUM or SET is damaged")

// parseElements reads the members out of a column type such as "enum('a','it”s')", as
// information_schema prints it: quotes doubled, and backslash escapes for backslash, zero
// byte, newline and carriage return.
func parseElements(columnType string) ([]string, error) {
	_, after, ok := strings.Cut(columnType, "(")
	if !ok {
		return nil, errElements
	}
	var out []string
	for s := after; ; {
		member, rest, err := cutElement(s)
		if err != nil {
			return nil, err
		}
		out = append(out, member)
		switch {
		case strings.HasPrefix(rest, ","):
			s = rest[1:]
		case strings.HasPrefix(rest, ")"):
			return out, nil
		default:
			return nil, errElements
		}
	}
}

func cutElement(s string) (member, rest string, err error) {
	if s == "" || s[0] != '\'' {
		return "", "", errElements
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			b.WriteByte('\'')
		case s[i] == '\'':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(unescapeElement(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errElements
}

func unescapeElement(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	}
	return c
}

// setElements fills col.Elements. information_schema has the members in UTF-8, rows have
// them in the column's character set: the server converts them.
func (c *Conn) setElements(ctx context.Context, col *db.Column) error {
	members, err := parseElements(col.ColumnType)
	if err != nil {
		return fmt.Errorf("read column %s: %w", col.Name, err)
	}
	col.Elements = members
	if isUTF8(col.Charset) || isASCII(members) && !isWide(col.Charset) {
		return nil
	}
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = "CONVERT(" + literal(m) + " USING " + quoteName(col.Charset) + ")"
	}
	return c.each(ctx, "SELECT "+strings.Join(list, ", "), func(row []sql.NullString) {
		for i := range row {
			col.Elements[i] = row[i].String
		}
	})
}

func isUTF8(charset string) bool {
	switch charset {
	case "utf8", "utf8mb3", "utf8mb4", "binary", "":
		return true
	}
	return false
}

// isWide says that ASCII text has other bytes in this character set.
func isWide(charset string) bool {
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32":
		return true
	}
	return false
}

func isASCII(texts []string) bool {
	for _, t := range texts {
		for i := range len(t) {
			if t[i] >= 0x80 {
				return false
			}
		}
	}
	return true
}
