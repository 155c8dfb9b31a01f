package shape

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/lull-ops/lull"
	root   = "../.."
)

// source is one Go file of the repository.
type source struct {
	path    string // slashes, from the repository's root
	dir     string // "." for the root
	test    bool
	lines   int
	imports []string
	ast     *ast.File
	fset    *token.FileSet
}

// sources is every Go file that is not generated.
func sources(t *testing.T) []source {
	t.Helper()
	out, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d Go files found: the tests look at the wrong folder", len(out))
	}
	return out
}

// parsed reads the repository once for all tests.
var parsed = sync.OnceValues(func() ([]source, error) {
	names, err := list()
	var out []source
	for _, name := range names {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(file) {
			continue
		}
		s := source{
			path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
			lines: strings.Count(string(text), "\n"), ast: file, fset: fset,
		}
		for _, spec := range file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			s.imports = append(s.imports, p)
		}
		out = append(out, s)
	}
	return out, err
})

// files is the names of list.
func files(t *testing.T) []string {
	t.Helper()
	out, err := list()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// list names what is or would be in the repository: as git says, or, in a copy without git,
// all but hidden folders and what make build leaves.
func list() ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if text, err := cmd.Output(); err == nil {
		var out []string
		for name := range strings.SplitSeq(strings.TrimRight(string(text), "\x00"), "\x00") {
			if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Mode().IsRegular() {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return slices.Compact(out), nil
	}
	var out []string
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(d.Name(), ".") && p != "." && d.Name() != ".ci" && d.Name() != ".golangci.yml"
		switch {
		case err != nil:
			return err
		case d.IsDir() && (hidden || p == "bin"):
			return fs.SkipDir
		case d.Type().IsRegular():
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// in says that dir is folder or below it.
func in(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }
