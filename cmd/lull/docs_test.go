package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocs runs every command in the console blocks of README.md and docs/, page by page, on
// a server with the tables of testdata/shop.sql, and compares the screens. A line "..." in a
// page stands for any number of lines. A comment "<!-- sh" holds commands that the page does
// not show; -update writes the screens into the pages.
func TestDocs(t *testing.T) {
	pages := []string{"../../README.md"}
	err := filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "```console\n") {
			ran++
			t.Run(filepath.Base(page), func(t *testing.T) { runPage(t, page, string(b)) })
		}
	}
	if ran < 3 {
		t.Errorf("only %d pages have commands to run: is this the right folder?", ran)
	}
}

func runPage(t *testing.T, page, text string) {
	s := newSession(t.TempDir())
	if err := s.start([]string{"--binlog-annotate-row-events=ON", "--binlog-row-metadata=FULL", "--sync-binlog=1"}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	shop, err := os.ReadFile("testdata/shop.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sql("shop", string(shop)); err != nil {
		t.Fatal(err)
	}
	if err := s.clientFile(); err != nil {
		t.Fatal(err)
	}
	got, err := replay(t.Context(), s, text)
	if err != nil {
		t.Fatal(err)
	}
	if got == text {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s shows other screens than the program (go test -update rewrites them):\n%s", page, firstDifference(text, got))
}

// replay runs a page's commands and gives the page back with the screens they had.
func replay(ctx context.Context, s *session, text string) (string, error) {
	var out strings.Builder
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		switch line {
		case "```console":
			block, after, ok := strings.Cut(rest, "```\n")
			if !ok {
				return "", fmt.Errorf("a console block does not end")
			}
			screens, err := replayBlock(ctx, s, block)
			if err != nil {
				return "", err
			}
			out.WriteString("```console\n" + screens + "```\n")
			text = after
			continue
		case "<!-- sh":
			hidden, _, ok := strings.Cut(rest, "-->")
			if !ok {
				return "", fmt.Errorf("a comment does not end")
			}
			if screen, code, err := s.shell(ctx, hidden); err != nil || code != 0 {
				return "", fmt.Errorf("run %s: exit %d, %w: %s", hidden, code, err, screen)
			}
		}
		if out.WriteString(line); len(line) < len(text) {
			out.WriteByte('\n')
		}
		text = rest
	}
	return out.String(), nil
}

func replayBlock(ctx context.Context, s *session, block string) (string, error) {
	var out strings.Builder
	lines := strings.SplitAfter(block, "\n")
	for i := 0; i < len(lines); {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			if lines[i] != "" {
				return "", fmt.Errorf("a console block begins without a command: %s", lines[i])
			}
			break
		}
		out.WriteString(lines[i])
		i++
		for strings.HasSuffix(command, "\\\n") && i < len(lines) {
			command += lines[i]
			out.WriteString(lines[i])
			i++
		}
		from := i
		for i < len(lines) && lines[i] != "" && !strings.HasPrefix(lines[i], "$ ") {
			i++
		}
		screen, code, err := s.shell(ctx, command)
		if err != nil {
			return "", fmt.Errorf("run %s: %w", command, err)
		}
		screen = strings.ReplaceAll(screen, "$WORK", "/home/ops")
		if code != 0 {
			screen += fmt.Sprintf("(exit code %d)\n", code)
		}
		if want := strings.Join(lines[from:i], ""); elided(want, screen) {
			screen = want
		}
		out.WriteString(screen)
	}
	return out.String(), nil
}

// elided says that want is got with some lines left out where it says "...".
func elided(want, got string) bool {
	parts := strings.Split("\n"+want, "\n...\n")
	if len(parts) < 2 {
		return want == got
	}
	rest, ok := strings.CutPrefix("\n"+got, parts[0])
	for _, p := range parts[1:] {
		if !ok {
			return false
		}
		if p == "" {
			return true
		}
		_, rest, ok = strings.Cut(rest, "\n"+p)
	}
	return ok && rest == ""
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n  page:    %s\n  program: %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("the page has %d lines, it would have %d", len(a), len(b))
}

func TestElided(t *testing.T) {
	f := func(want, got string, ok bool) {
		t.Helper()
		if elided(want, got) != ok {
			t.Errorf("%q for %q: want %v", want, got, ok)
		}
	}
	f("a\nb\n", "a\nb\n", true)
	f("a\n", "a\nb\n", false)
	f("a\n...\n", "a\nb\nc\n", true)
	f("a\n...\nc\n", "a\nb\nc\n", true)
	f("...\nc\n", "a\nb\nc\n", true)
	f("b\n...\nc\n", "a\nb\nc\n", false)
	f("a\n...\nd\n", "a\nb\nc\n", false)
}
