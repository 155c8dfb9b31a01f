package shape

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFile = 600 // lines
	maxFunc = 60  // lines from func to the closing brace
	maxRoot = 400 // lines of the root package
)

func TestFileLength(t *testing.T) {
	rootLines := 0
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.lines > maxFile {
			t.Errorf("%s has %d lines, %d is the most", s.path, s.lines, maxFile)
		}
		if s.dir == "." {
			rootLines += s.lines
		}
	}
	if rootLines > maxRoot {
		t.Errorf("the root package has %d lines, %d is the most", rootLines, maxRoot)
	}
}

func TestFunctionLength(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			from, to := s.fset.Position(fn.Pos()), s.fset.Position(fn.End())
			if n := to.Line - from.Line + 1; n > maxFunc {
				t.Errorf("%s:%d: %s has %d lines, %d is the most", s.path, from.Line, fn.Name.Name, n, maxFunc)
			}
		}
	}
}

func TestMainIsShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.path == "cmd/lull/main.go" && s.lines >= 60 {
			t.Errorf("%s has %d lines, 59 is the most", s.path, s.lines)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		docs[s.dir] += 0
		doc := s.ast.Doc.Text()
		if doc == "" {
			continue
		}
		docs[s.dir]++
		if want := "Package " + s.ast.Name.Name + " "; s.ast.Name.Name != "main" && !strings.HasPrefix(doc, want) {
			t.Errorf("%s: the package comment does not start with %q", s.path, want)
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, n)
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init() registers behind the reader's back", s.path, s.fset.Position(fn.Pos()).Line)
			}
		}
	}
}

// ambient are the calls that read the world behind a caller's back, and the folders that may.
var ambient = []struct {
	calls  []string
	rooted []string
}{
	{
		[]string{"time.Now", "time.Since", "time.Until", "os.Getenv", "os.LookupEnv", "os.Environ"},
		[]string{"cmd", "e2e", "demo", "bench", "internal/clock", "internal/app", "db/mysql/server"},
	},
	{[]string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Panic"}, []string{"cmd", "demo", "bench"}},
}

func TestClockAndEnvironmentArePassedIn(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			call := pkg.Name + "." + sel.Sel.Name
			for _, rule := range ambient {
				allowed := slices.ContainsFunc(rule.rooted, func(f string) bool { return in(s.dir, f) })
				if slices.Contains(rule.calls, call) && !allowed {
					t.Errorf("%s:%d: %s may only be used in %s", s.path, s.fset.Position(n.Pos()).Line, call, strings.Join(rule.rooted, ", "))
				}
			}
			return true
		})
	}
}

func TestOnlyMainExits(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !in(s.dir, "cmd/lull") || s.path == "cmd/lull/main.go" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Exit" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "os" {
					t.Errorf("%s:%d: os.Exit is for main.go alone", s.path, s.fset.Position(n.Pos()).Line)
				}
			}
			return true
		})
	}
}
