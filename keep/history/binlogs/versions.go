package binlogs

import (
	"bytes"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// MariaDB's system-versioned tables keep the past of their rows, and log what they do to keep
// it: a DELETE sets the end of the row's period, and an UPDATE inserts a copy of the old
// version. versions turns that back into what the user did.
type versions struct {
	decoder *binlog.Decoder
	end     int  // the column that says when the version ended
	sure    bool // it is that, and not any TIMESTAMP(6)
}

// The end of a version that has not ended: the last moment that a TIMESTAMP(6) can hold, which
// MariaDB 11.5 moved.
var (
	endless    = []byte("2038-01-19 03:14:07.999999")
	endlessNew = []byte("2106-02-07 06:28:15.999999")
)

func isEndless(v db.Value) bool {
	return v.State == db.Set && (bytes.Equal(v.Data, endless) || bytes.Equal(v.Data, endlessNew))
}

// maybeVersioned is a cheap first look: the hidden period columns are the last, and TIMESTAMP(6).
func maybeVersioned(t *binlog.TableMap) bool {
	n := len(t.Columns)
	return n > 2 && periodBound(&t.Columns[n-1]) && periodBound(&t.Columns[n-2])
}

func periodBound(c *binlog.Column) bool { return c.Type == binlog.TypeTimestamp2 && c.Meta == 6 }

// versionsOf finds how to read the versions of a table's rows, nil when it has none.
func versionsOf(t *binlog.TableMap) *versions {
	if !maybeVersioned(t) {
		return nil
	}
	shape := &db.Table{Name: db.Name{Schema: t.Schema, Table: t.Table}}
	for i := range t.Columns {
		shape.Columns = append(shape.Columns, t.Columns[i].Described())
	}
	d, err := binlog.NewDecoder(t, shape)
	if err != nil {
		return nil // rows that cannot be decoded count as they are logged
	}
	end := len(t.Columns) - 1
	return &versions{decoder: d, end: end, sure: t.Columns[end].Name == rowEnd}
}

// deed is what the user did with a logged change; ok is false for a copy of an old version.
// A row whose version has not ended gives a versioned table away.
func (v *versions) deed(op db.Op, before, after db.Row) (what db.Op, ok bool) {
	switch op {
	case db.Update:
		v.sure = v.sure || isEndless(before[v.end])
		if v.sure && isEndless(before[v.end]) && after[v.end].State == db.Set && !isEndless(after[v.end]) {
			return db.Delete, true
		}
	case db.Insert:
		v.sure = v.sure || isEndless(after[v.end])
		return op, !v.sure || isEndless(after[v.end])
	}
	return op, true
}

// versioned counts what the user did with the rows of a system-versioned table.
func (s *scanner) versioned(r *binlog.Rows, logged counts) counts {
	v, ok := s.versions[r.Table]
	if !ok {
		if len(s.versions) > maxCached {
			clear(s.versions)
		}
		v = versionsOf(r.Table)
		s.versions[r.Table] = v
	}
	if v == nil {
		return logged
	}
	var c counts
	err := r.Each(v.decoder, func(before, after db.Row) error {
		if op, ok := v.deed(r.Op, before, after); ok {
			one := countsOf(op, 1)
			c = counts{c.inserted + one.inserted, c.updated + one.updated, c.deleted + one.deleted}
		}
		return nil
	})
	if err != nil {
		return logged
	}
	return c
}
