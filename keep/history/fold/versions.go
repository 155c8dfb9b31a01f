package fold

import (
	"context"
	"encoding/binary"
	"hash/fnv"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// What a version record does to the row of its key.
const (
	put    byte = iota + 1 // row: the whole row is there
	patch                  // row: these values are new, absent ones stay
	gone                   // nothing follows
	leave                  // the row goes on at the key that follows
	arrive                 // row: a row from another key; absent values come from there
	filler                 // count, row: what arrive at the same place lacks
	moved                  // count, row: a foreign key moved a row here
	skip                   // what is put at the same place is here already: a foreign key moved it
)

// Flags of a version record.
const (
	askFlag  byte = 1 << iota // tell others what became of the referenced values: row follows
	fillFlag                  // the key it goes to lacks values
)

const suffixSize = placeSize + 1

// sortKey is a row key with the place of one of its versions; rows that moved come first.
func sortKey(dst, key []byte, p place, kind byte) []byte {
	dst = appendPlace(append(dst, key...), p)
	if kind == filler || kind == moved || kind == skip {
		return append(dst, 0)
	}
	return append(dst, 1)
}

func mix(parts ...[]byte) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum64()
}

// ingest sorts one segment's changes by key and place.
type ingest struct {
	f    *fold
	n    *node
	g    *segment
	s    *extsort.Sorter
	refs []*edge // that others have to the table

	before, after, blank db.Row
	key, to, sort, val   []byte
	fills                bool // some rows move without all their values

	lastID string
	lastAt int
	lastOf []history.ColumnFrom
	noMap  bool
}

