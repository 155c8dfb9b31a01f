package binlogs

import (
	"fmt"
	"maps"
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
		then.Shape = then.enrich(t, live)
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
// of its columns, and the ALTERs to take back. A nil ALTER stands for another table that came
// in its place.
func (th *Then) follow(name db.Name, since []Redefinition) ([][]ddl.AlterOp, error) {
	var alters [][]ddl.AlterOp
	for i := range since {
		r := &since[i]
		about := slices.ContainsFunc(r.Tables, func(n db.Name) bool { return sameTable(n, th.Now) })
		switch {
		case r.Verb == ddl.DropDatabase && strings.EqualFold(r.Database, th.Now.Schema):
			alters = append(alters, nil)
		case !about:
		case r.Verb == ddl.Create && r.IfNotExists:
		case r.Verb == ddl.Create, r.Verb == ddl.CreateOrReplace:
			alters = append(alters, nil)
		case r.Verb == ddl.Drop:
			alters = append(alters, nil)
			th.Now = name // whatever has the name by now
		case r.Verb == ddl.Alter:
			_, ops, err := ddl.ParseAlter(r.SQL, r.Schema)
			if err != nil {
				return nil, unknownShape(name, "cannot read %q: %v", r.SQL, err)
			}
			alters = append(alters, ops)
			th.renameColumns(ops)
		}
		switch {
		case !about:
		case replaced(&r.Statement, th.Now): // an online schema change: the name goes on
			alters = append(alters, nil)
		default:
			th.renameTable(r.Renames)
		}
	}
	return alters, nil
}

func (th *Then) renameTable(renames []ddl.Renaming) {
	for _, rn := range renames {
		if sameTable(rn.From, th.Now) {
			th.Now = rn.To
		}
	}
}

// renameColumns notes column names; a column may be renamed again. All of one ALTER happens at
// once.
func (th *Then) renameColumns(ops []ddl.AlterOp) {
	before := maps.Clone(th.Renamed)
	for _, op := range ops {
		if op.Kind != ddl.RenameColumn && op.Kind != ddl.ChangeColumn {
			continue
		}
		to := op.New
		if to == "" {
			to = op.Column.Name
		}
		first := strings.ToLower(op.Old)
		again := false
		for old, now := range before {
			if strings.EqualFold(now, op.Old) {
				first, again = old, true
			}
		}
		if _, taken := before[first]; taken && !again {
			continue // a column that came later, under a name of then
		}
		if again || !strings.EqualFold(op.Old, to) {
			th.Renamed[first] = to
		}
	}
}

// NameNow is what a column of then is called by now.
func (th *Then) NameNow(column string) string {
	if now, ok := th.Renamed[strings.ToLower(column)]; ok {
		return now
	}
	return column
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
func (th *Then) enrich(t *binlog.TableMap, live *db.Table) *db.Table {
	shape := t.Shape()
	for i := range shape.Columns {
		c := &shape.Columns[i]
		c.Generated = c.Generated || hidden(c.Name)
		if live == nil {
			continue
		}
		k := live.Index(th.NameNow(c.Name))
		if k < 0 || !t.Columns[i].Fits(renamedTo(live.Columns[k], c.Name)) {
			continue
		}
		logged := *c
		*c = live.Columns[k]
		c.Name = logged.Name
		if cs := charsetOf(t.Columns[i].Collation); cs != "" && c.Charset != "" && cs != c.Charset && (cs != "utf8mb3" || c.Charset != "utf8") {
			c.Charset, c.Collation = cs, ""
		}
		if logged.Elements != nil {
			c.Elements = logged.Elements
		}
	}
	if live != nil && len(shape.Keys) == 0 && len(shape.Columns) == len(live.Columns) && sameColumns(shape, live) {
		shape.Keys = live.Keys
	}
	return shape
}

// renamedTo is a column under another name.
func renamedTo(c db.Column, name string) *db.Column {
	c.Name = name
	return &c
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
		return unsureCharsets(fitting[0], alters), nil
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

// NameNow is what a table is called by now, after what happened to it since.
func NameNow(name db.Name, since []Redefinition) db.Name {
	then := &Then{Now: name, Renamed: map[string]string{}}
	if _, err := then.follow(name, since); err != nil {
		return name // ShapeThen says why
	}
	return then.Now
}

// ChangesColumns says that rows of the table logged before and after these statements may
// have different columns.
func ChangesColumns(name db.Name, since []Redefinition) bool {
	then := &Then{Now: name, Renamed: map[string]string{}}
	alters, err := then.follow(name, since)
	return err != nil || slices.ContainsFunc(alters, func(ops []ddl.AlterOp) bool {
		return ops == nil || slices.ContainsFunc(ops, ddl.AlterOp.ChangesColumns)
	})
}

// unsureCharsets marks the text columns of unknown character set when an ALTER since has named
// one: their bytes may not be what they are now.
func unsureCharsets(t *db.Table, alters [][]ddl.AlterOp) *db.Table {
	named := slices.ContainsFunc(slices.Concat(alters...), func(op ddl.AlterOp) bool {
		return op.Kind == ddl.ConvertCharset || op.Column.Charset != "" && (op.Kind == ddl.ModifyColumn || op.Kind == ddl.ChangeColumn)
	})
	if !named {
		return t
	}
	out := *t
	out.Columns = slices.Clone(t.Columns)
	for i := range out.Columns {
		switch c := &out.Columns[i]; c.DataType {
		case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
			if c.Charset == "" {
				c.Charset = "unknown"
			}
		}
	}
	return &out
}
