package binlog_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// benchLog is a log of small transactions, its events repeated to about 64 MB.
func benchLog(b *testing.B) []byte {
	b.Helper()
	l := newLab(b, servertest.MariaDB(b, "--loose-binlog-row-metadata=FULL"))
	log := l.log(func() { l.workload(500) })
	first := boundaries(log)[3] // behind the format description and MariaDB's lists
	return append(log[:first:first], bytes.Repeat(log[first:], 64<<20/len(log))...)
}

func walk(b *testing.B, log []byte, opts binlog.Options, rows func(*binlog.Rows) error) {
	p := binlog.NewParser(bytes.NewReader(log), opts)
	for {
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
		if ev.Kind != binlog.Changed || rows == nil {
			continue
		}
		if err := rows(ev.Rows); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParser(b *testing.B) {
	log := benchLog(b)
	bench := func(name string, opts binlog.Options, rows func(*binlog.Rows) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			for b.Loop() {
				walk(b, log, opts, rows)
			}
		})
	}
	count := func(r *binlog.Rows) error {
		_, err := r.Count()
		return err
	}
	decoders := map[*binlog.TableMap]*binlog.Decoder{}
	decode := func(r *binlog.Rows) (err error) {
		d := decoders[r.Table]
		if d == nil {
			if d, err = binlog.NewDecoder(r.Table, r.Table.Shape()); err != nil {
				return err
			}
			decoders[r.Table] = d
		}
		return r.Each(d, func(_, _ db.Row) error { return nil })
	}
	bench("walk", binlog.Options{SkipChecksums: true}, nil)
	bench("walk+crc", binlog.Options{}, nil)
	bench("count+crc", binlog.Options{}, count)
	bench("decode+crc", binlog.Options{}, decode)
	b.Run("go-mysql", func(b *testing.B) {
		b.SetBytes(int64(len(log)))
		for b.Loop() {
			if _, err := oracle(log, "mariadb"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
