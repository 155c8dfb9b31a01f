package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history/pack"
)

// MergeOptions say what is merged.
type MergeOptions struct {
	Dir      string    // for temporary files: up to twice MaxBytes
	Run      int       // how many neighbours make one; 0 is 16
	MaxBytes int64     // of a merged pack, about; 0 is 256 MiB
	Now      time.Time // when merged packs were made, and the others condemned
}

// Merged is what Merge did.
type Merged struct {
	Packs int // that were made
	From  int // that they were made from
	Bytes int64
	// Skipped are the packs that stay as they are because a member of them is damaged; Verify
	// tells more of those.
	Skipped []string
}

// spoiledError says that a pack of a run has a damaged member.
type spoiledError struct {
	name string
	err  error
}

func (e *spoiledError) Error() string { return "read " + e.name + ": " + e.err.Error() }

func (e *spoiledError) Unwrap() error { return e.err }

// spoil makes an error of reading a pack one that only keeps this pack from being merged.
func spoil(name string, err error) error {
	if _, damaged := errors.AsType[*pack.CorruptError](err); damaged {
		return &spoiledError{name, err}
	}
	return err
}

// maxMerged bounds the members of a merged pack, where they cannot be joined.
const maxMerged = 20_000

// Merge makes one log pack of each run of neighbours of about the same width, and condemns those
// that it stands for. Members that can be read are joined; others are copied as they are. A
// pack with a damaged member is left alone, and not looked at again by this Repo. Killed at any
// moment, Merge leaves a chain that is whole.
func (r *Repo) Merge(ctx context.Context, opt MergeOptions) (Merged, error) {
	if opt.Run <= 1 {
		opt.Run = 16
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 256 << 20
	}
	var done Merged
	for {
		var runs [][]Log
		r.mu.Lock()
		r.known = nil
		r.mu.Unlock()
		err := r.onChain(ctx, endless, func(c *chain) (err error) {
			runs, err = r.runs(ctx, c, &opt)
			return err
		})
		again := false
		for _, run := range runs {
			if err != nil {
				break
			}
			var size int64
			size, err = r.mergeRun(ctx, run, &opt)
			if bad, spoiled := errors.AsType[*spoiledError](err); spoiled {
				r.mu.Lock()
				r.spoiled[bad.name] = true
				r.mu.Unlock()
				again, err = true, nil
			}
			if size > 0 {
				again = true
				done.Packs, done.From, done.Bytes = done.Packs+1, done.From+len(run), done.Bytes+size
			}
		}
		if err != nil {
			return done, fmt.Errorf("merge log of %s: %w", r, err)
		}
		if !again {
			break
		}
	}
	c, err := r.list(ctx)
	if err == nil {
		done.Skipped = r.skipped(c)
		err = r.condemnCovered(ctx, c, opt.Now)
	}
	if err != nil {
		return done, fmt.Errorf("merge log of %s: %w", r, err)
	}
	return done, nil
}

// skipped are the packs of the chain that cannot be merged.
func (r *Repo) skipped(c *chain) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, l := range c.logs {
		if r.spoiled[l.Name] {
			out = append(out, l.Name)
		}
	}
	return out
}

// tier is how often a pack was merged, about.
func (o *MergeOptions) tier(l Log) int {
	t := 0
	for width := l.LastOrdinal - l.FirstOrdinal + 1; width >= uint64(o.Run); width /= uint64(o.Run) {
		t++
	}
	return t
}

