package fold

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// run makes n transactions.
func (w *world) run(n int) {
	minimals := w.rnd.IntN(3) == 0
	for range n {
		w.seq++
		w.n = 0
		w.off, w.minimal = w.rnd.IntN(12) == 0, minimals && w.rnd.IntN(3) > 0
		if w.rnd.IntN(8) == 0 {
			w.ddl()
		} else {
			for range 1 + w.rnd.IntN(6) {
				w.attempt()
			}
		}
		w.remember()
	}
	w.off = false
}

// attempt does one statement, or nothing when it is refused.
func (w *world) attempt() {
	logs, n := len(w.changes), w.n
	saved := make([][]db.Row, len(w.tabs))
	for i, t := range w.tabs {
		saved[i] = t.rows
	}
	w.refuse = false
	w.statement(w.tabs[w.rnd.IntN(len(w.tabs))])
	if w.refuse {
		w.changes, w.n = w.changes[:logs], n
		for i, t := range w.tabs {
			t.rows = saved[i]
		}
	}
}

func (w *world) statement(t *tab) {
	switch k := w.rnd.IntN(10); {
	case k < 5 || len(t.rows) == 0:
		w.insert(t, w.row(t))
	case k < 8:
		old := t.rows[w.rnd.IntN(len(t.rows))]
		r, other := slices.Clone(old), w.row(t)
		for i := range r {
			if w.rnd.IntN(3) == 0 {
				r[i] = other[i]
			}
		}
		if !w.clash(t, old, r) {
			w.replace(t, old, r, true)
		}
	default:
		w.remove(t, t.rows[w.rnd.IntN(len(t.rows))], true)
	}
}

// clash says that the new row takes referenced values of another.
func (w *world) clash(t *tab, old, r db.Row) bool {
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if f.parent != t {
				continue
			}
			a, _ := pickOf(t, old, f.pcols)
			b, _ := pickOf(t, r, f.pcols)
			if !sameValues(a, b) && !w.unique(t, r) {
				// Only the values that changed must be free.
				return true
			}
		}
	}
	return false
}

func (w *world) row(t *tab) db.Row {
	r := make(db.Row, len(t.shape.Columns))
	for i, c := range t.shape.Columns {
		switch {
		case c.Nullable && w.rnd.IntN(6) == 0:
		case c.DataType == "int":
			r[i] = num(w.rnd.IntN(7) - 1)
		default:
			r[i] = text(string(rune('a'+w.rnd.IntN(6))) + "\x00"[:w.rnd.IntN(2)])
			if c.Name != "v" && c.Name != "y" {
				r[i] = text(string(rune('a' + w.rnd.IntN(6))))
			}
		}
	}
	for _, f := range t.fks {
		if f.parent == nil || len(f.parent.rows) == 0 {
			continue
		}
		vals, _ := pickOf(f.parent, f.parent.rows[w.rnd.IntN(len(f.parent.rows))], f.pcols)
		for i, c := range t.cols(f.cols) {
			if r[c].State == db.Set {
				r[c] = vals[i]
			}
		}
	}
	return r
}

func (w *world) event(e history.Event) {
	e.Seq, e.At = w.seq, w.at(w.seq)
	w.events = append(w.events, e)
}

func (w *world) ddl() {
	t := w.tabs[w.rnd.IntN(len(w.tabs))]
	switch w.rnd.IntN(10) {
	case 0:
		t.rows, t.born = nil, w.seq
		w.event(history.Event{Kind: history.Truncated, Table: t.name})
	case 1:
		w.recreate(t)
	case 2:
		w.fresh++
		w.rename(t, name("n"+strconv.Itoa(w.fresh)))
	case 3:
		w.swap(t, w.tabs[w.rnd.IntN(len(w.tabs))])
	case 4, 5:
		w.addColumn(t)
	case 6:
		w.dropColumn(t)
	case 7:
		w.renameColumn(t)
	case 8:
		w.toggleKey(t)
	case 9:
		if w.rnd.IntN(2) == 0 && len(t.rows) > 0 {
			w.event(history.Event{Kind: history.Lost, Table: t.name, Reason: "sql_log_bin=0"})
			t.rows = t.rows[1:]
		}
	}
}

