package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

// output puts rows into a snapshot and notes how far the stored parts go.
type output struct {
	w     *repo.SnapshotWriter
	o     *Options
	table *db.Table
	key   []int
	meta  history.Snapshot

	payload []byte // rows that the writer does not have yet
	lastAt  int    // where the last row begins in payload
	digest  db.Digest
	total   db.Digest
	rows    int64
	bytes   int64
	sorted  bool
	sortKey []byte
	spare   []byte
	after   db.Row // key of the last row that the writer has

	mu     sync.Mutex
	state  *state
	marks  []mark // of what the writer has and has not stored
	stored int64  // rows
	failed error
}

// mark is what must be known to go on behind a number of rows.
type mark struct {
	rows    int64
	after   db.Row
	sortKey []byte
	sorted  bool
}

// newOutput begins a snapshot, or goes on with the one of s.
func newOutput(ctx context.Context, r Repository, d *history.Definition, o *Options, s *state) (*output, error) {
	out := &output{
		o: o, table: d.Table, key: pieceKey(d.Table), state: s, after: s.after,
		sorted: !s.Unsorted, sortKey: s.SortKey,
		meta: history.Snapshot{ID: s.ID, Table: d.Table.Name, Definition: d.ID, Start: s.Start, Origin: "read"},
	}
	var err error
	out.w, err = r.NewSnapshot(ctx, out.meta, d, o.Dir, repo.SnapshotOptions{
		MemberBytes: o.memberBytes, PartBytes: o.partBytes, Stored: out.onStored,
	})
	if err != nil {
		return nil, err
	}
	for _, p := range s.Parts {
		if err := out.w.Adopt(p); err != nil {
			out.w.Leave()
			return nil, err
		}
		out.rows += p.Rows
	}
	out.stored = out.rows
	return out, nil
}

// add appends a row and keeps nothing of it.
func (o *output) add(row db.Row) error {
	o.lastAt = len(o.payload)
	o.payload = db.AppendRow(o.payload, row)
	o.bytes += int64(len(o.payload) - o.lastAt)
	o.digest.Add(row)
	o.rows++
	if o.sorted && o.key != nil {
		o.spare = db.AppendKey(o.spare[:0], o.table, o.key, row)
		o.sorted = o.rows == 1 || bytes.Compare(o.sortKey, o.spare) < 0
		o.sortKey, o.spare = o.spare, o.sortKey
	}
	if len(o.payload) >= o.o.memberBytes {
		return o.flush()
	}
	return nil
}

// last is the last row's key, and no other column; nil when there was no row.
func (o *output) last() (db.Row, error) {
	if len(o.payload) == 0 || o.key == nil {
		return o.after, nil
	}
	row, _, err := db.ParseRow(o.payload[o.lastAt:], nil)
	if err != nil {
		return nil, fmt.Errorf("read the last row again: %w", err)
	}
	only := make(db.Row, len(row))
	for i := range only {
		only[i].State = db.Absent
	}
	for _, i := range o.key {
		only[i] = row[i]
	}
	return only.Clone(), nil
}

// flush hands what was added to the writer.
func (o *output) flush() error {
	if len(o.payload) == 0 {
		return o.fault()
	}
	after, err := o.last()
	if err != nil {
		return err
	}
	o.after = after
	o.mu.Lock()
	o.marks = append(o.marks, mark{o.rows, after, bytes.Clone(o.sortKey), o.sorted})
	o.mu.Unlock()
	o.total.Merge(&o.digest)
	if err := o.w.AddRows(o.payload, &o.digest); err != nil {
		return err
	}
	o.payload, o.digest, o.lastAt = o.w.Buffer(), db.Digest{}, 0
	return o.fault()
}

func (o *output) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// onStored notes that a part is stored. The writer calls it from its own goroutine.
func (o *output) onStored(p repo.StoredPart) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stored += p.Rows
	o.state.Parts = append(o.state.Parts, p)
	if o.key == nil || o.failed != nil {
		return
	}
	for len(o.marks) > 0 && o.marks[0].rows < o.stored {
		o.marks = o.marks[1:]
	}
	switch {
	case o.stored == 0: // a table without rows
	case len(o.marks) == 0 || o.marks[0].rows != o.stored:
		o.failed = errors.New("a part ends inside of what was written at once")
		return
	default:
		m := &o.marks[0]
		o.state.after, o.state.SortKey, o.state.Unsorted = m.after, m.sortKey, !m.sorted
	}
	o.failed = o.state.save()
}

// close completes a snapshot whose rows were read up to the transaction end.
func (o *output) close(end history.Seq, now time.Time) (*history.Snapshot, error) {
	if err := o.flush(); err != nil {
		return nil, err
	}
	return o.w.Close(repo.SnapshotEnd{End: end, At: now, Sorted: o.sorted && o.key != nil})
}

// exact describes a snapshot of the moment behind the transaction seq; all of it is stored.
func (o *output) exact(seq history.Seq, now time.Time) *history.Snapshot {
	s := o.meta
	s.Start, s.End, s.At = seq, seq, now.UTC()
	s.Rows, s.Sum = o.rows, o.total.Sum()
	for _, p := range o.state.Parts {
		s.Parts = append(s.Parts, p.Part)
		s.Bytes += p.Part.Size
	}
	return &s
}

func (o *output) progress() {
	if o.o.Progress != nil {
		o.o.Progress(Progress{Rows: o.rows, Bytes: o.bytes})
	}
}
