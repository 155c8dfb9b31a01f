package fold

import (
	"bytes"
	"encoding/binary"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// peek looks one record ahead.
type peek struct {
	it   *extsort.Iter
	more bool
}

func newPeek(it *extsort.Iter) *peek {
	p := &peek{it: it}
	p.advance()
	return p
}

func (p *peek) advance() { p.more = p.it != nil && p.it.Next() }

func (p *peek) rowKey() []byte {
	k := p.it.Key()
	return k[:len(k)-suffixSize]
}

// walker merges a segment's base with its versions, one key at a time.
type walker struct {
	f       *fold
	n       *node
	g       *segment
	up      []link
	end     place // the segment's, after all that counts
	start   place
	base    history.Seq // the end of a base whose rows were read at different moments, else 0
	log     *peek
	moves   *peek
	onward  *extsort.Sorter
	out     func(key []byte, row db.Row) error
	scratch []byte
	values  db.Row

	held    []byte // key of rows without a key that came so far, and how many
	heldRow db.Row
	count   int64

	st state
}

// link is a foreign key with its columns in the segment's shape.
type link struct {
	*edge
	cols []int
}

// state is the row of the key at hand.
type state struct {
	key       []byte
	row       db.Row
	count     int64
	at        place
	tentative bool // read from a snapshot at some moment, and not seen whole since
	made      bool // known to have been there by more than an update
	ghost     bool // fell by a foreign key: row is what it was
	fell      history.Seq
	doubtful  string // what a later change of a tentative row makes doubtful
	lent      bool   // its values went to another key in transaction left, while tentative
	left      history.Seq
	taken     int64 // copies that foreign keys took in transaction fell, of a row without a key
	skip      place // what is put there is here already
	wide      bool  // a foreign key of several columns changed it while tentative

	buf, spare []byte
	rows       [2]db.Row
}

// keep makes row the state's own; row may have values of the state.
func (s *state) keep(row db.Row) error {
	s.spare = db.AppendRow(s.spare[:0], row)
	r, _, err := db.ParseRow(s.spare, s.rows[1])
	if err != nil {
		return err
	}
	s.rows[0], s.rows[1] = r, s.rows[0]
	s.buf, s.spare = s.spare, s.buf
	s.row = r
	return nil
}

// next is the smallest key that has versions; nil at the end.
func (w *walker) next() []byte {
	switch {
	case !w.log.more && !w.moves.more:
		return nil
	case !w.log.more:
		return w.moves.rowKey()
	case !w.moves.more || bytes.Compare(w.log.rowKey(), w.moves.rowKey()) <= 0:
		return w.log.rowKey()
	}
	return w.moves.rowKey()
}

// row takes the next row of the base, in order of keys.
func (w *walker) row(key []byte, row db.Row) error {
	if w.g.key == nil {
		if w.count > 0 && bytes.Equal(key, w.held) {
			w.count++
			return nil
		}
		if err := w.flush(); err != nil {
			return err
		}
		w.held, w.heldRow, w.count = append(w.held[:0], key...), row.Clone(), 1
		return nil
	}
	if w.count > 0 && bytes.Compare(w.held, key) >= 0 {
		if w.f.notes != nil && bytes.Equal(w.held, key) {
			return nil // not all rows are in their places before the last round
		}
		return lull.Errorf(lull.Failed, "lull backup verify says what else is damaged",
			"fold %s: its snapshot has rows out of order, or one twice", w.n.name)
	}
	w.held, w.count = append(w.held[:0], key...), 1
	return w.one(key, row, 1)
}

// flush ends the run of equal rows of a table without a key.
func (w *walker) flush() error {
	if w.g.key != nil || w.count == 0 {
		return nil
	}
	n := w.count
	w.count = 0
	return w.one(w.held, w.heldRow, n)
}

func (w *walker) one(key []byte, row db.Row, count int64) error {
	for k := w.next(); k != nil && bytes.Compare(k, key) < 0; k = w.next() {
		if err := w.group(bytes.Clone(k), nil, 0); err != nil {
			return err
		}
	}
	return w.group(key, row, count)
}

// finish takes the keys after the base's last row.
func (w *walker) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	for k := w.next(); k != nil; k = w.next() {
		if err := w.group(bytes.Clone(k), nil, 0); err != nil {
			return err
		}
	}
	if err := w.log.it.Err(); err != nil {
		return err
	}
	if w.moves.it != nil {
		return w.moves.it.Err()
	}
	return nil
}

// group takes all versions of one key.
func (w *walker) group(key []byte, row db.Row, count int64) error {
	s := &w.st
	*s = state{key: key, row: row, count: count, at: w.start, made: true, tentative: w.base > 0, buf: s.buf, spare: s.spare, rows: s.rows}
	for {
		log := w.log.more && bytes.Equal(w.log.rowKey(), key)
		move := w.moves.more && bytes.Equal(w.moves.rowKey(), key)
		if !log && !move {
			break
		}
		from := w.log
		if move && (!log || bytes.Compare(w.moves.it.Key(), w.log.it.Key()) < 0) {
			from = w.moves
		}
		if err := w.version(from); err != nil {
			return err
		}
	}
	if err := w.advance(w.end); err != nil {
		return err
	}
	return w.settle()
}

