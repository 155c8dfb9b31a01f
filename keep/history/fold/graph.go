package fold

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// node is one table that takes part: the one to fold, or one whose foreign keys reach it.
type node struct {
	name     db.Name
	basis    *basis // nil when nothing says what rows it had
	segs     []*segment
	up, down []*edge           // foreign keys it has, and those to it
	arrivals []*extsort.Sorter // rows that move to another key, by segment, of the last round
	next     []*extsort.Sorter // of the round that runs
	sum      uint64            // of what the last round found out
	settled  bool              // arrivals are there
	notes    []string          // warnings of the last round
	need     history.Seq       // what it did after this counts
}

// fuzzyAt says that the transaction lies where the base's rows were read.
func (n *node) fuzzyAt(seq history.Seq) bool {
	b := n.basis
	return b != nil && b.base != nil && b.base.Start < b.base.End && seq <= b.base.End
}

// fold is one run over a table.
type fold struct {
	t      *Table
	s      *story
	target *node
	nodes  map[birthmark]*node
	order  []*node // parents first, as far as there is an order
	cyclic bool
	busy   map[*node]bool
	warned map[string]bool
	notes  *[]string // where warnings go while a round is not the last
}

// birthmark tells tables apart whatever they are called.
type birthmark struct {
	name db.Name
	at   int
}

func (f *fold) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if f.notes != nil {
		*f.notes = append(*f.notes, text)
		return
	}
	f.t.Exact = false
	if !f.warned[text] {
		f.warned[text] = true
		f.t.Warnings = append(f.t.Warnings, text)
	}
}

// build finds the tables that take part.
func (f *fold) build(ctx context.Context) error {
	f.target = &node{name: f.t.Name, basis: f.t.own, need: f.t.From}
	l := f.s.birth(f.t.Name, f.t.Cut)
	f.nodes[birthmark{l.name, l.at}] = f.target
	if err := f.grow(ctx, f.target); err != nil {
		return err
	}
	for _, n := range f.order {
		if n.basis != nil {
			n.segs = segments(n.basis.epochs, n.used)
			n.arrivals = make([]*extsort.Sorter, len(n.segs))
			n.next = make([]*extsort.Sorter, len(n.segs))
		}
	}
	return nil
}

// used says that a foreign key to the table needs the column.
func (n *node) used(column string) bool {
	for _, g := range n.down {
		if has(g.fk.ParentColumns, column) {
			return true
		}
		for _, a := range g.aliases {
			if has(a, column) {
				return true
			}
		}
	}
	return false
}

// grow adds a table's parents.
func (f *fold) grow(ctx context.Context, n *node) error {
	f.busy[n] = true
	if n.basis != nil {
		for i := range n.basis.epochs {
			t := n.basis.epochs[i].def.Table
			for k := range t.Parents {
				if !acts(&t.Parents[k]) {
					continue
				}
				if err := f.refer(ctx, n, i, &t.Parents[k]); err != nil {
					return err
				}
			}
		}
	}
	f.busy[n] = false
	f.order = append(f.order, n)
	return nil
}

// refer adds the tables that one foreign key of one epoch refers to.
func (f *fold) refer(ctx context.Context, n *node, i int, fk *db.ForeignKey) error {
	b := n.basis
	from, to := b.epochs[i].from, b.to
	if i == 0 {
		from = b.from + 1
	}
	if i+1 < len(b.epochs) {
		to = b.epochs[i+1].from - 1
	}
	if from > to {
		return nil
	}
	stated, err := f.s.stated(ctx, b, i)
	if err != nil {
		return err
	}
	var last *edge
	for _, p := range f.s.track(fk.Parent, stated, from, to) {
		parent, err := f.parent(ctx, p, b.from)
		if err != nil {
			return err
		}
		if last != nil && last.parent == parent {
			last.pieces = append(last.pieces, p)
			continue
		}
		last = newEdge(n, parent, i, fk)
		last.pieces = []Interval{p}
		n.up = append(n.up, last)
		parent.down = append(parent.down, last)
	}
	for _, g := range n.up {
		f.s.alias(g)
	}
	return nil
}

func newEdge(child, parent *node, epoch int, fk *db.ForeignKey) *edge {
	g := &edge{
		child: child, parent: parent, fk: fk, epoch: epoch, onDelete: action(fk.OnDelete), update: action(fk.OnUpdate),
		first: never, cols: map[*db.Table][]int{}, open: map[string]struct{}{},
	}
	t := child.basis.epochs[epoch].def.Table
	for _, name := range fk.ChildColumns {
		if c := t.Index(name); c >= 0 && collated(&t.Columns[c]) {
			g.text = true
		}
	}
	return g
}

