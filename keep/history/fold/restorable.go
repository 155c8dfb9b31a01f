package fold

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/typo"
	"github.com/lull-ops/lull/keep/history"
)

// Span is a stretch of transactions, both ends included, after each of which a table's rows
// can be restored.
type Span struct {
	From, To history.Seq
	// FromAt and ToAt are the times of the first and of what ended it, zero where nothing tells.
	FromAt, ToAt time.Time
	Name         db.Name // the table's in it
	// Gap says why the time before it is missing; "" when another span goes right before it.
	Gap string
}

// Restorable lists the spans up to transaction end in which the table called name then, or the
// ones that had its name before, can be restored; oldest first, none when it cannot be at all.
func Restorable(ctx context.Context, past history.Past, name db.Name, end history.Seq) ([]Span, error) {
	s, err := newStory(ctx, past)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return s.restorable(ctx, name, end)
}

func (s *story) restorable(ctx context.Context, name db.Name, end history.Seq) ([]Span, error) {
	var spans []Span // newest first
	n, to, toAt := s.before(end), end, time.Time{}
	for {
		l := s.walk(name, to, n, func(e *history.Event) bool { return e.Kind != history.Altered })
		if !l.missing() && len(l.pieces) > 0 {
			got, err := s.spansOf(ctx, l, toAt)
			if err != nil {
				return nil, err
			}
			spans = append(spans, got...)
		}
		if l.stop == nil {
			break
		}
		name, n, to, toAt = l.name, l.at, l.stop.Seq, l.stop.At
		if to == 0 {
			break
		}
		to-- // behind the event itself the rows are lost, or another table's
	}
	slices.Reverse(spans)
	return spans, nil
}

// spansOf lists the spans of one line, newest first: one for each name.
func (s *story) spansOf(ctx context.Context, l *line, toAt time.Time) ([]Span, error) {
	var from history.Seq
	var fromAt time.Time
	gap := "history begins there"
	if l.empty() {
		from, fromAt, gap = l.floor, l.stop.At, ""
	} else {
		first, err := s.firstBase(ctx, l)
		if err != nil || first == nil {
			return nil, err
		}
		from, fromAt = first.End, first.At
	}
	if l.stop != nil {
		gap = reason(l.stop)
	}
	var spans []Span
	for i := len(l.pieces) - 1; i >= 0 && l.pieces[i].To >= from; i-- {
		p := l.pieces[i]
		sp := Span{From: p.From, To: p.To, Name: p.Name, ToAt: toAt, FromAt: s.timeOf(p.From)}
		if from >= p.From {
			sp.From, sp.FromAt, sp.Gap = from, fromAt, gap
		}
		spans = append(spans, sp)
		toAt = sp.FromAt
	}
	return spans, nil
}

func reason(e *history.Event) string {
	switch e.Kind {
	case history.Lost:
		if e.Reason == "" {
			return "the log does not tell its rows at " + when(e.At)
		}
		return e.Reason
	case history.Truncated:
		return ""
	}
	return ""
}

// firstBase is the oldest snapshot that a line can start from.
func (s *story) firstBase(ctx context.Context, l *line) (*history.Snapshot, error) {
	var first *history.Snapshot
	for _, p := range l.pieces {
		list, err := s.snapshots(ctx, p.Name)
		if err != nil {
			return nil, fmt.Errorf("list snapshots of %s: %w", p.Name, err)
		}
		for k := range list {
			c := &list[k]
			if !usable(c, l, p, never) || first != nil && first.End <= c.End {
				continue
			}
			ok, err := s.holds(ctx, l, c)
			if err != nil {
				return nil, err
			}
			if ok {
				first = c
			}
		}
	}
	return first, nil
}

// timeOf is the time of an event at the transaction.
func (s *story) timeOf(seq history.Seq) time.Time {
	if i := s.before(seq); i > 0 && s.events[i-1].Seq == seq {
		return s.events[i-1].At
	}
	return time.Time{}
}

// around finds the nearest restorable moments.
func (s *story) around(ctx context.Context, name db.Name, cut history.Seq, why string) (*NotRestorableError, error) {
	e := &NotRestorableError{Table: name, Cut: cut, Reason: why}
	spans, err := s.restorable(ctx, name, cut)
	if err != nil {
		return nil, err
	}
	later, err := s.restorable(ctx, name, never)
	if err != nil {
		return nil, err
	}
	for _, sp := range append(spans, later...) {
		if sp.To < cut && (e.Before == nil || e.Before.Seq < sp.To) {
			e.Before = &Moment{sp.To, sp.ToAt}
		}
		if sp.From > cut && (e.After == nil || e.After.Seq > sp.From) {
			e.After = &Moment{sp.From, sp.FromAt}
		}
	}
	return e, nil
}

