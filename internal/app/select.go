package app

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// Selection says which transactions are to be undone: one of its parts.
type Selection struct {
	IDs    []string
	GTID   string
	Pos    string // FILE:POS, or FILE:POS..FILE:POS
	Window history.Window
	Tables history.Names
}

// selected is what a selection stands for.
type selected struct {
	source []string
	result *history.Result // places and totals; statements that are no rows in Touches
	tables []db.Name
	// wanted are the tables of each place: several findings are not all their tables in all
	// their transactions.
	wanted map[history.Place][]db.Name
}

// takes says that the table's changes at a place are to be undone.
func (s *selected) takes(at history.Place, name db.Name) bool {
	return slices.Contains(s.wanted[at], name)
}

// earliest is when the first of the selected transactions was committed.
func (s *selected) earliest() time.Time {
	var first time.Time
	for _, t := range s.result.Totals {
		if first.IsZero() || t.Tx.At.Before(first) {
			first = t.Tx.At
		}
	}
	return first
}

// onlyDeletes says that the selected transactions deleted rows and changed none otherwise,
// so that no row was touched twice.
func (s *selected) onlyDeletes() bool {
	for _, t := range s.result.Totals {
		if t.Inserted+t.Updated > 0 {
			return false
		}
	}
	return true
}

// pick finds the selection's transactions.
func (d *Database) pick(ctx context.Context, s Selection, places *Places, progress func(read, total int64)) (*selected, error) {
	tables := d.qualify(s.Tables)
	if err := d.knownTables(ctx, tables); err != nil {
		return nil, err
	}
	switch {
	case len(s.IDs) > 0:
		return d.pickIDs(ctx, s.IDs, tables, places, progress)
	case s.GTID != "":
		b := history.Bound{GTID: s.GTID}
		if !isGTID(s.GTID) {
			return nil, lull.Errorf(lull.Usage, "a GTID looks like 0-1-42 (MariaDB) or 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 (MySQL)", "%q is not a GTID", s.GTID)
		}
		return d.pickWindow(ctx, s.GTID, history.Window{Since: b, Until: b}, tables, progress)
	case s.Pos != "":
		return d.pickPos(ctx, s.Pos, tables, progress)
	}
	label := s.Window.Since.String() + " to " + s.Window.Until.String()
	return d.pickWindow(ctx, label, s.Window, tables, progress)
}

// pickWindow takes all transactions of a window but those of Lull's own plans: what they put
// back is no part of an accident. Who means one of these names it by its plan, or its GTID.
func (d *Database) pickWindow(ctx context.Context, label string, w history.Window, tables history.Names, progress func(read, total int64)) (*selected, error) {
	r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{
		Window: w, Tables: tables, All: true, MinRows: 1, Places: true, Others: w.Since.GTID == "" || w.Since != w.Until,
		Progress: meter(progress, d.Logs),
	})
	if err != nil {
		return nil, err
	}
	return finish(label, r)
}

func finish(label string, r *history.Result) (*selected, error) {
	s := &selected{source: []string{label}, result: r, tables: tableNames(r.Totals)}
	if len(s.tables) > 0 {
		s.wanted = make(map[history.Place][]db.Name, len(r.Places))
		for _, p := range r.Places {
			s.wanted[p] = s.tables
		}
		return s, nil
	}
	if len(r.Touches) > 0 {
		return nil, notRows(&r.Touches[0])
	}
	return nil, lull.Errorf(lull.No, "`lull find --all` lists the transactions there are", "no rows were changed there: %s", label)
}

// notRows says why a statement cannot be undone from the logs.
func notRows(t *history.Touch) error {
	if t.RowsStay() {
		return lull.Errorf(lull.No, "take it back with another "+strings.ToUpper(t.DDL), "%s of %s lost no row", strings.ToUpper(t.DDL), t.Table)
	}
	what, cure := strings.ToUpper(t.DDL), "restore the table from a backup into another one, then bring it up to date from the log"
	if strings.HasPrefix(t.DDL, "statement ") {
		return lull.Errorf(lull.No, "restore from a backup, and set binlog_format=ROW (`lull check`) for the next time",
			"%s of %s was logged as a statement (binlog_format is not ROW): the log does not hold its rows", strings.TrimPrefix(what, "STATEMENT "), t.Table)
	}
	return lull.Errorf(lull.No, cure, "%s of %s at %s:%d cannot be undone from binlogs alone: the log holds the statement, not the rows",
		what, t.Table, t.Tx.File, t.Tx.Start)
}

// pickPos takes the transaction that holds a place, or those between two.
func (d *Database) pickPos(ctx context.Context, pos string, tables history.Names, progress func(read, total int64)) (*selected, error) {
	from, to, ranged := strings.Cut(pos, "..")
	file, at, ok := parsePlace(from)
	toFile, end, ok2 := parsePlace(to)
	if n, isNumber := parsePos(to); ranged && !ok2 && isNumber {
		toFile, end, ok2 = file, n, true
	}
	if !ok || ranged && !ok2 {
		return nil, lull.Errorf(lull.Usage, "for example --pos mysql-bin.000412:88213301..mysql-bin.000412:88299000", "--pos %q is not FILE:POS or FILE:POS..FILE:POS", pos)
	}
	if !ranged {
		// Mostly the place is where a transaction begins, as find prints it.
		w := history.Window{Since: history.Bound{File: file, Pos: at}, Until: history.Bound{File: file, Pos: at + 1}}
		r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{Window: w, Tables: tables, All: true, MinRows: 1, Places: true})
		if err == nil && len(r.Places) == 1 && r.Places[0].Start == at {
			return finish(pos, r)
		}
	}
	w := history.Window{Since: history.Bound{File: file, Pos: 4}, Until: history.Bound{File: file, Pos: at + 1}}
	if ranged {
		w.Until = history.Bound{File: toFile, Pos: end}
	}
	r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{Window: w, Tables: tables, All: true, MinRows: 1, Places: true, From: history.Place{File: file, Start: at}, Progress: meter(progress, d.Logs)})
	if err != nil {
		return nil, err
	}
	return finish(pos, r)
}

