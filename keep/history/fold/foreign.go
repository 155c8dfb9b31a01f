package fold

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// act is what a foreign key does to a row when its parent goes or changes.
type act uint8

const (
	none act = iota
	cascade
	setNull
)

func action(rule string) act {
	switch strings.ToUpper(rule) {
	case "CASCADE":
		return cascade
	case "SET NULL":
		return setNull
	}
	return none
}

// edge is one foreign key of one table to another while neither changed its identity. It
// holds what happened to the parent's referenced values.
type edge struct {
	child, parent    *node
	fk               *db.ForeignKey
	onDelete, update act
	pieces           []Interval // the parent's names while the foreign key was in force
	epoch            int        // the child's, whose definition has the foreign key
	aliases          [][]string // other names each referenced column has had

	logged, implied *index
	sorter          *extsort.Sorter // implied events of the round that runs
	first           history.Seq     // of the events that are logged; never when there is none
	ask             bool            // some logged events lack the referenced values
	cols            map[*db.Table][]int

	text     bool                // some referenced column compares by a collation
	open     map[string]struct{} // text values that no child's equalled so far
	overflow bool                // there are too many of them
	odd      bool                // a child has a text whose equals cannot be told
}

func (g *edge) from() history.Seq { return g.pieces[0].From }
func (g *edge) to() history.Seq   { return g.pieces[len(g.pieces)-1].To }

func (g *edge) inForce(seq history.Seq) bool { return seq >= g.from() && seq <= g.to() }

// any says that there is something that could fall on the child's rows.
func (g *edge) any() bool {
	return g.logged != nil && g.logged.n > 0 || g.implied != nil && g.implied.n > 0
}

// parentCols finds the referenced columns in one of the parent's shapes; nil when they are
// not all there.
func (g *edge) parentCols(t *db.Table) []int {
	if c, ok := g.cols[t]; ok {
		return c
	}
	out := make([]int, 0, len(g.fk.ParentColumns))
	for i, name := range g.fk.ParentColumns {
		at := t.Index(name)
		for k := 0; at < 0 && k < len(g.aliases[i]); k++ {
			at = t.Index(g.aliases[i][k])
		}
		if at < 0 {
			out = nil
			break
		}
		out = append(out, at)
	}
	g.cols[t] = out
	return out
}

// event is what happened to referenced values: new is nil when they are gone.
type event struct {
	old, new db.Row
}

func appendEvent(dst []byte, e event) []byte {
	return db.AppendRow(db.AppendRow(dst, e.old), e.new)
}

func parseEvent(b []byte) (e event, err error) {
	if e.old, b, err = db.ParseRow(b, nil); err != nil {
		return e, err
	}
	e.new, _, err = db.ParseRow(b, nil)
	return e, err
}

const (
	tagOld  byte = iota // keyed by the values before
	tagInto             // keyed by the values after
)

// appendValues appends a key that is the same for values that may be equal.
func appendValues(dst []byte, tag byte, t *db.Table, cols []int, vals db.Row) []byte {
	dst = append(dst, tag)
	for i := range vals {
		data := vals[i].Data
		if collated(&t.Columns[cols[i]]) {
			data = foldText(&t.Columns[cols[i]], data)
		}
		dst = binary.AppendUvarint(dst, uint64(len(data)))
		dst = append(dst, data...)
	}
	return dst
}

func collated(c *db.Column) bool { return textType(c.DataType) && c.Charset != "binary" }

// plain says that ASCII rules tell which texts equal this one.
func plain(c *db.Column, data []byte) bool {
	switch strings.ToLower(c.Charset) {
	case "ucs2", "utf16", "utf16le", "utf32":
		return false
	}
	for _, b := range data {
		if b < 0x20 || b > 0x7e {
			return false
		}
	}
	return true
}

func foldText(c *db.Column, data []byte) []byte {
	if !plain(c, data) {
		return data
	}
	return bytes.TrimRight(bytes.ToLower(data), " ")
}

// sameText compares two plain texts that foldText makes the same, by collation.
func sameText(c *db.Column, a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	name := strings.ToLower(c.Collation)
	if !strings.Contains(name, "0900") && !strings.Contains(name, "nopad") {
		a, b = bytes.TrimRight(a, " "), bytes.TrimRight(b, " ")
	}
	if strings.HasSuffix(name, "_bin") || strings.HasSuffix(name, "_cs") {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(bytes.ToLower(a), bytes.ToLower(b))
}

// matches says that a child's values are the parent's old ones.
func matches(t *db.Table, cols []int, vals, old db.Row) bool {
	for i := range vals {
		c := &t.Columns[cols[i]]
		if bytes.Equal(vals[i].Data, old[i].Data) {
			continue
		}
		if !collated(c) || !plain(c, vals[i].Data) || !plain(c, old[i].Data) || !sameText(c, vals[i].Data, old[i].Data) {
			return false
		}
	}
	return true
}

// pick takes columns of a row; whole is false when one of them is NULL or not known.
func pick(dst, row db.Row, cols []int) (vals db.Row, whole bool) {
	whole = true
	for _, c := range cols {
		dst = append(dst, row[c])
		whole = whole && row[c].State == db.Set
	}
	return dst, whole
}

func sameValues(a, b db.Row) bool {
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

const maxOpen = 100_000

// remember keeps a text value until some child's turns out to equal it.
func (g *edge) remember(key []byte) {
	if !g.text {
		return
	}
	if len(g.open) >= maxOpen {
		g.overflow = true
		return
	}
	g.open[string(key)] = struct{}{}
}

// adder sorts events into an edge's index.
type adder struct {
	g   *edge
	s   *extsort.Sorter
	key []byte
	val []byte
}

// add notes what the parent of shape t did to the referenced values at p.
func (a *adder) add(p place, t *db.Table, cols []int, e event) error {
	if e.new == nil && a.g.onDelete == none || e.new != nil && a.g.update == none {
		return nil
	}
	a.val = appendEvent(a.val[:0], e)
	a.key = appendValues(a.key[:0], tagOld, t, cols, e.old)
	a.g.remember(a.key)
	a.key = appendPlace(a.key, p)
	if err := a.s.Add(a.key, a.val); err != nil {
		return err
	}
	if e.new == nil || a.g.update != cascade || !a.g.child.fuzzyAt(p.seq) {
		return nil
	}
	for i := range e.new {
		if e.new[i].State != db.Set {
			return nil
		}
	}
	a.key = appendPlace(appendValues(a.key[:0], tagInto, t, cols, e.new), p)
	return a.s.Add(a.key, nil)
}
