package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/spf13/cobra"
)

func noEnv(string) string { return "" }

func lullRun(t *testing.T, line string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), strings.Fields(line), strings.NewReader(""), &out, &errs, noEnv)
	return code, out.String(), errs.String()
}

func TestUsageErrors(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		code, stdout, stderr := lullRun(t, line)
		if code != 2 || stdout != "" || stderr != want {
			t.Errorf("lull %s: exit %d, stdout %q, stderr\n%swant\n%s", line, code, stdout, stderr, want)
		}
	}
	f("nope", "lull: unknown command \"nope\"\nNext: lull --help\n")
	f("versoin", "lull: unknown command \"versoin\"\nNext: did you mean lull version?\n")
	f("version extra", "lull: unknown command \"extra\" for \"lull version\"\nNext: lull version --help\n")
	f("version --jsn", "lull: unknown flag: --jsn\nNext: did you mean --json? See lull version --help\n")
	f("version --zzzzzz", "lull: unknown flag: --zzzzzz\nNext: lull version --help\n")
	f("version --data", "lull: flag needs an argument: --data\nNext: lull version --help\n")
	f("completion fisch", "lull: unknown command \"fisch\"\nNext: did you mean lull completion fish?\n")
	f("help nope", "lull: unknown command \"nope\"\nNext: lull --help\n")
	f("mysql://ops:hush@db/shop", "lull: unknown command \"mysql://ops:<secret>@db/shop\"\nNext: lull --help\n")
	f("\x1b[2J", "lull: unknown command \"\\x1b[2J\"\nNext: lull --help\n")
}

func TestUsageErrorAsJSON(t *testing.T) {
	for _, line := range []string{"--json nope", "nope --json", "nope --bad --json"} {
		code, stdout, stderr := lullRun(t, line)
		var doc struct {
			Lull  int
			Error struct{ Kind, Message, Hint string }
		}
		dec := json.NewDecoder(strings.NewReader(stdout))
		if err := dec.Decode(&doc); err != nil {
			t.Fatalf("%s: %v in %q", line, err, stdout)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: more than one document: %s", line, stdout)
		}
		if code != 2 || doc.Lull != 1 || doc.Error.Kind != "usage" || doc.Error.Message == "" || doc.Error.Hint == "" || !strings.HasPrefix(stderr, "lull: ") {
			t.Errorf("%s: exit %d, %+v, %q", line, code, doc, stderr)
		}
	}
	if _, stdout, _ := lullRun(t, "nope -- --json"); stdout != "" {
		t.Errorf("an argument was taken for a flag: %s", stdout)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := lullRun(t, "version")
	if code != 0 || !strings.HasPrefix(stdout, "lull "+lull.Version+" go") || stderr != "" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, _ = lullRun(t, "version --json")
	var doc struct {
		Lull                  int
		Version, Go, Platform string
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != 0 || doc.Lull != 1 || doc.Version != lull.Version || doc.Platform == "" {
		t.Errorf("exit %d, %v, %s", code, err, stdout)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, stderr := lullRun(t, "completion "+shell); code != 0 || !strings.Contains(stdout, "lull") || stderr != "" {
			t.Errorf("%s: exit %d, %d bytes, %q", shell, code, len(stdout), stderr)
		}
	}
}

// everyCommand calls f for the root and all commands below it.
func everyCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		everyCommand(sub, f)
	}
}

func TestEveryHelp(t *testing.T) {
	root := newRoot(&runner{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, env: noEnv})
	everyCommand(root, func(cmd *cobra.Command) {
		line := strings.TrimPrefix(cmd.CommandPath(), "lull") + " --help"
		code, stdout, stderr := lullRun(t, line)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "Exit codes:\n    0  done") || !strings.Contains(stdout, "--data DIR") {
			t.Errorf("lull%s: exit %d, stderr %q, stdout\n%s", line, code, stderr, stdout)
		}
		if g := cmd.GroupID; (g == everyDay || g == repair) && !strings.Contains(stdout, "\nExamples:\n  lull "+cmd.Name()) {
			t.Errorf("lull%s has no example", line)
		}
		if cmd.Parent() == root && cmd.GroupID == "" {
			t.Errorf("lull%s is in no group of --help", line)
		}
		for l := range strings.SplitSeq(stdout, "\n") {
			// The text of the completion commands is cobra's.
			if len([]rune(l)) > helpWidth && !strings.HasPrefix(line, " completion") {
				t.Errorf("lull%s: wider than %d: %s", line, helpWidth, l)
			}
		}
	})
}

