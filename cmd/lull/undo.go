package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/spf13/cobra"
)

// undoFlags are the flags of `lull undo`.
type undoFlags struct {
	sourceFlags
	window     windowFlags
	gtid, pos  string
	tables     []string
	only       string
	where      string
	onConflict string
	out        string
	into       string
	yes        bool
	atomic     bool
	triggers   bool
	conns      int

	atomicSet bool
	written   bool // --out was written while the log was read
	outFile   *fsx.File
}

func newUndoCmd(a *runner) *cobra.Command {
	var f undoFlags
	cmd := &cobra.Command{
		Use:     "undo [FINDING ... | PLAN]",
		Short:   "Plan how to take an accident back; apply carries it out",
		GroupID: repair,
		Long: `Undo compares every row that an accident changed with what is there now, and
makes a plan: rows that are missing go back as they were, columns that the
accident changed go back where nobody changed them since, rows it inserted go
where they are still as inserted. What was changed since is a conflict, is kept
unless --on-conflict says otherwise, and is listed. The plan is stored; only
lull apply, or --yes, carries it out. Undoing a plan takes that plan back.`,
		Example: `  lull undo f-3kx81g2 --db mysql://ops@db.example.com/shop
  lull undo --gtid 0-1-4711 --table billing --only delete --db ...
  lull undo --since 14:00 --until 14:05 --table billing --where "id > 100" ...
  lull undo f-3kx81g2 --binlog mysql-bin.000412 --out undo.sql
  lull undo p-12`,
		ValidArgsFunction: a.completeUndo,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.atomicSet = cmd.Flags().Changed("atomic")
			return f.run(cmd.Context(), a, args)
		},
	}
	f.add(cmd, a)
	f.window.add(cmd, "; undoes all transactions in between")
	flags := cmd.Flags()
	flags.StringVar(&f.gtid, "gtid", "", "undo the transaction with this `GTID`")
	flags.StringVar(&f.pos, "pos", "", "undo the transaction at `FILE:POS`, or those in FILE:POS..FILE:POS")
	flags.StringArrayVar(&f.tables, "table", nil, "only this `TABLE`; may be repeated")
	flags.StringVar(&f.only, "only", "", "undo only deletes, updates or inserts: `delete|update|insert`")
	flags.StringVar(&f.where, "where", "", "undo only rows whose version before the accident meets `EXPR`")
	flags.StringVar(&f.onConflict, "on-conflict", "keep", "rows changed since: `keep|restore|fail`")
	flags.StringVar(&f.out, "out", "", "write the plan as SQL to `FILE` (- for stdout) and touch nothing")
	flags.StringVar(&f.into, "into", "", "put the rows into side table `DB.TABLE` instead; it is created if missing")
	flags.BoolVar(&f.yes, "yes", false, "apply the plan at once")
	flags.BoolVar(&f.atomic, "atomic", true, "one transaction (default up to 250,000 rows), or with --atomic=false resumable batches")
	flags.BoolVar(&f.triggers, "allow-triggers", false, "let the table's triggers fire on the way back")
	flags.IntVar(&f.conns, "connections", defaultConnections, "write batches over `N` connections, 1 to 4")
	completeFlag(cmd, "on-conflict", cobra.FixedCompletions([]string{"keep", "restore", "fail"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "only", cobra.FixedCompletions([]string{"delete", "update", "insert"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

const defaultConnections = 2

func (f *undoFlags) run(ctx context.Context, a *runner, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	if f.out != "" {
		if err := f.outIsFree(); err != nil {
			return err
		}
	}
	store, done, err := f.store(a)
	if err != nil {
		return err
	}
	defer done()
	if len(args) == 1 && strings.HasPrefix(args[0], "p-") {
		return f.takeBack(ctx, a, store, args[0])
	}
	sel := app.Selection{IDs: args, GTID: f.gtid, Pos: f.pos, Tables: f.tables}
	if sel.Window, err = f.window.parse(a.now()); err != nil {
		return err
	}
	d, err := f.open(ctx, a, "")
	if err != nil {
		return err
	}
	defer closeQuietly(d)
	if d.Conn == nil && f.out == "" {
		return lull.Errorf(lull.Usage, "add --db to make a plan, or --out FILE.sql to write SQL", "there is no database to plan for: only --binlog is given")
	}
	report, ended := a.reading("reading binlogs")
	defer f.closeOut()
	plan, err := d.Plan(ctx, app.Undo{
		Selection: sel, Request: f.request(), Into: f.into, Places: f.places(a), Store: store, Direct: f.direct(a),
		Progress: func(string) func(int64, int64) { return report },
	})
	ended()
	if err != nil || plan.Partly() && f.out == "" {
		kept, conn, refused := f.recorded(ctx, a, store, args)
		if kept != nil {
			defer closeQuietly(conn)
		}
		if kept != nil && (err != nil || !kept.Partly()) {
			return f.finish(ctx, a, store, kept, &app.Database{Conn: conn})
		}
		err = cmp.Or(refused, err)
	}
	if err != nil {
		return err
	}
	return f.finish(ctx, a, store, plan, d)
}

// recorded plans from the repository what the server's own logs do not hold; nil when there is
// none, or when it does not hold it either. Its error says why what it holds cannot be planned.
func (f *undoFlags) recorded(ctx context.Context, a *runner, store *act.Store, args []string) (*act.Plan, *mysql.Conn, error) {
	if len(args) != 1 || !strings.HasPrefix(args[0], "f-") || len(f.binlogs) > 0 || f.into != "" {
		return nil, nil, nil
	}
	site := f.site(ctx, a, "")
	if site == nil {
		return nil, nil, nil
	}
	scratch, done, err := a.scratch()
	if err != nil {
		return nil, nil, err
	}
	defer done()
	plan, conn, err := site.Undo(ctx, args[0], f.request(), store, scratch)
	switch lull.KindOf(err) {
	case 0:
	case lull.No, lull.Refused:
		return nil, nil, err
	default:
		a.say("note: not from the repository either: %s", oneLine(err.Error()))
		return nil, nil, nil
	}
	a.say("note: from %s, as the server's own logs do not hold all of it", site)
	return plan, conn, nil
}

// check refuses what cannot be meant.
func (f *undoFlags) check(args []string) error {
	ways := 0
	for _, given := range []bool{len(args) > 0, f.gtid != "", f.pos != "", f.window.since != "" || f.window.until != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return lull.Errorf(lull.Usage, "`lull find` prints the ids of findings", "say what to undo in one way: a finding's id, --gtid, --pos, or --since and --until")
	}
	if err := f.checkPlans(args); err != nil {
		return err
	}
	switch undo.Kind(f.only) {
	case "", undo.OnlyDelete, undo.OnlyUpdate, undo.OnlyInsert:
	default:
		return lull.Errorf(lull.Usage, "--only delete, update or insert", "--only %q is not a kind of change", f.only)
	}
	switch undo.OnConflict(f.onConflict) {
	case undo.KeepNow, undo.RestoreThen, undo.FailPlan:
	default:
		return lull.Errorf(lull.Usage, "--on-conflict keep, restore or fail", "--on-conflict %q is not a choice", f.onConflict)
	}
	if f.conns < 1 || f.conns > 4 {
		return lull.Errorf(lull.Usage, "--connections 1 to 4", "--connections %d is out of range", f.conns)
	}
	if f.out != "" && f.yes {
		return lull.Errorf(lull.Usage, "leave one out", "--out touches nothing and --yes applies: they exclude each other")
	}
	return nil
}

// checkPlans refuses, where a plan is taken back, what only makes sense for findings.
func (f *undoFlags) checkPlans(args []string) error {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "p-") })
	if i < 0 {
		return nil
	}
	if len(args) > 1 {
		return lull.Errorf(lull.Usage, "lull undo "+args[i], "a plan is taken back alone, not with other plans or findings")
	}
	for _, x := range []struct {
		flag  string
		given bool
	}{
		{"--table", len(f.tables) > 0},
		{"--into", f.into != ""},
		{"--out", f.out != ""},
		{"--binlog", len(f.binlogs) > 0},
		{"--schema", f.schema != ""},
	} {
		if x.given {
			return lull.Errorf(lull.Usage, "leave out "+x.flag, "%s cannot be used to take back a plan", x.flag)
		}
	}
	return nil
}

func (f *undoFlags) request() undo.Request {
	req := undo.Request{
		Only: undo.Kind(f.only), Where: f.where, On: undo.OnConflict(f.onConflict), Triggers: f.triggers || f.out != "",
	}
	if f.atomicSet {
		req.Atomic = &f.atomic
	}
	return req
}

// store is where plans are kept; a plan that is only written as SQL goes to a folder that is
// removed afterwards.
func (f *undoFlags) store(a *runner) (*act.Store, func(), error) {
	if f.out != "" {
		dir, done, err := a.scratch()
		if err != nil {
			return nil, nil, err
		}
		return act.NewStore(dir, a.now), done, nil
	}
	s, err := a.newPlans()
	return s, func() {}, err
}

// newPlans is the store of plans for one more; that it can be written is found out before
// anything long begins.
func (a *runner) newPlans() (*act.Store, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	if err := fsx.SecureDir(filepath.Join(dir, "plans")); err != nil {
		return nil, lull.Errorf(lull.Usage, "choose a folder that can be written with --data DIR", "keep plans: %w", err)
	}
	return a.store()
}

// store is the store of plans.
func (a *runner) store() (*act.Store, error) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, err
	}
	return act.NewStore(dir, a.now), nil
}

