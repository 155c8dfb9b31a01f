package repo

import (
	"context"
	"fmt"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Events implements history.Past. Where the chain begins behind after, or has a hole, there is an
// event of kind history.Lost for all tables.
func (r *Repo) Events(ctx context.Context, after, upto history.Seq) ([]history.Event, error) {
	var out []history.Event
	err := r.onChain(ctx, upto, func(c *chain) error {
		var err error
		out, err = r.events(ctx, c, after, upto)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", r, err)
	}
	return out, nil
}

func (r *Repo) events(ctx context.Context, c *chain, after, upto history.Seq) ([]history.Event, error) {
	logs, err := r.span(ctx, c, after, upto)
	if err != nil || len(logs) == 0 {
		return nil, err
	}
	ends, err := r.summaries(ctx, logs)
	if err != nil {
		return nil, err
	}
	out, err := r.lostBefore(ctx, c, logs[0], ends[0], after)
	if err != nil {
		return nil, err
	}
	within := func(e *history.Event) bool { return e.Seq > after && e.Seq <= upto }
	err = ahead(ctx, len(logs), atOnce, func(ctx context.Context, i int) ([]history.Event, error) {
		if !ends[i].events {
			return nil, nil
		}
		return r.eventsOf(ctx, logs[i])
	}, func(i int, events []history.Event) error {
		if i > 0 {
			if h := r.hole(logs[i-1], logs[i], ends[i-1], ends[i]); h != nil {
				events = append([]history.Event{h.lost()}, events...)
			}
		}
		for k := range events {
			if within(&events[k]) {
				out = append(out, events[k])
			}
		}
		return nil
	})
	return out, err
}

// lostBefore is the event that stands for what is missing before the first pack of a span.
func (r *Repo) lostBefore(ctx context.Context, c *chain, l Log, s *summary, after history.Seq) ([]history.Event, error) {
	i := slices.IndexFunc(c.logs, func(have Log) bool { return have.Name == l.Name })
	h := &Hole{Before: s.First, Until: s.MinAt, Reason: "history begins here"}
	if i > 0 {
		before, err := r.summary(ctx, c.logs[i-1])
		if err != nil {
			return nil, err
		}
		h = r.hole(c.logs[i-1], l, before, s)
	}
	if h == nil || s.First == 1 || s.First-1 <= after {
		return nil, nil
	}
	return []history.Event{h.lost()}, nil
}

// lost is the event that stands for a hole.
func (h *Hole) lost() history.Event {
	at := h.Since
	if at.IsZero() {
		at = h.Until
	}
	return history.Event{Seq: h.Before - 1, At: at, Kind: history.Lost, Reason: h.Reason}
}

func (r *Repo) eventsOf(ctx context.Context, l Log) ([]history.Event, error) {
	var out []history.Event
	err := r.eachMember(ctx, l, func(m *pack.Member) bool { return m.Kind == pack.Events }, func(_ *pack.Member, payload []byte) error {
		return pack.EachEvent(payload, func(e *history.Event) error {
			out = append(out, *e)
			return nil
		})
	})
	return out, err
}

// eachMember hands the payloads of a log pack's members that are wanted to fn, in order.
func (r *Repo) eachMember(ctx context.Context, l Log, want func(*pack.Member) bool, fn func(*pack.Member, []byte) error) error {
	o, err := r.openLog(ctx, l)
	if err != nil {
		return err
	}
	groups := o.groups(want)
	for i := range groups {
		got, err := o.payloads(ctx, &groups[i])
		if err != nil {
			return fmt.Errorf("read %s: %w", l.Name, err)
		}
		for k, m := range groups[i].members {
			if err := fn(&o.Index().Members[m], got[k]); err != nil {
				return fmt.Errorf("read %s: %w", l.Name, err)
			}
		}
	}
	return nil
}

const (
	// maxGroup is how many stored bytes are fetched in one piece, maxRaw how many they may
	// become, and maxSkip how many in between are fetched in vain.
	maxGroup = 8 << 20
	maxRaw   = 32 << 20
	maxSkip  = 128 << 10
)

// group is members that lie close to each other.
type group struct {
	members  []int
	off, end int64
	raw      int64
}

// groups are the members that are wanted, as they are best fetched.
func (o *opened) groups(want func(*pack.Member) bool) []group {
	var out []group
	for i := range o.Index().Members {
		m := &o.Index().Members[i]
		if !want(m) {
			continue
		}
		end := m.Offset + m.Size
		if k := len(out) - 1; k >= 0 && m.Offset-out[k].end <= maxSkip && end-out[k].off <= maxGroup && out[k].raw+m.Raw <= maxRaw {
			out[k].members, out[k].end, out[k].raw = append(out[k].members, i), end, out[k].raw+m.Raw
			continue
		}
		out = append(out, group{[]int{i}, m.Offset, end, m.Raw})
	}
	return out
}

// payloads reads a group.
func (o *opened) payloads(ctx context.Context, g *group) ([][]byte, error) {
	release, err := o.src.hold(ctx, g.off, g.end-g.off)
	if err != nil {
		return nil, err
	}
	defer release()
	out := make([][]byte, len(g.members))
	for k, i := range g.members {
		if out[k], err = o.Payload(ctx, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Definition implements history.Past.
func (r *Repo) Definition(ctx context.Context, id string) (*history.Definition, error) {
	if d := r.knownDefinition(id); d != nil {
		return d, nil
	}
	err := r.onChain(ctx, 0, func(c *chain) error { return r.findDefinition(ctx, c, id) })
	if err == nil && r.knownDefinition(id) == nil {
		// It may be newer than the chain that is known.
		err = r.onChain(ctx, endless, func(c *chain) error { return r.findDefinition(ctx, c, id) })
	}
	if err != nil {
		return nil, fmt.Errorf("read definition %s of %s: %w", id, r, err)
	}
	if d := r.knownDefinition(id); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("read definition %s of %s: it is not in the repository", id, r)
}

func (r *Repo) knownDefinition(id string) *history.Definition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.definitions[id]
}

func (r *Repo) learn(d *history.Definition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions[d.ID] = d
}

func (r *Repo) findDefinition(ctx context.Context, c *chain, id string) error {
	if found, err := r.definitionOfSnapshot(ctx, id); found || err != nil {
		return err
	}
	for rest := c.logs; len(rest) > 0; {
		some := rest[max(0, len(rest)-atOnce):]
		rest = rest[:len(rest)-len(some)]
		ends, err := r.summaries(ctx, some)
		if err != nil {
			return err
		}
		for i, l := range slices.Backward(some) {
			if !ends[i].definitions {
				continue
			}
			if found, err := r.definitionOfLog(ctx, l, id); found || err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Repo) definitionOfLog(ctx context.Context, l Log, id string) (bool, error) {
	ix, err := r.LogIndex(ctx, l)
	if err != nil {
		return false, err
	}
	has := func(m *pack.Member) bool { return m.Kind == pack.Definitions && slices.Contains(m.IDs, id) }
	if !slices.ContainsFunc(ix.Members, func(m pack.Member) bool { return has(&m) }) {
		return false, nil
	}
	err = r.eachMember(ctx, l, has, func(_ *pack.Member, payload []byte) error { return r.learnAll(payload) })
	return r.knownDefinition(id) != nil, err
}

func (r *Repo) learnAll(payload []byte) error {
	return pack.EachDefinition(payload, func(d *history.Definition) error {
		r.learn(d)
		return nil
	})
}

// tableSet tells whether a table was asked for.
func tableSet(tables []db.Name) func(db.Name) bool {
	set := make(map[db.Name]bool, len(tables))
	for _, t := range tables {
		set[t] = true
	}
	return func(n db.Name) bool { return set[n] }
}
