package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
)

// restoreJSON is what `lull restore --json` says of a table.
type restoreJSON struct {
	document
	Table    string   `json:"table"`
	Into     string   `json:"into"` // "" when nothing was written
	Cut      cutJSON  `json:"cut"`
	Rows     *int64   `json:"rows"` // null before they were counted
	Digest   string   `json:"digest"`
	Seconds  float64  `json:"seconds"`
	Exact    bool     `json:"exact"`
	Warnings []string `json:"warnings"`
}

// cutJSON is the last transaction that counts.
type cutJSON struct {
	Transaction uint64    `json:"transaction"`
	At          time.Time `json:"at,omitzero"`
}

func restoreDocument(t *backup.Table, into string) *restoreJSON {
	doc := &restoreJSON{
		document: newDocument(), Table: t.Name.String(), Into: into, Exact: t.Exact(),
		Cut: cutJSON{uint64(t.Seq()), t.At().UTC()}, Warnings: t.Warnings(),
	}
	if doc.Warnings == nil {
		doc.Warnings = []string{}
	}
	return doc
}

// receipt says what was restored.
func (f *restoreFlags) receipt(a *runner, t *backup.Table, r *backup.Receipt, into string) error {
	if a.json {
		doc := restoreDocument(t, into)
		doc.Rows, doc.Digest, doc.Seconds = &r.Rows, r.Digest, r.Took.Seconds()
		doc.Warnings = append(doc.Warnings, r.Warnings...)
		if err := a.emit(doc); err != nil {
			return err
		}
		return exactly(t)
	}
	s := a.newScreen()
	s.item(0, "ok", term.Good, fmt.Sprintf("%s of %s as it was %s are in %s (%s, %s)", term.Plural(r.Rows, "row"),
		term.Safe(t.Name.String()), t.When(), term.Safe(into), term.Duration(r.Took), r.Verified))
	for _, w := range append(t.Warnings(), r.Warnings...) {
		s.item(0, "!", term.Warn, term.Safe(w))
	}
	if err := a.show(s); err != nil {
		return err
	}
	return exactly(t)
}

// exactly makes the exit code say that some rows may differ from those of then.
func exactly(t *backup.Table) error {
	if t.Exact() {
		return nil
	}
	return lull.Errorf(lull.Partly, "compare the rows with what you know", "%s may differ from what it was: %s", t.Name, t.Warnings()[0])
}

// whole restores all tables of a database to another server.
func (f *restoreFlags) whole(ctx context.Context, a *runner, then *backup.Then) error {
	if f.merge || f.out != "" || f.into != "" {
		return lull.Errorf(lull.Usage, "restore its tables one by one, or all of them with --to URL", "%s is a whole database: it can only go to another server", then.Database())
	}
	tables, err := then.Tables(ctx)
	if err != nil {
		return err
	}
	if f.to == "" {
		return f.previewWhole(a, then, tables)
	}
	p := a.progress("restoring "+then.Database(), 0, term.Count)
	r, err := then.Load(ctx, tables, backup.Target{URL: f.to, PasswordFile: f.passwordFile, Connections: f.conns, Grants: f.grants, Events: f.events}, p.Set)
	p.Done()
	if r == nil {
		return err
	}
	for i := 0; err == nil && i < len(tables); i++ {
		err = exactly(tables[i])
	}
	if a.json {
		return cmp.Or(a.emit(wholeDocument(then, tables, r)), err)
	}
	s := a.newScreen()
	s.item(0, "ok", term.Good, fmt.Sprintf("%s in %s as they were %s are on %s (%s, %s)", term.Plural(r.Rows, "row"),
		term.Plural(int64(r.Tables), "table"), then.When(), term.Safe(r.Where), term.Duration(r.Took), r.Verified))
	for _, w := range r.Warnings {
		s.item(0, "!", term.Warn, term.Safe(w))
	}
	return cmp.Or(a.show(s), err)
}

type wholeJSON struct {
	document
	Database string      `json:"database"`
	Into     string      `json:"into"`
	Cut      cutJSON     `json:"cut"`
	Tables   []wholeItem `json:"tables"`
	Rows     *int64      `json:"rows"`
	Seconds  float64     `json:"seconds"`
	Warnings []string    `json:"warnings"`
}

type wholeItem struct {
	Table string `json:"table"`
	Exact bool   `json:"exact"`
}

func wholeDocument(then *backup.Then, tables []*backup.Table, r *backup.Receipt) *wholeJSON {
	doc := &wholeJSON{document: newDocument(), Database: then.Database(), Cut: cutJSON{uint64(then.Seq()), then.At().UTC()}, Tables: []wholeItem{}, Warnings: []string{}}
	for _, t := range tables {
		doc.Tables = append(doc.Tables, wholeItem{t.Name.String(), t.Exact()})
		doc.Warnings = append(doc.Warnings, t.Warnings()...)
	}
	if r != nil {
		doc.Warnings = doc.Warnings[:0] // the receipt has them
		doc.Into, doc.Rows, doc.Seconds = r.Where, &r.Rows, r.Took.Seconds()
		doc.Warnings = append(doc.Warnings, r.Warnings...)
	}
	return doc
}

func (f *restoreFlags) previewWhole(a *runner, then *backup.Then, tables []*backup.Table) error {
	if a.json {
		return a.emit(wholeDocument(then, tables, nil))
	}
	s := a.newScreen()
	s.line(2, "%s as it was %s: %s", term.Safe(then.Database()), then.When(), term.Plural(int64(len(tables)), "table"))
	for _, t := range tables {
		s.item(2, t.Mark(), term.Plain, term.Safe(t.Name.String())+"  "+t.Source())
	}
	s.item(2, "until", term.Faint, then.Last())
	s.line(2, "Nothing is written yet.")
	fmt.Fprintf(s, "Next: lull restore %s --at %s%s --to mysql://root@NEW-HOST/\n", shellWord(then.Database()), shellWord(f.at), f.again())
	return a.show(s)
}
