package backup

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
)

// Undo plans to take a finding back from the repository alone: long after the server's logs
// are gone, for statements that no log holds the rows of, and with the rows that fell along by
// foreign keys.
func (s *Site) Undo(ctx context.Context, id string, req undo.Request, store *act.Store, scratch string) (*act.Plan, *mysql.Conn, error) {
	if err := s.open(ctx); err != nil {
		return nil, nil, err
	}
	cut, err := s.Repo.CutBefore(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	touch, err := s.touch(ctx, id, cut.Seq+1)
	if err != nil {
		return nil, nil, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	if touch.RowsStay() {
		return nil, nil, lull.Errorf(lull.No, "take it back with another "+strings.ToUpper(touch.DDL), "%s of %s lost no row", strings.ToUpper(touch.DDL), touch.Table)
	}
	u := &undoing{site: s, id: id, ctx: ctx, conn: conn, before: cut.Seq, scratch: scratch}
	if u.events, err = s.events(ctx, cut.Seq+1); err != nil {
		return nil, nil, err
	}
	req.Source, req.At = []string{id}, touch.Tx.At
	plan, err := app.PlanChanges(ctx, conn, req, store, func(b *undo.Build) error {
		u.build = b
		return u.tables(touch)
	})
	return plan, conn, err
}

// touch finds what the finding is about in its transaction.
func (s *Site) touch(ctx context.Context, id string, seq history.Seq) (*history.Touch, error) {
	var found *history.Touch
	_, err := s.Repo.Transactions(ctx, seq-1, seq, func(_ history.Seq, _ db.Tx, touches []history.Touch) error {
		for i := range touches {
			if touches[i].ID() == id {
				t := touches[i]
				found = &t
			}
		}
		return nil
	})
	if err == nil && found == nil {
		err = lull.Errorf(lull.Usage, "lull find", "finding %s is not in %s", id, s)
	}
	return found, err
}

func (s *Site) events(ctx context.Context, after history.Seq) ([]history.Event, error) {
	end, err := s.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	return s.Repo.Events(ctx, after, end.Seq)
}

// undoing hands a transaction's changes to a plan.
type undoing struct {
	site    *Site
	ctx     context.Context //nolint:containedctx // one call that goes through several tables
	conn    *mysql.Conn
	build   *undo.Build
	id      string
	before  history.Seq
	events  []history.Event // since the transaction
	scratch string
	done    []db.Name
}

// tables takes the finding's table, and those whose rows fell with its own.
func (u *undoing) tables(touch *history.Touch) error {
	switch touch.DDL {
	case "":
	case "truncate", "drop", "drop database", "create or replace":
		return u.difference(touch.Table, touch.DDL)
	default: // what it did to the rows is not known, so nobody can tell it from what came later
		name := term.ShellWord(touch.Table.String())
		return lull.Errorf(lull.Refused, fmt.Sprintf("lull restore %s --at %s --into %s_was, and compare", name, u.id, name),
			"%s of %s: the log does not hold what it did to which row", strings.ToUpper(touch.DDL), touch.Table)
	}
	if touch.Incomplete != "" {
		return u.difference(touch.Table, "")
	}
	if err := u.changes(touch.Table); err != nil {
		return err
	}
	if touch.ForeignKeysOff {
		return nil
	}
	return u.children(touch.Table)
}

// changes takes a table's logged changes.
func (u *undoing) changes(name db.Name) error {
	u.done = append(u.done, name)
	var take func(*db.Change) error
	var def *history.Definition
	return u.site.Repo.Changes(u.ctx, []db.Name{name}, u.before, u.before+1, func(_ db.Name, c *history.RowChange) error {
		if def == nil || def.ID != c.Definition {
			var err error
			if def, err = u.site.Repo.Definition(u.ctx, c.Definition); err != nil {
				return err
			}
			if take, err = u.open(def.Table, name); err != nil {
				return err
			}
		}
		return take(&db.Change{Op: c.Op, Table: def.Table, Before: c.Before, After: c.After})
	})
}

// children takes the tables whose rows may have fallen with those of a parent.
func (u *undoing) children(parent db.Name) error {
	names, err := fold.List(u.ctx, u.site.Repo, u.before)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(u.done, name) {
			continue
		}
		t, err := fold.Find(u.ctx, u.site.Repo, name, u.before, fold.Options{Dir: u.scratch})
		if err != nil {
			u.build.Warn(true, "whether rows of %s fell along is not known: %s", name, oneLine(err))
			continue
		}
		acts := slices.ContainsFunc(t.Definition.Table.Parents, func(fk db.ForeignKey) bool {
			return fk.Parent == parent && (acts(fk.OnDelete) || acts(fk.OnUpdate))
		})
		if !acts {
			continue
		}
		if err := u.difference(name, ""); err != nil {
			return err
		}
		if err := u.children(name); err != nil {
			return err
		}
	}
	return nil
}

func acts(rule string) bool { return rule == "CASCADE" || rule == "SET NULL" }

// difference takes what the transaction did to a table by comparing the table before it with
// the table after it.
func (u *undoing) difference(name db.Name, ddl string) error {
	u.done = append(u.done, name)
	was, err := fold.Find(u.ctx, u.site.Repo, name, u.before, fold.Options{Dir: u.scratch})
	if err != nil {
		return u.site.explain(u.ctx, err)
	}
	shape := was.Definition.Table
	take, err := u.open(shape, name)
	if err != nil {
		return err
	}
	if shape.RowKey() == nil {
		return lull.Errorf(lull.Refused, fmt.Sprintf("lull restore %s --at %s --into %s_was", term.ShellWord(name.String()), u.id, term.ShellWord(name.String())),
			"%s has no primary key: which of its rows are missing cannot be told", name)
	}
	is, after := was, iter.Seq2[db.Row, error](func(func(db.Row, error) bool) {})
	if ddl == "" {
		is, err = fold.Find(u.ctx, u.site.Repo, name, u.before+1, fold.Options{Dir: u.scratch})
		if err != nil {
			return u.site.explain(u.ctx, err)
		}
		after = is.Rows(u.ctx)
	}
	if err := differ(shape, shape.RowKey(), was.Rows(u.ctx), after, take); err != nil {
		return err
	}
	for _, t := range []*fold.Table{was, is} { // whose warnings are complete when the rows were read
		for _, w := range t.Warnings {
			u.build.Warn(!t.Exact, "%s", w)
		}
	}
	return nil
}

// differ merges two sorted sets of rows and takes every row that is not the same in both.
func differ(shape *db.Table, key []int, was, is iter.Seq2[db.Row, error], take func(*db.Change) error) error {
	next, stop := iter.Pull2(is)
	defer stop()
	var other db.Row
	var otherKey []byte
	advance := func() error {
		row, err, ok := next()
		if other = nil; ok && err == nil {
			other, otherKey = row, db.AppendKey(otherKey[:0], shape, key, row)
		}
		return err
	}
	if err := advance(); err != nil {
		return err
	}
	var k []byte
	for row, err := range was {
		if err != nil {
			return err
		}
		k = db.AppendKey(k[:0], shape, key, row)
		for other != nil && bytes.Compare(otherKey, k) < 0 {
			if err := take(&db.Change{Op: db.Insert, Table: shape, After: other}); err != nil {
				return err
			}
			if err := advance(); err != nil {
				return err
			}
		}
		if other == nil || !bytes.Equal(otherKey, k) {
			if err := take(&db.Change{Op: db.Delete, Table: shape, Before: row}); err != nil {
				return err
			}
			continue
		}
		if !sameRow(row, other) {
			if err := take(&db.Change{Op: db.Update, Table: shape, Before: row, After: other}); err != nil {
				return err
			}
		}
		if err := advance(); err != nil {
			return err
		}
	}
	for other != nil {
		if err := take(&db.Change{Op: db.Insert, Table: shape, After: other}); err != nil {
			return err
		}
		if err := advance(); err != nil {
			return err
		}
	}
	return nil
}

func sameRow(a, b db.Row) bool {
	return slices.EqualFunc(a, b, func(x, y db.Value) bool { return x.State == db.Absent || y.State == db.Absent || x.Equal(y) })
}

// open registers a table of then with the plan, under the names it has by now.
func (u *undoing) open(then *db.Table, name db.Name) (func(*db.Change) error, error) {
	now, renamed := u.since(then, name)
	live, err := u.conn.Table(u.ctx, now)
	if lull.KindOf(err) == lull.Usage {
		return nil, lull.Errorf(lull.Refused, fmt.Sprintf("lull restore %s --at %s --into %s", term.ShellWord(name.String()), u.id, term.ShellWord(name.String())),
			"%s is not there any more", now)
	}
	if err != nil {
		return nil, err
	}
	return u.build.Open(u.ctx, then, live, renamed)
}

// since follows a table's name and its columns' names to the present.
func (u *undoing) since(then *db.Table, name db.Name) (db.Name, map[string]string) {
	columns := map[string]string{} // of then, in lower case, to those of now
	at := make([]int, len(then.Columns))
	for i := range at {
		at[i] = i
	}
	for i := range u.events {
		e := &u.events[i]
		if e.Table != name {
			continue
		}
		switch e.Kind {
		case history.Renamed:
			name = e.To
		case history.Altered:
			def, err := u.site.Repo.Definition(u.ctx, e.Definition)
			if err != nil {
				continue // the plan compares the columns by their names
			}
			at = moved(at, e.Columns)
			for i, now := range at {
				if now >= 0 && now < len(def.Table.Columns) {
					columns[strings.ToLower(then.Columns[i].Name)] = def.Table.Columns[now].Name
				}
			}
		}
	}
	for old, now := range columns {
		if strings.EqualFold(old, now) {
			delete(columns, old)
		}
	}
	return name, columns
}

// moved is where columns are after an ALTER; -1 is nowhere.
func moved(at []int, columns []history.ColumnFrom) []int {
	out := make([]int, len(at))
	for i, old := range at {
		out[i] = slices.IndexFunc(columns, func(c history.ColumnFrom) bool { return old >= 0 && c.Old == old })
	}
	return out
}
