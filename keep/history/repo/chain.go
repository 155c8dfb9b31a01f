package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Log is one pack of the chain. A recorder writes packs of one ordinal; merged ones stand for
// several.
type Log struct {
	Name                      string // in the store
	FirstOrdinal, LastOrdinal uint64
	Size                      int64 // bytes
	Modified                  time.Time
}

// Hole is a stretch of the chain that is missing: packs that are gone or damaged, and with them
// the transactions after After and before Before.
type Hole struct {
	FirstOrdinal, LastOrdinal uint64 // of the missing packs; First > Last when none is missing by name
	After, Before             history.Seq
	Since, Until              time.Time // commit times of the transactions around it
	Reason                    string
}

// HoleError says that what was asked for lies in a hole, at least partly.
type HoleError struct{ Hole Hole }

func (e *HoleError) Error() string { return "history has a hole: " + e.Hole.String() }

// String tells the hole's times and its reason.
func (h Hole) String() string {
	return fmt.Sprintf("what was committed after %s and before %s is missing (%s)", clockTime(h.Since), clockTime(h.Until), h.Reason)
}

func clockTime(at time.Time) string {
	if at.IsZero() {
		return "its beginning"
	}
	return at.UTC().Format("2006-01-02 15:04:05 UTC")
}

// chain is the log packs there are, and which of them to read.
type chain struct {
	logs    []Log // oldest first; ordinals may jump
	covered []Log // packs whose ordinals are all in logs
	spare   []Log // packs that are neither: damaged ones, and those that overlap
	highest uint64
}

// Logs are the packs of the chain, oldest first, as the store lists them now.
func (r *Repo) Logs(ctx context.Context) ([]Log, error) {
	c, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.logs), nil
}

