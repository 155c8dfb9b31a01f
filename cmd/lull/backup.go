package main

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

func newBackupCmd(a *runner) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup",
		Short:   "Keep your databases' past, and prove that it can be restored",
		GroupID: operate,
		Long: `Backup looks after the repositories that lull serve keeps, as lull.yaml says: a
snapshot of every table and every change since, so that any table can be
restored to any moment. docs/backup.md tells how to begin.`,
		Example: `  lull backup now shop
  lull backup list shop
  lull backup drill shop`,
	}
	cmd.AddCommand(newBackupNowCmd(a), newBackupListCmd(a), newBackupVerifyCmd(a), newBackupDrillCmd(a), newBackupPruneCmd(a), newBackupCopyCmd(a), newBackupKeyCmd(a))
	return cmd
}

// siteCmd is a subcommand about one database.
func siteCmd(f *siteFlags, use, short, long, example string, run func(ctx context.Context, site *backup.Site) error, a *runner) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " [DATABASE]", Short: short, Long: long, Example: example, Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeDatabases(&f.config),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.database = args[0]
			}
			w, err := f.where(cmd.Context(), a)
			if err != nil {
				return err
			}
			site, err := backup.Open(cmd.Context(), w, "")
			if err != nil {
				return err
			}
			defer closeQuietly(site)
			return run(cmd.Context(), site)
		},
	}
	f.add(cmd, a)
	return cmd
}

func newBackupNowCmd(a *runner) *cobra.Command {
	var f siteFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "now [DATABASE]",
		Short: "Record up to this moment, and take the snapshots that are due",
		Long: `Now records what happened since the last time, up to this moment; takes a
snapshot of every table that has none, or whose snapshot is older than "every"
of lull.yaml; and ends. It is for a timer, where lull serve does not run all the
time: the server must keep its binlogs for longer than the time between two
runs. Interrupted, it goes on where it was when it is run again.`,
		Example: "  lull backup now shop\n  lull backup now shop --all",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: a.completeDatabases(&f.config),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.database = args[0]
			}
			w, err := f.where(cmd.Context(), a)
			if err != nil {
				return err
			}
			var p *term.Progress
			done, err := backup.Now(cmd.Context(), w, backup.NowOptions{All: all, Table: func(name string, estimate int64) func(int64) {
				p.Done()
				p = a.progress("reading "+name, estimate, term.Count)
				return p.Set
			}, Say: func(text string) { a.say("%s", oneLine(text)) }})
			p.Done()
			if err != nil {
				return err
			}
			return a.printNow(done)
		},
	}
	f.addDatabase(cmd, a)
	cmd.Flags().BoolVar(&all, "all", false, "take a snapshot of every table, whether it is due or not")
	return cmd
}

type nowJSON struct {
	document
	Database     string   `json:"database"`
	Transactions int64    `json:"transactions"`
	Until        string   `json:"until"`
	Snapshots    []string `json:"snapshots"`
	Rows         int64    `json:"rows"`
	Bytes        int64    `json:"bytes"`
	Problems     []string `json:"problems"`
}

func (a *runner) printNow(d *backup.NowDone) error {
	partly := func() error {
		if len(d.Problems) == 0 {
			return nil
		}
		return lull.Errorf(lull.Partly, "lull backup list "+d.Database, "%s", d.Problems[0])
	}
	if a.json {
		doc := nowJSON{newDocument(), d.Database, d.Transactions, d.Until, d.Snapshots, d.Rows, d.Bytes, d.Problems}
		if doc.Snapshots == nil {
			doc.Snapshots = []string{}
		}
		if doc.Problems == nil {
			doc.Problems = []string{}
		}
		if err := a.emit(doc); err != nil {
			return err
		}
		return partly()
	}
	s := a.newScreen()
	what := term.Plural(d.Transactions, "transaction") + " since the last time"
	if d.Began {
		what = "its history begins now"
	}
	s.item(0, "ok", term.Good, fmt.Sprintf("%s is recorded: %s", term.Safe(d.Database), what))
	if n := int64(len(d.Snapshots)); n > 0 {
		s.item(0, "ok", term.Good, fmt.Sprintf("%s taken: %s, %s stored", term.Plural(n, "snapshot"), term.Plural(d.Rows, "row"), term.Bytes(d.Bytes)))
	}
	for _, p := range d.Problems {
		s.item(0, "NO", term.Bad, term.Safe(p))
	}
	fmt.Fprintf(s, "Next: lull backup list %s\n", shellWord(d.Database))
	if err := a.show(s); err != nil {
		return err
	}
	return partly()
}

func newBackupVerifyCmd(a *runner) *cobra.Command {
	var f siteFlags
	return siteCmd(&f, "verify", "Read all that is kept, and prove that nothing is missing",
		`Verify reads every object of the repository, compares every checksum, decodes
every row where it has the key, and proves the chain of changes unbroken.`,
		"  lull backup verify shop\n  lull backup verify shop --repo /mnt/copy", func(ctx context.Context, site *backup.Site) error {
			report, ended := a.reading("verifying " + site.String())
			v, err := site.Verify(ctx, report)
			ended()
			if err != nil {
				return err
			}
			return a.printVerify(site, v)
		}, a)
}

