package main

import (
	"context"
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
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	f.addDB(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.binlogs, "binlog", nil, "read this binlog `FILE`, or all in this folder; may be repeated; needs no server")
	flags.StringVar(&f.config, "config", "", "read `FILE` for the database and its repository (default $LULL_CONFIG, else lull.yaml)")
	flags.StringVar(&f.schema, "schema", "", "take column names and types from the CREATE TABLE statements in `FILE`, where the log has none")
}

// addDB adds the flags of a command that only speaks to a server.
func (f *sourceFlags) addDB(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.db, "db", "", "the database's `URL`: mysql://user@host:3306/schema, or env:NAME or file:PATH that hold it (default $LULL_DB)")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password from `FILE` (else $LULL_PASSWORD, $MYSQL_PWD, ~/.my.cnf, or a prompt)")
}

// url is the database's URL: the flag, else LULL_DB; "" when only files are asked for.
func (f *sourceFlags) url(a *runner) string {
	if f.db == "" && len(f.binlogs) == 0 {
		return a.env("LULL_DB")
	}
	return f.db
}

func (f *sourceFlags) source(ctx context.Context, a *runner) *app.Source {
	url, passwordFile := f.url(a), f.passwordFile
	if site := f.site(ctx, a, ""); url == "" && len(f.binlogs) == 0 && site != nil {
		url, passwordFile = site.DSN()
	}
	return &app.Source{
		DSN: url, PasswordFile: passwordFile, Binlogs: f.binlogs, Schema: f.schema, Env: a.dbEnv(ctx),
	}
}

// site is the recorded database that lull.yaml names for a table, nil when there is none or
// when it is not clear which.
func (f *sourceFlags) site(ctx context.Context, a *runner, table string) *backup.Site {
	where, err := (&siteFlags{config: f.config}).where(ctx, a)
	if err != nil {
		return nil
	}
	site, err := backup.Peek(where, table)
	if err != nil {
		if f.config != "" {
			a.say("note: %s", oneLine(err.Error()))
		}
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
	out := ""
	if f.config != "" {
		out += " --config " + shellWord(f.config)
	}
	if f.db != "" {
		out += " --db " + shellWord(secretInURL.ReplaceAllString(f.db, "$1@"))
	}
	if f.passwordFile != "" {
		out += " --password-file " + shellWord(f.passwordFile)
	}
	return out
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
