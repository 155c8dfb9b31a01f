package main

import (
	"context"
	"strings"

	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/spf13/cobra"
)

// siteFlags are the flags that say which recorded database is meant, and where its past lies.
type siteFlags struct {
	config   string
	database string
	repo     string
	identity string
}

func (f *siteFlags) add(cmd *cobra.Command, a *runner) {
	f.addDatabase(cmd, a)
	cmd.Flags().StringVar(&f.repo, "repo", "", "read the repository at `URL` without lull.yaml: a folder, or s3://BUCKET/PREFIX?endpoint=HOST (with $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY)")
}

// addDatabase adds the flags of a command that works on a database of lull.yaml.
func (f *siteFlags) addDatabase(cmd *cobra.Command, a *runner) {
	f.addConfig(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.database, "database", "", "the database `NAME` of lull.yaml, or of the repository, when there are several")
	completeFlag(cmd, "database", a.completeDatabases(&f.config))
	flags.StringVar(&f.identity, "identity", "", "read what is encrypted, with the private key in `FILE`")
}

func (f *siteFlags) addConfig(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "read `FILE` (default $LULL_CONFIG, else lull.yaml)")
}

// file is the configuration's path, "" to look in the working directory.
func (f *siteFlags) file(a *runner) string {
	if f.config == "" {
		return a.env("LULL_CONFIG")
	}
	return f.config
}

func (f *siteFlags) where(ctx context.Context, a *runner) (backup.Where, error) {
	dir, err := a.dataDir()
	if err != nil {
		return backup.Where{}, err
	}
	return backup.Where{
		Config: f.file(a), Database: f.database, Repo: f.repo, Identity: f.identity, DataDir: dir, DataGiven: a.data != "",
		Getenv: a.env, Env: a.dbEnv(ctx), Clock: a.now,
	}, nil
}

// again is the site as it was given, for the next command line.
func (f *siteFlags) again() string {
	var out strings.Builder
	for _, x := range []struct{ flag, value string }{
		{"--config", f.config}, {"--database", f.database}, {"--repo", f.repo}, {"--identity", f.identity},
	} {
		if x.value != "" {
			out.WriteString(" " + x.flag + " " + shellWord(x.value))
		}
	}
	return out.String()
}
