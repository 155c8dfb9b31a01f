package repo

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Cut is a moment between two transactions.
type Cut struct {
	Seq history.Seq // the last transaction that is included; 0 for none
	At  time.Time   // its commit time
	// After is the last transaction that is included, Before the first that is not; zero where
	// there is none in the chain.
	After, Before db.Tx
	Warnings      []string
}

// Cut says which transactions a moment includes. A time includes those up to before the first
// one that was committed at it or later, a GTID those up to that one, a place in a file those
// that begin before it; the zero Bound includes all. A moment before the chain begins, behind its
// end or in a hole is a lull.Error of kind Usage that names the nearest ones there are; but a
// moment right behind an exact snapshot, to the second, is one also where no changes are kept.
func (r *Repo) Cut(ctx context.Context, at history.Bound) (Cut, error) {
	r.mu.Lock()
	r.known = nil
	r.mu.Unlock()
	var cut Cut
	err := r.onChain(ctx, endless, func(c *chain) error {
		if len(c.logs) == 0 {
			return r.noHistory()
		}
		var err error
		switch {
		case at.GTID != "":
			cut, err = r.cutGTID(ctx, c, at.GTID)
		case at.File != "":
			cut, err = r.cutPlace(ctx, c, at.File, at.Pos)
		case !at.Time.IsZero():
			cut, err = r.cutTime(ctx, c, at.Time)
		default:
			cut, err = r.cutAt(ctx, c, endless)
		}
		return err
	})
	if err != nil {
		return Cut{}, fmt.Errorf("find moment %s: %w", at, err)
	}
	return cut, nil
}

// CutBefore is the moment right before the transaction that touched a table as the finding id
// says. It looks through the transactions, newest first.
func (r *Repo) CutBefore(ctx context.Context, id string) (Cut, error) {
	var cut Cut
	err := r.onChain(ctx, endless, func(c *chain) error {
		found, err := r.findBack(ctx, c, func(_ *db.Tx, touches []history.Touch) bool {
			return slices.ContainsFunc(touches, func(t history.Touch) bool { return t.ID() == id })
		})
		if err != nil {
			return err
		}
		if found == nil {
			return lull.Errorf(lull.Usage, "lull find lists findings", "there is no such finding in %s", r)
		}
		cut, err = r.cutAt(ctx, c, found.seq-1)
		return err
	})
	if err != nil {
		return Cut{}, fmt.Errorf("find moment before %s: %w", id, err)
	}
	return cut, nil
}

// cutAt makes the cut behind transaction seq, endless for the last.
func (r *Repo) cutAt(ctx context.Context, c *chain, seq history.Seq) (Cut, error) {
	if last, err := r.summary(ctx, c.logs[len(c.logs)-1]); err != nil {
		return Cut{}, err
	} else if seq > last.Last {
		seq = last.Last
	}
	cut := Cut{Seq: seq}
	i, err := r.search(ctx, c.logs, func(s *summary) bool { return s.Last >= seq })
	if err != nil {
		return Cut{}, err
	}
	// The transaction behind the cut may lie in a later pack, behind empty ones.
	for ; i < len(c.logs) && cut.Before == (db.Tx{}); i++ {
		s, err := r.summary(ctx, c.logs[i])
		if err != nil {
			return Cut{}, err
		}
		if s.First > seq+1 {
			break
		}
		err = r.eachOf(ctx, c.logs[i], func(x transaction, _ []history.Touch) error {
			switch x.seq {
			case seq:
				cut.After, cut.At = x.tx, x.tx.At
			case seq + 1:
				cut.Before = x.tx
			}
			return nil
		})
		if err != nil {
			return Cut{}, err
		}
	}
	return cut, nil
}

// around is how many packs on either side of a time are looked at for a clock that was set.
const around = 16

// jitter is how far commit times may go back without a word.
const jitter = 2 * time.Second

func (r *Repo) cutTime(ctx context.Context, c *chain, at time.Time) (Cut, error) {
	i, err := r.searchTime(ctx, c.logs, at)
	if err != nil {
		return Cut{}, err
	}
	from, upto := max(0, i-around), min(len(c.logs), i+around)
	near := c.logs[from:upto]
	ends, err := r.summaries(ctx, near)
	if err != nil {
		return Cut{}, err
	}
	k := slices.IndexFunc(ends, func(s *summary) bool { return !s.MaxAt.IsZero() && !s.MaxAt.Before(at) })
	if k < 0 {
		return r.outside(ctx, c, at, nil)
	}
	first, err := r.firstAtOrLater(ctx, near[k], at)
	if err != nil {
		return Cut{}, err
	}
	if first == 0 { // nothing was committed up to its MaxAt
		first = ends[k].Last + 1
	}
	if first == ends[k].First {
		h, err := r.edge(ctx, c, at, from+k)
		if err != nil {
			return Cut{}, err
		}
		if h != nil {
			return r.outside(ctx, c, at, h)
		}
	}
	cut, err := r.cutAt(ctx, c, first-1)
	if err == nil {
		err = r.clockSteps(ctx, &cut, at, near[k:], ends[k:])
	}
	return cut, err
}

