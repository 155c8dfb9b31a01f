package undo

import (
	"encoding/binary"
	"errors"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
)

// nets hands out the folded rows: first those that kept their key, in its order, then the
// others. Rows are valid until the next call.
type nets struct {
	f    *folder
	it   *extsort.Iter
	more bool
	some bool // only some kinds of changes were gathered
	cur  net
	// moved takes the stays of rows that had several keys; joined says that they are handed
	// out now.
	moved      *extsort.Sorter
	joined     bool
	key, first []byte
	bufB, bufA db.Row
}

func (f *folder) nets() (*nets, error) {
	it, err := f.sort.Sort()
	if err != nil {
		return nil, err
	}
	n := &nets{f: f, it: it, moved: extsort.New(f.dir, sortMemory/4)}
	n.more = it.Next()
	return n, it.Err()
}

func (n *nets) close() error { return errors.Join(n.it.Close(), n.moved.Close()) }

// next is the next row's net effect; nil at the end.
func (n *nets) next() (*net, error) {
	for {
		for n.more {
			done, err := n.group()
			if err != nil || done {
				return &n.cur, err
			}
		}
		if err := n.it.Err(); err != nil || n.joined || n.f.moves == 0 {
			return nil, err
		}
		if err := n.join(); err != nil {
			return nil, err
		}
	}
}

// group reads the records of one key. It is done when they make one net effect in n.cur.
func (n *nets) group() (done bool, err error) {
	n.first = append(n.first[:0], n.it.Value()...)
	if n.joined {
		n.more = n.it.Next()
		return true, n.single()
	}
	n.key = append(n.key[:0], n.it.Key()...)
	n.more = n.it.Next()
	if n.more && string(n.it.Key()) == string(n.key) {
		return n.several()
	}
	if err := n.it.Err(); err != nil {
		return false, err
	}
	if n.first[len(n.first)-1] != 0 { // the last byte of a number is 0 only when it is 0
		s, err := parseRecord(n.first)
		if err != nil {
			return false, err
		}
		return false, n.keep(s)
	}
	return true, n.single()
}

// single takes the one record of a key.
func (n *nets) single() error {
	before, rest, err := db.ParseRow(n.first, n.bufB)
	if err != nil {
		return err
	}
	after, _, err := db.ParseRow(rest, n.bufA)
	if err != nil {
		return err
	}
	if before != nil {
		n.bufB = before
	}
	if after != nil {
		n.bufA = after
	}
	n.cur = net{before, after}
	return nil
}

// stay is what happened to one row under one key, between its arrival and its departure.
type stay struct {
	net
	from, to uint64 // the moves it came and went by, 0 for none
}

func parseRecord(b []byte) (*stay, error) {
	var s stay
	var err error
	if s.Before, b, err = db.ParseRow(b, nil); err != nil {
		return nil, err
	}
	if s.After, b, err = db.ParseRow(b, nil); err != nil {
		return nil, err
	}
	s.Before, s.After = s.Before.Clone(), s.After.Clone()
	move, w := binary.Uvarint(b)
	switch {
	case w <= 0:
		return nil, errStay
	case s.Before == nil:
		s.from = move
	default:
		s.to = move
	}
	return &s, nil
}

// errKeyChanged is what a row says that leaves after it has left: two rows of then have one
// key of now.
var errKeyChanged = lull.Errorf(lull.Refused, "put the rows into a side table with --into, or write them with --out and --binlog",
	"rows that had keys of their own have the same one by now: the table's key was changed since")

var errStay = errors.New("fold changes: a record is damaged")

// several folds the records of one key, which are those of one row unless rows came and went.
func (n *nets) several() (done bool, err error) {
	cur, err := parseRecord(n.first)
	if err != nil {
		return false, err
	}
	alone := cur.from == 0 && cur.to == 0
	for n.more && string(n.it.Key()) == string(n.key) {
		s, err := parseRecord(n.it.Value())
		if err != nil {
			return false, err
		}
		if s.from != 0 || cur.to != 0 {
			if err := n.keep(cur); err != nil {
				return false, err
			}
			cur, alone = s, false
		} else {
			if s.Before != nil && cur.After == nil && !n.some {
				return false, errKeyChanged
			}
			cur.then(s)
		}
		alone = alone && cur.to == 0
		n.more = n.it.Next()
	}
	if err := n.it.Err(); err != nil {
		return false, err
	}
	if !alone {
		return false, n.keep(cur)
	}
	n.cur = cur.net
	return n.cur.Before != nil || n.cur.After != nil, nil
}

