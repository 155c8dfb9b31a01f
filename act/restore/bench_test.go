package restore

import (
	"bytes"
	"context"
	"io"
	"iter"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

const billing = `CREATE TABLE billing (
  id bigint unsigned NOT NULL AUTO_INCREMENT, customer int unsigned NOT NULL, invoice varchar(24) NOT NULL, amount decimal(12,2) NOT NULL,
  currency char(3) CHARACTER SET ascii NOT NULL, state enum('open','paid','void') NOT NULL, note varchar(200) DEFAULT NULL, rate double DEFAULT NULL,
  due date DEFAULT NULL, created datetime(3) NOT NULL, changed timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (id), KEY customer (customer)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4`

// bills are n rows of the table above.
func bills(n int) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		row := make(db.Row, 11)
		var buf [11][]byte
		for id := range n {
			buf[0] = strconv.AppendInt(buf[0][:0], int64(id+1), 10)
			buf[1] = strconv.AppendInt(buf[1][:0], r.Int64N(200000), 10)
			buf[2] = strconv.AppendInt(append(buf[2][:0], "INV-2026-"...), int64(id)*7, 10)
			buf[3] = strconv.AppendFloat(buf[3][:0], float64(r.IntN(1000000))/100, 'f', 2, 64)
			buf[4] = append(buf[4][:0], "EUR"...)
			buf[5] = strconv.AppendInt(buf[5][:0], 1+r.Int64N(3), 10)
			buf[6] = strconv.AppendInt(append(buf[6][:0], "paid by transfer, reference "...), r.Int64(), 36)
			buf[7] = strconv.AppendFloat(buf[7][:0], r.Float64(), 'e', -1, 64)
			at := time.Unix(1.7e9+int64(id), 0).UTC()
			buf[8] = at.AppendFormat(buf[8][:0], time.DateOnly)
			buf[9] = append(at.AppendFormat(buf[9][:0], time.DateTime), ".123"...)
			buf[10] = at.AppendFormat(buf[10][:0], time.DateTime)
			for i := range row {
				row[i] = db.Value{State: db.Set, Data: buf[i]}
			}
			if id%5 == 0 {
				row[6] = db.Value{}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// BenchmarkInto restores 1M rows of 11 columns each way, beside one plain LOAD DATA of the
// same rows in the server's own session.
func BenchmarkInto(b *testing.B) {
	const n = 1000000
	l := connect(b, servertest.MariaDB(b, "--loose-local-infile=1", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G"))
	l.exec(billing)
	t := l.past("billing")
	t.Rows, t.Estimate = bills(n), n
	enc := newEncoder(l.table("billing"))
	var lines []byte
	for row := range t.Rows {
		var err error
		lines, err = enc.append(lines, row)
		l.must(err)
	}
	plain := func() {
		driverpkg.RegisterReaderHandler("plain", func() io.Reader { return bytes.NewReader(lines) })
		defer driverpkg.DeregisterReaderHandler("plain")
		l.exec("CREATE TABLE plain LIKE billing", newEncoder(&db.Table{Name: db.Name{Table: "plain"}, Columns: l.table("billing").Columns}).statement("plain"))
	}
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"plain", plain},
		{"load1", func() { l.into(t, LoadData, 1) }},
		{"load2", func() { l.into(t, LoadData, 2) }},
		{"load3", func() { l.into(t, LoadData, 3) }},
		{"inserts2", func() { l.into(t, Inserts, 2) }},
		{"inserts3", func() { l.into(t, Inserts, 3) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.run()
				l.exec("DROP TABLE IF EXISTS plain, side")
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	b.Run("read", func(b *testing.B) {
		l.into(t, LoadData, 2)
		for b.Loop() {
			_, err := SumLive(context.Background(), l.target(Auto), l.table("side"))
			l.must(err)
		}
		l.exec("DROP TABLE side")
	})
}

func (l *live) into(t Table, way Way, parallel int) *Receipt {
	l.Helper()
	r, err := Into(l.Context(), l.target(way), t, l.name("side"), Options{Parallel: parallel, Clock: time.Now})
	l.must(err)
	return r
}
