// Package accident judges what transactions did to tables: which of them look like accidents,
// why, and whether they can be undone. It reads no logs and repairs nothing.
package accident

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
)

// Undoable says how much of an accident can be taken back from the logs.
type Undoable string

// The answers.
const (
	Yes    Undoable = "yes"
	Partly Undoable = "partly"
	No     Undoable = "no"
)

// Accident is a transaction that destroyed rows of a table.
type Accident struct {
	history.Touch
	Reasons  []string
	Undoable Undoable
	Why      string // why not yes; "" otherwise
}

// Live is what can be asked of the database itself; nil when there are only files.
type Live interface {
	// Table is the table's shape now, with the engine's estimate of its rows.
	Table(ctx context.Context, name db.Name) (*db.Table, error)
	// Rows is how many rows the table has, about where it is large; -1 when nobody can say.
	Rows(ctx context.Context, t *db.Table) (int64, error)
	// LogsCascades says that rows which fall by ON DELETE CASCADE or SET NULL are logged.
	LogsCascades(ctx context.Context) (bool, error)
}

// How much above the usual is far above.
const (
	farAbove     = 16 // times what 19 of 20 transactions stay below
	enoughToTell = 20 // transactions that must have been seen to know what is usual
)

// Judge looks at every touch. They come back in the same order.
func Judge(ctx context.Context, r *history.Result, live Live) ([]Accident, error) {
	j := judge{r: r, live: live, tables: map[db.Name]*db.Table{}, rows: map[db.Name]int64{}}
	if live != nil {
		logs, err := live.LogsCascades(ctx)
		if err != nil {
			return nil, err
		}
		j.cascades = logs
	}
	out := make([]Accident, 0, len(r.Touches))
	for i := range r.Touches {
		out = append(out, j.accident(ctx, &r.Touches[i]))
	}
	return out, nil
}

type judge struct {
	r        *history.Result
	live     Live
	cascades bool
	tables   map[db.Name]*db.Table
	rows     map[db.Name]int64 // of each table now; -1 when nobody can say
}

// table is the live table, nil when it is not there or cannot be asked.
func (j *judge) table(ctx context.Context, name db.Name) *db.Table {
	if j.live == nil {
		return nil
	}
	t, ok := j.tables[name]
	if !ok {
		t, _ = j.live.Table(ctx, name) // a table that is gone has no shape: that is an answer, too
		j.tables[name] = t
		if j.rows[name] = -1; t != nil {
			if n, err := j.live.Rows(ctx, t); err == nil {
				j.rows[name] = n
			}
		}
	}
	return t
}

func (j *judge) accident(ctx context.Context, t *history.Touch) Accident {
	a := Accident{Touch: *t, Undoable: Yes}
	if t.DDL != "" {
		a.Reasons = []string{ddlReason(t)}
		a.Undoable, a.Why = No, ddlWhy(t)
		return a
	}
	live := j.table(ctx, t.Table)
	a.Reasons = j.reasons(t, live)
	a.Undoable, a.Why = j.undoable(t, live)
	return a
}

func ddlReason(t *history.Touch) string {
	switch {
	case t.DDL == "drop column":
		return "ALTER drops column " + strings.Join(t.Columns, ", ")
	case strings.HasPrefix(t.DDL, "statement "):
		return strings.ToUpper(strings.TrimPrefix(t.DDL, "statement ")) + " logged as a statement"
	}
	return strings.ToUpper(t.DDL)
}

func ddlWhy(t *history.Touch) string {
	switch {
	case t.DDL == "rename":
		return "no row is lost: the table has another name, and RENAME TABLE takes it back"
	case t.DDL == "exchange partition" || t.DDL == "convert partition":
		return "no row is lost: rows are in the other table that the statement names"
	case t.DDL == "drop column":
		return "the log holds the statement, not the column's values; a backup from before has them"
	case strings.HasPrefix(t.DDL, "statement "):
		return "binlog_format was not ROW: the log holds the statement, not the rows"
	}
	return "the log holds the statement, not the rows; a backup from before has them, and the log since then brings it up to date"
}

