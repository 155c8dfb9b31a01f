package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/blob/dir"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

var orders = db.Name{Schema: "shop", Table: "orders"}

func text(s string) db.Value { return db.Value{State: db.Set, Data: []byte(s)} }

func definition(t *testing.T, version int, keyed bool) *history.Definition {
	t.Helper()
	table := &db.Table{Name: orders, Columns: []db.Column{{Name: fmt.Sprint("v", version), DataType: "text"}, {Name: "id", DataType: "int"}}}
	if keyed {
		table.Keys = []db.Key{{Name: "PRIMARY", Columns: []int{1}, Primary: true, NotNull: true}}
	}
	d, err := history.NewDefinition(table, []string{"CREATE TABLE orders"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// change is one transaction of the fake server: a row that has a value now, or is gone.
type change struct {
	id    int
	value string // "" is gone
}

// server is a table that changes while it is read, and the log of its changes: the fake of the
// Source and of the Tail.
type server struct {
	t     *testing.T
	d     *history.Definition
	rows  map[int]string
	log   []change
	lag   int // how far Safe is behind
	asked int
	event int          // transaction of the last event, for Changed
	step  func() error // called for each row that is read
	reads int          // rows read
}

func newServer(t *testing.T, n int) *server {
	s := &server{t: t, d: definition(t, 1, true), rows: map[int]string{}}
	for id := range n {
		s.rows[id*3-n] = fmt.Sprint("value ", id)
	}
	return s
}

func (s *server) change(id int, value string) {
	s.log = append(s.log, change{id, value})
	if s.rows[id] = value; value == "" {
		delete(s.rows, id)
	}
}

func (s *server) row(id int) db.Row { return db.Row{text(s.rows[id]), text(strconv.Itoa(id))} }

func (s *server) Chunk(ctx context.Context, _ *db.Table, after db.Row, limit int, fn func(db.Row) error) (int, error) {
	last := -1 << 30
	if after != nil {
		if after[0].State != db.Absent {
			s.t.Error("a column that is no key is set")
		}
		last, _ = strconv.Atoi(string(after[1].Data))
	}
	n := 0
	for _, id := range slices.Sorted(maps.Keys(s.rows)) {
		if id <= last || s.rows[id] == "" {
			continue
		}
		if n == limit {
			break
		}
		n++
		s.reads++
		if err := fn(s.row(id)); err != nil {
			return n, err
		}
		if s.step != nil {
			if err := s.step(); err != nil {
				return n, err
			}
		}
	}
	return n, ctx.Err()
}

func (s *server) Exact(_ context.Context, _ *db.Table, fn func(db.Row) error) (db.Position, error) {
	pos := s.position()
	then := maps.Clone(s.rows)
	for id, value := range then {
		if err := fn(db.Row{text(value), text(strconv.Itoa(id))}); err != nil {
			return pos, err
		}
		if err := s.step(); err != nil {
			return pos, err
		}
	}
	return pos, nil
}

func (s *server) position() db.Position {
	return db.Position{File: "bin.000001", Offset: int64(len(s.log))}
}

func (s *server) Position(context.Context) (db.Position, error) { return s.position(), nil }

func (s *server) Definition(context.Context, db.Name) (*history.Definition, error) { return s.d, nil }

// Safe comes closer to the end of the log from time to time.
func (s *server) Safe() history.Seq {
	s.asked++
	return history.Seq(max(0, len(s.log)-max(0, s.lag-s.asked%8)))
}

func (s *server) Reached(_ context.Context, pos db.Position) (history.Seq, error) {
	return history.Seq(pos.Offset), nil
}

func (s *server) changed(_ db.Name, since history.Seq) bool { return history.Seq(s.event) > since }

// at is the table behind a transaction; the rows there were first are initial.
func (s *server) at(initial map[int]string, rows map[int]string, from, to history.Seq) map[int]string {
	if rows == nil {
		rows = initial
	}
	out := maps.Clone(rows)
	for _, c := range s.log[from:to] {
		if out[c.id] = c.value; c.value == "" {
			delete(out, c.id)
		}
	}
	return out
}

// store fails as it is told.
type store struct {
	blob.Store
	fault func(name string) (err error, after bool)
}

func (s *store) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	var err error
	after := false
	if s.fault != nil {
		if err, after = s.fault(name); err != nil && !after {
			return err
		}
	}
	return cmp.Or(s.Store.Put(ctx, name, r, size), err)
}

func newRepo(t *testing.T) (*repo.Repo, *store) {
	t.Helper()
	d, err := dir.New(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	s := &store{Store: d}
	r, err := repo.Create(t.Context(), s, "shop", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

func (s *server) options(t *testing.T, dir string) Options {
	t.Helper()
	return Options{Dir: dir, Clock: time.Now, ChunkRows: 7, Changed: s.changed, memberBytes: 300, partBytes: 900}
}

// read is a snapshot's rows as the repository has them.
func read(t *testing.T, r *repo.Repo, s *history.Snapshot) map[int]string {
	t.Helper()
	out := map[int]string{}
	var sum db.Digest
	var last []byte
	err := r.Rows(t.Context(), s, func(row db.Row) error {
		sum.Add(row)
		id, err := strconv.Atoi(string(row[1].Data))
		if _, twice := out[id]; twice || err != nil {
			t.Errorf("row %d is there twice, %v", id, err)
		}
		out[id] = string(row[0].Data)
		key := db.AppendKey(nil, definition(t, 1, true).Table, []int{1}, row)
		if s.Sorted && last != nil && string(last) >= string(key) {
			t.Errorf("row %d is out of order", id)
		}
		last = key
		return nil
	})
	if err != nil || sum.Rows != s.Rows || sum.Sum() != s.Sum {
		t.Fatalf("%d rows with sum %s, said %d and %s: %v", sum.Rows, sum.Sum(), s.Rows, s.Sum, err)
	}
	return out
}

// TestRowsOfChangingTableBecomeExact takes a snapshot of a table that changes, is interrupted
// and fails in every way, and replays the changes since its Start.
func TestRowsOfChangingTableBecomeExact(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			srv := newServer(t, rnd.IntN(200))
			initial := maps.Clone(srv.rows)
			srv.lag = rnd.IntN(5)
			ctx, cancel := context.WithCancel(t.Context())
			srv.step = func() error {
				for range rnd.IntN(3) {
					value := fmt.Sprint("value ", rnd.IntN(1000))
					if rnd.IntN(3) == 0 {
						value = ""
					}
					srv.change(rnd.IntN(700)-200, value)
				}
				switch rnd.IntN(1000) {
				case 0, 1, 2:
					cancel()
				case 3, 4, 5:
					return errors.New("connection lost")
				case 6:
					srv.event = len(srv.log)
				}
				return nil
			}
			r, st := newRepo(t)
			faults := rand.New(rand.NewPCG(seed, 1))
			st.fault = func(string) (error, bool) {
				if faults.IntN(15) == 0 {
					return errors.New("store is down"), faults.IntN(2) == 0
				}
				return nil, false
			}
			folder := t.TempDir()
			var s *history.Snapshot
			var err error
			for n := 0; ; n++ {
				if s, err = Take(ctx, srv, srv, r, orders, srv.options(t, folder)); err == nil {
					break
				}
				if n == 100 {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if err := pause(t.Context(), time.Second); err != nil {
					t.Fatal(err)
				}
				ctx, cancel = context.WithCancel(t.Context())
			}
			cancel()
			if int(s.Start) < srv.event && history.Seq(srv.event) <= s.End {
				t.Errorf("seed %d: what happened at %d lies in (%d, %d]", seed, srv.event, s.Start, s.End)
			}
			got := srv.at(nil, read(t, r, s), s.Start, s.End)
			if want := srv.at(initial, nil, 0, s.End); !maps.Equal(got, want) {
				t.Fatalf("seed %d: %d rows, want %d", seed, len(got), len(want))
			}
			list, err := r.Snapshots(t.Context(), orders)
			if err != nil || len(list) == 0 || !s.Sorted || s.Origin != "read" || s.Definition != srv.d.ID {
				t.Errorf("seed %d: %+v, %v", seed, s, err)
			}
			if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) != 0 {
				t.Errorf("seed %d: left %v", seed, left)
			}
		})
	}
}

func TestGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, 1000)
		r, _ := newRepo(t)
		folder := t.TempDir()
		srv.step = func() error {
			if srv.reads == 600 {
				return errors.New("killed")
			}
			return nil
		}
		o := srv.options(t, folder)
		var last Progress
		o.Progress = func(p Progress) { last = p }
		if _, err := Take(t.Context(), srv, srv, r, orders, o); err == nil || last.Rows < 500 {
			t.Fatal("it was not interrupted", last)
		}
		info, err := os.Stat(statePath(folder, orders))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}
		s, err := Take(t.Context(), srv, srv, r, orders, o)
		if err != nil || s.Rows != 1000 || srv.reads > 1200 || last.Rows != 1000 {
			t.Errorf("read %d rows, %+v, %v", srv.reads, s, err)
		}
		read(t, r, s)
	})
}

