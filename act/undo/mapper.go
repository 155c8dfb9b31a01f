package undo

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// mapper moves rows from a table's columns as the log has them to those it has now, by name.
type mapper struct {
	then, live *db.Table
	from       []int // for each live column its place in the log's rows, -1 when it is newer
	convert    []func(db.Value) (db.Value, error)
	// Gone are columns that the log has and the table has no more.
	gone []string
	row  [2]db.Row
	// unwritten are computed columns, but for those of the key.
	unwritten []bool
	// same says that rows stay as they are.
	same bool
}

// newMapper pairs the columns. renamed maps old column names, in lower case, to those of now.
func newMapper(then, live *db.Table, renamed map[string]string) (*mapper, error) {
	m := &mapper{then: then, live: live, from: make([]int, len(live.Columns)), convert: make([]func(db.Value) (db.Value, error), len(live.Columns))}
	used := make([]bool, len(then.Columns))
	for i := range live.Columns {
		m.from[i] = -1
		for k := range then.Columns {
			name := then.Columns[k].Name
			if to, ok := renamed[strings.ToLower(name)]; ok {
				name = to
			}
			if !used[k] && strings.EqualFold(name, live.Columns[i].Name) {
				m.from[i], used[k] = k, true
				break
			}
		}
		if m.from[i] < 0 || live.Columns[i].Generated {
			continue
		}
		conv, err := conversion(&then.Columns[m.from[i]], &live.Columns[i])
		if err != nil {
			return nil, lull.Errorf(lull.Refused, "put the rows into a side table of the old shape with --into, or write them with --out",
				"column %s of %s changed since: %w", live.Columns[i].Name, live.Name, err)
		}
		m.convert[i] = conv
	}
	m.same = len(then.Columns) == len(live.Columns)
	for i := range live.Columns {
		m.same = m.same && m.from[i] == i && m.convert[i] == nil && !live.Columns[i].Generated
	}
	for k := range then.Columns {
		if !used[k] && !then.Columns[k].Generated {
			m.gone = append(m.gone, then.Columns[k].Name)
		}
	}
	m.unwritten = make([]bool, len(live.Columns))
	for i := range live.Columns {
		m.unwritten[i] = live.Columns[i].Generated && !slices.Contains(live.RowKey(), i)
	}
	for i := range m.row {
		m.row[i] = make(db.Row, len(live.Columns))
	}
	return m, nil
}

// mapRow maps a before-image (which 0) or after-image (1). Generated columns and those newer
// than the log come out Absent, but for those of the key.
func (m *mapper) mapRow(which int, row db.Row) (db.Row, error) {
	if row == nil || m.same {
		return row, nil
	}
	out := m.row[which]
	for i := range out {
		out[i] = db.Value{State: db.Absent}
		if m.from[i] < 0 || m.unwritten[i] {
			continue
		}
		v := row[m.from[i]]
		if conv := m.convert[i]; conv != nil && v.State == db.Set {
			var err error
			if v, err = conv(v); err != nil {
				return nil, fmt.Errorf("column %s of %s: %w", m.live.Columns[i].Name, m.live.Name, err)
			}
		}
		out[i] = v
	}
	return out, nil
}

// conversion is how a value of the old column becomes one of the new; nil when it stays.
func conversion(then, live *db.Column) (func(db.Value) (db.Value, error), error) {
	switch {
	case isInteger(then) && isInteger(live):
		return nil, nil // a value that does not fit any more is refused by the server
	case then.DataType == "enum" && live.DataType == "enum":
		return remapEnum(then, live)
	case then.DataType == "set" && live.DataType == "set":
		if len(then.Elements) == 0 || !hasPrefix(live.Elements, then.Elements) {
			return nil, errors.New("the members of the SET are others now, or those of then are not known")
		}
		return nil, nil
	case then.DataType == live.DataType || sameFamily(then, live):
		return rescale(then, live)
	}
	return nil, fmt.Errorf("it was %s and is %s", typeName(then), typeName(live))
}

func typeName(c *db.Column) string {
	if c.ColumnType != "" {
		return c.ColumnType
	}
	return c.DataType
}

// sameFamily says that values of both types have one canonical form.
func sameFamily(a, b *db.Column) bool {
	for _, f := range [][]string{
		{"char", "varchar", "tinytext", "text", "mediumtext", "longtext"},
		{"varbinary", "tinyblob", "blob", "mediumblob", "longblob"},
		{"float", "double"},
		{"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"},
	} {
		if slices.Contains(f, a.DataType) && slices.Contains(f, b.DataType) {
			return sameCharset(a, b)
		}
	}
	// The log does not tell UUID, INET6 and BINARY(16) apart; the decoder was told which.
	return false
}

// sameCharset compares character sets; "" is one that nobody changed.
func sameCharset(then, live *db.Column) bool {
	return then.Charset == live.Charset || then.Charset == "" || live.Charset == ""
}

// rescale gives decimals and times the number of fraction digits the column has now.
func rescale(then, live *db.Column) (func(db.Value) (db.Value, error), error) {
	if !sameCharset(then, live) {
		return nil, fmt.Errorf("its character set was %s and is %s", then.Charset, live.Charset)
	}
	grow := live.Scale - then.Scale
	switch then.DataType {
	case "decimal", "time", "datetime", "timestamp":
	default:
		return nil, nil
	}
	if grow == 0 {
		return nil, nil
	}
	if grow < 0 {
		return nil, fmt.Errorf("it had %d fraction digits and has %d", then.Scale, live.Scale)
	}
	point := then.Scale == 0
	return func(v db.Value) (db.Value, error) {
		out := slices.Clone(v.Data)
		if point {
			out = append(out, '.')
		}
		for range grow {
			out = append(out, '0')
		}
		return db.Value{State: db.Set, Data: out}, nil
	}, nil
}

// remapEnum moves an ENUM's index from the old list of members to the new one.
func remapEnum(then, live *db.Column) (func(db.Value) (db.Value, error), error) {
	if len(then.Elements) == 0 {
		return nil, errors.New("the ENUM's members of then are not known")
	}
	if hasPrefix(live.Elements, then.Elements) {
		return nil, nil
	}
	to := map[string]db.Value{"0": {State: db.Set, Data: []byte("0")}}
	for i, e := range then.Elements {
		if k := slices.Index(live.Elements, e); k >= 0 {
			to[strconv.Itoa(i+1)] = db.Value{State: db.Set, Data: fmt.Append(nil, k+1)}
		}
	}
	return func(v db.Value) (db.Value, error) {
		w, ok := to[string(v.Data)]
		if !ok {
			return v, fmt.Errorf("the ENUM has no member any more for its old number %s", v.Data)
		}
		return w, nil
	}, nil
}

func hasPrefix(all, first []string) bool {
	return len(all) >= len(first) && slices.Equal(all[:len(first)], first)
}
