package main

import (
	"context"
	"time"

	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/spf13/cobra"
)

func newServeCmd(a *runner) *cobra.Command {
	var f siteFlags
	var origins []string
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Record every database of lull.yaml, and rehearse restoring them",
		GroupID: setUp,
		Long: `Serve connects to each database as a replica would, and stores every change of
every row; it takes snapshots and makes new ones inside the repository, removes
what is too old, brings copies up to date, and restores tables as a drill. A
transaction that looks like an accident is told within a second, with the
command that takes it back.

It changes nothing on the servers. Stopped, which is exit code 0, or killed, it
goes on where it was when it is started again.`,
		Example: `  lull serve
  lull serve --config /etc/lull/lull.yaml --origin deploy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := f.where(cmd.Context(), a)
			if err != nil {
				return err
			}
			say := func(at time.Time, text string) { a.say("%s %s", at.Local().Format(time.DateTime), oneLine(text)) }
			err = backup.Serve(cmd.Context(), w, backup.ServeOptions{Origins: origins, Say: say})
			if err == nil {
				say(a.now(), "stopped; lull serve goes on where it was")
			}
			return err
		},
	}
	f.addConfig(cmd)
	cmd.Flags().StringArrayVar(&origins, "origin", nil, "open no finding for transactions marked with `NAME`, as in /* origin: deploy */; may be repeated")
	return cmd
}

func newBackupDrillCmd(a *runner) *cobra.Command {
	var f siteFlags
	var tables []string
	var all bool
	cmd := siteCmd(&f, "drill", "Rehearse restoring: compare what comes back, keep evidence",
		`Drill restores the tables whose last drill is longest ago to a scratch server:
the one that "drill" of lull.yaml names, or a private one that it starts and
removes, when mariadbd or mysqld is on this machine. What came back is compared,
row count and checksum, with the repository and with the live table at the same
position.`,
		"  lull backup drill shop\n  lull backup drill shop --table shop.billing\n  lull backup drill shop --all", func(ctx context.Context, site *backup.Site) error {
			scratch, done, err := a.scratch()
			if err != nil {
				return err
			}
			defer done()
			results, err := site.Drill(ctx, backup.DrillOptions{Tables: tables, All: all, Scratch: scratch, Say: func(text string) { a.say("%s", oneLine(text)) }})
			if err != nil {
				return err
			}
			return a.printDrill(site, results)
		}, a)
	cmd.Flags().StringArrayVar(&tables, "table", nil, "only this `TABLE`; may be repeated")
	completeFlag(cmd, "table", a.completeTables(&f.config, &f.repo, false))
	cmd.Flags().BoolVar(&all, "all", false, "every table")
	return cmd
}