func TestBeginsAgain(t *testing.T) {
	f := func(name string, reads int, between func(*server)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, 1000)
				r, _ := newRepo(t)
				srv.step = func() error {
					if srv.reads == 600 {
						return errors.New("killed")
					}
					return nil
				}
				o := srv.options(t, t.TempDir())
				if _, err := Take(t.Context(), srv, srv, r, orders, o); err == nil {
					t.Fatal("it was not interrupted")
				}
				if err := pause(t.Context(), time.Second); err != nil {
					t.Fatal(err)
				}
				between(srv)
				s, err := Take(t.Context(), srv, srv, r, orders, o)
				if err != nil || s.Rows != 1000 || (srv.reads > 1500) != (reads > 1500) || s.Definition != srv.d.ID {
					t.Errorf("read %d rows, %+v, %v", srv.reads, s, err)
				}
			})
		})
	}
	f("goes on", 1000, func(*server) {})
	f("altered", 1600, func(s *server) { s.d = definition(s.t, 2, true) })
	f("lost", 1600, func(s *server) { s.change(-300, "x"); s.change(-300, ""); s.event = 2 })
	f("old", 1600, func(*server) {
		if err := pause(context.Background(), maxAge); err != nil {
			panic(err)
		}
	})
}

func TestTableThatKeepsChanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, 20)
		n := 1
		srv.step = func() error {
			n++
			srv.d = definition(t, n, true)
			return nil
		}
		r, _ := newRepo(t)
		_, err := Take(t.Context(), srv, srv, r, orders, srv.options(t, t.TempDir()))
		if lull.KindOf(err) != lull.Failed || !strings.Contains(err.Error(), "5 tries") || srv.reads != 100 {
			t.Errorf("%d reads, %v", srv.reads, err)
		}
	})
}

