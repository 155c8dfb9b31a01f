package repo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Policy says what has to stay restorable. Ages count from the end of what was recorded, so
// that nothing goes while nothing is recorded.
type Policy struct {
	// Changes is how far back every moment can be restored; 0 is for ever.
	Changes time.Duration
	// Daily is how far back the newest exact snapshot of each table and each day (UTC) is kept.
	Daily time.Duration
	// Keep is how many snapshots of each table are kept, however old they are.
	Keep int
	// Gone is for a process that cannot read events, because they are encrypted: tables that
	// were dropped, or renamed and have a snapshot under their new name, and the transaction
	// from which on nothing needs the old name. Without it such a table holds the log for ever.
	Gone map[db.Name]history.Seq
}

// orphanAge is how old the newest part of a snapshot must be before the snapshot counts as given up.
const orphanAge = 7 * 24 * time.Hour

// Plan is what Retain did.
type Plan struct {
	Condemned []Doomed // from now on; a later run deletes them
	Deleted   []Doomed
	Waiting   int // condemned earlier, not long enough ago
	Refused   int // that the store did not let go; tried again later
	// Begin is the first transaction whose moment can be restored by changes.
	Begin history.Seq
	Held  []string // why the log is kept longer than the policy asks for
	// Blocked says why nothing was condemned or deleted, "" when nothing is wrong.
	Blocked string
}

// Retain condemns the objects that the policy does not need, and deletes those that were
// condemned at least grace ago and still are not needed. It keeps, besides what the policy
// names, all that any of it needs: the snapshots that changes are put on, and all changes since.
func (r *Repo) Retain(ctx context.Context, policy Policy, now time.Time, grace time.Duration) (*Plan, error) {
	plan := &Plan{}
	var excess map[string]Doomed
	r.mu.Lock()
	r.known = nil
	r.mu.Unlock()
	err := r.onChain(ctx, endless, func(c *chain) error {
		*plan = Plan{}
		k := &keeper{repo: r, chain: c, policy: &policy, now: now, plan: plan}
		var err error
		excess, err = k.excess(ctx)
		return err
	})
	if err == nil && plan.Blocked == "" {
		err = r.collect(ctx, excess, now, grace, plan)
	}
	if err != nil {
		return plan, fmt.Errorf("retire old history of %s: %w", r, err)
	}
	return plan, nil
}

// keeper works out what a policy needs.
type keeper struct {
	repo   *Repo
	chain  *chain
	policy *Policy
	now    time.Time
	plan   *Plan

	ends    []*summary
	folders []*snapFolderInfo
	byTable map[db.Name][]*history.Snapshot // sound ones, newest first
	where   map[*history.Snapshot]*snapFolderInfo
	events  []history.Event
	told    bool // events could be read

	aged    int         // packs before the time of Policy.Changes
	horizon history.Seq // the last transaction in them
	floor   history.Seq // changes behind it are needed
	needed  map[*history.Snapshot]bool
	out     map[string]Doomed
}

func (k *keeper) excess(ctx context.Context) (map[string]Doomed, error) {
	k.out, k.needed = map[string]Doomed{}, map[*history.Snapshot]bool{}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	if len(k.ends) == 0 {
		k.plan.Blocked = "there is no log"
		return nil, nil
	}
	k.setHorizon()
	if err := k.setFloor(ctx); err != nil {
		return nil, err
	}
	for i := 1; i < len(k.ends); i++ {
		h := k.repo.hole(k.chain.logs[i-1], k.chain.logs[i], k.ends[i-1], k.ends[i])
		if h != nil && h.Before-1 > k.floor {
			k.plan.Blocked = h.String()
			return nil, nil
		}
	}
	k.doomLogs()
	k.doomSnapshots()
	return k.out, k.doomCatalogs(ctx)
}

func (k *keeper) doom(name string, size int64, reason string) {
	k.out[strings.TrimPrefix(name, k.repo.name(""))] = Doomed{name, size, reason}
}

// load reads the chain's indexes, the snapshots, and the events if the keys allow.
func (k *keeper) load(ctx context.Context) error {
	var err error
	if k.ends, err = k.repo.summaries(ctx, k.chain.logs); err != nil {
		return err
	}
	if k.folders, err = k.repo.snapFolders(ctx); err != nil {
		return err
	}
	k.byTable, k.where = map[db.Name][]*history.Snapshot{}, map[*history.Snapshot]*snapFolderInfo{}
	for _, f := range slices.Backward(k.folders) {
		if !f.complete {
			continue
		}
		s, err := k.repo.readSnapshot(ctx, f.folder)
		if err != nil {
			return err
		}
		if s != nil {
			k.where[s] = f
			if f.sound(s, k.repo) {
				k.byTable[s.Table] = append(k.byTable[s.Table], s)
			}
		}
	}
	k.events, err = k.repo.events(ctx, k.chain, 0, endless)
	k.told = err == nil
	if lull.KindOf(err) == lull.Usage {
		err = nil
	}
	return err
}

