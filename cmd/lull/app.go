package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/term"
)

// runner is what every command is given: the streams, the environment and the global flags.
// Results go to stdout, talk to stderr.
type runner struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
	now            clock.Clock

	json    bool
	quiet   bool
	noInput bool
	data    string // --data, "" when it is not given
	config  string // --config, "" when it is not given or the command has none

	running  bool // a command's own code has begun: errors are no longer about the command line
	answered bool // the --json document is on stdout
}

// document is the start of every --json document; embed it and set it from newDocument.
type document struct {
	Lull int `json:"lull"`
}

func newDocument() document { return document{Lull: lull.ContractVersion} }

// emit writes v, which embeds document, as the one --json document of this run.
func (a *runner) emit(v any) error {
	a.answered = true
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// say tells people something on stderr, unless they asked for quiet.
func (a *runner) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintln(a.stderr, fmt.Sprintf(format, args...))
	}
}

// closeQuietly ends what was only read from, or whose work is committed: how it ends no longer
// matters.
func closeQuietly(c io.Closer) { _ = c.Close() }

// style is the style for stdout.
func (a *runner) style() term.Style { return term.NewStyle(term.IsTTY(a.stdout), a.env) }

// prompt asks on stderr, when somebody is there to answer.
func (a *runner) prompt() term.Prompt {
	return term.Prompt{In: a.stdin, Out: a.stderr, Ask: !a.noInput && term.IsTTY(a.stdin)}
}

// progress counts up to total (0 when unknown) on stderr; unit is term.Count or term.Bytes.
func (a *runner) progress(label string, total int64, unit func(int64) string) *term.Progress {
	return term.NewProgress(a.stderr, term.ProgressOptions{
		Label: label, Total: total, Unit: unit, Quiet: a.quiet,
		TTY: term.IsTTY(a.stderr), Width: term.Width(a.stderr), Now: a.now,
	})
}

// dataDir is where plans and receipts are kept: --data, else LULL_DATA, else the place the
// system has for such things. It is not created here.
func (a *runner) dataDir() (string, error) {
	if a.data == "" && a.env("LULL_DATA") == "" {
		file := a.config
		if file == "" {
			file = a.env("LULL_CONFIG")
		}
		if dir := backup.DataDir(file, a.env); dir != "" {
			return dir, nil
		}
	}
	return dataDir(a.data, a.env, runtime.GOOS)
}

func dataDir(flag string, env func(string) string, goos string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if dir := env("LULL_DATA"); dir != "" {
		return dir, nil
	}
	// The specification of XDG says to ignore a path that is not absolute.
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) && goos != "darwin" {
		return filepath.Join(dir, "lull"), nil
	}
	home := env("HOME")
	switch {
	case home == "":
		return "", lull.Errorf(lull.Usage, "say where: --data DIR", "find data folder: HOME is not set")
	case goos == "darwin":
		return filepath.Join(home, "Library", "Application Support", "lull"), nil
	}
	return filepath.Join(home, ".local", "state", "lull"), nil
}