// runs are the neighbours that are to be merged now.
func (r *Repo) runs(ctx context.Context, c *chain, opt *MergeOptions) ([][]Log, error) {
	// A lone pack between two that joined needs no look at its index.
	var out [][]Log
	for from := 0; from < len(c.logs); {
		to := from + 1
		for to < len(c.logs) && opt.tier(c.logs[to]) == opt.tier(c.logs[from]) && c.logs[to].FirstOrdinal == c.logs[to-1].LastOrdinal+1 {
			to++
		}
		if to-from >= opt.Run {
			more, err := r.split(ctx, c.logs[from:to], opt)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		from = to
	}
	return out, nil
}

// split cuts neighbours into runs of one server and one stream that are not too large.
func (r *Repo) split(ctx context.Context, logs []Log, opt *MergeOptions) ([][]Log, error) {
	var out [][]Log
	from, size, members := 0, int64(0), 0
	for i, l := range logs {
		ix, err := r.LogIndex(ctx, l)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		spoiled := r.spoiled[l.Name]
		r.mu.Unlock()
		if spoiled {
			from, size, members = i+1, 0, 0
			continue
		}
		if i > from {
			before, err := r.summary(ctx, logs[i-1])
			if err != nil {
				return nil, err
			}
			full := size+l.Size > opt.MaxBytes || members+len(ix.Members) > maxMerged
			if full && i-from > 1 {
				out = append(out, logs[from:i])
			}
			if full || before.Server != ix.Server || before.To != ix.From || before.Last+1 != ix.First {
				from, size, members = i, 0, 0
			}
		}
		size, members = size+l.Size, members+len(ix.Members)
		if i-from+1 == opt.Run {
			out = append(out, logs[from:i+1])
			from, size, members = i+1, 0, 0
		}
	}
	return out, nil
}

// mergeRun makes one pack of neighbours; its size is 0 when there was one already.
func (r *Repo) mergeRun(ctx context.Context, run []Log, opt *MergeOptions) (int64, error) {
	m := &merger{repo: r, run: run, opt: opt}
	defer m.clear()
	if err := m.fetch(ctx); err != nil {
		return 0, err
	}
	m.join = m.readable()
	err := m.write(ctx)
	if m.join && lull.KindOf(err) == lull.Usage {
		// The identities are not those of the members.
		m.join = false
		err = m.write(ctx)
	}
	if err != nil {
		return 0, err
	}
	name := r.name(logName(run[0].FirstOrdinal, run[len(run)-1].LastOrdinal))
	err = r.put(ctx, name, m.out, m.pack.Size())
	if errors.Is(err, blob.ErrExists) {
		return 0, nil // killed before, or another one merges
	}
	return m.pack.Size(), err
}

// merger makes one pack of several.
type merger struct {
	repo  *Repo
	run   []Log
	opt   *MergeOptions
	files []*os.File
	packs []*pack.Reader
	out   *os.File
	pack  *pack.Writer
	join  bool
}

func (m *merger) clear() {
	for _, f := range append(m.files, m.out) {
		if f != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}
}

// fetch copies the packs into files.
func (m *merger) fetch(ctx context.Context) error {
	for _, l := range m.run {
		f, err := os.CreateTemp(m.opt.Dir, "lull-merge-*")
		if err != nil {
			return fmt.Errorf("make temporary file: %w", err)
		}
		m.files = append(m.files, f)
		in, err := m.repo.store.Open(ctx, l.Name, 0, -1)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", l.Name, err)
		}
		p, err := pack.Open(ctx, pack.At(f, l.Size), m.repo.keys.Identities)
		if err != nil {
			return fmt.Errorf("open %s: %w", l.Name, spoil(l.Name, err))
		}
		m.packs = append(m.packs, p)
	}
	return nil
}

// readable says that members may be taken apart: nothing that is encrypted becomes clear by it.
func (m *merger) readable() bool {
	sealed := slices.ContainsFunc(m.packs, func(p *pack.Reader) bool { return p.Index().Encrypted })
	return !sealed || len(m.repo.keys.Identities) > 0 && len(m.repo.keys.Recipients) > 0
}

