package repo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

const (
	// atOnce is how many objects are fetched at the same time.
	atOnce = 8
	// maxReaders and maxMembers bound what is kept in memory of packs.
	maxReaders = 64
	maxMembers = 300_000
)

// summary is an index without its members.
type summary struct {
	pack.Index
	events, definitions bool // there are members of these kinds
	// tables is where the changes of each begin.
	tables map[db.Name]history.Seq
}

// opened is a pack that can be read.
type opened struct {
	*pack.Reader
	src *object
}

// indexes is what is kept in memory of log packs. The oldest goes first. Guarded by Repo.mu.
type indexes struct {
	summaries map[string]*summary
	readers   map[string]*opened
	order     []string // of readers
	full      map[string]*pack.Index
	fullOrder []string
	members   int
}

func (x *indexes) add(name string, o *opened) {
	if x.summaries == nil {
		x.summaries, x.readers, x.full = map[string]*summary{}, map[string]*opened{}, map[string]*pack.Index{}
	}
	ix := *o.Index()
	if x.full[name] == nil {
		x.full[name] = &ix
		x.fullOrder = append(x.fullOrder, name)
		x.members += len(ix.Members)
	}
	if x.readers[name] == nil {
		x.order = append(x.order, name)
	}
	x.readers[name] = o
	x.summaries[name] = summarize(&ix)
	for len(x.order) > maxReaders {
		delete(x.readers, x.order[0])
		x.order = x.order[1:]
	}
	for x.members > maxMembers && len(x.fullOrder) > 1 {
		x.members -= len(x.full[x.fullOrder[0]].Members)
		delete(x.full, x.fullOrder[0])
		x.fullOrder = x.fullOrder[1:]
	}
}

// only forgets the summaries of packs that are not in the chain any more.
func (x *indexes) only(logs []Log) {
	there := make(map[string]bool, len(logs))
	for _, l := range logs {
		there[l.Name] = true
	}
	for name := range x.summaries {
		if !there[name] {
			delete(x.summaries, name)
		}
	}
}

// LogIndex is the index of a log pack, which must not be changed. A pack that is damaged is a
// pack.CorruptError, wrapped; from then on it is no part of the chain.
func (r *Repo) LogIndex(ctx context.Context, l Log) (*pack.Index, error) {
	r.mu.Lock()
	ix := r.indexes.full[l.Name]
	r.mu.Unlock()
	if ix != nil {
		return ix, nil
	}
	o, err := r.openLog(ctx, l)
	if err != nil {
		return nil, err
	}
	return o.Index(), nil
}

// Prefetch reads the indexes of log packs, several at once.
func (r *Repo) Prefetch(ctx context.Context, logs []Log) error {
	_, err := r.summaries(ctx, logs)
	return err
}

func (r *Repo) summary(ctx context.Context, l Log) (*summary, error) {
	r.mu.Lock()
	s := r.indexes.summaries[l.Name]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	o, err := r.openLog(ctx, l)
	if err != nil {
		return nil, err
	}
	return summarize(o.Index()), nil
}

func summarize(ix *pack.Index) *summary {
	s := &summary{Index: *ix, tables: map[db.Name]history.Seq{}}
	s.Members = nil
	for i := range ix.Members {
		m := &ix.Members[i]
		s.events = s.events || m.Kind == pack.Events
		s.definitions = s.definitions || m.Kind == pack.Definitions
		if first, ok := s.tables[m.Table]; m.Kind == pack.Changes && (!ok || m.First < first) {
			s.tables[m.Table] = m.First
		}
	}
	return s
}

