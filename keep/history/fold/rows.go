package fold

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

var (
	errStop      = errors.New("the reader wants no more rows")
	errUnsettled = errors.New("rows move to other keys")
)

// Rows are all rows of the table at the cut, with the columns of Definition.Table, in the order
// of db.AppendKey of the row key, or of all columns that are not generated where there is no
// key. Values of generated columns may be Absent. A row is valid until the next. The error, if
// any, comes last, with a nil row; a PartialRowError in it says that the log lacks values.
func (t *Table) Rows(ctx context.Context) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		t.Exact, t.Warnings = true, nil
		f := &fold{t: t, s: t.story, nodes: map[birthmark]*node{}, busy: map[*node]bool{}, warned: map[string]bool{}}
		err := f.run(ctx, func(_ []byte, row db.Row) error {
			if !yield(row, nil) {
				return errStop
			}
			return nil
		})
		if err = errors.Join(err, f.close()); err != nil && !errors.Is(err, errStop) {
			yield(nil, fmt.Errorf("fold %s: %w", t.Name, err))
		}
	}
}

func (f *fold) run(ctx context.Context, out func([]byte, db.Row) error) error {
	if err := f.build(ctx); err != nil {
		return err
	}
	if err := f.logParents(ctx); err != nil {
		return err
	}
	for _, n := range f.order {
		if n.basis == nil {
			f.warn("%s: there is no snapshot of %s to tell what its own foreign keys did", f.t.Name, n.name)
		}
	}
	if err := f.rounds(ctx, f.needsRounds(f.target)); err != nil {
		return err
	}
	for _, n := range f.order {
		for _, text := range n.notes {
			if n != f.target {
				f.warn("%s", text)
			}
		}
	}
	err := f.pass(ctx, f.target, out)
	if errors.Is(err, errUnsettled) {
		if err = f.rounds(ctx, true); err == nil {
			err = f.pass(ctx, f.target, out)
		}
	}
	if err == nil {
		f.texts()
	}
	return err
}

// active says that a table's rows must be followed to know what it does to others.
func (n *node) active() bool {
	for _, g := range n.down {
		if g.ask {
			return true
		}
	}
	for _, g := range n.up {
		if g.any() {
			return len(n.down) > 0
		}
	}
	return false
}

// needsRounds says that one pass over the table cannot tell its rows.
func (f *fold) needsRounds(n *node) bool {
	if n.active() {
		return true
	}
	moves, events := false, false
	for _, g := range n.up {
		moves = moves || g.movesKey()
	}
	for _, o := range f.order {
		for _, g := range o.up {
			events = events || g.any() || g.ask
		}
	}
	return moves && events
}

const maxRounds = 100

// rounds passes over tables that others depend on until nothing new is found out.
func (f *fold) rounds(ctx context.Context, target bool) error {
	for round := 1; ; round++ {
		changed, again := false, f.cyclic
		for _, n := range f.order {
			if n.basis == nil || !n.active() && (n != f.target || !target) {
				continue
			}
			old := n.sum
			if err := f.round(ctx, n); err != nil {
				return fmt.Errorf("follow %s: %w", n.name, err)
			}
			changed = changed || n.sum != old
			for _, a := range n.arrivals {
				again = again || a.Len() > 0
			}
		}
		if !changed || !again {
			return nil
		}
		if round == maxRounds {
			f.warn("%s: foreign keys went on taking effect after %d rounds", f.t.Name, maxRounds)
			return nil
		}
	}
}

// round passes over one table for what it does to others, and to other rows of its own.
func (f *fold) round(ctx context.Context, n *node) (err error) {
	n.sum, n.settled, n.notes = 0, true, nil
	f.notes = &n.notes
	for _, g := range n.down {
		g.sorter = f.sorter()
	}
	defer func() {
		f.notes = nil
		for _, g := range n.down {
			g.sorter.Close()
			g.sorter = nil
		}
	}()
	if err := f.pass(ctx, n, nil); err != nil {
		return err
	}
	for _, g := range n.down {
		count := g.sorter.Len()
		it, err := g.sorter.Sort()
		if err != nil {
			return err
		}
		if err := g.implied.close(); err != nil {
			return err
		}
		if g.implied, err = newIndex(it, count, f.t.opt.Dir, f.memory()); err != nil {
			return err
		}
	}
	return nil
}

func (f *fold) sorter() *extsort.Sorter { return extsort.New(f.t.opt.Dir, f.t.opt.Memory) }

