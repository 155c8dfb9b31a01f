package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Nothing is deleted at once. What is not needed is condemned: its name goes into a document
// below gc/, and a later run deletes it once that is old enough, if it is still not needed. So
// whoever began to read it before can finish.

// Doomed is an object that is not needed.
type Doomed struct {
	Name   string // in the store
	Size   int64
	Reason string
}

// gcDocument is a document below gc/.
type gcDocument struct {
	Version int       `json:"lull-gc"`
	At      time.Time `json:"at"`
	Names   []string  `json:"names"` // below "<database>/"
}

// sentence is a gcDocument and its name.
type sentence struct {
	name string
	gcDocument
}

// sentences are the documents there are, oldest first. A damaged one only loses time: it is
// removed, and what it names is condemned again.
func (r *Repo) sentences(ctx context.Context) ([]sentence, error) {
	var out []sentence
	for info, err := range r.store.List(ctx, r.name(gcDir)) {
		if err != nil {
			return nil, fmt.Errorf("list what is condemned in %s: %w", r, err)
		}
		at, ok := parseGCName(strings.TrimPrefix(info.Name, r.name("")))
		if !ok {
			continue
		}
		s := sentence{name: info.Name}
		text, err := readAll(ctx, r.store, info.Name, maxDocument)
		if err == nil {
			err = openDocument(text, &s.gcDocument)
		}
		_, damaged := errors.AsType[*pack.CorruptError](err)
		switch {
		case errors.Is(err, blob.ErrNotFound):
			continue
		case damaged:
			s.gcDocument = gcDocument{}
		case err != nil:
			return nil, fmt.Errorf("read what is condemned in %s: %w", r, err)
		}
		s.At = at
		out = append(out, s)
	}
	return out, nil
}

// condemn stores the names of objects that are not condemned yet.
func (r *Repo) condemn(ctx context.Context, names []string, now time.Time) error {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	text, err := sealDocument(&gcDocument{Version: 1, At: now.UTC(), Names: names})
	if err != nil {
		return err
	}
	for try := range 100 {
		name := r.name(gcName(now.Add(time.Duration(try) * time.Microsecond)))
		if err = r.put(ctx, name, bytes.NewReader(text), int64(len(text))); !errors.Is(err, blob.ErrExists) {
			break
		}
	}
	return err
}

// condemnCovered condemns log packs that wider ones stand for.
func (r *Repo) condemnCovered(ctx context.Context, c *chain, now time.Time) error {
	all, err := r.sentences(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range all {
		for _, n := range all[i].Names {
			known[n] = true
		}
	}
	var names []string
	for _, l := range c.covered {
		if rest := strings.TrimPrefix(l.Name, r.name("")); !known[rest] {
			names = append(names, rest)
		}
	}
	return r.condemn(ctx, names, now)
}

// collect deletes what was condemned long enough ago and is still not needed, and condemns the
// rest of what is not needed. excess is by the name below "<database>/".
func (r *Repo) collect(ctx context.Context, excess map[string]Doomed, now time.Time, grace time.Duration, plan *Plan) error {
	all, err := r.sentences(ctx)
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	var again []string
	for i := range all {
		s := &all[i]
		if s.At.Add(grace).After(now) && s.Version == 1 {
			for _, n := range s.Names {
				waiting[n] = true
			}
			continue
		}
		refused, err := r.execute(ctx, s.Names, excess, plan)
		if err != nil {
			return err
		}
		again = append(again, refused...)
		for _, n := range refused {
			waiting[n] = true
		}
		if err := r.condemn(ctx, refused, now); err != nil {
			return err
		}
		if err := r.store.Delete(ctx, s.name); err != nil && !isRefusal(ctx, err) {
			return err
		}
	}
	plan.Refused = len(again)
	var names []string
	for name, d := range excess {
		switch {
		case !waiting[name]:
			names = append(names, name)
			plan.Condemned = append(plan.Condemned, d)
		default:
			plan.Waiting++
		}
	}
	slices.SortFunc(plan.Condemned, func(a, b Doomed) int { return strings.Compare(a.Name, b.Name) })
	return r.condemn(ctx, names, now)
}

// execute deletes the names that are still not needed, and returns those the store refused to
// delete. Deleted ones leave excess.
func (r *Repo) execute(ctx context.Context, names []string, excess map[string]Doomed, plan *Plan) (refused []string, err error) {
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		// A snapshot loses its document before its parts, the log its oldest packs first.
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		d, ok := excess[n]
		if !ok {
			continue
		}
		err := r.store.Delete(ctx, r.name(n))
		switch {
		case err == nil:
			plan.Deleted = append(plan.Deleted, d)
			delete(excess, n)
		case isRefusal(ctx, err):
			refused = append(refused, n)
		default:
			return nil, fmt.Errorf("delete what is not needed in %s: %w", r, err)
		}
	}
	return refused, nil
}

func rank(name string) int {
	if strings.HasSuffix(name, "/"+snapshotName) {
		return 0
	}
	return 1
}

// isRefusal says that a store does not want to delete an object, now or ever: it is locked.
func isRefusal(ctx context.Context, err error) bool {
	return ctx.Err() == nil && lull.KindOf(err) != lull.Unreachable
}
