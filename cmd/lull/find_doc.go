package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch/accident"
)

// findJSON is the contract of `lull find --json`.
type findJSON struct {
	document
	Accidents []accidentJSON `json:"accidents"`
	Gaps      []history.Gap  `json:"gaps"`
	// InsertOnly counts the larger transactions that only inserted, Own Lull's own changes;
	// both are left out without --all.
	InsertOnly int `json:"insert_only"`
	Own        int `json:"own"`
	// Begin is where the logs begin, when that is after the time asked for.
	Begin time.Time `json:"logs_begin,omitzero"`
}

// accidentJSON is one table and transaction.
type accidentJSON struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Table     string            `json:"table"`
	Inserted  int64             `json:"inserted"`
	Updated   int64             `json:"updated"`
	Deleted   int64             `json:"deleted"`
	Statement string            `json:"statement"`
	GTID      string            `json:"gtid"`
	Thread    *uint32           `json:"thread"` // null when the log does not tell
	Position  positionJSON      `json:"position"`
	Reasons   []string          `json:"reasons"`
	Undoable  accident.Undoable `json:"undoable"`
	Why       string            `json:"why"`
	// Operation is "rows", or what a statement did to the whole table: "truncate", "drop", ...
	Operation  string   `json:"operation"`
	Statements int      `json:"statements"`
	Recorded   bool     `json:"recorded,omitempty"`  // the repository has the rows that the log has not
	UndoneBy   string   `json:"undone_by,omitempty"` // the plan that took it back
	Children   []string `json:"children,omitempty"`  // tables whose rows fell without being logged
}

type positionJSON struct {
	File  string `json:"file"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
}

func (f *findFlags) document(found *app.Found, undone map[string]string, begin time.Time) findJSON {
	doc := findJSON{
		document: newDocument(), Accidents: []accidentJSON{}, Gaps: found.Result.Gaps,
		InsertOnly: found.Result.Passed, Own: found.Own, Begin: begin.UTC(),
	}
	if doc.Gaps == nil {
		doc.Gaps = []history.Gap{}
	}
	for i := range found.Accidents {
		item := accidentDocument(&found.Accidents[i], undone)
		item.Recorded = f.kept[item.ID]
		doc.Accidents = append(doc.Accidents, item)
	}
	return doc
}

func accidentDocument(x *accident.Accident, undone map[string]string) accidentJSON {
	out := accidentJSON{
		ID: x.ID(), At: x.Tx.At.UTC(), Table: x.Table.String(),
		Inserted: x.Inserted, Updated: x.Updated, Deleted: x.Deleted,
		Statement: x.Statement, GTID: x.Tx.GTID, Thread: threadOf(x.Tx.Thread),
		Position: positionJSON{x.Tx.File, x.Tx.Start, x.Tx.End},
		Reasons:  x.Reasons, Undoable: x.Undoable, Why: x.Why,
		Operation: "rows", Statements: x.Statements, UndoneBy: undone[x.ID()],
	}
	if x.DDL != "" {
		out.Operation = x.DDL
	}
	for _, c := range x.Children {
		out.Children = append(out.Children, c.String())
	}
	return out
}

func threadOf(id uint32) *uint32 {
	if id == 0 {
		return nil
	}
	return &id
}

// maxSummaries is how many tables get a summary line of their own.
const maxSummaries = 5

// summaries picks the tables to sum up: those with accidents, or those asked for.
func (f *findFlags) summaries(found *app.Found) []*history.Stats {
	var out []*history.Stats
	seen := map[string]bool{}
	for i := range found.Accidents {
		if st := found.Result.Stats[found.Accidents[i].Table]; st != nil && !seen[st.Table.String()] {
			seen[st.Table.String()] = true
			out = append(out, st)
		}
	}
	asked := len(out)
	for _, st := range found.Result.Stats {
		if len(f.tables) > 0 && !seen[st.Table.String()] {
			out = append(out, st)
		}
	}
	slices.SortFunc(out[asked:], func(a, b *history.Stats) int { return strings.Compare(a.Table.String(), b.Table.String()) })
	return out[:min(len(out), maxSummaries)]
}

// printSummary is a table's line of counts, and its deletes per minute as a sparkline.
func printSummary(s *screen, st *history.Stats) {
	s.line(2, "%s: %s inserted, %s updated, %s deleted", term.Safe(st.Table.String()),
		term.Count(st.Inserted), term.Count(st.Updated), term.Count(st.Deleted))
	if len(st.Minutes) == 0 {
		return
	}
	first, last, peak := int64(0), int64(0), int64(0)
	for m, n := range st.Minutes {
		if first == 0 || m < first {
			first = m
		}
		last = max(last, m)
		if n > st.Minutes[peak] {
			peak = m
		}
	}
	first = min(first, last-shortest+1)
	buckets, step := bucketed(st.Minutes, first, last)
	clock := func(m int64) string { return time.Unix(m*60, 0).Local().Format("15:04") }
	per := "min"
	if step > 1 {
		per = fmt.Sprintf("%d min", step)
	}
	s.line(4, "  deletes/%s  %s %s %s   peak %s at %s", per, clock(first), term.Sparkline(buckets), clock(last+1),
		term.Count(st.Minutes[peak]), clock(peak))
}

// How many minutes a sparkline shows at least, and how many columns it takes at most.
const (
	shortest   = 8
	sparkWidth = 26
)

func bucketed(minutes map[int64]int64, first, last int64) (buckets []int64, step int64) {
	step = (last-first)/sparkWidth + 1
	buckets = make([]int64, (last-first)/step+1)
	for m, n := range minutes {
		buckets[(m-first)/step] += n
	}
	return slices.Clip(buckets), step
}