// edge is what is missing right before the k-th pack of the chain, for a cut there; nil when the
// cut is sound. Packs without a time tell nothing: those before them do.
func (r *Repo) edge(ctx context.Context, c *chain, at time.Time, k int) (*Hole, error) {
	ends, err := r.summaries(ctx, c.logs[k:k+1])
	if err != nil {
		return nil, err
	}
	if !ends[0].MinAt.IsZero() && at.After(ends[0].MinAt) {
		return nil, nil
	}
	for after := ends[0]; k > 0; k-- {
		before, err := r.summary(ctx, c.logs[k-1])
		if err != nil {
			return nil, err
		}
		if h := r.hole(c.logs[k-1], c.logs[k], before, after); h != nil || !before.MaxAt.IsZero() {
			return h, nil
		}
		after = before
	}
	return &Hole{}, nil
}

// firstAtOrLater is the first transaction of a pack that was committed at a time or later, 0
// when there is none.
func (r *Repo) firstAtOrLater(ctx context.Context, l Log, at time.Time) (history.Seq, error) {
	var first history.Seq
	err := r.eachOf(ctx, l, func(x transaction, _ []history.Touch) error {
		if first == 0 && !x.tx.At.Before(at) {
			first = x.seq
		}
		return nil
	})
	return first, err
}

