package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/internal/term"
	"github.com/spf13/cobra"
)

func newBackupListCmd(a *runner) *cobra.Command {
	var f siteFlags
	return siteCmd(&f, "list", "Show what can be restored to which second, and the gaps",
		`List shows from when to when each table can be restored to any moment, how old
its newest snapshot is, and when a drill last restored it. It reads no rows.`,
		"  lull backup list shop\n  lull backup list shop --repo s3://bucket/lull --identity lull.key --json", func(ctx context.Context, site *backup.Site) error {
			inv, err := site.List(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return cmp.Or(a.emit(listDocument(inv)), inventoryError(inv))
			}
			return cmp.Or(a.printList(inv), inventoryError(inv))
		}, a)
}

// inventoryError makes the exit code tell of holes.
func inventoryError(inv *backup.Inventory) error {
	if len(inv.Problems) == 0 {
		return nil
	}
	return lull.Errorf(lull.Partly, "lull backup verify "+inv.Database, "%s", inv.Problems[0])
}

type listJSON struct {
	document
	Database     string      `json:"database"`
	Store        string      `json:"store"`
	Until        time.Time   `json:"until,omitzero"`
	Bytes        int64       `json:"bytes"`
	Objects      int64       `json:"objects"`
	Transactions uint64      `json:"transactions"`
	Encrypted    bool        `json:"encrypted"`
	Tables       []tableItem `json:"tables"`
	Problems     []string    `json:"problems"`
}

type tableItem struct {
	Table     string     `json:"table"`
	Spans     []spanItem `json:"spans"`
	Snapshots int        `json:"snapshots"`
	Bytes     int64      `json:"bytes"`
	Rows      int64      `json:"rows"` // of the newest snapshot
	Taken     time.Time  `json:"taken,omitzero"`
	Drilled   time.Time  `json:"drilled,omitzero"`
	DrillOK   bool       `json:"drill_ok"`
}

// spanItem is a stretch of time that a table can be restored to every transaction of.
type spanItem struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Gap  string    `json:"gap"` // why there is nothing before it
}

func listDocument(inv *backup.Inventory) *listJSON {
	doc := &listJSON{
		document: newDocument(), Database: inv.Database, Store: inv.Store, Until: inv.Until.UTC(), Bytes: inv.Bytes, Objects: inv.Objects,
		Transactions: inv.Transactions, Encrypted: inv.Encrypted, Tables: []tableItem{}, Problems: []string{},
	}
	doc.Problems = append(doc.Problems, inv.Problems...)
	for i := range inv.Tables {
		t := &inv.Tables[i]
		item := tableItem{Table: t.Name.String(), Spans: []spanItem{}, Snapshots: t.Snapshots, Bytes: t.Bytes, Rows: t.Rows, Taken: t.Taken.UTC(), Drilled: t.Drilled.UTC(), DrillOK: t.DrillOK}
		for _, sp := range t.Spans {
			item.Spans = append(item.Spans, spanItem{sp.From.UTC(), sp.To.UTC(), sp.Gap})
		}
		doc.Tables = append(doc.Tables, item)
	}
	return doc
}

func (a *runner) printList(inv *backup.Inventory) error {
	s := a.newScreen()
	now := a.now()
	fmt.Fprintf(s, "%s in %s\n", term.Safe(inv.Database), term.Safe(inv.Store)) // a path is not broken
	s.line(2, "  %s in %s, %s recorded.", term.Bytes(inv.Bytes), term.Plural(inv.Objects, "object"), term.Plural(int64(inv.Transactions), "transaction"))
	if inv.Until.IsZero() {
		fmt.Fprintf(s, "  Nothing is recorded yet.\nNext: lull serve, or lull backup now %s\n", inv.Database)
		return a.show(s)
	}
	s.line(2, "  Complete until %s, %s.", localTime(inv.Until), term.Ago(now, inv.Until))
	t := term.NewTable(term.Column{Head: "TABLE"}, term.Column{Head: "ANY MOMENT FROM"}, term.Column{Head: "TO (" + now.Local().Format("MST") + ")"},
		term.Column{Head: "SNAPSHOT"}, term.Column{Head: "ROWS"}, term.Column{Head: "DRILL"})
	t.Style, t.Width = s.Style, s.width
	for i := range inv.Tables {
		listTable(t, &inv.Tables[i], inv, now)
	}
	s.WriteByte('\n')
	s.WriteString(t.String())
	printHoles(s, inv.Tables)
	for _, p := range inv.Problems {
		s.item(0, "NO", term.Bad, term.Safe(p))
	}
	switch {
	case !inv.Readable:
		fmt.Fprintf(s, "Next: lull backup list %s --identity FILE, where the key is\n", shellWord(inv.Database))
	case len(inv.Tables) > 0:
		fmt.Fprintf(s, "Next: lull restore %s --at \"%s\"\n", shellWord(inv.Tables[0].Name.String()), inv.Until.Local().Format(time.DateTime))
	}
	return a.show(s)
}

// printHoles says why tables cannot be restored between two spans; one reason is told once.
func printHoles(s *screen, tables []backup.InventoryTable) {
	var reasons []string
	of := map[string][]string{}
	for i := range tables {
		for _, sp := range tables[i].Spans {
			if sp.Gap == "" {
				continue
			}
			if of[sp.Gap] == nil {
				reasons = append(reasons, sp.Gap)
			}
			of[sp.Gap] = append(of[sp.Gap], tables[i].Name.String())
		}
	}
	for _, reason := range reasons {
		names := of[reason]
		if len(names) > maxNamed {
			names = append(names[:maxNamed:maxNamed], fmt.Sprintf("and %d more", len(names)-maxNamed))
		}
		s.item(0, "gap", term.Warn, term.Safe(strings.Join(names, ", ")+": "+reason))
	}
}

// maxNamed is how many tables a gap names.
const maxNamed = 5

func listTable(t *term.Table, x *backup.InventoryTable, inv *backup.Inventory, now time.Time) {
	snapshot, drilled := "none yet", term.Cell{Text: "never", Color: term.Warn}
	if !x.Taken.IsZero() {
		snapshot = term.Ago(now, x.Taken)
	}
	switch {
	case x.Drilled.IsZero():
	case x.DrillOK:
		drilled = term.Cell{Text: "ok " + term.Ago(now, x.Drilled), Color: term.Good}
	default:
		drilled = term.Cell{Text: "NO " + term.Ago(now, x.Drilled), Color: term.Bad}
	}
	if len(x.Spans) == 0 {
		from := "not yet"
		if !inv.Readable {
			from = "needs the key"
		}
		t.Row(x.Name.String(), from, "", snapshot, x.Rows, drilled)
		return
	}
	for i, sp := range x.Spans {
		to := sp.To.Local().Format("01-02 15:04:05")
		if !sp.To.Before(inv.Until) {
			to = "now"
		}
		from := sp.From.Local().Format("01-02 15:04:05")
		if i == len(x.Spans)-1 {
			t.Row(x.Name.String(), from, to, snapshot, x.Rows, drilled)
		} else {
			t.Row(x.Name.String(), from, to, "", "", "")
		}
	}
}
