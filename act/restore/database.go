package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
	"github.com/lull-ops/lull/keep/history/pack"
)

// tablesAtOnce are restored at the same time.
const tablesAtOnce = 2

// DatabaseReceipt says what was restored, in the order it was asked for.
type DatabaseReceipt struct {
	Tables  []Receipt `json:"tables"`
	Objects []string  `json:"objects,omitempty"` // "view shop.totals": made besides tables
	// DisabledEvents were created disabled, Grants were not applied.
	DisabledEvents []string `json:"disabled_events,omitempty"`
	Grants         []string `json:"grants,omitempty"`
	Seconds        float64  `json:"seconds"`
	Warnings       []string `json:"warnings,omitempty"`
}

// Database restores tables under their own names and then what the catalog has besides them,
// into schemas that are empty or not there: else it is a lull.Error of kind Refused. Two
// tables are loaded at a time. With Options.Resume tables that an earlier run has restored,
// and that still hold the same rows, are kept. Objects that cannot be made are warnings, and
// make the error one of kind Partly; the receipt is then given, too.
func Database(ctx context.Context, target Target, tables []Table, catalog []pack.Statement, opt Options) (*DatabaseReceipt, error) {
	run, err := begin(ctx, target)
	if err != nil {
		return nil, err
	}
	defer run.release()
	d := &database{run: run, opt: opt, catalog: catalog, tables: tables, receipt: &DatabaseReceipt{Tables: make([]Receipt, len(tables))}}
	began := opt.start()
	if err := d.all(ctx); err != nil {
		return nil, err
	}
	d.receipt.Seconds = opt.elapsed(began)
	if d.failed > 0 {
		return d.receipt, lull.Errorf(lull.Partly, "make them by hand; the receipt has their names", "restore database: %s could not be made", count(d.failed, "object", "objects"))
	}
	return d.receipt, nil
}

type database struct {
	*run
	opt     Options
	tables  []Table
	catalog []pack.Statement
	receipt *DatabaseReceipt
	done    *progress
	failed  int
}

