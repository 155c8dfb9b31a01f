package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch/accident"
	"github.com/spf13/cobra"
)

// findFlags are the flags of `lull find`.
type findFlags struct {
	sourceFlags
	window  windowFlags
	tables  []string
	minRows int64
	all     bool
	key     string
}

// windowFlags say which part of the past is meant.
type windowFlags struct{ since, until string }

func (w *windowFlags) add(cmd *cobra.Command, def string) {
	flags := cmd.Flags()
	flags.StringVar(&w.since, "since", "", "from here on: 3h, 2d, 14:02, \"2026-11-20 14:02\" (local), RFC 3339, a GTID, or FILE:POS"+def)
	flags.StringVar(&w.until, "until", "", "up to here, as --since")
}

func (w *windowFlags) parse(now time.Time) (history.Window, error) {
	since, err := app.ParseBound(w.since, now)
	if err != nil {
		return history.Window{}, lull.Errorf(lull.Usage, lull.HintOf(err), "--since: %w", err)
	}
	until, err := app.ParseBound(w.until, now)
	if err != nil {
		return history.Window{}, lull.Errorf(lull.Usage, lull.HintOf(err), "--until: %w", err)
	}
	if !since.Time.IsZero() && !until.Time.IsZero() && !since.Time.Before(until.Time) {
		return history.Window{}, lull.Errorf(lull.Usage, "--since is the earlier end", "--since %s is not before --until %s", since, until)
	}
	return history.Window{Since: since, Until: until}, nil
}

// defaultSince is how far back a server's logs are read when nobody says.
const defaultSince = "24h"

