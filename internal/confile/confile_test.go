package confile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"go.yaml.in/yaml/v4"
)

type database struct {
	DSN      string   `yaml:"dsn"`
	Password Secret   `yaml:"password"`
	Keep     Duration `yaml:"keep"`
	Part     Bytes    `yaml:"part"`
	Port     int      `yaml:"port"`
	Tables   []string `yaml:"tables"`
}

type config struct {
	Team      string              `yaml:"team"`
	Databases map[string]database `yaml:"databases"`
}

func env(name string) string {
	return map[string]string{"HOST": "db-1", "PORT": "3307", "PW": "hunter2", "EVIL": "a: b\nc: ${HOST}"}[name]
}

func load(t *testing.T, text string) (config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, data := range map[string]string{"lull.yaml": text, "pw": "hunter2\n", "empty": "\n"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c config
	return c, Load("lull.yaml", env, &c)
}

func TestLoad(t *testing.T) {
	t.Chdir(t.TempDir())
	text := `
x-common: &common
  keep: 35d
  part: 64MiB
team: "${TEAM:-North: wind} $${HOST} $5"
databases:
  shop:
    <<: *common
    dsn: lull@${HOST}:${PORT}/shop
    port: ${PORT}
    password: {file: sub/pw}
    tables: [a, "${HOST}", '${EVIL}']
  blog:
    keep: 1y
    password: {env: PW}
`
	if err := os.MkdirAll("etc/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"etc/lull.yaml": text, "etc/sub/pw": "hunter2\n"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var c config
	if err := Load("etc/lull.yaml", env, &c); err != nil {
		t.Fatal(err)
	}
	shop, blog := c.Databases["shop"], c.Databases["blog"]
	if c.Team != "North: wind ${HOST} $5" || shop.DSN != "lull@db-1:3307/shop" || shop.Port != 3307 ||
		shop.Keep.D() != 35*day || shop.Part != 64<<20 || blog.Keep.D() != 365*day {
		t.Errorf("got %+v", c)
	}
	if shop.Password.Reveal() != "hunter2" || blog.Password.Reveal() != "hunter2" {
		t.Errorf("secrets are %q, %q", shop.Password.Reveal(), blog.Password.Reveal())
	}
	if fmt.Sprintf("%q", shop.Tables) != `["a" "db-1" "a: b\nc: ${HOST}"]` {
		t.Errorf("tables are %q", shop.Tables)
	}
	j, _ := json.Marshal(c)
	y, err := yaml.Dump(c)
	if all := fmt.Sprintf("%v %+v %#v %s %x", c, c, c, j, c) + string(y); err != nil || strings.Contains(all, "hunter2") ||
		!strings.Contains(string(j), "secret") || !strings.Contains(string(y), hidden) {
		t.Errorf("%v: %s", err, all)
	}
}

// A string stays one whatever the environment holds; numbers and truth become what they are.
func TestExpandedTypes(t *testing.T) {
	for value, want := range map[string]string{
		"3307": "3307 3307 true", "0": "0 0 true", "null": "null", "a: b": "a: b", "[x]": "[x]", "*x": "*x", "#x": "#x",
	} {
		var c struct {
			Text string `yaml:"text"`
			Port int    `yaml:"port"`
			On   bool   `yaml:"on"`
		}
		text := "text: ${V}"
		if strings.Contains(want, "true") {
			text += "\nport: ${V}\non: ${W}"
		}
		err := parse("lull.yaml", []byte(text), func(name string) string { return map[string]string{"V": value, "W": "true"}[name] }, &c)
		got := c.Text
		if c.On {
			got = fmt.Sprint(c.Text, " ", c.Port, " ", c.On)
		}
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v", value, got, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{"team: a\ndatabases:\n  shop:\n    ulr: x", "lull.yaml:4: field ulr not found", "typing error"},
		{"taem: a", "lull.yaml:1: field taem not found", "x-"},
		{"team: a\nteam: b", "lull.yaml:2: mapping key \"team\" already defined at line 1", "correct"},
		{"team: ok\ndatabases:\n  shop:\n    x-note: 1", "lull.yaml:4: field x-note not found", ""},
		{"# c\nteam: ${NOPE}", "lull.yaml:2: NOPE is not set in the environment", "${NOPE:-default}"},
		{"team: a${", "lull.yaml:1: ${ without a name and }", "$${"},
		{"databases:\n  shop:\n    port: many", "lull.yaml:3: the value is of the wrong type", ""},
		{"databases:\n  shop:\n    keep: 5 fortnights", `lull.yaml:3: "5 fortnights" is no duration`, "35d"},
		{"databases:\n  shop:\n    keep: [1]", `lull.yaml:3: "" is no duration`, "35d"},
		{"databases:\n  shop:\n    part: 64Mi", `lull.yaml:3: "64Mi" is no size`, "64MiB"},
		{"databases:\n  shop:\n    password: hunter2", "lull.yaml:3: a secret does not stand in this file itself", "{file: PATH}"},
		{"databases:\n  shop:\n    password: {env: NOPE}", "lull.yaml:3: NOPE is not set in the environment", "{env: NAME}"},
		{"databases:\n  shop:\n    password: {file: nope}", "lull.yaml:3: open nope: no such file or directory", "put the secret"},
		{"databases:\n  shop:\n    password: {file: empty}", "lull.yaml:3: empty is empty", "put the secret"},
		{"databases:\n  shop:\n    password: {vault: x}", "lull.yaml:3: a secret does not stand", ""},
		{"databases:\n  shop:\n    password: {env: PW, file: pw}", "lull.yaml:3: a secret does not stand", ""},
		{"- a", "lull.yaml:1: the value is of the wrong type", ""},
		{"team: [a", "lull.yaml:", ""},
		{"team: a\n---\nteam: b", "lull.yaml", ""},
	} {
		_, err := load(t, c.text)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(lull.HintOf(err), c.hint) ||
			lull.KindOf(err) != lull.Usage || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q:\ngot  %v (%s)\nwant %s", c.text, err, lull.HintOf(err), c.want)
		}
	}
	for _, path := range []string{"nope.yaml", filepath.Dir(t.TempDir())} {
		if err := Load(path, env, &config{}); lull.KindOf(err) != lull.Usage || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := load(t, "# nothing\n"); err != nil {
		t.Error(err)
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "10s": 10 * time.Second, "6h": 6 * time.Hour, "35d": 35 * day, "2w": 14 * day, "1y": 365 * day,
		"1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond, "5m": 5 * time.Minute,
	} {
		got, err := ParseDuration(text)
		if err != nil || got.D() != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if again, err := ParseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s: %s does not read back", text, got)
		}
	}
	for text, want := range map[string]Bytes{"0": 0, "12": 12, "64MiB": 64 << 20, "2GB": 2e9, "1 kB": 1000, "3TiB": 3 << 40} {
		got, err := ParseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if again, err := ParseBytes(got.String()); err != nil || again != got {
			t.Errorf("%s: %s does not read back", text, got)
		}
	}
	for _, bad := range []string{"", "-1s", "1", "s", "1.5h", "999999y", "99999999999999999999s", "-5", "1ZB", "9999999999TiB", "1 d"} {
		if got, err := ParseDuration(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
		if got, err := ParseBytes(bad); err == nil && bad != "1" {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"team: a\ndatabases: {shop: {keep: 35d, part: 1MiB, password: {env: PW}}}", "x-a: &a [*a]", "a: &a {b: *a}",
		"team: ${HOST:-}${", "<<: {team: x}", "- ${EVIL}", "team: !!binary eA==", "? [a]\n: b", "\"x-\": 1", "databases: {a: &a {password: *a}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") {
			return // the fuzzer reads no files
		}
		var c config
		if err := parse("lull.yaml", []byte(text), env, &c); err != nil {
			if lull.KindOf(err) != lull.Usage || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "lull.yaml") {
				t.Errorf("got %q", err)
			}
		}
	})
}
