package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

func newApplyCmd(a *runner) *cobra.Command {
	var f sourceFlags
	conns := defaultConnections
	cmd := &cobra.Command{
		Use:     "apply PLAN",
		Short:   "Carry out exactly that plan, and verify it",
		GroupID: repair,
		Long: `Apply carries out a stored plan exactly as it was shown, or refuses it: when
it has expired, when a row it would write was changed since, or when the table
has another shape by now. Everything written is read back and compared before
it is committed, and a receipt is kept. An apply that was interrupted goes on
when it is called again; one that is done changes nothing.`,
		Example:           "  lull apply p-12\n  lull apply p-12 --db env:DATABASE_URL",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePlans(act.Planned, act.Started),
		RunE: func(cmd *cobra.Command, args []string) error {
			if conns < 1 || conns > 4 {
				return lull.Errorf(lull.Usage, "--connections 1 to 4", "--connections %d is out of range", conns)
			}
			store, err := a.store()
			if err != nil {
				return err
			}
			plan, err := store.Open(args[0])
			if err != nil {
				return err
			}
			conn, err := f.connect(cmd.Context(), a, plan.Target)
			if err != nil {
				return err
			}
			defer closeQuietly(conn)
			return a.apply(cmd.Context(), plan, conn, conns, false)
		},
	}
	f.addDB(cmd)
	f.addConfig(cmd, a)
	cmd.Flags().IntVar(&conns, "connections", defaultConnections, "write batches over `N` connections, 1 to 4")
	return cmd
}

// connect opens the database of a plan: where --db says, else where the plan was made.
func (f *sourceFlags) connect(ctx context.Context, a *runner, target string) (*mysql.Conn, error) {
	url, passwordFile := cmp.Or(f.db, target), f.passwordFile
	if f.db == "" && passwordFile == "" { // a plan holds no password: lull.yaml may know where it is
		where, err := (&siteFlags{config: f.config}).where(ctx, a)
		if err != nil {
			return nil, err
		}
		if known, file, ok := backup.ByTarget(where, target); ok {
			url, passwordFile = known, file
		}
	}
	return app.Connect(ctx, url, passwordFile, a.dbEnv(ctx))
}

// nextApply is the command that applies the plan, with what it needs to reach the database:
// a plan knows the server, but no password.
func (f *sourceFlags) nextApply(p *act.Stored) string {
	next := "lull apply " + p.ID
	if strings.HasPrefix(f.db, "env:") || strings.HasPrefix(f.db, "file:") || f.passwordFile != "" || f.config != "" {
		next += f.againDB()
	}
	return next
}

// apply carries a plan out and prints its receipt.
func (a *runner) apply(ctx context.Context, plan *act.Stored, conn *mysql.Conn, conns int, fresh bool) error {
	already := plan.State() == act.Done
	sum := plan.Totals()
	p := a.progress("writing "+plan.ID, sum.Writes(), term.Count)
	r, err := app.Apply(ctx, conn, plan, undo.ApplyOptions{
		Connections: conns, Fresh: fresh, Now: a.now, Progress: p.Add,
	})
	p.Done()
	if err != nil {
		return err
	}
	if a.json {
		if err := a.emit(receiptDocument(r, already)); err != nil {
			return err
		}
		return partly(&plan.Plan)
	}
	if err := a.printReceipt(plan, r, already); err != nil {
		return err
	}
	return partly(&plan.Plan)
}

func (a *runner) printReceipt(plan *act.Stored, r *act.Receipt, already bool) error {
	s, sum := a.newScreen(), plan.Totals()
	if sum.Writes() == 0 {
		s.item(0, "ok", term.Good, plan.ID+" holds nothing to do: no row was changed")
		return a.show(s)
	}
	if already {
		s.item(0, "ok", term.Good, fmt.Sprintf("%s was applied at %s already; nothing was changed now", plan.ID, localTime(r.Finished)))
	} else {
		s.item(0, "ok", term.Good, fmt.Sprintf("%s applied in %s", plan.ID, term.Duration(r.Finished.Sub(r.Started))))
	}
	s.counted(2, "+", r.Inserted, "inserted")
	s.counted(2, "~", r.Updated, "changed back")
	s.counted(2, "-", r.Deleted, "deleted")
	if others := r.Inserted + r.Updated + r.Deleted - r.Verified; others > 0 {
		s.counted(2, "=", r.Verified, "read back and as planned")
		s.counted(2, "!", others, "changed by somebody after they were written, before this run could read them back")
	} else {
		s.counted(2, "=", r.Verified, "read back and compared: all as planned")
	}
	s.counted(2, "!", sum.Keep, "kept as they are: changed since the accident")
	s.line(2, "  receipt %s, checksum %s", plan.ID, r.Checksum)
	s.line(0, "This can be undone: lull undo %s", plan.ID)
	return a.show(s)
}

type receiptJSON struct {
	document
	*act.Receipt
	Lull    int  `json:"lull"`
	Already bool `json:"already"`
}

func receiptDocument(r *act.Receipt, already bool) receiptJSON {
	return receiptJSON{document: newDocument(), Lull: lull.ContractVersion, Receipt: r, Already: already}
}