// list lists the log packs and picks the chain.
func (r *Repo) list(ctx context.Context) (*chain, error) {
	var all []Log
	for info, err := range r.store.List(ctx, r.name(logDir)) {
		if err != nil {
			return nil, fmt.Errorf("list log of %s: %w", r, err)
		}
		if first, last, ok := parseLogName(strings.TrimPrefix(info.Name, r.name(""))); ok {
			all = append(all, Log{info.Name, first, last, info.Size, info.Modified})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = link(all, r.damaged)
	r.indexes.only(r.known.logs)
	return r.known, nil
}

// chainTo is the chain as it was listed last, when it holds transaction upto.
func (r *Repo) chainTo(ctx context.Context, upto history.Seq) (*chain, error) {
	r.mu.Lock()
	c := r.known
	r.mu.Unlock()
	if c == nil || len(c.logs) == 0 {
		return r.list(ctx)
	}
	if end, err := r.summary(ctx, c.logs[len(c.logs)-1]); err != nil || end.Last < upto {
		return r.list(ctx)
	}
	return c, nil
}

// link picks the chain: from the lowest ordinal on, packs that join without a gap as far as
// possible, and as few of them as possible; then again behind a gap.
func link(all []Log, damaged map[string]string) *chain {
	c := &chain{}
	var sound []Log
	for _, l := range all {
		c.highest = max(c.highest, l.LastOrdinal)
		if _, bad := damaged[l.Name]; !bad {
			sound = append(sound, l)
		}
	}
	slices.SortFunc(sound, func(a, b Log) int {
		if a.FirstOrdinal != b.FirstOrdinal {
			return cmp.Compare(a.FirstOrdinal, b.FirstOrdinal)
		}
		return cmp.Compare(b.LastOrdinal, a.LastOrdinal)
	})
	best := ways(sound)
	next := uint64(0)
	for _, l := range sound {
		if l.FirstOrdinal < next {
			continue
		}
		for step, ok := best[l.FirstOrdinal]; ok; step, ok = best[next] {
			c.logs = append(c.logs, step.log)
			next = step.log.LastOrdinal + 1
		}
	}
	c.sort(all)
	return c
}

// way is the best way on from an ordinal.
type way struct {
	log   Log
	reach uint64 // last ordinal it leads to
	packs int
}

func ways(sound []Log) map[uint64]way {
	best := map[uint64]way{}
	for _, l := range slices.Backward(sound) {
		p := way{log: l, reach: l.LastOrdinal, packs: 1}
		if on, ok := best[l.LastOrdinal+1]; ok {
			p.reach, p.packs = on.reach, on.packs+1
		}
		have, ok := best[l.FirstOrdinal]
		// Wider packs come later here and win a draw.
		if !ok || p.reach > have.reach || p.reach == have.reach && p.packs <= have.packs {
			best[l.FirstOrdinal] = p
		}
	}
	return best
}

// sort tells covered packs from spare ones.
func (c *chain) sort(all []Log) {
	used := map[string]bool{}
	for _, l := range c.logs {
		used[l.Name] = true
	}
	for _, l := range all {
		switch {
		case used[l.Name]:
		case c.covers(l):
			c.covered = append(c.covered, l)
		default:
			c.spare = append(c.spare, l)
		}
	}
}

// covers says that the chain has all ordinals of l.
func (c *chain) covers(l Log) bool {
	i, _ := slices.BinarySearchFunc(c.logs, l.FirstOrdinal, func(have Log, n uint64) int { return cmp.Compare(have.LastOrdinal, n) })
	next := l.FirstOrdinal
	for ; i < len(c.logs) && c.logs[i].FirstOrdinal <= next; i++ {
		if next = c.logs[i].LastOrdinal + 1; next > l.LastOrdinal {
			return true
		}
	}
	return false
}

// hole says what is missing between two neighbours of the chain, nil when nothing is. A pack
// that is missing by name does not matter where transactions and places join.
func (r *Repo) hole(a, b Log, before, after *summary) *Hole {
	missing := b.FirstOrdinal > a.LastOrdinal+1
	if after.First == before.Last+1 && (!missing || after.From == before.To) {
		return nil
	}
	h := &Hole{
		FirstOrdinal: a.LastOrdinal + 1, LastOrdinal: b.FirstOrdinal - 1,
		After: before.Last, Before: after.First, Since: before.MaxAt, Until: after.MinAt,
	}
	switch why := r.damageIn(h); {
	case why != "":
		h.Reason = why
	case missing && h.FirstOrdinal == h.LastOrdinal:
		h.Reason = r.name(logName(h.FirstOrdinal, h.FirstOrdinal)) + " is missing"
	case missing:
		h.Reason = fmt.Sprintf("the log packs %012x to %012x are missing", h.FirstOrdinal, h.LastOrdinal)
	default:
		h.Reason = fmt.Sprintf("%s ends with transaction %d, %s begins with %d", a.Name, before.Last, b.Name, after.First)
	}
	return h
}

// damageIn tells of damaged packs in a hole.
func (r *Repo) damageIn(h *Hole) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var whys []string
	for name, why := range r.damaged {
		first, last, _ := parseLogName(strings.TrimPrefix(name, r.name("")))
		if first <= h.LastOrdinal && last >= h.FirstOrdinal {
			whys = append(whys, name+": "+why)
		}
	}
	slices.Sort(whys)
	return strings.Join(whys, "; ")
}

// damagedError says that a log pack was found damaged just now: the chain is another.
type damagedError struct {
	name string
	err  error
}

func (e *damagedError) Error() string { return "read " + e.name + ": " + e.err.Error() }

func (e *damagedError) Unwrap() error { return e.err }

// onChain calls fn with the chain, and again with another one when the chain turned out to be
// damaged, and once more when an object of it was merged away. fn goes on where it was.
func (r *Repo) onChain(ctx context.Context, upto history.Seq, fn func(*chain) error) error {
	c, err := r.chainTo(ctx, upto)
	for vanished := false; ; {
		if err == nil {
			err = fn(c)
		}
		switch {
		case err == nil:
			return nil
		case isDamaged(err):
		case errors.Is(err, blob.ErrNotFound) && !vanished:
			vanished = true
		default:
			return err
		}
		c, err = r.list(ctx)
	}
}

func isDamaged(err error) bool {
	_, ok := errors.AsType[*damagedError](err)
	return ok
}

// noteDamage remembers that a log pack cannot be opened.
func (r *Repo) noteDamage(name string, err error) error {
	corrupt, ok := errors.AsType[*pack.CorruptError](err)
	if !ok {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.damaged[name] = corrupt.Error()
	r.known = nil
	return &damagedError{name, err}
}

// Holes are the stretches that the chain misses, oldest first. It reads the index of every log
// pack.
func (r *Repo) Holes(ctx context.Context) ([]Hole, error) {
	var holes []Hole
	err := r.onChain(ctx, endless, func(c *chain) error {
		holes = nil
		ends, err := r.summaries(ctx, c.logs)
		for i := 1; err == nil && i < len(ends); i++ {
			if h := r.hole(c.logs[i-1], c.logs[i], ends[i-1], ends[i]); h != nil {
				holes = append(holes, *h)
			}
		}
		return err
	})
	return holes, err
}

// endless is a number behind all transactions.
const endless = ^history.Seq(0)

// End is what the chain ends with.
type End struct {
	Ordinal uint64      // the highest that is taken; the next pack has the next one
	Seq     history.Seq // the last transaction
	Pos     db.Position // where the stream goes on
	Server  string      // identity of the server that Pos is of
	At      time.Time   // up to when the server's log was read
}

// End is what the chain ends with, as the store lists it now; the zero End for an empty one.
// Damaged packs at the end only count for its Ordinal.
func (r *Repo) End(ctx context.Context) (End, error) {
	var end End
	r.mu.Lock()
	r.known = nil
	r.mu.Unlock()
	err := r.onChain(ctx, endless, func(c *chain) error {
		end = End{Ordinal: c.highest}
		for _, l := range slices.Backward(c.logs) {
			s, err := r.summary(ctx, l)
			if err != nil {
				return err
			}
			if end.Pos == (db.Position{}) {
				end.Seq, end.Pos, end.Server = s.Last, s.To, s.Server
			}
			if !s.MaxAt.IsZero() {
				end.At = s.MaxAt
				break
			}
		}
		return nil
	})
	return end, err
}

// Floor is the highest number of a transaction that anything in the repository speaks of: the
// chain's last, or one up to which a snapshot goes. Where packs at the end are damaged or gone it
// is behind End's, and a number up to it must never be given to another transaction.
func (r *Repo) Floor(ctx context.Context) (history.Seq, error) {
	end, err := r.End(ctx)
	if err != nil {
		return 0, err
	}
	snapshots, err := r.Snapshots(ctx, db.Name{})
	if err != nil {
		return 0, err
	}
	floor := end.Seq
	for i := range snapshots {
		floor = max(floor, snapshots[i].End)
	}
	return floor, nil
}

// noHistory is the answer to questions about an empty chain.
func (r *Repo) noHistory() error {
	return lull.Errorf(lull.Usage, "lull serve records it", "read history of %s: nothing was recorded yet", r)
}