// sound says that all parts of a snapshot are there, in their sizes.
func (f *snapFolderInfo) sound(s *history.Snapshot, r *Repo) bool {
	sizes := map[string]int64{}
	for _, o := range f.objects {
		sizes[o.Name] = o.Size
	}
	for _, p := range s.Parts {
		if size, ok := sizes[r.name(f.folder+"/"+p.Name)]; !ok || size != p.Size {
			return false
		}
	}
	return true
}

// end is the time that ages count from.
func (k *keeper) end() time.Time {
	at := time.Time{}
	for _, s := range k.ends {
		at = later(at, s.MaxAt)
	}
	if at.IsZero() || k.now.Before(at) {
		return k.now
	}
	return at
}

func (k *keeper) setHorizon() {
	k.horizon = k.ends[0].First - 1
	if k.policy.Changes <= 0 {
		return
	}
	since := k.end().Add(-k.policy.Changes)
	for i, s := range k.ends {
		if !s.MaxAt.Before(since) {
			break
		}
		if !s.MaxAt.IsZero() {
			k.aged, k.horizon = i+1, s.Last
		}
	}
}

// need keeps a snapshot, and the changes that it takes.
func (k *keeper) need(s *history.Snapshot, changes bool) {
	k.needed[s] = true
	if changes && !k.cutOff(s) {
		k.floor = min(k.floor, s.Start)
	}
}

// cutOff says that the changes right behind a snapshot are gone already: it stands alone.
func (k *keeper) cutOff(s *history.Snapshot) bool { return s.Start < k.ends[0].First-1 }

// lost says that a snapshot is of no use at transaction at, because something happened in
// between that the log does not tell.
func (k *keeper) lost(s *history.Snapshot, at history.Seq) bool {
	return slices.ContainsFunc(k.events, func(e history.Event) bool {
		return e.Kind == history.Lost && (e.Table == db.Name{} || e.Table == s.Table) && e.Seq > s.Start && e.Seq <= at
	})
}

func (k *keeper) setFloor(ctx context.Context) error {
	k.floor = k.horizon
	for _, all := range k.byTable {
		for i, s := range all {
			switch {
			case s.End > k.horizon || k.policy.Changes <= 0:
				k.need(s, true)
			case i < k.policy.Keep:
				// An exact one stands alone.
				k.need(s, s.Start != s.End)
			}
		}
		k.keepDaily(all)
	}
	for _, table := range k.tables() {
		if err := k.keepBase(ctx, table, k.horizon, 0); err != nil {
			return err
		}
	}
	k.plan.Begin = k.horizon
	return nil
}

// keepDaily keeps the newest exact snapshot of each day.
func (k *keeper) keepDaily(all []*history.Snapshot) {
	days := map[string]*history.Snapshot{}
	since := k.end().Add(-k.policy.Daily)
	for _, s := range all {
		day := s.At.UTC().Format(time.DateOnly)
		if s.Start == s.End && s.At.After(since) && (days[day] == nil || days[day].At.Before(s.At)) {
			days[day] = s
		}
	}
	for _, s := range days {
		k.need(s, false)
	}
}

// tables are all names that there may be something of at the horizon.
func (k *keeper) tables() []db.Name {
	set := map[db.Name]bool{}
	for t := range k.byTable {
		set[t] = true
	}
	for i := range k.events {
		e := &k.events[i]
		set[e.Table] = true
		if e.Kind == history.Renamed {
			set[e.To] = true
		}
	}
	if !k.told {
		for t := range k.firstChanges() {
			set[t] = true
		}
	}
	delete(set, db.Name{})
	out := make([]db.Name, 0, len(set))
	for t := range set {
		out = append(out, t)
	}
	return out
}

// firstChanges is where each table's changes begin, in packs up to the horizon.
func (k *keeper) firstChanges() map[db.Name]history.Seq {
	out := map[db.Name]history.Seq{}
	for i := range k.aged {
		for t, first := range k.ends[i].tables {
			if have, ok := out[t]; !ok || first < have {
				out[t] = first
			}
		}
	}
	return out
}

// keepBase keeps what a table's rows at transaction at are worked out from.
func (k *keeper) keepBase(ctx context.Context, table db.Name, at history.Seq, depth int) error {
	if !k.told {
		k.keepBaseBlindly(table, at)
		return nil
	}
	from, origin := k.origin(table, at)
	if origin != nil && origin.Kind == history.Dropped {
		return nil
	}
	found, err := k.keepNewest(ctx, table, from, at)
	if err != nil || found || origin == nil {
		return err
	}
	if origin.Kind == history.Created || depth > len(k.events) {
		k.floor = min(k.floor, origin.Seq-1)
		return nil
	}
	k.floor = min(k.floor, origin.Seq-1)
	return k.keepBase(ctx, origin.Table, origin.Seq-1, depth+1)
}

