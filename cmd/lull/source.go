package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

// sourceFlags are the flags that say where the past is read from.
type sourceFlags struct {
	db           string
	binlogs      []string
	schema       string
	passwordFile string
	config       string // lull.yaml, which names the database when nothing else does
	database     string // which of lull.yaml, "" when there is one only
}

func (f *sourceFlags) add(cmd *cobra.Command, a *runner) {
	f.addDB(cmd)
	f.addConfig(cmd, a)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.binlogs, "binlog", nil, "read this binlog `FILE`, or all in this folder; may be repeated; needs no server")
	flags.StringVar(&f.schema, "schema", "", "take column names and types from the CREATE TABLE statements in `FILE`, where the log has none")
}

// addDB adds the flags of a command that only speaks to a server.
func (f *sourceFlags) addDB(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.db, "db", "", "the database's `URL`: mysql://user@host:3306/schema, or env:NAME or file:PATH that hold it (default $LULL_DB, else as lull.yaml says)")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password from `FILE` (else $LULL_PASSWORD, $MYSQL_PWD, ~/.my.cnf, or a prompt)")
}

// addConfig adds the flags that choose a database of lull.yaml.
func (f *sourceFlags) addConfig(cmd *cobra.Command, a *runner) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "read `FILE` for the database and its repository (default $LULL_CONFIG, else lull.yaml)")
	flags.StringVar(&f.database, "database", "", "the database `NAME` of lull.yaml, when there are several")
	completeFlag(cmd, "database", a.completeDatabases(&f.config))
}

// server is the database that is meant: --db, else $LULL_DB, else the one of lull.yaml; "" when
// there is none, or when only files are asked for. table, which may be "", helps to choose.
func (f *sourceFlags) server(ctx context.Context, a *runner, table string) (url, passwordFile string, err error) {
	if url = f.db; url == "" && len(f.binlogs) == 0 {
		url = a.env("LULL_DB")
	}
	if url != "" || len(f.binlogs) > 0 {
		return url, f.passwordFile, nil
	}
	site, err := f.configured(ctx, a, table)
	if site == nil || err != nil {
		return "", "", err
	}
	url, passwordFile = site.DSN()
	return url, cmp.Or(f.passwordFile, passwordFile), nil
}

// open opens what is to be read: a server's logs or files.
func (f *sourceFlags) open(ctx context.Context, a *runner, table string) (*app.Database, error) {
	url, passwordFile, err := f.server(ctx, a, table)
	if err != nil {
		return nil, err
	}
	source := &app.Source{DSN: url, PasswordFile: passwordFile, Binlogs: f.binlogs, Schema: f.schema, Env: a.dbEnv(ctx)}
	return source.Open(ctx)
}

// configured is the recorded database of lull.yaml, nil when nobody has written one.
func (f *sourceFlags) configured(ctx context.Context, a *runner, table string) (*backup.Site, error) {
	flags := &siteFlags{config: f.config, database: f.database}
	where, err := flags.where(ctx, a)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(backup.ConfigFile); where.Config == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no file and no error is the usual case
	}
	site, err := backup.Peek(where, table)
	if err != nil {
		return nil, err
	}
	if site.Several() {
		f.database = site.Name // for the next command line
	}
	return site, nil
}

// site is the recorded database that lull.yaml names, for what can be done without it; nil
// when there is none, or when it is not clear which.
func (f *sourceFlags) site(ctx context.Context, a *runner, table string) *backup.Site {
	site, err := f.configured(ctx, a, table)
	if err != nil {
		a.say("note: the repository is not used: %s", oneLine(err.Error()))
		return nil
	}
	return site
}

// dbEnv is what a DSN is completed from.
func (a *runner) dbEnv(ctx context.Context) mysql.Env {
	env := mysql.Env{Getenv: a.env, Home: a.env("HOME")}
	if p := a.prompt(); p.Ask {
		env.Ask = func(question string) (string, error) {
			return p.Password(ctx, question, "set LULL_PASSWORD or use --password-file")
		}
	}
	return env
}

// again is the source as it was given, for the next command line; never a password.
func (f *sourceFlags) again() string {
	var out strings.Builder
	for _, b := range f.binlogs {
		out.WriteString(" --binlog " + shellWord(b))
	}
	if f.schema != "" {
		out.WriteString(" --schema " + shellWord(f.schema))
	}
	return out.String() + f.againDB()
}

// againDB is the part of again that a command needs which only speaks to the server.
func (f *sourceFlags) againDB() string {
	out := f.againSite()
	if f.db != "" {
		out += " --db " + shellWord(secretInURL.ReplaceAllString(f.db, "$1@"))
	}
	if f.passwordFile != "" {
		out += " --password-file " + shellWord(f.passwordFile)
	}
	return out
}

// againSite is the part of again that names the repository.
func (f *sourceFlags) againSite() string {
	return (&siteFlags{config: f.config, database: f.database}).again()
}

// reading makes a progress line for the part of a command that reads logs.
func (a *runner) reading(label string) (report func(read, total int64), done func()) {
	var p *term.Progress
	return func(read, total int64) {
			if p == nil {
				p = a.progress(label, total, term.Bytes)
			}
			p.Set(read)
		}, func() {
			if p != nil {
				p.Done()
			}
		}
}