// stated is the moment whose names the foreign keys of an epoch's definition use: the server
// renames a reference with its parent, and nothing says so in the child's definition.
func (s *story) stated(ctx context.Context, b *basis, i int) (history.Seq, error) {
	if i > 0 {
		return b.epochs[i].from, nil
	}
	if b.base == nil && b.line.stop.Kind == history.Created {
		return b.line.floor, nil
	}
	older := s.walk(b.line.nameAt(b.from), b.from, s.before(b.from), func(e *history.Event) bool {
		return e.Kind != history.Truncated && e.Kind != history.Lost
	})
	if e := older.stop; e != nil && e.Definition == b.epochs[0].def.ID {
		return e.Seq, nil
	}
	// The oldest snapshot with the very same definition is where it was asked for.
	seq := b.from
	for _, p := range older.pieces {
		list, err := s.snapshots(ctx, p.Name)
		if err != nil {
			return 0, fmt.Errorf("list snapshots of %s: %w", p.Name, err)
		}
		for k := range list {
			c := &list[k]
			if c.Definition == b.epochs[0].def.ID && c.Start >= older.floor && c.End >= p.From && c.End <= p.To {
				seq = min(seq, c.Start)
			}
		}
	}
	return seq, nil
}

// track follows what a definition of the moment stated calls name through the transactions
// from..to.
func (s *story) track(name db.Name, stated, from, to history.Seq) []Interval {
	var out []Interval
	begin := from
	cut := func(seq history.Seq) {
		if seq > begin && seq <= to {
			out = append(out, Interval{name, begin, seq - 1})
			begin = seq
		}
	}
	name = s.renamedBy(name, stated)
	for i := s.before(stated); i < len(s.events) && s.events[i].Seq <= to; i++ {
		e := &s.events[i]
		switch {
		case e.Kind == history.Renamed && e.Table == name:
			cut(e.Seq)
			name = e.To
		case e.Kind == history.Renamed && e.To == name,
			ends(e) && e.Table == name:
			cut(e.Seq)
		}
	}
	return append(out, Interval{name, begin, to})
}

// renamedBy is what a table is called at a moment when a definition still has an old name.
func (s *story) renamedBy(name db.Name, seq history.Seq) db.Name {
	n := s.before(seq)
	for i := n - 1; i >= 0; i-- {
		e := &s.events[i]
		switch {
		case e.Kind == history.Renamed && e.To == name, e.Table == name && e.Kind != history.Renamed && e.Kind != history.Dropped:
			return name
		case e.Kind == history.Renamed && e.Table == name:
			name = e.To
			for _, later := range s.events[i+1 : n] {
				if later.Kind == history.Renamed && later.Table == name {
					name = later.To
				}
			}
			return name
		}
	}
	return name
}

// parent is the node of the table that a piece of a track names.
func (f *fold) parent(ctx context.Context, p Interval, need history.Seq) (*node, error) {
	l := f.s.birth(p.Name, p.To)
	mark := birthmark{l.name, l.at}
	if n := f.nodes[mark]; n != nil {
		f.cyclic = f.cyclic || f.busy[n]
		n.need = min(n.need, need)
		return n, nil
	}
	name, end := f.s.fate(p.Name, p.To, f.t.Cut)
	n := &node{name: name, need: need}
	f.nodes[mark] = n
	rows := f.s.rows(name, end)
	var err error
	if !rows.missing() && len(rows.pieces) > 0 {
		var nr *NotRestorableError
		if n.basis, err = f.s.basis(ctx, rows, need, end); err != nil && !errors.As(err, &nr) {
			return nil, err
		}
		if n.basis == nil {
			first, err := f.s.firstBase(ctx, rows)
			if err != nil {
				return nil, err
			}
			if first != nil && first.End <= end {
				if n.basis, err = f.s.since(ctx, rows, first, end); err != nil {
					return nil, err
				}
			}
		}
	}
	return n, f.grow(ctx, n)
}

// alias notes under which other names the referenced columns went in the parent's life.
func (s *story) alias(g *edge) {
	if g.aliases != nil {
		return
	}
	g.aliases = make([][]string, len(g.fk.ParentColumns))
	if g.parent.basis == nil {
		return
	}
	for i, name := range g.fk.ParentColumns {
		g.aliases[i] = aliases(g.parent.basis.epochs, name)
	}
}

// aliases are all names of the column that is called name at some time.
func aliases(epochs []epoch, name string) []string {
	var out []string
	for i := range epochs {
		c := epochs[i].def.Table.Index(name)
		for k := i; c >= 0 && k+1 < len(epochs); k++ {
			c = slices.IndexFunc(epochs[k+1].columns, func(f history.ColumnFrom) bool { return f.Old == c })
			if c >= 0 {
				out = append(out, epochs[k+1].def.Table.Columns[c].Name)
			}
		}
		c = epochs[i].def.Table.Index(name)
		for k := i; c >= 0 && k > 0; k-- {
			if c = epochs[k].columns[c].Old; c >= 0 {
				out = append(out, epochs[k-1].def.Table.Columns[c].Name)
			}
		}
	}
	return slices.Compact(out)
}
