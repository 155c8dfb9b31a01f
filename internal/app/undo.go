package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
)

// Undo says what is to be undone, and how.
type Undo struct {
	Selection
	Request  undo.Request
	Into     string
	Places   *Places
	Store    *act.Store
	Progress func(label string) func(read, total int64)
	// Direct, when set, opens where SQL goes. It is called when the rows can be written while
	// they are read; else the plan's rows are to be written by WriteSQL.
	Direct func() (io.Writer, error)
}

// Plan finds the selected transactions and makes the plan that takes them back.
func (d *Database) Plan(ctx context.Context, u Undo) (*act.Plan, error) {
	sel, err := d.pick(ctx, u.Selection, u.Places, u.Progress("reading binlogs"))
	if err != nil {
		return nil, err
	}
	u.Request.Source, u.Request.At = sel.source, sel.earliest()
	var target undo.Target
	if d.Conn != nil {
		target = newTarget(d.Conn)
		u.Request.Target = d.Conn.DSN.String()
		if u.Request.Server, err = d.Conn.Identity(ctx); err != nil {
			return nil, err
		}
	}
	if u.Into != "" {
		if u.Request.Into, err = d.sideTable(u.Into, sel); err != nil {
			return nil, err
		}
	}
	b, err := undo.NewBuild(u.Request, target, u.Store)
	if err != nil {
		return nil, err
	}
	if u.Direct != nil && d.Conn == nil && sel.onlyDeletes() {
		out, err := u.Direct()
		if err == nil {
			err = b.Direct(out)
		}
		if err != nil {
			return nil, errors.Join(err, b.Discard())
		}
	}
	p := planner{d: d, b: b, sel: sel, into: u.Into != "", opened: map[db.Name]*opened{}}
	if err := p.gather(ctx); err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	plan, err := b.Plan(ctx)
	return plan, errors.Join(err, b.Discard())
}

func (d *Database) sideTable(into string, sel *selected) (db.Name, error) {
	if len(sel.tables) != 1 {
		return db.Name{}, lull.Errorf(lull.Usage, "choose one with --table", "--into takes the rows of one table, and this touches %d", len(sel.tables))
	}
	schema := d.defaultSchema()
	if schema == "" {
		schema = sel.tables[0].Schema
	}
	name, err := parseName(into, schema)
	if err == nil && strings.EqualFold(name.String(), sel.tables[0].String()) {
		err = lull.Errorf(lull.Usage, "name another table, such as "+name.Table+"_back", "--into %s is the table itself", name)
	}
	return name, err
}

// TakeBack makes the plan that undoes another plan.
func TakeBack(ctx context.Context, c *mysql.Conn, done *act.Stored, req undo.Request, store *act.Store) (*act.Plan, error) {
	if done.State() == act.Planned {
		return nil, lull.Errorf(lull.Usage, "there is nothing to take back", "plan %s was never applied", done.ID)
	}
	server, err := c.Identity(ctx)
	if err != nil {
		return nil, err
	}
	if server != done.Server {
		return nil, lull.Errorf(lull.Refused, "connect to the server the plan was made for", "plan %s was made for another server", done.ID)
	}
	req.Source, req.Target, req.Server = []string{done.ID}, c.DSN.String(), server
	target := newTarget(c)
	switch wrote, err := undo.Committed(ctx, target, done); {
	case err != nil:
		return nil, err
	case !wrote:
		return nil, lull.Errorf(lull.Usage, "lull apply "+done.ID+" carries it out", "plan %s was interrupted before it wrote anything", done.ID)
	}
	b, err := undo.NewBuild(req, target, store)
	if err != nil {
		return nil, err
	}
	err = takeBack(ctx, target, b, done)
	if err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	plan, err := b.Plan(ctx)
	return plan, errors.Join(err, b.Discard())
}

func takeBack(ctx context.Context, target undo.Target, b *undo.Build, done *act.Stored) error {
	for i := range done.Tables {
		t := &done.Tables[i]
		live, err := target.Table(ctx, t.Name)
		if err != nil {
			return err
		}
		take, err := b.Open(ctx, t.Shape, live, nil)
		if err != nil {
			return err
		}
		if err := undo.Changes(done, i, take); err != nil {
			return fmt.Errorf("read plan %s: %w", done.ID, err)
		}
	}
	return nil
}

// Apply carries out a stored plan on the server it was made for.
func Apply(ctx context.Context, c *mysql.Conn, plan *act.Stored, opt undo.ApplyOptions) (*act.Receipt, error) {
	server, err := c.Identity(ctx)
	if err != nil {
		return nil, err
	}
	opt.Server = server
	r, err := undo.Apply(ctx, newTarget(c), plan, opt)
	return r, denied(err)
}

// WriteSQL writes a plan as SQL.
func WriteSQL(out io.Writer, plan *act.Stored) error { return undo.WriteSQL(out, plan) }
