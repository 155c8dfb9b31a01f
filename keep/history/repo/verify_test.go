package repo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// whole is a repository with some of everything.
func whole(t testing.TB) *memory {
	t.Helper()
	store := newMemory()
	r := create(t, store)
	rec := record(t, r)
	for n := range 4 {
		rec.put(minutes(n*10+1, n*10+9)...)
	}
	snap(t, r, billing, 5, 9, minute(9), 100)
	err := errors.Join(
		r.PutDrill(t.Context(), map[string]any{"table": "shop.billing", "rows": 100}, "nightly", minute(50)),
		r.PutCatalog(t.Context(), 2, minute(20), []pack.Statement{{Kind: "view", Schema: "shop", Name: "v", SQL: "CREATE VIEW v AS SELECT 1"}}),
		r.condemn(t.Context(), []string{"log/x"}, minute(60)),
	)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestVerifyFindsDamage(t *testing.T) {
	store := whole(t)
	for _, deep := range []bool{false, true} {
		report, err := open(t, store).Verify(t.Context(), VerifyOptions{Deep: deep})
		if err != nil || len(report.Problems) != 0 || report.Objects != len(store.objects) || report.Snapshots != 1 || report.Logs != 4 ||
			report.ChecksumsOnly == deep || len(report.Strange) != 0 {
			t.Fatalf("an intact repository: %+v, %v", report, err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range store.names("") {
		if name == "shop/lull.json" {
			continue // Open finds it
		}
		for range 40 {
			damaged := store.clone()
			data := slices.Clone(damaged.objects[name].data)
			at := rng.IntN(len(data))
			data[at] ^= byte(1 + rng.IntN(255))
			damaged.objects[name] = object0{data: data}
			report, err := open(t, damaged).Verify(t.Context(), VerifyOptions{Deep: rng.IntN(2) == 0})
			if err != nil || !slices.ContainsFunc(report.Problems, func(p Problem) bool { return p.Object == name }) {
				t.Fatalf("byte %d of %d in %s: %v, %v", at, len(data), name, report.Problems, err)
			}
			read(t, open(t, damaged))
		}
		damaged := store.clone()
		data := damaged.objects[name].data
		damaged.objects[name] = object0{data: data[:rng.IntN(len(data))]}
		report, err := open(t, damaged).Verify(t.Context(), VerifyOptions{})
		if err != nil || len(report.Problems) == 0 {
			t.Errorf("%s cut short: %v, %v", name, report.Problems, err)
		}
	}
}

// read asks everything of a repository; answers and errors will do.
func read(t *testing.T, r *Repo) {
	t.Helper()
	_, _ = r.End(t.Context())
	_, _ = r.Cut(t.Context(), history.Bound{Time: minute(15)})
	_, _ = r.Events(t.Context(), 0, endless)
	_, _ = toldBy(t, r, 0, endless, billing)
	_, _, _ = r.Catalog(t.Context(), 20)
	_, _ = r.Drills(t.Context())
	all, err := r.Snapshots(t.Context(), db.Name{})
	if err != nil {
		t.Error(err)
	}
	for i := range all {
		_ = r.Rows(t.Context(), &all[i], func(db.Row) error { return nil })
	}
}

func TestVerifyTells(t *testing.T) {
	f := func(what string, harm func(m *memory), want string) {
		t.Helper()
		store := whole(t)
		harm(store)
		report, err := open(t, store).Verify(t.Context(), VerifyOptions{Deep: true})
		if err != nil {
			t.Fatal(err)
		}
		wantLine(t, fmt.Sprintf("%s: %v %v", what, report.Problems, report.Strange), want)
	}
	f("a pack is gone", func(m *memory) { delete(m.objects, "shop/"+logName(2, 2)) },
		"the log has a hole: what was committed after 2026-03-01 00:09:00 UTC and before 2026-03-01 00:21:00 UTC is missing")
	f("the last packs are gone", func(m *memory) {
		for n := range uint64(4) {
			delete(m.objects, "shop/"+logName(n+1, n+1))
		}
		record(t, open(t, m)).put(minutes(1, 3)...)
	}, "it takes changes up to transaction 9, and the log ends with 3")
	f("a part is gone", func(m *memory) { delete(m.objects, m.names("shop/snap/")[1]) }, "part 0002.pack is missing")
	f("parts change places", func(m *memory) {
		names := m.names("shop/snap/")
		m.objects[names[0]], m.objects[names[1]] = m.objects[names[1]], m.objects[names[0]]
	}, "part 0001.pack has another checksum")
	f("a pack is of another place", func(m *memory) {
		m.objects["shop/"+logName(5, 5)] = m.objects[m.names("shop/snap/")[0]]
	}, `it is a pack of kind "snapshot", not "log"`)
	f("the recorder jumped", func(m *memory) {
		rec := record(t, open(t, m))
		rec.offset += 1000
		rec.put(minutes(50, 51)...)
	}, "it begins at bin.000001:4604, and the pack before ends at bin.000001:3604")
	f("a stranger", func(m *memory) { m.objects["shop/notes.txt"] = object0{data: []byte("hello")} }, "[] [shop/notes.txt]")
}

func TestCopy(t *testing.T) {
	from := whole(t)
	to := newMemory()
	done, err := Copy(t.Context(), from, to, "shop/", nil)
	if err != nil || done.Objects != len(from.objects)-1 {
		t.Fatalf("copied %+v of %d, %v", done, len(from.objects), err)
	}
	want(t, everything(t, open(t, to)), everything(t, open(t, from))...)
	if report, err := open(t, to).Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) != 0 {
		t.Errorf("verified: %v, %v", report, err)
	}
	if done, err = Copy(t.Context(), from, to, "shop/", nil); err != nil || done.Objects != 0 {
		t.Errorf("copied again: %+v, %v", done, err)
	}
	name := "shop/" + logName(2, 2)
	to.objects[name] = object0{data: to.objects[name].data[1:]}
	_, err = Copy(t.Context(), from, to, "shop/", nil)
	wantLine(t, fmt.Sprint(err), name+" has")
}

func TestCopyCutOff(t *testing.T) {
	from := whole(t)
	for n := range len(from.objects) - 1 {
		to := newMemory()
		var count atomic.Int64
		to.before = func(op, _ string) error {
			if op != "put" {
				return nil
			}
			if count.Add(1) > int64(n) {
				return errKilled
			}
			return nil
		}
		if _, err := Copy(t.Context(), from, to, "shop/", nil); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		to.before = nil
		// A mirror that was there before has its header.
		to.objects["shop/lull.json"] = from.objects["shop/lull.json"]
		report, err := open(t, to).Verify(t.Context(), VerifyOptions{Deep: true})
		if err != nil || len(report.Problems) != 0 {
			t.Fatalf("cut off after %d objects: %v, %v", n, report.Problems, err)
		}
		if _, err := Copy(t.Context(), from, to, "shop/", nil); err != nil || len(to.objects) != len(from.objects)-1 {
			t.Fatalf("it cannot go on: %v", err)
		}
	}
}

func TestEvidence(t *testing.T) {
	r := open(t, whole(t))
	if err := r.PutDrill(t.Context(), map[string]any{"rows": 7}, "weekly", minute(70)); err != nil {
		t.Fatal(err)
	}
	drills, err := r.Drills(t.Context())
	if err != nil || len(drills) != 2 || drills[0].Name != "weekly" || !strings.Contains(string(drills[0].JSON), `"rows":7`) || !drills[1].At.Equal(minute(50)) {
		t.Errorf("the drills are %v, %v", drills, err)
	}
	if err := r.PutDrill(t.Context(), 7, "x", minute(70)); err == nil {
		t.Error("a drill that is a number was stored")
	}
	if err := r.PutCatalog(t.Context(), 3, minute(30), []pack.Statement{{Kind: "view", Schema: "shop", Name: "w", SQL: "CREATE VIEW w AS SELECT 1"}}); err != nil {
		t.Fatal(err)
	}
	f := func(seq history.Seq, want string) {
		t.Helper()
		got, _, err := r.Catalog(t.Context(), seq)
		if err != nil || len(got) != 1 || got[0].Name != want {
			t.Errorf("the catalog at %d is %v, %v, want %s", seq, got, err, want)
		}
	}
	f(1, "v")
	f(15, "v")
	f(20, "w")
	f(36, "w")
	f(99, "w")
}
