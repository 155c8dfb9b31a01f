package sqltext

import (
	"slices"

	"github.com/lull-ops/lull/db"
)

// Inserter groups rows into INSERT statements of many rows each.
type Inserter struct {
	table   *db.Table
	tag     string
	max     int
	emit    Emit
	classes []class
	cols    []bool // columns of the statement being built
	mode    mode
	buf     []byte
	rows    int
}

// NewInserter returns an Inserter whose statements stay below max bytes unless one row
// alone is larger.
func NewInserter(t *db.Table, tag string, max int, emit Emit) *Inserter {
	in := &Inserter{table: t, tag: tag, max: max, emit: emit, cols: make([]bool, len(t.Columns))}
	for i := range t.Columns {
		in.classes = append(in.classes, classOf(&t.Columns[i]))
	}
	return in
}

// Add adds a row as long as the table is wide. Generated columns and values that are
// Absent are left out.
func (in *Inserter) Add(row db.Row) error {
	lax := in.needsLax(row)
	if in.rows > 0 && (lax != in.mode.lax || !in.sameColumns(row)) {
		if err := in.flush(); err != nil {
			return err
		}
	}
	if err := in.mode.set(lax, in.emit); err != nil {
		return err
	}
	if in.rows == 0 {
		in.begin(row)
	}
	before := len(in.buf)
	in.appendRow(row)
	if len(in.buf) < in.max || in.rows == 0 {
		in.rows++
		return nil
	}
	last := in.buf[before:]
	in.buf = in.buf[:before]
	if err := in.flush(); err != nil {
		return err
	}
	in.begin(row)
	in.buf = append(in.buf, last[1:]...) // without the comma
	in.rows = 1
	return nil
}

// Flush emits what is left and puts the session's sql_mode back.
func (in *Inserter) Flush() error {
	if err := in.flush(); err != nil {
		return err
	}
	return in.mode.set(false, in.emit)
}

func (in *Inserter) flush() error {
	if in.rows == 0 {
		return nil
	}
	n := in.rows
	in.rows = 0
	return in.emit(slices.Clip(in.buf), n) // who appends to it must not reach the row behind
}

func (in *Inserter) writes(i int, row db.Row) bool {
	return row[i].State != db.Absent && !in.table.Columns[i].Generated
}

func (in *Inserter) sameColumns(row db.Row) bool {
	for i := range row {
		if in.cols[i] != in.writes(i, row) {
			return false
		}
	}
	return true
}

func (in *Inserter) needsLax(row db.Row) bool {
	for i, c := range in.classes {
		if c == enum && isZero(row[i]) && in.writes(i, row) {
			return true
		}
	}
	return false
}

func (in *Inserter) begin(row db.Row) {
	dst := appendVerb(in.buf[:0], "INSERT", in.tag)
	dst = append(AppendName(append(dst, "INTO "...), in.table.Name), " ("...)
	n := 0
	for i := range row {
		if in.cols[i] = in.writes(i, row); !in.cols[i] {
			continue
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = AppendIdent(dst, in.table.Columns[i].Name)
		n++
	}
	in.buf = append(dst, ") VALUES\n"...)
}

func (in *Inserter) appendRow(row db.Row) {
	dst := in.buf
	if in.rows > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, '(')
	n := 0
	for i, v := range row {
		if !in.cols[i] {
			continue
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = appendLiteral(dst, &in.table.Columns[i], in.classes[i], v)
		n++
	}
	in.buf = append(dst, ')')
}
