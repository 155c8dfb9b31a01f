package record

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
)

// wait lets the fake time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	if err := pause(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestEveryTransactionOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		j := begin(t, s, f, t.TempDir(), func(o *Options) {
			o.Recipients = []age.Recipient{key.Recipient()}
			o.OnCommit = func(_ context.Context, seq history.Seq, x *db.Tx, touches []history.Touch) error {
				seen = append(seen, fmt.Sprint(seq, x.GTID, len(touches)))
				return nil
			}
		})
		wait(t, 2*time.Second)
		for range 30 {
			s.put(1)
			wait(t, 700*time.Millisecond)
		}
		wait(t, 10*time.Second)
		f.read(t, key).compare(t, s.log, 1)
		if n := f.count(); n < 4 || n > 7 {
			t.Errorf("21 s of commits went into %d packs", n)
		}
		if len(seen) != 30 || seen[29] != "30g-301" {
			t.Errorf("saw %v", seen)
		}
		st := j.Status()
		if st.Seq != 30 || st.Stored != 30 || st.Behind != 0 || st.Pending != 0 || st.Pos != s.end() || st.Server != "a" {
			t.Errorf("status %+v", st)
		}
		if err := j.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestIdleSaysSoEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		begin(t, s, f, t.TempDir(), nil)
		wait(t, 31*time.Minute)
		if n := f.count(); n < 6 || n > 8 {
			t.Errorf("%d packs in 31 minutes", n)
		}
		end, err := f.End(t.Context())
		if age := time.Since(end.At); err != nil || age > 6*time.Minute {
			t.Errorf("complete until %s ago, %v", age, err)
		}
	})
}

func TestStoreDownThenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		j := begin(t, s, f, t.TempDir(), nil)
		wait(t, 2*time.Second)
		f.set(true)
		for range 600 {
			s.put(1)
			wait(t, time.Second)
		}
		st := j.Status()
		if st.StoreError == nil || time.Since(st.StoreSince) < 9*time.Minute || st.Pending == 0 || st.Seq != 600 || st.Stored != 0 {
			t.Errorf("status %+v", st)
		}
		f.set(false)
		wait(t, time.Minute)
		f.read(t).compare(t, s.log, 1)
		if st := j.Status(); st.StoreError != nil || st.Pending != 0 || st.Stored != 600 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestReadingStopsWhileTheSpoolIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		j := begin(t, s, f, t.TempDir(), func(o *Options) { o.SpoolBytes, o.FlushEvery = 4000, time.Millisecond })
		wait(t, 2*time.Second)
		f.set(true)
		for range 100 {
			s.put(1)
			wait(t, time.Second)
		}
		st := j.Status()
		if !st.Full || st.Pending < 4000 || st.Pending > 8000 || st.Seq > 50 || st.Behind < 50*time.Second {
			t.Errorf("status %+v", st)
		}
		f.set(false)
		wait(t, time.Minute)
		f.read(t).compare(t, s.log, 1)
		if st := j.Status(); st.Full || st.Pending != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestLostConnectionInsideATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		j := begin(t, s, f, t.TempDir(), nil)
		wait(t, 2*time.Second)
		steps := 0
		s.set(func() error {
			if steps++; steps%7 == 0 {
				return errDown
			}
			return nil
		})
		s.put(20)
		wait(t, 5*time.Minute)
		f.read(t).compare(t, s.log, 1)
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		wait(t, time.Minute)
		if st := j.Status(); st.FeedError == nil || st.Behind < 30*time.Second {
			t.Errorf("status %+v", st)
		}
		if s.opens > 90 {
			t.Errorf("opened %d times", s.opens)
		}
	})
}

func TestPurgedPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		dir := t.TempDir()
		j := begin(t, s, f, dir, nil)
		wait(t, 2*time.Second)
		s.put(5)
		wait(t, 20*time.Second)
		j.stop()
		s.put(5)
		s.gone = 8
		wait(t, time.Hour)
		var lost []string
		j = begin(t, s, f, dir, func(o *Options) {
			o.OnLost = func(tables []db.Name, reason string) { lost = append(lost, fmt.Sprint(tables, reason)) }
		})
		wait(t, 3*time.Second)
		safe := j.Safe()
		s.put(3)
		wait(t, 20*time.Second)
		k := f.read(t)
		k.compare(t, s.log[10:], 8)
		if len(k.events) != 2 || k.events[0].Kind != history.Lost || k.events[0].Seq != 6 || k.events[0].Table != (db.Name{}) || k.events[1].Seq != 7 {
			t.Fatalf("events %+v", k.events)
		}
		if e := k.events[0]; !strings.Contains(e.Reason, "no longer has") || time.Since(e.At) < time.Hour || e.At.Before(k.txs[4].At) {
			t.Errorf("the hole is from %s: %s", e.At, e.Reason)
		}
		if end := k.txs[6].At; time.Since(end) > time.Minute {
			t.Errorf("the hole ends at %s", end)
		}
		if len(lost) == 0 || !strings.HasPrefix(lost[0], "[]") || safe != 7 {
			t.Errorf("told %q, safe %d", lost, safe)
		}
		if got := s.known[len(s.known)-1]; len(got) != 0 {
			t.Errorf("a fresh start knows %v", got)
		}
	})
}

func TestAnotherServerThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, f := &fakeServer{name: "a"}, &fakeRepo{}
		b := &fakeServer{name: "b"}
		var now atomic.Pointer[fakeServer]
		now.Store(a)
		j := begin(t, a, f, t.TempDir(), func(o *Options) {
			o.Open = func(ctx context.Context, st Start) (history.Feed, string, error) { return now.Load().open(ctx, st) }
		})
		wait(t, 2*time.Second)
		a.put(5)
		wait(t, 2*time.Second)
		b.log = append(b.log, a.log...)
		b.put(3)
		a.mu.Lock()
		a.down = true
		a.mu.Unlock()
		now.Store(b)
		wait(t, 40*time.Second)
		f.read(t).compare(t, b.log, 1)
		if end, _ := f.End(t.Context()); end.Server != "b" || j.Status().Server != "b" {
			t.Errorf("ends on %+v", end)
		}
	})
}

func TestEventsAndDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		dir := t.TempDir()
		var lost []string
		onLost := func(o *Options) {
			o.OnLost = func(tables []db.Name, reason string) { lost = append(lost, fmt.Sprint(tables, reason)) }
		}
		j := begin(t, s, f, dir, onLost)
		wait(t, 2*time.Second)
		d1, d2 := definition(orders, 1), definition(orders, 2)
		s.add(
			tx{rows: []row{{d1, "1", "x"}}},
			tx{
				events: []history.Event{{Kind: history.Altered, Table: orders, Was: d1.ID, Definition: d2.ID}},
				news:   []*history.Definition{d2},
			},
			tx{rows: []row{{d2, "2", "x"}, {definition(bills, 1), "1", "y"}}},
			tx{events: []history.Event{{Kind: history.Lost, Table: bills, Reason: "statement"}}, news: []*history.Definition{nil}},
			tx{events: []history.Event{{Kind: history.Dropped, Table: bills}}, news: []*history.Definition{nil}},
		)
		wait(t, 20*time.Second)
		k := f.read(t)
		k.compare(t, s.log, 1)
		want := []history.Seq{2, 4, 5}
		for i, e := range k.events {
			if len(k.events) != 3 || e.Seq != want[i] || !e.At.Equal(s.log[e.Seq-1].at) {
				t.Errorf("events %+v", k.events)
			}
		}
		if j.Changed(orders, 2) || !j.Changed(orders, 1) || j.Changed(bills, 5) || !j.Changed(bills, 4) {
			t.Error("Changed is wrong")
		}
		if fmt.Sprint(lost) != "[[shop.bills]statement]" {
			t.Errorf("told %q", lost)
		}
		j.stop()
		begin(t, s, f, dir, nil)
		wait(t, 2*time.Second)
		if got := s.known[len(s.known)-1]; len(got) != 1 || got[0].ID != d2.ID {
			t.Errorf("after a restart known are %v", got)
		}
	})
}

