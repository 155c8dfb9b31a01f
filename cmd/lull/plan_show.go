package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

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

// showPlan prints a plan for its reader; next, when given, is the next step.
func (a *runner) showPlan(p *act.Stored, next string) error {
	if a.json {
		doc := planDocument(p, "")
		if err := sampleInto(p, &doc); err != nil {
			return err
		}
		return a.emit(doc)
	}
	s := a.newScreen()
	printHead(s, p)
	printTables(s, p)
	if err := printSamples(s, p); err != nil {
		return err
	}
	for _, w := range p.Warnings {
		if w.Partly {
			s.item(2, "LOST", term.Bad, term.Safe(w.Text))
		} else {
			s.item(2, "note", term.Warn, term.Safe(w.Text))
		}
	}
	if n := p.Totals(); n.Writes() == 0 {
		text := "Nothing is to be done: the rows are as they were, or were changed since."
		if n.Lost > 0 {
			text = "Nothing can be done: the log does not hold what would have to come back."
		}
		s.line(0, "%s", text)
		return a.show(s)
	}
	if next != "" && stateText(p) == string(act.Planned) {
		s.line(2, "  Applied in %s; every row is compared again before, and read back after.", wayText(p))
		s.line(0, "Valid until %s, or until one of these rows changes.", p.Expires.Local().Format("15:04 MST"))
	}
	if next != "" {
		fmt.Fprintf(s, "Next: %s\n", next)
	}
	return a.show(s)
}

func printHead(s *screen, p *act.Stored) {
	head := term.Wrap(fmt.Sprintf("Plan %s: %s", p.ID, title(p)), s.width, 2)
	fmt.Fprintf(s, "%s\n", strings.Replace(head, "Plan "+p.ID, s.Paint(term.Strong, "Plan "+p.ID), 1))
	s.item(2, "state", term.Faint, "   "+stateLine(p))
	if p.Target != "" {
		s.item(2, "database", term.Faint, term.Safe(targetText(p.Target)))
	}
	if !p.At.IsZero() {
		word := "accident"
		if len(p.Source) > 0 && strings.HasPrefix(p.Source[0], "what ") { // a restore to a moment
			word = "as of   "
		}
		s.item(2, word, term.Faint, localTime(p.At))
	}
}

// stateLine is the state of a plan in a few words.
func stateLine(p *act.Stored) string {
	switch text := stateText(p); act.State(text) {
	case act.Planned:
		return "planned, nothing is changed yet"
	case act.Started:
		return "begun and interrupted; lull apply " + p.ID + " goes on"
	case act.Done:
		return "done and verified"
	default:
		return text + "; it was never begun"
	}
}

func wayText(p *act.Stored) string {
	if p.Atomic {
		return "one transaction"
	}
	return "batches that can be resumed"
}

// targetText is where a plan applies, without what only a connection needs.
func targetText(url string) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(url, "mysql://"), "?")
	return text
}

// printTables prints what a plan does, a table at a time.
func printTables(s *screen, p *act.Stored) {
	took := "the accident"
	if takesBack(p) {
		took = p.Source[0]
	}
	for i := range p.Tables {
		t := &p.Tables[i]
		name := term.Safe(t.Title)
		if t.Create {
			name += " (created like " + term.Safe(t.Like) + ")"
		}
		s.line(4, "  %s", name)
		if p.Target == "" { // from files alone: nobody has looked at the rows there are now
			s.counted(4, "+", t.Insert, "inserted as they were")
			s.counted(4, "~", t.Update, "changed back, where still as "+took+" left them")
			s.counted(4, "-", t.Delete, "deleted, where still as "+took+" inserted them")
		} else {
			s.counted(4, "+", t.Insert, "missing now: inserted as they were")
			s.counted(4, "~", t.Update, "still as "+took+" left them: changed back")
			s.counted(4, "-", t.Delete, "inserted by "+took+" and still the same: deleted")
		}
		s.counted(4, "=", t.Same, "are as they were: left alone")
		s.counted(4, "!", t.Keep, "changed since: kept as they are now (--on-conflict restore overwrites them)")
		s.counted(4, "!", t.Forced, "of these were changed since, and are overwritten (--on-conflict restore)")
		s.counted(4, "!", t.Partial, "of these had other columns changed since: those columns stay")
		s.counted(4, "?", t.Lost, "are not in the log and cannot be brought back")
	}
}

// takesBack says that the plan undoes another plan.
func takesBack(p *act.Stored) bool {
	return len(p.Source) == 1 && strings.HasPrefix(p.Source[0], "p-")
}

// printSamples shows the first rows of each section.
func printSamples(s *screen, p *act.Stored) error {
	for _, sec := range p.Sections {
		t := &p.Tables[sec.Table]
		limit := int64(sampleRows)
		if sec.Do == act.Keep {
			limit = sampleConflict
		}
		err := eachRecord(p, sec, 0, limit, func(rec *act.Record) error {
			if sec.Do == act.Keep {
				s.item(6, "!", term.Warn, recordLine(t, sec.Do, rec)[2:])
				return nil
			}
			s.cut(6, recordLine(t, sec.Do, rec))
			return nil
		})
		if err != nil {
			return err
		}
		if left := sec.Rows - limit; left > 0 {
			s.line(6, "      ... %s more: lull show %s --rows", term.Count(left), p.ID)
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
	switch do {
	case act.Insert:
		return "+ " + values(t.Shape, rec.To, nil)
	case act.Delete:
		return "- " + values(t.Shape, rec.Now, nil)
	}
	key := term.Safe(undo.ShowKey(t.Shape, t.Key, row))
	if do == act.Update {
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
	defer closeQuietly(in)
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

// printWritten says what a file of SQL does.
func (a *runner) printWritten(p *act.Stored, out string) error {
	s := a.newScreen()
	printTables(s, p)
	s.line(0, "Written to %s; nothing was changed.", term.Safe(out))
	return a.show(s)
}
