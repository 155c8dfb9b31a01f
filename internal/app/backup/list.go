package backup

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
)

// Inventory is what a repository holds.
type Inventory struct {
	Database, Store string
	Until           time.Time // nothing is missing until then
	Bytes, Objects  int64
	Transactions    uint64
	Encrypted       bool
	Readable        bool // in clear, or the key is here: else spans are not known
	Tables          []InventoryTable
	Problems        []string
}

// InventoryTable is what a repository holds of one table.
type InventoryTable struct {
	Name      db.Name
	Gone      bool   // it was dropped, or renamed
	Spans     []Span // oldest first
	Snapshots int
	Bytes     int64
	Rows      int64     // of the newest snapshot
	Taken     time.Time // the newest snapshot
	Drilled   time.Time // the newest drill
	DrillOK   bool
}

// Span is a stretch of time to every transaction of which a table can be restored.
type Span struct {
	From, To time.Time
	Gap      string // why there is nothing before it, "" when recording began there
}

// List reads what there is; it opens indexes and events, and no rows.
func (s *Site) List(ctx context.Context) (*Inventory, error) {
	inv := &Inventory{Database: s.Name, Store: s.store.String(), Encrypted: len(s.Repo.Recipients()) > 0, Readable: s.canRead()}
	for info, err := range s.store.List(ctx, s.Name+"/") {
		if err != nil {
			return nil, err
		}
		inv.Objects++
		inv.Bytes += info.Size
	}
	end, err := s.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	inv.Until, inv.Transactions = end.At, uint64(end.Seq)
	if st, err := s.status(); err == nil && st.Stored == end.Seq && st.Seq == end.Seq && st.At.After(inv.Until) {
		inv.Until = st.At
	}
	holes, err := s.Repo.Holes(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holes {
		inv.Problems = append(inv.Problems, h.String())
	}
	drills, err := s.drilled(ctx)
	if err != nil {
		return nil, err
	}
	snapshots, err := s.Repo.Snapshots(ctx, db.Name{})
	if err != nil {
		return nil, err
	}
	there, tables, err := s.tables(ctx, end.Seq, snapshots)
	if err != nil {
		return nil, err
	}
	for _, name := range tables {
		t := InventoryTable{Name: name, Gone: s.canRead() && !slices.Contains(there, name)}
		t.count(snapshots)
		if d, ok := drills[name.String()]; ok {
			t.Drilled, t.DrillOK = d.At, d.OK
		}
		if t.Spans, err = s.spans(ctx, name, end.Seq, inv.Until); err != nil {
			return nil, err
		}
		inv.Tables = append(inv.Tables, t)
	}
	return inv, nil
}

// tables are those that are there at the end, and with them all that snapshots are kept of.
func (s *Site) tables(ctx context.Context, end history.Seq, snapshots []history.Snapshot) (there, all []db.Name, err error) {
	if s.canRead() {
		if there, err = fold.List(ctx, s.Repo, end); err != nil {
			return nil, nil, err
		}
	}
	out := slices.Clone(there)
	for i := range snapshots {
		if !slices.Contains(out, snapshots[i].Table) {
			out = append(out, snapshots[i].Table)
		}
	}
	slices.SortFunc(out, func(a, b db.Name) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	return there, out, nil
}

// canRead says that what is stored is in clear, or that the key is here.
func (s *Site) canRead() bool {
	return len(s.keys.Identities) > 0 || len(s.Repo.Header().Recipients)+len(s.Repo.Recipients()) == 0
}

func (t *InventoryTable) count(snapshots []history.Snapshot) {
	for i := range snapshots {
		sn := &snapshots[i]
		if sn.Table != t.Name {
			continue
		}
		t.Snapshots++
		t.Bytes += sn.Bytes
		if sn.At.After(t.Taken) {
			t.Taken, t.Rows = sn.At, sn.Rows
		}
	}
}

func (s *Site) spans(ctx context.Context, name db.Name, end history.Seq, until time.Time) ([]Span, error) {
	if !s.canRead() {
		return nil, nil
	}
	found, err := fold.Restorable(ctx, s.Repo, name, end)
	if err != nil {
		return nil, err
	}
	var out []Span
	for i, f := range found {
		sp := Span{Gap: f.Gap, From: f.FromAt, To: until}
		if i == 0 {
			sp.Gap = "" // nothing was recorded before: that is where it begins, and no gap
		}
		if sp.From.IsZero() {
			sp.From = s.timeOf(ctx, f.From)
		}
		if sp.From.IsZero() {
			sp.From = s.Repo.Header().Created
		}
		if f.To != end {
			if sp.To = f.ToAt; sp.To.IsZero() {
				sp.To = s.timeOf(ctx, f.To)
			}
		}
		if sp.To.Before(sp.From) {
			sp.To = sp.From // one moment
		}
		if n := len(out); n > 0 && f.Gap == "" { // goes right on: it was emptied, or made anew
			out[n-1].To = sp.To
			continue
		}
		out = append(out, sp)
	}
	return out, nil
}

// drilled is the newest drill of each table.
func (s *Site) drilled(ctx context.Context) (map[string]Drill, error) {
	texts, err := s.Repo.Drills(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]Drill{}
	for i := range texts {
		var d Drill
		if json.Unmarshal(texts[i].JSON, &d) != nil {
			continue // verify tells of it
		}
		if have, ok := out[d.Table]; !ok || d.At.After(have.At) {
			out[d.Table] = d
		}
	}
	return out, nil
}

// TableNames are the tables that there are snapshots of, for completing their names; what
// cannot be read has none.
func TableNames(ctx context.Context, w Where) []string {
	databases := []string{w.Database}
	if conf, err := LoadConfig(w.Config, w.Getenv); err == nil && w.Repo == "" && w.Database == "" {
		databases = conf.Names()
	}
	var out []string
	for _, w.Database = range databases {
		site, err := Open(ctx, w, "")
		if err != nil {
			continue
		}
		snapshots, _ := site.Repo.Snapshots(ctx, db.Name{})
		for i := range snapshots {
			if name := snapshots[i].Table.String(); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
		_ = site.Close() // only read from
	}
	slices.Sort(out)
	return out
}