// pickIDs finds findings again: where an earlier find saw them, else by reading all logs.
func (d *Database) pickIDs(ctx context.Context, ids []string, only history.Names, places *Places, progress func(read, total int64)) (*selected, error) {
	out := &selected{source: ids, result: &history.Result{}, wanted: map[history.Place][]db.Name{}}
	for _, id := range ids {
		t, err := d.finding(ctx, id, places, progress)
		if err != nil {
			return nil, err
		}
		if t.DDL != "" {
			return nil, notRows(t)
		}
		w := history.Window{
			Since: history.Bound{File: t.Tx.File, Pos: t.Tx.Start},
			Until: history.Bound{File: t.Tx.File, Pos: t.Tx.Start + 1},
		}
		r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{Window: w, All: true, MinRows: 1, Places: true})
		if err != nil {
			return nil, err
		}
		tables, err := d.withCascades(ctx, t.Table, r)
		if err != nil {
			return nil, err
		}
		for _, name := range tables {
			if only.Has(name.Schema, name.Table) {
				out.want(name, r)
			}
		}
	}
	if len(out.tables) == 0 {
		return nil, lull.Errorf(lull.Usage, "leave out --table: a finding is of one table", "none of the findings is of --table %s", strings.Join(only, ", "))
	}
	slices.SortFunc(out.result.Places, func(a, b history.Place) int { return placeOrder(d.Logs, a, b) })
	return out, nil
}

// want adds a table's changes in the transactions that a scan found.
func (s *selected) want(name db.Name, r *history.Result) {
	added := false
	for _, p := range r.Places {
		if !slices.Contains(s.result.Places, p) {
			s.result.Places = append(s.result.Places, p)
		}
		if !slices.Contains(s.wanted[p], name) {
			s.wanted[p] = append(s.wanted[p], name)
			added = true
		}
	}
	if total := r.Totals[name]; total != nil && added {
		s.result.Total(*total)
	}
	if !slices.Contains(s.tables, name) {
		s.tables = append(s.tables, name)
	}
}

// placeOrder compares two places by where they lie in a series of logs.
func placeOrder(logs []binlogs.Log, a, b history.Place) int {
	if a.File == b.File {
		return cmp.Compare(a.Start, b.Start)
	}
	index := func(name string) int {
		return slices.IndexFunc(logs, func(l binlogs.Log) bool { return l.Name() == name })
	}
	return cmp.Compare(index(a.File), index(b.File))
}

// withCascades adds the children whose rows fell in the same transaction by foreign keys, on
// servers that log them.
func (d *Database) withCascades(ctx context.Context, name db.Name, r *history.Result) ([]db.Name, error) {
	out := []db.Name{name}
	if d.Conn == nil {
		return out, nil
	}
	logged, err := d.Conn.LogsCascades(ctx)
	if err != nil || !logged {
		return out, err
	}
	for i := 0; i < len(out); i++ {
		t, err := d.Conn.Table(ctx, out[i])
		if lull.KindOf(err) == lull.Usage {
			continue // gone since; its foreign keys with it
		}
		if err != nil {
			return nil, err
		}
		for _, fk := range t.Children {
			if r.Totals[fk.Child] != nil && !slices.Contains(out, fk.Child) {
				out = append(out, fk.Child)
			}
		}
	}
	return out, nil
}

// finding finds one touch by its id.
func (d *Database) finding(ctx context.Context, id string, places *Places, progress func(read, total int64)) (*history.Touch, error) {
	if !strings.HasPrefix(id, "f-") {
		return nil, lull.Errorf(lull.Usage, "`lull find` prints ids like f-3kx81g2", "%q is not the id of a finding", id)
	}
	if at, ok := places.Get(id); ok && slices.ContainsFunc(d.Logs, func(l binlogs.Log) bool { return l.Name() == at.File }) {
		w := history.Window{Since: history.Bound{File: at.File, Pos: at.Start}, Until: history.Bound{File: at.File, Pos: at.Start + 1}}
		// What an earlier find saw may be gone: then all logs are read.
		r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{Window: w, ID: id, All: true})
		if err == nil && len(r.Touches) == 1 {
			return &r.Touches[0], nil
		}
	}
	r, err := binlogs.Scan(ctx, d.Logs, binlogs.Query{ID: id, All: true, Progress: meter(progress, d.Logs)})
	if err != nil {
		return nil, err
	}
	switch len(r.Touches) {
	case 1:
		return &r.Touches[0], nil
	case 0:
		hint := "`lull find` lists what there is"
		if len(r.Gaps) > 0 {
			hint = "part of the logs could not be read: " + r.Gaps[0].File + ": " + r.Gaps[0].Reason
		}
		return nil, lull.Errorf(lull.Usage, hint, "no finding %s is in these binlogs: they were purged, or it is of another server", id)
	}
	return nil, lull.Errorf(lull.Usage, "name it by --gtid or --pos", "%d transactions have the id %s", len(r.Touches), id)
}
