package binlogs

import (
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// query looks at a statement that was logged as text.
func (f *Feed) query(ev *binlog.Event) error {
	if err := f.s.begin(); err != nil {
		return err
	}
	sql := string(ev.SQL)
	st := ddl.Classify(sql, ev.Schema)
	f.s.judge(&st, ev.SQL)
	d := &definer{Feed: f, st: &st, sql: sql, end: db.Position{File: f.s.file, Offset: ev.End}}
	if err := f.waiting(d.run); err != nil {
		return err
	}
	if f.p.Open() {
		return nil
	}
	defer f.s.tx.reset()
	defer f.held.reset()
	return f.end(ev)
}

// definer carries out one statement on the catalogue.
type definer struct {
	*Feed
	st  *ddl.Statement
	sql string
	end db.Position // where the statement's event ends
}

func (d *definer) run() error {
	if d.st.Temporary {
		return nil
	}
	switch d.st.Verb {
	case ddl.Create, ddl.CreateOrReplace:
		return d.create(d.st.Tables[0])
	case ddl.Alter:
		return d.alter(d.st.Tables[0])
	case ddl.Drop:
		for _, n := range d.st.Tables {
			d.dropped(n)
		}
	case ddl.DropDatabase:
		for _, n := range d.tables.inSchema(d.st.Database) {
			d.dropped(n)
		}
	case ddl.Rename:
		return d.rename(d.st.Renames)
	case ddl.Truncate:
		for _, n := range d.st.Tables {
			if d.opt.Want(n) {
				d.event(history.Event{Kind: history.Truncated, Table: n}, nil)
			}
		}
	case ddl.DropPartition, ddl.TruncatePartition, ddl.ExchangePartition, ddl.ConvertPartition:
		d.forget(d.st.Tables, "its partitions were changed: "+d.st.Verb.String())
	case ddl.Insert, ddl.Update, ddl.Delete, ddl.Replace, ddl.Load:
		for _, n := range d.st.Tables {
			d.lost(n, "the log has the text of a statement, not its rows (binlog_format is not ROW): "+d.st.Verb.String())
		}
	case ddl.Other:
		if word := firstWord(d.sql); word == "SELECT" || word == "DO" || word == "CALL" {
			d.happened(history.Event{Kind: history.Lost, Statement: clip([]byte(d.sql)), Reason: "the log has the text of a statement that called a function, not its rows"}, nil)
		}
	}
	return nil
}

func firstWord(sql string) string {
	toks := ddl.Tokenize(sql[:min(len(sql), 200)])
	if len(toks) == 0 {
		return ""
	}
	return strings.ToUpper(toks[0].Text)
}

// event holds an event with the statement's text back; a definition is the one that it names.
func (d *definer) event(e history.Event, def *history.Definition) {
	e.Statement = clip([]byte(d.sql))
	if def != nil {
		e.Definition = def.ID
	}
	d.happened(e, def)
}

func (d *definer) lost(n db.Name, reason string) {
	if d.opt.Want(n) {
		d.event(history.Event{Kind: history.Lost, Table: n, Reason: reason}, nil)
	}
}

// redefined makes the next rows look for their readers again.
func (d *definer) redefined() { clear(d.rows) }

// forget loses tables and has their definitions read anew.
func (d *definer) forget(names []db.Name, reason string) {
	d.redefined()
	for _, n := range names {
		d.lost(n, reason)
		if d.opt.Want(n) {
			d.tables.put(n, &tracked{})
		}
	}
}

func (d *definer) dropped(n db.Name) {
	if !d.opt.Want(n) {
		return
	}
	d.redefined()
	if d.tables.get(n) == nil && d.tables.whole {
		return // DROP TABLE IF EXISTS
	}
	d.tables.drop(n)
	d.event(history.Event{Kind: history.Dropped, Table: n}, nil)
}

// create takes a new table in.
func (d *definer) create(n db.Name) error {
	if !d.opt.Want(n) || d.st.IfNotExists && d.tables.get(n) != nil {
		return nil
	}
	d.redefined()
	var derived *db.Table
	script := []string{unqualified(strings.TrimSuffix(strings.TrimSpace(d.sql), " START TRANSACTION"), n)}
	switch {
	case d.st.Like.Table != "":
		var err error
		if derived, script, err = d.model(n); err != nil {
			return err
		}
	case !d.st.Select:
		derived = derive(n, script)
	}
	s, err := d.tables.settle(d.ctx, n, d.end, derived, script)
	if err != nil {
		return err
	}
	d.tables.put(n, &tracked{def: s.def, until: s.until})
	if s.def == nil {
		d.lost(n, "it was created, and is gone before anybody could ask for its columns")
		return nil
	}
	d.event(history.Event{Kind: history.Created, Table: n}, s.def)
	switch {
	case s.doubt:
		d.lost(n, "it was altered before anybody could ask for the columns it was created with")
	case d.st.IfNotExists && !d.tables.whole:
		d.lost(n, "whether CREATE TABLE IF NOT EXISTS made it or found it is not known")
	}
	return nil
}

// model is what CREATE TABLE ... LIKE makes.
func (d *definer) model(n db.Name) (*db.Table, []string, error) {
	var def *history.Definition
	if tr := d.tables.get(d.st.Like); tr != nil && tr.def != nil && !tr.mayHave(d.end) {
		def = tr.def
	}
	if def == nil {
		return nil, nil, nil
	}
	t := *def.Table
	t.Name, t.Parents = n, nil // foreign keys are not copied
	script := slices.Clone(def.Script)
	for _, k := range def.Table.Parents {
		script = append(script, "ALTER TABLE "+quoted(def.Table.Table)+" DROP FOREIGN KEY "+quoted(k.Name))
	}
	script = append(script, renaming(def.Table.Name, n))
	return &t, script, nil
}

// alter follows a table's columns, and its name.
func (d *definer) alter(n db.Name) error {
	to := n
	if k := len(d.st.Renames); k > 0 {
		to = d.st.Renames[k-1].To
	}
	if !d.opt.Want(n) || !d.opt.Want(to) {
		if to == n {
			return nil
		}
		return d.rename([]ddl.Renaming{{From: n, To: to}})
	}
	d.redefined()
	if why, other := d.takesRows(); why != "" {
		d.forget([]db.Name{n}, why)
		if other.Table != "" {
			d.dropped(other)
		}
		return nil
	}
	_, ops, perr := ddl.ParseAlter(d.sql, n.Schema)
	reshapes := perr != nil || slices.ContainsFunc(ops, ddl.AlterOp.ChangesColumns)
	tr := d.tables.get(n)
	switch {
	case tr == nil || tr.def == nil:
		if reshapes {
			d.lost(n, "it was altered before its columns were known")
		}
		d.moved(n, to, &tracked{})
		return nil
	case reshapes && tr.mayHave(d.end):
		d.lost(n, "it was altered while its columns were read")
		d.moved(n, to, &tracked{})
		return nil
	}
	d.moved(n, to, tr)
	return d.reshape(tr, to, ops, perr != nil)
}

// moved gives a table another name, when it gets one.
func (d *definer) moved(from, to db.Name, tr *tracked) {
	if from != to {
		d.event(history.Event{Kind: history.Renamed, Table: from, To: to}, nil)
		d.tables.drop(from)
	}
	tr.refusal = refusal{} // it was about the old name
	d.tables.put(to, tr)
}

// reshape settles what the table's definition is after the statement.
func (d *definer) reshape(tr *tracked, name db.Name, ops []ddl.AlterOp, unread bool) error {
	was := tr.def
	script := slices.Concat(was.Script, []string{unqualified(d.sql, was.Table.Name, name)})
	var derived *db.Table
	if !unread {
		if derived = derive(name, script); derived == nil {
			derived, _ = ddl.After(was.Table, ops) // an ALTER that does not fit has no shape
		}
		if derived != nil {
			derived.Name = name
		}
	}
	s, err := d.tables.settle(d.ctx, name, d.end, derived, script)
	if err != nil {
		return err
	}
	if s.def == nil {
		*tr = tracked{}
		d.lost(name, "what an ALTER TABLE made of it is not known")
		return nil
	}
	tr.def, tr.until = s.def, s.until
	if s.def.ID == was.ID {
		return nil
	}
	columns, why := columnsFrom(was.Table, s.def.Table, ops)
	if unread || s.doubt {
		why = "what an ALTER TABLE made of its rows is not known"
	}
	if tokenized := ddl.Tokenize(d.sql); len(tokenized) > 1 && strings.EqualFold(tokenized[1].Text, "IGNORE") {
		why = "ALTER IGNORE TABLE may have dropped rows"
	}
	d.event(history.Event{Kind: history.Altered, Table: name, Was: was.ID, Columns: columns}, s.def)
	if why != "" {
		d.lost(name, why)
	}
	return nil
}

// takesRows recognises the ALTERs that move rows from or to somewhere else; other is a table that
// is gone with it.
func (d *definer) takesRows() (why string, other db.Name) {
	toks := ddl.Tokenize(d.sql[:min(len(d.sql), history.MaxStatement)])
	is := func(i int, word string) bool {
		return i < len(toks) && toks[i].Kind == ddl.Word && strings.EqualFold(toks[i].Text, word)
	}
	for i := range toks {
		switch {
		case (is(i, "DISCARD") || is(i, "IMPORT")) && (is(i+1, "TABLESPACE") || is(i+1, "PARTITION")):
			return "its tablespace was discarded or imported", db.Name{}
		case is(i, "CONVERT") && is(i+1, "TABLE") && i+2 < len(toks):
			other = db.Name{Schema: d.st.Tables[0].Schema, Table: toks[i+2].Text}
			if i+4 < len(toks) && toks[i+3].Text == "." {
				other = db.Name{Schema: toks[i+2].Text, Table: toks[i+4].Text}
			}
			return "another table became a partition of it", other
		}
	}
	return "", db.Name{}
}

// rename follows tables to their new names, one after the other, as a list of renames goes.
func (d *definer) rename(list []ddl.Renaming) error {
	d.redefined()
	var to []db.Name
	for _, r := range list {
		switch from, into := d.opt.Want(r.From), d.opt.Want(r.To); {
		case from && into:
			tr := d.tables.get(r.From)
			if tr == nil {
				tr = &tracked{}
			}
			doubt := tr.def != nil && tr.mayHave(d.end)
			if doubt {
				*tr = tracked{}
			}
			d.moved(r.From, r.To, tr)
			if doubt {
				d.lost(r.To, "it was renamed while its columns were read")
			}
			to = append(slices.DeleteFunc(to, func(n db.Name) bool { return n == r.From }), r.To)
		case from:
			d.dropped(r.From)
		case into:
			if err := d.enters(r.To); err != nil {
				return err
			}
		}
	}
	for _, n := range to {
		if err := d.renamedTo(n); err != nil {
			return err
		}
	}
	return nil
}

// enters takes in a table with rows that nobody has followed.
func (d *definer) enters(n db.Name) error {
	s, err := d.tables.settle(d.ctx, n, d.end, nil, nil)
	if err != nil {
		return err
	}
	d.tables.put(n, &tracked{def: s.def, until: s.until})
	if s.def != nil {
		d.event(history.Event{Kind: history.Created, Table: n}, s.def)
	}
	d.lost(n, "it came with rows from under a name that is not recorded")
	return nil
}

// renamedTo gives a renamed table and those that refer to it their new definitions: the columns
// stay as they are.
func (d *definer) renamedTo(n db.Name) error {
	tr := d.tables.get(n)
	if tr == nil || tr.def == nil {
		return nil
	}
	from := tr.def.Table.Name
	for _, t := range append(d.tables.childrenOf(from), tr) {
		if err := d.respell(t, from, n); err != nil {
			return err
		}
	}
	return nil
}

// respell settles a definition in which a name has changed.
func (d *definer) respell(tr *tracked, from, to db.Name) error {
	was := tr.def
	script := was.Script
	if was.Table.Name == from {
		script = slices.Concat(script, []string{renaming(from, to)})
	}
	def, err := respelled(was, from, to, script)
	if err != nil {
		return err
	}
	s, err := d.tables.settle(d.ctx, def.Table.Name, d.end, def.Table, script)
	if err != nil {
		return err
	}
	tr.def, tr.until = s.def, s.until
	if s.def.ID != was.ID {
		d.event(history.Event{Kind: history.Altered, Table: def.Table.Name, Was: was.ID, Columns: identity(len(s.def.Table.Columns))}, s.def)
	}
	return nil
}

// identity is columns that stay as they are.
func identity(n int) []history.ColumnFrom {
	out := make([]history.ColumnFrom, n)
	for i := range out {
		out[i].Old = i
	}
	return out
}
