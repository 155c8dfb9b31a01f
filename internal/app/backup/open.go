package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/blob/dir"
	"github.com/lull-ops/lull/keep/blob/s3"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Where says which recorded database is meant: one of a configuration, or of a repository
// that is named itself.
type Where struct {
	Config   string // lull.yaml; "" looks for it
	Database string // "" when there is one only
	Repo     string // a repository's URL, which needs no configuration
	Identity string // a file with private keys, "" for none
	// DataDir is lull's own folder. The configuration's is used instead unless DataGiven.
	DataDir   string
	DataGiven bool
	Getenv    func(string) string
	Env       mysql.Env
	Clock     clock.Clock
}

// Site is one recorded database, opened for reading its past.
type Site struct {
	Name string
	Repo *repo.Repo

	where   Where
	conf    *Config // nil when the repository was named itself
	db      *DatabaseConfig
	backup  *KeepConfig
	store   blob.Store
	keys    pack.Keys
	dataDir string
	what    string // the table that was asked for, "" for the whole database
	conn    *mysql.Conn
}

// String names the repository for people.
func (s *Site) String() string { return s.Name + " in " + s.store.String() }

// Close ends what Open and later calls have opened.
func (s *Site) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// Whole says that the whole database was asked for, and not a table.
func (s *Site) Whole() bool { return s.what == "" }

// DSN is the live database as the configuration names it, for a command that goes on with it.
func (s *Site) DSN() (url, passwordFile string) {
	if s.db == nil {
		return "", ""
	}
	return s.url(), s.conf.resolve(s.db.PasswordFile)
}

// Several says that the configuration records more than one database.
func (s *Site) Several() bool { return s.conf != nil && len(s.conf.Backups) > 1 }

// ByTarget finds the database of the configuration that a plan is for, so that its password
// need not be given again; there need be no configuration.
func ByTarget(w Where, target string) (url, passwordFile string, ok bool) {
	conf, err := LoadConfig(w.Config, w.Getenv)
	if err != nil {
		return "", "", false
	}
	for _, d := range conf.Databases {
		s := &Site{conf: conf, db: d}
		url, passwordFile = s.DSN()
		if dsn, err := w.Env.ParseDSN(url); err == nil && dsn.String() == target {
			return url, passwordFile, true
		}
	}
	return "", "", false
}

// url is the database's URL with a path in file: made relative to the configuration.
func (s *Site) url() string {
	if rest, ok := strings.CutPrefix(s.db.DSN, "file:"); ok {
		return "file:" + s.conf.resolve(rest)
	}
	return s.db.DSN
}

// Open opens the database's repository. what is a table or a database that was asked for; it
// helps to choose where there are several, and "" asks for nothing.
func Open(ctx context.Context, w Where, what string) (*Site, error) {
	s, err := prepare(ctx, w, what)
	if err != nil {
		return nil, err
	}
	return s, s.open(ctx)
}

// Peek finds the site without reading anything but the configuration.
func Peek(w Where, what string) (*Site, error) { return prepare(context.Background(), w, what) }

func (s *Site) open(ctx context.Context) (err error) {
	if s.Repo == nil {
		s.Repo, err = repo.Open(ctx, s.store, s.Name, s.keys, s.cache()...)
	}
	return whole(err, "restore lull.json from a copy of the store")
}

// whole says what to do about something stored that is damaged, where nobody has said it.
func whole(err error, hint string) error {
	if _, damaged := errors.AsType[*pack.CorruptError](err); !damaged || lull.HintOf(err) != "" {
		return err
	}
	return lull.Errorf(lull.Failed, hint, "%w", err)
}

// cache keeps indexes of a store that is far away; that only saves time, so it may fail.
func (s *Site) cache() []repo.Option {
	dir := filepath.Join(s.dataDir, "cache")
	if _, far := s.store.(*s3.Store); !far || fsx.SecureDir(dir) != nil {
		return nil
	}
	return []repo.Option{repo.Cache(dir)}
}

// prepare finds out what is meant, without reading the repository.
func prepare(ctx context.Context, w Where, what string) (*Site, error) {
	s := &Site{where: w, dataDir: w.DataDir, what: what}
	if w.Repo != "" {
		return s, s.byURL(ctx)
	}
	conf, err := LoadConfig(w.Config, w.Getenv)
	if err != nil {
		return nil, err
	}
	s.conf = conf
	if !w.DataGiven {
		s.dataDir = conf.DataDir(w.DataDir)
	}
	if s.Name, err = conf.choose(w.Database, what); err != nil {
		return nil, err
	}
	if strings.EqualFold(what, s.Name) {
		s.what = ""
	}
	s.db, s.backup = conf.Databases[s.Name], conf.Backups[s.Name]
	if s.store, err = conf.openStore(s.backup.To, w.Clock); err != nil {
		return nil, err
	}
	s.keys, err = conf.keys(s.Name, w.Identity)
	return s, err
}

