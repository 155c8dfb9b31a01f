package record

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

const (
	memberRaw = 1 << 20  // a member ends when its payload is as large
	maxRaw    = 16 << 20 // and the largest does when all that are open together are
)

// batch is the pack that is being written: a file in Dir, and the members that are not in it
// yet. A batch that met an error is good for nothing but drop.
type batch struct {
	path string
	file spoolFile
	w    *pack.Writer

	first, last history.Seq // the transactions that are in it to their end
	firstAt     time.Time   // when the first of them was read
	minAt       time.Time   // commit times
	maxAt       time.Time
	tables      map[db.Name]*tableChanges
	raw         int // bytes in tables
	txs         pack.TransactionWriter
	txFirst     history.Seq
	events      []history.Event
	definitions map[string]*history.Definition

	// The transaction that is being read.
	inside  bool
	n       uint64 // its changes so far
	pending []history.Event
}

// tableChanges is the member of a table that is not written yet.
type tableChanges struct {
	w           pack.ChangeWriter
	definition  string
	first, last history.Seq
}

// newBatch begins a pack whose first transaction has the number first.
func newBatch(dir string, first history.Seq, recipients []age.Recipient, create func(string) (spoolFile, error)) (*batch, error) {
	path := filepath.Join(dir, openName)
	file, err := create(path)
	if err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	b := &batch{
		path: path, file: file, first: first, last: first - 1,
		tables: map[db.Name]*tableChanges{}, definitions: map[string]*history.Definition{},
	}
	if b.w, err = pack.NewWriter(file, recipients); err != nil {
		return nil, errors.Join(err, b.drop())
	}
	return b, nil
}

// empty says that nothing of a transaction that ended is in it.
func (b *batch) empty() bool { return b.last < b.first }

// seq is the number of the transaction that is being read.
func (b *batch) seq() history.Seq { return b.last + 1 }

// change adds a row of the transaction.
func (b *batch) change(c *history.RowChange, table db.Name, d *history.Definition) error {
	b.inside = true
	c.Seq, c.N, c.Definition = b.seq(), b.n, d.ID
	b.n++
	b.definitions[d.ID] = d
	t := b.tables[table]
	if t == nil {
		t = &tableChanges{}
		b.tables[table] = t
	}
	if t.definition != d.ID {
		if err := b.flushTable(table); err != nil {
			return err
		}
		t.definition = d.ID
	}
	if t.w.Count() == 0 {
		t.first = c.Seq
	}
	t.last = c.Seq
	before := t.w.Len()
	t.w.Add(c)
	b.raw += t.w.Len() - before
	if t.w.Len() >= memberRaw {
		return b.flushTable(table)
	}
	if b.raw >= maxRaw {
		return b.flushTable(b.largest())
	}
	return nil
}

func (b *batch) largest() db.Name {
	var name db.Name
	most := -1
	for n, t := range b.tables {
		if t.w.Len() > most {
			name, most = n, t.w.Len()
		}
	}
	return name
}

// flushTable writes a table's open member.
func (b *batch) flushTable(table db.Name) error {
	t := b.tables[table]
	if t.w.Count() == 0 {
		return nil
	}
	m := pack.Member{
		Kind: pack.Changes, Table: table, Definition: t.definition,
		Count: t.w.Count(), First: t.first, Last: t.last,
	}
	if err := b.w.Add(m, t.w.Bytes()); err != nil {
		return err
	}
	b.raw -= t.w.Len()
	t.w.Reset()
	return nil
}

// event adds an event of the transaction; d is the definition it names, was the one before.
func (b *batch) event(e *history.Event, d, was *history.Definition) {
	b.inside = true
	b.pending = append(b.pending, *e)
	if d != nil {
		b.definitions[d.ID] = d
	}
	if was != nil && was.ID == e.Was {
		b.definitions[was.ID] = was
	}
}

// commit ends the transaction.
func (b *batch) commit(tx *db.Tx, touches []history.Touch, now time.Time) error {
	seq := b.seq()
	for _, e := range b.pending {
		e.Seq, e.At = seq, tx.At
		b.events = append(b.events, e)
	}
	if b.txs.Count() == 0 {
		b.txFirst = seq
	}
	b.txs.Add(seq, tx, touches)
	if b.empty() {
		b.firstAt, b.minAt, b.maxAt = now, tx.At, tx.At
	}
	if tx.At.Before(b.minAt) {
		b.minAt = tx.At
	}
	if tx.At.After(b.maxAt) {
		b.maxAt = tx.At
	}
	b.last, b.inside, b.n, b.pending = seq, false, 0, nil
	if b.txs.Len() >= memberRaw {
		return b.flushTransactions()
	}
	return nil
}

func (b *batch) flushTransactions() error {
	if b.txs.Count() == 0 {
		return nil
	}
	m := pack.Member{Kind: pack.Transactions, Count: b.txs.Count(), First: b.txFirst, Last: b.last}
	if err := b.w.Add(m, b.txs.Bytes()); err != nil {
		return err
	}
	b.txs.Reset()
	return nil
}

// finish writes all that is open and the index, and makes the file durable.
func (b *batch) finish(ix pack.Index) error {
	names := slices.SortedFunc(maps.Keys(b.tables), func(x, y db.Name) int {
		return cmp.Or(cmp.Compare(x.Schema, y.Schema), cmp.Compare(x.Table, y.Table))
	})
	for _, name := range names {
		if err := b.flushTable(name); err != nil {
			return err
		}
	}
	if err := b.flushTransactions(); err != nil {
		return err
	}
	if err := b.writeEvents(); err != nil {
		return err
	}
	if err := b.writeDefinitions(); err != nil {
		return err
	}
	ix.First, ix.Last = b.first, b.last
	if !b.empty() {
		ix.MinAt, ix.MaxAt = b.minAt, b.maxAt
	}
	if _, err := b.w.Close(ix); err != nil {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	err := b.file.Close()
	b.file = nil
	if err != nil {
		return fmt.Errorf("write pack: %w", err)
	}
	return nil
}

func (b *batch) writeEvents() error {
	if len(b.events) == 0 {
		return nil
	}
	var payload []byte
	var err error
	for i := range b.events {
		if payload, err = pack.AppendEvent(payload, &b.events[i]); err != nil {
			return err
		}
	}
	m := pack.Member{
		Kind: pack.Events, Count: int64(len(b.events)),
		First: b.events[0].Seq, Last: b.events[len(b.events)-1].Seq,
	}
	return b.w.Add(m, payload)
}

func (b *batch) writeDefinitions() error {
	if len(b.definitions) == 0 {
		return nil
	}
	m := pack.Member{Kind: pack.Definitions, IDs: slices.Sorted(maps.Keys(b.definitions))}
	var payload bytes.Buffer
	for _, id := range m.IDs {
		line, err := pack.AppendDefinition(payload.AvailableBuffer(), b.definitions[id])
		if err != nil {
			return err
		}
		payload.Write(line)
	}
	m.Count = int64(len(m.IDs))
	return b.w.Add(m, payload.Bytes())
}

// seal gives the finished file its name.
func (b *batch) seal(path string) error {
	if err := os.Rename(b.path, path); err != nil {
		return fmt.Errorf("seal pack: %w", err)
	}
	return fsx.SyncDir(filepath.Dir(path))
}

// drop throws the pack away.
func (b *batch) drop() error {
	if b.file != nil {
		b.file.Close() // what is in it does not matter any more
		b.file = nil
	}
	if err := os.Remove(b.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove unfinished pack: %w", err)
	}
	return nil
}
