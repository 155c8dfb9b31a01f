package binlog_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// counts is rows by "table op".
type counts map[string]int

// oracle counts with another parser, which takes no log that is still being written.
func oracle(log []byte, flavor string) (counts, error) {
	out := counts{}
	log = bytes.Clone(log)
	log[4+17] &^= 1
	p := replication.NewBinlogParser()
	p.SetFlavor(flavor)
	p.SetVerifyChecksum(true)
	var on func(e *replication.BinlogEvent) error
	on = func(e *replication.BinlogEvent) error {
		switch ev := e.Event.(type) {
		case *replication.RowsEvent:
			op, n := db.Insert, len(ev.Rows)
			switch kind := ev.Type(); {
			case kind == replication.EnumRowsEventTypeUpdate, e.Header.EventType == replication.PARTIAL_UPDATE_ROWS_EVENT:
				op, n = db.Update, n/2
			case kind == replication.EnumRowsEventTypeDelete:
				op = db.Delete
			}
			out[fmt.Sprintf("%s.%s %d", ev.Table.Schema, ev.Table.Table, op)] += n
		case *replication.TransactionPayloadEvent:
			for _, inner := range ev.Events {
				if err := on(inner); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return out, p.ParseReader(bytes.NewReader(log[4:]), on)
}

func ours(log []byte) (counts, error) {
	out := counts{}
	steps, err := parse(log, nil)
	for _, s := range steps {
		if s.Kind == binlog.Changed {
			out[fmt.Sprintf("%s.%s %d", s.Table.Schema, s.Table.Table, s.op)] += s.n
		}
	}
	return out, err
}

func TestCountsAgree(t *testing.T) {
	check := func(name, flavor string, log []byte) {
		want, err := oracle(log, flavor)
		if err != nil {
			t.Fatalf("%s: the other parser: %v", name, err)
		}
		got, err := ours(log)
		if err != nil || !maps.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: %v, want %v: %v", name, got, want, err)
		}
	}
	for name, log := range corpus(t) {
		flavor, _, _ := strings.Cut(name, "-")
		check(name, flavor, log)
	}
	each(t, func(l *lab) {
		flavor, _, _ := strings.Cut(l.series, "-")
		check(l.series, flavor, l.log(func() { l.workload(300) }))
	})
}

// workload is n small transactions on three tables, the same every time.
func (l *lab) workload(n int) {
	l.Helper()
	l.exec(`CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, customer INT, total DECIMAL(10,2), state VARCHAR(20), at DATETIME(6));
CREATE TABLE items (id BIGINT PRIMARY KEY, order_id BIGINT, sku VARCHAR(32), n INT, price DECIMAL(10,2), KEY (order_id));
CREATE TABLE stock (sku VARCHAR(32) PRIMARY KEY, n INT, at TIMESTAMP NULL);
SET SESSION sql_mode = ''`)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		l.exec(fmt.Sprintf(`BEGIN;
INSERT INTO orders VALUES (%[1]d, %[2]d, %[3]d.99, 'new', NOW());
INSERT INTO items VALUES (%[1]d0, %[1]d, 'sku-%[4]d', 1, 9.5), (%[1]d1, %[1]d, 'sku-%[5]d', 2, 0.5);
REPLACE INTO stock VALUES ('sku-%[4]d', %[2]d, NOW());
UPDATE orders SET state = 'paid' WHERE id IN (%[1]d, %[6]d);
DELETE FROM items WHERE order_id = %[6]d;
COMMIT`, i, r.IntN(9999), r.IntN(500), r.IntN(50), r.IntN(50), r.IntN(i+1)))
	}
}
