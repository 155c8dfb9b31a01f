package pack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

var started = time.Date(2026, 11, 20, 14, 2, 11, 0, time.UTC)

// orders are updates of a table of orders as a shop makes them: n changes of any of its
// rows, which set a state and a time.
func orders(n int) []history.RowChange {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"Mill", "High", "Station", "Church", "Park", "London", "Victoria", "Green", "Manor", "Kings"}
	out := make([]history.RowChange, n)
	for i := range out {
		id := rng.IntN(1_000_000)
		made := started.Add(-time.Duration(1_000_000-id) * time.Minute)
		after := db.Row{
			set(fmt.Sprint(id)), set(fmt.Sprint(rng.IntN(50_000))), set(fmt.Sprint(2 + rng.IntN(4))),
			set(fmt.Sprintf("%d.%02d", rng.IntN(400), rng.IntN(100))), set("EUR"), set(made.Format(time.DateTime)),
			set(started.Add(time.Duration(i) * time.Millisecond).Format(time.DateTime)),
			set(fmt.Sprintf("%d %s Street", rng.IntN(200), words[rng.IntN(len(words))])),
			{},
			set("web"),
		}
		before := after.Clone()
		before[2] = set("1")
		before[6] = set(made.Add(time.Duration(rng.IntN(3600)) * time.Second).Format(time.DateTime))
		out[i] = history.RowChange{Seq: history.Seq(i/4 + 1), N: uint64(i % 4), Op: db.Update, Before: before, After: after}
	}
	return out
}

func set(s string) db.Value { return db.Value{State: db.Set, Data: []byte(s)} }

// batch is how many changes a benchmark puts into one member.
const batch = 50_000

func BenchmarkWriteChanges(b *testing.B) {
	changes := orders(batch)
	w, err := pack.NewWriter(io.Discard, nil)
	if err != nil {
		b.Fatal(err)
	}
	var payload pack.ChangeWriter
	b.ReportAllocs()
	for b.Loop() {
		payload.Reset()
		for i := range changes {
			payload.Add(&changes[i])
		}
		if err := w.Add(pack.Member{Kind: pack.Changes, Count: payload.Count()}, payload.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
	done := float64(b.N) * batch
	b.ReportMetric(float64(w.Size())/done, "B/change")
	b.ReportMetric(float64(payload.Len())/batch, "raw-B/change")
	b.ReportMetric(done/b.Elapsed().Seconds(), "changes/s")
}

func BenchmarkReadChanges(b *testing.B) {
	changes := orders(batch)
	var payload pack.ChangeWriter
	for i := range changes {
		payload.Add(&changes[i])
	}
	r, _ := written(b, nil, nil, content{pack.Member{Kind: pack.Changes, Count: payload.Count()}, payload.Bytes()})
	for b.Loop() {
		got, err := r.Payload(context.Background(), 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := pack.EachChange(got, &r.Index().Members[0], func(*history.RowChange) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "changes/s")
}

// sales are transactions as sysbench makes them, each over four tables of ten.
func sales(n int) ([]db.Tx, [][]history.Touch) {
	rng := rand.New(rand.NewPCG(3, 4))
	txs, touches := make([]db.Tx, n), make([][]history.Touch, n)
	pos, at := int64(4), started
	for i := range txs {
		at = at.Add(time.Duration(rng.IntN(2000)) * time.Microsecond)
		size := int64(1500 + rng.IntN(40))
		txs[i] = db.Tx{
			GTID: fmt.Sprintf("0-1-%d", 1000+i), File: "mysql-bin.000412", Start: pos, End: pos + size, At: at,
			Thread: uint32(40 + rng.IntN(16)), Server: 1,
		}
		pos += size
		for range 1 + rng.IntN(3) {
			touches[i] = append(touches[i], history.Touch{
				Tx: txs[i], Origin: history.MariaDB,
				Table:    db.Name{Schema: "sbtest", Table: fmt.Sprintf("sbtest%d", 1+rng.IntN(10))},
				Inserted: 1, Updated: int64(rng.IntN(3)), Deleted: 1, Statements: 1,
			})
		}
	}
	return txs, touches
}

func BenchmarkWriteTransactions(b *testing.B) {
	txs, touches := sales(batch)
	w, err := pack.NewWriter(io.Discard, nil)
	if err != nil {
		b.Fatal(err)
	}
	var payload pack.TransactionWriter
	b.ReportAllocs()
	for b.Loop() {
		payload.Reset()
		for i := range txs {
			payload.Add(history.Seq(i+1), &txs[i], touches[i])
		}
		if err := w.Add(pack.Member{Kind: pack.Transactions, Count: payload.Count()}, payload.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
	done := float64(b.N) * batch
	b.ReportMetric(float64(w.Size())/done, "B/tx")
	b.ReportMetric(done/b.Elapsed().Seconds(), "tx/s")
}

func BenchmarkReadTransactions(b *testing.B) {
	txs, touches := sales(batch)
	var payload pack.TransactionWriter
	for i := range txs {
		payload.Add(history.Seq(i+1), &txs[i], touches[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := pack.EachTransaction(payload.Bytes(), func(history.Seq, db.Tx, []history.Touch) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "tx/s")
}

func BenchmarkWriteRows(b *testing.B) {
	changes := orders(batch)
	w, err := pack.NewWriter(io.Discard, nil)
	if err != nil {
		b.Fatal(err)
	}
	var payload []byte
	for b.Loop() {
		payload = payload[:0]
		for i := range changes {
			payload = db.AppendRow(payload, changes[i].After)
		}
		if err := w.Add(pack.Member{Kind: pack.Rows, Count: batch}, payload); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(payload)))
	}
	b.ReportMetric(float64(w.Size())/float64(b.N)/batch, "B/row")
}

func BenchmarkOpen(b *testing.B) {
	_, whole := written(b, nil, nil, someMembers()...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pack.Open(b.Context(), bytesOf(whole), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// The format's promise: a change of two of ten columns takes less than 60 bytes, a small
// transaction less than 25.
func TestRecordsAreSmall(t *testing.T) {
	var out bytes.Buffer
	w, err := pack.NewWriter(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	var changes pack.ChangeWriter
	for _, c := range orders(batch) {
		changes.Add(&c)
	}
	var transactions pack.TransactionWriter
	txs, touches := sales(batch)
	for i := range txs {
		transactions.Add(history.Seq(i+1), &txs[i], touches[i])
	}
	if err := w.Add(pack.Member{Kind: pack.Changes}, changes.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(pack.Member{Kind: pack.Transactions}, transactions.Bytes()); err != nil {
		t.Fatal(err)
	}
	if per := float64(w.Members()[0].Size) / batch; per > 60 {
		t.Errorf("a change takes %.1f bytes", per)
	}
	if per := float64(w.Members()[1].Size) / batch; per > 25 {
		t.Errorf("a transaction takes %.1f bytes", per)
	}
}
