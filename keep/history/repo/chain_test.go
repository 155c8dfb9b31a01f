package repo

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

func TestLink(t *testing.T) {
	f := func(listed, want string) {
		t.Helper()
		var all []Log
		damaged := map[string]string{}
		for word := range strings.FieldsSeq(listed) {
			word, bad := strings.CutSuffix(word, "!")
			var l Log
			if _, err := fmt.Sscanf(word, "%d-%d", &l.FirstOrdinal, &l.LastOrdinal); err != nil {
				t.Fatal(err)
			}
			l.Name = word
			if all = append(all, l); bad {
				damaged[word] = "damaged"
			}
		}
		c := link(all, damaged)
		show := func(logs []Log) string {
			var out []string
			for _, l := range logs {
				out = append(out, l.Name)
			}
			return strings.Join(out, " ")
		}
		got := fmt.Sprintf("%s | %s | %s", show(c.logs), show(c.covered), show(c.spare))
		if got != want {
			t.Errorf("%s: got %s, want %s", listed, got, want)
		}
	}
	f("", " |  | ")
	f("1-1 2-2 3-3", "1-1 2-2 3-3 |  | ")
	f("1-1 1-3 2-2 3-3 4-4", "1-3 4-4 | 1-1 2-2 3-3 | ")
	f("1-1 1-3! 2-2 3-3 4-4", "1-1 2-2 3-3 4-4 | 1-3 | ")
	f("1-3! 4-4", "4-4 |  | 1-3")
	f("1-1 3-3", "1-1 3-3 |  | ")
	f("5-5 7-9 8-8", "5-5 7-9 | 8-8 | ")
	f("1-4 3-6 1-1 2-2 5-5 6-6", "1-4 5-5 6-6 | 3-6 1-1 2-2 | ")
	f("1-16 9-24 17-17 18-18 19-19 20-20 21-21 22-22 23-23 24-24", "1-16 17-17 18-18 19-19 20-20 21-21 22-22 23-23 24-24 | 9-24 | ")
	f("1-16 9-24", "1-16 |  | 9-24")
}

func TestNames(t *testing.T) {
	f := func(schema, table, want string) {
		t.Helper()
		if got := escape(db0(schema, table)); got != want {
			t.Errorf("%s.%s becomes %s, want %s", schema, table, got, want)
		}
	}
	f("shop", "billing", "shop.billing")
	f("my shop", "a.b/c", "my%20shop.a%2Eb%2Fc")
	f("läden", "x", "l%C3%A4den.x")
	long := escape(db0(strings.Repeat("a", 64), strings.Repeat("ä", 64)))
	if len(long) != maxEscaped || !strings.HasPrefix(long, strings.Repeat("a", 64)+".%C3%A4%C3%A4") || long[maxEscaped-17] != '=' {
		t.Errorf("a long name becomes %s", long)
	}
	if a, b := escape(db0("s", strings.Repeat("ä", 64)+"1")), escape(db0("s", strings.Repeat("ä", 64)+"2")); a == b {
		t.Error("two long names become one")
	}
}