func (f *undoFlags) places(a *runner) *app.Places {
	dir, err := a.dataDir()
	if err != nil {
		return &app.Places{} // without one, findings are looked for in all logs
	}
	return app.OpenPlaces(dir)
}

// finish shows, writes or applies the plan that was made.
func (f *undoFlags) finish(ctx context.Context, a *runner, store *act.Store, plan *act.Plan, d *app.Database) error {
	stored, err := store.Open(plan.ID)
	if err != nil {
		return err
	}
	if f.out != "" {
		return f.write(a, stored)
	}
	if !f.yes {
		if err := a.showPlan(stored, f.nextApply(stored)); err != nil {
			return err
		}
		return partly(&stored.Plan)
	}
	if !a.json {
		if err := a.showPlan(stored, ""); err != nil {
			return err
		}
	}
	return a.apply(ctx, stored, d.Conn, f.conns, true)
}

// partly makes the exit code say that not everything can be brought back.
func partly(p *act.Plan) error {
	if !p.Partly() {
		return nil
	}
	for _, w := range p.Warnings {
		if w.Partly {
			return lull.Errorf(lull.Partly, "lull show "+p.ID, "not everything can be brought back: %s", w.Text)
		}
	}
	return nil
}

// direct opens --out for rows that are written while the log is read; nil without --out.
func (f *undoFlags) direct(a *runner) func() (io.Writer, error) {
	if f.out == "" {
		return nil
	}
	return func() (io.Writer, error) {
		f.written = true
		return f.openOut(a)
	}
}

