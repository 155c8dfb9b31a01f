package binlogs

import (
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// xaLog holds back what XA transactions did until they are committed or rolled back, which may
// be in a later log: the rows lie where they were prepared.
type xaLog struct {
	waiting map[string]*prepared // by xid
	// decided are decisions on transactions of earlier logs, in order.
	decided []decision
}

// prepared is what a transaction did that only XA COMMIT makes durable.
type prepared struct {
	xid     string
	touches []history.Touch
	place   history.Place
	counts  []tableCounts
}

type tableCounts struct {
	name db.Name
	counts
	minute int64
}

// decision is the fate of a transaction that was prepared in an earlier log.
type decision struct {
	xid       string
	committed bool
}

func (x *xaLog) hold(xid string) *prepared {
	if x.waiting == nil {
		x.waiting = map[string]*prepared{}
	}
	p := &prepared{xid: xid}
	x.waiting[xid] = p
	return p
}

// decide settles a transaction that this log prepared, or notes the decision for an earlier log's.
func (s *scanner) decide(xid string, committed bool) {
	s.res.Transactions++
	p := s.xa.waiting[xid]
	if p == nil {
		s.xa.decided = append(s.xa.decided, decision{xid, committed})
		return
	}
	delete(s.xa.waiting, xid)
	if committed {
		s.accept(p)
	}
}

// accept takes a prepared transaction into the result.
func (s *scanner) accept(p *prepared) {
	for _, c := range p.counts {
		statsOf(&s.res, c.name).Add(c.inserted, c.updated, c.deleted, c.minute)
	}
	if s.q.Places {
		if len(p.touches) > 0 {
			s.res.Places = append(s.res.Places, p.place)
		}
		for _, t := range p.touches {
			s.res.Total(t)
		}
		return
	}
	s.res.Touches = append(s.res.Touches, p.touches...)
}

// settle decides the transactions that were prepared in one log and decided in another. What
// is decided nowhere counts as done, because the decision may lie behind the window; where the
// window has no end, it becomes a gap.
func settle(scans []*scanner, open bool) {
	type owned struct {
		*prepared
		by *scanner
	}
	waiting := map[string]owned{}
	for _, s := range scans {
		for _, d := range s.xa.decided {
			if p, ok := waiting[d.xid]; ok && d.committed {
				p.by.accept(p.prepared)
			}
			delete(waiting, d.xid)
		}
		for xid, p := range s.xa.waiting {
			waiting[xid] = owned{p, s}
		}
	}
	for _, p := range waiting {
		p.by.accept(p.prepared)
		if open && len(p.touches) > 0 {
			p.by.res.Gaps = append(p.by.res.Gaps, history.Gap{
				File: p.place.File, Pos: p.place.Start, At: p.touches[0].Tx.At,
				Reason: "the XA transaction " + p.xid + " was prepared here, and the logs do not tell whether it was committed",
			})
		}
	}
	for _, s := range scans {
		slices.SortStableFunc(s.res.Places, func(a, b history.Place) int { return int(min(max(a.Start-b.Start, -1), 1)) })
		slices.SortStableFunc(s.res.Touches, func(a, b history.Touch) int { return int(min(max(a.Tx.Start-b.Tx.Start, -1), 1)) })
	}
}
