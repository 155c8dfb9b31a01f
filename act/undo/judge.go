package undo

import (
	"slices"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
)

// OnConflict says what becomes of rows that somebody changed after the accident.
type OnConflict string

// The choices; Keep is the default.
const (
	KeepNow     OnConflict = "keep"    // the row stays as it is now
	RestoreThen OnConflict = "restore" // the row goes back to before the accident, the newer version is overwritten
	FailPlan    OnConflict = "fail"    // no plan is made
)

// verdict is what a plan does about one row.
type verdict struct {
	do     act.Verb // "" when nothing is to be done
	forced bool     // a conflict decided against the row as it is now
	// occupied: the row has to be inserted, and another one, in rec.Was, has its key by now.
	occupied bool
	rec      act.Record
}

// judge compares one row's versions: before the accident, after it, now.
type judge struct {
	t    *db.Table
	cols []int // columns that are stored, not computed
	on   OnConflict
	key  []int
	// moves: the accident gave rows other keys, so a row found under a key may be another one.
	moves bool
	set   []int
}

func newJudge(t *db.Table, on OnConflict) *judge {
	j := &judge{t: t, on: on}
	for i := range t.Columns {
		if !t.Columns[i].Generated {
			j.cols = append(j.cols, i)
		}
	}
	return j
}

// sameKnown compares the columns that both rows know.
func (j *judge) sameKnown(a, b db.Row) bool {
	for _, i := range j.cols {
		if a[i].State != db.Absent && b[i].State != db.Absent && !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

func (j *judge) judge(n *net, now db.Row) verdict {
	switch {
	case n.After == nil:
		return j.deleted(n, now)
	case n.Before == nil:
		return j.inserted(n, now)
	}
	return j.updated(n, now)
}

// deleted: the accident took the row away.
func (j *judge) deleted(n *net, now db.Row) verdict {
	if now == nil {
		return verdict{do: act.Insert, rec: act.Record{To: n.Before}}
	}
	if j.sameKnown(n.Before, now) {
		return verdict{}
	}
	if j.moves || !sameKey(n.Before, now, j.key) {
		return verdict{do: act.Insert, occupied: true, rec: act.Record{To: n.Before, Was: now, Why: putBack}}
	}
	if j.on == RestoreThen {
		return j.overwrite(n.Before, now)
	}
	return conflict(putBack, n, now)
}

const putBack = "it was put back since, and differs"

// overwrite makes the row of now what it was.
func (j *judge) overwrite(to, now db.Row) verdict {
	return verdict{do: act.Update, forced: true, rec: act.Record{Now: now, To: to, Set: j.differing(to, now)}}
}

// inserted: the accident brought the row.
func (j *judge) inserted(n *net, now db.Row) verdict {
	if now == nil {
		return verdict{}
	}
	if j.sameKnown(n.After, now) {
		return verdict{do: act.Delete, rec: act.Record{Now: now, Was: n.After}}
	}
	if j.on == RestoreThen {
		return verdict{do: act.Delete, forced: true, rec: act.Record{Now: now, Was: n.After}}
	}
	return conflict("it was changed since it was inserted", n, now)
}

// updated: only what the accident changed and nobody changed since goes back.
func (j *judge) updated(n *net, now db.Row) verdict {
	if now == nil {
		if j.on == RestoreThen && complete(n.Before, j.cols) {
			return verdict{do: act.Insert, forced: true, rec: act.Record{To: n.Before}}
		}
		return conflict("the row is gone", n, nil)
	}
	if !j.spelled() && !sameKey(n.Before, n.After, j.key) && !j.sameKnown(n.After, now) && !sameKey(n.Before, now, j.key) && !j.follows(n, now) {
		return conflict("another row has the key that the accident gave it", n, now)
	}
	j.set = j.set[:0]
	clash, forced := false, false
	for _, i := range j.cols {
		before, after := n.Before[i], n.After[i]
		if before.State == db.Absent || after.State != db.Absent && before.Equal(after) || before.Equal(now[i]) {
			continue
		}
		if after.State == db.Absent {
			continue // not in the after-image: not changed by the accident
		}
		if !after.Equal(now[i]) {
			clash = true
			if j.on != RestoreThen {
				continue
			}
			forced = true
		}
		j.set = append(j.set, i)
	}
	if len(j.set) == 0 {
		if clash {
			return conflict("its columns were changed again since", n, now)
		}
		return verdict{}
	}
	rec := act.Record{Now: now, To: n.Before, Set: j.set, Was: n.After}
	if clash && !forced {
		rec.Why = "some of its columns were changed again since and stay as they are"
	}
	return verdict{do: act.Update, forced: forced, rec: rec}
}

// spelled says that the key is text, which a row keeps when it is spelled otherwise.
func (j *judge) spelled() bool {
	return slices.ContainsFunc(j.key, func(i int) bool { return j.t.Columns[i].Collation != "" })
}

// follows says that a row found under a key which the accident gave it can be that row, edited
// since: most of it is as the accident left it.
func (j *judge) follows(n *net, now db.Row) bool {
	same, all := 0, 0
	for _, i := range j.cols {
		if slices.Contains(j.key, i) || n.After[i].State == db.Absent {
			continue
		}
		all++
		if n.After[i].Equal(now[i]) {
			same++
		}
	}
	return same > 0 && same*2 >= all
}

func (j *judge) differing(to, now db.Row) []int {
	j.set = j.set[:0]
	for _, i := range j.cols {
		if to[i].State != db.Absent && !to[i].Equal(now[i]) {
			j.set = append(j.set, i)
		}
	}
	return j.set
}

func complete(r db.Row, cols []int) bool {
	for _, i := range cols {
		if r[i].State == db.Absent {
			return false
		}
	}
	return true
}

func conflict(why string, n *net, now db.Row) verdict {
	return verdict{do: act.Keep, rec: act.Record{Now: now, To: n.Before, Was: n.After, Why: why}}
}