// origin is the event up to at that says whose rows a name has: Created, Renamed to it, or
// Dropped when there is no such table; nil when there was none.
func (k *keeper) origin(table db.Name, at history.Seq) (history.Seq, *history.Event) {
	for i := len(k.events) - 1; i >= 0; i-- {
		e := &k.events[i]
		if e.Seq > at {
			continue
		}
		switch {
		case e.Kind == history.Renamed && e.To == table, e.Kind == history.Created && e.Table == table:
			return e.Seq, e
		case e.Kind == history.Dropped && e.Table == table, e.Kind == history.Renamed && e.Table == table:
			return e.Seq, &history.Event{Seq: e.Seq, Kind: history.Dropped}
		}
	}
	return 0, nil
}

// keepNewest keeps the newest snapshot of a table that ends in [from, at], and says whether
// there is one that will do: of a table without a key only an exact one.
func (k *keeper) keepNewest(ctx context.Context, table db.Name, from, at history.Seq) (bool, error) {
	for _, s := range k.byTable[table] {
		if s.End > at || s.End < from || k.cutOff(s) || k.lost(s, at) {
			continue
		}
		k.need(s, true)
		if s.Start == s.End {
			return true, nil
		}
		d, err := k.repo.Definition(ctx, s.Definition)
		if err == nil && d.Table.RowKey() != nil {
			return true, nil
		}
		if err != nil && (lull.KindOf(err) == lull.Unreachable || ctx.Err() != nil) {
			return false, err
		}
	}
	return false, nil
}

// keepBaseBlindly is keepBase without events.
func (k *keeper) keepBaseBlindly(table db.Name, at history.Seq) {
	if gone, ok := k.policy.Gone[table]; ok && gone <= at {
		return
	}
	for _, s := range k.byTable[table] {
		if s.End <= at && !k.cutOff(s) {
			k.need(s, true)
			return // one that is not exact is of a table with a key: it will do
		}
	}
	if first, ok := k.firstChanges()[table]; ok {
		k.floor = min(k.floor, first-1)
		k.plan.Held = append(k.plan.Held, fmt.Sprintf("%s has no snapshot from before the time that is kept", table))
	}
}

func (k *keeper) doomLogs() {
	for _, l := range k.chain.covered {
		k.doom(l.Name, l.Size, "merged into a larger pack")
	}
	// The last aged pack stays: it tells that nothing was committed between it and the next.
	for i := range max(0, min(k.aged, len(k.ends)-1)-1) {
		if k.ends[i].Last > k.floor {
			break
		}
		k.doom(k.chain.logs[i].Name, k.chain.logs[i].Size, "older than the changes that are kept")
	}
}

func (k *keeper) doomSnapshots() {
	whole := map[*snapFolderInfo]*history.Snapshot{}
	for s, f := range k.where {
		whole[f] = s
	}
	for _, f := range k.folders {
		reason := ""
		switch s := whole[f]; {
		case s != nil && !k.needed[s] && s.End <= k.horizon && k.policy.Changes > 0:
			reason = "older than the snapshots that are kept"
		case !f.complete && f.newest.Before(k.now.Add(-orphanAge)):
			reason = "part of a snapshot that was given up"
		default:
			continue
		}
		for _, o := range f.objects {
			k.doom(o.Name, o.Size, reason)
		}
	}
}

// doomCatalogs leaves the newest catalog from before the log that is kept, and all later ones.
func (k *keeper) doomCatalogs(ctx context.Context) error {
	begin := uint64(0)
	for i, l := range k.chain.logs {
		if _, gone := k.out[strings.TrimPrefix(l.Name, k.repo.name(""))]; !gone {
			begin = k.chain.logs[i].FirstOrdinal
			break
		}
	}
	since := k.end().Add(-max(k.policy.Daily, k.policy.Changes))
	var before *Doomed
	for info, err := range k.repo.store.List(ctx, k.repo.name(catalogDir)) {
		if err != nil {
			return fmt.Errorf("list catalogs: %w", err)
		}
		ordinal, at, ok := parseCatalogName(strings.TrimPrefix(info.Name, k.repo.name("")))
		if !ok || ordinal >= begin || at.After(since) || k.policy.Changes <= 0 {
			continue
		}
		if before != nil {
			k.doom(before.Name, before.Size, before.Reason)
		}
		before = &Doomed{info.Name, info.Size, "older than the changes that are kept"}
	}
	return nil
}
