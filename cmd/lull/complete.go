package main

import (
	"context"
	"slices"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/spf13/cobra"
)

// completer offers what may stand for an argument.
type completer = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective)

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

// completeFlag offers values for a flag of cmd.
func completeFlag(cmd *cobra.Command, flag string, values completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // there is no such flag
	}
}

// completeDatabases offers the databases of lull.yaml.
func (a *runner) completeDatabases(config *string) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.databaseWords(cmd.Context(), *config), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *runner) databaseWords(ctx context.Context, config string) []string {
	where, err := (&siteFlags{config: config}).where(ctx, a)
	if err != nil {
		return nil
	}
	conf, err := backup.LoadConfig(where.Config, a.env)
	if err != nil {
		return nil
	}
	return conf.Names()
}

// completeTables offers the tables that the repository has snapshots of, and with whole the
// databases, too. repo is what --repo names; nil where there is no such flag.
func (a *runner) completeTables(config, repo *string, whole bool) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		f := siteFlags{config: *config}
		if repo != nil {
			f.repo = *repo
		}
		where, err := f.where(cmd.Context(), a)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := backup.TableNames(cmd.Context(), where)
		if whole {
			out = append(out, a.databaseWords(cmd.Context(), *config)...)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFindings offers the findings that find has shown.
func (a *runner) completeFindings(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	dir, err := a.dataDir()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return app.OpenPlaces(dir).IDs(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeOpen offers the findings that nobody has closed.
func (a *runner) completeOpen(f *siteFlags) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		where, err := f.where(cmd.Context(), a)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, x := range backup.OpenFindings(where) {
			out = append(out, cobra.CompletionWithDesc(x.ID, x.Title))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeUndo offers plans that can be taken back, and findings that find has shown.
func (a *runner) completeUndo(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	out := a.planWords([]act.State{act.Done})
	if dir, err := a.dataDir(); err == nil {
		out = append(out, app.OpenPlaces(dir).IDs()...)
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