func (d *database) all(ctx context.Context) (err error) {
	if d.done, err = openProgress(d.opt.Resume); err != nil {
		return err
	}
	schemas := d.schemas()
	for _, s := range schemas {
		if err := d.sweep(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range schemas {
		if err := d.mustBeEmpty(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range schemas {
		if err := d.makeSchema(ctx, s); err != nil {
			return err
		}
	}
	d.objects(ctx, "sequence")
	if err := d.loadTables(ctx); err != nil {
		return err
	}
	d.objects(ctx, "function", "procedure")
	d.objects(ctx, "view")
	d.objects(ctx, "trigger")
	d.objects(ctx, "event")
	d.grants(ctx)
	return ctx.Err()
}

// schemas are all that something is restored into, sorted.
func (d *database) schemas() []string {
	var out []string
	for i := range d.tables {
		out = append(out, d.tables[i].Name.Schema)
	}
	for i := range d.catalog {
		switch c := &d.catalog[i]; c.Kind {
		case "grant", "user":
		case "schema":
			out = append(out, c.Name)
		default:
			out = append(out, c.Schema)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mustBeEmpty allows nothing but what an earlier run has restored.
func (d *database) mustBeEmpty(ctx context.Context, schema string) error {
	names, err := d.target.Names(ctx, schema)
	if err != nil {
		return err
	}
	for _, n := range names {
		if _, ok := markOf(n.Table); ok || d.done.knows(n) {
			continue
		}
		if d.done.resumed && slices.ContainsFunc(d.catalog, func(c pack.Statement) bool {
			return (c.Kind == "view" || c.Kind == "sequence") && c.Schema == n.Schema && c.Name == n.Table
		}) {
			continue
		}
		return lull.Errorf(lull.Refused, "restore into an empty server, or drop what is in the schema", "restore database: schema %s is not empty: %s is there", schema, n.Table)
	}
	return nil
}

func (d *database) makeSchema(ctx context.Context, schema string) error {
	for i := range d.catalog {
		if c := &d.catalog[i]; c.Kind == "schema" && c.Name == schema {
			if err := d.target.Exec(ctx, "", c.SQL); err != nil && !d.target.Exists(err) {
				return fmt.Errorf("create schema %s: %w", schema, err)
			}
			return nil
		}
	}
	if err := d.target.Exec(ctx, "", "CREATE DATABASE IF NOT EXISTS "+string(sqltext.AppendIdent(nil, schema))); err != nil {
		return fmt.Errorf("create schema %s: %w", schema, err)
	}
	return nil
}

func (d *database) loadTables(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(tablesAtOnce)
	for i := range d.tables {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := d.one(ctx, d.tables[i])
			if err == nil {
				d.receipt.Tables[i] = *r
			}
			return err
		})
	}
	return g.Wait()
}

// one restores a table, or finds that it is done.
func (d *database) one(ctx context.Context, t Table) (*Receipt, error) {
	names, err := d.target.Names(ctx, t.Name.Schema)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, t.Name) {
		return d.keep(ctx, t)
	}
	opt := d.opt
	opt.Parallel = min(opt.parallel(), defaultParallel) // the pool of connections is for both tables
	return d.table(ctx, t, t.Name, opt, d.done.add)
}

// keep makes sure that a table still is what an earlier run has made of it.
func (d *database) keep(ctx context.Context, t Table) (*Receipt, error) {
	shape, err := d.target.Table(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	now, err := SumLive(ctx, d.target, shape)
	if err != nil {
		return nil, err
	}
	// Rows of another moment may be asked for now: what was restored is not enough to know.
	want, err := Sum(t.Definition.Table, t.Rows)
	if err != nil {
		return nil, err
	}
	if !now.Same(want) {
		return nil, lull.Errorf(lull.Refused, "drop the table and run it again", "restore database: table %s is there with other rows than an earlier run has restored", t.Name)
	}
	return &Receipt{Table: t.Name, Rows: now.Rows, Digest: now.Sum(), Kept: true}, nil
}

// objects makes the catalog's statements of these kinds, again and again as long as that
// helps: a view may need another one.
func (d *database) objects(ctx context.Context, kinds ...string) {
	var left []pack.Statement
	for _, c := range d.catalog {
		if slices.Contains(kinds, c.Kind) {
			left = append(left, c)
		}
	}
	for len(left) > 0 && ctx.Err() == nil {
		var failed []pack.Statement
		var errs []error
		for _, c := range left {
			if err := d.object(ctx, c); err != nil {
				failed, errs = append(failed, c), append(errs, err)
			}
		}
		if len(failed) == len(left) {
			d.giveUp(failed, errs)
			return
		}
		left = failed
	}
}

func (d *database) giveUp(failed []pack.Statement, errs []error) {
	for i, c := range failed {
		d.warn("%s was not made: %v", title(c), errs[i])
	}
}

func (d *database) warn(format string, args ...any) {
	d.failed++
	d.receipt.Warnings = append(d.receipt.Warnings, fmt.Sprintf(format, args...))
}

func title(c pack.Statement) string {
	return c.Kind + " " + db.Name{Schema: c.Schema, Table: c.Name}.String()
}

func (d *database) object(ctx context.Context, c pack.Statement) error {
	sql := c.SQL
	if c.Kind == "event" && !d.opt.EnableEvents {
		var err error
		if sql, err = disabled(sql); err != nil {
			return err
		}
	}
	if d.done.resumed && (c.Kind == "view" || c.Kind == "sequence") {
		names, err := d.target.Names(ctx, c.Schema)
		if err != nil {
			return err
		}
		if slices.Contains(names, db.Name{Schema: c.Schema, Table: c.Name}) {
			return nil
		}
	}
	if err := d.target.ExecProgram(ctx, c.Schema, sql); err != nil && !(d.done.resumed && d.target.Exists(err)) {
		return err
	}
	d.receipt.Objects = append(d.receipt.Objects, title(c))
	if c.Kind == "event" && sql != c.SQL {
		d.receipt.DisabledEvents = append(d.receipt.DisabledEvents, c.Schema+"."+c.Name)
	}
	return nil
}

// grants applies users and grants, or says what they are.
func (d *database) grants(ctx context.Context) {
	for _, kind := range []string{"user", "grant"} {
		for _, c := range d.catalog {
			switch {
			case c.Kind != kind:
			case !d.opt.Grants:
				d.receipt.Grants = append(d.receipt.Grants, c.SQL)
			default:
				if err := d.target.Exec(ctx, "", c.SQL); err != nil {
					d.warn("%s %s was not applied: %v", c.Kind, c.Name, err)
				}
			}
		}
	}
}

var errEvent = errors.New("the event's statement is not understood")

// disabled is CREATE EVENT with DISABLE in the place of what it says about that.
func disabled(sql string) (string, error) {
	e := editor{src: sql}
	e.scan()
	depth := 0
	for i, t := range e.toks {
		switch {
		case op(t, "("):
			depth++
		case op(t, ")"):
			depth--
		case depth > 0:
		case word(t, "DISABLE"):
			return sql, nil
		case word(t, "ENABLE"):
			return sql[:t.Pos] + "DISABLE" + sql[t.End:], nil
		case word(t, "COMMENT") || word(t, "DO"):
			if i == 0 || !strings.EqualFold(e.toks[0].Text, "CREATE") {
				return "", errEvent
			}
			return sql[:t.Pos] + "DISABLE " + sql[t.Pos:], nil
		}
	}
	return "", errEvent
}
