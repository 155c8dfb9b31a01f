package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/internal/clock"
)

// few is enough rows for a test.
const few = "1000"

func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lull")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/lull").CombinedOutput(); err != nil {
		t.Fatalf("build lull: %v\n%s", err, out)
	}
	return path
}

// tempDir makes the demo work in a folder of its own, and checks that it is left empty.
func tempDir(t *testing.T) {
	t.Helper()
	if _, err := server.Find(""); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "demo-") //nolint:usetesting // a server's socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("the demo left %v behind: %v", left, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
}

func TestDemo(t *testing.T) {
	tempDir(t)
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-lull", program(t), "-rows", few}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"MariaDB [shop]> delete from billing;\nQuery OK, 1", "$ lull find\n", "$ lull undo f-", "$ lull apply p-1\n", "$ lull undo p-1\n",
		"deleted bills: 0 missing", "0 differ", "(number 8) was left as it is", "nothing is left",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestVerifyFails spoils one thing at a time after the undo: the demo must notice each.
func TestVerifyFails(t *testing.T) {
	tempDir(t)
	lull := program(t)
	f := func(spoil, want string) {
		t.Helper()
		var out bytes.Buffer
		d := &demo{screen: screen{out: &out}, lull: lull, rows: 200, now: clock.System()}
		var err error
		if d.dir, err = os.MkdirTemp("", "lull-demo-"); err != nil { //nolint:usetesting // as in run
			t.Fatal(err)
		}
		err = perform(t.Context(), d, spoil)
		if err == nil || !strings.Contains(err.Error(), "comparisons failed") || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v\n%s", spoil, err, out.String())
		}
		if err := d.cleanUp(); err != nil {
			t.Error(err)
		}
	}
	f("DELETE FROM billing WHERE id = 100", "NO    2")
	f("UPDATE billing SET scan = CONCAT(scan, CHAR(0)) WHERE id = 100", "NO    byte for byte: 1 differ")
	f("UPDATE billing SET amount = 2 WHERE id = 8", "NO    the bill typed in by hand")
	f("DELETE FROM order_lines LIMIT 1", "NO    order lines")
	f("DELETE FROM billing WHERE id = (SELECT m FROM (SELECT MAX(id) m FROM billing) x)", "1 lost")
}

func perform(ctx context.Context, d *demo, spoil string) error {
	steps := []func(context.Context) error{d.open, d.accident, d.find, d.plan, d.apply, d.hush, func(ctx context.Context) error {
		_, err := d.db.ExecContext(ctx, spoil)
		return err
	}, d.verify}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hush ends the traffic early, so that what is spoilt stays so.
func (d *demo) hush(context.Context) error { return d.traffic.stop() }

// TestInterrupted ends the demo at some point, as Ctrl-C does: nothing stays behind.
func TestInterrupted(t *testing.T) {
	lull := program(t)
	for _, at := range []string{"Four visitors", "Query OK", "$ lull find", "Plan p-1", "$ lull apply"} {
		t.Run(at, func(t *testing.T) {
			tempDir(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := run(ctx, []string{"-lull", lull, "-rows", few}, writer(func(p []byte) {
				if bytes.Contains(p, []byte(at)) {
					cancel()
				}
			}))
			if err == nil || errors.Is(err, os.ErrNotExist) {
				t.Errorf("it went on: %v", err)
			}
		})
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestArguments(t *testing.T) {
	f := func(args ...string) {
		t.Helper()
		if err := run(t.Context(), args, t.Output()); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	f("-rows=5")
	f("-rows=x")
	f("-lull=/no/such/program")
}

func TestWrap(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		if got := wrap(text, 8); !slices.Equal(got, want) {
			t.Errorf("wrap(%q) = %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("one", "one")
	f("one two three", "one two", "three")
	f("é é é é é", "é é é é", "é")
	f("incomprehensibilities here", "incomprehensibilities", "here")
}

func TestAnswer(t *testing.T) {
	f := func(out, want string) {
		t.Helper()
		if got := string(answer([]byte(out))); got != want {
			t.Errorf("answer(%q) = %q, want %q", out, got, want)
		}
	}
	f("--------------\ndelete from billing\n--------------\n\nQuery OK, 2 rows affected\n\nBye\n", "Query OK, 2 rows affected\n")
	f("--------------\nselect 1\n--------------\n\n+---+\n| 1 |\n+---+\n1 row in set\n\nBye\n", "+---+\n| 1 |\n+---+\n1 row in set\n")
}
