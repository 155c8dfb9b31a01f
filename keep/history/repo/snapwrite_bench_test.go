package repo

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// BenchmarkSnapshotWriter stores rows that cost nothing to read.
func BenchmarkSnapshotWriter(b *testing.B) {
	r, err := Create(b.Context(), newMemory(), "shop", nil, day0)
	if err != nil {
		b.Fatal(err)
	}
	var payload []byte
	var digest db.Digest
	for i := 0; len(payload) < 4<<20; i++ {
		row := db.Row{
			{State: db.Set, Data: strconv.AppendInt(nil, int64(i), 10)},
			{State: db.Set, Data: fmt.Appendf(nil, "street %x, %x", uint64(i)*0x9e3779b97f4a7c15, i%977)},
		}
		payload = db.AppendRow(payload, row)
		digest.Add(row)
	}
	b.SetBytes(int64(len(payload)))
	meta := history.Snapshot{ID: SnapshotID(day0), Table: billing}
	w, err := r.NewSnapshot(b.Context(), meta, define(b, billing), b.TempDir(), SnapshotOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := w.AddRows(bytes.Clone(payload), &digest); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Close(SnapshotEnd{At: day0}); err != nil {
		b.Fatal(err)
	}
}
