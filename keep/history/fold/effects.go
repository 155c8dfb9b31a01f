package fold

import (
	"slices"

	"github.com/lull-ops/lull/db"
)

// hit is an event that falls on a row.
type hit struct {
	link
	event
}

// advance lets fall on the row what foreign keys did to it before q.
func (w *walker) advance(q place) error {
	for w.st.count > 0 && len(w.up) > 0 && w.st.at.less(q) {
		p, hits, err := w.hits(q)
		if err != nil || len(hits) == 0 {
			return err
		}
		if err := w.apply(p, hits); err != nil {
			return err
		}
	}
	return nil
}

// hits are the events at the first place before q that has any for the row as it is.
func (w *walker) hits(q place) (at place, hits []hit, err error) {
	for _, l := range w.up {
		if !l.any() {
			continue
		}
		var few [4]db.Value
		vals, whole := pick(few[:0], w.st.row, l.cols)
		if !whole {
			continue
		}
		w.odd(l, vals)
		p, h, err := w.first(l, vals, q)
		if err != nil {
			return at, nil, err
		}
		if h == nil {
			continue
		}
		if len(hits) == 0 || p.less(at) {
			at, hits = p, hits[:0]
		}
		if p == at {
			hits = append(hits, *h)
		}
	}
	return at, hits, nil
}

func (w *walker) odd(l link, vals db.Row) {
	if !l.text || l.edge.odd {
		return
	}
	for i := range vals {
		c := &w.g.table.Columns[l.cols[i]]
		l.edge.odd = l.edge.odd || collated(c) && !plain(c, vals[i].Data)
	}
}

// first is one foreign key's first event for the values before q.
func (w *walker) first(l link, vals db.Row, q place) (at place, h *hit, err error) {
	w.scratch = appendValues(w.scratch[:0], tagOld, w.g.table, l.cols, vals)
	for _, x := range []*index{l.logged, l.implied} {
		after := w.st.at
		if after.seq < l.from() {
			after = place{l.from() - 1, ^uint64(0)}
		}
		until := q
		if h != nil {
			until = at
		}
		if until.seq > l.to() {
			until = place{l.to() + 1, 0}
		}
		var bad error
		err := x.each(w.scratch, after, until, func(p place, v []byte) bool {
			e, err := parseEvent(slices.Clone(v))
			if err != nil || len(e.old) != len(vals) {
				bad = err
				return err == nil
			}
			if !matches(w.g.table, l.cols, vals, e.old) {
				return true
			}
			at, h = p, &hit{l, e}
			return false
		})
		if err != nil || bad != nil {
			return at, nil, first(err, bad)
		}
	}
	if h != nil && l.text {
		delete(l.open, string(w.scratch))
	}
	return at, h, nil
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// apply lets all events of one place fall on the row.
func (w *walker) apply(p place, hits []hit) error {
	s := &w.st
	old := s.row.Clone()
	fresh, dead := old.Clone(), false
	for i := range hits {
		h := &hits[i]
		switch {
		case h.new == nil && h.onDelete == cascade:
			dead = true
		case h.new != nil && h.update == cascade:
			for k, c := range h.cols {
				fresh[c] = h.new[k]
			}
		default:
			for _, c := range h.cols {
				fresh[c] = db.Value{}
			}
		}
		if err := w.tentativeHit(p, h); err != nil {
			return err
		}
	}
	if len(hits) > 1 && crossed(hits) {
		w.f.warn("%s: several foreign keys on the same columns took effect at transaction %d, in an order nobody knows", w.n.name, p.seq)
	}
	if s.fell != p.seq {
		s.taken = 0
	}
	s.at, s.fell = p, p.seq
	if dead {
		s.ghost = w.g.key != nil
		s.taken += s.count
		s.count, fresh = 0, nil
		if err := s.keep(old); err != nil {
			return err
		}
	}
	emitted, err := w.f.emit(w.n, w.g.table, p, old, fresh)
	if err != nil {
		return err
	}
	if emitted && s.tentative && p.seq <= w.base {
		s.doubtful = "what a foreign key did to other rows"
	}
	if dead {
		return nil
	}
	return w.become(p, fresh)
}

// become makes the row another one, at another key when its key changed.
func (w *walker) become(p place, fresh db.Row) error {
	s := &w.st
	for i := range fresh {
		if w.g.table.Columns[i].Generated {
			fresh[i] = db.Value{State: db.Absent}
		}
	}
	to := db.AppendKey(nil, w.g.table, w.g.order, fresh)
	if string(to) == string(s.key) {
		return s.keep(fresh)
	}
	n := s.count
	s.taken += n
	s.count = 0
	return w.send(moved, to, p, fresh, n)
}

// crossed says that one event removes a row whose columns another changes.
func crossed(hits []hit) bool {
	for i := range hits {
		for k := i + 1; k < len(hits); k++ {
			a, b := &hits[i], &hits[k]
			if !slices.ContainsFunc(a.cols, func(c int) bool { return slices.Contains(b.cols, c) }) {
				continue
			}
			if (a.new == nil) != (b.new == nil) || a.onDelete != b.onDelete || a.update != b.update || a.new != nil && !sameValues(a.new, b.new) {
				return true
			}
		}
	}
	return false
}

// tentativeHit warns when the values that were hit may have come into the row only later, by
// another foreign key, before the snapshot read it.
func (w *walker) tentativeHit(p place, h *hit) error {
	s := &w.st
	if !s.tentative || p.seq > w.base {
		return nil
	}
	s.wide = s.wide || len(h.cols) > 1
	vals, _ := pick(nil, s.row, h.cols)
	key := appendValues(nil, tagInto, w.g.table, h.cols, vals)
	for _, x := range []*index{h.logged, h.implied} {
		err := x.each(key, p, place{w.base + 1, 0}, func(later place, _ []byte) bool {
			w.f.warn("%s: foreign keys changed the same values at transactions %d and %d while the snapshot was read", w.n.name, p.seq, later.seq)
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// doubt warns when a change shows that what was taken for a row's version earlier may have been
// a later one, and something was derived from it.
func (w *walker) doubt(p place, kind byte, row db.Row) {
	s := &w.st
	if p.seq > w.base {
		return
	}
	if fresh := kind == put || kind == arrive || kind == moved; s.lent && fresh {
		w.f.warn("%s: a row that moved to another key at transaction %d took values of one that was read later", w.n.name, s.left)
		s.lent = false
	}
	if p.seq == s.fell && kind != put {
		return // a server that logs what foreign keys do says so in the same transaction
	}
	if s.doubtful != "" {
		w.f.warn("%s: %s at transaction %d rests on a row that was read later", w.n.name, s.doubtful, s.fell)
		s.doubtful = ""
	}
	if s.wide && kind == patch && slices.ContainsFunc(row, func(v db.Value) bool { return v.State == db.Absent }) {
		w.f.warn("%s: a foreign key of several columns took effect at transaction %d while the snapshot was read", w.n.name, s.fell)
		s.wide = false
	}
}
