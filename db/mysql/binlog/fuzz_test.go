package binlog_test

import (
	"bytes"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// FuzzParser reads a file to its end, counting and decoding all rows: both must agree.
func FuzzParser(f *testing.F) {
	for _, log := range corpus(f) {
		f.Add(log, false)
		f.Add(log, true)
	}
	f.Fuzz(func(t *testing.T, log []byte, verify bool) {
		p := binlog.NewParser(bytes.NewReader(log), binlog.Options{SkipChecksums: !verify})
		last := int64(0)
		for {
			ev, err := p.Next()
			if err != nil {
				return
			}
			if ev.Pos < last || ev.End <= ev.Pos || p.Start() > ev.Pos {
				t.Fatalf("event at %d-%d of a transaction from %d after one at %d", ev.Pos, ev.End, p.Start(), last)
			}
			last = ev.Pos
			_, _ = p.Tx()
			if ev.Kind == binlog.Changed {
				fuzzRows(t, ev.Rows)
			}
		}
	})
}

func fuzzRows(t *testing.T, r *binlog.Rows) {
	r.Missing()
	r.Complete()
	want, err := r.Count()
	shape := r.Table.Shape()
	if shape == nil {
		shape = &db.Table{Columns: make([]db.Column, len(r.Table.Columns))}
	}
	d, derr := binlog.NewDecoder(r.Table, shape)
	if derr != nil {
		return
	}
	got := 0
	if derr = r.Each(d, func(_, _ db.Row) error { got++; return nil }); derr == nil && (err != nil || got != want) {
		t.Fatalf("%d rows decoded, %d counted: %v", got, want, err)
	}
	if err == nil && derr == nil && got != want {
		t.Fatalf("%d rows decoded, %d counted", got, want)
	}
}