func (w *world) recreate(t *tab) {
	w.event(history.Event{Kind: history.Dropped, Table: t.name})
	n := *t
	t2 := &n
	t2.rows, t2.born, t2.lost = nil, w.seq, 0
	t2.shaped = w.seq
	t2.fks = nil
	for _, f := range t.fks {
		own := *f
		own.child = t2
		t2.fks = append(t2.fks, &own)
	}
	w.tabs[slices.Index(w.tabs, t)] = t2
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if f.parent == t {
				f.parent = t2
			}
		}
	}
	w.define(t2)
	w.event(history.Event{Kind: history.Created, Table: t2.name, Definition: t2.def.ID})
	if w.rnd.IntN(2) == 0 {
		w.attempt()
	}
}

func (w *world) rename(t *tab, to db.Name) {
	w.event(history.Event{Kind: history.Renamed, Table: t.name, To: to})
	t.name = to
}

func (w *world) swap(a, b *tab) {
	if a == b {
		return
	}
	x, y := a.name, b.name
	w.rename(a, name("swap"))
	w.rename(b, x)
	w.rename(a, y)
}

// alter changes the shape by columns, and the rows with it.
func (w *world) alter(t *tab, shape *db.Table, from []history.ColumnFrom) {
	was := t.def.ID
	t.shape, t.shaped = shape, w.seq
	w.define(t)
	w.event(history.Event{Kind: history.Altered, Table: t.name, Was: was, Definition: t.def.ID, Columns: from})
	rows := make([]db.Row, len(t.rows))
	for i, r := range t.rows {
		rows[i] = mapRow(nil, r, from).Clone()
	}
	t.rows = rows
}

func same(n int) []history.ColumnFrom {
	out := make([]history.ColumnFrom, n)
	for i := range out {
		out[i].Old = i
	}
	return out
}

func (t *tab) copy() *db.Table {
	s := *t.shape
	s.Columns = slices.Clone(s.Columns)
	s.Keys = slices.Clone(s.Keys)
	for i := range s.Keys {
		s.Keys[i].Columns = slices.Clone(s.Keys[i].Columns)
	}
	return &s
}

func (w *world) addColumn(t *tab) {
	s, from := t.copy(), same(len(t.shape.Columns))
	w.fresh++
	c := db.Column{Name: fmt.Sprintf("z%d", w.rnd.IntN(4)), DataType: "int", ColumnType: "int", Nullable: true}
	if s.Index(c.Name) >= 0 {
		return
	}
	at := w.rnd.IntN(len(s.Columns) + 1)
	f := history.ColumnFrom{Old: -1}
	if w.rnd.IntN(2) == 0 {
		f.Default = []byte("42")
	}
	s.Columns = slices.Insert(s.Columns, at, c)
	from = slices.Insert(from, at, f)
	for _, k := range s.Keys {
		for i := range k.Columns {
			if k.Columns[i] >= at {
				k.Columns[i]++
			}
		}
	}
	w.alter(t, s, from)
}

func (w *world) dropColumn(t *tab) {
	s, from := t.copy(), same(len(t.shape.Columns))
	at := w.rnd.IntN(len(s.Columns))
	own := slices.Clone(t.fks)
	if len(s.Columns) < 3 || w.keeps(t, at) {
		return
	}
	// A column of the table's own foreign key takes that with it.
	t.fks = slices.DeleteFunc(own, func(f *ref) bool { return has(f.cols, s.Columns[at].Name) })
	s.Columns = slices.Delete(s.Columns, at, at+1)
	from = slices.Delete(from, at, at+1)
	for _, k := range s.Keys {
		for i := range k.Columns {
			if k.Columns[i] > at {
				k.Columns[i]--
			}
		}
	}
	w.alter(t, s, from)
}

// keeps says that a key or another table needs the column.
func (w *world) keeps(t *tab, at int) bool {
	if slices.Contains(t.shape.RowKey(), at) || t.shape.Columns[at].Name == "id" {
		return true
	}
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if f.parent == t && has(f.pcols, t.shape.Columns[at].Name) {
				return true
			}
		}
	}
	return false
}

