package restore

import (
	"context"
	"fmt"
	"iter"

	"github.com/lull-ops/lull/db"
)

// Stored are the columns of a table whose values are written: all that are not generated.
// Rows are compared by these.
func Stored(t *db.Table) []int {
	var cols []int
	for i := range t.Columns {
		if !t.Columns[i].Generated {
			cols = append(cols, i)
		}
	}
	return cols
}

// SumLive sums up the rows a live table has now, as Sum does.
func SumLive(ctx context.Context, r Reader, t *db.Table) (*db.Digest, error) {
	return Sum(t, r.Stream(ctx, t, Stored(t)))
}

// Sum sums up rows by the columns that are Stored; a restored table has the digest of the
// rows it was made from.
func Sum(t *db.Table, rows iter.Seq2[db.Row, error]) (*db.Digest, error) {
	s := newSum(t)
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		if err := s.add(row); err != nil {
			return nil, err
		}
	}
	return &s.digest, nil
}

type sum struct {
	table  *db.Table
	cols   []int
	row    db.Row
	digest db.Digest
}

func newSum(t *db.Table) *sum {
	cols := Stored(t)
	return &sum{table: t, cols: cols, row: make(db.Row, len(cols))}
}

func (s *sum) add(row db.Row) error {
	if len(row) != len(s.table.Columns) {
		return fmt.Errorf("table %s: a row has %d values for %d columns", s.table.Name, len(row), len(s.table.Columns))
	}
	for n, i := range s.cols {
		if row[i].State == db.Absent {
			return fmt.Errorf("table %s: a row's value of column %s is not known", s.table.Name, s.table.Columns[i].Name)
		}
		s.row[n] = row[i]
	}
	s.digest.Add(s.row)
	return nil
}

// along hands rows on and counts them in.
func (s *sum) along(rows iter.Seq2[db.Row, error]) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				err = s.add(row)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
