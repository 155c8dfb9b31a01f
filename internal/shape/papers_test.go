package shape

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDependencies compares docs/deps.txt, where each direct requirement has its reason,
// with go.mod.
func TestDependencies(t *testing.T) {
	var want, got []string
	for line := range strings.Lines(read(t, "go.mod")) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") {
			want = append(want, fields[0])
		}
	}
	for line := range strings.Lines(read(t, "docs/deps.txt")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			t.Errorf("docs/deps.txt: %s has no reason", fields[0])
		}
		got = append(got, fields[0])
	}
	if !slices.IsSorted(got) {
		t.Error("docs/deps.txt is not sorted")
	}
	for _, m := range want {
		if !slices.Contains(got, m) {
			t.Errorf("%s is a direct requirement in go.mod: say why in docs/deps.txt", m)
		}
	}
	for _, m := range got {
		if !slices.Contains(want, m) {
			t.Errorf("%s is in docs/deps.txt but is no direct requirement in go.mod (go mod tidy?)", m)
		}
	}
}

// folderName is a path in backquotes that ends in a slash.
var folderName = regexp.MustCompile("`([a-z0-9./_-]+/)`")

func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	named := map[string]bool{}
	for _, m := range folderName.FindAllStringSubmatch(text, -1) {
		dir := strings.TrimSuffix(m[1], "/")
		named[dir] = true
		if info, err := os.Stat(filepath.Join(root, dir)); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md names %s/, which is not there", dir)
		}
	}
	for _, s := range sources(t) {
		if s.dir != "." && !s.test && !named[s.dir] {
			named[s.dir] = true
			t.Errorf("ARCHITECTURE.md does not name the package %s/", s.dir)
		}
	}
}

// TestNothingOfOneMachine looks for paths of the machines the code was written on.
func TestNothingOfOneMachine(t *testing.T) {
	words := []string{"/wo" + "rk/", "/ro" + "ot/", "/tmp/br" + "ief", "bash" + "_jobs"}
	for _, name := range files(t) {
		text := read(t, name)
		for _, w := range words {
			if before, _, found := strings.Cut(text, w); found {
				t.Errorf("%s:%d holds %q", name, strings.Count(before, "\n")+1, w)
			}
		}
	}
}

func TestMakefileIsShort(t *testing.T) {
	text := read(t, "Makefile")
	if n := strings.Count(text, "\n"); n >= 60 {
		t.Errorf("Makefile has %d lines, 59 is the most", n)
	}
	for target := range strings.FieldsSeq("help build demo test test-servers bench lint fuzz fmt check") {
		if !regexp.MustCompile(`(?m)^` + target + `:`).MatchString(text) {
			t.Errorf("Makefile has no target %s", target)
		}
	}
}