// then adds what happened next. Of images that leave columns out, each column's first value
// and its last are taken.
func (s *stay) then(o *stay) {
	for i := range s.Before {
		if s.Before[i].State == db.Absent && o.Before != nil && (s.After == nil || s.After[i].State == db.Absent) {
			s.Before[i] = o.Before[i]
		}
	}
	s.to = o.to
	switch {
	case o.to != 0: // it departs as it is
	case o.After == nil || s.After == nil:
		s.After = o.After
	default:
		for i := range s.After {
			if o.After[i].State != db.Absent {
				s.After[i] = o.After[i]
			}
		}
	}
}

// keep puts a stay where the one before it will find it: under the move it came by, behind
// the stay that ended with that move. One that is not the row's last waits under its end.
func (n *nets) keep(s *stay) error { return addStay(n.moved, s) }

func addStay(to *extsort.Sorter, s *stay) error {
	at, last := s.from, byte(1)
	if s.to != 0 {
		at, last = s.to, 0
	}
	key := append(binary.BigEndian.AppendUint64(nil, at), last)
	val := binary.AppendUvarint(binary.AppendUvarint(nil, s.from), s.to)
	return to.Add(key, db.AppendRow(db.AppendRow(val, s.Before), s.After))
}

func parseStay(b []byte) (*stay, error) {
	from, w := binary.Uvarint(b)
	if w <= 0 {
		return nil, errStay
	}
	to, v := binary.Uvarint(b[w:])
	if v <= 0 {
		return nil, errStay
	}
	s, err := parseRecord(append(b[w+v:len(b):len(b)], 0))
	if err != nil {
		return nil, err
	}
	s.from, s.to = from, to
	return s, nil
}

// join puts together the stays of each row, from its last backwards, one move of every row a
// round, and hands the results out next.
func (n *nets) join() error {
	out := extsort.New(n.f.dir, sortMemory/4)
	for n.moved.Len() > 0 {
		rest := extsort.New(n.f.dir, sortMemory/4)
		if err := n.round(out, rest); err != nil {
			return errors.Join(err, out.Close(), rest.Close())
		}
		n.moved = rest
	}
	it, err := out.Sort()
	if err != nil {
		return err
	}
	err = n.it.Close()
	n.it, n.joined = it, true
	n.more = it.Next()
	return errors.Join(err, it.Err())
}

func (n *nets) round(out, rest *extsort.Sorter) error {
	it, err := n.moved.Sort()
	if err != nil {
		return err
	}
	defer it.Close()
	var waiting *stay
	for it.Next() {
		s, err := parseStay(it.Value())
		if err != nil {
			return err
		}
		if s.to != 0 {
			if waiting != nil {
				err = addStay(rest, waiting)
			}
			waiting = s
		} else {
			if waiting != nil && waiting.to == s.from {
				waiting.then(s)
				s, waiting = waiting, nil
			}
			err = n.finish(s, out, rest)
		}
		if err != nil {
			return err
		}
	}
	if waiting != nil {
		if err := addStay(rest, waiting); err != nil {
			return err
		}
	}
	return it.Err()
}

// finish hands a row out whose first stay is known, and keeps others for the next round.
func (n *nets) finish(s *stay, out, rest *extsort.Sorter) error {
	if s.from != 0 {
		return addStay(rest, s)
	}
	if s.Before == nil && s.After == nil {
		return nil
	}
	row := s.After
	if row == nil {
		row = s.Before
	}
	key, err := appendSortKey(nil, n.f.m.live, row, n.f.key)
	if err != nil {
		return err
	}
	return out.Add(key, db.AppendRow(db.AppendRow(nil, s.Before), s.After))
}