func TestOpen(t *testing.T) {
	store := newMemory()
	f := func(database, want string) {
		t.Helper()
		_, err := Open(t.Context(), store, database, pack.Keys{})
		wantLine(t, fmt.Sprintf("%d %v (%s)", lull.KindOf(err), err, lull.HintOf(err)), want)
	}
	f("shop", "2 open repository of shop: there is none in memory (lull serve makes it)")
	f("../x", `2 name a repository "../x": that is no name for one`)
	create(t, store)
	f("shop", "0 <nil>")
	if _, err := Create(t.Context(), store, "shop", nil, day0); lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), "there is a repository already") {
		t.Errorf("it was created again: %v", err)
	}
	again, err := OpenOrCreate(t.Context(), store, "shop", nil, nil, day0)
	if err != nil || again.Header().ID != open(t, store).Header().ID {
		t.Errorf("OpenOrCreate opened another one: %v", err)
	}
	if _, err := OpenOrCreate(t.Context(), store, "blog", nil, nil, day0); err != nil {
		t.Error(err)
	}
	names, err := Databases(t.Context(), store)
	if err != nil || strings.Join(names, " ") != "blog shop" {
		t.Errorf("the databases are %v, %v", names, err)
	}
	header := store.objects["shop/lull.json"].data
	store.objects["shop/lull.json"] = object0{data: bytes.Replace(header, []byte("2026"), []byte("2027"), 1)}
	f("shop", "1 open repository of shop in memory: read lull.json: document is damaged")
	text, err := sealDocument(&Header{Version: 2, ID: "x", Database: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	store.objects["shop/lull.json"] = object0{data: text}
	f("shop", "2 open repository of shop in memory: read lull.json: the format is version 2, this program knows up to 1 (use a newer lull)")
}

func TestPutLogTwice(t *testing.T) {
	r := create(t, newMemory())
	rec := record(t, r)
	data := rec.pack(minutes(1, 2))
	put := func(data []byte) error {
		return r.PutLog(t.Context(), 1, bytes.NewReader(data), int64(len(data)))
	}
	if err := put(data); err != nil {
		t.Fatal(err)
	}
	if err := put(data); err != nil {
		t.Errorf("the same pack again: %v", err)
	}
	other := record(t, create(t, newMemory())).pack(minutes(1, 3))
	if err := put(other); lull.KindOf(err) != lull.Locked || !strings.Contains(err.Error(), "another recorder writes here") {
		t.Errorf("another pack: %v", err)
	}
	other = append(data[:len(data)-1:len(data)-1], 'x')
	if err := put(other); lull.KindOf(err) != lull.Locked {
		t.Errorf("another pack of the same size: %v", err)
	}
}

func TestDamagedPacks(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 4 {
		rec.put(minutes(n*10, n*10+2)...)
	}
	name := "shop/" + logName(3, 3)
	data := store.objects[name].data
	store.objects[name] = object0{data: data[:len(data)/2]}
	r := open(t, store)
	holes, err := r.Holes(t.Context())
	if err != nil || len(holes) != 1 || !strings.Contains(holes[0].Reason, "trailer is damaged") || holes[0].After != 6 || holes[0].Before != 10 {
		t.Errorf("the holes are %v, %v", holes, err)
	}
	// A recorder goes on behind a damaged last pack.
	delete(store.objects, "shop/"+logName(4, 4))
	r = open(t, store)
	end, err := r.End(t.Context())
	if err != nil || end.Ordinal != 3 || end.Seq != 6 || end.Pos.Offset != 604 || !end.At.Equal(minute(12)) {
		t.Errorf("the end is %v, %v", end, err)
	}
	rec = record(t, r)
	rec.put(minutes(20, 22)...)
	rec.put(minutes(30, 32)...)
	r = open(t, store)
	if holes, err := r.Holes(t.Context()); err != nil || len(holes) != 0 {
		t.Errorf("the holes are %v, %v", holes, err)
	}
	if got, err := toldBy(t, r, 0, 12, billing); err != nil || len(got) != 12 {
		t.Errorf("%d changes, %v", len(got), err)
	}
}

func TestIndexesAreCachedOnDisk(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 30 {
		rec.put(minutes(n*10, n*10+2)...)
	}
	dir := t.TempDir()
	opens := func() int {
		t.Helper()
		r, err := Open(t.Context(), store, "shop", pack.Keys{}, Cache(dir))
		if err != nil {
			t.Fatal(err)
		}
		store.opens = 0
		if _, err := r.Holes(t.Context()); err != nil {
			t.Fatal(err)
		}
		return store.opens
	}
	if n := opens(); n != 30 {
		t.Errorf("%d reads at first, want 30", n)
	}
	if n := opens(); n != 0 {
		t.Errorf("%d reads from the cache, want none", n)
	}
	delete(store.objects, "shop/"+logName(1, 1))
	r, err := Open(t.Context(), store, "shop", pack.Keys{}, Cache(dir))
	if err == nil {
		err = r.PruneCache(t.Context())
	}
	if err != nil || len(filesIn(t, dir)) != 29 {
		t.Errorf("%d files are left, %v", len(filesIn(t, dir)), err)
	}
	for _, f := range filesIn(t, dir) {
		overwrite(t, f, []byte("damaged"))
	}
	if n := opens(); n != 29 {
		t.Errorf("%d reads where the cache is damaged, want 29", n)
	}
}

func TestMergedAwayWhileItIsRead(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 40 {
		rec.put(minutes(n*10, n*10+9)...)
	}
	reader := open(t, store)
	if _, err := reader.Holes(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := toldBy(t, open(t, store), 0, 400, billing)
	if err != nil {
		t.Fatal(err)
	}
	reader = open(t, store)
	var vanished atomic.Bool // packs are opened several at a time
	store.before = func(op, name string) error {
		if op == "open" && name == "shop/"+logName(20, 20) && vanished.CompareAndSwap(false, true) {
			merge(t, store)
			for _, l := range mustCovered(t, store) {
				delete(store.objects, l.Name)
			}
		}
		return nil
	}
	got, err := toldBy(t, reader, 0, 400, billing)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, before...)
	if !vanished.Load() {
		t.Error("nothing vanished")
	}
}

var _ blob.Store = (*memory)(nil)

func TestFloorIsBehindASnapshotWhoseLogIsDamaged(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	rec.put(minutes(1, 9)...)
	rec.put(minutes(11, 19)...)
	snap(t, rec.repo, billing, 16, 17, minute(19), 10)
	floor := func() history.Seq {
		n, err := open(t, store).Floor(t.Context())
		if err != nil {
			t.Error(err)
		}
		return n
	}
	if n := floor(); n != 18 {
		t.Errorf("floor %d of a sound chain", n)
	}
	damage(store, store.names("shop/log/")[1])
	if end, err := open(t, store).End(t.Context()); err != nil || end.Seq != 9 || end.Ordinal != 2 {
		t.Errorf("end %+v, %v", end, err)
	}
	if n := floor(); n != 17 {
		t.Errorf("floor %d behind damage", n)
	}
}

// damage cuts an object short without changing its size.
func damage(store *memory, name string) {
	store.mu.Lock()
	defer store.mu.Unlock()
	o := store.objects[name]
	o.data = append(bytes.Clone(o.data[:len(o.data)-3]), 0, 0, 0)
	store.objects[name] = o
}

func TestHasLog(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 4 {
		rec.put(minutes(n*10, n*10+4)...)
	}
	logs, err := rec.repo.Logs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := func(ordinal uint64, of int, want bool) {
		t.Helper()
		ix, err := rec.repo.LogIndex(t.Context(), logs[of])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, store).HasLog(t.Context(), ordinal, ix); err != nil || got != want {
			t.Errorf("has %v, %v", got, err)
		}
	}
	has(2, 1, true)
	has(2, 2, false)
	has(5, 3, false)
	if _, err := rec.repo.Merge(t.Context(), MergeOptions{Dir: t.TempDir(), Run: 2, Now: day0}); err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		delete(store.objects, l.Name)
	}
	has(2, 1, true)
	has(5, 3, false)
	damage(store, store.names("shop/log/")[0])
	delete(store.objects, store.names("shop/log/")[1])
	has(2, 1, false)
}
