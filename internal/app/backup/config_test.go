package backup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), ConfigFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path, func(string) string { return "" })
}

const complete = `
data: ./state
databases:
  shop: {dsn: "mysql://lull@db/shop", tables: ["shop.*"], exclude: ["shop.sessions"], quiet: [prune]}
stores:
  here: {kind: dir, path: ./kept}
  away: {kind: s3, bucket: b, endpoint: e}
backups:
  shop: {to: here, copies: [away], daily: 1y, drill: {within: 3d}}
`

func TestConfig(t *testing.T) {
	c, err := load(t, complete)
	if err != nil {
		t.Fatal(err)
	}
	b := c.Backups["shop"]
	if b.Keep.D() != 35*day || b.Every.D() != 7*day || b.Flush.D() != 5*time.Second || b.Drill.Within.D() != 3*day || b.Daily.D() != 365*day {
		t.Errorf("defaults are %+v", b)
	}
	if got := c.DataDir("/elsewhere"); got != filepath.Join(filepath.Dir(c.path), "state") {
		t.Errorf("data is %s", got)
	}
	f := func(name string, want bool) {
		t.Helper()
		schema, table, _ := strings.Cut(name, ".")
		if got := c.Databases["shop"].Wants(db.Name{Schema: schema, Table: table}); got != want {
			t.Errorf("wants %s: %v", name, got)
		}
	}
	f("shop.billing", true)
	f("shop.sessions", false)
	f("blog.posts", false)
	f("mysql.user", false)
	f("shop._lull_restore_1", false)
}

func TestWrongConfig(t *testing.T) {
	f := func(old, with, want string) {
		t.Helper()
		_, err := load(t, strings.Replace(complete, old, with, 1))
		if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error()+" "+lull.HintOf(err), want) {
			t.Errorf("%s instead of %s: %v, hint %q; want %q", with, old, err, lull.HintOf(err), want)
		}
	}
	f(`dsn: "mysql://lull@db/shop", `, "", "databases/shop has no dsn")
	f(`"shop.*"`, `"shop"`, "is not a pattern")
	f("to: here", "to: hre", "did you mean here?")
	f("to: here", "to: away", "a copy of itself")
	f("  shop: {to:", "  shp: {to:", "did you mean shop?")
	f("kind: dir", "kind: ftp", "kind: s3")
	f("path: ./kept", "", "has no path")
	f("bucket: b, ", "", "has no bucket")
	f("daily: 1y", "dayly: 1y", "dayly")
	f("within: 3d", "within: soon", "lull.yaml:")
	f("databases:\n", "x-databases:\n", "no database is named")
}

func TestChoose(t *testing.T) {
	c := &Config{path: ConfigFile, Backups: map[string]*KeepConfig{"shop": {}, "blog": {}}}
	f := func(name, what, want string) {
		t.Helper()
		got, err := c.choose(name, what)
		if want == "" && lull.KindOf(err) != lull.Usage || want != "" && (err != nil || got != want) {
			t.Errorf("choose %q for %q: %q, %v; want %q", name, what, got, err, want)
		}
	}
	f("shop", "", "shop")
	f("shp", "", "")
	f("", "", "")
	f("", "blog", "blog")
	f("", "blog.posts", "blog")
	f("", "billing", "")
	delete(c.Backups, "blog")
	f("", "", "shop")
	f("", "anything", "shop")
}
