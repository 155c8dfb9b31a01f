package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Snapshots implements history.Past. What a snapshot's document says is checked; one that is
// damaged is left out, and Verify tells of it.
func (r *Repo) Snapshots(ctx context.Context, table db.Name) ([]history.Snapshot, error) {
	folders, err := r.snapFolders(ctx)
	if err != nil {
		return nil, err
	}
	want := escape(table)
	var out []history.Snapshot
	var read []*snapFolderInfo
	for _, f := range folders {
		if f.complete && (table == db.Name{} || f.table == want) {
			read = append(read, f)
		}
	}
	err = ahead(ctx, len(read), atOnce, func(ctx context.Context, i int) (*history.Snapshot, error) {
		return r.readSnapshot(ctx, read[i].folder)
	}, func(_ int, s *history.Snapshot) error {
		if s != nil && (table == db.Name{} || s.Table == table) {
			out = append(out, *s)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b history.Snapshot) int { return strings.Compare(b.ID, a.ID) })
	return out, err
}

// snapFolderInfo is what the store lists of a snapshot.
type snapFolderInfo struct {
	folder, id, table string
	complete          bool
	objects           []blob.Info
	newest            time.Time
}

// snapFolders lists the snapshots, complete or not, oldest first.
func (r *Repo) snapFolders(ctx context.Context) ([]*snapFolderInfo, error) {
	var out []*snapFolderInfo
	for info, err := range r.store.List(ctx, r.name(snapDir)) {
		if err != nil {
			return nil, fmt.Errorf("list snapshots of %s: %w", r, err)
		}
		folder, id, table, file, ok := parseSnapName(strings.TrimPrefix(info.Name, r.name("")))
		if !ok {
			continue
		}
		if len(out) == 0 || out[len(out)-1].folder != folder {
			out = append(out, &snapFolderInfo{folder: folder, id: id, table: table})
		}
		f := out[len(out)-1]
		f.objects = append(f.objects, info)
		f.complete = f.complete || file == snapshotName
		if info.Modified.After(f.newest) {
			f.newest = info.Modified
		}
	}
	return out, nil
}

// readSnapshot reads a snapshot's document; nil for one that is damaged or gone.
func (r *Repo) readSnapshot(ctx context.Context, folder string) (*history.Snapshot, error) {
	r.mu.Lock()
	s := r.snapshots[folder]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := r.loadSnapshot(ctx, folder)
	if _, damaged := errors.AsType[*pack.CorruptError](err); damaged || errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snapshots[folder] = s
	return s, nil
}

func (r *Repo) loadSnapshot(ctx context.Context, folder string) (*history.Snapshot, error) {
	name := r.name(folder + "/" + snapshotName)
	text, err := readAll(ctx, r.store, name, maxDocument)
	if err != nil {
		return nil, err
	}
	s, err := parseSnapshot(text)
	if err == nil && snapFolder(s.ID, s.Table) != folder {
		err = &pack.CorruptError{Where: "snapshot", Reason: fmt.Sprintf("it is snapshot %s of %s", s.ID, s.Table)}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return s, nil
}

func parseSnapshot(text []byte) (*history.Snapshot, error) {
	var s history.Snapshot
	if err := openDocument(text, &s); err != nil {
		return nil, err
	}
	bad := func(why string) error { return &pack.CorruptError{Where: "snapshot", Reason: why} }
	switch {
	case !isID(s.ID):
		return nil, bad("its id is none")
	case s.End < s.Start:
		return nil, bad("it ends before it starts")
	case s.Rows < 0:
		return nil, bad("it has a negative number of rows")
	}
	for i, p := range s.Parts {
		if p.Name != partName(i+1) || p.Size < 0 {
			return nil, bad(fmt.Sprintf("part %d cannot be %q of %d bytes", i+1, p.Name, p.Size))
		}
	}
	return &s, nil
}

// openPart opens the k-th part of a snapshot.
func (r *Repo) openPart(ctx context.Context, s *history.Snapshot, k int) (*opened, error) {
	name := r.name(snapFolder(s.ID, s.Table) + "/" + s.Parts[k].Name)
	o, err := r.openPack(ctx, name, s.Parts[k].Size, false)
	if err == nil {
		err = r.belongs(name, o.Index(), pack.Snapshot)
	}
	return o, err
}

// Rows implements history.Past.
func (r *Repo) Rows(ctx context.Context, s *history.Snapshot, fn func(db.Row) error) error {
	var count int64
	err := ahead(ctx, len(s.Parts), 2, func(ctx context.Context, i int) (*opened, error) {
		return r.openPart(ctx, s, i)
	}, func(_ int, o *opened) error {
		return o.rows(ctx, func(row db.Row) error {
			count++
			return fn(row)
		})
	})
	if errors.Is(err, blob.ErrNotFound) {
		err = lull.Errorf(lull.Failed, "try again: a later snapshot may do", "a part of it was deleted: %w", err)
	}
	if err == nil && count != s.Rows {
		err = &pack.CorruptError{Where: "snapshot", Reason: fmt.Sprintf("it has %d rows, not %d", count, s.Rows)}
	}
	if err != nil {
		return fmt.Errorf("read snapshot %s of %s: %w", s.ID, s.Table, err)
	}
	return nil
}

func (o *opened) rows(ctx context.Context, fn func(db.Row) error) error {
	groups := o.groups(func(m *pack.Member) bool { return m.Kind == pack.Rows })
	return ahead(ctx, len(groups), 2, func(ctx context.Context, i int) ([][]byte, error) {
		return o.payloads(ctx, &groups[i])
	}, func(_ int, payloads [][]byte) error {
		for _, payload := range payloads {
			if err := pack.EachRow(payload, fn); err != nil {
				return err
			}
		}
		return nil
	})
}

// definitionOfSnapshot looks for a definition in the snapshots that are of it.
func (r *Repo) definitionOfSnapshot(ctx context.Context, id string) (bool, error) {
	all, err := r.Snapshots(ctx, db.Name{})
	if err != nil {
		return false, err
	}
	for i := range all {
		s := &all[i]
		if s.Definition != id || len(s.Parts) == 0 {
			continue
		}
		o, err := r.openPart(ctx, s, 0)
		if _, damaged := errors.AsType[*pack.CorruptError](err); damaged || errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		for k := range o.Index().Members {
			if m := &o.Index().Members[k]; m.Kind == pack.Definitions && slices.Contains(m.IDs, id) {
				payload, err := o.Payload(ctx, k)
				if err != nil {
					return false, err
				}
				return true, r.learnAll(payload)
			}
		}
	}
	return false, nil
}
