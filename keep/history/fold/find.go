package fold

import (
	"context"
	"fmt"
	"slices"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Options says what a fold may use.
type Options struct {
	Dir    string // where temporary files lie; "" is the system's place
	Memory int    // bytes each sort may hold in memory; 0 is the default of extsort
}

// Table is a table at a cut, and where its rows come from.
type Table struct {
	Name       db.Name // at the cut
	Cut        history.Seq
	Definition *history.Definition // at the cut
	// Base is the snapshot its rows start from; nil when it was empty after From.
	Base *history.Snapshot
	// From is the transaction after which changes count.
	From history.Seq
	// Lineage is what the table was called from From to the cut, oldest first.
	Lineage []Interval
	// Exact says that nothing is known that could make the rows differ from the table's at the
	// cut; else Warnings says what. Both are complete when Rows is at its end.
	Exact    bool
	Warnings []string

	story *story
	opt   Options
	own   *basis
}

// basis is where a table's rows are known and how its shape went on from there.
type basis struct {
	line   *line
	base   *history.Snapshot
	from   history.Seq
	to     history.Seq
	epochs []epoch
}

// Find decides where the rows of the table called name at a cut come from. It reads events,
// definitions and what snapshots there are, no rows. A table that was not there or whose rows
// cannot be told is a lull.Error; a NotRestorableError in it has the nearest moments.
func Find(ctx context.Context, past history.Past, name db.Name, cut history.Seq, opt Options) (*Table, error) {
	s, err := newStory(ctx, past)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	l := s.rows(name, cut)
	if l.missing() {
		return nil, s.gone(ctx, name, cut, l)
	}
	b, err := s.basis(ctx, l, cut, cut)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, s.noBase(ctx, name, cut, l)
	}
	t := &Table{
		Name: name, Cut: cut, Definition: b.epochs[len(b.epochs)-1].def, Base: b.base, From: b.from,
		Exact: true, story: s, opt: opt, own: b,
	}
	for _, p := range l.pieces {
		if p.To > b.from || len(l.pieces) == 1 {
			p.From = max(p.From, min(b.from+1, p.To))
			t.Lineage = append(t.Lineage, p)
		}
	}
	return t, nil
}

// basis picks the newest snapshot that ends at need or earlier, or the moment the table was
// empty; nil when there is neither.
func (s *story) basis(ctx context.Context, l *line, need, to history.Seq) (*basis, error) {
	for _, p := range slices.Backward(l.pieces) {
		list, err := s.snapshots(ctx, p.Name)
		if err != nil {
			return nil, fmt.Errorf("list snapshots of %s: %w", p.Name, err)
		}
		best, err := s.bestOf(ctx, l, p, list, need)
		if err != nil {
			return nil, err
		}
		if best != nil {
			return s.since(ctx, l, best, to)
		}
	}
	if !l.empty() {
		return nil, nil
	}
	return s.since(ctx, l, nil, to)
}

func (s *story) bestOf(ctx context.Context, l *line, p Interval, list []history.Snapshot, need history.Seq) (*history.Snapshot, error) {
	var best *history.Snapshot
	for k := range list {
		c := &list[k]
		if !usable(c, l, p, need) || best != nil && !better(c, best) {
			continue
		}
		ok, err := s.holds(ctx, l, c)
		if err != nil {
			return nil, err
		}
		if ok {
			best = c
		}
	}
	return best, nil
}

func usable(c *history.Snapshot, l *line, p Interval, need history.Seq) bool {
	return c.End >= p.From && c.End <= p.To && c.End <= need && c.Start >= l.floor && c.Start <= c.End
}

// better prefers the newer snapshot, and of two that end together the one with less to repeat.
func better(c, d *history.Snapshot) bool {
	return c.End > d.End || c.End == d.End && c.Start > d.Start
}

// holds says that a snapshot's rows can be started from: rows read at different moments are no
// use without a key, or when the key changed meanwhile.
func (s *story) holds(ctx context.Context, l *line, c *history.Snapshot) (bool, error) {
	if c.Start == c.End {
		return true, nil
	}
	b, err := s.since(ctx, l, c, c.End)
	if err != nil {
		return false, err
	}
	segs := segments(b.epochs, nil)
	return len(segs) == 1 && segs[0].key != nil, nil
}

// since lists the shapes a table has had since a base; base nil is the floor of its line.
func (s *story) since(ctx context.Context, l *line, base *history.Snapshot, to history.Seq) (*basis, error) {
	b := &basis{line: l, base: base, to: to}
	id := ""
	if base != nil {
		b.from, id = base.Start, base.Definition
	} else {
		b.from = l.floor - min(l.floor, 1)
	}
	alters := l.alters
	for len(alters) > 0 && alters[0].Seq <= b.from {
		alters = alters[1:]
	}
	for len(alters) > 0 && alters[len(alters)-1].Seq > to {
		alters = alters[:len(alters)-1]
	}
	first, err := s.firstShape(ctx, l, b, alters, id)
	if err != nil {
		return nil, err
	}
	b.epochs = []epoch{{from: b.from, def: first}}
	for _, e := range alters {
		d, err := s.definition(ctx, e.Definition)
		if err != nil {
			return nil, fmt.Errorf("read definition of %s: %w", l.name, err)
		}
		if !fits(e.Columns, b.epochs[len(b.epochs)-1].def.Table, d.Table) {
			return nil, lull.Errorf(lull.Failed, "lull backup verify says what else is damaged",
				"fold %s: the ALTER at transaction %d does not say where its columns come from", l.name, e.Seq)
		}
		b.epochs = append(b.epochs, epoch{from: e.Seq, def: d, columns: e.Columns})
	}
	return b, nil
}

// firstShape is the definition in force just after b.from.
func (s *story) firstShape(ctx context.Context, l *line, b *basis, alters []*history.Event, id string) (*history.Definition, error) {
	switch {
	case len(alters) > 0 && alters[0].Was != "":
		id = alters[0].Was
	case b.base == nil && l.stop.Kind == history.Created:
		id = l.stop.Definition
	case b.base == nil:
		var err error
		if id, err = s.shapeBefore(ctx, l); err != nil {
			return nil, err
		}
	}
	d, err := s.definition(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read definition of %s: %w", l.name, err)
	}
	return d, nil
}

// shapeBefore is the definition's id that a truncated table had.
func (s *story) shapeBefore(ctx context.Context, l *line) (string, error) {
	older := s.walk(l.name, l.floor, l.at, func(e *history.Event) bool {
		return e.Kind != history.Truncated && e.Kind != history.Lost
	})
	if e := older.stop; e != nil && e.Definition != "" {
		return e.Definition, nil
	}
	for _, p := range slices.Backward(older.pieces) {
		list, err := s.snapshots(ctx, p.Name)
		if err != nil {
			return "", err
		}
		for k := range list {
			if c := &list[k]; c.End >= p.From && c.End <= p.To {
				return c.Definition, nil
			}
		}
	}
	return "", lull.Errorf(lull.Usage, "give a time after its first snapshot", "%w", &NotRestorableError{
		Table: l.name, Cut: l.floor, Reason: "nothing says what columns it had when it was truncated",
	})
}
