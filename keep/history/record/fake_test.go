package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
)

var (
	orders = db.Name{Schema: "shop", Table: "orders"}
	bills  = db.Name{Schema: "shop", Table: "bills"}
)

func definition(t db.Name, version int) *history.Definition {
	d, err := history.NewDefinition(&db.Table{
		Name:    t,
		Columns: []db.Column{{Name: "id", DataType: "int"}, {Name: fmt.Sprint("v", version), DataType: "text"}},
		Keys:    []db.Key{{Name: "PRIMARY", Columns: []int{0}, Primary: true, NotNull: true}},
	}, []string{fmt.Sprintf("CREATE TABLE %s /* %d */", t, version)})
	if err != nil {
		panic(err)
	}
	return d
}

func text(s string) db.Value { return db.Value{State: db.Set, Data: []byte(s)} }

// row is one change of a fake transaction: an insert of (id, value).
type row struct {
	table *history.Definition
	id    string
	value string
}

// tx is a transaction in a fake server's log.
type tx struct {
	gtid   string
	at     time.Time
	rows   []row
	events []history.Event
	news   []*history.Definition // of events
}

// fakeServer is a log that feeds read. Transaction i lies from i*100 to i*100+100.
type fakeServer struct {
	name string
	mu   sync.Mutex
	log  []tx
	gone int // transactions that are purged
	// down says that no feed can be opened, and breaks those that are.
	down bool
	// fail is asked before each step.
	fail  func() error
	known [][]*history.Definition // what each Open was told
	opens int
}

func (s *fakeServer) add(txs ...tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range txs {
		if x.at.IsZero() {
			x.at = time.Now()
		}
		if x.gtid == "" {
			x.gtid = fmt.Sprint("g-", len(s.log)+1)
		}
		s.log = append(s.log, x)
	}
}

func (s *fakeServer) put(n int) {
	d := definition(orders, 1)
	for range n {
		s.mu.Lock()
		id := fmt.Sprint(len(s.log) + 1)
		s.mu.Unlock()
		s.add(tx{rows: []row{{d, id, "a"}, {d, id + "b", "b"}}})
	}
}

func (s *fakeServer) end() db.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return at(len(s.log))
}

func at(i int) db.Position { return db.Position{File: "bin.000001", Offset: int64(i) * 100} }

var errDown = lull.Errorf(lull.Unreachable, "", "server is down")

func (s *fakeServer) open(_ context.Context, start Start) (history.Feed, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens++
	s.known = append(s.known, start.Known)
	if s.down {
		return nil, "", errDown
	}
	i := int(start.Pos.Offset / 100)
	if start.Fresh {
		i = len(s.log)
	}
	if i < s.gone {
		return nil, "", fmt.Errorf("read binlog: %w", ErrPurged)
	}
	return &fakeFeed{s: s, i: i}, s.name, nil
}

type fakeFeed struct {
	s *fakeServer
	i int // transaction
	k int // step in it
}

func (f *fakeFeed) Close() error { return nil }

func (f *fakeFeed) Next(ctx context.Context) (*history.Step, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.s.broken(); err != nil {
		return nil, err
	}
	if step := f.step(); step != nil {
		return step, nil
	}
	if err := pause(ctx, time.Second); err != nil {
		return nil, err
	}
	return &history.Step{Kind: history.IdleStep, Pos: at(f.i), At: time.Now()}, nil
}

func (s *fakeServer) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return errDown
	case s.fail != nil:
		return s.fail()
	}
	return nil
}

