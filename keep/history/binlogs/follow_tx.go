package binlogs

import (
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// heldBytes is how much of a transaction is held back until it is committed.
const heldBytes = 4 << 20

// largeRows is from how many rows on the text of a statement is kept with the transaction.
const largeRows = 100

// held is the steps of the open transaction that were not handed out yet.
type held struct {
	steps  []heldStep
	buf    []byte // rows as db.AppendRow writes them
	handed bool   // the transaction is too large: its first steps are out
	spill  *spill // of an XA transaction that is too large to be held in memory
	tables []db.Name
	left   []db.Name // tables whose rows were left out
	before db.Row
	after  db.Row
	change db.Change
}

// heldStep is a change, or an event.
type heldStep struct {
	rows  *rowReader
	op    db.Op
	off   bool // foreign_key_checks=0
	at    int  // where its rows begin in buf
	event *history.Event
	new   *history.Definition
}

func (h *held) reset() {
	h.steps, h.buf, h.tables, h.left = h.steps[:0], h.buf[:0], h.tables[:0], h.left[:0]
	h.handed = false
	h.spill.close()
	h.spill = nil
	if cap(h.buf) > 2*heldBytes {
		h.buf = nil
	}
}

// hold takes one row in.
func (f *Feed) hold(r *rowReader, op db.Op, off bool, before, after db.Row) error {
	h := &f.held
	h.steps = append(h.steps, heldStep{rows: r, op: op, off: off, at: len(h.buf)})
	h.buf = db.AppendRow(db.AppendRow(h.buf, before), after)
	if !slices.Contains(h.tables, r.def.Table.Name) {
		h.tables = append(h.tables, r.def.Table.Name)
	}
	switch {
	case len(h.buf) < heldBytes:
		return nil
	case f.p.XA():
		return h.toFile()
	}
	h.handed = true
	return f.flush()
}

// happened holds an event of the open transaction back.
func (f *Feed) happened(e history.Event, def *history.Definition) {
	f.held.steps = append(f.held.steps, heldStep{event: &e, new: def})
}

// lose says that the log does not tell what happened to a table; the zero name is all of them.
// It joins the open transaction, or else goes out at once.
func (f *Feed) lose(name db.Name, reason string) error {
	f.happened(history.Event{Kind: history.Lost, Table: name, Reason: reason}, nil)
	if f.p.Open() {
		return nil
	}
	err := f.flush()
	f.held.reset()
	return err
}

// flush hands out what is held.
func (f *Feed) flush() error {
	h := &f.held
	if err := h.spill.each(f.row); err != nil {
		return err
	}
	if err := f.out(h.steps, h.buf); err != nil {
		return err
	}
	h.steps, h.buf = h.steps[:0], h.buf[:0]
	return nil
}

// out hands out steps whose rows are in buf.
func (f *Feed) out(steps []heldStep, buf []byte) error {
	for i := range steps {
		st := &steps[i]
		if st.event == nil {
			if err := f.row(st, buf[st.at:]); err != nil {
				return err
			}
			continue
		}
		f.step = history.Step{Kind: history.EventStep, Event: st.event, New: st.new}
		if err := f.hand(); err != nil {
			return err
		}
	}
	return nil
}

// row hands out a held row, which is at the front of b.
func (f *Feed) row(st *heldStep, b []byte) error {
	h := &f.held
	before, rest, err := db.ParseRow(b, h.before)
	if err != nil {
		return err
	}
	after, _, err := db.ParseRow(rest, h.after)
	if err != nil {
		return err
	}
	if before != nil {
		h.before = before
	}
	if after != nil {
		h.after = after
	}
	def := st.rows.def
	h.change = db.Change{Op: st.op, Table: def.Table, Before: before, After: after}
	f.step = history.Step{Kind: history.RowStep, Change: &h.change, Definition: def, ForeignKeysOff: st.off}
	return f.hand()
}

// commit ends the open transaction. What a prepared one did is kept until it is decided.
func (f *Feed) commit(ev *binlog.Event) error {
	defer f.s.tx.reset()
	defer f.held.reset()
	if ev.Kind == binlog.Rollback || f.s.tx.savepoint {
		f.undo(ev.Kind == binlog.Rollback)
	}
	if ev.Kind == binlog.Prepared {
		return f.prepare(ev)
	}
	return f.end(ev)
}

// end hands out the open transaction and its CommitStep.
func (f *Feed) end(ev *binlog.Event) error {
	if err := f.flush(); err != nil {
		return err
	}
	tx, err := f.s.transaction()
	if err != nil {
		return err
	}
	return f.ended(ev, tx, f.touches(tx))
}

// ended hands out a CommitStep.
func (f *Feed) ended(ev *binlog.Event, tx db.Tx, touches []history.Touch) error {
	if err := f.gtids.add(tx.GTID); err != nil {
		return err
	}
	f.pos = db.Position{File: f.s.file, Offset: ev.End, GTID: f.gtids.String()}
	f.step = history.Step{Kind: history.CommitStep, Tx: tx, Touches: touches, Pos: f.pos, At: tx.At}
	return f.hand()
}

// touches is what the open transaction did to each table.
func (f *Feed) touches(tx db.Tx) []history.Touch {
	f.touch = f.touch[:0]
	slots := f.s.tx.slots
	for i := range slots {
		sl := &slots[i]
		if sl.rows() == 0 || !f.opt.Want(sl.name()) {
			continue
		}
		t := f.s.touchOf(sl, tx)
		large := sl.rows() >= largeRows
		if sl.updated+sl.deleted > 0 && (large || sl.mayLackWhere()) {
			t.NoWhere = sl.noWhere()
		}
		if large || t.NoWhere != "" {
			t.Statement = clip(sl.text)
		}
		t.Children = slices.DeleteFunc(t.Children, func(n db.Name) bool { return !f.opt.Want(n) })
		f.touch = append(f.touch, t)
	}
	for _, t := range f.s.tx.statements {
		if f.opt.Want(t.Table) {
			t.Tx = tx
			f.touch = append(f.touch, t)
		}
	}
	return f.touch
}

// undo takes back what a transaction did that ends in ROLLBACK: it is in the log because a table
// without transactions was part of it, whose rows stay. A ROLLBACK TO SAVEPOINT undid some of it,
// and the log does not tell what.
func (f *Feed) undo(all bool) {
	h := &f.held
	var lost []db.Name
	for _, name := range h.tables {
		tr := f.tables.get(name)
		if tr == nil || tr.def == nil || transactional(tr.def.Table.Engine) {
			lost = append(lost, name)
		}
	}
	undone := func(name db.Name) bool { return slices.Contains(lost, name) }
	switch {
	case all && h.spill != nil: // its rows are not worth sorting out: of XA, nobody prepared them
		lost = slices.Clone(h.tables)
		h.reset()
		f.s.tx.slots = f.s.tx.slots[:0]
	case all && !h.handed:
		h.steps = slices.DeleteFunc(h.steps, func(st heldStep) bool { return st.event == nil && undone(st.rows.def.Table.Name) })
		f.s.tx.slots = slices.DeleteFunc(f.s.tx.slots, func(sl slot) bool { return undone(sl.name()) })
		return
	}
	for _, name := range lost {
		f.happened(history.Event{Kind: history.Lost, Table: name, Reason: "part of a transaction was rolled back, and the log does not tell which rows"}, nil)
	}
}

// transactional says that an engine undoes rows on ROLLBACK. An unknown one may.
func transactional(engine string) bool {
	switch engine {
	case "MyISAM", "Aria", "MEMORY", "ARCHIVE", "CSV", "MERGE", "MRG_MyISAM", "BLACKHOLE":
		return false
	}
	return true
}

// torn ends a log. A transaction that is open there was undone by a crash.
func (f *Feed) torn() error {
	defer f.s.tx.reset()
	defer f.held.reset()
	f.judged = false
	if !f.p.Open() || !f.held.handed {
		return nil
	}
	f.held.steps = f.held.steps[:0]
	for _, name := range f.held.tables {
		f.happened(history.Event{Kind: history.Lost, Table: name, Reason: "the log ends inside a transaction: the server crashed and undid it"}, nil)
	}
	if err := f.flush(); err != nil {
		return err
	}
	tx, err := f.s.transaction()
	if err != nil {
		return err
	}
	f.step = history.Step{Kind: history.CommitStep, Tx: tx, Pos: f.pos, At: tx.At}
	return f.hand()
}