func TestReadAtOnce(t *testing.T) {
	tree := definition(t, 1, true)
	tree.Table.Parents = []db.ForeignKey{{Child: orders, Parent: orders, OnDelete: "CASCADE"}}
	for what, d := range map[string]*history.Definition{"no key": definition(t, 1, false), "refers to itself": tree} {
		t.Run(what, func(t *testing.T) { readAtOnce(t, d) })
	}
}

func readAtOnce(t *testing.T, d *history.Definition) {
	srv := newServer(t, 100)
	initial := maps.Clone(srv.rows)
	srv.d = d
	srv.lag = 3
	for i := range 10 {
		srv.change(-500-i, "x")
	}
	srv.step = func() error {
		srv.change(5000+len(srv.log), "later")
		return nil
	}
	r, _ := newRepo(t)
	s, err := Take(t.Context(), srv, srv, r, orders, srv.options(t, t.TempDir()))
	if err != nil || s.Start != 10 || s.End != 10 || s.Sorted || s.Rows != 110 {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := read(t, r, s); !maps.Equal(got, srv.at(initial, nil, 0, 10)) {
		t.Errorf("%d rows", len(got))
	}
}

func TestEmptyTable(t *testing.T) {
	srv := newServer(t, 0)
	r, _ := newRepo(t)
	s, err := Take(t.Context(), srv, srv, r, orders, srv.options(t, t.TempDir()))
	if err != nil || s.Rows != 0 || len(read(t, r, s)) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if d, err := r.Definition(t.Context(), srv.d.ID); err != nil || d.ID != srv.d.ID {
		t.Errorf("definition %v, %v", d, err)
	}
}

func TestFold(t *testing.T) {
	r, st := newRepo(t)
	d := definition(t, 1, true)
	at := time.Now().UTC()
	f := func(fail error, ids ...int) (*history.Snapshot, error) {
		var rows iter.Seq2[db.Row, error] = func(yield func(db.Row, error) bool) {
			for _, id := range ids {
				if !yield(db.Row{text("x"), text(strconv.Itoa(id))}, nil) {
					return
				}
			}
			if fail != nil {
				yield(nil, fail)
			}
		}
		return Fold(t.Context(), r, Moment{d, 7, at}, rows, t.TempDir(), time.Now)
	}
	s, err := f(nil, -3, 1, 20)
	if err != nil || s.Start != 7 || s.End != 7 || !s.Sorted || s.Rows != 3 || s.Origin != "folded" || !s.At.Equal(at) {
		t.Fatalf("%+v, %v", s, err)
	}
	read(t, r, s)
	if s, err := f(nil, 20, 1); err != nil || s.Sorted {
		t.Errorf("rows out of order: %+v, %v", s, err)
	}
	count := func() int {
		n := 0
		for range st.List(t.Context(), "") {
			n++
		}
		return n
	}
	before := count()
	broken := errors.New("broken")
	if _, err := f(broken, 1, 2); !errors.Is(err, broken) || count() != before {
		t.Errorf("%d objects became %d, %v", before, count(), err)
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := Load{Threads: 3, Lag: -1}
		asked := 0
		var said []string
		wait := Throttle(func(context.Context) (Load, error) {
			asked++
			if asked == 10 {
				now = Load{}
			}
			return now, nil
		}, Limits{MaxThreads: 4, MaxLag: 2 * time.Second, MaxConnectionsShare: 0.5}, time.Now, func(s string) { said = append(said, s) })
		for range 50 {
			if err := wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 1 || len(said) != 0 {
			t.Errorf("asked %d times, said %q", asked, said)
		}
		for _, busy := range []Load{{Threads: 5}, {Lag: 3 * time.Second}, {Connections: 51, MaxConnections: 100}} {
			if err := pause(t.Context(), askEvery); err != nil {
				t.Fatal(err)
			}
			asked, now = 1, busy
			begun := time.Now()
			if err := wait(t.Context()); err != nil || time.Since(begun) != 8*waitEvery {
				t.Errorf("waited %s, %v", time.Since(begun), err)
			}
		}
		want := []string{
			"5 threads run on the server, the limit is 4", "", "a replica is 3s behind, the limit is 2s", "",
			"51 of 100 connections are taken, the limit is 50 %", "",
		}
		if !slices.Equal(said, want) {
			t.Errorf("said %q", said)
		}
		if err := pause(t.Context(), askEvery); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		asked, now = 100, Load{Threads: 99}
		if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzReadState(f *testing.F) {
	s := newState("", orders, "d-1", "0123456789abc", 5, time.Unix(0, 0))
	s.after = db.Row{{State: db.Absent}, text("5")}
	path := filepath.Join(f.TempDir(), "seed")
	s.path = path
	if err := s.save(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"lull_snapshot_state":1,"table":{"Schema":"shop","Table":"orders"},"after":"/w=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(statePath(folder, orders), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readState(folder, orders)
		if err != nil || s.ID != "" && s.Table != orders {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}
