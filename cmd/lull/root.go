package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

// The groups that --help lists commands in.
const (
	everyDay = "every day"
	repair   = "repair"
	operate  = "operate"
	setUp    = "set up"
)

// commands is the list of all commands: one line, one file.
func (a *runner) commands() []*cobra.Command {
	return []*cobra.Command{
		newTonightCmd(a),
		newFindCmd(a),
		newUndoCmd(a),
		newRestoreCmd(a),
		newApplyCmd(a),
		newPlansCmd(a),
		newShowCmd(a),
		newBackupCmd(a),
		newServeCmd(a),
		newCheckCmd(a),
		newVersionCmd(a),
	}
}

// run is the whole program without its process: args come without the program's name, and
// the exit code comes back. Nothing global is read or changed.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	a := &runner{stdin: stdin, stdout: stdout, stderr: stderr, env: env, now: clock.System()}
	return a.report(ctx, args, a.execute(ctx, args))
}

// execute runs the command line. A panic becomes an error: the runtime's own exit code for
// it is 2, which for us says that nothing was touched.
func (a *runner) execute(ctx context.Context, args []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(a.stderr, "%s\n", debug.Stack())
			err = lull.Errorf(lull.Failed, "report it with the lines above", "run lull: this is a bug: %v", p)
		}
	}()
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if _, ours := errors.AsType[*lull.Error](err); err == nil || a.running || ours {
		return err
	}
	return lull.Errorf(lull.Usage, cmd.CommandPath()+" --help", "%w", err)
}

func newRoot(a *runner) *cobra.Command {
	root := &cobra.Command{
		Use:   "lull",
		Short: "Find and undo accidents in MySQL and MariaDB, and keep every table's past",
		Long: `Lull finds accidents such as "delete from billing;" in the logs that a MySQL or
MariaDB server writes anyway, and puts exactly those rows back. It keeps every
change in your own bucket, brings any table back as it was at any moment, and
rehearses that.`,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       lull.Version,
	}
	root.SetVersionTemplate("lull {{.Version}}\n")
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one JSON document on stdout")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print the result only, no progress or remarks")
	flags.BoolVar(&a.noInput, "no-input", false, "never ask; what needs an answer fails instead")
	flags.StringVar(&a.data, "data", "", "keep plans and receipts in `DIR` (default $LULL_DATA, else as the system does it: ~/.local/state/lull)")
	for _, g := range []string{everyDay, repair, operate, setUp} {
		root.AddGroup(&cobra.Group{ID: g, Title: strings.ToUpper(g[:1]) + g[1:] + ":"})
	}
	root.AddCommand(a.commands()...)
	root.SetHelpCommand(newHelpCmd())
	root.SetCompletionCommandGroupID(setUp)
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(cmd.OutOrStdout(), cmd) })
	a.noteStart(root)
	return root
}

// noteStart makes every command note that its own code has begun. Errors before that come
// from cobra and are about the command line.
func (a *runner) noteStart(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.noteStart(sub)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = unknownCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if own := cmd.RunE; own != nil && cmd.HasParent() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.running = true
			if config := cmd.Flags().Lookup("config"); config != nil {
				a.config = config.Value.String()
			}
			return own(cmd, args)
		}
	}
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		slices.Sort(near)
		hint = "did you mean " + cmd.CommandPath() + " " + strings.Join(near, " or "+cmd.CommandPath()+" ") + "?"
	}
	return lull.Errorf(lull.Usage, hint, "unknown command %q", args[0])
}

func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Explain a command",
		GroupID: setUp,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = unknownCommand(about, rest)
			}
			if err != nil {
				return err
			}
			return about.Help()
		},
	}
}

// report prints err and returns the exit code. People get it on stderr in every case; with
// --json, stdout gets a document unless the command has written its own.
func (a *runner) report(ctx context.Context, args []string, err error) int {
	if err == nil {
		return 0
	}
	kind := lull.KindOf(err)
	// What a cancelled context breaks has many names: "invalid connection" is one.
	if ctx.Err() != nil && (kind == lull.Failed || kind == lull.Unreachable) {
		kind = lull.Interrupted
	}
	if kind == lull.Interrupted && errors.Is(err, context.Canceled) {
		err = lull.Errorf(kind, "", "%s", strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted"))
	}
	if _, unsupported := errors.AsType[*binlog.UnsupportedError](err); unsupported && kind == lull.Failed {
		kind = lull.Usage
		err = lull.Errorf(kind, "give --db, or logs that can be read", "%w", err)
	}
	// Where in a log it was noticed that the command is wrong helps nobody.
	if wrong, ok := errors.AsType[*lull.Error](err); ok && wrong.Kind == lull.Usage {
		err = wrong
	}
	message, hint := oneLine(err.Error()), oneLine(lull.HintOf(err))
	if hint == "" && kind == lull.Usage {
		hint = "correct that and run it again"
	}
	fmt.Fprintf(a.stderr, "lull: %s\n", message)
	if hint != "" {
		fmt.Fprintf(a.stderr, "Next: %s\n", hint)
	}
	if (a.json || wantsJSON(args)) && !a.answered {
		type problem struct {
			Kind    string `json:"kind"`
			Message string `json:"message"`
			Hint    string `json:"hint"`
		}
		doc := struct {
			document
			Error problem `json:"error"`
		}{newDocument(), problem{kindName(kind), message, hint}}
		if err := a.emit(doc); err != nil {
			fmt.Fprintf(a.stderr, "lull: %s\n", oneLine(err.Error()))
		}
	}
	return int(kind)
}

// wantsJSON looks for --json in a command line that could not be parsed.
func wantsJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	return false
}

// secretInURL is a user and password in front of a host. The password ends at the last @.
var secretInURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):\S+@`)

// oneLine makes a message fit for one line of a terminal: joined errors are separated by
// semicolons, nothing in it acts on the terminal, and a password in a URL is hidden.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return term.Safe(secretInURL.ReplaceAllString(s, "$1:<secret>@"))
}
