package mysql

import (
	"context"
	"database/sql"
	"strings"

	"github.com/lull-ops/lull/db"
)

// grant is one line of SHOW GRANTS: privileges on a pattern of schemas and tables.
type grant struct {
	revoke        bool // MySQL's partial revokes take a schema out of a global grant
	privileges    map[string]bool
	schema, table string // as in the grant: "*", or a LIKE pattern for the schema
}

// grants are what an account may do.
type grants []grant

// parseGrant reads "GRANT SELECT, REPLICATION SLAVE ON `shop\_%`.* TO ...". Lines that grant
// roles or proxies are not ok. Privileges on single columns do not count.
func parseGrant(line string) (g grant, ok bool) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		if rest, g.revoke = strings.CutPrefix(line, "REVOKE "); !g.revoke {
			return grant{}, false
		}
	}
	on := indexUnquoted(rest, " ON ")
	if on < 0 {
		return grant{}, false
	}
	g.privileges = map[string]bool{}
	for _, p := range splitUnquoted(rest[:on]) {
		p = strings.ToUpper(strings.TrimSpace(p))
		if p == "ALL PRIVILEGES" {
			p = "ALL"
		}
		if !strings.ContainsRune(p, '(') {
			g.privileges[p] = true
		}
	}
	object := rest[on+len(" ON "):]
	for _, kind := range []string{"PROCEDURE ", "FUNCTION ", "PACKAGE "} {
		if strings.HasPrefix(object, kind) {
			return grant{}, false
		}
	}
	object = strings.TrimPrefix(object, "TABLE ")
	if g.schema, object, ok = cutName(object); !ok || !strings.HasPrefix(object, ".") {
		return grant{}, false
	}
	g.table, _, ok = cutName(object[1:])
	return g, ok
}

// cutName takes a name in backticks, or "*", off the front of s.
func cutName(s string) (name, rest string, ok bool) {
	if strings.HasPrefix(s, "*") {
		return "*", s[1:], true
	}
	if s == "" || s[0] != '`' {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '`' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) || s[i+1] != '`' {
			return b.String(), s[i+1:], true
		}
		i++
		b.WriteByte('`')
	}
	return "", "", false
}

// indexUnquoted finds sep outside backticks and parentheses, which hold column names.
func indexUnquoted(s, sep string) int {
	quoted, depth := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '`':
			quoted = !quoted
		case quoted:
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(s[i:], sep):
			return i
		}
	}
	return -1
}

func splitUnquoted(s string) (parts []string) {
	for {
		i := indexUnquoted(s, ",")
		if i < 0 {
			return append(parts, s)
		}
		parts = append(parts, s[:i])
		s = s[i+1:]
	}
}

// covers says that the grant is about the table; an empty table means all of the schema, an
// empty schema the whole server.
func (g grant) covers(n db.Name) bool {
	switch {
	case g.schema == "*":
		return true
	case n.Schema == "":
		return false
	case g.table == "*":
		return like(g.schema, n.Schema)
	}
	// On a table the schema is a name, not a pattern.
	return n.Table != "" && g.schema == n.Schema && g.table == n.Table
}

// has says that privilege is held on the table.
func (gs grants) has(privilege string, n db.Name) bool {
	held := false
	for _, g := range gs {
		if !g.privileges[privilege] && !g.privileges["ALL"] || !g.covers(n) {
			continue
		}
		if g.revoke {
			return false
		}
		held = true
	}
	return held
}

// like matches a LIKE pattern with backslash as escape.
func like(pattern, s string) bool {
	// star and from are where to go on after the last '%', when what follows did not fit.
	star, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from = p, i
			p++
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == s[i]:
			p += 2
			i++
		case p < len(pattern) && pattern[p] != '\\' && (pattern[p] == '_' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

// grants reads what the account may do, with its active roles.
func (c *Conn) grants(ctx context.Context) (grants, error) {
	stmt := "SHOW GRANTS"
	if c.Flavor == MySQL && c.Version.AtLeast(8, 0, 0) {
		var roles string
		if err := c.DB.QueryRowContext(ctx, "SELECT CURRENT_ROLE()").Scan(&roles); err != nil {
			return nil, c.failed(ctx, "read roles", err)
		}
		if roles != "" && roles != "NONE" {
			stmt = "SHOW GRANTS FOR CURRENT_USER() USING " + roles
		}
	}
	var out grants
	err := c.each(ctx, stmt, func(row []sql.NullString) {
		if g, ok := parseGrant(row[0].String); ok {
			out = append(out, g)
		}
	})
	if err != nil {
		return nil, c.failed(ctx, "read grants", err)
	}
	return out, nil
}

// SeesTriggers says that the user may see the triggers of a table. Without the TRIGGER
// privilege the server hides them, and Table finds none.
func (c *Conn) SeesTriggers(ctx context.Context, n db.Name) (bool, error) {
	g, err := c.grants(ctx)
	return g.has("TRIGGER", n), err
}
