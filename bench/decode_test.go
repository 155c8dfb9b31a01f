package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// BenchmarkDecode decodes the log that LULL_BENCH_LOG names; make bench runs it.
func BenchmarkDecode(b *testing.B) {
	log, schema := os.Getenv("LULL_BENCH_LOG"), os.Getenv("LULL_BENCH_SCHEMA")
	if log == "" {
		l := smallCorpus(b)
		log, schema = l.Big, l.Schema
	}
	run := func(name string, decode func(log, schema string) (int, error)) {
		b.Run(name, func(b *testing.B) {
			rows := 0
			for b.Loop() {
				n, err := decode(log, schema)
				if err != nil {
					b.Fatal(err)
				}
				rows += n
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	run("lull", decodeLull)
	run("go-mysql", decodeGoMySQL)
}

// decodeLull writes every row of the log as SQL.
func decodeLull(log, schema string) (int, error) {
	f, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	shapes, err := readSchema(schema)
	if err != nil {
		return 0, err
	}
	w := &sqlWriter{out: bufio.NewWriterSize(io.Discard, 1<<20), shapes: shapes, decoders: map[uint64]*decoder{}}
	p := binlog.NewParser(f, binlog.Options{})
	for {
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			return w.rows, w.flush()
		}
		if err == nil && ev.Kind == binlog.Changed {
			err = w.event(ev.Rows)
		}
		if err != nil {
			return w.rows, err
		}
	}
}

func readSchema(name string) (map[string]*db.Table, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	tables, err := ddl.ParseCreateTables(string(text))
	out := map[string]*db.Table{}
	for _, t := range tables {
		out[t.Name.Table] = t
	}
	return out, err
}

type decoder struct {
	*binlog.Decoder
	in *sqltext.Inserter
}

// sqlWriter turns row events into INSERT statements.
type sqlWriter struct {
	out      *bufio.Writer
	shapes   map[string]*db.Table
	decoders map[uint64]*decoder
	rows     int
}

func (w *sqlWriter) event(rows *binlog.Rows) error {
	d := w.decoders[rows.Table.ID]
	if d == nil {
		dec, err := binlog.NewDecoder(rows.Table, w.shapes[rows.Table.Table])
		if err != nil {
			return err
		}
		d = &decoder{dec, sqltext.NewInserter(dec.Shape(), "", 1<<20, func(stmt []byte, _ int) error {
			_, err := w.out.Write(stmt)
			return err
		})}
		w.decoders[rows.Table.ID] = d
	}
	return rows.Each(d.Decoder, func(before, after db.Row) error {
		w.rows++
		if before == nil {
			before = after
		}
		return d.in.Add(before)
	})
}

func (w *sqlWriter) flush() error {
	for _, d := range w.decoders {
		if err := d.in.Flush(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// decodeGoMySQL turns every row of the log into Go values.
func decodeGoMySQL(log, _ string) (int, error) {
	f, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(int64(len(binlog.Magic)), io.SeekStart); err != nil {
		return 0, err
	}
	p := replication.NewBinlogParser()
	p.SetFlavor("mariadb")
	p.SetVerifyChecksum(true)
	rows := 0
	err = p.ParseReader(bufio.NewReaderSize(f, 1<<20), func(e *replication.BinlogEvent) error {
		if ev, ok := e.Event.(*replication.RowsEvent); ok {
			n := len(ev.Rows)
			if ev.Type() == replication.EnumRowsEventTypeUpdate {
				n /= 2
			}
			rows += n
		}
		return nil
	})
	return rows, err
}
