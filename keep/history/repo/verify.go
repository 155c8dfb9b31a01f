package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// VerifyOptions say how much is verified.
type VerifyOptions struct {
	// Deep decrypts and decodes all members, and counts and sums up what is in them. Without it
	// only stored bytes are held against their checksums, and the chain against itself.
	Deep     bool
	Progress func(done, total int64) // bytes; may be nil
}

// Problem is something that is wrong with a repository.
type Problem struct {
	Object string // its name in the store; "" for the chain as a whole
	What   string
	// Tables are those it affects, nil for all; Since and Until the moments, zero when any may be.
	Tables       []db.Name
	Since, Until time.Time
}

// String is the problem on a line.
func (p Problem) String() string {
	s := p.What
	if p.Object != "" {
		s = p.Object + ": " + s
	}
	if !p.Since.IsZero() || !p.Until.IsZero() {
		s += fmt.Sprintf(" (changes from %s to %s)", clockTime(p.Since), clockTime(p.Until))
	}
	return s
}

// Report is what Verify found.
type Report struct {
	Objects, Logs, Snapshots int
	Bytes                    int64
	Problems                 []Problem
	// ChecksumsOnly says that some members were not decoded, because no key was given that
	// reads them, or nobody asked for it.
	ChecksumsOnly bool
	// Strange are objects that do not belong in a repository; nothing reads them.
	Strange []string
}

// Verify reads every object of the repository and holds it against its checksums, and the chain
// against itself. Problems are no error; a store that cannot be read is.
func (r *Repo) Verify(ctx context.Context, opt VerifyOptions) (*Report, error) {
	r.forget()
	v := &verifier{repo: r, opt: &opt, report: &Report{ChecksumsOnly: !opt.Deep}}
	jobs, err := v.jobs(ctx)
	if err == nil {
		err = ahead(ctx, len(jobs), 2, func(ctx context.Context, i int) (*finding, error) {
			f := &finding{}
			return f, jobs[i].run(ctx, f)
		}, func(i int, f *finding) error {
			v.report.Problems = append(v.report.Problems, f.problems...)
			v.report.ChecksumsOnly = v.report.ChecksumsOnly || f.locked
			v.report.Bytes += jobs[i].size
			v.report.Objects += jobs[i].objects
			if opt.Progress != nil {
				opt.Progress(v.report.Bytes, v.total)
			}
			return nil
		})
	}
	if err == nil {
		err = v.chain(ctx)
	}
	if err != nil {
		return v.report, fmt.Errorf("verify %s: %w", r, err)
	}
	return v.report, nil
}

type verifier struct {
	repo   *Repo
	opt    *VerifyOptions
	report *Report
	total  int64
}

// job verifies some objects that belong together.
type job struct {
	size    int64
	objects int
	run     func(ctx context.Context, f *finding) error
}

// finding is what a job found.
type finding struct {
	problems []Problem
	locked   bool
}

// add keeps what is wrong with an object. What is not the object's fault is returned.
func (f *finding) add(object string, err error) error {
	var corrupt *pack.CorruptError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &corrupt):
		f.problems = append(f.problems, Problem{Object: object, What: corrupt.Error()})
		return nil
	case errors.Is(err, blob.ErrNotFound):
		return nil // deleted since it was listed; the chain tells whether it is missed
	}
	return err
}

// jobs lists the objects.
func (v *verifier) jobs(ctx context.Context) ([]job, error) {
	var out []job
	r := v.repo
	for info, err := range r.store.List(ctx, r.name("")) {
		if err != nil {
			return nil, err
		}
		rest := strings.TrimPrefix(info.Name, r.name(""))
		if strings.HasPrefix(rest, snapDir) {
			if _, _, _, file, ok := parseSnapName(rest); !ok || file != snapshotName && !isPartName(file) {
				v.report.Strange = append(v.report.Strange, info.Name)
			}
			continue
		}
		run := v.check(rest, info)
		if run == nil {
			v.report.Strange = append(v.report.Strange, info.Name)
			continue
		}
		out = append(out, job{info.Size, 1, run})
		v.total += info.Size
	}
	folders, err := r.snapFolders(ctx)
	for _, f := range folders {
		j := job{objects: len(f.objects), run: func(ctx context.Context, found *finding) error { return v.snapshot(ctx, f, found) }}
		for _, o := range f.objects {
			j.size += o.Size
		}
		v.total += j.size
		v.report.Snapshots++
		out = append(out, j)
	}
	return out, err
}

