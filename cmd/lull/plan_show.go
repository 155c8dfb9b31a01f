package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/term"
)

// How many rows of a plan a summary shows as a sample.
const (
	sampleRows     = 3
	sampleConflict = 5
)

// showPlan prints a plan for its reader. from, when given, adds the next step.
func (a *runner) showPlan(p *act.Stored, from *sourceFlags) error {
	if a.json {
		doc := planDocument(p, "")
		if err := sampleInto(p, &doc); err != nil {
			return err
		}
		return a.emit(doc)
	}
	st := a.style()
	sum := p.Totals()
	status := "nothing changed yet"
	if s := p.State(); s != act.Planned {
		status = string(s)
	}
	a.printf("%s  %s: %s\n", st.Paint(term.Strong, "Plan "+p.ID), title(p), status)
	if !p.At.IsZero() {
		a.printf("  accident of %s\n", p.At.Local().Format(time.DateTime))
	}
	printTables(a, p)
	if err := a.samples(p); err != nil {
		return err
	}
	for _, w := range p.Warnings {
		mark := st.Paint(term.Warn, "note")
		if w.Partly {
			mark = st.Paint(term.Bad, "LOST")
		}
		a.printf("  %s  %s\n", mark, term.Safe(w.Text))
	}
	way := "one transaction"
	if !p.Atomic {
		way = "batches that can be resumed"
	}
	if sum.Writes() == 0 {
		a.printf("Nothing is to be done: the rows are as they were, or were changed since.\n")
		return nil
	}
	a.printf("  %s rows in %s; rows are compared again before, and read back after\n", term.Count(sum.Writes()), way)
	if from != nil && p.State() == act.Planned {
		a.printf("Valid until %s, or until one of these rows changes.\nNext: lull apply %s\n", p.Expires.Local().Format("15:04"), p.ID)
	}
	return nil
}

// printTables prints what a plan does, a table at a time.
func printTables(a *runner, p *act.Stored) {
	st := a.style()
	for i := range p.Tables {
		t := &p.Tables[i]
		a.printf("  %s", st.Paint(term.Strong, term.Safe(t.Title)))
		if t.Create {
			a.printf(" (created like %s)", term.Safe(t.Like))
		}
		a.printf("\n")
		for _, line := range []struct {
			mark string
			n    int64
			text string
		}{
			{"+", t.Insert, "missing now: inserted as they were"},
			{"~", t.Update, "still as the accident left them: changed back"},
			{"-", t.Delete, "inserted by the accident and still as inserted: deleted"},
			{"=", t.Same, "as they were before the accident: left alone"},
			{"!", t.Keep, "changed since: kept as they are now (--on-conflict restore overwrites)"},
			{"!", t.Forced, "of these were changed since and are overwritten (--on-conflict restore)"},
			{"!", t.Partial, "of these had some columns changed since: those columns stay"},
			{"?", t.Lost, "are not in the log and cannot be brought back"},
		} {
			if line.n > 0 {
				a.printf("    %s %12s  %s\n", line.mark, term.Count(line.n), line.text)
			}
		}
	}
}

// samples shows the first rows of each section.
func (a *runner) samples(p *act.Stored) error {
	for _, sec := range p.Sections {
		t := &p.Tables[sec.Table]
		limit := int64(sampleRows)
		if sec.Do == act.Keep {
			limit = sampleConflict
		}
		err := eachRecord(p, sec, 0, limit, func(rec *act.Record) error {
			a.printf("      %s\n", term.Cut(recordLine(t, sec.Do, rec), 74))
			return nil
		})
		if err != nil {
			return err
		}
		if left := sec.Rows - limit; left > 0 {
			a.printf("      ... %s more: lull show %s --rows\n", term.Count(left), p.ID)
		}
	}
	return nil
}

// recordLine is one row of a plan on one line.
func recordLine(t *act.Table, do act.Verb, rec *act.Record) string {
	row := rec.Now
	if row == nil {
		row = rec.To
	}
	key := term.Safe(undo.ShowKey(t.Shape, t.Key, row))
	switch do {
	case act.Insert:
		return "+ " + key + "  " + values(t.Shape, rec.To, nil)
	case act.Delete:
		return "- " + key + "  " + values(t.Shape, rec.Now, nil)
	case act.Update:
		return "~ " + key + "  " + changesText(t.Shape, rec.Now, rec.To, rec.Set)
	}
	return "! " + key + "  " + term.Safe(rec.Why) + conflictText(t.Shape, rec)
}

func values(t *db.Table, row db.Row, only []int) string {
	if only == nil {
		for i := range t.Columns {
			only = append(only, i)
		}
	}
	var parts []string
	for _, i := range only {
		if row[i].State != db.Absent {
			parts = append(parts, term.Safe(t.Columns[i].Name)+"="+term.Cut(term.Safe(t.Columns[i].Show(row[i])), 24))
		}
	}
	return strings.Join(parts, " ")
}

func changesText(t *db.Table, now, to db.Row, set []int) string {
	var parts []string
	for _, i := range set {
		c := &t.Columns[i]
		parts = append(parts, fmt.Sprintf("%s: %s -> %s", term.Safe(c.Name), term.Cut(term.Safe(c.Show(now[i])), 24), term.Cut(term.Safe(c.Show(to[i])), 24)))
	}
	return strings.Join(parts, ", ")
}

// conflictText shows both versions in the columns where they differ.
func conflictText(t *db.Table, rec *act.Record) string {
	if rec.Now == nil || rec.To == nil {
		return ""
	}
	var diff []int
	for i := range t.Columns {
		if rec.Now[i].State != db.Absent && rec.To[i].State != db.Absent && !rec.Now[i].Equal(rec.To[i]) {
			diff = append(diff, i)
		}
	}
	return ": now " + values(t, rec.Now, diff) + ", was " + values(t, rec.To, diff)
}

// eachRecord walks one section's records.
func eachRecord(p *act.Stored, sec act.Section, skip, limit int64, fn func(*act.Record) error) error {
	in, err := p.Records(sec)
	if err != nil {
		return err
	}
	defer in.Close()
	for n := int64(0); limit == 0 || n < skip+limit; n++ {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n >= skip {
			if err := fn(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// showRows pages through all rows of a plan.
func (a *runner) showRows(p *act.Stored, skip, limit int64) error {
	left := limit
	doc := rowsJSON{document: newDocument(), Plan: p.ID, Rows: []recordJSON{}}
	for _, sec := range p.Sections {
		if skip >= sec.Rows {
			skip -= sec.Rows
			continue
		}
		t := &p.Tables[sec.Table]
		err := eachRecord(p, sec, skip, left, func(rec *act.Record) error {
			if a.json {
				doc.Rows = append(doc.Rows, recordDocument(t, sec.Do, rec))
				return nil
			}
			_, err := fmt.Fprintf(a.stdout, "%s  %s\n", term.Safe(t.Title), recordLine(t, sec.Do, rec))
			return err
		})
		if err != nil {
			return err
		}
		if limit > 0 {
			if left -= min(left, sec.Rows-skip); left == 0 {
				break
			}
		}
		skip = 0
	}
	if a.json {
		return a.emit(doc)
	}
	return nil
}