// outIsFree refuses to write over a file that holds something.
func (f *undoFlags) outIsFree() error {
	if st, err := os.Stat(f.out); f.out != "-" && err == nil && (st.IsDir() || st.Mode().IsRegular() && st.Size() > 0) {
		return lull.Errorf(lull.Usage, "name another file, or remove it first", "--out %s is there already", f.out)
	}
	return nil
}

// openOut opens --out: stdout, or a file that is there whole or not at all.
func (f *undoFlags) openOut(a *runner) (io.Writer, error) {
	if f.out == "-" {
		return a.stdout, nil
	}
	var err error
	f.outFile, err = fsx.Create(filepath.Clean(f.out), 0o600)
	return f.outFile, err
}

func (f *undoFlags) closeOut() {
	if f.outFile != nil {
		_ = f.outFile.Close() // does nothing once it is committed
	}
}

// write writes the plan as SQL, unless that was done while the log was read.
func (f *undoFlags) write(a *runner, stored *act.Stored) error {
	if !f.written {
		out, err := f.openOut(a)
		if err != nil {
			return err
		}
		if err := app.WriteSQL(out, stored); err != nil {
			return err
		}
	}
	if f.out == "-" {
		return partly(&stored.Plan)
	}
	if err := f.outFile.Commit(); err != nil {
		return err
	}
	if a.json {
		if err := a.emit(planDocument(stored, f.out)); err != nil {
			return err
		}
	} else if err := a.printWritten(stored, f.out); err != nil {
		return err
	}
	if err := partly(&stored.Plan); err != nil {
		return lull.Errorf(lull.Partly, "read the notes at the top of "+f.out, "%w", err)
	}
	return nil
}

// takeBack plans the undoing of a plan.
func (f *undoFlags) takeBack(ctx context.Context, a *runner, store *act.Store, id string) error {
	done, err := store.Open(id)
	if err != nil {
		return err
	}
	conn, err := f.connect(ctx, a, done.Target)
	if err != nil {
		return err
	}
	defer closeQuietly(conn)
	plan, err := app.TakeBack(ctx, conn, done, f.request(), store)
	if err != nil {
		return err
	}
	return f.finish(ctx, a, store, plan, &app.Database{Conn: conn})
}