// check is how an object that is no snapshot's is verified; nil when its name is none of ours.
func (v *verifier) check(rest string, info blob.Info) func(context.Context, *finding) error {
	document := func(parse func([]byte) error) func(context.Context, *finding) error {
		return func(ctx context.Context, f *finding) error {
			text, err := readAll(ctx, v.repo.store, info.Name, maxDocument)
			if err == nil {
				err = parse(text)
			}
			return f.add(info.Name, err)
		}
	}
	_, _, isLog := parseLogName(rest)
	_, _, isCatalog := parseCatalogName(rest)
	_, isGC := parseGCName(rest)
	_, isDrill := parseDrillName(rest)
	switch {
	case rest == headerName:
		return document(func(b []byte) error { _, err := parseHeader(b); return err })
	case isGC:
		return document(func(b []byte) error { return openDocument(b, &gcDocument{}) })
	case isDrill && strings.HasPrefix(rest, drillDir):
		return document(func(b []byte) error { return openDocument(b, &map[string]any{}) })
	case isLog, isCatalog:
		kind := pack.Log
		if isCatalog {
			kind = pack.Catalog
		} else {
			v.report.Logs++
		}
		return func(ctx context.Context, f *finding) error {
			_, err := v.pack(ctx, info, kind, f, nil)
			return err
		}
	}
	return nil
}

// snapshot verifies the parts of a snapshot and its document.
func (v *verifier) snapshot(ctx context.Context, folder *snapFolderInfo, f *finding) error {
	var s *history.Snapshot
	if folder.complete {
		var err error
		s, err = v.repo.loadSnapshot(ctx, folder.folder)
		if err := f.add(v.repo.name(folder.folder+"/"+snapshotName), err); err != nil {
			return err
		}
	}
	digest := &db.Digest{}
	sums, problems := map[string]string{}, len(f.problems)
	for _, o := range folder.objects {
		file := o.Name[strings.LastIndexByte(o.Name, '/')+1:]
		if !isPartName(file) {
			continue
		}
		sum, err := v.pack(ctx, o, pack.Snapshot, f, digest)
		if err != nil {
			return err
		}
		sums[file] = sum
	}
	if s == nil {
		return nil
	}
	about := func(format string, args ...any) {
		f.problems = append(f.problems, Problem{Object: v.repo.name(folder.folder + "/" + snapshotName), What: fmt.Sprintf(format, args...)})
	}
	for _, p := range s.Parts {
		switch sum, ok := sums[p.Name]; {
		case !ok:
			about("part %s is missing", p.Name)
		case sum != "" && sum != p.Sum:
			about("part %s has another checksum", p.Name)
		}
	}
	if v.opt.Deep && !f.locked && len(f.problems) == problems && len(sums) == len(s.Parts) && (digest.Rows != s.Rows || digest.Sum() != s.Sum) {
		about("its %d rows have the checksum %s, not %d rows of %s", digest.Rows, digest.Sum(), s.Rows, s.Sum)
	}
	for i := problems; i < len(f.problems); i++ {
		f.problems[i].Tables, f.problems[i].Until = []db.Name{s.Table}, s.At
	}
	return nil
}

// chain verifies that log packs join, and that snapshots join them.
func (v *verifier) chain(ctx context.Context) error {
	r, report := v.repo, v.report
	holes, err := r.Holes(ctx)
	if err != nil {
		return err
	}
	for _, h := range holes {
		report.Problems = append(report.Problems, Problem{What: "the log has a hole: " + h.String(), Since: h.Since, Until: h.Until})
	}
	c, err := r.list(ctx)
	if err != nil || len(c.logs) == 0 {
		return err
	}
	ends, err := r.summaries(ctx, c.logs)
	if err != nil {
		return err
	}
	if err := v.places(ctx, c, ends); err != nil {
		return err
	}
	snapshots, err := r.Snapshots(ctx, db.Name{})
	if err != nil {
		return err
	}
	first, last := ends[0].First, ends[len(ends)-1].Last
	for _, s := range snapshots {
		p := Problem{Object: r.name(snapFolder(s.ID, s.Table) + "/" + snapshotName), Tables: []db.Name{s.Table}, Until: s.At}
		switch {
		case s.End > last:
			p.What = fmt.Sprintf("it takes changes up to transaction %d, and the log ends with %d", s.End, last)
		case s.Start < s.End && s.Start+1 < first:
			p.What = fmt.Sprintf("it takes changes from transaction %d on, and the log begins with %d", s.Start+1, first)
		default:
			continue
		}
		report.Problems = append(report.Problems, p)
	}
	return nil
}

// places verifies that each pack begins where the one before ended, or tells what was lost.
func (v *verifier) places(ctx context.Context, c *chain, ends []*summary) error {
	for i := 1; i < len(ends); i++ {
		a, b := ends[i-1], ends[i]
		if a.To == b.From || a.Server != b.Server || b.First != a.Last+1 {
			continue
		}
		events, err := v.repo.eventsOf(ctx, c.logs[i])
		if err != nil {
			f := &finding{}
			if f.add(c.logs[i].Name, err) == nil || isLocked(err) {
				continue // told already, or nothing can be said
			}
			return err
		}
		if !slices.ContainsFunc(events, func(e history.Event) bool { return e.Kind == history.Lost }) {
			v.report.Problems = append(v.report.Problems, Problem{
				Object: c.logs[i].Name, Since: a.MaxAt, Until: b.MinAt,
				What: fmt.Sprintf("it begins at %s, and the pack before ends at %s", showPlace(b.From), showPlace(a.To)),
			})
		}
	}
	return nil
}