// TestLostOutsideOfATransaction counts as a transaction of its own, so that a snapshot before
// it differs from one behind it.
func TestLostOutsideOfATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		lone := &loneFeed{}
		begin(t, s, f, t.TempDir(), func(o *Options) {
			o.Open = func(ctx context.Context, st Start) (history.Feed, string, error) {
				feed, name, err := s.open(ctx, st)
				lone.Feed = feed
				return lone, name, err
			}
		})
		wait(t, 2*time.Second)
		s.put(1)
		wait(t, 2*time.Second)
		lone.say.Store(true)
		wait(t, 20*time.Second)
		k := f.read(t)
		if len(k.events) != 1 || k.events[0].Seq != 2 || len(k.gtids) != 2 || k.gtids[1] != "" {
			t.Errorf("events %+v, transactions %v", k.events, k.gtids)
		}
	})
}

type loneFeed struct {
	history.Feed
	say atomic.Bool
}

func (l *loneFeed) Next(ctx context.Context) (*history.Step, error) {
	if l.say.Swap(false) {
		return &history.Step{Kind: history.EventStep, Event: &history.Event{Kind: history.Lost, Reason: "incident"}}, nil
	}
	return l.Feed.Next(ctx)
}

func TestTwoRecorders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		dir := t.TempDir()
		j := begin(t, s, f, dir, nil)
		wait(t, 2*time.Second)
		same := begin(t, s, f, dir, nil)
		wait(t, time.Second)
		if err := same.stop(); lull.KindOf(err) != lull.Locked {
			t.Errorf("a second recorder in the folder: %v", err)
		}
		other := begin(t, s, f, t.TempDir(), func(o *Options) { o.FlushEvery = 3 * time.Second })
		wait(t, 500*time.Millisecond)
		s.put(3)
		wait(t, 30*time.Second)
		s.put(3)
		wait(t, 30*time.Second)
		a, b := j.stop(), other.stop()
		if (lull.KindOf(a) == lull.Locked) == (lull.KindOf(b) == lull.Locked) {
			t.Errorf("two recorders on one repository: %v and %v", a, b)
		}
		f.read(t).compare(t, s.log, 1)
	})
}

func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		r, err := New(Options{Repo: f, Open: s.open, Database: "shop", Dir: t.TempDir(), Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var room atomic.Int64
		room.Store(3000)
		r.create = func(path string) (spoolFile, error) {
			file, err := createFile(path)
			return &smallDisk{file, &room}, err
		}
		j := r.start(t)
		wait(t, 2*time.Second)
		for range 40 {
			s.put(1)
			wait(t, time.Second)
		}
		wait(t, time.Minute)
		st := j.Status()
		if !fsx.IsFull(st.DiskError) || time.Since(st.DiskSince) < time.Minute {
			t.Errorf("status %+v", st)
		}
		room.Store(1 << 30)
		wait(t, 2*time.Minute)
		if st := j.Status(); st.DiskError != nil {
			t.Errorf("status %+v", st)
		}
		f.read(t).compare(t, s.log, 1)
	})
}

type smallDisk struct {
	spoolFile
	room *atomic.Int64
}

