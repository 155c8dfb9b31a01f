package main

import (
	"cmp"
	"context"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/keep/history"
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
	past    bool            // the repository was read, too
	kept    map[string]bool // findings that can be taken back from the repository
}

// table is the first table that was asked for, "" when all are meant.
func (f *findFlags) table() string {
	if len(f.tables) == 0 {
		return ""
	}
	return f.tables[0]
}

// windowFlags say which part of the past is meant.
type windowFlags struct{ since, until string }

func (w *windowFlags) add(cmd *cobra.Command, def string) {
	flags := cmd.Flags()
	flags.StringVar(&w.since, "since", "", "from `WHEN` on: 3h, 2d, 14:02, \"2026-11-20 14:02\" (local), RFC 3339, a GTID, or FILE:POS"+def)
	flags.StringVar(&w.until, "until", "", "up to `WHEN`, as --since")
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
many rows deleted or updated at once, statements without a WHERE, TRUNCATE,
DROP. It changes nothing. Transactions that only inserted are left out unless
--all is given. When part of the logs could not be read, the exit code is 4.

With --key it shows every version of one row, who made it and when.`,
		Example: `  lull find --db mysql://ops@db.example.com/shop --since 3h
  lull find billing --db mysql://ops@db.example.com/shop --min-rows 1
  lull find billing --key id=4711 --db mysql://ops@db.example.com/shop
  lull find --binlog /var/lib/mysql --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeTables(&f.config, nil, false),
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
	f.add(cmd, a)
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
	d, err := f.open(ctx, a, f.table())
	if err != nil {
		return err
	}
	defer closeQuietly(d)
	report, ended := a.reading("reading binlogs")
	want := app.Find{Window: w, Tables: f.tables, MinRows: f.minRows, All: f.all, Progress: report}
	if f.key != "" {
		versions, gaps, err := d.RowHistory(ctx, want, f.key)
		ended()
		if err != nil {
			return err
		}
		return cmp.Or(a.printVersions(f, versions, gaps), f.gapsError(gaps, int64(len(versions))))
	}
	begin := f.reach(ctx, d, w)
	if past, since := f.recorded(ctx, a, begin); past != nil {
		want.Recorded, f.past = past, true
		if begin = since; !begin.After(w.Since.Time) {
			begin = time.Time{} // it holds all that was asked for
		}
	}
	found, err := d.Find(ctx, want)
	ended()
	if err != nil {
		return err
	}
	gaps := f.gapsError(found.Result.Gaps, found.Result.Transactions)
	if lull.KindOf(gaps) == lull.Usage {
		return gaps
	}
	f.remember(a, found)
	f.askRepository(ctx, a, found)
	if a.json {
		return cmp.Or(a.emit(f.document(found, a.undone(), begin)), gaps)
	}
	return cmp.Or(f.print(a, found, begin), gaps)
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