func (j *judge) reasons(t *history.Touch, live *db.Table) []string {
	out := []string{}
	if t.Plan != "" {
		return append(out, "lull "+t.Plan)
	}
	if t.NoWhere != "" {
		out = append(out, t.NoWhere)
	}
	if share := j.share(t, live); share != "" {
		out = append(out, share)
	}
	st := j.r.Stats[t.Table]
	if st == nil || st.Transactions < enoughToTell {
		return out
	}
	if usual := st.UsualDeletes(); t.Deleted >= usual*farAbove {
		out = append(out, fmt.Sprintf("%s deleted at once, usually fewer than %s", term.Count(t.Deleted), term.Count(usual)))
	}
	if usual := st.UsualUpdates(); t.Updated >= usual*farAbove {
		out = append(out, fmt.Sprintf("%s updated at once, usually fewer than %s", term.Count(t.Updated), term.Count(usual)))
	}
	return out
}

// share says when a touch deleted most of the table. How many rows there were is traced back
// from those there are now, over what the scan saw come and go since.
func (j *judge) share(t *history.Touch, live *db.Table) string {
	if live == nil || j.rows[t.Table] < 0 || t.Deleted < 2 {
		return ""
	}
	after := j.rows[t.Table]
	if st := j.r.Stats[t.Table]; st != nil {
		after -= st.Inserted - st.Deleted - t.Net
	}
	all := max(0, after) + t.Deleted
	if t.Deleted*2 <= all {
		return ""
	}
	return fmt.Sprintf("most of the table gone: %s of about %s rows", term.Count(t.Deleted), term.Count(all))
}

func (j *judge) undoable(t *history.Touch, live *db.Table) (Undoable, string) {
	switch {
	case t.Incomplete == history.Savepoint:
		return No, "part of it was rolled back to a savepoint while a table without transactions was written: the log does not tell which rows"
	case t.Incomplete == history.Minimal && t.Deleted+t.Updated > 0:
		return No, "binlog_row_image was MINIMAL: the log holds the keys of the rows, not what was in them"
	case t.Incomplete == history.NoBlob && t.Deleted+t.Updated > 0:
		return Partly, "binlog_row_image was NOBLOB: BLOB and TEXT values are not in the log"
	}
	if lost := Cascaded(t, live, j.cascades); len(lost) > 0 {
		return Partly, "rows of " + strings.Join(lost, ", ") + " may have fallen or changed by foreign keys, which the log does not hold"
	}
	return Yes, ""
}

// Cascaded names the child tables whose rows may have fallen with the touched rows without
// being logged. MariaDB logs which tables the statement opened for its cascades, whether or not
// a row of them fell; older MySQL logs nothing, so that only the foreign keys tell. logged says
// that the server logs such rows as it does all others. live may be nil.
func Cascaded(t *history.Touch, live *db.Table, logged bool) []string {
	if t.ForeignKeysOff {
		return nil
	}
	if len(t.Children) > 0 {
		return traced(t, live)
	}
	if live == nil || logged || t.Origin == history.MariaDB {
		return nil
	}
	var out []string
	for _, fk := range live.Children {
		if acts(fk, t) {
			out = appendNew(out, fk.Child.String())
		}
	}
	return out
}

// traced names the tables that MariaDB opened without logging a row of them. Such a table may
// also be one that a trigger might have written: then no foreign key leads to it. What hangs on
// a child by its own foreign keys is opened, too.
func traced(t *history.Touch, live *db.Table) []string {
	fell := live == nil
	idle := map[db.Name]bool{} // children whose foreign keys do nothing
	if live != nil {
		for _, fk := range live.Children {
			hit := slices.Contains(t.Children, fk.Child) && acts(fk, t)
			fell = fell || hit
			if _, known := idle[fk.Child]; !known || hit {
				idle[fk.Child] = !hit
			}
		}
	}
	if !fell {
		return nil
	}
	var out []string
	for _, c := range t.Children {
		if !idle[c] {
			out = append(out, c.String())
		}
	}
	return out
}

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func acts(fk db.ForeignKey, t *history.Touch) bool {
	return t.Deleted > 0 && changes(fk.OnDelete) || t.Updated > 0 && changes(fk.OnUpdate)
}

func changes(rule string) bool { return rule == "CASCADE" || strings.HasPrefix(rule, "SET ") }
