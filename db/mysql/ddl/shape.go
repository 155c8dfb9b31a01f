package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
)

// clone copies a table so that its columns and keys can be changed.
func clone(t *db.Table) *db.Table {
	out := *t
	out.Columns = slices.Clone(t.Columns)
	out.Keys = slices.Clone(t.Keys)
	for i := range out.Keys {
		out.Keys[i].Columns = slices.Clone(t.Keys[i].Columns)
	}
	out.Parents = slices.Clone(t.Parents)
	out.Children = slices.Clone(t.Children)
	return &out
}

// After is the shape of t once ops are carried out, as one ALTER TABLE: names of columns to
// drop, change and rename are those before it, FIRST and AFTER mean the columns after it. t
// is not changed. It is an error when an op names a column that is not there.
func After(t *db.Table, ops []AlterOp) (*db.Table, error) {
	out := clone(t)
	p := newAlteration(ops)
	kept := hiddenTail(t.Columns)
	body, tail := t.Columns[:len(t.Columns)-kept], t.Columns[len(t.Columns)-kept:]
	cols, err := p.replaced(body)
	if err != nil {
		return nil, fmt.Errorf("alter table %s: %w", printable(t.Name.String()), err)
	}
	if cols, err = p.placed(cols, body); err != nil {
		return nil, fmt.Errorf("alter table %s: %w", printable(t.Name.String()), err)
	}
	if p.dropVersions {
		tail = nil
	}
	if p.addVersions && len(tail) == 0 && !slices.ContainsFunc(cols, isRowBound) {
		tail = hiddenPeriod()
	}
	out.Columns = append(cols, tail...)
	if len(out.Columns) == 0 {
		return nil, fmt.Errorf("alter table %s: %w", printable(t.Name.String()), errNoColumns)
	}
	p.convert(out.Columns, t.Columns)
	moveKeys(out, t.Columns, p.newName)
	if err := alterKeys(out, ops); err != nil {
		return nil, fmt.Errorf("alter table %s: %w", printable(t.Name.String()), err)
	}
	if p.addVersions {
		keysByVersion(out)
		settleKeys(out)
	}
	for _, op := range ops {
		if op.Kind == RenameTable {
			out.Name = op.To
		}
	}
	return out, nil
}

// isRowBound says that a column is the start or end of MariaDB's system time.
func isRowBound(c db.Column) bool {
	return c.Generated && c.DataType == "timestamp" && c.Scale == 6
}

// alteration is the ops of one ALTER by the old names of the columns they touch.
type alteration struct {
	drops        map[string]AlterOp
	changes      map[string]AlterOp // RENAME, CHANGE and MODIFY by old name
	byNew        map[string]AlterOp // the same and ADD, by new name
	ops          []AlterOp
	charset      *db.Column // of CONVERT TO
	addVersions  bool
	dropVersions bool
}

func newAlteration(ops []AlterOp) *alteration {
	p := &alteration{drops: map[string]AlterOp{}, changes: map[string]AlterOp{}, byNew: map[string]AlterOp{}, ops: ops}
	for i, op := range ops {
		old, now := strings.ToLower(op.Old), strings.ToLower(op.New)
		switch op.Kind {
		case DropColumn:
			p.drops[old] = op
		case RenameColumn, ChangeColumn, ModifyColumn:
			p.changes[old] = op
			p.byNew[now] = op
		case AddColumn:
			p.byNew[now] = op
		case ConvertCharset:
			p.charset = &ops[i].Column
		case AddVersioning:
			p.addVersions = true
		case DropVersioning:
			p.dropVersions = true
		}
	}
	return p
}

// moves says that an op gives its column a place of its own.
func (op AlterOp) moves() bool { return op.First || op.After != "" }

