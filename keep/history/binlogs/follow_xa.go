package binlogs

import (
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// pending is a transaction of XA that is prepared and not decided yet. Nobody sees what it did,
// and the log does not have it a second time when it is committed.
type pending struct {
	steps   []heldStep
	buf     []byte
	spill   *spill // the steps before those, nil for none
	touches []history.Touch
}

// prepare keeps what the open transaction did. Its place in the stream is an empty transaction.
func (f *Feed) prepare(ev *binlog.Event) error {
	tx, err := f.s.transaction()
	if err != nil {
		return err
	}
	h := &f.held
	if f.xaBytes+len(h.buf) > heldBytes {
		if err := h.toFile(); err != nil {
			return err
		}
	}
	p := &pending{steps: slices.Clone(h.steps), buf: slices.Clone(h.buf), spill: h.spill, touches: slices.Clone(f.touches(tx))}
	h.spill = nil
	f.xaBytes += len(p.buf)
	f.drop(ev.XID) // another one of this name can only be a remnant
	f.xa[ev.XID] = p
	return f.ended(ev, tx, nil)
}

// drop forgets a prepared transaction.
func (f *Feed) drop(xid string) {
	p := f.xa[xid]
	if p == nil {
		return
	}
	delete(f.xa, xid)
	f.xaBytes -= len(p.buf)
	p.spill.close()
}

// decided ends a prepared transaction: what it did happens now, or never. What was prepared
// before the feed began is lost when it is committed.
func (f *Feed) decided(ev *binlog.Event) error {
	defer f.s.tx.reset()
	defer f.held.reset()
	p := f.xa[ev.XID]
	defer f.drop(ev.XID)
	if ev.Kind == binlog.XARollback {
		return f.end(ev)
	}
	if p == nil {
		f.happened(history.Event{Kind: history.Lost, Reason: "the XA transaction " + ev.XID + " was prepared before the log was followed, and is committed now"}, nil)
		return f.end(ev)
	}
	if err := f.carryOut(p); err != nil {
		return err
	}
	tx, err := f.s.transaction()
	if err != nil {
		return err
	}
	for i := range p.touches {
		p.touches[i].Tx = tx
	}
	return f.ended(ev, tx, p.touches)
}

// carryOut hands out the steps of a prepared transaction. The rows of a table that has got other
// columns meanwhile are lost.
func (f *Feed) carryOut(p *pending) error {
	var lost []db.Name
	stale := func(st *heldStep) bool {
		name := st.rows.def.Table.Name
		if tr := f.tables.get(name); tr != nil && tr.def != nil && tr.def.ID == st.rows.def.ID {
			return false
		}
		if !slices.Contains(lost, name) {
			lost = append(lost, name)
		}
		return true
	}
	err := p.spill.each(func(st *heldStep, b []byte) error {
		if stale(st) {
			return nil
		}
		return f.row(st, b)
	})
	if err != nil {
		return err
	}
	p.steps = slices.DeleteFunc(p.steps, func(st heldStep) bool { return st.event == nil && stale(&st) })
	if err := f.out(p.steps, p.buf); err != nil {
		return err
	}
	for _, name := range lost {
		f.happened(history.Event{Kind: history.Lost, Table: name, Reason: "it was altered while an XA transaction that had changed it was prepared"}, nil)
	}
	return f.flush()
}