// clockSteps warns of transactions behind the cut that have earlier commit times.
func (r *Repo) clockSteps(ctx context.Context, cut *Cut, at time.Time, logs []Log, ends []*summary) error {
	count, earliest := 0, at
	for i, s := range ends {
		if s.First > s.Last || !s.MinAt.Before(at.Add(-jitter)) {
			continue
		}
		err := r.eachOf(ctx, logs[i], func(x transaction, _ []history.Touch) error {
			if x.seq > cut.Seq && x.tx.At.Before(at.Add(-jitter)) {
				count++
				if x.tx.At.Before(earliest) {
					earliest = x.tx.At
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if count > 0 {
		cut.Warnings = append(cut.Warnings, fmt.Sprintf(
			"the server's clock was set back: %d transactions behind this moment have earlier times, down to %s; name a GTID to be exact",
			count, clockTime(earliest)))
	}
	return nil
}

func (r *Repo) cutGTID(ctx context.Context, c *chain, gtid string) (Cut, error) {
	found, err := r.findBack(ctx, c, func(tx *db.Tx, _ []history.Touch) bool { return strings.EqualFold(tx.GTID, gtid) })
	if err != nil {
		return Cut{}, err
	}
	if found == nil {
		return Cut{}, r.unknownPlace(ctx, c, "no transaction with that GTID was recorded")
	}
	return r.cutAt(ctx, c, found.seq)
}

// cutPlace finds a place in the binlogs of the newest server that had it.
func (r *Repo) cutPlace(ctx context.Context, c *chain, file string, pos int64) (Cut, error) {
	ends, err := r.summaries(ctx, c.logs)
	if err != nil {
		return Cut{}, err
	}
	here := db.Position{File: file, Offset: pos}
	has := func(s *summary) bool {
		return sameLog(s.To.File, file) && comparePlaces(s.From, here) <= 0 && comparePlaces(here, s.To) <= 0
	}
	hit, server, others := -1, "", 0
	for i, s := range slices.Backward(ends) {
		switch {
		case !has(s):
		case hit < 0 || s.Server == server:
			hit, server = i, s.Server
		default:
			others++
		}
	}
	if hit < 0 {
		return Cut{}, r.unknownPlace(ctx, c, "that place was not recorded")
	}
	seq := ends[hit].Last
	err = r.eachOf(ctx, c.logs[hit], func(x transaction, _ []history.Touch) error {
		if comparePlaces(db.Position{File: x.tx.File, Offset: x.tx.Start}, here) >= 0 {
			seq = min(seq, x.seq-1)
		}
		return nil
	})
	if err != nil {
		return Cut{}, err
	}
	cut, err := r.cutAt(ctx, c, seq)
	if others > 0 {
		cut.Warnings = append(cut.Warnings, fmt.Sprintf("more servers than one had %s:%d; this is the newest, %s", file, pos, server))
	}
	return cut, err
}

// sameLog says that two files are of one sequence: they differ in their numbers only.
func sameLog(a, b string) bool {
	return strings.TrimSuffix(a, path.Ext(a)) == strings.TrimSuffix(b, path.Ext(b))
}

// comparePlaces orders places in one server's binlogs.
func comparePlaces(a, b db.Position) int {
	switch {
	case len(a.File) != len(b.File):
		return len(a.File) - len(b.File)
	case a.File != b.File:
		return strings.Compare(a.File, b.File)
	case a.Offset < b.Offset:
		return -1
	case a.Offset > b.Offset:
		return 1
	}
	return 0
}

// unknownPlace says what there is instead.
func (r *Repo) unknownPlace(ctx context.Context, c *chain, why string) error {
	first, err := r.summary(ctx, c.logs[0])
	if err != nil {
		return err
	}
	last, err := r.summary(ctx, c.logs[len(c.logs)-1])
	if err != nil {
		return err
	}
	return lull.Errorf(lull.Usage, "lull backup list shows what can be restored", "%s: history goes from %s (%s) to %s (%s)",
		why, clockTime(first.MinAt), showPlace(first.From), clockTime(last.MaxAt), showPlace(last.To))
}

func showPlace(p db.Position) string {
	if p.File == "" {
		return p.GTID
	}
	return fmt.Sprintf("%s:%d", p.File, p.Offset)
}

// outside answers for a time that the chain does not hold: with the exact snapshot right before
// it, or with the nearest moments there are. h is the hole it lies in, if any.
func (r *Repo) outside(ctx context.Context, c *chain, at time.Time, h *Hole) (Cut, error) {
	snapshots, err := r.Snapshots(ctx, db.Name{})
	if err != nil {
		return Cut{}, err
	}
	head, err := r.summary(ctx, c.logs[0])
	if err != nil {
		return Cut{}, err
	}
	tail, err := r.summary(ctx, c.logs[len(c.logs)-1])
	if err != nil {
		return Cut{}, err
	}
	// Of a snapshot that the chain goes through, the chain knows which transactions follow it.
	alone := func(s *history.Snapshot) bool {
		switch {
		case h == nil:
			return s.End > tail.Last
		case h.Before > 0:
			return s.End >= h.After && s.End < h.Before
		}
		return s.End < head.First
	}
	var moments []time.Time
	for i := range snapshots {
		s := &snapshots[i]
		if s.Start != s.End || s.At.IsZero() {
			continue
		}
		if alone(s) && at.After(s.At) && !at.After(momentOf(s.At)) {
			return Cut{Seq: s.End, At: s.At, Warnings: []string{
				"no changes are kept around this moment: only tables with a snapshot of it can be restored",
			}}, nil
		}
		moments = append(moments, momentOf(s.At))
	}
	first, end, err := r.times(ctx, c)
	if err != nil {
		return Cut{}, err
	}
	why := "it lies before history begins"
	switch {
	case h != nil && h.Before > 0:
		why = "it lies in a hole: " + h.String()
		moments = append(moments, h.Since, momentOf(h.Until))
	case !at.Before(end):
		return Cut{}, lull.Errorf(lull.Usage, "the last moment that can be restored is "+clockTime(end)+"; lull backup now records up to the present",
			"it is after the end of what was recorded")
	}
	if begin := momentOf(first); !begin.After(end) {
		moments = append(moments, begin)
	}
	return Cut{}, lull.Errorf(lull.Usage, nearest(at, append(moments, end)), "%s", why)
}

// momentOf is the first whole second behind a commit time: what includes its transaction.
func momentOf(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Truncate(time.Second).Add(time.Second)
}

// nearest names the nearest of the moments on both sides of a time.
func nearest(at time.Time, moments []time.Time) string {
	var before, after time.Time
	for _, m := range moments {
		switch {
		case m.IsZero():
		case m.Before(at) && m.After(before):
			before = m
		case m.After(at) && (after.IsZero() || m.Before(after)):
			after = m
		}
	}
	switch {
	case before.IsZero() && after.IsZero():
		return "nothing can be restored yet"
	case before.IsZero():
		return "the nearest moment that can be restored is " + clockTime(after)
	case after.IsZero():
		return "the nearest moment that can be restored is " + clockTime(before)
	}
	return "the nearest moments that can be restored are " + clockTime(before) + " and " + clockTime(after)
}

// times are when the first transaction of the chain was committed, and up to when it was recorded.
func (r *Repo) times(ctx context.Context, c *chain) (first, end time.Time, err error) {
	for i := 0; i < len(c.logs) && first.IsZero() && err == nil; i++ {
		var s *summary
		if s, err = r.summary(ctx, c.logs[i]); err == nil {
			first = s.MinAt
		}
	}
	for i := len(c.logs) - 1; i >= 0 && end.IsZero() && err == nil; i-- {
		var s *summary
		if s, err = r.summary(ctx, c.logs[i]); err == nil {
			end = s.MaxAt
		}
	}
	return first, end, err
}
