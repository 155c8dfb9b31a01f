package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/lull-ops/lull/internal/app/backup"
)

// TestConfigIsDocumented loads the lull.yaml that docs/backup.md explains: its keys exist. And it
// looks for every key there is on that page.
func TestConfigIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```yaml\n")
	block, _, ended := strings.Cut(block, "```\n")
	if !found || !ended {
		t.Fatal("docs/backup.md shows no lull.yaml")
	}
	dir := t.TempDir()
	files := map[string]string{"lull.yaml": block}
	for _, m := range regexp.MustCompile(`file: ([\w./]+)`).FindAllStringSubmatch(block, -1) {
		files[m[1]] = "a secret"
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := func(string) string { return "from the environment" }
	conf, err := backup.LoadConfig(filepath.Join(dir, "lull.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(conf.Names()) == 0 || len(conf.Stores) < 2 {
		t.Errorf("the page's lull.yaml records %v in %d stores", conf.Names(), len(conf.Stores))
	}
	n := 0
	for _, key := range configKeys(reflect.TypeFor[backup.Config]()) {
		if n++; !regexp.MustCompile(`\b` + key + `:[ \n]`).MatchString(block) {
			t.Errorf("docs/backup.md does not show %s:", key)
		}
	}
	if n < 30 {
		t.Errorf("the configuration has only %d keys: does this test still look at all of it?", n)
	}
}

// configKeys are the keys of a struct of the configuration and of those in it.
func configKeys(typ reflect.Type) []string {
	switch typ.Kind() {
	case reflect.Map, reflect.Pointer, reflect.Slice:
		return configKeys(typ.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	var out []string
	for f := range typ.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && f.IsExported() {
			out = append(append(out, key), configKeys(f.Type)...)
		}
	}
	return out
}
