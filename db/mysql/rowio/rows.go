package rowio

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// rows reads the canonical values of a SELECT made by sqltext.AppendSelectList.
type rows struct {
	rs    *sql.Rows
	table *db.Table
	cols  []int
	raw   [][]byte
	same  []bool // the server's text is the canonical value
	dest  []any
	ends  []int
	buf   []byte
	row   db.Row // as long as the table is wide; other columns are Absent
}

func newRows(t *db.Table, cols []int) *rows {
	r := &rows{
		table: t, cols: cols, raw: make([][]byte, len(cols)), same: make([]bool, len(cols)), dest: make([]any, len(cols)),
		ends: make([]int, len(cols)), row: make(db.Row, len(t.Columns)),
	}
	for n, i := range cols {
		r.dest[n] = (*sql.RawBytes)(&r.raw[n])
		r.same[n] = verbatim(t.Columns[i].DataType)
	}
	for i := range r.row {
		r.row[i].State = db.Absent
	}
	return r
}

// verbatim says that sqltext.Canonical leaves the text of a type as it is.
func verbatim(dataType string) bool {
	switch dataType {
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
		"date", "time", "datetime", "timestamp", "json":
		return true
	}
	return false
}

func query(ctx context.Context, q Querier, t *db.Table, cols []int, stmt []byte) (*rows, error) {
	rs, err := q.QueryContext(ctx, string(stmt)) //nolint:rowserrcheck // each looks at it
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", t.Name, err)
	}
	r := newRows(t, cols)
	r.rs = rs
	return r, nil
}

// each calls fn for every row and closes r. The row is valid until fn returns.
func (r *rows) each(fn func(db.Row) error) (err error) {
	defer func() {
		if cerr := r.rs.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("read table %s: %w", r.table.Name, cerr)
		}
	}()
	for r.rs.Next() {
		if err := r.scan(); err != nil {
			return fmt.Errorf("read table %s: %w", r.table.Name, err)
		}
		if err := fn(r.row); err != nil {
			return err
		}
	}
	if err := r.rs.Err(); err != nil {
		return fmt.Errorf("read table %s: %w", r.table.Name, err)
	}
	return nil
}

func (r *rows) scan() error {
	if err := r.rs.Scan(r.dest...); err != nil {
		return err
	}
	return r.convert(r.raw)
}

// convert makes r.row of the text of its values, nil for NULL.
func (r *rows) convert(raw [][]byte) (err error) {
	r.buf = r.buf[:0]
	for n, i := range r.cols {
		if raw[n] != nil && !r.same[n] {
			if r.buf, err = sqltext.Canonical(r.buf, &r.table.Columns[i], raw[n]); err != nil {
				return err
			}
		}
		r.ends[n] = len(r.buf)
	}
	start := 0 // only now the buffer has stopped moving
	for n, i := range r.cols {
		v := &r.row[i]
		switch {
		case raw[n] == nil:
			v.State, v.Data = db.Null, nil
		case r.same[n]:
			v.State, v.Data = db.Set, slices.Clip(raw[n])
		default:
			v.State, v.Data = db.Set, r.buf[start:r.ends[n]:r.ends[n]]
		}
		start = r.ends[n]
	}
	return nil
}

// allColumns is every column of the table.
func allColumns(t *db.Table) []int {
	cols := make([]int, len(t.Columns))
	for i := range cols {
		cols[i] = i
	}
	return cols
}

// union is a's columns and then those of b that a lacks.
func union(a, b []int) []int {
	seen := map[int]bool{}
	var out []int
	for _, list := range [][]int{a, b} {
		for _, i := range list {
			if !seen[i] {
				seen[i] = true
				out = append(out, i)
			}
		}
	}
	return out
}

func appendSelect(dst []byte, t *db.Table, cols []int, verb string) []byte {
	dst = sqltext.AppendSelectList(append(dst, verb...), t, cols)
	return sqltext.AppendName(append(dst, " FROM "...), t.Name)
}
