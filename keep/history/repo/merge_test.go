package repo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

func db0(schema, table string) db.Name { return db.Name{Schema: schema, Table: table} }

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func overwrite(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func merge(t *testing.T, store *memory) Merged {
	t.Helper()
	done, err := open(t, store).Merge(context.Background(), MergeOptions{Dir: t.TempDir(), Now: minute(1000)})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func mustCovered(t *testing.T, store *memory) []Log {
	t.Helper()
	c, err := open(t, store).list(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c.covered
}

// everything is all that a repository tells, as lines.
func everything(t *testing.T, r *Repo) []string {
	t.Helper()
	out, err := toldBy(t, r, 0, endless, billing, orders)
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.Events(context.Background(), 0, endless)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		out = append(out, string(e.Kind)+" "+e.Table.String())
	}
	_, err = r.Transactions(context.Background(), 0, endless, func(_ history.Seq, tx db.Tx, touches []history.Touch) error {
		out = append(out, tx.GTID)
		for i := range touches {
			out = append(out, touches[i].ID())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func someHistory(rec *recorder, from, to int) {
	for n := from; n <= to; n++ {
		rec.put(
			tx{at: minute(n), changes: []change{ins(billing, n, "v"), upd(billing, n, strings.Repeat("w", n%7)), del(orders, n)}},
			tx{at: minute(n), event: &history.Event{Kind: history.Truncated, Table: billing}},
		)
	}
}

func TestMergeKeepsEverything(t *testing.T) {
	f := func(name string, keys pack.Keys, members int) {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			var public []string
			for _, k := range keys.Identities {
				public = append(public, k.(*age.X25519Identity).Recipient().String())
			}
			if _, err := Create(t.Context(), store, "shop", public, day0); err != nil {
				t.Fatal(err)
			}
			open := func(keys pack.Keys) *Repo {
				r, err := Open(t.Context(), store, "shop", keys)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			someHistory(record(t, open(pack.Keys{})), 1, 40)
			before := everything(t, open(keys))
			merger := open(keys)
			if members > 20 {
				merger = open(pack.Keys{})
			}
			done, err := merger.Merge(t.Context(), MergeOptions{Dir: t.TempDir(), Now: minute(100)})
			if err != nil || done.Packs != 2 || done.From != 32 {
				t.Fatalf("merged %+v, %v", done, err)
			}
			r := open(keys)
			want(t, everything(t, r), before...)
			logs, err := r.Logs(t.Context())
			if err != nil || len(logs) != 10 {
				t.Fatalf("%d packs are left, %v", len(logs), err)
			}
			ix, err := r.LogIndex(t.Context(), logs[0])
			if err != nil || len(ix.Members) != members {
				t.Errorf("a merged pack has %d members, %v, want %d", len(ix.Members), err, members)
			}
			if ix.First != 1 || ix.Last != 32 || ix.From.Offset != 4 || ix.To.Offset != 3204 || !ix.MinAt.Equal(minute(1)) || !ix.MaxAt.Equal(minute(16)) {
				t.Errorf("its index is %+v", ix)
			}
			if report, err := r.Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) != 0 || report.ChecksumsOnly {
				t.Errorf("verified: %+v, %v", report, err)
			}
		})
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keys := pack.Keys{Identities: []age.Identity{id}}
	f("in clear", pack.Keys{}, 6)
	f("encrypted, with the key", keys, 6)
	f("encrypted, without the key", keys, 2+4*16)
}

func TestMergeOfMergedPacks(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	someHistory(rec, 1, 70)
	before := everything(t, open(t, store))
	done, err := open(t, store).Merge(t.Context(), MergeOptions{Dir: t.TempDir(), Run: 4, Now: minute(100)})
	if err != nil {
		t.Fatal(err)
	}
	want(t, everything(t, open(t, store)), before...)
	logs, err := open(t, store).Logs(t.Context())
	if err != nil || len(logs) != 4 || logs[0].LastOrdinal != 64 {
		t.Errorf("merged %+v, the chain is %v, %v", done, logs, err)
	}
	if done, err = open(t, store).Merge(t.Context(), MergeOptions{Dir: t.TempDir(), Run: 4, Now: minute(101)}); err != nil || done.Packs != 0 {
		t.Errorf("merged again: %+v, %v", done, err)
	}
	if got := store.names("shop/gc/"); len(got) != 1 {
		t.Errorf("condemned: %v", got)
	}
}

func TestServersAreNotMergedIntoOne(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	someHistory(rec, 1, 10)
	rec.server = "uuid-2"
	someHistory(rec, 11, 20)
	if done := merge(t, store); done.Packs != 0 {
		t.Errorf("merged %+v", done)
	}
	someHistory(rec, 21, 30)
	if done := merge(t, store); done.Packs != 1 || done.From != 16 {
		t.Errorf("merged %+v", done)
	}
}

var errKilled = errors.New("killed")

// TestKilledAnywhere kills a program that records, merges, takes snapshots and retires before
// each of its writes, and after it.
func TestKilledAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		store := newMemory()
		create(t, store)
		var count atomic.Int64
		kill := func(op, _ string) error {
			if op != "put" && op != "delete" {
				return nil
			}
			if count.Add(1) > int64(n) {
				return errKilled
			}
			return nil
		}
		store.before = kill
		acknowledged, snaps, finished := work(t, open(t, store), 20)
		store.before = nil
		r := open(t, store)
		got, err := toldBy(t, r, 0, endless, billing)
		if err != nil || len(got) < acknowledged {
			t.Fatalf("killed after %d writes: %d changes of %d that were acknowledged, %v", n, len(got), acknowledged, err)
		}
		if all, err := r.Snapshots(t.Context(), billing); err != nil || len(all) < snaps {
			t.Fatalf("killed after %d writes: %d snapshots of %d, %v", n, len(all), snaps, err)
		}
		if report, err := r.Verify(t.Context(), VerifyOptions{Deep: true}); err != nil || len(report.Problems) > 0 {
			t.Fatalf("killed after %d writes: %v, %v", n, report.Problems, err)
		}
		if acknowledged, _, finished := work(t, r, 5); !finished || acknowledged == 0 {
			t.Fatalf("killed after %d writes, it cannot go on", n)
		}
		if finished {
			if n < 50 {
				t.Errorf("only %d writes", n)
			}
			return
		}
	}
}

// work does some of everything until something fails, and says how many changes and snapshots
// were acknowledged.
func work(t *testing.T, r *Repo, txs int) (acknowledged, snaps int, finished bool) {
	t.Helper()
	ctx := context.Background()
	end, err := r.End(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rec := record2(t, r, end)
	base := int(end.Seq)
	for n := base + 1; n <= base+txs; n++ {
		if rec.try(minutes(n, n)...) != nil {
			return acknowledged, snaps, false
		}
		acknowledged++
		if n%6 == 0 {
			if _, err := trySnap(t, r, billing, rec.seq-3, rec.seq, minute(n), 30); err != nil {
				return acknowledged, snaps, false
			}
			snaps++
		}
		if n%9 == 0 {
			if _, err := r.Merge(ctx, MergeOptions{Dir: t.TempDir(), Run: 4, Now: minute(n)}); err != nil {
				return acknowledged, snaps, false
			}
			if _, err := r.Retain(ctx, Policy{}, minute(n), 0); err != nil {
				return acknowledged, snaps, false
			}
		}
	}
	return acknowledged, snaps, true
}

func record2(t *testing.T, r *Repo, end End) *recorder {
	return &recorder{t: t, repo: r, ordinal: end.Ordinal, seq: end.Seq, offset: max(4, end.Pos.Offset), server: "uuid-1"}
}

func TestMergeGoesOnBesideADamagedMember(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 24 {
		rec.put(minutes(n*10, n*10+4)...)
	}
	bad := store.names("shop/log/")[5]
	o := store.objects[bad]
	o.data = bytes.Clone(o.data)
	logs, err := rec.repo.Logs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ix, err := rec.repo.LogIndex(t.Context(), logs[5])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ix.Members {
		if m.Kind == pack.Transactions {
			o.data[m.Offset+m.Size/2] ^= 1
		}
	}
	store.objects[bad] = o
	r := open(t, store)
	opt := MergeOptions{Dir: t.TempDir(), Run: 4, Now: minute(1000)}
	done, err := r.Merge(t.Context(), opt)
	if err != nil || done.Packs != 6 || done.From != 24 || len(done.Skipped) != 1 || done.Skipped[0] != bad {
		t.Errorf("merged %+v, %v", done, err)
	}
	opens := store.opens
	if done, err = r.Merge(t.Context(), opt); err != nil || done.Packs != 0 || len(done.Skipped) != 1 {
		t.Errorf("merged again %+v, %v", done, err)
	}
	if n := store.opens - opens; n > 2 {
		t.Errorf("%d objects were fetched again", n)
	}
	if len(filesIn(t, opt.Dir)) != 0 {
		t.Error("temporary files are left")
	}
	if lines, err := toldBy(t, open(t, store), 0, endless, billing); err != nil || len(lines) != 24*5 {
		t.Errorf("%d changes, %v", len(lines), err)
	}
}

func TestTransactionsOfALargePackAreReadPieceByPiece(t *testing.T) {
	store := newMemory()
	rec := record(t, create(t, store))
	for n := range 8 {
		rec.put(minutes(n*10, n*10+4)...)
	}
	opt := MergeOptions{Dir: t.TempDir(), Run: 4, Now: minute(1000)}
	r, err := Open(t.Context(), store, "shop", pack.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Merge(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	for after := history.Seq(0); after <= 40; after++ {
		next := after
		if _, err := open(t, store).Transactions(t.Context(), after, 37, func(seq history.Seq, _ db.Tx, touches []history.Touch) error {
			if next++; seq != next || len(touches) != 1 {
				t.Errorf("transaction %d with %d touches, want %d", seq, len(touches), next)
			}
			return nil
		}); err != nil || next != max(after, 37) {
			t.Errorf("after %d: up to %d, %v", after, next, err)
		}
	}
	c, err := r.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.indexes.summaries); n > len(c.logs) {
		t.Errorf("%d summaries are kept of %d packs", n, len(c.logs))
	}
}