// pass walks over a table's base and changes once; without out for what they do to others.
func (f *fold) pass(ctx context.Context, n *node, out func([]byte, db.Row) error) (err error) {
	var prev *extsort.Iter
	defer func() {
		if prev != nil {
			prev.Close()
		}
	}()
	for i, g := range n.segs {
		take, carry := out, (*extsort.Sorter)(nil)
		if i+1 < len(n.segs) {
			carry = f.sorter()
			take = carrier(carry, n.segs[i+1])
			f.forms(n, g.table, n.segs[i+1].table, n.segs[i+1].enter)
		}
		err := f.segment(ctx, n, i, prev, take)
		if prev != nil {
			prev.Close()
			prev = nil
		}
		if carry != nil && err == nil {
			prev, err = carry.Sort()
		}
		if err != nil {
			if carry != nil {
				carry.Close()
			}
			return err
		}
	}
	return nil
}

// carrier sorts rows for the next segment.
func carrier(s *extsort.Sorter, to *segment) func([]byte, db.Row) error {
	var row db.Row
	var key, val []byte
	return func(_ []byte, r db.Row) error {
		row = mapRow(row, r, to.enter)
		key = db.AppendKey(key[:0], to.table, to.order, row)
		val = db.AppendRow(val[:0], row)
		return s.Add(key, val)
	}
}

func (f *fold) segment(ctx context.Context, n *node, i int, prev *extsort.Iter, out func([]byte, db.Row) error) error {
	g := n.segs[i]
	lo, hi := n.basis.from, n.basis.to
	if i > 0 {
		lo = g.epochs[0].from - 1
	}
	if i+1 < len(n.segs) {
		hi = n.segs[i+1].epochs[0].from - 1
	}
	w := &walker{
		f: f, n: n, g: g, out: out, up: links(n, g), onward: f.sorter(),
		start: place{lo, ^uint64(0)}, end: place{hi + 1, 0},
	}
	defer func() { w.onward.Close() }()
	if n.fuzzyAt(n.basis.from) {
		w.base = n.basis.base.End
	}
	if err := f.open(ctx, w, i, lo, hi); err != nil {
		return err
	}
	defer w.log.it.Close()
	if w.moves.it != nil {
		defer w.moves.it.Close()
	}
	if err := w.feed(ctx, i, prev); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	if n.settled && out == nil || i+1 < len(n.segs) && n.settled {
		n.arrivals[i], w.onward = w.onward, f.sorter()
	}
	return nil
}

// open sorts what a walker merges.
func (f *fold) open(ctx context.Context, w *walker, i int, lo, hi history.Seq) error {
	in := &ingest{f: f, n: w.n, g: w.g, s: f.sorter(), refs: w.n.down, lastAt: -1}
	defer in.s.Close()
	if err := in.read(ctx, lo, hi); err != nil {
		return err
	}
	if in.fills && !w.n.settled {
		return errUnsettled
	}
	log, err := in.s.Sort()
	if err != nil {
		return err
	}
	w.log, w.moves = newPeek(log), &peek{}
	if a := w.n.arrivals[i]; a != nil {
		w.n.arrivals[i] = nil
		it, err := a.Sort()
		if err != nil {
			return errors.Join(err, log.Close())
		}
		w.moves = newPeek(it)
	}
	return nil
}

// links finds the foreign keys in force in a segment.
func links(n *node, g *segment) []link {
	var out []link
	for _, e := range n.up {
		for i := range g.epochs {
			if n.basis.epochs[e.epoch].from != g.epochs[i].from || n.basis.epochs[e.epoch].def != g.epochs[i].def {
				continue
			}
			if cols := g.forward(i, e.fk.ChildColumns); cols != nil {
				out = append(out, link{e, cols})
			}
		}
	}
	return out
}

// forward finds columns of one of the segment's epochs in its shape.
func (g *segment) forward(epoch int, names []string) []int {
	var cols []int
	for _, name := range names {
		c := g.epochs[epoch].def.Table.Index(name)
		if m := g.maps[epoch]; m != nil && c >= 0 {
			at := -1
			for i := range m {
				if m[i].Old == c {
					at = i
				}
			}
			c = at
		}
		if c < 0 {
			return nil
		}
		cols = append(cols, c)
	}
	return cols
}

// texts warns of referenced texts whose equals cannot be told without the collation.
func (f *fold) texts() {
	for _, n := range f.order {
		for _, g := range n.up {
			if g.overflow || g.odd && len(g.open) > 0 || g.oddOpen() {
				f.warn("%s refers to text of %s that compares by a collation; rows that spell it otherwise may have changed, too",
					n.name, g.parent.name)
			}
		}
	}
}

// oddOpen says that a value is left whose equals cannot be told.
func (g *edge) oddOpen() bool {
	for key := range g.open {
		for i := 1; i < len(key); i++ {
			if key[i] > 0x7e {
				return true
			}
		}
	}
	return false
}

func (f *fold) close() error {
	var errs []error
	for _, n := range f.order {
		for _, g := range n.up {
			errs = append(errs, g.logged.close(), g.implied.close())
		}
		for _, a := range n.arrivals {
			if a != nil {
				errs = append(errs, a.Close())
			}
		}
	}
	return errors.Join(errs...)
}
