package fold

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// memory is a Past that lies in memory.
type memory struct {
	events  []history.Event
	snaps   []history.Snapshot
	rows    map[string][]db.Row
	changes []logged
	defs    map[string]*history.Definition
}

type logged struct {
	name db.Name
	c    history.RowChange
}

var _ history.Past = (*memory)(nil)

func (m *memory) Events(_ context.Context, after, upto history.Seq) ([]history.Event, error) {
	var out []history.Event
	for _, e := range m.events {
		if e.Seq > after && e.Seq <= upto {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Snapshots(_ context.Context, name db.Name) ([]history.Snapshot, error) {
	var out []history.Snapshot
	for _, s := range slices.Backward(m.snaps) {
		if name == (db.Name{}) || s.Table == name {
			out = append(out, s)
		}
	}
	return out, nil
}

func (m *memory) Rows(_ context.Context, s *history.Snapshot, fn func(db.Row) error) error {
	for _, r := range m.rows[s.ID] {
		if err := lend(r, fn); err != nil {
			return err
		}
	}
	return nil
}

// lend hands a copy out and spoils it afterwards.
func lend(r db.Row, fn func(db.Row) error) error {
	own := r.Clone()
	err := fn(own)
	for i := range own {
		for k := range own[i].Data {
			own[i].Data[k] = '#'
		}
		own[i].State = db.Absent
	}
	return err
}

func (m *memory) Changes(_ context.Context, names []db.Name, after, upto history.Seq, fn func(db.Name, *history.RowChange) error) error {
	for _, l := range m.changes {
		if l.c.Seq <= after || l.c.Seq > upto || !slices.Contains(names, l.name) {
			continue
		}
		c := l.c
		err := lend(c.Before, func(b db.Row) error {
			return lend(c.After, func(a db.Row) error {
				c.Before, c.After = b, a
				return fn(l.name, &c)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Definition(_ context.Context, id string) (*history.Definition, error) {
	if d := m.defs[id]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("no definition %q", id)
}

// tab is a table of the simulated server.
type tab struct {
	name   db.Name
	shape  *db.Table
	def    *history.Definition
	rows   []db.Row
	fks    []*ref
	born   history.Seq
	shaped history.Seq // its last ALTER
	lost   history.Seq
}

type ref struct {
	child, parent    *tab
	name             db.Name // the parent's when it is gone
	cols, pcols      []string
	onDelete, update string
}

// world is a simulated server, its log and the truth.
type world struct {
	*memory
	rnd     *rand.Rand
	native  bool // the server logs what foreign keys do
	tabs    []*tab
	seq     history.Seq
	n       uint64
	off     bool // foreign_key_checks=0
	minimal bool
	fresh   int
	truth   []map[db.Name]was // by Seq
	refuse  bool
}

type was struct {
	rows []db.Row
	tab  *tab
	def  *history.Definition
}

func (w *world) at(s history.Seq) time.Time { return time.Unix(1_700_000_000+int64(s)*60, 0) }

func num(n int) db.Value      { return db.Value{State: db.Set, Data: strconv.AppendInt(nil, int64(n), 10)} }
func text(s string) db.Value  { return db.Value{State: db.Set, Data: []byte(s)} }
func name(s string) db.Name   { return db.Name{Schema: "shop", Table: s} }
func rowText(r db.Row) string { return string(db.AppendRow(nil, r)) }

// make builds a table from words: "id int key", "v text", "up int", with "?" for nullable.
func (w *world) make(n string, words ...string) *tab {
	t := &tab{name: name(n), shape: &db.Table{Engine: "InnoDB"}}
	var key []int
	for i, c := range words {
		f := strings.Fields(c)
		col := db.Column{Name: f[0], DataType: "int", ColumnType: "int", Nullable: true}
		if f[1] == "text" {
			col.DataType, col.ColumnType, col.Charset, col.Collation = "varchar", "varchar(20)", "utf8mb4", "utf8mb4_bin"
		}
		if len(f) > 2 {
			key = append(key, i)
			col.Nullable = false
		}
		t.shape.Columns = append(t.shape.Columns, col)
	}
	if key != nil {
		t.shape.Keys = []db.Key{{Name: "PRIMARY", Columns: key, Primary: true, NotNull: true}}
	}
	return t
}

func (t *tab) refer(col string, parent *tab, pcol, onDelete, onUpdate string) {
	t.fks = append(t.fks, &ref{t, parent, parent.name, []string{col}, []string{pcol}, onDelete, onUpdate})
}

// define makes a definition of the table as it is.
func (w *world) define(t *tab) {
	s := *t.shape
	s.Name = t.name
	s.Columns = slices.Clone(s.Columns)
	s.Parents = nil
	for i, f := range t.fks {
		s.Parents = append(s.Parents, db.ForeignKey{
			Name: "f" + strconv.Itoa(i), Child: t.name, ChildColumns: slices.Clone(f.cols), Parent: f.target(),
			ParentColumns: slices.Clone(f.pcols), OnDelete: f.onDelete, OnUpdate: f.update,
		})
	}
	d, err := history.NewDefinition(&s, []string{"create table " + t.name.String()})
	if err != nil {
		panic(err)
	}
	t.def = d
	w.defs[d.ID] = d
}

func (f *ref) target() db.Name {
	if f.parent != nil {
		return f.parent.name
	}
	return f.name
}

func newWorld(seed uint64, native bool) *world {
	w := &world{
		memory: &memory{rows: map[string][]db.Row{}, defs: map[string]*history.Definition{}},
		rnd:    rand.New(rand.NewPCG(seed, 7)), native: native,
	}
	g := w.make("g", "id int key", "v text")
	p := w.make("p", "id int key", "gid int", "code text", "v text")
	p.refer("gid", g, "id", w.one("CASCADE", "SET NULL"), w.one("CASCADE", "SET NULL", "RESTRICT"))
	c := w.make("c", "id int key", "pid int", "v text", "x int")
	c.refer("pid", p, "id", w.one("CASCADE", "SET NULL"), w.one("CASCADE", "SET NULL"))
	u := w.make("u", "id int key", "code text", "v text")
	u.refer("code", p, "code", "CASCADE", "CASCADE")
	t := w.make("t", "k text key", "v text", "gid int")
	t.refer("gid", g, "id", "SET NULL", "SET NULL")
	k := w.make("k", "a int key", "b int key", "v text")
	k.refer("a", g, "id", "CASCADE", "CASCADE")
	kk := w.make("kk", "id int key", "a int", "v text")
	kk.refer("a", k, "a", "CASCADE", "CASCADE")
	kk.fks[0].pcols, kk.fks[0].cols = []string{"a", "b"}, []string{"a", "b"}
	kk.shape.Columns = append(kk.shape.Columns, kk.shape.Columns[1])
	kk.shape.Columns[3].Name = "b"
	l := w.make("l", "x int", "y text", "gid int")
	l.refer("gid", g, "id", w.one("CASCADE", "SET NULL"), "CASCADE")
	s := w.make("s", "id int key", "up int", "v text")
	s.refer("up", s, "id", w.one("CASCADE", "SET NULL"), "RESTRICT")
	w.tabs = []*tab{g, p, c, u, t, k, kk, l, s}
	for _, t := range w.tabs {
		w.define(t)
	}
	w.remember()
	return w
}

func (w *world) one(list ...string) string { return list[w.rnd.IntN(len(list))] }

func (w *world) remember() {
	now := map[db.Name]was{}
	for _, t := range w.tabs {
		now[t.name] = was{slices.Clone(t.rows), t, t.def}
	}
	w.truth = append(w.truth, now)
}

func (t *tab) cols(names []string) []int {
	var out []int
	for _, n := range names {
		out = append(out, t.shape.Index(n))
	}
	return out
}

func (t *tab) key(r db.Row) string {
	order := t.shape.RowKey()
	if order == nil {
		for i := range t.shape.Columns {
			order = append(order, i)
		}
	}
	return string(db.AppendKey(nil, t.shape, order, r))
}

func (t *tab) find(r db.Row) int {
	k := t.key(r)
	return slices.IndexFunc(t.rows, func(o db.Row) bool { return t.key(o) == k })
}

// log writes a change down as the server would.
func (w *world) log(t *tab, before, after db.Row) {
	c := history.RowChange{Seq: w.seq, N: w.n, ForeignKeysOff: w.off, Definition: t.def.ID, Before: before.Clone(), After: after.Clone()}
	w.n += 1 + uint64(w.rnd.IntN(2))
	switch {
	case before == nil:
		c.Op = db.Insert
	case after == nil:
		c.Op = db.Delete
	default:
		c.Op = db.Update
	}
	if w.minimal && before != nil {
		key := t.shape.RowKey()
		for i := range before {
			if after != nil && before[i].Equal(after[i]) {
				c.After[i] = db.Value{State: db.Absent}
			}
			if key != nil && !slices.Contains(key, i) {
				c.Before[i] = db.Value{State: db.Absent}
			}
		}
	}
	w.changes = append(w.changes, logged{t.name, c})
}

func pickOf(t *tab, r db.Row, cols []string) (vals db.Row, null bool) {
	vals, whole := pick(nil, r, t.cols(cols))
	return vals, !whole
}

func (w *world) insert(t *tab, r db.Row) {
	if t.shape.RowKey() != nil && t.find(r) >= 0 || !w.unique(t, r) {
		w.refuse = true
		return
	}
	w.check(t, r)
	t.rows = append(t.rows, r)
	w.log(t, nil, r)
}

// unique says that the code of a p row is not taken.
func (w *world) unique(t *tab, r db.Row) bool {
	for _, o := range w.tabs {
		for _, f := range o.fks {
			if f.parent != t {
				continue
			}
			vals, _ := pickOf(t, r, f.pcols)
			for _, x := range t.rows {
				if v, _ := pickOf(t, x, f.pcols); sameValues(v, vals) {
					return false
				}
			}
		}
	}
	return true
}

// check refuses a row without its parents.
func (w *world) check(t *tab, r db.Row) {
	for _, f := range t.fks {
		vals, null := pickOf(t, r, f.cols)
		if w.off || null {
			continue
		}
		if f.parent == nil {
			w.refuse = true
			continue
		}
		if f.parent == t {
			if v, _ := pickOf(t, r, f.pcols); sameValues(v, vals) {
				continue
			}
		}
		if !slices.ContainsFunc(f.parent.rows, func(o db.Row) bool {
			v, _ := pickOf(f.parent, o, f.pcols)
			return sameValues(v, vals)
		}) {
			w.refuse = true
		}
	}
}

func (w *world) remove(t *tab, r db.Row, log bool) {
	i := t.find(r)
	if i < 0 {
		return
	}
	t.rows = slices.Delete(slices.Clone(t.rows), i, i+1)
	if log {
		w.log(t, r, nil)
	}
	w.ripple(t, r, nil)
}

func (w *world) replace(t *tab, old, r db.Row, log bool) {
	i := t.find(old)
	if i < 0 || rowText(old) == rowText(r) {
		return
	}
	moved := t.key(old) != t.key(r)
	if moved && t.shape.RowKey() != nil && t.find(r) >= 0 {
		w.refuse = true
		return
	}
	t.rows = slices.Clone(t.rows)
	t.rows[i] = nil
	rest := slices.DeleteFunc(slices.Clone(t.rows), func(r db.Row) bool { return r == nil })
	t.rows = append(rest, r)
	if log {
		w.check(t, r)
		w.log(t, old, r)
	}
	w.ripple(t, old, r)
}

// ripple does what foreign keys do when a row goes or changes.
func (w *world) ripple(t *tab, old, r db.Row) {
	if w.off || w.refuse {
		return
	}
	for _, child := range w.tabs {
		for _, f := range child.fks {
			if f.parent != t {
				continue
			}
			vals, null := pickOf(t, old, f.pcols)
			if null {
				continue
			}
			var now db.Row
			if r != nil {
				if now, _ = pickOf(t, r, f.pcols); sameValues(now, vals) {
					continue
				}
			}
			w.fall(f, vals, now)
		}
	}
}

func (w *world) fall(f *ref, vals, now db.Row) {
	for _, row := range slices.Clone(f.child.rows) {
		if v, _ := pickOf(f.child, row, f.cols); !sameValues(v, vals) || f.child.find(row) < 0 {
			continue
		}
		rule := f.onDelete
		if now != nil {
			rule = f.update
		}
		next := slices.Clone(row)
		switch rule {
		case "CASCADE":
			if now == nil {
				w.remove(f.child, row, w.native)
				continue
			}
			for i, c := range f.child.cols(f.cols) {
				next[c] = now[i]
			}
		case "SET NULL":
			for _, c := range f.child.cols(f.cols) {
				next[c] = db.Value{}
			}
		default:
			w.refuse = true
			continue
		}
		w.replace(f.child, row, next, w.native)
	}
}

func sortRows(t *db.Table, rows []db.Row) []db.Row {
	order := t.RowKey()
	if order == nil {
		for i := range t.Columns {
			order = append(order, i)
		}
	}
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b db.Row) int {
		return bytes.Compare(db.AppendKey(nil, t, order, a), db.AppendKey(nil, t, order, b))
	})
	return out
}