// choose finds the database that is meant.
func (c *Config) choose(name, what string) (string, error) {
	names := c.Names()
	if len(names) == 0 {
		return "", c.wrong("add backups: {NAME: {to: STORE}} for a database", "no database is recorded: there is nothing under backups")
	}
	if name == "" {
		for _, n := range names {
			if strings.EqualFold(n, what) {
				return n, nil
			}
		}
		if len(names) == 1 {
			return names[0], nil
		}
		schema, _, _ := strings.Cut(what, ".")
		for _, n := range names {
			if strings.EqualFold(n, schema) {
				return n, nil
			}
		}
		return "", lull.Errorf(lull.Usage, "add --database "+strings.Join(names, " or --database "), "which database is meant is not clear")
	}
	if _, ok := c.Backups[name]; !ok {
		return "", lull.Errorf(lull.Usage, didYouMean(name, c.Backups), "database %s is not under backups in %s", name, c.path)
	}
	return name, nil
}

// byURL opens a repository that was named itself.
func (s *Site) byURL(ctx context.Context) (err error) {
	if s.store, err = openURL(s.where.Repo, s.where.Getenv, s.where.Clock); err != nil {
		return err
	}
	if s.keys.Identities, err = readIdentities(s.where.Identity); err != nil {
		return err
	}
	names, err := repo.Databases(ctx, s.store)
	if err != nil {
		return err
	}
	s.Name = s.where.Database
	for _, n := range names {
		if s.Name == "" && (strings.EqualFold(n, s.what) || len(names) == 1) {
			s.Name = n
		}
	}
	switch {
	case len(names) == 0:
		return lull.Errorf(lull.Usage, "check the folder or the prefix", "%s holds no repository", s.store)
	case s.Name == "":
		return lull.Errorf(lull.Usage, "add --database "+strings.Join(names, " or --database "), "%s holds the past of several databases", s.store)
	}
	if strings.EqualFold(s.what, s.Name) {
		s.what = ""
	}
	return nil
}

// openURL opens the store that a URL names; keys come from the environment.
func openURL(url string, getenv func(string) string, now clock.Clock) (blob.Store, error) {
	if !strings.HasPrefix(url, "s3://") {
		path := strings.TrimPrefix(url, "dir:")
		if strings.Contains(path, "://") {
			return nil, lull.Errorf(lull.Usage, "write a folder, or s3://bucket/prefix?endpoint=HOST", "--repo %s: this kind of store is not known", url)
		}
		if st, err := os.Stat(path); err != nil || !st.IsDir() {
			return nil, lull.Errorf(lull.Usage, "check the path", "open repository: %s is not a folder", path)
		}
		return dir.New(path)
	}
	opt, err := s3.ParseURL(url)
	if err != nil {
		return nil, err
	}
	opt.AccessKey, opt.SecretKey, opt.SessionToken = getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")
	return s3.New(opt, now)
}

// openStore opens a store of the configuration.
func (c *Config) openStore(name string, now clock.Clock) (blob.Store, error) {
	st := c.Stores[name]
	if st.Kind == "dir" {
		return dir.New(c.resolve(st.Path))
	}
	return s3.New(s3.Options{
		Endpoint: st.Endpoint, Region: st.Region, Bucket: st.Bucket, Prefix: st.Prefix, PathStyle: st.PathStyle, Insecure: st.Insecure,
		AccessKey: st.AccessKey.Reveal(), SecretKey: st.SecretKey.Reveal(), LockDays: int(st.Lock.D() / day),
	}, now)
}

// keys are those a database is encrypted to and, where they are here, those it is read with.
func (c *Config) keys(name, identity string) (k pack.Keys, err error) {
	b := c.Backups[name]
	if k.Recipients, err = pack.ParseRecipients(b.Encrypt); err != nil {
		return k, c.wrong("lull backup key FILE makes one", "backups/%s/encrypt: %s", name, err)
	}
	if identity != "" {
		k.Identities, err = readIdentities(identity)
		return k, err
	}
	text := b.Identity.Reveal()
	if text == "" {
		return k, nil
	}
	k.Identities, err = pack.ParseIdentities(strings.NewReader(text))
	return k, err
}

func readIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, lull.Errorf(lull.Usage, "name the file that holds the private key", "read --identity: %w", err)
	}
	defer file.Close()
	return pack.ParseIdentities(file)
}

// NewKey makes a key pair, writes the private key into a new file and returns the public one.
func NewKey(path string) (string, error) {
	public, secret, err := pack.Generate()
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return "", lull.Errorf(lull.Usage, "name a new file: who loses a key loses what it opens", "%s is there already", path)
	}
	if err != nil {
		return "", lull.Errorf(lull.Usage, "name a file that can be written", "write key: %w", err)
	}
	_, err = file.WriteString("# public key: " + public + "\n" + secret + "\n")
	return public, errors.Join(err, file.Sync(), file.Close())
}

// connect opens the live database, once.
func (s *Site) connect(ctx context.Context) (*mysql.Conn, error) {
	if s.conn != nil {
		return s.conn, nil
	}
	if s.db == nil {
		return nil, lull.Errorf(lull.Usage, "use --out or --to, or name lull.yaml with --config", "there is no live database: only --repo is given")
	}
	url, passwordFile := s.DSN()
	conn, err := app.Connect(ctx, url, passwordFile, s.where.Env)
	if err != nil {
		return nil, err
	}
	s.conn, s.db.schema = conn, conn.Schema
	return conn, nil
}