// version applies the record that from is at, and those of the same place that belong to it.
func (w *walker) version(from *peek) error {
	k := from.it.Key()
	p := placeOf(k[len(k)-suffixSize:])
	v := from.it.Value()
	if err := w.advance(p); err != nil {
		return err
	}
	kind, flags, v := v[0], v[1], v[2:]
	if kind == filler {
		return w.fill(p, v)
	}
	row, rest, err := db.ParseRow(v, w.values)
	if err != nil {
		return err
	}
	if row != nil {
		w.values = row
	}
	w.doubt(p, kind, row)
	switch kind {
	case put:
		if p != w.st.skip {
			err = w.put(p, row, 1)
		}
	case moved:
		n, _ := binary.Uvarint(rest)
		err = w.put(p, row, int64(n))
		w.st.tentative = w.base >= p.seq
	case patch:
		err = w.patch(p, flags, row)
	case gone:
		err = w.gone(p, flags, rest)
	case skip:
		w.st.skip = p
	case leave:
		err = w.leave(p, flags, row, rest)
	case arrive:
		err = w.arrive(p, row)
	}
	from.advance()
	return err
}

// fill takes what the row that arrives at p lacks, and makes it the row until then.
func (w *walker) fill(p place, v []byte) error {
	row, _, err := db.ParseRow(v, nil)
	if err != nil {
		return err
	}
	if err := w.st.keep(row); err != nil {
		return err
	}
	w.st.count, w.st.at, w.st.made = 1, p, true
	w.moves.advance()
	return nil
}

func (w *walker) put(p place, row db.Row, n int64) error {
	s := &w.st
	if w.g.key == nil {
		n += s.count
	}
	s.count, s.at, s.made, s.ghost, s.tentative = n, p, true, false, false
	return s.keep(row)
}

func (w *walker) patch(p place, flags byte, row db.Row) error {
	s := &w.st
	if s.count == 0 && s.ghost {
		s.count = 1
		if p.seq > w.base {
			w.f.warn("%s: a row was updated at transaction %d that a foreign key should have removed", w.n.name, p.seq)
		}
	}
	s.ghost = false
	if s.count == 0 {
		s.count, s.at, s.made = 1, p, false
		return s.keep(row)
	}
	full := w.merge(row, s.row)
	if flags&askFlag != 0 {
		if err := w.emit(p, s.row, row); err != nil {
			return err
		}
	}
	s.at = p
	s.tentative = s.tentative && !full
	return s.keep(row)
}

// merge takes absent values of row from old; whole says there were none.
func (w *walker) merge(row, old db.Row) (whole bool) {
	whole = true
	for i := range row {
		if row[i].State == db.Absent && !w.g.table.Columns[i].Generated {
			row[i], whole = old[i], false
		}
	}
	return whole
}

func (w *walker) gone(p place, flags byte, to []byte) error {
	s := &w.st
	s.ghost = false
	if s.count == 0 {
		return w.already(p, to)
	}
	if flags&askFlag != 0 {
		if err := w.emit(p, s.row, nil); err != nil {
			return err
		}
	}
	s.at = p
	if s.count--; w.g.key != nil {
		s.count = 0
	}
	return nil
}

// already takes the log's word for what a foreign key did to a row before: to is the key of
// what an update made of a row without a key.
func (w *walker) already(p place, to []byte) error {
	s := &w.st
	switch {
	case w.g.key != nil:
		return nil
	case s.fell != p.seq || s.taken == 0:
		w.f.warn("%s: a row was deleted at transaction %d that was not there", w.n.name, p.seq)
		return nil
	}
	if s.taken--; len(to) == 0 {
		return nil
	}
	return w.send(skip, to, p, nil, 1)
}

func (w *walker) leave(p place, flags byte, after db.Row, to []byte) error {
	s := &w.st
	if s.count == 0 && s.ghost && p.seq <= w.base {
		s.count = 1
	}
	s.ghost = false
	if s.count == 0 {
		return nil
	}
	if flags&askFlag != 0 {
		fresh := append(db.Row(nil), after...)
		w.merge(fresh, s.row)
		if err := w.emit(p, s.row, fresh); err != nil {
			return err
		}
	}
	if flags&fillFlag != 0 && s.made {
		if err := w.send(filler, to, p, s.row, 1); err != nil {
			return err
		}
		if s.tentative && p.seq <= w.base {
			s.lent, s.left = true, p.seq
		}
	}
	s.count, s.at = 0, p
	return nil
}

func (w *walker) arrive(p place, row db.Row) error {
	s := &w.st
	if s.count > 0 {
		w.merge(row, s.row)
	}
	s.count, s.at, s.made, s.ghost, s.tentative = 1, p, true, false, false
	return s.keep(row)
}

// send hands a row over to another key, for the next round.
func (w *walker) send(kind byte, to []byte, p place, row db.Row, n int64) error {
	val := db.AppendRow([]byte{kind, 0}, row)
	val = binary.AppendUvarint(val, uint64(n))
	key := sortKey(nil, to, p, kind)
	w.n.sum += mix(key, val)
	return w.onward.Add(key, val)
}

func (w *walker) emit(p place, old, fresh db.Row) error {
	_, err := w.f.emit(w.n, w.g.table, p, old, fresh)
	return err
}

// settle hands out what is left of the key at the end.
func (w *walker) settle() error {
	s := &w.st
	if s.count <= 0 {
		return nil
	}
	if !s.made && s.at.seq <= w.base {
		// An update says that the row was there before, and the snapshot read its key and found
		// none: it was gone by then, by a foreign key that nobody logged.
		return nil
	}
	for i := range s.row {
		if s.row[i].State != db.Absent || w.g.table.Columns[i].Generated {
			continue
		}
		if w.f.notes != nil {
			return nil // the last round tells
		}
		return lull.Errorf(lull.Refused, "set binlog_row_image=FULL", "%w",
			&PartialRowError{w.n.name, w.g.table.Columns[i].Name, s.at.seq})
	}
	if w.out == nil {
		return nil
	}
	for ; s.count > 0; s.count-- {
		if err := w.out(s.key, s.row); err != nil {
			return err
		}
	}
	return nil
}
