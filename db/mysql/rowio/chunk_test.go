package rowio

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestChunksGoOnBehindAKey(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE t (a int, b varchar(10), c int, PRIMARY KEY (a, b))",
			"INSERT INTO t VALUES (1,'x',1),(1,'y',2),(2,'a',NULL),(3,'a',4),(3,'b',5)", "CREATE TABLE heap (a int)")
		tab := l.table("t")
		var got []string
		var after db.Row
		for {
			n, err := Chunk(l.T.Context(), l.server.DB, tab, nil, after, 2, func(row db.Row) error {
				got = append(got, string(row[0].Data)+string(row[1].Data)+string(row[2].Data))
				after = row.Clone()
				return nil
			})
			l.must(err)
			if n < 2 {
				break
			}
		}
		if s := strings.Join(got, " "); s != "1x1 1y2 2a 3a4 3b5" {
			l.Errorf("got %s", s)
		}
		if _, err := Chunk(l.T.Context(), l, l.table("heap"), nil, nil, 2, func(db.Row) error { return nil }); err == nil {
			l.Error("a table without a key was read in chunks")
		}
	})
}

// TestRawReadsWhatScanReads compares the two ways to read a result.
func TestRawReadsWhatScanReads(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE t (id int PRIMARY KEY, v varchar(30), b longblob, f double, e enum('x','y'), ts timestamp(3) NULL, d decimal(9,3))",
			"INSERT INTO t VALUES (1,'one',REPEAT('b',300),1.5,'y','2024-01-02 03:04:05.678',1.5),(2,NULL,NULL,NULL,NULL,NULL,NULL),(3,'','',0,'x','2024-01-02 03:04:05',-0.001)",
			"INSERT INTO t (id, b) VALUES (4, REPEAT('c', 70000))")
		tab := l.table("t")
		tx, err := l.BeginTx(l.T.Context(), nil)
		l.must(err)
		var slow []string
		for row, err := range Stream(l.T.Context(), tx, tab, nil, "") {
			l.must(err)
			slow = append(slow, fmt.Sprint(row))
		}
		l.must(tx.Rollback())
		n := 0
		for row, err := range Stream(l.T.Context(), l, tab, nil, "") {
			l.must(err)
			if s := fmt.Sprint(row); s != slow[n] {
				l.Errorf("row %d: %.200s, want %.200s", n, s, slow[n])
			}
			n++
		}
		if n != 4 || len(slow) != 4 {
			l.Errorf("%d and %d rows", n, len(slow))
		}
		for range Stream(l.T.Context(), l, tab, nil, "") {
			break
		}
		l.text("SELECT 1") // the connection is free again
		var bad error
		for _, err := range Stream(l.T.Context(), l, tab, nil, "nonsense") {
			bad = err
		}
		if bad == nil || !strings.Contains(bad.Error(), "nonsense") {
			l.Errorf("a wrong condition gives %v", bad)
		}
		l.text("SELECT 1")
	})
}

func TestTextOfLargeRowsAndCancel(t *testing.T) {
	srv := servertest.MariaDB(t, "--max-allowed-packet=256M")
	l := connect(t, srv)
	for _, size := range []int{1<<24 - 20, 1<<24 - 5, 1<<24 - 4, 1 << 24, 40 << 20} {
		stmt := fmt.Sprintf("SELECT REPEAT('x', %d), 'end'", size)
		got := 0
		l.must(l.Raw(func(c any) error {
			return mysql.Text(t.Context(), c, []byte(stmt), func(v [][]byte) error {
				got = len(v[0])
				if string(v[1]) != "end" {
					t.Errorf("the next value is %q", v[1])
				}
				return nil
			})
		}))
		if got != size {
			t.Errorf("%d bytes, want %d", got, size)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := l.Raw(func(c any) error {
		return mysql.Text(ctx, c, []byte("SELECT seq FROM seq_1_to_100000000"), func([][]byte) error {
			cancel()
			return nil
		})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read gives %v", err)
	}
	if err := l.PingContext(t.Context()); err == nil {
		t.Error("the broken connection is used on")
	}
}

// BenchmarkRead reads a million rows of ten columns.
func BenchmarkRead(b *testing.B) {
	srv := servertest.MariaDB(b, "--innodb-buffer-pool-size=512M")
	pool, name := servertest.DB(b, srv)
	if _, err := pool.Exec(`CREATE TABLE t (id bigint PRIMARY KEY, customer int NOT NULL, status enum('new','paid') NOT NULL, amount decimal(10,2) NOT NULL,
		note varchar(60), created datetime NOT NULL, changed timestamp NOT NULL, qty smallint NOT NULL, ref char(12) NOT NULL, ok tinyint NOT NULL)
		SELECT seq id, seq % 1000 customer, 1 + seq % 2 status, seq / 100 amount, CONCAT('a note of row ', seq) note, '2024-05-06 07:08:09' created,
		'2024-05-06 07:08:09' changed, seq % 100 qty, LPAD(seq, 12, '0') ref, 1 ok FROM seq_1_to_1000000`); err != nil {
		b.Fatal(err)
	}
	dsn, err := mysql.ParseDSN(srv.URL(name))
	if err != nil {
		b.Fatal(err)
	}
	c, err := mysql.Open(b.Context(), dsn, mysql.Env{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	t, err := c.Table(b.Context(), db.Name{Schema: name, Table: "t"})
	if err != nil {
		b.Fatal(err)
	}
	read := func(b *testing.B, q Querier) {
		n := 0
		for b.Loop() {
			for _, err := range Stream(b.Context(), q, t, nil, "") {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("raw", func(b *testing.B) { read(b, c.DB) })
	b.Run("scan", func(b *testing.B) {
		tx, err := c.DB.BeginTx(b.Context(), &sql.TxOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer tx.Rollback()
		read(b, tx)
	})
}
