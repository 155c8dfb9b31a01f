package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

// restoreFlags are the flags of `lull restore`.
type restoreFlags struct {
	siteFlags
	at           string
	into         string
	out          string
	to           string
	passwordFile string
	merge        bool
	onConflict   string
	yes          bool
	grants       bool
	events       bool
	conns        int
}

func newRestoreCmd(a *runner) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:     "restore TABLE|DATABASE --at WHEN",
		Short:   "Bring back a table, or all, as it was at any recorded moment",
		GroupID: repair,
		Long: `Restore reads the repository that lull serve keeps: the table's newest snapshot
before the moment, and the changes of this one table since. What that costs
depends on the table, not on the database.

WHEN is a time (14:02, "2026-11-20 14:02:11", RFC 3339, or 3h for three hours
ago): what was committed before it counts, what was committed at it or later
does not. Or it is a finding (f-...): right before it; a GTID: right after it;
or FILE:POS.

Without --into, --out, --to or --merge nothing is written: it says what would
be. A live table is only ever changed by --merge, which makes a plan: rows that
are missing go back, rows written since stay, rows that differ are listed and
kept.`,
		Example: `  lull restore shop.billing --at 14:02
  lull restore shop.billing --at 14:02 --into shop.billing_was
  lull restore shop.billing --at f-3kx81g2 --merge
  lull restore shop.billing --at "2026-11-20 14:02" --out billing.csv
  lull restore shop --at 2026-11-20T14:02:00Z --to mysql://root@new-host/`,
		Args: cobra.ExactArgs(1),

		ValidArgsFunction: a.completeTables(&f.config, &f.repo, true),
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), a, args[0]) },
	}
	f.add(cmd, a)
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "the moment: `WHEN`")
	flags.StringVar(&f.into, "into", "", "write the table as a new one, `SCHEMA.TABLE`, beside the live one")
	flags.StringVar(&f.out, "out", "", "write it to `FILE`: .sql, .csv or .parquet")
	flags.StringVar(&f.to, "to", "", "write it to another server: its `URL`")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password for --to from `FILE`")
	flags.BoolVar(&f.merge, "merge", false, "plan what the live table is missing; lull apply carries it out")
	flags.StringVar(&f.onConflict, "on-conflict", "keep", "with --merge, rows that differ now: `keep|restore|fail`")
	flags.BoolVar(&f.yes, "yes", false, "with --merge, apply the plan at once")
	flags.BoolVar(&f.grants, "grants", false, "with a whole database, give the accounts their rights, too")
	flags.BoolVar(&f.events, "enable-events", false, "with a whole database, leave its scheduled events switched on")
	flags.IntVar(&f.conns, "connections", defaultConnections, "write over `N` connections, 1 to 8")
	completeFlag(cmd, "at", a.completeFindings)
	completeFlag(cmd, "on-conflict", cobra.FixedCompletions([]string{"keep", "restore", "fail"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("out", "sql", "csv", "parquet") // the flag is there
	return cmd
}

func (f *restoreFlags) check() error {
	if f.at == "" {
		return lull.Errorf(lull.Usage, "add --at: a time such as 14:02, or a finding such as f-3kx81g2", "the moment to restore is not given")
	}
	ways := 0
	for _, given := range []bool{f.into != "" && f.to == "", f.out != "", f.to != "", f.merge} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return lull.Errorf(lull.Usage, "choose one", "--into, --out, --to and --merge exclude each other (but --to with --into names the table there)")
	case f.conns < 1 || f.conns > 8:
		return lull.Errorf(lull.Usage, "--connections 1 to 8", "--connections %d is out of range", f.conns)
	}
	switch undo.OnConflict(f.onConflict) {
	case undo.KeepNow, undo.RestoreThen, undo.FailPlan:
	default:
		return lull.Errorf(lull.Usage, "--on-conflict keep, restore or fail", "--on-conflict %q is not a choice", f.onConflict)
	}
	if f.out == "" {
		return nil
	}
	switch filepath.Ext(f.out) {
	case ".sql", ".csv", ".parquet":
	default:
		return lull.Errorf(lull.Usage, "end its name with .sql, .csv or .parquet", "--out %s: what to write is not clear", f.out)
	}
	if st, err := os.Stat(filepath.Dir(f.out)); err != nil || !st.IsDir() {
		return lull.Errorf(lull.Usage, "name a file in a folder that is there", "--out %s: there is no folder %s", f.out, filepath.Dir(f.out))
	}
	if st, err := os.Stat(f.out); err == nil && (st.IsDir() || st.Mode().IsRegular() && st.Size() > 0) {
		return lull.Errorf(lull.Usage, "name another file, or remove it first", "--out %s is there already", f.out)
	}
	return nil
}

func (f *restoreFlags) run(ctx context.Context, a *runner, what string) error {
	if err := f.check(); err != nil {
		return err
	}
	w, err := f.where(ctx, a)
	if err != nil {
		return err
	}
	scratch, done, err := a.scratch()
	if err != nil {
		return err
	}
	defer done()
	site, err := backup.Open(ctx, w, what)
	if err != nil {
		return err
	}
	defer closeQuietly(site)
	then, err := site.Then(ctx, f.at, scratch)
	if err != nil {
		return err
	}
	for _, warning := range then.Warnings() {
		a.say("note: %s", oneLine(warning))
	}
	if site.Whole() {
		return f.whole(ctx, a, then)
	}
	table, err := then.Table(ctx)
	if err != nil {
		return err
	}
	switch {
	case f.merge:
		return f.mergePlan(ctx, a, site, table)
	case f.out != "":
		return f.write(ctx, a, table)
	case f.into != "" || f.to != "":
		return f.load(ctx, a, site, table)
	}
	return f.preview(a, table)
}

// preview says what would be restored.
func (f *restoreFlags) preview(a *runner, t *backup.Table) error {
	doc := restoreDocument(t, "")
	if a.json {
		return a.emit(doc)
	}
	s := a.newScreen()
	s.line(2, "%s as it was %s", term.Safe(t.Name.String()), t.When())
	s.item(2, "from ", term.Faint, t.Source())
	s.item(2, "until", term.Faint, t.Last())
	for _, w := range t.Warnings() {
		s.item(2, "!", term.Warn, term.Safe(w))
	}
	s.line(2, "Nothing is written yet.")
	again := "lull restore " + shellWord(t.Name.String()) + " --at " + shellWord(f.at) + f.again()
	ways := []string{"--into " + shellWord(t.Name.String()+"_was"), "--merge", "--out " + shellWord(t.Name.Table) + ".csv"}
	if f.repo != "" { // nobody has said where a live database is
		ways = []string{"--out " + shellWord(t.Name.Table) + ".sql", "--to mysql://root@HOST/"}
	}
	word := "Next"
	for _, way := range ways {
		fmt.Fprintf(s, "%s: %s %s\n", word, again, way)
		word = "  or"
	}
	return a.show(s)
}

// write writes the table to a file.
func (f *restoreFlags) write(ctx context.Context, a *runner, t *backup.Table) error {
	file, err := fsx.Create(filepath.Clean(f.out), 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // does nothing once it is committed
	p := a.progress("writing "+f.out, t.Estimate(), term.Count)
	r, err := t.Write(ctx, file, strings.TrimPrefix(filepath.Ext(f.out), "."), p.Set)
	p.Done()
	if err != nil {
		return err
	}
	if err := file.Commit(); err != nil {
		return err
	}
	return f.receipt(a, t, r, f.out)
}

// load writes the table to a server, as a new one.
func (f *restoreFlags) load(ctx context.Context, a *runner, site *backup.Site, t *backup.Table) error {
	p := a.progress("restoring "+t.Name.String(), t.Estimate(), term.Count)
	r, where, err := t.Load(ctx, site, backup.Target{URL: f.to, PasswordFile: f.passwordFile, Into: f.into, Connections: f.conns}, p.Set)
	p.Done()
	if err != nil {
		return err
	}
	return f.receipt(a, t, r, where)
}

func (f *restoreFlags) mergePlan(ctx context.Context, a *runner, site *backup.Site, t *backup.Table) error {
	store, err := a.newPlans()
	if err != nil {
		return err
	}
	p := a.progress("comparing "+t.Name.String(), t.Estimate(), term.Count)
	plan, conn, err := t.Merge(ctx, site, store, undo.OnConflict(f.onConflict), p.Set)
	p.Done()
	if err != nil {
		return err
	}
	u := undoFlags{yes: f.yes, conns: f.conns, sourceFlags: sourceFlags{config: f.config, database: f.database}}
	return u.finish(ctx, a, store, plan, &app.Database{Conn: conn})
}