func (s *fakeServer) set(fail func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (f *fakeFeed) step() *history.Step {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.i >= len(f.s.log) {
		return nil
	}
	x := &f.s.log[f.i]
	k := f.k
	f.k++
	if k < len(x.events) {
		e := x.events[k]
		return &history.Step{Kind: history.EventStep, Event: &e, New: x.news[k]}
	}
	if k -= len(x.events); k < len(x.rows) {
		r := x.rows[k]
		c := db.Change{Op: db.Insert, Table: r.table.Table, After: db.Row{text(r.id), text(r.value)}}
		return &history.Step{Kind: history.RowStep, Change: &c, Definition: r.table}
	}
	f.i, f.k = f.i+1, 0
	t := db.Tx{GTID: x.gtid, File: "bin.000001", Start: int64(f.i-1) * 100, End: int64(f.i) * 100, At: x.at}
	return &history.Step{
		Kind: history.CommitStep, Tx: t, Pos: at(f.i), At: x.at,
		Touches: []history.Touch{{Tx: t, Table: orders, Inserted: int64(len(x.rows))}},
	}
}

// fakeRepo is a chain in memory.
type fakeRepo struct {
	id    string
	mu    sync.Mutex
	end   func(repo.End) repo.End // what End says instead; nil for the truth
	floor history.Seq
	packs [][]byte
	down  bool
	// fault is asked before each Put: an error is returned before anything is stored, or behind
	// it when after is true.
	fault func() (err error, after bool)
	puts  int
}

func (f *fakeRepo) ID() string { return f.id }

func (f *fakeRepo) Floor(ctx context.Context) (history.Seq, error) {
	end, err := f.End(ctx)
	return max(end.Seq, f.floor), err
}

func (f *fakeRepo) HasLog(_ context.Context, ordinal uint64, ix *pack.Index) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return false, lull.Errorf(lull.Unreachable, "", "store is down")
	}
	if ordinal > uint64(len(f.packs)) {
		return false, nil
	}
	there, err := index(f.packs[ordinal-1])
	return err == nil && there.First == ix.First && there.Last == ix.Last && there.To == ix.To && len(there.Members) == len(ix.Members), nil
}

func (f *fakeRepo) End(context.Context) (repo.End, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return repo.End{}, lull.Errorf(lull.Unreachable, "", "store is down")
	}
	var end repo.End
	for i, p := range f.packs {
		ix, err := index(p)
		if err != nil {
			return end, err
		}
		end = repo.End{Ordinal: uint64(i + 1), Seq: ix.Last, Pos: ix.To, Server: ix.Server, At: end.At}
		if !ix.MaxAt.IsZero() {
			end.At = ix.MaxAt
		}
	}
	if f.end != nil {
		end = f.end(end)
	}
	return end, nil
}

func index(p []byte) (*pack.Index, error) {
	r, err := pack.Open(context.Background(), pack.At(bytes.NewReader(p), int64(len(p))), nil)
	if err != nil {
		return nil, err
	}
	return r.Index(), nil
}

func (f *fakeRepo) PutLog(_ context.Context, ordinal uint64, r io.ReadSeeker, size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return lull.Errorf(lull.Unreachable, "", "store is down")
	}
	var err error
	after := false
	if f.fault != nil {
		if err, after = f.fault(); err != nil && !after {
			return err
		}
	}
	all, rerr := io.ReadAll(r)
	if rerr != nil || int64(len(all)) != size {
		return fmt.Errorf("%d bytes of %d: %w", len(all), size, rerr)
	}
	f.puts++
	switch n := int(ordinal); {
	case n <= len(f.packs):
		if !bytes.Equal(f.packs[n-1], all) {
			return lull.Errorf(lull.Locked, "", "another recorder writes here")
		}
	case n == len(f.packs)+1:
		f.packs = append(f.packs, all)
	default:
		return fmt.Errorf("pack %d behind %d", n, len(f.packs))
	}
	return err
}

func (f *fakeRepo) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fakeRepo) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.packs)
}

// kept is what a chain holds.
type kept struct {
	gtids   []string // by Seq; "" for a hole
	txs     []db.Tx
	changes map[history.Seq][]history.RowChange
	events  []history.Event
	defs    map[string]bool
}

