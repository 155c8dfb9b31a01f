package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// deferRows is from how many rows on an index is built faster at the end.
const deferRows = 50000

// secondaryKeys are the indexes that wait until the rows are there.
type secondaryKeys []secondaryKey

type secondaryKey struct {
	name string
	text string // as SHOW CREATE TABLE has it
}

// secondary chooses the indexes of an empty table that can wait: plain and unique ones of
// InnoDB that neither a foreign key nor AUTO_INCREMENT needs. A unique key may wait when the
// rows have a primary key to lie by; building it checks it.
func (m *MySQL) secondary(ctx context.Context, t *db.Table) (secondaryKeys, error) {
	if t.Engine != "InnoDB" || t.Rows >= 0 && t.Rows < deferRows {
		return nil, nil
	}
	var name, create string
	if err := m.Conn.DB.QueryRowContext(ctx, "SHOW CREATE TABLE "+quote(t.Name)).Scan(&name, &create); err != nil {
		return nil, fmt.Errorf("read indexes of %s: %w", t.Name, err)
	}
	if strings.Contains(create, "SYSTEM VERSIONING") {
		return nil, nil
	}
	needed := neededColumns(t)
	primary := len(t.Keys) > 0 && t.Keys[0].Primary
	var out secondaryKeys
	stays := map[bool]bool{} // by whether the key is unique
	for _, k := range slices.Backward(keyItems(create)) {
		unique := strings.HasPrefix(k.text, "UNIQUE")
		// Behind one that stays it would change its place in the table's definition.
		stays[unique] = stays[unique] || unique && !primary ||
			slices.ContainsFunc(keyColumns(k.text), func(c string) bool { return needed[strings.ToLower(c)] })
		if !stays[unique] {
			out = append(out, k)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// neededColumns are those whose indexes must be there all the time, in lower case.
func neededColumns(t *db.Table) map[string]bool {
	needed := map[string]bool{}
	for i := range t.Columns {
		if t.Columns[i].AutoInc {
			needed[strings.ToLower(t.Columns[i].Name)] = true
		}
	}
	for _, f := range t.Parents {
		for _, c := range slices.Concat(f.ChildColumns, f.ParentColumns) {
			needed[strings.ToLower(c)] = true
		}
	}
	for _, f := range t.Children {
		for _, c := range f.ParentColumns {
			needed[strings.ToLower(c)] = true
		}
	}
	return needed
}

// keyItems are the KEY and UNIQUE KEY items of a CREATE TABLE, without those over expressions.
func keyItems(create string) (out secondaryKeys) {
	e := editor{src: create, toks: ddl.Tokenize(create)}
	start := slices.IndexFunc(e.toks, func(t ddl.Token) bool { return op(t, "(") })
	if start < 0 {
		return nil
	}
	items, _ := e.items(start + 1)
	for _, it := range items {
		i := it.from
		if word(e.at(i), "UNIQUE") {
			i++
		}
		if !word(e.at(i), "KEY") || !op(e.at(i+2), "(") || op(e.at(i+3), "(") {
			continue
		}
		out = append(out, secondaryKey{e.at(i + 1).Text, strings.TrimSpace(e.src[e.at(it.from).Pos:e.at(it.to).Pos])})
	}
	return out
}

// keyColumns are the names in an item's brackets.
func keyColumns(text string) (cols []string) {
	toks := ddl.Tokenize(text)
	start := slices.IndexFunc(toks, func(t ddl.Token) bool { return op(t, "(") })
	for _, t := range toks[start+1:] {
		if t.Kind == ddl.Ident {
			cols = append(cols, t.Text)
		}
	}
	return cols
}

func (k secondaryKeys) drop(t db.Name) []string {
	return k.alter(t, func(k secondaryKey) string { return "DROP KEY " + string(sqltext.AppendIdent(nil, k.name)) })
}

func (k secondaryKeys) add(t db.Name) []string {
	return k.alter(t, func(k secondaryKey) string { return "ADD " + k.text })
}

func (k secondaryKeys) alter(t db.Name, what func(secondaryKey) string) []string {
	if len(k) == 0 {
		return nil
	}
	var items []string
	for _, key := range k {
		items = append(items, what(key))
	}
	return []string{"ALTER TABLE " + quote(t) + " " + strings.Join(items, ", ")}
}