func (r *Repo) summaries(ctx context.Context, logs []Log) ([]*summary, error) {
	out := make([]*summary, len(logs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, l := range logs {
		group.Go(func() (err error) {
			out[i], err = r.summary(ctx, l)
			return err
		})
	}
	return out, group.Wait()
}

// openLog opens a pack of the chain.
func (r *Repo) openLog(ctx context.Context, l Log) (*opened, error) {
	r.mu.Lock()
	o := r.indexes.readers[l.Name]
	r.mu.Unlock()
	if o != nil {
		return o, nil
	}
	o, err := r.openPack(ctx, l.Name, l.Size, true)
	if err == nil {
		err = r.belongs(l.Name, o.Index(), pack.Log)
	}
	if err != nil {
		return nil, r.noteDamage(l.Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes.add(l.Name, o)
	return o, nil
}

// belongs holds a pack's index against where it lies.
func (r *Repo) belongs(name string, ix *pack.Index, kind pack.Kind) error {
	bad := func(format string, args ...any) error {
		return &pack.CorruptError{Where: name, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case ix.Kind != kind:
		return bad("it is a pack of kind %q, not %q", ix.Kind, kind)
	case ix.Database != r.header.Database:
		return bad("it is of database %q", ix.Database)
	case kind == pack.Log && (ix.First == 0 || ix.Last+1 < ix.First):
		return bad("it cannot hold the transactions %d to %d", ix.First, ix.Last)
	}
	return nil
}

// openPack opens any pack. With cached its index is kept on disk, if there is a folder for it.
func (r *Repo) openPack(ctx context.Context, name string, size int64, cached bool) (*opened, error) {
	src := &object{store: r.store, name: name, size: size}
	file := ""
	if cached && r.cache != "" {
		file = filepath.Join(r.cache, r.cacheName(name, size))
		if tail, err := os.ReadFile(file); err == nil && int64(len(tail)) <= size {
			src.keep(size-int64(len(tail)), tail)
		}
	}
	tail := &tailSource{object: src}
	in, err := pack.Open(ctx, tail, r.keys.Identities)
	if err != nil && src.held != nil {
		// What is cached may be damaged.
		src.held = nil
		os.Remove(file)
		return r.openPack(ctx, name, size, false)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if file != "" && src.held == nil {
		// A cache that cannot be written only costs time.
		_ = fsx.WriteFile(file, tail.tail.data, 0o600)
	}
	if src.held == nil {
		src.keep(tail.tail.off, tail.tail.data)
	}
	tail.done = true
	return &opened{Reader: in, src: src}, nil
}

func (r *Repo) cacheName(name string, size int64) string {
	return fmt.Sprintf("%s-%s-%d.index", r.header.ID, strings.ReplaceAll(strings.TrimPrefix(name, r.name("")), "/", "-"), size)
}

// PruneCache removes indexes from the folder of Cache whose packs are not there any more.
func (r *Repo) PruneCache(ctx context.Context) error {
	if r.cache == "" {
		return nil
	}
	c, err := r.list(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, l := range slices.Concat(c.logs, c.covered, c.spare) {
		there[r.cacheName(l.Name, l.Size)] = true
	}
	entries, err := os.ReadDir(r.cache)
	if err != nil {
		return fmt.Errorf("read cache: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), r.header.ID+"-") && !there[e.Name()] {
			os.Remove(filepath.Join(r.cache, e.Name()))
		}
	}
	return nil
}

// search is the first of the logs that is so, when all behind it are so, too; len(logs) when none.
func (r *Repo) search(ctx context.Context, logs []Log, so func(*summary) bool) (int, error) {
	low, high := 0, len(logs)
	for low < high {
		mid := int(uint(low+high) >> 1)
		s, err := r.summary(ctx, logs[mid])
		if err != nil {
			return 0, err
		}
		if so(s) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, nil
}

// span is the packs of a chain that have to do with transactions in (after, upto]. The last may
// begin right behind upto: it may tell that something was lost there.
func (r *Repo) span(ctx context.Context, c *chain, after, upto history.Seq) ([]Log, error) {
	from, err := r.search(ctx, c.logs, func(s *summary) bool { return s.Last > after })
	if err != nil {
		return nil, err
	}
	to, err := r.search(ctx, c.logs[from:], func(s *summary) bool { return s.First-1 > upto })
	return c.logs[from : from+to], err
}

// searchTime is the first of the logs that reaches a time, when times only grow. Packs without
// a time go with the next one that has one.
func (r *Repo) searchTime(ctx context.Context, logs []Log, at time.Time) (int, error) {
	low, high := 0, len(logs)
	for low < high {
		mid := int(uint(low+high) >> 1)
		seen, reached := mid, true
		for ; seen < high; seen++ {
			s, err := r.summary(ctx, logs[seen])
			if err != nil {
				return 0, err
			}
			if !s.MaxAt.IsZero() {
				reached = !s.MaxAt.Before(at)
				break
			}
		}
		if reached {
			high = mid
		} else {
			low = seen + 1
		}
	}
	return low, nil
}
