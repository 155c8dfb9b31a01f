package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// MostCandidates is the most shapes that Before hands out.
const MostCandidates = 4096

// Before is every shape that t may have had before ops made it what it is, as one ALTER TABLE:
// an added column is gone, a renamed one has its old name, a changed or modified one is of
// unknown type (DataType ""), and of any place when the ALTER moved it; a dropped one comes
// back at every place, of unknown type. IF EXISTS and IF NOT EXISTS count both ways. Text
// columns of a CONVERT TO CHARACTER SET are of unknown type.
//
// Keys the ALTER made are gone; those it dropped cannot be known. It is an error when t is not
// what ops lead to, or when there are more than MostCandidates shapes.
func Before(t *db.Table, ops []AlterOp) ([]*db.Table, error) {
	var out []*db.Table
	seen := map[string]bool{}
	variants, err := variantsOf(ops)
	if err != nil {
		return nil, fmt.Errorf("undo alter table %s: %w", printable(t.Name.String()), err)
	}
	var firstErr error
	for _, v := range variants {
		tables, err := before(t, v, MostCandidates)
		if err != nil && firstErr == nil {
			firstErr = err
		}
		for _, b := range tables {
			if key := shapeKey(b); !seen[key] {
				seen[key] = true
				out = append(out, b)
			}
		}
		if len(out) > MostCandidates {
			return nil, fmt.Errorf("undo alter table %s: %w", printable(t.Name.String()), errCandidates)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("undo alter table %s: %w", printable(t.Name.String()), firstErr)
	}
	return out, nil
}

var errCandidates = fmt.Errorf("more than %d shapes are possible", MostCandidates)

// variantsOf is the lists of ops that IF [NOT] EXISTS may have come down to.
func variantsOf(ops []AlterOp) ([][]AlterOp, error) {
	out := [][]AlterOp{nil}
	for _, op := range ops {
		n := len(out)
		for i := range n {
			if op.IfExists && op.ChangesColumns() {
				out = append(out, slices.Clone(out[i]))
			}
			sure := op
			sure.IfExists = false
			out[i] = append(out[i], sure)
		}
		if len(out) > MostCandidates {
			return nil, errCandidates
		}
	}
	return out, nil
}

func shapeKey(t *db.Table) string {
	var b strings.Builder
	for _, c := range t.Columns {
		fmt.Fprintf(&b, "%q %q,", c.Name, c.ColumnType)
	}
	return b.String()
}

// before undoes ops that were all carried out.
func before(t *db.Table, ops []AlterOp, most int) ([]*db.Table, error) {
	p := newAlteration(ops)
	kept := hiddenTail(t.Columns)
	body, tail := t.Columns[:len(t.Columns)-kept], t.Columns[len(t.Columns)-kept:]
	if p.addVersions {
		tail = nil
	}
	if p.dropVersions && len(p.drops) < 2 {
		tail = hiddenPeriod() // its own bounds would have had to be dropped by name
	}
	fixed, free, err := p.undone(body)
	if err != nil {
		return nil, err
	}
	if shapes(len(fixed), len(free), most) > most {
		return nil, errCandidates
	}
	lists := [][]db.Column{fixed}
	for _, c := range free {
		lists = everywhere(lists, c)
	}
	out := make([]*db.Table, 0, len(lists))
	for _, cols := range lists {
		out = append(out, p.beforeTable(t, append(cols, tail...)))
	}
	return out, nil
}

// shapes is the number of ways to put free columns among fixed ones, or just above most.
func shapes(fixed, free, most int) int {
	n := 1
	for i := range free {
		if n *= fixed + i + 1; n > most {
			return n
		}
	}
	return n
}

// everywhere puts a column at each place of each list.
func everywhere(lists [][]db.Column, c db.Column) [][]db.Column {
	var out [][]db.Column
	for _, l := range lists {
		for at := range len(l) + 1 {
			cols := make([]db.Column, 0, len(l)+3)
			cols = append(append(append(cols, l[:at]...), c), l[at:]...)
			out = append(out, cols)
		}
	}
	return out
}

// undone splits the columns before the ALTER into those whose order is known and those that
// may have been anywhere.
func (p *alteration) undone(cols []db.Column) (fixed, free []db.Column, err error) {
	used := map[string]bool{}
	for _, c := range cols {
		key := strings.ToLower(c.Name)
		op, touched := p.byNew[key]
		used[key] = touched
		switch {
		case !touched:
			fixed = append(fixed, p.unconverted(c))
		case op.Kind == AddColumn:
		case op.Kind == RenameColumn:
			c.Name = op.Old
			fixed = append(fixed, p.unconverted(c))
		case op.moves():
			free = append(free, unknown(op.Old))
		default:
			fixed = append(fixed, unknown(op.Old))
		}
	}
	for _, op := range p.ops {
		if op.New != "" && !used[strings.ToLower(op.New)] {
			return nil, nil, fmt.Errorf("expected column %q, which the statement made", op.New)
		}
		if op.Kind == DropColumn {
			free = append(free, unknown(op.Old))
		}
	}
	for _, c := range fixed {
		if _, dropped := p.drops[strings.ToLower(c.Name)]; dropped {
			return nil, nil, fmt.Errorf("expected no column %q, which the statement dropped", c.Name)
		}
	}
	return fixed, free, nil
}

// unknown is a column whose type the statement does not tell.
func unknown(name string) db.Column { return db.Column{Name: name, Nullable: true} }

// unconverted hides the type of a text column that CONVERT TO has changed.
func (p *alteration) unconverted(c db.Column) db.Column {
	if p.charset != nil && (isText(c.DataType) || isBinary(c.DataType)) {
		return unknown(c.Name)
	}
	return c
}

func (p *alteration) oldName(now string) string {
	op, ok := p.byNew[strings.ToLower(now)]
	switch {
	case !ok:
		return now
	case op.Kind == AddColumn:
		return ""
	}
	return op.Old
}

func (p *alteration) beforeTable(t *db.Table, cols []db.Column) *db.Table {
	bare := *t
	bare.Columns = nil
	out := clone(&bare)
	out.Columns = cols
	added := map[string]bool{}
	for _, op := range p.ops {
		if op.key != nil && (op.key.primary || op.key.unique) {
			name := op.key.name
			if op.key.primary {
				name = "PRIMARY"
			} else if name == "" && len(op.key.parts) > 0 {
				name = op.key.parts[0].name
			}
			added[strings.ToLower(name)] = true
		}
		if op.Kind == RenameTable {
			out.Name = op.From
		}
	}
	gone := func(k db.Key) bool {
		return added[strings.ToLower(k.Name)] || slices.ContainsFunc(k.Columns, func(i int) bool { return p.oldName(t.Columns[i].Name) == "" })
	}
	out.Keys = slices.DeleteFunc(out.Keys, gone)
	moveKeys(out, t.Columns, p.oldName)
	return out
}