func newFindCmd(a *runner) *cobra.Command {
	var f findFlags
	cmd := &cobra.Command{
		Use:     "find [TABLE]",
		Short:   "Show what happened to your rows: accidents, newest first",
		GroupID: everyDay,
		Long: `Find reads the binlogs that the server writes anyway, over the replication
protocol or from files, and shows the transactions that look like accidents:
many rows deleted or updated at once, statements without a WHERE, TRUNCATE, DROP.
It changes nothing. Transactions that only inserted are left out; --all shows all.

With --key it shows every version of one row, who made it and when.`,
		Example: `  lull find --db mysql://ops@db.example.com/shop --since 3h
  lull find billing --db mysql://ops@db.example.com/shop --min-rows 1
  lull find billing --key id=4711 --db mysql://ops@db.example.com/shop
  lull find --binlog /var/lib/mysql --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.tables = append(f.tables, args...)
			if !cmd.Flags().Changed("min-rows") {
				f.minRows = -1
			} else if f.minRows < 0 {
				return lull.Errorf(lull.Usage, "give 0 or more", "--min-rows %d is negative", f.minRows)
			}
			return f.run(cmd.Context(), a)
		},
	}
	f.add(cmd)
	f.window.add(cmd, " (default 24h from a server, all from files)")
	flags := cmd.Flags()
	flags.StringArrayVar(&f.tables, "table", nil, "only this `TABLE`: billing, or shop.billing; may be repeated")
	flags.Int64Var(&f.minRows, "min-rows", app.DefaultMinRows, "only transactions that deleted or updated at least `N` rows of a table;\nunless given, smaller ones without a WHERE are shown, too")
	flags.BoolVar(&f.all, "all", false, "show every transaction, those that only inserted and Lull's own, too")
	flags.StringVar(&f.key, "key", "", "show the history of one row: `COLUMN=VALUE`, comma separated")
	return cmd
}

func (f *findFlags) run(ctx context.Context, a *runner) error {
	if f.window.since == "" && len(f.binlogs) == 0 {
		f.window.since = defaultSince
	}
	w, err := f.window.parse(a.now())
	if err != nil {
		return err
	}
	d, err := f.source(ctx, a).Open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	report, done := a.reading("reading binlogs")
	want := app.Find{Window: w, Tables: f.tables, MinRows: f.minRows, All: f.all, Progress: report}
	if f.key != "" {
		versions, gaps, err := d.RowHistory(ctx, want, f.key)
		done()
		if err != nil {
			return err
		}
		return a.printVersions(f, versions, gaps)
	}
	found, err := d.Find(ctx, want)
	done()
	if err != nil {
		return err
	}
	f.remember(a, found)
	if a.json {
		return a.emit(findDocument(found))
	}
	return f.print(a, found)
}

// remember notes where the findings lie. That only saves time later, so it may fail.
func (f *findFlags) remember(a *runner, found *app.Found) {
	dir, err := a.dataDir()
	if err != nil || len(found.Accidents) == 0 {
		return
	}
	if err := app.OpenPlaces(dir).Remember(found); err != nil {
		a.say("note: %s", oneLine(err.Error()))
	}
}

// print shows the accidents to people.
func (f *findFlags) print(a *runner, found *app.Found) error {
	var out strings.Builder
	st := a.style()
	for _, name := range f.summaries(found) {
		printSummary(&out, name)
	}
	if len(found.Accidents) == 0 {
		fmt.Fprintf(&out, "%s nothing looks like an accident in %s of %s (%s transactions).\n", st.Paint(term.Good, "ok"),
			term.Bytes(found.Result.Bytes), files(found.Result.Files), term.Count(found.Result.Transactions))
	} else {
		printAccidents(&out, a, found.Accidents)
	}
	for _, g := range found.Result.Gaps {
		fmt.Fprintf(&out, "%s %s: %s\n", st.Paint(term.Warn, "gap"), term.Safe(g.File), term.Safe(g.Reason))
	}
	f.footer(&out, found)
	_, err := io.WriteString(a.stdout, out.String())
	return err
}

func files(names []string) string {
	switch len(names) {
	case 0:
		return "no binlog"
	case 1:
		return term.Safe(names[0])
	}
	return term.Safe(names[0]) + " to " + term.Safe(names[len(names)-1])
}

func (f *findFlags) footer(out *strings.Builder, found *app.Found) {
	if n := found.Result.Passed; n > 0 && !f.all {
		fmt.Fprintf(out, "%s that only inserted: --all shows them.\n", term.Plural(int64(n), "larger transaction"))
	}
	if found.Own > 0 {
		fmt.Fprintf(out, "%s by lull itself: --all shows them.\n", term.Plural(int64(found.Own), "change"))
	}
	for i := range found.Accidents {
		if x := &found.Accidents[i]; x.Undoable != accident.No {
			fmt.Fprintf(out, "Next: lull undo %s%s\n", x.ID(), f.again())
			return
		}
	}
}

// again is the source as it was given, for the next command line; never a password.
func (f *sourceFlags) again() string {
	out := ""
	if f.db != "" {
		out += " --db " + term.Safe(secretInURL.ReplaceAllString(f.db, "$1@"))
	}
	for _, b := range f.binlogs {
		out += " --binlog " + term.Safe(b)
	}
	if f.schema != "" {
		out += " --schema " + term.Safe(f.schema)
	}
	return out
}

func printAccidents(out *strings.Builder, a *runner, list []accident.Accident) {
	st := a.style()
	for i := range list {
		x := &list[i]
		fmt.Fprintf(out, "\n%s  %s  %s  %s\n", st.Paint(term.Strong, x.ID()), x.Tx.At.Local().Format(time.DateTime),
			st.Paint(term.Strong, term.Safe(x.Table.String())), what(x))
		if x.Statement != "" {
			fmt.Fprintf(out, "  %s\n", term.Cut(term.Safe(strings.Join(strings.Fields(x.Statement), " ")), 76))
		}
		for _, r := range x.Reasons {
			fmt.Fprintf(out, "  %s %s\n", st.Paint(term.Bad, "!"), term.Safe(r))
		}
		fmt.Fprintf(out, "  %s\n", st.Paint(term.Faint, where(x)))
		if x.Undoable != accident.Yes {
			fmt.Fprintf(out, "  undo: %s, %s\n", x.Undoable, term.Safe(x.Why))
		}
	}
	out.WriteByte('\n')
}

// what says in words how many rows were hit.
func what(x *accident.Accident) string {
	if x.DDL != "" {
		return strings.ToUpper(x.DDL)
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{{x.Deleted, "deleted"}, {x.Updated, "updated"}, {x.Inserted, "inserted"}} {
		if p.n > 0 {
			parts = append(parts, term.Count(p.n)+" "+p.word)
		}
	}
	return strings.Join(parts, ", ")
}

func where(x *accident.Accident) string {
	parts := []string{fmt.Sprintf("%s:%d", term.Safe(x.Tx.File), x.Tx.Start)}
	if x.Tx.GTID != "" {
		parts = append([]string{"GTID " + term.Safe(x.Tx.GTID)}, parts...)
	}
	if x.Tx.Thread != 0 {
		parts = append(parts, fmt.Sprintf("thread %d", x.Tx.Thread))
	}
	if x.Statements > 1 {
		parts = append(parts, fmt.Sprintf("%d statements", x.Statements))
	}
	return strings.Join(parts, "  ")
}

