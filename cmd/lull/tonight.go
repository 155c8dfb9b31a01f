package main

import (
	"fmt"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

func newTonightCmd(a *runner) *cobra.Command {
	var f siteFlags
	var meant []string
	cmd := &cobra.Command{
		Use:     "tonight",
		Short:   "Can you sleep? One answer per risk, from what was measured",
		GroupID: everyDay,
		Long: `Tonight answers from facts: whether every change is recorded, how old snapshots
are, whether a restore was rehearsed and came out right, and which accidents are
open. The exit code is 3 when one of the answers is no.`,
		Example: "  lull tonight\n  lull tonight --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := f.where(cmd.Context(), a)
			if err != nil {
				return err
			}
			for _, id := range meant {
				if err := backup.Meant(w, id); err != nil {
					return err
				}
			}
			answers, err := backup.Tonight(cmd.Context(), w, a.undone())
			if err != nil {
				return err
			}
			return a.printTonight(answers)
		},
	}
	f.addConfig(cmd)
	cmd.Flags().StringArrayVar(&meant, "meant", nil, "close this `FINDING`: it was no accident; may be repeated")
	completeFlag(cmd, "meant", a.completeOpen(&f))
	return cmd
}

type tonightJSON struct {
	document
	Ready   bool          `json:"ready"`
	Answers []tonightItem `json:"answers"`
}

type tonightItem struct {
	Database string `json:"database"`
	Topic    string `json:"topic"`
	OK       bool   `json:"ok"`
	Text     string `json:"text"`
	Fix      string `json:"fix"`
}

func (a *runner) printTonight(answers []backup.Answer) error {
	doc := tonightJSON{document: newDocument(), Ready: true, Answers: []tonightItem{}}
	no := 0
	first := ""
	for _, x := range answers {
		doc.Answers = append(doc.Answers, tonightItem{x.Database, x.Topic, x.OK, x.Text, x.Fix})
		if !x.OK {
			doc.Ready = false
			if no++; first == "" {
				first = x.Text
			}
		}
	}
	var verdict error
	if no > 0 {
		verdict = lull.Errorf(lull.No, "see the lines marked NO", "%d of %d answers %s no: %s", no, len(answers), are(no), first)
	}
	if a.json {
		if err := a.emit(doc); err != nil {
			return err
		}
		return verdict
	}
	s := a.newScreen()
	head := s.Paint(term.Good, "yes")
	if no > 0 {
		head = s.Paint(term.Bad, fmt.Sprintf("NOT YET: %d of %d answers %s no.", no, len(answers), are(no)))
	}
	fmt.Fprintf(s, "Can you sleep? %s   (%s)\n", head, a.now().Local().Format("Mon 2 Jan 15:04"))
	for _, x := range answers {
		word, color := "ok", term.Good
		if !x.OK {
			word, color = "NO", term.Bad
		}
		s.item(2, word, color, fmt.Sprintf("%s  %s", term.Safe(x.Database), term.Safe(x.Text)))
		if x.Fix != "" && !x.OK {
			s.item(7, "fix:", term.Strong, term.Safe(x.Fix))
		}
	}
	if err := a.show(s); err != nil {
		return err
	}
	return verdict
}

type drillJSON struct {
	document
	Database string      `json:"database"`
	Drills   []drillItem `json:"drills"`
}

type drillItem struct {
	Table    string    `json:"table"`
	OK       bool      `json:"ok"`
	At       time.Time `json:"at"`
	Way      string    `json:"way"`
	Rows     int64     `json:"rows"`
	Digest   string    `json:"digest"`
	Live     string    `json:"live"` // digest of the live table at the same position, "" when it was not compared
	Seconds  float64   `json:"seconds"`
	Problems []string  `json:"problems"`
}

func (a *runner) printDrill(site *backup.Site, results []backup.Drill) error {
	var verdict error
	doc := drillJSON{document: newDocument(), Database: site.Name, Drills: []drillItem{}}
	for i := range results {
		d := &results[i]
		problems := d.Problems
		if problems == nil {
			problems = []string{}
		}
		doc.Drills = append(doc.Drills, drillItem{d.Table, d.OK, d.At.UTC(), d.Way, d.Rows, d.Digest, d.Live, d.Seconds, problems})
		if !d.OK && verdict == nil {
			reason := "it could not be restored"
			if len(d.Problems) > 0 {
				reason = d.Problems[0]
			}
			verdict = lull.Errorf(lull.No, "lull backup verify "+site.Name, "drill of %s: %s", d.Table, reason)
		}
	}
	if a.json {
		if err := a.emit(doc); err != nil {
			return err
		}
		return verdict
	}
	s := a.newScreen()
	for i := range results {
		d := &results[i]
		if d.OK {
			s.item(0, "ok", term.Good, fmt.Sprintf("%s: %s came back in %s (%s)", term.Safe(d.Table), term.Plural(d.Rows, "row"),
				term.Duration(time.Duration(d.Seconds*float64(time.Second))), term.Safe(d.Way)))
		}
		for _, p := range d.Problems {
			s.item(0, "NO", term.Bad, term.Safe(d.Table)+": "+term.Safe(p))
		}
	}
	if len(results) == 0 {
		s.line(2, "There is no table to restore yet.\nNext: lull backup list %s", site.Name)
	}
	if err := a.show(s); err != nil {
		return err
	}
	return verdict
}
