package mysql

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/typo"
)

const maxSuggestions = 3

// unknownTable says which tables have a name like it.
func (c *Conn) unknownTable(ctx context.Context, name db.Name) error {
	tables, err := c.Tables(ctx, name.Schema)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		if tables, err = c.Tables(ctx, ""); err != nil {
			return err
		}
	}
	hint := "the user sees no table there; it needs SELECT"
	if near := closest(name, tables); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	} else if len(tables) > 0 {
		hint = "no table has a name like it"
	}
	return lull.Errorf(lull.Usage, hint, "%w", &UnknownTableError{name})
}

// closest are the names that differ from name by few letters, the nearest first.
func closest(name db.Name, tables []db.Name) []string {
	type near struct {
		name     string
		distance int
	}
	var list []near
	want := strings.ToLower(name.Table)
	for _, t := range tables {
		have := strings.ToLower(t.Table)
		d := typo.Distance(want, have)
		if len(want) > 2 && (strings.Contains(have, want) || strings.Contains(want, have) && len(have) > 2) {
			d = min(d, 2)
		}
		if d <= max(2, len(want)/3) {
			list = append(list, near{t.String(), d})
		}
	}
	slices.SortStableFunc(list, func(a, b near) int { return cmp.Compare(a.distance, b.distance) })
	out := make([]string, 0, maxSuggestions)
	for _, n := range list[:min(len(list), maxSuggestions)] {
		out = append(out, n.name)
	}
	return out
}
