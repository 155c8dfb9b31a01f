package extsort

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lull-ops/lull"
)

type record struct{ key, value []byte }

// drain sorts what was added and returns copies of all records.
func drain(t testing.TB, s *Sorter) []record {
	t.Helper()
	it, err := s.Sort()
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	for it.Next() {
		out = append(out, record{bytes.Clone(it.Key()), bytes.Clone(it.Value())})
	}
	if err := errors.Join(it.Err(), it.Close(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}

func add(t testing.TB, s *Sorter, recs []record) {
	t.Helper()
	for _, r := range recs {
		if err := s.Add(r.key, r.value); err != nil {
			t.Fatal(err)
		}
	}
}

func wantSorted(t *testing.T, in, got []record) {
	t.Helper()
	want := slices.Clone(in)
	slices.SortStableFunc(want, func(a, b record) int { return bytes.Compare(a.key, b.key) })
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i].key, want[i].key) || !bytes.Equal(got[i].value, want[i].value) {
			t.Fatalf("record %d is %q=%.20q, want %q=%.20q", i, got[i].key, got[i].value, want[i].key, want[i].value)
		}
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// randomRecords makes n records; few distinct keys when keys is small. Values carry the
// place in the input, so that a lost order shows.
func randomRecords(rng *rand.Rand, n, keys, maxValue int) []record {
	out := make([]record, n)
	for i := range out {
		key := make([]byte, rng.IntN(12))
		for j := range key {
			key[j] = byte(rng.IntN(3)) // zeros and short keys that are prefixes of others
		}
		if keys > 0 {
			key = fmt.Appendf(nil, "key-%04d", rng.IntN(keys))
		}
		value := binary.BigEndian.AppendUint32(nil, uint32(i))
		value = append(value, make([]byte, rng.IntN(maxValue+1))...)
		out[i] = record{key, value}
	}
	return out
}

func TestSortAgainstSliceStable(t *testing.T) {
	tests := []struct {
		name             string
		n, keys, maxV    int
		mem              int
		wantFiles, multi bool
	}{
		{"nothing", 0, 0, 0, 0, false, false},
		{"one", 1, 0, 0, 0, false, false},
		{"fits", 5000, 0, 20, 0, false, false},
		{"few keys fit", 5000, 3, 20, 0, false, false},
		{"spills", 20000, 0, 20, 128 << 10, true, false},
		{"few keys spill", 20000, 3, 20, 128 << 10, true, false},
		{"one key spills", 20000, 1, 20, 128 << 10, true, false},
		{"many runs need passes", 20000, 500, 200, minMemory, true, true},
		{"records larger than the memory", 20, 5, 200 << 10, minMemory, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(4) {
				dir := t.TempDir()
				in := randomRecords(rand.New(rand.NewPCG(seed, 7)), tt.n, tt.keys, tt.maxV)
				s := New(dir, tt.mem)
				add(t, s, in)
				if spilled := s.spill != nil; spilled != tt.wantFiles {
					t.Errorf("spilled: %v, want %v", spilled, tt.wantFiles)
				}
				if tt.multi && len(s.spill.runs) <= s.fanIn() {
					t.Errorf("%d runs do not need a second pass", len(s.spill.runs))
				}
				if s.Len() != int64(tt.n) {
					t.Errorf("Len is %d", s.Len())
				}
				wantSorted(t, in, drain(t, s))
				wantEmpty(t, dir)
			}
		})
	}
}

func TestOrderedInputIsOneRunWithoutMemory(t *testing.T) {
	s := New(t.TempDir(), 64<<10)
	var in []record
	for i := range 50_000 {
		in = append(in, record{fmt.Appendf(nil, "%08d", i/3), fmt.Append(nil, i)})
	}
	add(t, s, in)
	if len(s.spill.runs) != 1 || !s.direct || s.buf.used != 0 || cap(s.buf.entry) != 0 {
		t.Errorf("%d runs, direct %v, %d bytes and %d entries held", len(s.spill.runs), s.direct, s.buf.used, cap(s.buf.entry))
	}
	wantSorted(t, in, drain(t, s))
}

