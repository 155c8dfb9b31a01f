package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

// waiting leaves n packs of one transaction each in a folder, behind a first one in the store.
func waiting(t *testing.T, s *fakeServer, f *fakeRepo, dir string, n int) []string {
	t.Helper()
	j := begin(t, s, f, dir, func(o *Options) { o.FlushEvery = time.Millisecond })
	wait(t, 5*time.Second)
	s.put(1)
	wait(t, 20*time.Second)
	f.set(true)
	for range n {
		s.put(1)
		wait(t, 2*time.Second)
	}
	if err := j.stop(); err != nil {
		t.Fatal(err)
	}
	f.set(false)
	names := packs(t, dir)
	if len(names) != n {
		t.Fatalf("%d packs wait: %v", len(names), names)
	}
	return names
}

func packs(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s *fakeServer) purge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = len(s.log)
}

func TestFolderOfAnotherRepository(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{id: "first"}, t.TempDir()
		waiting(t, s, f, dir, 5)
		before := tree(t, dir)
		k := begin(t, s, &fakeRepo{id: "second"}, dir, nil)
		wait(t, 20*time.Second)
		err := k.stop()
		if lull.KindOf(err) != lull.Usage || !strings.Contains(fmt.Sprint(err), "belongs to the repository first, not to second; 5 packs wait there") ||
			!strings.Contains(lull.HintOf(err), "move the folder away") {
			t.Errorf("got %v (%s)", err, lull.HintOf(err))
		}
		if after := tree(t, dir); after != before {
			t.Errorf("the folder was\n%s and is\n%s", before, after)
		}
		s.purge()
		begin(t, s, f, dir, nil)
		wait(t, time.Minute)
		f.read(t).compare(t, s.log, 1)
	})
}

// tree is the files in a folder and their sizes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, e := range entries {
		if info, err := e.Info(); err != nil {
			t.Fatal(err)
		} else if e.Name() != "lock" {
			out += fmt.Sprintln(e.Name(), info.Size())
		}
	}
	return out
}

func TestPackThatTheStoreHasIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		names := waiting(t, s, f, dir, 3)
		for _, name := range names[:2] {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f.packs = append(f.packs, b)
		}
		s.purge()
		j := begin(t, s, f, dir, nil)
		wait(t, time.Minute)
		f.read(t).compare(t, s.log, 1)
		if st := j.Status(); st.Left != "" || len(packs(t, dir)) != 0 {
			t.Errorf("left %q, %v", st.Left, packs(t, dir))
		}
	})
}

func TestPackThatDoesNotFitIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		names := waiting(t, s, f, dir, 3)
		want, err := os.ReadFile(names[1])
		if err != nil {
			t.Fatal(err)
		}
		begin(t, s, f, t.TempDir(), func(o *Options) { o.FlushEvery = time.Minute }).stopAfter(t, 20*time.Second) // takes the numbers
		begin(t, s, f, t.TempDir(), nil).stopAfter(t, 20*time.Second)
		j := begin(t, s, f, dir, nil)
		wait(t, time.Minute)
		f.read(t).compare(t, s.log, 1)
		left := j.Status().Left
		if got, err := os.ReadFile(filepath.Join(left, filepath.Base(names[1]))); err != nil || string(got) != string(want) {
			t.Errorf("left %q: %d bytes of %d, %v", left, len(got), len(want), err)
		}
		j.stop()
		j = begin(t, s, f, dir, nil)
		wait(t, time.Second)
		if j.Status().Left != left {
			t.Errorf("after a restart left is %q", j.Status().Left)
		}
	})
}

