package main

import (
	"fmt"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

func newCheckCmd(a *runner) *cobra.Command {
	var f sourceFlags
	cmd := &cobra.Command{
		Use:     "check",
		Aliases: []string{"doctor"},
		Short:   "Tell whether an accident could be undone now, and what to fix",
		GroupID: setUp,
		Long: `Check asks the server whether it writes binlogs with whole rows, how long it
keeps them, and whether this user may read them and write the rows back. For
everything that is missing it prints the exact statement. It changes nothing.
Without --db it asks the database that lull.yaml names.`,
		Example: "  lull check --db mysql://ops@db.example.com/shop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			url, passwordFile, err := f.server(cmd.Context(), a, "")
			if err != nil {
				return err
			}
			if url == "" {
				return lull.Errorf(lull.Usage, "lull check --db mysql://USER@HOST/SCHEMA", "no database is given")
			}
			conn, err := app.Connect(cmd.Context(), url, passwordFile, a.dbEnv(cmd.Context()))
			if err != nil {
				return err
			}
			defer closeQuietly(conn)
			findings, err := conn.Check(cmd.Context())
			if err != nil {
				return err
			}
			return a.printCheck(conn, findings)
		},
	}
	f.addDB(cmd)
	f.addConfig(cmd, a)
	return cmd
}

type checkJSON struct {
	document
	Server   string      `json:"server"`
	Ready    bool        `json:"ready"`
	Findings []checkItem `json:"findings"`
}

type checkItem struct {
	Name   string       `json:"name"`
	Answer mysql.Answer `json:"answer"`
	Detail string       `json:"detail"`
	Fix    string       `json:"fix"`
}

func (a *runner) printCheck(conn *mysql.Conn, findings []mysql.Finding) error {
	doc := checkJSON{document: newDocument(), Server: conn.DSN.Where(), Ready: true, Findings: []checkItem{}}
	no := 0
	for _, f := range findings {
		doc.Findings = append(doc.Findings, checkItem{f.Name, f.Answer, f.Detail, f.Fix})
		if f.Answer == mysql.No {
			doc.Ready = false
			no++
		}
	}
	if a.json {
		if err := a.emit(doc); err != nil {
			return err
		}
	} else {
		if err := a.printFindings(conn, findings, no); err != nil {
			return err
		}
	}
	if no > 0 {
		return lull.Errorf(lull.No, "run the statements above", "%d of %d answers %s no", no, len(findings), are(no))
	}
	return nil
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func (a *runner) printFindings(conn *mysql.Conn, findings []mysql.Finding, no int) error {
	s := a.newScreen()
	verdict := s.Paint(term.Good, "yes")
	if no > 0 {
		verdict = s.Paint(term.Bad, "NO")
	}
	fmt.Fprintf(s, "Could an accident on %s be undone? %s\n", term.Safe(conn.DSN.Where()), verdict)
	for _, f := range findings {
		word, color := "ok  ", term.Good
		switch f.Answer {
		case mysql.No:
			word, color = "NO  ", term.Bad
		case mysql.Warn:
			word, color = "warn", term.Warn
		}
		s.item(2, word, color, term.Safe(f.Name)+": "+term.Safe(f.Detail))
		if f.Fix != "" && f.Answer != mysql.OK {
			for line := range strings.SplitSeq(f.Fix, "\n") {
				s.item(7, "fix:", term.Strong, term.Safe(line))
			}
		}
	}
	return a.show(s)
}