func TestOrderedInputWithStrays(t *testing.T) {
	s := New(t.TempDir(), 64<<10)
	var in []record
	for i := range 60_000 {
		key := i
		if i%20_000 == 19_999 {
			key = 5 // again and again a stray that belongs to the front
		}
		in = append(in, record{fmt.Appendf(nil, "%08d", key), fmt.Append(nil, i)})
	}
	add(t, s, in)
	if n := len(s.spill.runs); n > 4 {
		t.Errorf("%d runs for an input with three strays", n)
	}
	wantSorted(t, in, drain(t, s))
}

func TestAddCopies(t *testing.T) {
	s := New(t.TempDir(), 0)
	buf := []byte("bb")
	for _, k := range []string{"bb", "aa"} {
		copy(buf, k)
		if err := s.Add(buf, buf); err != nil {
			t.Fatal(err)
		}
	}
	if got := drain(t, s); string(got[0].value) != "aa" || string(got[1].value) != "bb" {
		t.Errorf("got %q", got)
	}
}

func TestMemoryStaysInBound(t *testing.T) {
	const mem = 4 << 20
	for _, tt := range []struct {
		name       string
		n, valueSz int
	}{{"tiny records", 2_000_000, 0}, {"rows", 300_000, 200}, {"large rows", 2000, 30 << 10}} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(t.TempDir(), mem)
			defer s.Close()
			rng := rand.New(rand.NewPCG(1, 2))
			key, value := make([]byte, 8), make([]byte, tt.valueSz)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var peak uint64
			for i := range tt.n {
				binary.BigEndian.PutUint64(key, rng.Uint64())
				if err := s.Add(key, value); err != nil {
					t.Fatal(err)
				}
				if i%max(tt.n/40, 1) == 0 {
					runtime.GC()
					runtime.ReadMemStats(&after)
					peak = max(peak, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
				}
			}
			it, err := s.Sort()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; it.Next(); n++ {
				if n%max(tt.n/10, 1) == 0 {
					runtime.GC()
					runtime.ReadMemStats(&after)
					peak = max(peak, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
				}
			}
			if n != tt.n || it.Err() != nil {
				t.Fatalf("read %d of %d records: %v", n, tt.n, it.Err())
			}
			if err := it.Close(); err != nil {
				t.Fatal(err)
			}
			if limit := uint64(mem + mem/4); peak > limit {
				t.Errorf("held %d bytes, bound is %d", peak, mem)
			}
			// All that was ever allocated: what is outgrown is garbage once, not once a run.
			if total := after.TotalAlloc - before.TotalAlloc; total > 3*mem {
				t.Errorf("allocated %d bytes altogether", total)
			}
		})
	}
}

// fullDisk is a file on a disk that has room for some bytes.
type fullDisk struct {
	file
	left   *int
	closed *int
}

func (f fullDisk) Write(b []byte) (int, error) {
	if len(b) > *f.left {
		return 0, &os.PathError{Op: "write", Path: "somewhere", Err: syscall.ENOSPC}
	}
	*f.left -= len(b)
	return f.file.Write(b)
}

func (f fullDisk) Close() error { *f.closed++; return f.file.Close() }

func TestDiskFull(t *testing.T) {
	in := randomRecords(rand.New(rand.NewPCG(3, 3)), 20_000, 0, 100)
	for _, room := range []int{0, 10_000, 300_000, 1_300_000, 1_900_000} {
		dir := t.TempDir()
		left, opened, closed := room, 0, 0
		s := New(dir, minMemory)
		s.open = func(dir string) (file, error) {
			f, err := openTemp(dir)
			opened++
			return fullDisk{f, &left, &closed}, err
		}
		var err error
		for _, r := range in {
			if err = s.Add(r.key, r.value); err != nil {
				break
			}
		}
		if err == nil {
			_, err = s.Sort()
		}
		if lull.KindOf(err) != lull.Failed || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk is full") ||
			!strings.Contains(lull.HintOf(err), "free some space") {
			t.Errorf("room %d: got %v, hint %q", room, err, lull.HintOf(err))
		}
		if again := s.Add(nil, nil); again == nil {
			t.Error("Add after an error succeeds")
		}
		if err := s.Close(); err != nil || opened == 0 || opened != closed {
			t.Errorf("room %d: opened %d files, closed %d, %v", room, opened, closed, err)
		}
		wantEmpty(t, dir)
	}
}

