package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

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
			list, damaged := store.List()
			if a.json {
				return cmp.Or(a.emit(plansDocument(list)), damaged)
			}
			return cmp.Or(a.printPlans(list), damaged)
		},
	}
}

func (a *runner) printPlans(list []*act.Stored) error {
	s := a.newScreen()
	if len(list) == 0 {
		s.WriteString("There are no plans yet.\nNext: lull find\n")
		return a.show(s)
	}
	zone := list[0].Created.Local().Format("MST")
	t := term.NewTable(term.Column{Head: "PLAN"}, term.Column{Head: "MADE (" + zone + ")"}, term.Column{Head: "STATE"}, term.Column{Head: "ROWS"}, term.Column{Head: "WHAT"})
	t.Style, t.Width = s.Style, s.width
	for _, p := range list {
		sum := p.Totals()
		t.Row(p.ID, p.Created.Local().Format(time.DateTime), stateText(p), sum.Writes(), title(p))
	}
	s.WriteString(t.String())
	return a.show(s)
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
		tables = append(tables, term.Safe(p.Tables[i].Title))
	}
	return "undo " + term.Safe(strings.Join(p.Source, ", ")) + " in " + strings.Join(tables, ", ")
}

// nextOf is what can be done with a plan as it is.
func nextOf(p *act.Stored) string {
	switch stateText(p) {
	case string(act.Planned), string(act.Started):
		return "lull apply " + p.ID
	case string(act.Done):
		return "lull undo " + p.ID + ", if it was wrong"
	}
	return ""
}

func newShowCmd(a *runner) *cobra.Command {
	rows := false
	var limit, skip int64
	cmd := &cobra.Command{
		Use:               "show PLAN",
		Short:             "Show a plan, with --rows every row of it",
		GroupID:           repair,
		Example:           "  lull show p-12\n  lull show p-12 --rows | less\n  lull show p-12 --rows --skip 1000 --limit 50 --json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePlans(),
		RunE: func(_ *cobra.Command, args []string) error {
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
			return a.showPlan(plan, nextOf(plan))
		},
	}
	cmd.Flags().BoolVar(&rows, "rows", false, "show every row: what it is now, and what it will be")
	cmd.Flags().Int64Var(&skip, "skip", 0, "leave out the first `N` rows")
	cmd.Flags().Int64Var(&limit, "limit", 0, "show at most `N` rows; 0 shows all")
	return cmd
}

// undone maps what was undone (a finding, a GTID, a place) to the plan that did it, leaving
// out plans that were taken back themselves. What cannot be read undoes nothing.
func (a *runner) undone() map[string]string {
	out := map[string]string{}
	store, err := a.store()
	if err != nil {
		return out
	}
	list, _ := store.List() // damaged plans undid nothing that can be told
	takenBack := map[string]bool{}
	for _, p := range list { // newest first: who takes back comes before what is taken back
		if p.State() != act.Done || takenBack[p.ID] {
			continue
		}
		for _, source := range p.Source {
			takenBack[source] = true
			if !p.Narrowed {
				out[source] = p.ID
			}
		}
	}
	return out
}
