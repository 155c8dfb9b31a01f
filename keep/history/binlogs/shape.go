package binlogs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
)

// Then is a table as the log's rows have it, and what became of it since.
type Then struct {
	Shape *db.Table
	// Now is the table's name by now, which a RENAME may have changed.
	Now db.Name
	// Renamed maps the old names, in lower case, of columns renamed since to those of now.
	Renamed map[string]string
}

// ShapeThen finds the columns that a table's rows had in the log. It uses, in this order: a
// shape that the user gave, the log's own metadata, and the table as it is now with the
// statements that redefined it since taken back. It refuses where that is ambiguous.
func ShapeThen(t *binlog.TableMap, given, live *db.Table, since []Redefinition) (*Then, error) {
	name := db.Name{Schema: t.Schema, Table: t.Table}
	then := &Then{Now: name, Renamed: map[string]string{}}
	alters, err := then.follow(name, since)
	if err != nil {
		return nil, err
	}
	switch {
	case given != nil:
		then.Shape, err = givenShape(t, given)
	case t.HasNames:
		then.Shape = enrich(t, live)
	case live == nil:
		err = unknownShape(name, "the log has no column names (binlog_row_metadata is not FULL)")
	default:
		then.Shape, err = backward(t, live, alters)
	}
	if err != nil {
		return nil, err
	}
	return then, nil
}

func unknownShape(name db.Name, why string, args ...any) error {
	return lull.Errorf(lull.Refused, "give its CREATE TABLE of then with --schema FILE.sql",
		"which columns the logged rows of %s have is not certain: %s", name, fmt.Sprintf(why, args...))
}

// follow goes through what happened to the table since, oldest first: its names, the names
// of its columns, and the ALTERs to take back.
func (th *Then) follow(name db.Name, since []Redefinition) ([][]ddl.AlterOp, error) {
	var alters [][]ddl.AlterOp
	for i := range since {
		r := &since[i]
		for _, rn := range r.Renames {
			if strings.EqualFold(rn.From.String(), th.Now.String()) {
				th.Now = rn.To
			}
		}
		if !slices.ContainsFunc(r.Tables, func(n db.Name) bool { return strings.EqualFold(n.String(), name.String()) }) {
			continue
		}
		switch r.Verb {
		case ddl.Drop, ddl.Create, ddl.CreateOrReplace, ddl.DropDatabase:
			alters = append(alters, nil) // not the same table any more
		case ddl.Alter:
			_, ops, err := ddl.ParseAlter(r.SQL, r.Schema)
			if err != nil {
				return nil, unknownShape(name, "cannot read %q: %v", r.SQL, err)
			}
			alters = append(alters, ops)
			th.rename(ops)
		}
		name = th.Now
	}
	return alters, nil
}

// rename notes column names; a column may be renamed again.
func (th *Then) rename(ops []ddl.AlterOp) {
	for _, op := range ops {
		var from, to string
		switch op.Kind {
		case ddl.RenameColumn, ddl.ChangeColumn:
			from, to = op.Old, op.New
			if to == "" {
				to = op.Column.Name
			}
		default:
			continue
		}
		for old, now := range th.Renamed {
			if strings.EqualFold(now, from) {
				th.Renamed[old] = to
				from = ""
			}
		}
		if from != "" && !strings.EqualFold(from, to) {
			th.Renamed[strings.ToLower(from)] = to
		}
	}
}

// givenShape takes the user's CREATE TABLE when it fits the log's columns.
func givenShape(t *binlog.TableMap, given *db.Table) (*db.Table, error) {
	if _, err := binlog.NewDecoder(t, given); err != nil {
		return nil, lull.Errorf(lull.Usage, "give the CREATE TABLE from the time of the accident", "--schema does not fit the log: %w", err)
	}
	return given, nil
}

// The columns MariaDB keeps without showing them: of implicit system versioning, and of a
// UNIQUE key over long columns.
const (
	rowStart = "row_start"
	rowEnd   = "row_end"
	rowHash  = "DB_ROW_HASH_"
)

