package restore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strconv"

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
	if err := s.all(rows); err != nil {
		return nil, err
	}
	return &s.digest, nil
}

type sum struct {
	table  *db.Table
	cols   []int
	row    db.Row
	digest db.Digest
	// numbers is the same with the numbers inside of JSON documents as doubles: a server that is
	// given a document as text makes its decimals doubles.
	numbers db.Digest
	json    bool
	text    []byte
}

func (s *sum) all(rows iter.Seq2[db.Row, error]) error {
	for row, err := range rows {
		if err == nil {
			err = s.add(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func newSum(t *db.Table) *sum {
	cols := Stored(t)
	s := &sum{table: t, cols: cols, row: make(db.Row, len(cols))}
	for _, i := range cols {
		s.json = s.json || t.Columns[i].DataType == "json"
	}
	return s
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
	if s.json {
		s.text = s.text[:0]
		for n, i := range s.cols {
			if s.table.Columns[i].DataType == "json" && s.row[n].State == db.Set {
				at := len(s.text)
				s.text = appendDoubles(s.text, s.row[n].Data)
				s.row[n] = db.Value{State: db.Set, Data: s.text[at:len(s.text):len(s.text)]}
			}
		}
		s.numbers.Add(s.row)
	}
	return nil
}

// appendDoubles appends a JSON text with the numbers that are no integers as doubles.
func appendDoubles(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			n := i + 1
			for n < len(text) && text[n] != '"' {
				if text[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(text))
			dst = append(dst, text[i:n]...)
			i = n
		case c == '-' || c >= '0' && c <= '9':
			n := i + 1
			for n < len(text) && bytes.IndexByte([]byte("0123456789.eE+-"), text[n]) >= 0 {
				n++
			}
			dst = appendDouble(dst, text[i:n])
			i = n
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

func appendDouble(dst, number []byte) []byte {
	if !bytes.ContainsAny(number, ".eE") {
		return append(dst, number...)
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		return append(dst, number...)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
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
