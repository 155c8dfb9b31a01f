package history

import (
	"math/bits"
	"slices"

	"github.com/lull-ops/lull/db"
)

// Stats is how a table is usually changed, over the transactions of one scan. It takes the
// same space however many there were.
type Stats struct {
	Table        db.Name
	Transactions int64 // that changed rows
	Inserted     int64
	Updated      int64
	Deleted      int64
	// deletes and updates count transactions by the size of what they did: sizes[k] had
	// 2^(k-1) <= rows < 2^k, sizes[0] none.
	deletes, updates sizes
	// Minutes is rows deleted by minute since 1970.
	Minutes map[int64]int64
}

type sizes [64]int64

func (s *sizes) add(rows int64) { s[bits.Len64(uint64(rows))]++ }

// below is a bound that at least num/den of the counted transactions stay below.
func (s *sizes) below(num, den int64) int64 {
	var all, seen int64
	for _, n := range s {
		all += n
	}
	for k, n := range s {
		if seen += n; seen*den >= all*num {
			return int64(1) << k
		}
	}
	return 1
}

// Add counts one transaction's rows, committed in the given minute.
func (s *Stats) Add(inserted, updated, deleted, minute int64) {
	s.Transactions++
	s.Inserted += inserted
	s.Updated += updated
	s.Deleted += deleted
	s.updates.add(updated)
	s.deletes.add(deleted)
	if deleted > 0 {
		if s.Minutes == nil {
			s.Minutes = map[int64]int64{}
		}
		s.Minutes[minute] += deleted
	}
}

// Merge adds another scan's counts of the same table.
func (s *Stats) Merge(o *Stats) {
	s.Transactions += o.Transactions
	s.Inserted += o.Inserted
	s.Updated += o.Updated
	s.Deleted += o.Deleted
	for i := range s.deletes {
		s.deletes[i] += o.deletes[i]
		s.updates[i] += o.updates[i]
	}
	for m, n := range o.Minutes {
		if s.Minutes == nil {
			s.Minutes = map[int64]int64{}
		}
		s.Minutes[m] += n
	}
}

// UsualDeletes and UsualUpdates are row counts that 19 of 20 transactions on the table stay below.
func (s *Stats) UsualDeletes() int64 { return s.deletes.below(19, 20) }

// UsualUpdates is as UsualDeletes.
func (s *Stats) UsualUpdates() int64 { return s.updates.below(19, 20) }

// Result is what a scan found.
type Result struct {
	Touches []Touch // in commit order
	// Places and Totals are filled instead of Touches when a scan is asked for places.
	Places []Place
	Totals map[db.Name]*Touch
	Stats  map[db.Name]*Stats
	Gaps   []Gap
	// Transactions and Bytes say how much was read, Files from which logs.
	Transactions, Bytes int64
	Files               []string
	// Passed counts the transactions left out that only inserted into some table, at least as
	// many rows as were asked for.
	Passed int
}

// Place is where a transaction lies in a log: the offsets of its first event and behind its last.
type Place struct {
	File       string
	Start, End int64
}

// Total adds a touch to its table's total.
func (r *Result) Total(t Touch) {
	if r.Totals == nil {
		r.Totals = map[db.Name]*Touch{}
	}
	have := r.Totals[t.Table]
	if have == nil {
		r.Totals[t.Table] = &t
		return
	}
	have.Inserted += t.Inserted
	have.Updated += t.Updated
	have.Deleted += t.Deleted
	have.Statements += t.Statements
	have.ForeignKeysOff = have.ForeignKeysOff && t.ForeignKeysOff
	if have.Incomplete == "" || t.Incomplete == Minimal && have.Incomplete == NoBlob || t.Incomplete == Savepoint {
		have.Incomplete = t.Incomplete
	}
	for _, c := range t.Children {
		if !slices.Contains(have.Children, c) {
			have.Children = append(have.Children, c)
		}
	}
}

// NewestFirst orders the touches by commit time, later ones first.
func (r *Result) NewestFirst() {
	slices.Reverse(r.Touches)
	slices.SortStableFunc(r.Touches, func(a, b Touch) int { return b.Tx.At.Compare(a.Tx.At) })
}