// noBase says why a table that was there cannot be restored.
func (s *story) noBase(ctx context.Context, name db.Name, cut history.Seq, l *line) error {
	known, err := s.known(ctx)
	if err != nil {
		return err
	}
	if !known[name] {
		return s.unknown(name, cut, known)
	}
	if !s.there(name, cut, known) {
		return s.notYet(ctx, name, cut)
	}
	why := "no snapshot of it was complete by then"
	if l.stop != nil && l.stop.Kind == history.Lost {
		why = reason(l.stop) + ", and no snapshot since was complete by then"
	}
	e, err := s.around(ctx, name, cut, why)
	if err != nil {
		return err
	}
	return lull.Errorf(lull.Usage, "lull backup list says what can be restored", "%w", e)
}

// gone says that the table of that name had ended before the cut.
func (s *story) gone(ctx context.Context, name db.Name, cut history.Seq, l *line) error {
	e, err := s.around(ctx, name, cut, "")
	if err != nil {
		return err
	}
	hint := "give a time before that"
	if l.stop.Kind == history.Renamed {
		e.Reason = fmt.Sprintf("it is called %s since %s", l.stop.To, when(l.stop.At))
		hint = "give it as " + l.stop.To.String()
		return lull.Errorf(lull.Usage, hint, "%w", e)
	}
	e.Reason = "it was dropped at " + when(l.stop.At)
	if e.Before != nil {
		e.Reason += "; restorable until just before it"
	}
	return lull.Errorf(lull.Usage, hint, "%w", e)
}

// notYet is for a name that only came up after the cut.
func (s *story) notYet(ctx context.Context, name db.Name, cut history.Seq) error {
	for i := s.before(cut); i < len(s.events); i++ {
		e := &s.events[i]
		if e.Kind == history.Renamed && e.To == name {
			old := s.nameBefore(e.Table, cut, i)
			return lull.Errorf(lull.Usage, "give it as "+old.String(), "there was no table %s then: it was called %s until %s", name, old, when(e.At))
		}
		if e.Kind == history.Created && e.Table == name {
			n, err := s.around(ctx, name, cut, "it was created at "+when(e.At))
			if err != nil {
				return err
			}
			return lull.Errorf(lull.Usage, "give a time after that", "%w", n)
		}
	}
	return lull.Errorf(lull.Usage, "", "there was no table %s at transaction %d", name, cut)
}

// nameBefore is what the table called name before event n was called at the cut.
func (s *story) nameBefore(name db.Name, cut history.Seq, n int) db.Name {
	for i := n - 1; i >= 0 && s.events[i].Seq > cut; i-- {
		if e := &s.events[i]; e.Kind == history.Renamed && e.To == name {
			name = e.Table
		}
	}
	return name
}

func (s *story) unknown(name db.Name, cut history.Seq, known map[db.Name]bool) error {
	var near []string
	for n := range known {
		if typo.Distance(strings.ToLower(n.String()), strings.ToLower(name.String())) <= 2 || n.Table == name.Table {
			near = append(near, n.String())
		}
	}
	slices.Sort(near)
	hint := "lull backup list says which tables there are"
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near[:min(3, len(near))], " or ") + "?"
	}
	return lull.Errorf(lull.Usage, hint, "there was no table %s at transaction %d, nor at any other time", name, cut)
}

// known are all names that any snapshot or event has.
func (s *story) known(ctx context.Context) (map[db.Name]bool, error) {
	list, err := s.past.Snapshots(ctx, db.Name{})
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	known := map[db.Name]bool{}
	for i := range list {
		known[list[i].Table] = true
	}
	for i := range s.events {
		known[s.events[i].Table] = true
		known[s.events[i].To] = true
	}
	delete(known, db.Name{})
	return known, nil
}

// there says that a table of a known name was there at the cut.
func (s *story) there(name db.Name, cut history.Seq, known map[db.Name]bool) bool {
	n := s.before(cut)
	for i := n - 1; i >= 0; i-- {
		e := &s.events[i]
		switch {
		case e.Kind == history.Renamed && e.To == name:
			return true
		case e.Table == name && e.Kind != history.Lost:
			return e.Kind != history.Dropped && e.Kind != history.Renamed
		}
	}
	// Nothing happened to it up to the cut: what happens next tells.
	for i := n; i < len(s.events); i++ {
		e := &s.events[i]
		switch {
		case e.Kind == history.Renamed && e.To == name:
			return false
		case e.Table == name && e.Kind != history.Lost:
			return e.Kind != history.Created
		}
	}
	return known[name]
}

// List names the tables there are at a cut, in order of their names, restorable or not.
func List(ctx context.Context, past history.Past, cut history.Seq) ([]db.Name, error) {
	s, err := newStory(ctx, past)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	known, err := s.known(ctx)
	if err != nil {
		return nil, err
	}
	var names []db.Name
	for name := range known {
		if s.there(name, cut, known) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b db.Name) int { return strings.Compare(a.String(), b.String()) })
	return names, nil
}
