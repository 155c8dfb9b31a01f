package binlogs

import (
	"regexp"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// report adds a table's share of the open transaction to the result.
func (s *scanner) report(sl *slot, ev *binlog.Event) error {
	t, err := s.describe(sl)
	if err != nil {
		return err
	}
	s.res.Touches = append(s.res.Touches, t)
	if ev.Kind == binlog.Prepared {
		s.pending = append(s.pending, pendingTouch{ev.XID, len(s.res.Touches) - 1})
	}
	return nil
}

// place notes where the open transaction lies and adds the table's share to its total.
func (s *scanner) place(sl *slot, ev *binlog.Event) error {
	at := history.Place{File: s.file, Start: s.p.Start(), End: ev.End}
	if n := len(s.res.Places); n == 0 || s.res.Places[n-1].Start != at.Start {
		s.res.Places = append(s.res.Places, at)
		if ev.Kind == binlog.Prepared {
			s.pending = append(s.pending, pendingTouch{ev.XID, n})
		}
	}
	t, err := s.describe(sl)
	if err != nil {
		return err
	}
	s.res.Total(t)
	return nil
}

func (s *scanner) describe(sl *slot) (history.Touch, error) {
	tx, err := s.p.Tx()
	if err != nil {
		return history.Touch{}, err
	}
	tx.File = s.file
	t := history.Touch{
		Tx: tx, Table: db.Name{Schema: sl.t.Schema, Table: sl.t.Table},
		Inserted: sl.inserted, Updated: sl.updated, Deleted: sl.deleted,
		Statements: sl.statements, Incomplete: sl.incomplete, Origin: s.origin, Plan: planOf(sl.text),
	}
	if len(sl.text) < keptText && sl.updated+sl.deleted > 0 {
		t.NoWhere = ddl.NoWhereReason(string(sl.text))
	}
	t.Statement = clip(sl.text)
	for i := range s.slots[:s.used] {
		if o := &s.slots[i]; o != sl && o.inserted+o.updated+o.deleted == 0 {
			t.Children = append(t.Children, db.Name{Schema: o.t.Schema, Table: o.t.Table})
		}
	}
	return t, nil
}

func clip(text []byte) string {
	if len(text) > history.MaxStatement {
		text = text[:history.MaxStatement]
	}
	return strings.ToValidUTF8(strings.Clone(string(text)), "\uFFFD")
}

// planTag is the comment that Lull puts into the statements of a plan.
var planTag = regexp.MustCompile(`/\* lull (p-[0-9]+) \*/`)

func planOf(text []byte) string {
	if m := planTag.FindSubmatch(text[:min(len(text), 200)]); m != nil {
		return string(m[1])
	}
	return ""
}

// query looks at a statement that was logged as text.
func (s *scanner) query(ev *binlog.Event) error {
	st := ddl.Classify(string(ev.SQL), ev.Schema)
	if !s.p.Open() {
		defer s.reset()
		s.res.Transactions++
	}
	what, columns := verdict(st, string(ev.SQL))
	if what == "" || s.q.From.File == s.file && ev.End <= s.q.From.Start {
		return nil
	}
	in, err := s.inWindow()
	if err != nil || !in {
		return err
	}
	tx, err := s.p.Tx()
	if err != nil {
		return err
	}
	tx.File = s.file
	for _, name := range targets(st) {
		if !s.q.Tables.Has(name.Schema, name.Table) {
			continue
		}
		t := history.Touch{
			Tx: tx, Table: name, DDL: what, Columns: columns, Statement: clip(ev.SQL), Statements: 1, Origin: s.origin,
		}
		if s.q.ID == "" || t.ID() == s.q.ID {
			s.res.Touches = append(s.res.Touches, t)
		}
	}
	return nil
}

// targets is the tables that a destroying statement hit; DROP DATABASE names its database
// with an empty table.
func targets(st ddl.Statement) []db.Name {
	if st.Verb == ddl.DropDatabase {
		return []db.Name{{Schema: st.Database, Table: "*"}}
	}
	return st.Tables
}

// verdict names what a statement destroyed, "" when nothing.
func verdict(st ddl.Statement, sql string) (what string, columns []string) {
	if st.Temporary {
		return "", nil
	}
	switch st.Verb {
	case ddl.Truncate, ddl.Drop, ddl.DropDatabase, ddl.DropPartition, ddl.TruncatePartition,
		ddl.ExchangePartition, ddl.CreateOrReplace:
		return st.Verb.String(), nil
	case ddl.Alter:
		if columns = ddl.DropsColumn(sql); len(columns) > 0 {
			return "drop column", columns
		}
	case ddl.Delete, ddl.Update, ddl.Replace, ddl.Load:
		return "statement " + st.Verb.String(), nil
	}
	return "", nil
}