// read reads the chain and checks that it is one.
func (f *fakeRepo) read(t *testing.T, identities ...age.Identity) *kept {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	k := &kept{changes: map[history.Seq][]history.RowChange{}, defs: map[string]bool{}}
	var last *pack.Index
	for i, p := range f.packs {
		r, err := pack.Open(t.Context(), pack.At(bytes.NewReader(p), int64(len(p))), identities)
		if err != nil {
			t.Fatal(err)
		}
		ix := r.Index()
		switch {
		case last == nil && ix.First != 1:
			t.Errorf("pack 1 begins with %d", ix.First)
		case last != nil && (ix.First != last.Last+1 || ix.From != last.To):
			t.Errorf("pack %d begins with %d at %v, the one before ends with %d at %v", i+1, ix.First, ix.From, last.Last, last.To)
		}
		for m := range ix.Members {
			k.member(t, r, m)
		}
		if len(k.gtids) != int(ix.Last) {
			t.Errorf("pack %d ends with %d and holds transactions up to %d", i+1, ix.Last, len(k.gtids))
		}
		last = ix
	}
	for seq := range k.changes {
		slices.SortFunc(k.changes[seq], func(a, b history.RowChange) int { return int(a.N) - int(b.N) })
	}
	return k
}

func (k *kept) member(t *testing.T, r *pack.Reader, i int) {
	t.Helper()
	payload, err := r.Payload(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	m := &r.Index().Members[i]
	switch m.Kind {
	case pack.Transactions:
		err = pack.EachTransaction(payload, func(seq history.Seq, x db.Tx, _ []history.Touch) error {
			if int(seq) != len(k.gtids)+1 {
				t.Errorf("transaction %d follows %d", seq, len(k.gtids))
			}
			k.gtids, k.txs = append(k.gtids, x.GTID), append(k.txs, x)
			return nil
		})
	case pack.Changes:
		err = pack.EachChange(payload, m, func(c *history.RowChange) error {
			own := *c
			own.After = c.After.Clone()
			k.changes[c.Seq] = append(k.changes[c.Seq], own)
			return nil
		})
	case pack.Events:
		err = pack.EachEvent(payload, func(e *history.Event) error {
			k.events = append(k.events, *e)
			return nil
		})
	case pack.Definitions:
		err = pack.EachDefinition(payload, func(d *history.Definition) error {
			k.defs[d.ID] = true
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compare checks that the transactions from first on are all there, once and in order. Seq
// seq is the log's transaction first.
func (k *kept) compare(t *testing.T, log []tx, seq int) {
	t.Helper()
	if len(k.gtids) != seq-1+len(log) {
		t.Fatalf("%d transactions are kept, want %d", len(k.gtids), seq-1+len(log))
	}
	for i, x := range log {
		n := history.Seq(seq + i)
		if k.gtids[n-1] != x.gtid {
			t.Fatalf("transaction %d is %s, want %s", n, k.gtids[n-1], x.gtid)
		}
		got := k.changes[n]
		if len(got) != len(x.rows) {
			t.Fatalf("transaction %d has %d changes, want %d", n, len(got), len(x.rows))
		}
		for j, r := range x.rows {
			if got[j].N != uint64(j) || string(got[j].After[0].Data) != r.id || got[j].Definition != r.table.ID || !k.defs[r.table.ID] {
				t.Fatalf("change %d of %d is %+v, want %+v", j, n, got[j], r)
			}
		}
	}
}

// job is a Recorder that runs.
type job struct {
	*Recorder
	stop func() error
}

func begin(t *testing.T, s *fakeServer, f *fakeRepo, dir string, change func(*Options)) *job {
	t.Helper()
	o := Options{Repo: f, Open: s.open, Database: "shop", Dir: dir, Clock: time.Now}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r.start(t)
}

func (r *Recorder) start(t *testing.T) *job {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	t.Cleanup(func() { stop() })
	return &job{r, stop}
}
