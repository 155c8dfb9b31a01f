package record

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

func TestReachedWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		s.put(7)
		j := begin(t, s, f, t.TempDir(), nil)
		begun := time.Now()
		if seq, err := j.Reached(t.Context(), at(7)); seq != 0 || err != nil || j.Safe() != 0 {
			t.Errorf("reached %d, %v", seq, err)
		}
		if d := time.Since(begun); d < time.Second || d > 5*time.Second || f.count() == 0 {
			t.Errorf("a fresh start is safe after %s and %d packs", d, f.count())
		}
		s.put(10)
		begun = time.Now()
		if seq, err := j.Reached(t.Context(), at(12)); seq != 5 || err != nil {
			t.Errorf("reached %d, %v", seq, err)
		}
		if d := time.Since(begun); d > 3*time.Second {
			t.Errorf("it took %s", d)
		}
		if j.Safe() != 0 {
			t.Errorf("%d is safe at once", j.Safe())
		}
		wait(t, 6*time.Second) // what was read later than the pack for number 5 was sealed has its own
		f.read(t).compare(t, s.log[7:], 1)
		if j.Safe() != 0 {
			t.Errorf("%d is safe after 6 s", j.Safe())
		}
		wait(t, 11*time.Second)
		if j.Safe() != 10 {
			t.Errorf("%d is safe after 17 s", j.Safe())
		}
		f.set(true)
		s.put(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if seq, err := j.Reached(ctx, at(18)); err == nil {
			t.Errorf("reached %d without the store", seq)
		}
		if j.Safe() != 10 {
			t.Errorf("%d is safe without the store", j.Safe())
		}
	})
}

func TestReachedOnAnotherHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &fakeServer{name: "a"}, &fakeRepo{}
		j := begin(t, s, f, t.TempDir(), nil)
		wait(t, 5*time.Second)
		s.put(3)
		done := make(chan error, 1)
		go func() {
			_, err := j.Reached(t.Context(), at(1000))
			done <- err
		}()
		wait(t, 20*time.Second)
		s.mu.Lock()
		s.gone, s.fail = 100, func() error { return fmt.Errorf("x: %w", ErrPurged) }
		s.mu.Unlock()
		wait(t, time.Second)
		s.mu.Lock()
		s.gone, s.fail = 0, nil
		s.mu.Unlock()
		wait(t, time.Minute)
		if err := <-done; lull.KindOf(err) != lull.Failed {
			t.Errorf("got %v", err)
		}
		if _, err := j.Reached(t.Context(), at(1)); lull.KindOf(err) != lull.Failed {
			t.Errorf("a place before the hole: %v", err)
		}
		if _, err := j.Reached(t.Context(), db.Position{GTID: "x"}); err == nil {
			t.Error("a place without a file")
		}
	})
}

// TestTrail compares find with a plain list.
func TestTrail(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var tr trail
		now := time.Unix(0, 0)
		var ends []db.Position
		file, off := 9, int64(4)
		place := func() db.Position { return db.Position{File: fmt.Sprintf("bin.%d", file), Offset: off} }
		tr.push(stretch{file: place().File, off: off, at: now})
		for range 3000 {
			now = now.Add(time.Duration(rnd.IntN(300)) * time.Millisecond)
			off += int64(1 + rnd.IntN(5))
			switch rnd.IntN(50) {
			case 0:
				file, off = file+1, 4
				tr.place(place(), history.Seq(len(ends)), now)
			case 1:
				tr.place(place(), history.Seq(len(ends)), now)
			case 2:
				keep := rnd.IntN(20)
				if keep < len(ends) {
					ends = ends[:len(ends)-keep]
					tr.cut(history.Seq(len(ends)))
				}
			default:
				ends = append(ends, place())
				tr.commit(place(), history.Seq(len(ends)), now)
			}
		}
		for range 300 {
			p := db.Position{File: fmt.Sprintf("bin.%d", 9+rnd.IntN(file-7)), Offset: rnd.Int64N(400)}
			want := 0
			for want < len(ends) && compare(ends[want], p) <= 0 {
				want++
			}
			got, ok := tr.find(p)
			if before := compare(p, db.Position{File: "bin.9", Offset: 4}) < 0; ok == before || ok && int(got) != want {
				t.Fatalf("seed %d: at %v is %d %v, want %d", seed, p, got, ok, want)
			}
		}
		if last, ok := tr.settled(now.Add(settle), history.Seq(len(ends))); !ok || int(last) < len(ends)-100 {
			t.Fatalf("seed %d: %d of %d is settled", seed, last, len(ends))
		}
	}
}

func TestTrailIsBounded(t *testing.T) {
	var tr trail
	now := time.Unix(0, 0)
	for i := range 6_000_000 {
		tr.commit(db.Position{File: "bin.1", Offset: int64(i) << 40}, history.Seq(i+1), now.Add(time.Duration(i)*time.Millisecond/10))
	}
	if tr.bytes > maxTrail+stretchCommits*binary.MaxVarintLen64 {
		t.Errorf("%d bytes", tr.bytes)
	}
	if _, ok := tr.find(db.Position{File: "bin.1", Offset: 5}); ok {
		t.Error("the beginning is still there")
	}
	if got, ok := tr.find(db.Position{File: "bin.1", Offset: 5_500_000 << 40}); !ok || got != 5_500_001 {
		t.Errorf("got %d %v", got, ok)
	}
}

func TestAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		s.put(3)
		j := begin(t, s, f, dir, func(o *Options) { o.FlushEvery = time.Hour })
		if j.At(at(3)) {
			t.Error("is there before anything was read")
		}
		arrives := func(k *job, pos db.Position, within time.Duration) {
			t.Helper()
			for begun := time.Now(); !k.At(pos); {
				if time.Since(begun) > within {
					t.Fatalf("is not at %v after %s", pos, within)
				}
				wait(t, 50*time.Millisecond)
			}
		}
		arrives(j, at(3), 3*time.Second)
		s.put(4)
		arrives(j, at(5), 3*time.Second)
		f.set(true)
		s.put(2)
		wait(t, 5*time.Second)
		if j.At(at(9)) || !j.At(at(7)) || j.At(at(10)) || j.At(db.Position{}) {
			t.Error("At is wrong while the store is down")
		}
		j.stop()
		s.set(func() error { return errDown })
		s.mu.Lock()
		s.down = true
		s.mu.Unlock()
		f.set(false)
		k := begin(t, s, f, dir, nil)
		wait(t, 10*time.Second)
		if k.At(at(1)) {
			t.Error("is there without a feed")
		}
		s.set(nil)
		s.mu.Lock()
		s.down = false
		s.mu.Unlock()
		arrives(k, at(9), time.Minute)
	})
}
