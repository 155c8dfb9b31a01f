// Package confile reads a YAML file into structs: strictly, with ${NAME} filled in, and with
// errors that say where. It knows nothing of what the file is for, and reads no environment
// but the one it is given.
package confile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lull-ops/lull"
	"go.yaml.in/yaml/v4"
)

// maxSize is in bytes; no config that a person wrote is larger.
const maxSize = 4 << 20

// Load reads the YAML file at path into what into points to. Keys that no field has are
// errors, except at the top those that begin with "x-". In values, ${NAME} is what env gives
// for NAME, ${NAME:-default} has a default, and $$ is a dollar sign before a brace. Errors are
// one line, "file:line: what", of kind Usage.
func Load(path string, env func(string) string, into any) error {
	data, err := read(path)
	if err != nil {
		return err
	}
	return parse(path, data, env, into)
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSize {
		return nil, lull.Errorf(lull.Usage, "name the config file", "%s: larger than 4 MiB", path)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lull.Errorf(lull.Usage, "make the file, or name another one", "%s: there is no such file", path)
	}
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return nil, lull.Errorf(lull.Usage, "name a file that this user may read", "%s: %w", path, err)
	}
	return data, nil
}

func parse(path string, data []byte, env func(string) string, into any) error {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		if strings.Contains(err.Error(), "no documents in stream") {
			return nil // only comments
		}
		return explain(path, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil
	}
	x := &expander{path: path, dir: filepath.Dir(path), env: env, seen: map[*yaml.Node]bool{}}
	root := doc.Content[0]
	if err := x.node(root); err != nil {
		return err
	}
	dropFree(root)
	if err := root.Load(into, yaml.WithKnownFields()); err != nil {
		return explain(path, err)
	}
	return nil
}

// dropFree takes out the keys that are free for notes and anchors.
func dropFree(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		if !strings.HasPrefix(root.Content[i].Value, "x-") {
			kept = append(kept, root.Content[i], root.Content[i+1])
		}
	}
	root.Content = kept
}

// typeName is where the YAML library tells people of Go.
var typeName = regexp.MustCompile(` (in|into) type \S+| into \S+$`)

// explain turns the library's error into one line; only the first of several is told.
func explain(path string, err error) error {
	if many, ok := errors.AsType[*yaml.LoadErrors](err); ok && len(many.Errors) > 0 {
		err = many.Errors[0]
	}
	one, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return lull.Errorf(lull.Usage, "correct the file", "%s: %s", path, oneLine(err.Error()))
	}
	if own, ok := errors.AsType[*problem](err); ok {
		return own.at(path, one.Mark.Line)
	}
	hint := "correct the line"
	what := oneLine(typeName.ReplaceAllString(one.Message, ""))
	if strings.Contains(what, "not found") {
		hint = "look for a typing error, or begin the key with x- at the top of the file"
	}
	if strings.HasPrefix(what, "cannot construct") { // it holds the value, which may be a secret
		what = "the value is of the wrong type"
	}
	return (&problem{what: what, hint: hint}).at(path, one.Mark.Line)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// problem is an error of a value, before it is known where it stands.
type problem struct {
	what, hint string
	line       int
}

func (p *problem) Error() string { return p.what }

func (p *problem) at(path string, line int) error {
	if p.line > 0 {
		line = p.line
	}
	if line > 0 {
		path = fmt.Sprintf("%s:%d", path, line)
	}
	return lull.Errorf(lull.Usage, p.hint, "%s: %w", path, p)
}
