package binlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// inner builds an event as it lies in a compressed transaction: without a checksum.
func inner(typ binlog.EventType, body []byte) []byte {
	b := event(typ, 0, body)
	b = b[:len(b)-4]
	binary.LittleEndian.PutUint32(b[9:], uint32(len(b)))
	return b
}

// payloadLog is a log with one compressed transaction, made of n events of size bytes and a commit.
func payloadLog(t *testing.T, n, size int) []byte {
	t.Helper()
	log := head(t, "mysql-9.7")
	var z bytes.Buffer
	w, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	text := inner(binlog.RowsQueryEvent, append([]byte{0}, bytes.Repeat([]byte("x"), size)...))
	for range n {
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(inner(binlog.XIDEvent, make([]byte, 8))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	body := append([]byte{2, 1, 0, 0}, z.Bytes()...) // compression: zstd; end of header
	return append(log, event(binlog.TransactionPayloadEvent, int64(len(log)), body)...)
}

// used is the bytes that fn allocates.
func used(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLargePayload unfolds a transaction to a gigabyte.
func TestLargePayload(t *testing.T) {
	log := payloadLog(t, 1000, 1<<20)
	texts, commits := 0, 0
	n := used(func() {
		p := binlog.NewParser(bytes.NewReader(log), binlog.Options{})
		for {
			ev, err := p.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch ev.Kind {
			case binlog.Statement:
				texts++
			case binlog.Commit:
				commits++
			}
		}
	})
	if texts != 1000 || commits != 1 {
		t.Errorf("%d statements, %d commits", texts, commits)
	}
	if n > 24<<20 {
		t.Errorf("%d bytes were allocated to read events of 1 MB", n)
	}
}

// TestPayloadBomb has an event that claims more than a server could have written.
func TestPayloadBomb(t *testing.T) {
	log := head(t, "mysql-9.7")
	huge := inner(binlog.RowsQueryEvent, make([]byte, 100))
	binary.LittleEndian.PutUint32(huge[9:], 3<<30)
	at := int64(len(log))
	body := append([]byte{2, 3, 252, 255, 0, 0}, huge...) // compression: none
	log = append(log, event(binlog.TransactionPayloadEvent, at, body)...)
	n := used(func() {
		_, err := parse(log, nil)
		if bad, ok := errors.AsType[*binlog.CorruptError](err); !ok || bad.Pos != at || bad.Short {
			t.Errorf("%v, want damage at %d", err, at)
		}
	})
	if n > 8<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// TestPayloadCommit flips the checksum of a payload too large to be verified first: its commit
// must not be handed out.
func TestPayloadCommit(t *testing.T) {
	log := head(t, "mysql-9.7")
	at := int64(len(log))
	body := append([]byte{2, 3, 252, 255, 0, 0}, inner(binlog.RowsQueryEvent, make([]byte, 20<<20))...)
	body = append(body, inner(binlog.XIDEvent, make([]byte, 8))...)
	log = append(log, event(binlog.TransactionPayloadEvent, at, body)...)
	if steps, err := parse(log, nil); err != nil || steps[len(steps)-1].Kind != binlog.Commit {
		t.Fatalf("%d events: %v", len(steps), err)
	}
	log[len(log)-1] ^= 1
	steps, err := parse(log, nil)
	if bad, ok := errors.AsType[*binlog.CorruptError](err); !ok || bad.Pos != at {
		t.Errorf("%v, want damage at %d", err, at)
	}
	for _, s := range steps {
		if s.Kind == binlog.Commit {
			t.Error("a damaged transaction was committed")
		}
	}
}

// TestLargeRow reads a row of 40 MB, plain and compressed.
func TestLargeRow(t *testing.T) {
	for _, arg := range []string{"OFF", "ON"} {
		each(t, func(l *lab) {
			l.exec("CREATE TABLE b (id INT, b LONGBLOB)")
			log := l.script("INSERT INTO b VALUES (1, REPEAT('b', 40 << 20));\nINSERT INTO b VALUES (2, 'x')")
			size := 0
			n := used(func() {
				p := binlog.NewParser(bytes.NewReader(log), binlog.Options{})
				for ev, err := p.Next(); !errors.Is(err, io.EOF); ev, err = p.Next() {
					if err != nil {
						t.Fatal(err)
					}
					if ev.Kind != binlog.Changed {
						continue
					}
					d, err := binlog.NewDecoder(ev.Table, l.table("b"))
					if err != nil {
						t.Fatal(err)
					}
					if err := ev.Rows.Each(d, func(_, after db.Row) error { size += len(after[1].Data); return nil }); err != nil {
						t.Fatal(err)
					}
				}
			})
			if size != 40<<20+1 {
				t.Errorf("%s: %d bytes", l.series, size)
			}
			if n > 5*40<<20 {
				t.Errorf("%s: %d bytes were allocated", l.series, n)
			}
		}, "--max-allowed-packet=64M", "--loose-log-bin-compress="+arg, "--loose-binlog-transaction-compression="+arg, "--loose-innodb-log-file-size=512M")
	}
}

// TestUnknownType has a column type that no server has yet, beside a table that is wanted.
func TestUnknownType(t *testing.T) {
	log := head(t, "mysql-5.6")
	add := func(typ binlog.EventType, body string) int64 {
		at := int64(len(log))
		log = append(log, event(typ, at, []byte(body))...)
		return at
	}
	add(binlog.TableMapEvent, "\x07\x00\x00\x00\x00\x00\x01\x00\x01d\x00\x03new\x00\x01\x99\x00\x00")
	add(binlog.TableMapEvent, "\x08\x00\x00\x00\x00\x00\x01\x00\x01d\x00\x03old\x00\x01\x01\x00\x00")
	at := add(binlog.WriteRowsV1, "\x07\x00\x00\x00\x00\x00\x01\x00\x01\xff\xfe\x01")
	add(binlog.WriteRowsV1, "\x08\x00\x00\x00\x00\x00\x01\x00\x01\xff\xfe\x01")
	_, err := parse(log, nil)
	if bad, ok := errors.AsType[*binlog.UnsupportedError](err); !ok || bad.Pos != at {
		t.Errorf("%v, want an UnsupportedError at %d", err, at)
	}
	p := binlog.NewParser(bytes.NewReader(log), binlog.Options{})
	p.Want = func(_, table string) bool { return table == "old" }
	steps, err := drain(p, nil)
	if err != nil || len(steps) != 4 || steps[3].n != 1 {
		t.Errorf("%d events, %v; want the other table's row", len(steps), err)
	}
}