// read sorts the changes in (after, upto].
func (in *ingest) read(ctx context.Context, after, upto history.Seq) error {
	for _, p := range in.n.basis.line.pieces {
		lo, hi := max(after, p.From-min(p.From, 1)), min(upto, p.To)
		if lo >= hi {
			continue
		}
		err := in.f.s.past.Changes(ctx, []db.Name{p.Name}, lo, hi, func(_ db.Name, c *history.RowChange) error {
			return in.change(ctx, c)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// shape brings both images into the segment's shape.
func (in *ingest) shape(ctx context.Context, c *history.RowChange) (before, after db.Row, err error) {
	at := 0
	for i := range in.g.epochs {
		if in.g.epochs[i].from <= c.Seq {
			at = i
		}
	}
	if in.lastID != c.Definition || in.lastAt != at {
		d, err := in.f.s.definition(ctx, c.Definition)
		if err != nil {
			return nil, nil, err
		}
		m, said := in.g.mapping(d, c.Seq)
		if !said {
			in.f.warn("%s: no ALTER is known that explains its columns at transaction %d; they go by their names", in.n.name, c.Seq)
		}
		in.f.forms(in.n, d.Table, in.g.table, m)
		in.lastID, in.lastAt, in.lastOf = c.Definition, at, m
		in.noMap = m == nil || identity(m, len(in.g.table.Columns)) && len(d.Table.Columns) == len(m)
		if in.noMap && len(d.Table.Columns) != len(in.g.table.Columns) {
			return nil, nil, damaged(in.n.name, c.Seq)
		}
	}
	if in.noMap {
		if wrong(c.Before, in.g.table) || wrong(c.After, in.g.table) {
			return nil, nil, damaged(in.n.name, c.Seq)
		}
		return c.Before, c.After, nil
	}
	in.before = mapRow(in.before, c.Before, in.lastOf)
	in.after = mapRow(in.after, c.After, in.lastOf)
	if c.Before != nil {
		before = in.before
	}
	if c.After != nil {
		after = in.after
	}
	if before != nil && after != nil {
		in.unchanged(before, after)
	}
	return before, after, nil
}

// unchanged marks new columns of an update as not changed by it: they have their default only
// where nothing else is known.
func (in *ingest) unchanged(_, after db.Row) {
	for i, c := range in.lastOf {
		if c.Old < 0 {
			after[i] = db.Value{State: db.Absent}
		}
	}
}

func wrong(r db.Row, t *db.Table) bool { return r != nil && len(r) != len(t.Columns) }

func damaged(name db.Name, seq history.Seq) error {
	return lull.Errorf(lull.Failed, "lull backup verify says what else is damaged",
		"fold %s: a row at transaction %d does not have the columns of its definition", name, seq)
}

// forms warns of columns whose values do not mean the same after an ALTER.
func (f *fold) forms(n *node, from, to *db.Table, m []history.ColumnFrom) {
	for i, c := range m {
		if c.Old >= 0 && c.Old < len(from.Columns) && !sameForm(&from.Columns[c.Old], &to.Columns[i]) {
			f.warn("%s: column %s was %s before and is %s; older values are as they were logged",
				n.name, to.Columns[i].Name, from.Columns[c.Old].ColumnType, to.Columns[i].ColumnType)
		}
	}
}

func (in *ingest) change(ctx context.Context, c *history.RowChange) error {
	before, after, err := in.shape(ctx, c)
	if err != nil {
		return err
	}
	p := place{c.Seq, c.N}
	ask := !c.ForeignKeysOff && in.asks(c.Seq, before, after)
	switch {
	case before == nil && after == nil:
		return damaged(in.n.name, c.Seq)
	case before == nil:
		return in.one(put, 0, after, p, after, nil)
	case after == nil:
		return in.one(gone, flagIf(ask, askFlag), before, p, nil, nil)
	case in.g.key == nil:
		return in.bag(before, after, p)
	}
	return in.update(before, after, p, ask)
}

func flagIf(yes bool, f byte) byte {
	if yes {
		return f
	}
	return 0
}

// bag is an update of a table without a key: one row less, another more.
func (in *ingest) bag(before, after db.Row, p place) error {
	in.blank = append(in.blank[:0], after...)
	for i := range in.blank {
		if in.blank[i].State == db.Absent {
			in.blank[i] = before[i]
		}
	}
	in.to = db.AppendKey(in.to[:0], in.g.table, in.g.order, in.blank)
	if err := in.one(gone, 0, before, p, nil, in.to); err != nil {
		return err
	}
	return in.one(put, 0, in.blank, p, in.blank, nil)
}

func (in *ingest) update(before, after db.Row, p place, ask bool) error {
	in.blank = append(in.blank[:0], after...)
	same, lacks := true, false
	for _, k := range in.g.key {
		if in.blank[k].State == db.Absent {
			in.blank[k] = before[k]
		}
		same = same && in.blank[k].Equal(before[k])
	}
	if same {
		return in.one(patch, flagIf(ask, askFlag), before, p, in.blank, nil)
	}
	for i := range in.blank {
		lacks = lacks || in.blank[i].State == db.Absent && !in.g.table.Columns[i].Generated
	}
	in.fills = in.fills || lacks
	if err := in.one(arrive, flagIf(lacks, fillFlag), in.blank, p, in.blank, nil); err != nil {
		return err
	}
	in.to = db.AppendKey(in.to[:0], in.g.table, in.g.order, in.blank)
	return in.one(leave, flagIf(lacks, fillFlag)|flagIf(ask, askFlag), before, p, after, in.to)
}

// asks says that the images do not tell what became of values that others refer to.
func (in *ingest) asks(seq history.Seq, before, after db.Row) bool {
	if before == nil {
		return false
	}
	for _, g := range in.refs {
		if cols := g.parentCols(in.g.table); cols != nil && g.inForce(seq) {
			if _, known := change(before, after, cols); !known {
				return true
			}
		}
	}
	return false
}

// one adds a record for the row that keyed has the key of.
func (in *ingest) one(kind, flags byte, keyed db.Row, p place, row db.Row, to []byte) error {
	for _, k := range in.g.order {
		if keyed[k].State == db.Absent && (in.g.key != nil || !in.g.table.Columns[k].Generated) {
			return lull.Errorf(lull.Refused, "set binlog_row_image=FULL", "%w",
				&PartialRowError{in.n.name, in.g.table.Columns[k].Name, p.seq})
		}
	}
	in.key = db.AppendKey(in.key[:0], in.g.table, in.g.order, keyed)
	in.sort = sortKey(in.sort[:0], in.key, p, kind)
	in.val = append(in.val[:0], kind, flags)
	in.val = db.AppendRow(in.val, row)
	return in.s.Add(in.sort, append(in.val, to...))
}