func (w *world) renameColumn(t *tab) {
	s, from := t.copy(), same(len(t.shape.Columns))
	at := w.rnd.IntN(len(s.Columns))
	old := s.Columns[at].Name
	w.fresh++
	fresh := fmt.Sprintf("r%d", w.fresh)
	s.Columns[at].Name = fresh
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if o == t {
				f.cols = swapName(f.cols, old, fresh)
			}
			if f.parent == t {
				f.pcols = swapName(f.pcols, old, fresh)
			}
		}
	}
	w.alter(t, s, from)
}

func swapName(list []string, old, fresh string) []string {
	out := slices.Clone(list)
	for i := range out {
		if out[i] == old {
			out[i] = fresh
		}
	}
	return out
}

// toggleKey drops a table's key, or gives it one.
func (w *world) toggleKey(t *tab) {
	s := t.copy()
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if f.parent == t {
				return
			}
		}
	}
	if s.Keys != nil {
		s.Keys = nil
	} else {
		seen := map[string]bool{}
		at := w.rnd.IntN(len(s.Columns))
		s.Keys = []db.Key{{Name: "PRIMARY", Columns: []int{at}, Primary: true, NotNull: true}}
		for _, r := range t.rows {
			k := string(db.AppendKey(nil, s, []int{at}, r))
			if seen[k] || r[at].State == db.Null {
				return
			}
			seen[k] = true
		}
		s.Columns[at].Nullable = false
		for _, f := range t.fks {
			if has(f.cols, s.Columns[at].Name) {
				return
			}
		}
	}
	w.alter(t, s, same(len(s.Columns)))
}

// snapshot takes one of the table called n at End, read since Start.
func (w *world) snapshot(n db.Name, start, end history.Seq) bool {
	now, ok := w.truth[end][n]
	if !ok {
		return false
	}
	var states []was
	for s := start; s <= end; s++ {
		i := slices.IndexFunc(keys(w.truth[s]), func(k db.Name) bool { return w.truth[s][k].tab == now.tab })
		if i < 0 {
			return false
		}
		then := w.truth[s][keys(w.truth[s])[i]]
		if !sameColumns(then.def.Table, now.def.Table) || !slices.Equal(then.def.Table.RowKey(), now.def.Table.RowKey()) {
			return false
		}
		states = append(states, then)
	}
	if start < end && now.def.Table.RowKey() == nil {
		return false
	}
	rows := now.rows
	if start < end {
		rows = w.fuzzy(now.def.Table, states)
	}
	rows = sortRows(now.def.Table, rows)
	s := history.Snapshot{
		ID: fmt.Sprintf("%03d-%s", len(w.snaps), n), Table: n, Definition: now.def.ID, Start: start, End: end,
		Rows: int64(len(rows)), Sorted: true, At: w.at(end),
	}
	if w.rnd.IntN(2) == 0 {
		s.Sorted = false
		w.rnd.Shuffle(len(rows), func(i, k int) { rows[i], rows[k] = rows[k], rows[i] })
	}
	w.rows2(s, rows)
	return true
}

func (w *world) rows2(s history.Snapshot, rows []db.Row) {
	w.memory.rows[s.ID] = rows
	w.snaps = append(w.snaps, s)
}

// fuzzy reads each key at another moment.
func (w *world) fuzzy(t *db.Table, states []was) []db.Row {
	var out []db.Row
	done := map[string]bool{}
	key := func(r db.Row) string { return string(db.AppendKey(nil, t, t.RowKey(), r)) }
	for _, s := range states {
		for _, r := range s.rows {
			k := key(r)
			if done[k] {
				continue
			}
			done[k] = true
			at := states[w.rnd.IntN(len(states))]
			if i := slices.IndexFunc(at.rows, func(o db.Row) bool { return key(o) == k }); i >= 0 {
				out = append(out, at.rows[i])
			}
		}
	}
	return out
}

func keys(m map[db.Name]was) []db.Name {
	var out []db.Name
	for n := range m {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b db.Name) int {
		if a.Table < b.Table {
			return -1
		}
		return 1
	})
	return out
}
