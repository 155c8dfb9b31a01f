package undo

import (
	"encoding/binary"
	"errors"
	"hash/maphash"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
)

// fact is the hash of something a plan makes true: that a row leaves its key, that a parent
// is there.
type fact uint64

// need is a fact without which a verdict cannot stand. Or is another that will do, 0 for none.
type need struct {
	fact, or fact
	why      string
	place    bool // it wants another row's unique value, and wants it while rows are updated:
	now      bool // else it waits until all are
	soft     bool // it holds, too, when nobody is known to have the fact in hand
}

// contest holds the verdicts that depend on others: a row that wants a value another row
// has, a child whose parent comes back, a parent whose children go. They can only be settled
// when all tables were compared.
type contest struct {
	given   map[fact]struct{} // made true by verdicts that depend on nothing
	blind   bool              // more was made true than is remembered
	spool   *extsort.Sorter   // the contenders' verdicts, in order
	needs   []contended
	offers  map[fact][]int32
	failed  map[int32]string
	wanted  map[int32]bool // contenders whose place another one takes
	crossed bool           // some row takes the place of another
}

type contended struct {
	n int32
	need
}

// maxFacts bounds the facts remembered. Beyond it what depends on one is left to the server,
// which refuses the plan as a whole when it does not hold.
const maxFacts = 2 << 20

func newContest(dir string) *contest {
	return &contest{
		given: map[fact]struct{}{}, offers: map[fact][]int32{}, failed: map[int32]string{}, wanted: map[int32]bool{},
		spool: extsort.New(dir, sortMemory),
	}
}

// fact hashes what a fact is about: its kind, table, and the values of some columns.
func (b *Build) fact(kind string, t db.Name, values db.Row) fact {
	var h maphash.Hash
	h.SetSeed(b.seed)
	h.WriteString(kind)
	h.WriteByte(0)
	h.WriteString(t.String())
	h.WriteByte(0)
	h.Write(db.AppendRow(nil, values))
	return fact(max(h.Sum64(), 1))
}

// give notes facts that hold in any case.
func (c *contest) give(facts []fact) {
	for _, f := range facts {
		if len(c.given) >= maxFacts {
			c.blind = true
			return
		}
		c.given[f] = struct{}{}
	}
}

// add takes a verdict that depends on needs, or whose facts others may depend on.
func (c *contest) add(table int, v *verdict, needs []need, offers []fact) error {
	n := int32(c.spool.Len())
	for _, x := range needs {
		c.needs = append(c.needs, contended{n, x})
	}
	for _, f := range offers {
		c.offers[f] = append(c.offers[f], n)
	}
	val := binary.AppendUvarint(nil, uint64(table))
	val = append(val, v.do[0], map[bool]byte{true: 1}[v.forced])
	return c.spool.Add(binary.BigEndian.AppendUint32(nil, uint32(n)), v.rec.Append(val))
}

// providers are the contenders that offer what x needs; ok says that it holds anyway.
func (c *contest) providers(x *need) (list []int32, ok bool) {
	for _, f := range []fact{x.fact, x.or} {
		if _, given := c.given[f]; given {
			return nil, true
		}
		if f != 0 {
			list = append(list, c.offers[f]...)
		}
	}
	return list, len(list) == 0 && (c.blind || x.soft)
}

// decide finds the verdicts that cannot stand, and with them those that need them, until
// all that are left hold each other up.
func (c *contest) decide() {
	for changed := true; changed; {
		changed = false
		for i := range c.needs {
			x := &c.needs[i]
			if _, gone := c.failed[x.n]; gone {
				continue
			}
			if !c.holds(&x.need) {
				c.failed[x.n], changed = x.why, true
			}
		}
	}
	for i := range c.needs {
		x := &c.needs[i]
		if _, gone := c.failed[x.n]; gone {
			continue
		}
		list, _ := c.providers(&x.need)
		c.crossed = c.crossed || x.place && (len(list) > 0 || !x.soft)
		for _, p := range list {
			c.wanted[p] = c.wanted[p] || x.now && p != x.n
		}
	}
}

func (c *contest) holds(x *need) bool {
	list, ok := c.providers(x)
	for _, p := range list {
		_, gone := c.failed[p]
		ok = ok || !gone
	}
	return ok
}

// settleContest records what is left open, now that everything is known.
func (b *Build) settleContest() error {
	c := b.contest
	c.decide()
	it, err := c.spool.Sort()
	if err != nil {
		return err
	}
	defer it.Close()
	var rec act.Record
	for n := int32(0); it.Next(); n++ {
		table, w := binary.Uvarint(it.Value())
		if w <= 0 || table >= uint64(len(b.tables)) {
			return errors.New("read verdicts: a record is damaged")
		}
		rest := it.Value()[w:]
		if err := rec.Parse(rest[2:]); err != nil {
			return err
		}
		v := verdict{do: verbOf[rest[0]], forced: rest[1] == 1, rec: rec}
		if err := b.settleOne(b.tables[table], &v, c.failed[n], c.wanted[n]); err != nil {
			return err
		}
		rec = v.rec
	}
	return it.Err()
}

var verbOf = map[byte]act.Verb{'i': act.Insert, 'u': act.Update, 'd': act.Delete}

// settleOne records one contender: as a conflict when it failed. An update whose place
// another row takes is a delete and an insert, because the server checks keys row by row.
func (b *Build) settleOne(t *table, v *verdict, failed string, wanted bool) error {
	now := v.rec.Was // of a row to insert: the one that has its key
	if v.do == act.Insert {
		v.rec.Was, v.rec.Why = nil, ""
	}
	if failed != "" {
		if v.do == act.Insert && now != nil {
			if b.req.On == RestoreThen && sameKey(v.rec.To, now, t.key) {
				*v = t.judge.overwrite(v.rec.To, now)
				return b.record(t, v)
			}
			v.rec.Now = now
		}
		v.do, v.forced, v.rec.Set, v.rec.Why = act.Keep, false, nil, failed
		return b.record(t, v)
	}
	if v.do != act.Update || !wanted {
		return b.record(t, v)
	}
	to := afterOf(t.live, t.key, &v.rec)
	out := verdict{do: act.Delete, forced: v.forced, rec: act.Record{Now: v.rec.Now, Was: v.rec.Was}}
	if err := b.record(t, &out); err != nil {
		return err
	}
	return b.record(t, &verdict{do: act.Insert, rec: act.Record{To: to}})
}