// replaced is the old columns without the dropped and the moved ones, the rest as they are
// afterwards.
func (p *alteration) replaced(cols []db.Column) ([]db.Column, error) {
	have := columnIndex(cols)
	for _, op := range p.ops {
		_, ok := have[strings.ToLower(op.Old)]
		if op.Old != "" && !ok && !op.IfExists {
			return nil, fmt.Errorf("expected a column of the table, found %q", op.Old)
		}
	}
	var out []db.Column
	for _, c := range cols {
		key := strings.ToLower(c.Name)
		if _, drop := p.drops[key]; drop {
			continue
		}
		op, changed := p.changes[key]
		switch {
		case changed && op.Kind == RenameColumn:
			c.Name = op.New
		case changed && op.moves():
			continue
		case changed:
			c = op.Column
		}
		out = append(out, c)
	}
	return out, nil
}

// placed puts the added and the moved columns in, in the order of the ops.
func (p *alteration) placed(out, old []db.Column) ([]db.Column, error) {
	have := columnIndex(old)
	for _, op := range p.ops {
		_, was := have[strings.ToLower(op.Old)]
		_, there := have[strings.ToLower(op.New)]
		_, dropped := p.drops[strings.ToLower(op.New)]
		moved := (op.Kind == ChangeColumn || op.Kind == ModifyColumn) && op.moves() && was
		if !moved && (op.Kind != AddColumn || op.IfExists && there && !dropped) {
			continue
		}
		at := len(out)
		if op.First {
			at = 0
		} else if op.After != "" {
			at = 1 + slices.IndexFunc(out, func(c db.Column) bool { return strings.EqualFold(c.Name, op.After) })
			if at == 0 {
				return nil, fmt.Errorf("expected AFTER a column of the table, found %q", op.After)
			}
		}
		out = slices.Insert(out, at, op.Column)
	}
	if len(out) > mostColumns {
		return nil, fmt.Errorf("expected at most %d columns, found %d", mostColumns, len(out))
	}
	return out, nil
}

// convert carries out CONVERT TO CHARACTER SET on the columns that were there before.
func (p *alteration) convert(cols, old []db.Column) {
	if p.charset == nil {
		return
	}
	have := columnIndex(old)
	for i := range cols {
		_, was := have[strings.ToLower(cols[i].Name)]
		if was && isText(cols[i].DataType) && cols[i].Charset != "binary" {
			cols[i].Charset, cols[i].Collation = p.charset.Charset, p.charset.Collation
		}
	}
}

// newName is what a column is called after the ALTER, "" when it is dropped.
func (p *alteration) newName(old string) string {
	key := strings.ToLower(old)
	if op, ok := p.changes[key]; ok {
		return op.New
	}
	if _, ok := p.drops[key]; ok {
		return ""
	}
	return old
}

// moveKeys makes t's keys, which index into was, index into t.Columns. A column that is gone
// leaves its key, as on the servers; a key without columns is gone.
func moveKeys(t *db.Table, was []db.Column, rename func(string) string) {
	index := columnIndex(t.Columns)
	keys := t.Keys[:0]
	for _, key := range t.Keys {
		var cols []int
		for _, i := range key.Columns {
			name := rename(was[i].Name)
			if at, ok := index[strings.ToLower(name)]; ok && name != "" {
				cols = append(cols, at)
			}
		}
		if len(cols) > 0 || len(key.Columns) == 0 {
			key.Columns = cols
			keys = append(keys, key)
		}
	}
	t.Keys = keys
	for i := range t.Parents {
		t.Parents[i].ChildColumns = renamed(t.Parents[i].ChildColumns, rename)
	}
	for i := range t.Children {
		t.Children[i].ParentColumns = renamed(t.Children[i].ParentColumns, rename)
	}
	settleKeys(t)
}

func renamed(names []string, rename func(string) string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = rename(n); out[i] == "" {
			out[i] = n
		}
	}
	return out
}

// alterKeys adds and drops the keys that the ALTER names.
func alterKeys(t *db.Table, ops []AlterOp) error {
	for _, op := range ops {
		if op.dropKey != "" {
			t.Keys = slices.DeleteFunc(t.Keys, func(k db.Key) bool { return strings.EqualFold(k.Name, op.dropKey) })
		}
	}
	k := newKeyer(t)
	for _, op := range ops {
		if op.key == nil {
			continue
		}
		if err := k.add(op.key); err != nil {
			return err
		}
	}
	settleKeys(t)
	return nil
}
