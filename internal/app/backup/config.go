package backup

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/confile"
	"github.com/lull-ops/lull/internal/typo"
)

// ConfigFile is where the configuration is looked for when nobody says.
const ConfigFile = "lull.yaml"

// Config is lull.yaml.
type Config struct {
	// Data is the folder for what lull itself must remember: findings, plans, and what waits
	// to be stored.
	Data      string                     `yaml:"data"`
	Databases map[string]*DatabaseConfig `yaml:"databases"`
	Stores    map[string]*StoreConfig    `yaml:"stores"`
	Backups   map[string]*KeepConfig     `yaml:"backups"`

	path string
}

// DatabaseConfig is a server and the tables on it that are recorded.
type DatabaseConfig struct {
	// DSN is a URL without a password, env:NAME, or file:PATH.
	DSN          string `yaml:"dsn"`
	PasswordFile string `yaml:"password_file"`
	// Tables and Exclude are patterns: "shop.*", "shop.billing". Without Tables those of the
	// DSN's schema are recorded, or all when it names none.
	Tables  []string `yaml:"tables"`
	Exclude []string `yaml:"exclude"`
	// Quiet are origins that open no finding: see Origin.
	Quiet []string `yaml:"quiet"`

	schema string // of the DSN, once it was connected to
}

// StoreConfig is a place for objects.
type StoreConfig struct {
	Kind string `yaml:"kind"` // dir or s3
	Path string `yaml:"path"` // of dir
	// The rest is of s3.
	Bucket    string           `yaml:"bucket"`
	Prefix    string           `yaml:"prefix"`
	Endpoint  string           `yaml:"endpoint"`
	Region    string           `yaml:"region"`
	AccessKey confile.Secret   `yaml:"access_key"`
	SecretKey confile.Secret   `yaml:"secret_key"`
	PathStyle bool             `yaml:"path_style"`
	Insecure  bool             `yaml:"insecure"` // http
	Lock      confile.Duration `yaml:"lock"`     // object lock
}

// KeepConfig is how a database's past is kept.
type KeepConfig struct {
	To     string           `yaml:"to"`     // a store
	Copies []string         `yaml:"copies"` // more stores
	Keep   confile.Duration `yaml:"keep"`   // every change for so long
	Daily  confile.Duration `yaml:"daily"`  // then one snapshot a day for so long
	// Every is how old a table's newest snapshot may get. It is made in the repository from
	// the one before where lull can read it, else read from the server.
	Every confile.Duration `yaml:"every"`
	Flush confile.Duration `yaml:"flush"` // how long a change waits for others before it is stored
	// Encrypt are public keys; Identity, when it is here, lets this machine read what it wrote,
	// which making snapshots inside the repository and drills need.
	Encrypt  []string       `yaml:"encrypt"`
	Identity confile.Secret `yaml:"identity"`
	Drill    DrillConfig    `yaml:"drill"`
	// What the server may be doing while it is read.
	MaxLoad int              `yaml:"max_load"` // threads running
	MaxLag  confile.Duration `yaml:"max_lag"`  // of its slowest replica
}

// DrillConfig is how restores are rehearsed.
type DrillConfig struct {
	Every  confile.Duration `yaml:"every"`
	Within confile.Duration `yaml:"within"` // every table once in so long
	// DSN is a scratch server; without one a private server is started, when its program is on
	// this machine, and else what would be restored is compared with the live table only.
	DSN          string `yaml:"dsn"`
	PasswordFile string `yaml:"password_file"`
}

// The defaults.
const (
	day           = 24 * time.Hour
	defaultKeep   = 35 * day
	defaultEvery  = 7 * day
	defaultFlush  = 5 * time.Second
	defaultDrill  = day
	defaultWithin = 7 * day
	defaultLoad   = 50
)

