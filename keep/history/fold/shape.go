package fold

import (
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// epoch is a stretch in which a table had one shape, beginning with the transaction from.
type epoch struct {
	from    history.Seq
	def     *history.Definition
	columns []history.ColumnFrom // from the epoch before
}

// segment is a run of epochs whose rows can all be handled in the shape of the last one.
type segment struct {
	epochs []epoch
	maps   [][]history.ColumnFrom // from each epoch's columns to table's; nil is no difference
	enter  []history.ColumnFrom   // from the table of the segment before
	table  *db.Table
	key    []int // columns that tell rows apart, nil when only all of them do
	order  []int // columns that rows are sorted by
}

// segments cuts epochs where the row key changes and where a column goes that a foreign key
// needs; used says by name which other columns foreign keys need.
func segments(epochs []epoch, used func(name string) bool) []*segment {
	var segs []*segment
	first := 0
	for i := 1; i <= len(epochs); i++ {
		if i < len(epochs) && !breaks(epochs[i-1].def.Table, &epochs[i], used) {
			continue
		}
		g := newSegment(epochs[first:i])
		if len(segs) > 0 {
			g.enter = compose(epochs[first].columns, g.maps[0], len(g.table.Columns))
		}
		segs = append(segs, g)
		first = i
	}
	return segs
}

func newSegment(epochs []epoch) *segment {
	last := len(epochs) - 1
	g := &segment{epochs: epochs, table: epochs[last].def.Table, maps: make([][]history.ColumnFrom, len(epochs))}
	for i := last - 1; i >= 0; i-- {
		g.maps[i] = compose(epochs[i+1].columns, g.maps[i+1], len(g.table.Columns))
	}
	g.key = g.table.RowKey()
	g.order = g.key
	if g.key == nil {
		for i := range g.table.Columns {
			if !g.table.Columns[i].Generated {
				g.order = append(g.order, i)
			}
		}
	}
	return g
}

// compose is first a and then b, which has n columns; a nil b changes nothing.
func compose(a, b []history.ColumnFrom, n int) []history.ColumnFrom {
	if b == nil {
		return a
	}
	out := make([]history.ColumnFrom, n)
	for i, c := range b {
		out[i] = c
		if c.Old >= 0 {
			out[i] = a[c.Old]
		}
	}
	return out
}

// fits says that m can map rows of the one table to the other.
func fits(m []history.ColumnFrom, from, to *db.Table) bool {
	for _, c := range m {
		if c.Old >= len(from.Columns) {
			return false
		}
	}
	return len(m) == len(to.Columns)
}

func breaks(old *db.Table, e *epoch, used func(string) bool) bool {
	t := e.def.Table
	a, b := old.RowKey(), t.RowKey()
	if (a == nil) != (b == nil) || len(a) != len(b) || a == nil {
		return true
	}
	for i := range a {
		if e.columns[b[i]].Old != a[i] || !sameKind(&old.Columns[a[i]], &t.Columns[b[i]]) {
			return true
		}
	}
	kept := make([]bool, len(old.Columns))
	for _, c := range e.columns {
		if c.Old >= 0 {
			kept[c.Old] = true
		}
	}
	for i := range old.Columns {
		if !kept[i] && (needs(old, old.Columns[i].Name) || used != nil && used(old.Columns[i].Name)) {
			return true
		}
	}
	return false
}

// needs says that a foreign key of the table, or one of its own to itself, has the column.
func needs(t *db.Table, column string) bool {
	for i := range t.Parents {
		fk := &t.Parents[i]
		if acts(fk) && (has(fk.ChildColumns, column) || has(fk.ParentColumns, column)) {
			return true
		}
	}
	return false
}

func has(list []string, name string) bool {
	for _, s := range list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// acts says that the foreign key changes rows by itself.
func acts(fk *db.ForeignKey) bool {
	return action(fk.OnDelete) != none || action(fk.OnUpdate) != none
}

// sameKind says that values of both columns have the same keys.
func sameKind(a, b *db.Column) bool {
	return integerType(a.DataType) == integerType(b.DataType) && a.Unsigned == b.Unsigned
}

func integerType(t string) bool {
	switch t {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		return true
	}
	return false
}

// sameForm says that a value keeps its canonical bytes when its column changes from a to b.
func sameForm(a, b *db.Column) bool {
	switch {
	case integerType(a.DataType) && integerType(b.DataType):
		return (a.DataType == "year") == (b.DataType == "year")
	case textType(a.DataType) && textType(b.DataType):
		return a.Charset == b.Charset
	case a.DataType != b.DataType || a.Scale != b.Scale || len(a.Elements) > len(b.Elements):
		return false
	case a.DataType == "binary":
		return a.Length == b.Length
	}
	for i := range a.Elements {
		if a.Elements[i] != b.Elements[i] {
			return false
		}
	}
	return true
}

func textType(t string) bool {
	switch t {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		return true
	}
	return false
}

// mapRow writes src's values to dst in the order of m; a nil row stays nil.
func mapRow(dst db.Row, src db.Row, m []history.ColumnFrom) db.Row {
	if src == nil {
		return nil
	}
	dst = dst[:0]
	for _, c := range m {
		switch {
		case c.Old >= 0 && c.Old < len(src):
			dst = append(dst, src[c.Old])
		case c.Default != nil:
			dst = append(dst, db.Value{State: db.Set, Data: c.Default})
		default:
			dst = append(dst, db.Value{})
		}
	}
	return dst
}

// byName maps columns by their names where no event says how one shape became the other.
func byName(from, to *db.Table) []history.ColumnFrom {
	m := make([]history.ColumnFrom, len(to.Columns))
	for i := range to.Columns {
		m[i].Old = from.Index(to.Columns[i].Name)
	}
	return m
}

// identity says that m changes nothing.
func identity(m []history.ColumnFrom, columns int) bool {
	if len(m) != columns {
		return false
	}
	for i, c := range m {
		if c.Old != i {
			return false
		}
	}
	return true
}

// mapping is how a row of definition d that was changed in transaction seq becomes one of the
// segment's; said is false when no event says so and the names of the columns had to do.
func (g *segment) mapping(d *history.Definition, seq history.Seq) (m []history.ColumnFrom, said bool) {
	at := 0
	for i := range g.epochs {
		if g.epochs[i].from <= seq {
			at = i
		}
	}
	if d.ID == g.epochs[at].def.ID || sameColumns(d.Table, g.epochs[at].def.Table) {
		return g.maps[at], true
	}
	for i := range slices.Backward(g.epochs) {
		if g.epochs[i].def.ID == d.ID || sameColumns(d.Table, g.epochs[i].def.Table) {
			return g.maps[i], true
		}
	}
	return byName(d.Table, g.table), false
}

func sameColumns(a, b *db.Table) bool {
	if len(a.Columns) != len(b.Columns) {
		return false
	}
	for i := range a.Columns {
		x, y := &a.Columns[i], &b.Columns[i]
		if !strings.EqualFold(x.Name, y.Name) || x.ColumnType != y.ColumnType || x.DataType != y.DataType {
			return false
		}
	}
	return true
}
