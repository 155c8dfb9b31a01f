package app

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
)

// Merge is a table as it was, to be brought together with the live one.
type Merge struct {
	Then   *db.Table // its shape then
	Name   db.Name
	Rows   iter.Seq2[db.Row, error]
	At     time.Time
	On     undo.OnConflict
	Source string
	// Doubts says, when all rows were read, what may not be as it was; exact that nothing is.
	Doubts   func() (warnings []string, exact bool)
	Progress func(rows int64)
}

// MergePlan plans to put back the rows that the live table is missing. Every row of then is
// taken to have been deleted since: one that is there is equal, or was written by somebody
// who has the last word.
func MergePlan(ctx context.Context, c *mysql.Conn, m Merge, store *act.Store) (*act.Plan, error) {
	live, err := c.Table(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	req := undo.Request{Source: []string{m.Source}, At: m.At, On: m.On}
	return PlanChanges(ctx, c, req, store, func(b *undo.Build) error { return m.feed(ctx, b, live) })
}

// PlanChanges makes a plan for a live database of what feed hands to it.
func PlanChanges(ctx context.Context, c *mysql.Conn, req undo.Request, store *act.Store, feed func(*undo.Build) error) (*act.Plan, error) {
	server, err := c.Identity(ctx)
	if err != nil {
		return nil, err
	}
	req.Target, req.Server = c.DSN.String(), server
	b, err := undo.NewBuild(req, newTarget(c), store)
	if err != nil {
		return nil, err
	}
	if err := feed(b); err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	plan, err := b.Plan(ctx)
	return plan, errors.Join(err, b.Discard())
}

func (m *Merge) feed(ctx context.Context, b *undo.Build, live *db.Table) error {
	if live.RowKey() == nil {
		// Rows that are equal cannot be told apart, so one that is there again would not count.
		return lull.Errorf(lull.Refused, "write it beside the live one with --into, and compare",
			"%s has no primary key: which of its rows are missing cannot be told", m.Name)
	}
	take, err := b.Open(ctx, m.Then, live, nil)
	if err != nil {
		return err
	}
	ch := db.Change{Op: db.Delete, Table: m.Then}
	n := int64(0)
	for row, err := range m.Rows {
		if err != nil {
			return err
		}
		ch.Before = row
		if err := take(&ch); err != nil {
			return err
		}
		if n++; n&0xfff == 0 {
			if m.Progress != nil {
				m.Progress(n)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	warnings, exact := m.Doubts()
	for _, w := range warnings {
		b.Warn(!exact, "%s", w)
	}
	return nil
}