func hidden(name string) bool {
	return strings.EqualFold(name, rowStart) || strings.EqualFold(name, rowEnd) || strings.HasPrefix(name, rowHash)
}

// withHidden appends the hidden columns that the log's rows have and the server's
// description of the table has not.
func withHidden(t *binlog.TableMap, c *db.Table) *db.Table {
	var extra []db.Column
	for i := len(c.Columns); i < len(t.Columns); i++ {
		col := t.Columns[i].Described()
		col.Generated = true
		left := len(t.Columns) - i
		switch {
		case col.DataType == "bigint":
			col.Name = rowHash + "1"
		case col.DataType == "timestamp" && left == 2:
			col.Name = rowStart
		case col.DataType == "timestamp" && left == 1 && len(extra) > 0:
			col.Name = rowEnd
		default:
			return c
		}
		extra = append(extra, col)
	}
	if len(extra) == 0 || len(extra) > 3 {
		return c
	}
	out := *c
	out.Columns = append(slices.Clone(c.Columns), extra...)
	return &out
}

// enrich adds to the log's own metadata what only the live table tells: fixed lengths, UUID
// and INET types, character sets, keys.
func enrich(t *binlog.TableMap, live *db.Table) *db.Table {
	shape := t.Shape()
	if live == nil {
		return shape
	}
	for i := range shape.Columns {
		c := &shape.Columns[i]
		k := live.Index(c.Name)
		if k < 0 && hidden(c.Name) {
			c.Generated = true
		}
		if k < 0 || !t.Columns[i].Fits(&live.Columns[k]) {
			continue
		}
		elements := c.Elements
		*c = live.Columns[k]
		if elements != nil {
			c.Elements = elements
		}
	}
	if len(shape.Keys) == 0 && len(shape.Columns) == len(live.Columns) {
		shape.Keys = live.Keys
	}
	return shape
}

// backward takes the ALTERs since back, newest first, and keeps the shapes that fit what the
// log says of the columns' types.
func backward(t *binlog.TableMap, live *db.Table, alters [][]ddl.AlterOp) (*db.Table, error) {
	name := db.Name{Schema: t.Schema, Table: t.Table}
	candidates := []*db.Table{live}
	for _, ops := range slices.Backward(alters) {
		if ops == nil {
			return nil, unknownShape(name, "it was dropped or created anew since")
		}
		var before []*db.Table
		for _, c := range candidates {
			more, err := ddl.Before(c, ops)
			if err != nil {
				return nil, unknownShape(name, "%v", err)
			}
			before = append(before, more...)
		}
		candidates = before
	}
	var fitting []*db.Table
	for _, c := range candidates {
		if shape := fit(t, c); shape != nil && !slices.ContainsFunc(fitting, func(o *db.Table) bool { return sameColumns(o, shape) }) {
			fitting = append(fitting, shape)
		}
	}
	switch len(fitting) {
	case 1:
		return fitting[0], nil
	case 0:
		return nil, unknownShape(name, "the table now has %d columns that do not fit the %d in the log", len(live.Columns), len(t.Columns))
	}
	return nil, unknownShape(name, "it was altered since, and %d orders of its columns fit the log", len(fitting))
}

// fit gives a candidate's columns of unknown type the log's type; nil when it does not fit.
func fit(t *binlog.TableMap, c *db.Table) *db.Table {
	c = withHidden(t, c)
	if len(c.Columns) != len(t.Columns) {
		return nil
	}
	shape := *c
	shape.Columns = slices.Clone(c.Columns)
	for i := range shape.Columns {
		if !t.Columns[i].Fits(&shape.Columns[i]) {
			return nil
		}
		if shape.Columns[i].DataType == "" {
			name := shape.Columns[i].Name
			shape.Columns[i] = t.Columns[i].Described()
			shape.Columns[i].Name = name
		}
	}
	return &shape
}

func sameColumns(a, b *db.Table) bool {
	return slices.EqualFunc(a.Columns, b.Columns, func(x, y db.Column) bool { return strings.EqualFold(x.Name, y.Name) })
}