type verifyJSON struct {
	document
	Database string   `json:"database"`
	Store    string   `json:"store"`
	Objects  int64    `json:"objects"`
	Bytes    int64    `json:"bytes"`
	Decoded  bool     `json:"decoded"` // rows were read, not only checksums compared
	Problems []string `json:"problems"`
}

func (a *runner) printVerify(site *backup.Site, v *backup.Verified) error {
	no := func() error {
		if len(v.Problems) == 0 {
			return nil
		}
		return lull.Errorf(lull.No, "restore the objects from a copy, or take new snapshots: lull backup now --all", "%s: %s", site, v.Problems[0])
	}
	if a.json {
		problems := v.Problems
		if problems == nil {
			problems = []string{}
		}
		if err := a.emit(verifyJSON{newDocument(), site.Name, site.String(), v.Objects, v.Bytes, v.Decoded, problems}); err != nil {
			return err
		}
		return no()
	}
	s := a.newScreen()
	fmt.Fprintf(s, "%s\n", term.Safe(site.String()))
	for _, p := range v.Problems {
		s.item(0, "NO", term.Bad, term.Safe(p))
	}
	what := "checksums compared and every row decoded"
	if !v.Decoded {
		what = "checksums compared; without --identity the rows were not decoded"
	}
	if len(v.Problems) == 0 {
		s.item(0, "ok", term.Good, fmt.Sprintf("%s, %s: %s", term.Plural(v.Objects, "object"), term.Bytes(v.Bytes), what))
	}
	if err := a.show(s); err != nil {
		return err
	}
	return no()
}

func newBackupPruneCmd(a *runner) *cobra.Command {
	var f siteFlags
	return siteCmd(&f, "prune", "Remove what is older than lull.yaml says",
		`Prune condemns what is older than "keep" and "daily" of lull.yaml ask for, and
deletes what was condemned a day ago or earlier and still is not needed. lull
serve does it every day. Nothing that a moment within them needs is removed.`,
		"  lull backup prune shop", func(ctx context.Context, site *backup.Site) error {
			r, err := site.Prune(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit(pruneJSON{newDocument(), site.Name, r.Condemned, r.Bytes, r.Deleted, append([]string{}, r.Held...)})
			}
			s := a.newScreen()
			what := "nothing is older than lull.yaml asks for"
			if r.Condemned+r.Deleted > 0 {
				what = fmt.Sprintf("%s (%s) condemned, to be deleted a day from now; %s deleted",
					term.Plural(r.Condemned, "object"), term.Bytes(r.Bytes), term.Plural(r.Deleted, "object"))
			}
			s.item(0, "ok", term.Good, what)
			for _, h := range r.Held {
				s.item(0, "!", term.Warn, term.Safe(h))
			}
			return a.show(s)
		}, a)
}

type pruneJSON struct {
	document
	Database  string `json:"database"`
	Condemned int64  `json:"condemned"`
	Bytes     int64  `json:"bytes"`
	Deleted   int64  `json:"deleted"`
	// Held says why more is kept than was asked for.
	Held []string `json:"held"`
}

func newBackupCopyCmd(a *runner) *cobra.Command {
	var f siteFlags
	return siteCmd(&f, "copy", "Bring the copies that lull.yaml names up to date",
		`Copy brings each store under "copies" of lull.yaml up to date: objects that it
does not have are copied, and compared by checksum. lull serve does it as it
goes.`,
		"  lull backup copy shop", func(ctx context.Context, site *backup.Site) error {
			report, ended := a.reading("copying " + site.String())
			n, size, err := site.Copy(ctx, report)
			ended()
			if err != nil {
				return err
			}
			if a.json {
				return a.emit(struct {
					document
					Database string `json:"database"`
					Objects  int64  `json:"objects"`
					Bytes    int64  `json:"bytes"`
				}{newDocument(), site.Name, n, size})
			}
			s := a.newScreen()
			s.item(0, "ok", term.Good, fmt.Sprintf("%s copied, %s", term.Plural(n, "object"), term.Bytes(size)))
			return a.show(s)
		}, a)
}

func newBackupKeyCmd(a *runner) *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key pair: what is recorded can be encrypted to it",
		Long: `Key writes a new private key into FILE and prints the public one, which goes
into lull.yaml under "encrypt". Who has only the public key can write and not
read. Keep FILE where the server is not, and not in one place only: without it
nothing can be restored.`,
		Example: "  lull backup key lull.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, err := backup.NewKey(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.emit(struct {
					document
					File   string `json:"file"`
					Public string `json:"public"`
				}{newDocument(), args[0], public})
			}
			s := a.newScreen()
			fmt.Fprintf(s, "%s\n", public)
			a.say("The private key is in %s. Put it where this server is not: without it nothing can be restored.", args[0])
			return a.show(s)
		},
	}
}
