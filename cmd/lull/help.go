package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/typo"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitCode is one line of the table that every --help ends with.
type exitCode struct {
	kind lull.Kind // 0 is success
	name string    // in --json errors
	text string
}

func exitCodes() []exitCode {
	return []exitCode{
		{0, "", "done, nothing to do, ready"},
		{lull.Failed, "failed", "failed"},
		{lull.Usage, "usage", "wrong use or configuration, nothing was touched"},
		{lull.No, "no", "the answer is no"},
		{lull.Partly, "partly", "partly done or partly possible, what is missing is recorded"},
		{lull.Refused, "refused", "refused: needs approval, or the plan is stale or expired"},
		{lull.Unreachable, "unreachable", "a system did not answer, trying again may help"},
		{lull.Locked, "locked", "locked by another run"},
		{lull.Interrupted, "interrupted", "interrupted"},
	}
}

// kindName is the kind's word in --json errors.
func kindName(kind lull.Kind) string {
	for _, c := range exitCodes() {
		if c.kind == kind {
			return c.name
		}
	}
	return "failed"
}

const helpWidth = 80

// help prints what a command is, how it is called, and how it ends.
func help(w io.Writer, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintf(w, "%s\n\nUsage:\n", strings.TrimSpace(about))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(w, "\nAlso called: %s\n", strings.Join(cmd.Aliases, ", "))
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	for _, g := range cmd.Groups() {
		helpCommands(w, cmd, g.ID, g.Title)
	}
	helpCommands(w, cmd, "", "Commands:")
	helpFlags(w, "Flags:", cmd.LocalNonPersistentFlags())
	if cmd.HasParent() {
		helpFlags(w, "Flags of every command:", cmd.InheritedFlags())
	} else {
		helpFlags(w, "Flags of every command:", cmd.PersistentFlags())
	}
	fmt.Fprintln(w, "\nExit codes:")
	for _, c := range exitCodes() {
		fmt.Fprintf(w, "  %3d  %s\n", int(c.kind), c.text)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nMore about a command: %s COMMAND --help\n", cmd.CommandPath())
	}
}

func helpCommands(w io.Writer, cmd *cobra.Command, group, title string) {
	first := true
	for _, c := range cmd.Commands() {
		if c.GroupID != group || c.Hidden || c.Deprecated != "" || !c.IsAvailableCommand() && c.Name() != "help" {
			continue
		}
		if first {
			fmt.Fprintf(w, "\n%s\n", title)
			first = false
		}
		fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
	}
}

func helpFlags(w io.Writer, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\n%s\n%s", title, flags.FlagUsagesWrapped(helpWidth))
	}
}

// flagError turns pflag's error into ours, with the flag that was perhaps meant.
func flagError(cmd *cobra.Command, err error) error {
	hint := cmd.CommandPath() + " --help"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			hint = "did you mean --" + near + "? See " + hint
		}
	}
	return lull.Errorf(lull.Usage, hint, "%w", err)
}

// nearestFlag is the flag of cmd that is at most two typos away from name, or "".
func nearestFlag(cmd *cobra.Command, name string) string {
	best, least := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		d := typo.Distance(name, f.Name)
		if strings.HasPrefix(f.Name, name) && len(name) > 1 {
			d = 1
		}
		if !f.Hidden && d < least && d < len(name) {
			best, least = f.Name, d
		}
	})
	return best
}
