package main

import (
	"slices"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/internal/app"
	"github.com/spf13/cobra"
)

// completer offers what may stand for an argument.
type completer func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective)

// completePlans offers the ids of plans in one of the states, with what they do; no states
// are all.
func (a *runner) completePlans(states ...act.State) completer {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.planWords(states), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func (a *runner) planWords(states []act.State) []string {
	store, err := a.store()
	if err != nil {
		return nil
	}
	list, _ := store.List() // damaged plans cannot be completed
	var out []string
	for _, p := range list {
		if len(states) == 0 || slices.Contains(states, act.State(stateText(p))) {
			out = append(out, cobra.CompletionWithDesc(p.ID, stateText(p)+": "+title(p)))
		}
	}
	return out
}

// completeUndo offers plans that can be taken back, and findings that find has shown.
func (a *runner) completeUndo(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	out := a.planWords([]act.State{act.Done})
	if dir, err := a.dataDir(); err == nil {
		out = append(out, app.OpenPlaces(dir).IDs()...)
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
