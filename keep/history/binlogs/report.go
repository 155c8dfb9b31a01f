package binlogs

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// report adds a table's share of the open transaction to the result, or to what waits for an
// XA decision.
func (s *scanner) report(sl *slot, ev *binlog.Event, held *prepared) error {
	t, err := s.describe(sl)
	if err != nil {
		return err
	}
	at := history.Place{File: s.file, Start: s.p.Start(), End: ev.End}
	switch {
	case held != nil:
		held.place = at
		held.touches = append(held.touches, t)
	case s.q.Places:
		if n := len(s.res.Places); n == 0 || s.res.Places[n-1] != at {
			s.res.Places = append(s.res.Places, at)
		}
		s.res.Total(t)
	default:
		s.res.Touches = append(s.res.Touches, t)
	}
	return nil
}

func (s *scanner) describe(sl *slot) (history.Touch, error) {
	tx, err := s.transaction()
	if err != nil {
		return history.Touch{}, err
	}
	t := s.touchOf(sl, tx)
	t.Statement = clip(sl.text)
	if st := s.res.Stats[t.Table]; st != nil {
		t.Net = st.Inserted - st.Deleted
	}
	if sl.updated+sl.deleted > 0 && !s.q.Places {
		t.NoWhere = sl.noWhere()
	}
	return t, nil
}

// touchOf is a table's share of a transaction without the statement's text.
func (s *scanner) touchOf(sl *slot, tx db.Tx) history.Touch {
	t := history.Touch{
		Tx: tx, Table: sl.name(), Inserted: sl.inserted, Updated: sl.updated, Deleted: sl.deleted,
		Statements: sl.statements, Incomplete: sl.incomplete, Origin: s.origin,
		Plan: planOf(sl.text), ForeignKeysOff: !sl.foreignOn,
	}
	if s.tx.savepoint {
		t.Incomplete = history.Savepoint
	}
	if s.origin != history.MariaDB {
		return t // MySQL opens tables for other reasons, too
	}
	for i := range s.tx.slots {
		if o := &s.tx.slots[i]; o.rows() == 0 {
			t.Children = append(t.Children, o.name())
		}
	}
	return t
}

func clip(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), history.MaxStatement)]), "\uFFFD")
}

// planTag is the comment that Lull puts into the statements of a plan.
var planTag = regexp.MustCompile(`/\* lull (p-[0-9]+) \*/`)

func planOf(text []byte) string {
	text = text[:min(len(text), 200)]
	if !bytes.Contains(text, []byte("/* lull p-")) { // far cheaper, and asked of every transaction
		return ""
	}
	if m := planTag.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// query looks at a statement that was logged as text. Inside a transaction it waits for the
// transaction's end.
func (s *scanner) query(ev *binlog.Event) error {
	alone := !s.p.Open()
	if alone {
		defer s.tx.reset()
		s.res.Transactions++
	}
	st := ddl.Classify(string(ev.SQL), ev.Schema)
	s.judge(&st, ev.SQL)
	if !alone || len(s.tx.statements) == 0 || s.before(ev) {
		return nil
	}
	in, err := s.inWindow()
	if err != nil || !in {
		return err
	}
	return s.reportStatements()
}

// judge notes what a statement that was logged as text destroyed.
func (s *scanner) judge(st *ddl.Statement, sql []byte) {
	s.tx.savepoint = s.tx.savepoint || st.Verb == ddl.RollbackTo
	what, columns := verdict(st, string(sql))
	if what == "" {
		return
	}
	for _, name := range targets(st) {
		if s.q.Tables.Has(name.Schema, name.Table) {
			s.tx.note(history.Touch{Table: name, DDL: what, Columns: columns, Statement: clip(sql), Statements: 1, Origin: s.origin})
		}
	}
}

// note keeps a statement; several of one kind on one table count as one touch.
func (tx *transaction) note(t history.Touch) {
	for i := range tx.statements {
		if o := &tx.statements[i]; o.Table == t.Table && o.DDL == t.DDL {
			o.Statements++
			return
		}
	}
	tx.statements = append(tx.statements, t)
}

// reportStatements adds the open transaction's statements that were logged as text.
func (s *scanner) reportStatements() error {
	for _, t := range s.tx.statements {
		tx, err := s.transaction()
		if err != nil {
			return err
		}
		t.Tx = tx
		if s.q.ID == "" || t.ID() == s.q.ID {
			s.res.Touches = append(s.res.Touches, t)
		}
	}
	return nil
}

// targets is the tables that a destroying statement hit; DROP DATABASE hits the table "*" of
// its database.
func targets(st *ddl.Statement) []db.Name {
	if st.Verb == ddl.DropDatabase {
		return []db.Name{{Schema: st.Database, Table: "*"}}
	}
	if len(st.Renames) == 0 || st.Verb != ddl.Rename && st.Verb != ddl.Alter {
		return st.Tables
	}
	var out []db.Name
	for _, t := range st.Tables {
		if !replaced(st, t) {
			out = append(out, t)
		}
	}
	return out
}

// replaced says that another table takes the name of a renamed one in the same statement: the
// last step of an online schema change.
func replaced(st *ddl.Statement, name db.Name) bool {
	return slices.ContainsFunc(st.Renames, func(r ddl.Renaming) bool { return sameTable(r.To, name) })
}

func sameTable(a, b db.Name) bool {
	return strings.EqualFold(a.Schema, b.Schema) && strings.EqualFold(a.Table, b.Table)
}

// verdict names what a statement destroyed or took out of sight, "" when nothing.
func verdict(st *ddl.Statement, sql string) (what string, columns []string) {
	if st.Temporary {
		return "", nil
	}
	switch st.Verb {
	case ddl.Truncate, ddl.Drop, ddl.DropDatabase, ddl.DropPartition, ddl.TruncatePartition, ddl.CreateOrReplace,
		ddl.ExchangePartition, ddl.ConvertPartition:
		return st.Verb.String(), nil
	case ddl.Delete, ddl.Update, ddl.Replace, ddl.Load:
		return "statement " + st.Verb.String(), nil
	case ddl.Alter:
		if columns = ddl.DropsColumn(sql); len(columns) > 0 {
			return "drop column", columns
		}
	}
	if len(st.Renames) > 0 {
		return "rename", nil
	}
	return "", nil
}
