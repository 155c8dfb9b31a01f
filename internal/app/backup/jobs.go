package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
)

const (
	roundEvery   = 5 * time.Second // how often it is looked at which snapshots are due
	upkeepEvery  = time.Minute     // how often the rest is
	catalogEvery = time.Hour
	grace        = day // between condemning an object and deleting it
)

// jobs does what is due, round after round, until ctx ends.
func (k *keeper) jobs(ctx context.Context) error {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	said := ""
	for {
		err := k.round(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			k.say("NO: %s", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round does what is due once. One job that fails does not keep the others from being done.
func (k *keeper) round(ctx context.Context) error {
	if k.recorder.Status().Pos.File == "" {
		return nil // the recorder has not begun
	}
	_, err := k.snapshots(ctx, snapshotOptions{})
	now := k.site.where.Clock()
	if now.Sub(k.lastUpkeep) < upkeepEvery {
		return err
	}
	k.lastUpkeep = now
	errs := []error{err, k.keepCatalog(ctx), k.merge(ctx), k.copies(ctx)}
	if now.Sub(k.lastDay) >= day {
		errs = append(errs, k.prune(ctx))
		k.lastDay = now
	}
	errs = append(errs, k.drills(ctx))
	return errors.Join(errs...)
}

func (k *keeper) merge(ctx context.Context) error {
	merged, err := k.site.Repo.Merge(ctx, repo.MergeOptions{Dir: k.dir(), Now: k.site.where.Clock()})
	if err == nil && merged.From > 0 {
		k.say("%d packs of changes joined", merged.From)
	}
	return err
}

func (k *keeper) copies(ctx context.Context) error {
	var errs []error
	for _, to := range k.site.backup.Copies {
		if _, _, err := k.site.copyTo(ctx, to, nil); err != nil {
			errs = append(errs, fmt.Errorf("copy to %s: %w", to, err))
		}
	}
	return errors.Join(errs...)
}

func (k *keeper) prune(ctx context.Context) error {
	r, err := k.site.Prune(ctx)
	if err == nil && r.Condemned+r.Deleted > 0 {
		k.say("%d objects condemned, %d deleted", r.Condemned, r.Deleted)
	}
	return err
}

// unseenKind marks what is in the database and was not shown.
const unseenKind = "unseen"

// keepCatalog stores views, routines and rights when they have changed.
func (k *keeper) keepCatalog(ctx context.Context) error {
	now := k.site.where.Clock()
	if k.catalog != "" && now.Sub(k.catalogAt) < catalogEvery {
		return nil
	}
	conn, err := k.live(ctx)
	if err != nil {
		return err
	}
	schemas, err := k.site.schemas(ctx, conn)
	if err != nil {
		return err
	}
	found, missing, err := conn.Catalog(ctx, schemas)
	if err != nil {
		return err
	}
	var list []pack.Statement
	for _, s := range found {
		list = append(list, pack.Statement{Kind: s.Kind, Schema: s.Schema, Name: s.Name, SQL: s.SQL})
	}
	for _, name := range missing {
		if !strings.HasPrefix(name, "grants") { // which a restore does not give unasked
			list = append(list, pack.Statement{Kind: unseenKind, Name: name})
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	digest := digestOf(text)
	k.catalogAt = now
	if k.catalog == "" {
		k.catalog = k.catalogKept(ctx)
	}
	if digest == k.catalog {
		return nil
	}
	if len(missing) > 0 {
		k.say("note: not seen, for want of rights: %s", strings.Join(missing, ", "))
	}
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return err
	}
	if err := k.site.Repo.PutCatalog(ctx, end.Ordinal, now, list); err != nil {
		return err
	}
	k.catalog = digest
	return nil
}

// catalogKept is the digest of the catalog that was stored by an earlier run; "" when there is
// none, or when it cannot be read here.
func (k *keeper) catalogKept(ctx context.Context) string {
	end, err := k.site.Repo.End(ctx)
	if err != nil {
		return ""
	}
	list, at, err := k.site.Repo.Catalog(ctx, end.Seq)
	if err != nil || at.IsZero() {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		return ""
	}
	return digestOf(text)
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// schemas are those of the recorded tables.
func (s *Site) schemas(ctx context.Context, conn *mysql.Conn) ([]string, error) {
	tables, err := s.liveTables(ctx, conn)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range tables {
		if !slices.Contains(out, t.Schema) {
			out = append(out, t.Schema)
		}
	}
	return out, nil
}

// Pruned is what retention did.
type Pruned struct {
	Condemned, Bytes, Deleted int64
	Held                      []string // why more is kept than was asked for
}

// Prune condemns what is kept for longer than the configuration says, and deletes what was
// condemned a day ago or earlier.
func (s *Site) Prune(ctx context.Context) (*Pruned, error) {
	if s.backup == nil {
		return nil, lull.Errorf(lull.Usage, "name lull.yaml with --config", "how long to keep what is only in the configuration")
	}
	policy := repo.Policy{Changes: s.backup.Keep.D(), Daily: s.backup.Daily.D(), Keep: 1}
	plan, err := s.Repo.Retain(ctx, policy, s.where.Clock(), grace)
	if err != nil {
		return nil, err
	}
	if plan.Blocked != "" {
		return nil, lull.Errorf(lull.Refused, "lull backup verify "+s.Name, "nothing was removed: %s", plan.Blocked)
	}
	out := &Pruned{Condemned: int64(len(plan.Condemned)), Deleted: int64(len(plan.Deleted)), Held: plan.Held}
	for i := range plan.Condemned {
		out.Bytes += plan.Condemned[i].Size
	}
	return out, nil
}

// Copy brings the configuration's copies up to date.
func (s *Site) Copy(ctx context.Context, progress func(read, total int64)) (objects, bytes int64, err error) {
	if s.backup == nil || len(s.backup.Copies) == 0 {
		return 0, 0, lull.Errorf(lull.Usage, "add copies: [STORE] to backups/"+s.Name, "no copies of %s are asked for", s.Name)
	}
	for _, to := range s.backup.Copies {
		n, size, err := s.copyTo(ctx, to, progress)
		objects, bytes = objects+n, bytes+size
		if err != nil {
			return objects, bytes, err
		}
	}
	return objects, bytes, nil
}

func (s *Site) copyTo(ctx context.Context, name string, progress func(read, total int64)) (objects, bytes int64, err error) {
	to, err := s.conf.openStore(name, s.where.Clock)
	if err != nil {
		return 0, 0, err
	}
	c, err := repo.Copy(ctx, s.store, to, s.Name+"/", progress)
	return int64(c.Objects), c.Bytes, err
}

// Verified is what Verify found.
type Verified struct {
	Objects, Bytes int64
	Decoded        bool
	Problems       []string
}

// Verify reads the whole repository.
func (s *Site) Verify(ctx context.Context, progress func(read, total int64)) (*Verified, error) {
	r, err := s.Repo.Verify(ctx, repo.VerifyOptions{Deep: true, Progress: progress})
	if err != nil {
		return nil, err
	}
	out := &Verified{Objects: int64(r.Objects), Bytes: r.Bytes, Decoded: !r.ChecksumsOnly}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, p.String())
	}
	missing, err := s.missing(ctx)
	out.Problems = append(out.Problems, missing...)
	return out, err
}

// missing is what should be there and is not: objects that are gone leave no trace in what is left.
func (s *Site) missing(ctx context.Context) ([]string, error) {
	end, err := s.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	if st, err := s.status(); s.conf != nil && err == nil && st.Stored > end.Seq {
		out = append(out, fmt.Sprintf("the newest packs of changes are gone: transaction %d was stored, the log ends with %d", st.Stored, end.Seq))
	}
	if !s.canRead() || end.Seq == 0 && end.Ordinal == 0 {
		return out, nil
	}
	tables, err := fold.List(ctx, s.Repo, end.Seq)
	if err != nil {
		return out, err
	}
	for _, t := range tables {
		spans, err := fold.Restorable(ctx, s.Repo, t, end.Seq)
		if err != nil {
			return out, err
		}
		if len(spans) == 0 || spans[len(spans)-1].To < end.Seq {
			out = append(out, fmt.Sprintf("%s cannot be restored as it is now: it has no snapshot that is whole", t))
		}
	}
	return out, nil
}