func (d *smallDisk) Write(b []byte) (int, error) {
	if d.room.Add(-int64(len(b))) < 0 {
		n, _ := d.spoolFile.Write(b[:len(b)/2])
		return n, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	return d.spoolFile.Write(b)
}

func TestBrokenFilesInTheFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		dir := t.TempDir()
		j := begin(t, s, f, dir, nil)
		wait(t, 2*time.Second)
		f.set(true)
		for range 30 {
			s.put(1)
			wait(t, time.Second)
		}
		j.stop()
		names, err := filepath.Glob(filepath.Join(dir, "*.pack"))
		if err != nil || len(names) < 4 {
			t.Fatal(names, err)
		}
		damage := names[len(names)-2]
		b, err := os.ReadFile(damage)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 1
		os.WriteFile(damage, b, 0o600)
		os.WriteFile(filepath.Join(dir, openName), b[:100], 0o600)
		os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o600)
		f.set(false)
		begin(t, s, f, dir, nil)
		wait(t, 20*time.Second)
		f.read(t).compare(t, s.log, 1)
	})
}

// TestRandomSchedules kills recorders, breaks feeds and the store at random, and begins again
// in the same folder or an empty one.
func TestRandomSchedules(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			store, feed := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			s, f := &fakeServer{name: "a"}, &fakeRepo{}
			f.fault = func() (error, bool) {
				if store.IntN(3) == 0 {
					return errors.New("answer lost"), store.IntN(2) == 0
				}
				return nil, false
			}
			s.set(func() error { // under the server's lock
				if feed.IntN(40) == 0 {
					return errDown
				}
				return nil
			})
			dir := t.TempDir()
			big := strings.Repeat("x", 1000)
			d := definition(orders, 1)
			begin(t, s, f, dir, nil).stopAfter(t, 20*time.Second)
			for range 6 {
				r, err := New(Options{
					Repo: f, Open: s.open, Database: "shop", Dir: dir, Clock: time.Now,
					FlushEvery: time.Duration(1 + rnd.IntN(3000)*int(time.Millisecond)), FlushBytes: 1000,
				})
				if err != nil {
					t.Fatal(err)
				}
				j := r.start(t)
				for range rnd.IntN(20) {
					x := tx{}
					for i := range rnd.IntN(4) {
						x.rows = append(x.rows, row{d, fmt.Sprint(i), big[:rnd.IntN(1000)]})
					}
					s.add(x)
					wait(t, time.Duration(rnd.IntN(1500))*time.Millisecond)
				}
				next := dir
				switch rnd.IntN(4) {
				case 0:
					next = t.TempDir()
				case 1, 2:
					next = killed(t, dir)
				}
				if err := j.stop(); err != nil {
					t.Fatal(err)
				}
				dir = next
			}
			f.fault = nil
			s.set(nil)
			begin(t, s, f, dir, nil).stopAfter(t, 30*time.Second)
			k := f.read(t)
			k.compare(t, s.log, 1)
			if t.Failed() {
				t.Fatal("seed", seed)
			}
		})
	}
}

func (j *job) stopAfter(t *testing.T, d time.Duration) {
	t.Helper()
	wait(t, d)
	if err := j.stop(); err != nil {
		t.Fatal(err)
	}
}

// killed is the folder as a recorder that is killed now leaves it.
func killed(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	synctest.Wait()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestBigTransactionNeedsLittleMemory(t *testing.T) {
	t.Parallel()
	b, err := newBatch(t.TempDir(), 1, nil, createFile)
	if err != nil {
		t.Fatal(err)
	}
	defer b.drop()
	value := text(strings.Repeat("y", 10_000))
	most := 0
	for i := range 20_000 {
		d := definition(db.Name{Schema: "shop", Table: fmt.Sprint("t", i%100)}, 1)
		c := history.RowChange{Op: db.Insert, After: db.Row{text(fmt.Sprint(i)), value}}
		if err := b.change(&c, d.Table.Name, d); err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, x := range b.tables {
			held += x.w.Len()
		}
		if held != b.raw {
			t.Fatalf("%d bytes are held, %d counted", held, b.raw)
		}
		most = max(most, held)
	}
	if most > maxRaw+memberRaw {
		t.Errorf("200 MB of changes took %d bytes of memory", most)
	}
}
