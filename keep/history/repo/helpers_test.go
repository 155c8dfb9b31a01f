package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// memory is a store in memory. before, when set, may refuse an operation on an object.
type memory struct {
	mu      sync.Mutex
	objects map[string]object0
	now     time.Time
	before  func(op, name string) error
	opens   int
}

type object0 struct {
	data     []byte
	modified time.Time
}

func newMemory() *memory { return &memory{objects: map[string]object0{}, now: day0} }

func (m *memory) ask(op, name string) error {
	if m.before == nil {
		return nil
	}
	return m.before(op, name)
}

func (m *memory) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := errors.Join(ctx.Err(), blob.CheckName(name), m.ask("put", name)); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(data)) != size {
		return fmt.Errorf("put %s: %d bytes, not %d", name, len(data), size)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		return fmt.Errorf("put %s: %w", name, blob.ErrExists)
	}
	m.objects[name] = object0{data, m.now}
	return nil
}

func (m *memory) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), m.ask("open", name)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opens++
	o, ok := m.objects[name]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", name, blob.ErrNotFound)
	}
	data := o.data[min(off, int64(len(o.data))):]
	if n >= 0 {
		data = data[:min(n, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) List(_ context.Context, prefix string) iter.Seq2[blob.Info, error] {
	m.mu.Lock()
	var infos []blob.Info
	for _, name := range slices.Sorted(maps.Keys(m.objects)) {
		if o := m.objects[name]; strings.HasPrefix(name, prefix) {
			infos = append(infos, blob.Info{Name: name, Size: int64(len(o.data)), Modified: o.modified})
		}
	}
	m.mu.Unlock()
	return func(yield func(blob.Info, error) bool) {
		if err := m.ask("list", prefix); err != nil {
			yield(blob.Info{}, err)
			return
		}
		for _, i := range infos {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (m *memory) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), m.ask("delete", name)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

func (m *memory) String() string { return "memory" }

func (m *memory) names(prefix string) []string {
	var out []string
	for i, err := range m.List(context.Background(), prefix) {
		if err == nil {
			out = append(out, i.Name)
		}
	}
	return out
}

func (m *memory) clone() *memory {
	c := newMemory()
	maps.Copy(c.objects, m.objects)
	c.now = m.now
	return c
}

var (
	day0    = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	billing = db.Name{Schema: "shop", Table: "billing"}
	orders  = db.Name{Schema: "shop", Table: "orders"}
)

func val(s string) db.Value { return db.Value{State: db.Set, Data: []byte(s)} }

func row(vals ...any) db.Row {
	var r db.Row
	for _, v := range vals {
		r = append(r, val(fmt.Sprint(v)))
	}
	return r
}

func define(t testing.TB, n db.Name) *history.Definition {
	t.Helper()
	d, err := history.NewDefinition(&db.Table{
		Name: n, Columns: []db.Column{{Name: "id", DataType: "int"}, {Name: "v", DataType: "text"}},
		Keys: []db.Key{{Name: "PRIMARY", Columns: []int{0}, Primary: true, NotNull: true}},
	}, []string{"CREATE TABLE `" + n.Table + "` (...)"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tx is a transaction of a test: what it changes, or an event.
type tx struct {
	at      time.Time
	changes []change
	event   *history.Event
}

type change struct {
	table db.Name
	op    db.Op
	key   int
	v     string
}

func ins(t db.Name, key int, v string) change { return change{t, db.Insert, key, v} }
func upd(t db.Name, key int, v string) change { return change{t, db.Update, key, v} }
func del(t db.Name, key int) change           { return change{t, db.Delete, key, ""} }

// recorder writes log packs as the real one does, from transactions of a test.
type recorder struct {
	t       testing.TB
	repo    *Repo
	ordinal uint64
	seq     history.Seq
	offset  int64
	server  string
}

func record(t testing.TB, r *Repo) *recorder {
	end, err := r.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{t: t, repo: r, ordinal: end.Ordinal, seq: end.Seq, offset: max(4, end.Pos.Offset), server: "uuid-1"}
}

func (rec *recorder) pos() db.Position { return db.Position{File: "bin.000001", Offset: rec.offset} }

// put writes one pack of these transactions.
func (rec *recorder) put(txs ...tx) {
	rec.t.Helper()
	if err := rec.try(txs...); err != nil {
		rec.t.Fatal(err)
	}
}

func (rec *recorder) try(txs ...tx) error {
	was := *rec
	data := rec.pack(txs)
	err := rec.repo.PutLog(context.Background(), rec.ordinal, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		*rec = was
	}
	return err
}

func (rec *recorder) pack(txs []tx) []byte {
	rec.t.Helper()
	var out bytes.Buffer
	w, err := pack.NewWriter(&out, rec.repo.Recipients())
	rec.check(err)
	ix := pack.Index{Kind: pack.Log, Database: "shop", Server: rec.server, First: rec.seq + 1, From: rec.pos()}
	changes := map[db.Name]*pack.ChangeWriter{}
	spans := map[db.Name]*pack.Member{}
	var tw pack.TransactionWriter
	var events []byte
	for _, x := range txs {
		rec.seq++
		touches := map[db.Name]*history.Touch{}
		dtx := db.Tx{GTID: fmt.Sprintf("0-1-%d", rec.seq), File: "bin.000001", Start: rec.offset, End: rec.offset + 100, At: x.at, Server: 1}
		rec.offset += 100
		for n, c := range x.changes {
			if changes[c.table] == nil {
				changes[c.table] = &pack.ChangeWriter{}
				d := define(rec.t, c.table)
				spans[c.table] = &pack.Member{Kind: pack.Changes, Table: c.table, Definition: d.ID, First: rec.seq, MinAt: x.at}
			}
			spans[c.table].Last, spans[c.table].MaxAt = rec.seq, x.at
			rc := &history.RowChange{Seq: rec.seq, N: uint64(n), Op: c.op}
			if c.op != db.Insert {
				rc.Before = row(c.key, "old")
			}
			if c.op != db.Delete {
				rc.After = row(c.key, c.v)
			}
			changes[c.table].Add(rc)
			if touches[c.table] == nil {
				touches[c.table] = &history.Touch{Tx: dtx, Table: c.table}
			}
			touches[c.table].Updated++
		}
		var list []history.Touch
		for _, n := range sortedNames(touches) {
			list = append(list, *touches[n])
		}
		tw.Add(rec.seq, &dtx, list)
		if x.event != nil {
			e := *x.event
			e.Seq, e.At = rec.seq, x.at
			events, err = pack.AppendEvent(events, &e)
			rec.check(err)
		}
		if ix.MinAt.IsZero() || x.at.Before(ix.MinAt) {
			ix.MinAt = x.at
		}
		if x.at.After(ix.MaxAt) {
			ix.MaxAt = x.at
		}
	}
	for _, n := range sortedNames(changes) {
		d := define(rec.t, n)
		payload, err := pack.AppendDefinition(nil, d)
		rec.check(err)
		rec.check(w.Add(pack.Member{Kind: pack.Definitions, Table: n, IDs: []string{d.ID}, Count: 1}, payload))
		spans[n].Count = changes[n].Count()
		rec.check(w.Add(*spans[n], changes[n].Bytes()))
	}
	if len(txs) > 0 {
		rec.check(w.Add(pack.Member{Kind: pack.Transactions, First: ix.First, Last: rec.seq, Count: tw.Count()}, tw.Bytes()))
	}
	if events != nil {
		rec.check(w.Add(pack.Member{Kind: pack.Events, First: ix.First, Last: rec.seq, Count: int64(bytes.Count(events, []byte("\n")))}, events))
	}
	ix.Last, ix.To = rec.seq, rec.pos()
	_, err = w.Close(ix)
	rec.check(err)
	rec.ordinal++
	return out.Bytes()
}

func (rec *recorder) check(err error) {
	rec.t.Helper()
	if err != nil {
		rec.t.Fatal(err)
	}
}

func sortedNames[V any](m map[db.Name]V) []db.Name {
	return slices.SortedFunc(maps.Keys(m), func(a, b db.Name) int { return strings.Compare(a.String(), b.String()) })
}

func create(t testing.TB, store blob.Store) *Repo {
	t.Helper()
	r, err := Create(t.Context(), store, "shop", nil, day0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t testing.TB, store blob.Store) *Repo {
	t.Helper()
	r, err := Open(t.Context(), store, "shop", pack.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// snap stores a snapshot of n rows.
func snap(t testing.TB, r *Repo, table db.Name, start, end history.Seq, at time.Time, n int) *history.Snapshot {
	t.Helper()
	s, err := trySnap(t, r, table, start, end, at, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trySnap(t testing.TB, r *Repo, table db.Name, start, end history.Seq, at time.Time, n int) (*history.Snapshot, error) {
	t.Helper()
	meta := history.Snapshot{ID: SnapshotID(at), Table: table, Start: start, Origin: "read"}
	w, err := r.NewSnapshot(context.Background(), meta, define(t, table), t.TempDir(), SnapshotOptions{MemberBytes: 200, PartBytes: 600})
	if err != nil {
		return nil, err
	}
	for i := range n {
		if err := w.Add(row(i, strings.Repeat("x", rand.IntN(20)))); err != nil {
			w.Leave()
			return nil, err
		}
	}
	return w.Close(SnapshotEnd{End: end, At: at})
}

// told are all changes of tables in (after, upto], as text.
func toldBy(t testing.TB, r *Repo, after, upto history.Seq, tables ...db.Name) ([]string, error) {
	t.Helper()
	by := map[db.Name][]string{}
	err := r.Changes(context.Background(), tables, after, upto, func(n db.Name, c *history.RowChange) error {
		by[n] = append(by[n], fmt.Sprintf("%d.%d %s %d %s", c.Seq, c.N, n.Table, c.Op, text(c.After)))
		return nil
	})
	var out []string
	for _, n := range sortedNames(by) {
		out = append(out, by[n]...)
	}
	return out, err
}

func text(r db.Row) string {
	var out []string
	for _, v := range r {
		out = append(out, string(v.Data))
	}
	return strings.Join(out, ",")
}

func want(t testing.TB, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}
