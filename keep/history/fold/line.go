package fold

import (
	"context"
	"math"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Interval is a stretch of transactions, both ends included, in which a table had one name.
type Interval struct {
	Name     db.Name
	From, To history.Seq
}

const never = history.Seq(math.MaxUint64)

// story is all that happened to the tables of a past.
type story struct {
	past        history.Past
	events      []history.Event
	snaps       map[db.Name][]history.Snapshot
	definitions map[string]*history.Definition
}

func newStory(ctx context.Context, past history.Past) (*story, error) {
	events, err := past.Events(ctx, 0, never)
	if err != nil {
		return nil, err
	}
	return &story{
		past: past, events: events,
		snaps:       map[db.Name][]history.Snapshot{},
		definitions: map[string]*history.Definition{},
	}, nil
}

func (s *story) snapshots(ctx context.Context, name db.Name) ([]history.Snapshot, error) {
	if list, ok := s.snaps[name]; ok {
		return list, nil
	}
	list, err := s.past.Snapshots(ctx, name)
	if err != nil {
		return nil, err
	}
	s.snaps[name] = list
	return list, nil
}

func (s *story) definition(ctx context.Context, id string) (*history.Definition, error) {
	if d, ok := s.definitions[id]; ok {
		return d, nil
	}
	d, err := s.past.Definition(ctx, id)
	if err != nil {
		return nil, err
	}
	s.definitions[id] = d
	return d, nil
}

// before is how many events have a Seq of at most seq.
func (s *story) before(seq history.Seq) int {
	i, _ := slices.BinarySearchFunc(s.events, seq, func(e history.Event, seq history.Seq) int {
		if e.Seq <= seq {
			return -1
		}
		return 1
	})
	return i
}

// line is a table followed backward from a moment.
type line struct {
	pieces []Interval       // oldest first; the first begins at floor
	alters []*history.Event // oldest first, all after floor
	floor  history.Seq      // what was before does not count: a base begins here or later
	// stop is the event the line ends at; nil when it goes back to the beginning.
	stop *history.Event
	at   int // index of stop, or -1
	name db.Name
}

// empty says that the table is known to be without rows at the floor.
func (l *line) empty() bool {
	return l.stop != nil && (l.stop.Kind == history.Created || l.stop.Kind == history.Truncated)
}

// missing says that there was no such table at the end of the line.
func (l *line) missing() bool {
	return l.stop != nil && (l.stop.Kind == history.Dropped || l.stop.Kind == history.Renamed)
}

// touches says that the event is one of the table called name.
func touches(e *history.Event, name db.Name) bool {
	return e.Table == name || e.Kind == history.Lost && e.Table == db.Name{}
}

// walk follows the table called name at the moment at backward through the first n events,
// until whole says stop.
func (s *story) walk(name db.Name, at history.Seq, n int, ends func(*history.Event) bool) *line {
	l := &line{name: name, at: -1}
	to := at
	for i := n - 1; i >= 0; i-- {
		e := &s.events[i]
		if e.Kind == history.Renamed && e.To == l.name {
			l.piece(e.Seq, to)
			l.name, to = e.Table, e.Seq-1
			continue
		}
		if !touches(e, l.name) {
			continue
		}
		if ends(e) {
			l.stop, l.at, l.floor = e, i, e.Seq
			break
		}
		if e.Kind == history.Altered {
			l.alters = append(l.alters, e)
		}
	}
	l.piece(l.floor, to)
	slices.Reverse(l.pieces)
	slices.Reverse(l.alters)
	return l
}

func (l *line) piece(from, to history.Seq) {
	if from <= to {
		l.pieces = append(l.pieces, Interval{l.name, from, to})
	}
}

// rows follows a table back to where its rows are known or lost.
func (s *story) rows(name db.Name, at history.Seq) *line {
	return s.walk(name, at, s.before(at), func(e *history.Event) bool { return e.Kind != history.Altered })
}

// birth follows a table back to where it was made or emptied; that tells it apart from others.
func (s *story) birth(name db.Name, at history.Seq) *line {
	return s.walk(name, at, s.before(at), func(e *history.Event) bool {
		return e.Kind != history.Altered && e.Kind != history.Lost
	})
}

// ends says that the rows its table had are gone.
func ends(e *history.Event) bool {
	return e.Kind == history.Dropped || e.Kind == history.Created || e.Kind == history.Truncated
}

// fate follows the table called name at the moment at forward to what it is called at the
// moment end, or was when its rows went.
func (s *story) fate(name db.Name, at, end history.Seq) (db.Name, history.Seq) {
	for i := s.before(at); i < len(s.events) && s.events[i].Seq <= end; i++ {
		e := &s.events[i]
		switch {
		case e.Kind == history.Renamed && e.Table == name:
			name = e.To
		case ends(e) && e.Table == name,
			e.Kind == history.Renamed && e.To == name:
			return name, e.Seq - 1
		}
	}
	return name, end
}

// nameAt is what the table was called just after a transaction.
func (l *line) nameAt(seq history.Seq) db.Name {
	for _, p := range l.pieces {
		if seq <= p.To {
			return p.Name
		}
	}
	return l.name
}