func TestMissingFolder(t *testing.T) {
	s := New(t.TempDir()+"/gone", minMemory)
	var err error
	for i := 0; i < 10_000 && err == nil; i++ {
		err = s.Add(fmt.Append(nil, 10_000-i), make([]byte, 100))
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// cutFile loses the end of what was written.
type cutFile struct{ file }

func (f cutFile) ReadAt(b []byte, off int64) (int, error) {
	if off >= 100_000 {
		return 0, io.EOF
	}
	return f.file.ReadAt(b, off)
}

func TestDamagedRunIsAnError(t *testing.T) {
	s := New(t.TempDir(), minMemory)
	s.open = func(dir string) (file, error) {
		f, err := openTemp(dir)
		return cutFile{f}, err
	}
	add(t, s, randomRecords(rand.New(rand.NewPCG(1, 1)), 3000, 0, 5000))
	it, err := s.Sort()
	if err == nil {
		for it.Next() {
		}
		err = it.Err()
		it.Close()
	}
	if err == nil {
		t.Error("records were lost without an error")
	}
}

func TestClose(t *testing.T) {
	s := New(t.TempDir(), minMemory)
	add(t, s, randomRecords(rand.New(rand.NewPCG(1, 1)), 5000, 0, 50))
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if s.Add(nil, nil) == nil {
		t.Error("Add after Close succeeds")
	}
	if _, err := s.Sort(); err == nil {
		t.Error("Sort after Close succeeds")
	}
	s = New(t.TempDir(), 0)
	add(t, s, []record{{[]byte("a"), nil}})
	it, err := s.Sort()
	if err != nil {
		t.Fatal(err)
	}
	it.Close()
	if it.Next() || it.Err() == nil {
		t.Error("Next after Close says the end was reached")
	}
}

func FuzzSort(f *testing.F) {
	f.Add([]byte("b\x00a\x00\x00ab\x00a"), uint16(0))
	f.Add(bytes.Repeat([]byte("key\x00value\x00b\x00"), 60), uint16(40))
	f.Fuzz(func(t *testing.T, data []byte, copies uint16) {
		parts := bytes.Split(data[:min(len(data), 1000)], []byte{0})
		var in []record
		for c := range int(copies%64) + 1 {
			for i := 0; i+1 < len(parts); i += 2 {
				in = append(in, record{parts[i], fmt.Appendf(nil, "%d %s", c, parts[i+1])})
			}
		}
		s := New(t.TempDir(), minMemory)
		add(t, s, in)
		wantSorted(t, in, drain(t, s))
	})
}

func benchmark(b *testing.B, mem, n int, ordered bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	keys := make([]byte, 8*n)
	for i := range n {
		k := rng.Uint64()
		if ordered {
			k = uint64(i)
		}
		binary.BigEndian.PutUint64(keys[8*i:], k)
	}
	value := make([]byte, 92)
	b.SetBytes(int64(100 * n))
	b.ReportAllocs()
	for b.Loop() {
		s := New(b.TempDir(), mem)
		for i := range n {
			if err := s.Add(keys[8*i:8*i+8], value); err != nil {
				b.Fatal(err)
			}
		}
		it, err := s.Sort()
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		for it.Next() {
			got++
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkInMemory(b *testing.B) { benchmark(b, 256<<20, 1_000_000, false) }
func BenchmarkSpilled(b *testing.B)  { benchmark(b, 16<<20, 1_000_000, false) }
func BenchmarkOrdered(b *testing.B)  { benchmark(b, 16<<20, 1_000_000, true) }