// TestStoreLostWhatIsBeforeTheFolder puts what waits there behind a hole.
func TestStoreLostWhatIsBeforeTheFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		f.set(false)
		waiting(t, s, f, dir, 3)
		last := len(f.packs)
		f.end = func(end repo.End) repo.End {
			if int(end.Ordinal) > last {
				return end
			}
			return repo.End{Ordinal: end.Ordinal, Seq: 0, Pos: at(0), Server: "a"} // the last pack is damaged
		}
		s.purge()
		var lost []string
		j := begin(t, s, f, dir, func(o *Options) {
			o.OnLost = func(tables []db.Name, reason string) { lost = append(lost, fmt.Sprint(tables, reason)) }
		})
		wait(t, time.Minute)
		if len(lost) != 1 || !strings.Contains(lost[0], "[]the repository lost what is before pack") || !j.Changed(orders, 0) {
			t.Errorf("told %q", lost)
		}
		f.read(t).compare(t, s.log, 1)
		if st := j.Status(); st.Left != "" || st.Stored != 4 {
			t.Errorf("status %+v", st)
		}
	})
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	for name, prepare := range map[string]func(f *fakeRepo, dir string) string{
		"a snapshot goes further": func(f *fakeRepo, _ string) string { f.floor = 5; return t.TempDir() },
		"the folder knows more":   func(_ *fakeRepo, dir string) string { return dir },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
			j := begin(t, s, f, dir, nil)
			wait(t, 5*time.Second)
			s.put(2)
			wait(t, 20*time.Second)
			s.put(3)
			wait(t, 20*time.Second)
			j.stop()
			dir = prepare(f, dir)
			damaged := uint64(f.count())
			f.end = func(end repo.End) repo.End {
				if end.Ordinal > damaged {
					return end
				}
				return repo.End{Ordinal: damaged, Seq: 2, Pos: at(2), Server: "a"}
			}
			var lost []string
			j = begin(t, s, f, dir, func(o *Options) {
				o.OnLost = func(tables []db.Name, reason string) { lost = append(lost, fmt.Sprint(tables, reason)) }
			})
			wait(t, 40*time.Second)
			ix, err := index(f.packs[damaged])
			if err != nil || ix.First != 6 || ix.From != at(2) {
				t.Errorf("%s: goes on with %+v, %v", name, ix, err)
			}
			if len(lost) != 1 || lost[0] != "[]the repository lost the transactions 3 to 5" || !j.Changed(orders, 5) {
				t.Errorf("%s: told %q", name, lost)
			}
			if st := j.Status(); st.Stored != 9 {
				t.Errorf("%s: status %+v", name, st)
			}
		})
	}
}

// TestStoreListsTooLittle goes on behind what it knows to be there.
func TestStoreListsTooLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		j := begin(t, s, f, dir, nil)
		wait(t, 5*time.Second)
		for range 4 {
			s.put(1)
			wait(t, 20*time.Second)
		}
		j.stop()
		there := uint64(f.count())
		f.end = func(end repo.End) repo.End {
			if end.Ordinal > there {
				return end
			}
			return repo.End{Ordinal: there - 3, Seq: 1, Pos: at(1), Server: "a"}
		}
		s.put(1)
		j = begin(t, s, f, dir, nil)
		wait(t, 40*time.Second)
		ix, err := index(f.packs[len(f.packs)-1])
		if f.count() == int(there) || err != nil || ix.First < 5 {
			t.Errorf("%d packs, the last %+v, %v; %v", f.count(), ix, err, j.Status().StoreError)
		}
	})
}

func TestRestartClaimsNoMoreThanWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		old := time.Now().Add(-7 * time.Hour)
		s.set(func() error { return errDown })
		writePack(t, dir, old.Add(time.Second))
		k := begin(t, s, f, dir, nil)
		wait(t, 5*time.Second)
		if st := k.Status(); !st.At.Equal(old.Add(time.Second)) || st.Stored != 1 {
			t.Errorf("complete until %s with %d, the last commit is of %s", st.At, st.Stored, old.Add(time.Second))
		}
	})
}

// writePack leaves a first pack with one transaction of a time in a folder, sealed now.
func writePack(t *testing.T, dir string, committed time.Time) {
	t.Helper()
	r, err := New(Options{
		Repo: &fakeRepo{}, Open: (&fakeServer{}).open, Database: "shop", Dir: dir, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.known = nothingKnown()
	if err := r.ensure(); err != nil {
		t.Fatal(err)
	}
	if err := r.lone(history.Event{Kind: history.Lost}, committed, at(1), time.Now()); err != nil {
		t.Fatal(err)
	}
	r.cur.pos = at(1)
	if err := r.seal(time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestPackWhoseStateCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f, dir := &fakeServer{name: "a"}, &fakeRepo{}, t.TempDir()
		j := begin(t, s, f, dir, nil)
		wait(t, 500*time.Millisecond)
		if err := os.MkdirAll(filepath.Join(dir, stateName, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		s.put(3)
		wait(t, 20*time.Second)
		if err := j.stop(); err == nil || !strings.Contains(err.Error(), stateName) {
			t.Errorf("got %v", err)
		}
		if err := os.RemoveAll(filepath.Join(dir, stateName)); err != nil {
			t.Fatal(err)
		}
		if f.count() != 0 || len(packs(t, dir)) != 0 {
			t.Errorf("%d packs and %v", f.count(), packs(t, dir))
		}
	})
}
