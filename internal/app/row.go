package app

import (
	"context"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/predicate"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// Version is one change of one row.
type Version struct {
	history.Touch
	Op            db.Op
	Shape         *db.Table
	Before, After db.Row
}

// RowHistory finds every change of the rows whose columns have the given values, oldest
// first. key is "column=value", comma separated.
func (d *Database) RowHistory(ctx context.Context, f Find, key string) ([]Version, []history.Gap, error) {
	if len(f.Tables) != 1 {
		return nil, nil, lull.Errorf(lull.Usage, "lull find shop.billing --key id=7", "--key needs the one table it is about")
	}
	tables := d.qualify(f.Tables)
	if err := d.knownTables(ctx, tables); err != nil {
		return nil, nil, err
	}
	r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{
		Window: f.Window, Tables: tables, All: true, MinRows: 1, Places: true, Progress: meter(f.Progress, d.Logs),
	})
	if err != nil || len(r.Places) == 0 {
		return nil, nil, err
	}
	p := planner{d: d, sel: &selected{result: r, tables: tableNames(r.Totals)}}
	h := rowHistory{p: &p, key: key, exprs: map[*db.Table]*predicate.Expr{}}
	err = binlogs.Changes(ctx, d.Logs, r.Places, func(t *binlog.TableMap, at history.Place) (*db.Table, error) {
		if !tables.Has(t.Schema, t.Table) {
			return nil, nil
		}
		return h.shape(ctx, t, at)
	}, h.change)
	if err != nil {
		return nil, nil, err
	}
	return h.found, r.Gaps, h.describe(ctx)
}

type rowHistory struct {
	p     *planner
	key   string
	exprs map[*db.Table]*predicate.Expr
	found []Version
	at    []history.Place
}

// shape is the table's columns when the log was written; the row is looked for by them.
func (h *rowHistory) shape(ctx context.Context, t *binlog.TableMap, at history.Place) (*db.Table, error) {
	then, err := h.p.then(ctx, t, at)
	if err != nil {
		return nil, err
	}
	h.exprs[then.Shape], err = keyExpr(h.key, then.Shape)
	return then.Shape, err
}

// keyExpr turns "id=7,lang=de" into a condition, quoting what is no number.
func keyExpr(key string, t *db.Table) (*predicate.Expr, error) {
	var parts []string
	for p := range strings.SplitSeq(key, ",") {
		col, value, ok := strings.Cut(p, "=")
		if !ok || strings.TrimSpace(col) == "" {
			return nil, lull.Errorf(lull.Usage, "lull find shop.billing --key id=7", "--key %q is not COLUMN=VALUE", key)
		}
		value = strings.Trim(strings.TrimSpace(value), "'\"")
		value = strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value)
		parts = append(parts, "`"+strings.Trim(strings.TrimSpace(col), "`")+"` = '"+value+"'")
	}
	expr, err := predicate.Parse(strings.Join(parts, " AND "), t)
	if err != nil {
		return nil, lull.Errorf(lull.Usage, lull.HintOf(err), "--key: %w", err)
	}
	return expr, nil
}

func (h *rowHistory) change(ch *db.Change, at history.Place) error {
	expr := h.exprs[ch.Table]
	if ch.Before != nil && expr.Match(ch.Before) == predicate.True || ch.After != nil && expr.Match(ch.After) == predicate.True {
		h.found = append(h.found, Version{Op: ch.Op, Shape: ch.Table, Before: ch.Before.Clone(), After: ch.After.Clone()})
		h.at = append(h.at, at)
	}
	return nil
}

// describe adds who and when to the versions found.
func (h *rowHistory) describe(ctx context.Context) error {
	for i, at := range h.at {
		if i > 0 && at == h.at[i-1] {
			h.found[i].Touch = h.found[i-1].Touch
			continue
		}
		w := history.Window{Since: history.Bound{File: at.File, Pos: at.Start}, Until: history.Bound{File: at.File, Pos: at.Start + 1}}
		r, err := binlogs.Scan(ctx, h.p.d.Logs, binlogs.Query{Window: w, Tables: history.Names{h.found[i].Shape.Name.String()}, All: true, MinRows: 1})
		if err != nil {
			return err
		}
		if len(r.Touches) > 0 {
			h.found[i].Touch = r.Touches[0]
		}
	}
	return nil
}
