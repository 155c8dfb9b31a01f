package main

import (
	"time"

	"github.com/lull-ops/lull/act"
)

// planJSON is the document of `lull undo --json` and `lull show --json`.
type planJSON struct {
	document
	planFields
}

// planFields are also the entries of `lull plans --json`, there without rows.
type planFields struct {
	Plan      string        `json:"plan"`
	State     string        `json:"state"`
	Digest    string        `json:"digest"`
	Source    []string      `json:"source"`
	Target    string        `json:"target"`
	At        time.Time     `json:"at,omitzero"` // when the accident was committed
	Created   time.Time     `json:"created"`
	Expires   time.Time     `json:"expires"`
	Atomic    bool          `json:"atomic"`
	Tables    []tableJSON   `json:"tables"`
	Warnings  []act.Warning `json:"warnings"`
	Conflicts []recordJSON  `json:"conflicts"` // the first ones; `lull show --rows --json` has all
	Sample    []recordJSON  `json:"sample"`
	Out       string        `json:"out,omitempty"` // the file of SQL that was written instead
}

type tableJSON struct {
	Table     string `json:"table"`
	Insert    int64  `json:"insert"`
	Update    int64  `json:"update"`
	Delete    int64  `json:"delete"`
	Same      int64  `json:"same"`
	Conflicts int64  `json:"conflicts"`
	Forced    int64  `json:"forced"`
	Partial   int64  `json:"partial"`
	Lost      int64  `json:"lost"`
}

type recordJSON struct {
	Table  string         `json:"table"`
	Do     act.Verb       `json:"do"`
	Now    map[string]any `json:"now"`
	To     map[string]any `json:"to"`
	Set    []string       `json:"set,omitempty"`
	Reason string         `json:"reason,omitempty"`
}

type rowsJSON struct {
	document
	Plan string       `json:"plan"`
	Rows []recordJSON `json:"rows"`
}

type plansJSON struct {
	document
	Plans []planFields `json:"plans"`
}

func planDocument(p *act.Stored, out string) planJSON {
	doc := planJSON{newDocument(), planFieldsOf(p)}
	doc.Out = out
	return doc
}

func planFieldsOf(p *act.Stored) planFields {
	out := planFields{
		Plan: p.ID, State: stateText(p), Digest: p.Digest, Source: p.Source, Target: p.Target,
		Created: p.Created, Expires: p.Expires, At: p.At, Atomic: p.Atomic,
		Tables: []tableJSON{}, Warnings: p.Warnings, Conflicts: []recordJSON{}, Sample: []recordJSON{},
	}
	if out.Warnings == nil {
		out.Warnings = []act.Warning{}
	}
	for i := range p.Tables {
		t := &p.Tables[i]
		out.Tables = append(out.Tables, tableJSON{t.Title, t.Insert, t.Update, t.Delete, t.Same, t.Keep, t.Forced, t.Partial, t.Lost})
	}
	return out
}

// maxConflicts is how many conflicts a plan's document lists.
const maxConflicts = 100

func sampleInto(p *act.Stored, doc *planJSON) error {
	for _, sec := range p.Sections {
		t := &p.Tables[sec.Table]
		into, limit := &doc.Sample, int64(sampleRows)
		if sec.Do == act.Keep {
			into, limit = &doc.Conflicts, maxConflicts
		}
		err := eachRecord(p, sec, 0, limit, func(rec *act.Record) error {
			*into = append(*into, recordDocument(t, sec.Do, rec))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func recordDocument(t *act.Table, do act.Verb, rec *act.Record) recordJSON {
	out := recordJSON{Table: t.Title, Do: do, Now: rowJSON(t.Shape, rec.Now), To: rowJSON(t.Shape, rec.To), Reason: rec.Why}
	for _, i := range rec.Set {
		out.Set = append(out.Set, t.Shape.Columns[i].Name)
	}
	return out
}

func plansDocument(list []*act.Stored) plansJSON {
	doc := plansJSON{document: newDocument(), Plans: []planFields{}}
	for _, p := range list {
		doc.Plans = append(doc.Plans, planFieldsOf(p))
	}
	return doc
}
