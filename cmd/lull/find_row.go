package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
)

// opNames are the words for what a change did.
func opName(op db.Op) string {
	return map[db.Op]string{db.Insert: "inserted", db.Update: "updated", db.Delete: "deleted"}[op]
}

// printVersions shows one row's history, newest first.
func (a *runner) printVersions(f *findFlags, versions []app.Version, gaps []history.Gap) error {
	if a.json {
		return a.emit(versionsDocument(f, versions, gaps))
	}
	s := a.newScreen()
	for i := len(versions) - 1; i >= 0; i-- {
		v := &versions[i]
		fmt.Fprintf(s, "%s  %s  %s", localTime(v.Tx.At), s.Paint(term.Strong, opName(v.Op)), v.ID())
		if v.Tx.GTID != "" {
			fmt.Fprintf(s, "  GTID %s", term.Safe(v.Tx.GTID))
		}
		if v.Tx.Thread != 0 {
			fmt.Fprintf(s, "  thread %d", v.Tx.Thread)
		}
		s.WriteByte('\n')
		if v.Statement != "" {
			s.cut(2, term.Safe(strings.Join(strings.Fields(v.Statement), " ")))
		}
		printVersion(s, v)
	}
	if len(versions) == 0 {
		s.line(2, "No change of a row with %s is in these binlogs.", term.Safe(f.key))
	}
	printGaps(s, gaps)
	return a.show(s)
}

// printVersion shows the columns that changed, or the whole row where it came or went.
func printVersion(s *screen, v *app.Version) {
	for i := range v.Shape.Columns {
		c := &v.Shape.Columns[i]
		show := func(r db.Row) string { return term.Cut(term.Safe(c.Show(r[i])), 60) }
		switch {
		case v.Before == nil:
			if v.After[i].State != db.Absent {
				s.line(6, "    %s = %s", term.Safe(c.Name), show(v.After))
			}
		case v.After == nil:
			if v.Before[i].State != db.Absent {
				s.line(6, "    %s was %s", term.Safe(c.Name), show(v.Before))
			}
		case v.After[i].State != db.Absent && !v.Before[i].Equal(v.After[i]):
			s.line(6, "    %s: %s -> %s", term.Safe(c.Name), show(v.Before), show(v.After))
		}
	}
}

type versionJSON struct {
	At        time.Time      `json:"at"`
	Op        string         `json:"op"`
	ID        string         `json:"id"`
	GTID      string         `json:"gtid"`
	Thread    *uint32        `json:"thread"`
	Position  positionJSON   `json:"position"`
	Statement string         `json:"statement"`
	Before    map[string]any `json:"before"`
	After     map[string]any `json:"after"`
}

type versionsJSON struct {
	document
	Table    string        `json:"table"`
	Key      string        `json:"key"`
	Versions []versionJSON `json:"versions"`
	Gaps     []history.Gap `json:"gaps"`
}

func versionsDocument(f *findFlags, versions []app.Version, gaps []history.Gap) versionsJSON {
	doc := versionsJSON{document: newDocument(), Table: f.tables[0], Key: f.key, Versions: []versionJSON{}, Gaps: gaps}
	if gaps == nil {
		doc.Gaps = []history.Gap{}
	}
	for i := len(versions) - 1; i >= 0; i-- {
		v := &versions[i]
		doc.Versions = append(doc.Versions, versionJSON{
			At: v.Tx.At.UTC(), Op: opName(v.Op), ID: v.ID(), GTID: v.Tx.GTID, Thread: threadOf(v.Tx.Thread),
			Position:  positionJSON{v.Tx.File, v.Tx.Start, v.Tx.End},
			Statement: v.Statement, Before: rowJSON(v.Shape, v.Before), After: rowJSON(v.Shape, v.After),
		})
	}
	return doc
}

// rowJSON maps column names to texts, null for NULL, {"hex":...} for bytes that are no text;
// columns that were not logged are left out, a row that is not there is null.
func rowJSON(t *db.Table, r db.Row) map[string]any {
	if r == nil {
		return nil
	}
	out := map[string]any{}
	for i := range t.Columns {
		switch v := r[i]; {
		case v.State == db.Null:
			out[t.Columns[i].Name] = nil
		case v.State == db.Set && utf8.Valid(v.Data):
			out[t.Columns[i].Name] = t.Columns[i].Show(v)
		case v.State == db.Set:
			out[t.Columns[i].Name] = map[string]string{"hex": hex.EncodeToString(v.Data)}
		}
	}
	return out
}
