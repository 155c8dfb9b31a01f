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
	run := func(name string, decode func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			rows := 0
			for b.Loop() {
				n, err := decode()
				if err != nil {
					b.Fatal(err)
				}
				rows += n
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	run("lull-sql", func() (int, error) { return decodeLull(log, schema, "", true) })
	run("lull-values", func() (int, error) { return decodeLull(log, schema, "", false) })
	run("go-mysql", func() (int, error) { return decodeGoMySQL(log, "") })
	run("lull-sql-of-the-delete", func() (int, error) { return decodeLull(log, schema, "billing", true) })
	run("go-mysql-of-the-delete", func() (int, error) { return decodeGoMySQL(log, "billing") })
}

// decodeLull decodes every row of the log, or only the rows deleted from one table, and
// writes them as SQL if told so.
func decodeLull(log, schema, only string, toSQL bool) (int, error) {
	f, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	shapes, err := readSchema(schema)
	if err != nil {
		return 0, err
	}
	w := &sqlWriter{out: bufio.NewWriterSize(io.Discard, 1<<20), shapes: shapes, decoders: map[uint64]*decoder{}, toSQL: toSQL}
	p := binlog.NewParser(f, binlog.Options{})
	if only != "" {
		p.Want = func(_, table string) bool { return table == only }
	}
	for {
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			return w.rows, w.flush()
		}
		if err == nil && ev.Kind == binlog.Changed && (only == "" || ev.Rows.Op == db.Delete) {
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

// sqlWriter decodes row events and may turn them into INSERT statements.
type sqlWriter struct {
	out      *bufio.Writer
	shapes   map[string]*db.Table
	decoders map[uint64]*decoder
	rows     int
	toSQL    bool
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
		if !w.toSQL {
			return nil
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

// decodeGoMySQL turns every row of the log, or only those deleted from one table, into Go
// values.
func decodeGoMySQL(log, only string) (int, error) {
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
	if only != "" {
		p.SetRowsEventDecodeFunc(func(e *replication.RowsEvent, data []byte) error {
			pos, err := e.DecodeHeader(data)
			if err != nil || string(e.Table.Table) != only || e.Type() != replication.EnumRowsEventTypeDelete {
				return err
			}
			return e.DecodeData(pos, data)
		})
	}
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
