package binlogs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// memory is a log in memory.
type memory struct {
	name string
	data []byte
}

func (m memory) Name() string { return m.name }

func (m memory) Size() int64 { return int64(len(m.data)) }

func (m memory) Started(context.Context) (time.Time, error) {
	t, _ := binlog.FormatTime(m.data)
	return t, nil
}

func (m memory) Open(context.Context, int64) (io.ReadCloser, binlog.Options, error) {
	return io.NopCloser(bytes.NewReader(m.data)), binlog.Options{}, nil
}

// smallTransactions is a log of transactions of one row, as a web app makes them, repeated to
// about the wanted size.
func smallTransactions(t testing.TB, size int) []byte {
	t.Helper()
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA + ";\nCREATE TABLE b LIKE a;\nFLUSH BINARY LOGS")
	for i := range 100 {
		l.exec(fmt.Sprintf("INSERT INTO a VALUES (%d,'x');\nUPDATE a SET v='y' WHERE id=%[1]d;\nDELETE FROM a WHERE id=%[1]d", i))
		l.exec(fmt.Sprintf("BEGIN;\nINSERT INTO a VALUES (%d,'x');\nINSERT INTO b VALUES (%[1]d,'x');\nCOMMIT", i))
	}
	logs := l.logs()
	b, err := os.ReadFile(filepath.Join(l.srv.BinlogDir(), logs[len(logs)-1].Name()))
	if err != nil {
		t.Fatal(err)
	}
	first := scan(t, []binlogs.Log{memory{"bin.000001", b}}, l.all()).Touches[0].Tx.Start
	return append(b[:first:first], bytes.Repeat(b[first:], max(1, size/len(b)))...)
}

// TestScanAllocates finds that small transactions cost no memory: four times as many of them
// take no more allocations.
func TestScanAllocates(t *testing.T) {
	small := smallTransactions(t, 1<<20)
	first := scan(t, []binlogs.Log{memory{"bin.000001", small}}, binlogs.Query{All: true, MinRows: 1}).Touches[0].Tx.Start
	large := append(bytes.Clone(small), bytes.Repeat(small[first:], 3)...)
	allocs := func(log []byte) float64 {
		logs := []binlogs.Log{memory{"bin.000001", log}}
		return testing.AllocsPerRun(3, func() { scan(t, logs, binlogs.Query{MinRows: 100, NoWhere: true}) })
	}
	if one, four := allocs(small), allocs(large); four > one*1.1+20 {
		t.Errorf("%.0f allocations for a log, %.0f for one four times as long", one, four)
	}
}

// BenchmarkScan reads logs of small transactions, one and two at once.
func BenchmarkScan(b *testing.B) {
	data := smallTransactions(b, 64<<20)
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("logs=%d", n), func(b *testing.B) {
			var logs []binlogs.Log
			for i := range n {
				logs = append(logs, memory{fmt.Sprintf("bin.%06d", i+1), data})
			}
			b.SetBytes(int64(n * len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := binlogs.Scan(b.Context(), logs, binlogs.Query{MinRows: 100, NoWhere: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