// LoadConfig reads lull.yaml. An empty path looks for it in the working directory.
func LoadConfig(file string, env func(string) string) (*Config, error) {
	given := file != ""
	if !given {
		file = ConfigFile
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		hint := "write one as docs/backup.md shows, or name it with --config FILE"
		if given {
			hint = "check the path"
		}
		return nil, lull.Errorf(lull.Usage, hint, "read configuration: there is no %s", file)
	}
	c := &Config{path: file}
	if err := confile.Load(file, env, c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// resolve makes a path of the file relative to the file.
func (c *Config) resolve(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(c.path), p)
}

func (c *Config) wrong(hint, format string, args ...any) error {
	return lull.Errorf(lull.Usage, hint, c.path+": "+format, args...)
}

// check fills in the defaults and compares the names.
func (c *Config) check() error {
	if len(c.Databases) == 0 {
		return c.wrong("add databases: {shop: {dsn: \"mysql://lull@host/shop\"}}", "no database is named")
	}
	for name, d := range c.Databases {
		if !plainName(name) {
			return c.wrong("use letters, digits, - and _", "databases/%s: this name cannot be used for objects", name)
		}
		if d == nil || d.DSN == "" {
			return c.wrong("add dsn: mysql://user@host:3306/schema", "databases/%s has no dsn", name)
		}
		if hasPassword(d.DSN) {
			return c.wrong("put it into a file of its own: password_file: FILE", "databases/%s: the dsn holds a password", name)
		}
		if b := c.Backups[name]; b != nil && hasPassword(b.Drill.DSN) {
			return c.wrong("put it into a file of its own: password_file: FILE", "backups/%s: the dsn of drill holds a password", name)
		}
		for _, p := range slices.Concat(d.Tables, d.Exclude) {
			if _, err := path.Match(p, ""); err != nil || strings.Count(p, ".") != 1 {
				return c.wrong("write SCHEMA.TABLE, for example shop.* or shop.billing", "databases/%s: %q is not a pattern for tables", name, p)
			}
		}
	}
	for name, s := range c.Stores {
		if err := c.checkStore(name, s); err != nil {
			return err
		}
	}
	for name, b := range c.Backups {
		if err := c.checkBackup(name, b); err != nil {
			return err
		}
	}
	return nil
}

// hasPassword says that a URL has a password in it, which would be in clear in the file.
func hasPassword(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	at := strings.LastIndexByte(rest, '@')
	return ok && at > 0 && strings.Contains(rest[:at], ":")
}

func plainName(name string) bool {
	ok := name != ""
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	return ok
}

func (c *Config) checkStore(name string, s *StoreConfig) error {
	switch {
	case s == nil:
		return c.wrong("write kind: dir and path: DIR, or kind: s3 and bucket: NAME", "stores/%s is empty", name)
	case s.Kind == "dir" && s.Path == "":
		return c.wrong("add path: DIR", "stores/%s has no path", name)
	case s.Kind == "s3" && s.Bucket == "":
		return c.wrong("add bucket: NAME", "stores/%s has no bucket", name)
	case s.Kind != "dir" && s.Kind != "s3":
		return c.wrong("write kind: dir or kind: s3", "stores/%s: kind %q is not known", name, s.Kind)
	}
	return nil
}

func (c *Config) checkBackup(name string, b *KeepConfig) error {
	if _, ok := c.Databases[name]; !ok {
		return c.wrong(didYouMean(name, c.Databases), "backups/%s: there is no such database under databases", name)
	}
	if b == nil || b.To == "" {
		return c.wrong("add to: STORE", "backups/%s does not say to which store", name)
	}
	for _, s := range append([]string{b.To}, b.Copies...) {
		if _, ok := c.Stores[s]; !ok {
			return c.wrong(didYouMean(s, c.Stores), "backups/%s: there is no store %s under stores", name, s)
		}
	}
	if slices.Contains(b.Copies, b.To) {
		return c.wrong("name another store", "backups/%s: %s would be a copy of itself", name, b.To)
	}
	fill := func(d *confile.Duration, def time.Duration) {
		if *d == 0 {
			*d = confile.Duration(def)
		}
	}
	fill(&b.Keep, defaultKeep)
	fill(&b.Every, defaultEvery)
	fill(&b.Flush, defaultFlush)
	fill(&b.Drill.Every, defaultDrill)
	fill(&b.Drill.Within, defaultWithin)
	if b.Daily > 0 && len(b.Encrypt) > 0 && b.Identity.IsZero() {
		return c.wrong("add identity: {file: KEY}, or leave out daily:", "backups/%s: daily states are made inside the repository, and without identity: this machine cannot read it", name)
	}
	if b.MaxLoad == 0 {
		b.MaxLoad = defaultLoad
	}
	return nil
}

func didYouMean[V any](name string, known map[string]V) string {
	var names []string
	for n := range known {
		if typo.Distance(n, name) <= 2 {
			return "did you mean " + n + "?"
		}
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "add it"
	}
	return "there is " + strings.Join(names, ", ")
}

// Names lists the databases that are recorded.
func (c *Config) Names() []string {
	var out []string
	for n := range c.Backups {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// DataDir is the folder that a configuration names for what lull remembers, "" when there is
// no configuration, or none that can be read: the commands that need it say what is wrong.
func DataDir(file string, env func(string) string) string {
	c, err := LoadConfig(file, env)
	if err != nil {
		return ""
	}
	return c.DataDir("")
}

// DataDir is where lull keeps what it must remember; fallback is used when the file does not say.
func (c *Config) DataDir(fallback string) string {
	if c.Data == "" {
		return fallback
	}
	return c.resolve(c.Data)
}

// systemSchemas belong to the server itself.
var systemSchemas = []string{"mysql", "sys", "information_schema", "performance_schema"}

// Wants says that a table is to be recorded.
func (d *DatabaseConfig) Wants(name db.Name) bool {
	if slices.Contains(systemSchemas, strings.ToLower(name.Schema)) || strings.HasPrefix(name.Table, workPrefix) {
		return false
	}
	if len(d.Tables) == 0 {
		return (d.schema == "" || strings.EqualFold(name.Schema, d.schema)) && !matches(d.Exclude, name)
	}
	return matches(d.Tables, name) && !matches(d.Exclude, name)
}

// workPrefix begins the names of tables that are only there while lull restores.
const workPrefix = "_lull_"

func matches(patterns []string, name db.Name) bool {
	for _, p := range patterns {
		schema, table, _ := strings.Cut(p, ".")
		s, _ := path.Match(schema, name.Schema)
		t, _ := path.Match(table, name.Table)
		if s && t {
			return true
		}
	}
	return false
}