// TestExitCodesAreThoseOfErrors reads the constants of Kind from the root package.
func TestExitCodesAreThoseOfErrors(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{0: ""}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) == 0 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			code, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want[code] = strings.ToLower(spec.Names[0].Name)
		}
		return true
	})
	got := map[int]string{}
	for _, c := range exitCodes() {
		got[int(c.kind)] = c.name
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("--help and --json know %v, errors.go has %v", got, want)
	}
	if kindName(lull.Kind(99)) != "failed" {
		t.Error("an unknown kind has an unknown name")
	}
}

func TestReport(t *testing.T) {
	f := func(err error, cancelled bool, code int, want string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if cancelled {
			cancel()
		}
		var out, errs bytes.Buffer
		a := &runner{stdout: &out, stderr: &errs}
		if got := a.report(ctx, nil, err); got != code || errs.String() != want || out.Len() > 0 {
			t.Errorf("exit %d, want %d; %q, want %q; stdout %q", got, code, errs.String(), want, out.String())
		}
	}
	f(nil, false, 0, "")
	f(errors.New("broken"), false, 1, "lull: broken\n")
	f(lull.Errorf(lull.Locked, "wait", "lock held"), false, 7, "lull: lock held\nNext: wait\n")
	f(fmt.Errorf("apply p-1: %w", lull.Errorf(lull.Refused, "plan again", "stale")), false, 5, "lull: apply p-1: stale\nNext: plan again\n")
	f(errors.Join(errors.New("one"), errors.New("two\n")), false, 1, "lull: one; two\n")
	f(context.Canceled, true, 130, "lull: interrupted\n")
	f(errors.New("invalid connection"), true, 130, "lull: invalid connection\n")
	f(lull.Errorf(lull.Partly, "lull apply p-1", "half"), true, 4, "lull: half\nNext: lull apply p-1\n")
	f(errors.New("dial mysql://u:p@ss:w@h/d \x1b"), false, 1, "lull: dial mysql://u:<secret>@h/d \\x1b\n")
}

func TestOneDocumentOnly(t *testing.T) {
	var out, errs bytes.Buffer
	a := &runner{stdout: &out, stderr: &errs, json: true}
	if err := a.emit(newDocument()); err != nil {
		t.Fatal(err)
	}
	code := a.report(t.Context(), nil, lull.Errorf(lull.Partly, "", "half"))
	if code != 4 || strings.Count(out.String(), `"lull"`) != 1 || errs.String() != "lull: half\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out.String(), errs.String())
	}
}

func TestDataDir(t *testing.T) {
	f := func(flag, goos, vars, want string) {
		t.Helper()
		env := map[string]string{}
		for v := range strings.FieldsSeq(vars) {
			k, val, _ := strings.Cut(v, "=")
			env[k] = val
		}
		got, err := dataDir(flag, func(k string) string { return env[k] }, goos)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q on %s with %q: %q, %v, want %q", flag, goos, vars, got, err, want)
		}
	}
	f("x", "linux", "LULL_DATA=/d HOME=/h", "x")
	f("", "linux", "LULL_DATA=/d XDG_STATE_HOME=/x HOME=/h", "/d")
	f("", "linux", "XDG_STATE_HOME=/x HOME=/h", "/x/lull")
	f("", "linux", "XDG_STATE_HOME=rel HOME=/h", "/h/.local/state/lull")
	f("", "linux", "HOME=/h", "/h/.local/state/lull")
	f("", "darwin", "HOME=/h", "/h/Library/Application Support/lull")
	f("", "linux", "", "")
}