func (m *merger) write(ctx context.Context) error {
	if m.out != nil {
		m.files = append(m.files, m.out)
	}
	var err error
	if m.out, err = os.CreateTemp(m.opt.Dir, "lull-merge-*"); err != nil {
		return fmt.Errorf("make temporary file: %w", err)
	}
	if m.pack, err = pack.NewWriter(m.out, m.repo.keys.Recipients); err != nil {
		return err
	}
	if err := m.definitions(ctx); err != nil {
		return err
	}
	for _, table := range m.tables() {
		of := func(i *pack.Member) bool { return i.Kind == pack.Changes && i.Table == table }
		if err := m.members(ctx, of, &changesJoint{}); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		kind  pack.MemberKind
		joint joint
	}{{pack.Events, &linesJoint{}}, {pack.Transactions, &txJoint{}}} {
		if err := m.members(ctx, func(i *pack.Member) bool { return i.Kind == part.kind }, part.joint); err != nil {
			return err
		}
	}
	_, err = m.pack.Close(m.index())
	return err
}

// tables are those that have changes, in the order in which they first come.
func (m *merger) tables() []db.Name {
	var out []db.Name
	seen := map[db.Name]bool{}
	for _, p := range m.packs {
		for i := range p.Index().Members {
			if x := &p.Index().Members[i]; x.Kind == pack.Changes && !seen[x.Table] {
				seen[x.Table] = true
				out = append(out, x.Table)
			}
		}
	}
	return out
}

// definitions copies those members that have a definition no earlier one had.
func (m *merger) definitions(ctx context.Context) error {
	seen := map[string]bool{}
	for k, p := range m.packs {
		for i := range p.Index().Members {
			x := &p.Index().Members[i]
			if x.Kind != pack.Definitions || !slices.ContainsFunc(x.IDs, func(id string) bool { return !seen[id] }) {
				continue
			}
			for _, id := range x.IDs {
				seen[id] = true
			}
			if err := m.copy(ctx, k, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// copy takes the i-th member of the k-th pack as it is.
func (m *merger) copy(ctx context.Context, k, i int) error {
	p := m.packs[k]
	stored, err := p.Stored(ctx, i)
	if err != nil {
		return spoil(m.run[k].Name, err)
	}
	return m.pack.Copy(p.Index().Members[i], stored)
}

// members writes the members that are meant, joined where that is possible.
func (m *merger) members(ctx context.Context, meant func(*pack.Member) bool, j joint) error {
	var open *pack.Member // what j holds
	flush := func() error {
		if open == nil {
			return nil
		}
		err := m.pack.Add(*open, j.bytes())
		j.reset()
		open = nil
		return err
	}
	for k, p := range m.packs {
		for i := range p.Index().Members {
			x := &p.Index().Members[i]
			if !meant(x) {
				continue
			}
			if !m.join || x.Raw > maxJoint {
				if err := errors.Join(flush(), m.copy(ctx, k, i)); err != nil {
					return err
				}
				continue
			}
			if open != nil && (open.Definition != x.Definition || int64(len(j.bytes()))+x.Raw > maxJoint) {
				if err := flush(); err != nil {
					return err
				}
			}
			payload, err := p.Payload(ctx, i)
			if err == nil {
				err = j.add(x, payload)
			}
			if err != nil {
				return spoil(m.run[k].Name, err)
			}
			open = widen(open, x)
		}
	}
	return flush()
}

// widen makes a member's description stand for another one, too.
func widen(m, with *pack.Member) *pack.Member {
	if m == nil {
		first := *with
		return &first
	}
	m.Count += with.Count
	m.First, m.Last = min(m.First, with.First), max(m.Last, with.Last)
	m.MinAt, m.MaxAt = earlier(m.MinAt, with.MinAt), later(m.MaxAt, with.MaxAt)
	return m
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (m *merger) index() pack.Index {
	first, last := m.packs[0].Index(), m.packs[len(m.packs)-1].Index()
	ix := pack.Index{
		Kind: pack.Log, Database: first.Database, Created: m.opt.Now.UTC(), Server: first.Server,
		First: first.First, Last: last.Last, From: first.From, To: last.To,
	}
	for _, p := range m.packs {
		ix.MinAt, ix.MaxAt = earlier(ix.MinAt, p.Index().MinAt), later(ix.MaxAt, p.Index().MaxAt)
	}
	return ix
}
