package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

// printf prints part of a result on stdout.
func (a *runner) printf(format string, args ...any) {
	fmt.Fprintf(a.stdout, format, args...)
}

func newPlansCmd(a *runner) *cobra.Command {
	return &cobra.Command{
		Use:     "plans",
		Short:   "List the plans that were made, newest first",
		GroupID: repair,
		Example: "  lull plans\n  lull plans --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			list, err := store.List()
			if err != nil {
				return err
			}
			if a.json {
				return a.emit(plansDocument(list))
			}
			if len(list) == 0 {
				a.printf("There are no plans yet.\nNext: lull find\n")
				return nil
			}
			t := term.NewTable(term.Column{Head: "PLAN"}, term.Column{Head: "MADE"}, term.Column{Head: "STATE"}, term.Column{Head: "ROWS"}, term.Column{Head: "WHAT"})
			t.Style = a.style()
			for _, p := range list {
				sum := p.Totals()
				t.Row(p.ID, p.Created.Local().Format(time.DateTime), stateText(p), sum.Writes(), title(p))
			}
			_, err = t.WriteTo(a.stdout)
			return err
		},
	}
}

func stateText(p *act.Stored) string {
	if s := p.State(); s != act.Planned || !p.Expired() {
		return string(s)
	}
	return "expired"
}

// title is a plan in a few words.
func title(p *act.Stored) string {
	var tables []string
	for i := range p.Tables {
		tables = append(tables, p.Tables[i].Title)
	}
	return "undo " + strings.Join(p.Source, ", ") + " in " + strings.Join(tables, ", ")
}

func newShowCmd(a *runner) *cobra.Command {
	rows := false
	var limit, skip int64
	cmd := &cobra.Command{
		Use:     "show PLAN",
		Short:   "Show a plan, with --rows every row of it",
		GroupID: repair,
		Example: "  lull show p-12\n  lull show p-12 --rows | less\n  lull show p-12 --rows --skip 1000 --limit 50 --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.store()
			if err != nil {
				return err
			}
			plan, err := store.Open(args[0])
			if err != nil {
				return err
			}
			if rows {
				return a.showRows(plan, skip, limit)
			}
			return a.showPlan(plan, nil)
		},
	}
	cmd.Flags().BoolVar(&rows, "rows", false, "show every row: what it is now, and what it will be")
	cmd.Flags().Int64Var(&skip, "skip", 0, "leave out the first `N` rows")
	cmd.Flags().Int64Var(&limit, "limit", 0, "show at most `N` rows; 0 shows all")
	return cmd
}
