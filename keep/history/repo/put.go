package repo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history/pack"
)

// PutLog stores the log pack of an ordinal: size bytes of file. A pack of the same bytes that is
// there already is fine: an earlier try got through, and only its answer was lost. Other bytes
// are a lull.Error of kind Locked: another recorder writes here.
func (r *Repo) PutLog(ctx context.Context, ordinal uint64, file io.ReadSeeker, size int64) error {
	name := r.name(logName(ordinal, ordinal))
	err := r.put(ctx, name, file, size)
	if errors.Is(err, blob.ErrExists) {
		return lull.Errorf(lull.Locked, "stop one of the two, or give each a repository of its own",
			"record into %s: another recorder writes here: %w", r, err)
	}
	return err
}

// put stores an object. ErrExists says that the name is taken by other bytes.
func (r *Repo) put(ctx context.Context, name string, file io.ReadSeeker, size int64) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	err := r.store.Put(ctx, name, file, size)
	if err == nil || !errors.Is(err, blob.ErrExists) {
		return err
	}
	same, why := r.same(ctx, name, file, size)
	if why != nil {
		return fmt.Errorf("compare with %s: %w", name, why)
	}
	if same {
		return nil
	}
	return err
}

// same says that an object has size bytes, those of file.
func (r *Repo) same(ctx context.Context, name string, file io.ReadSeeker, size int64) (bool, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	in, err := r.store.Open(ctx, name, 0, size+1)
	if err != nil {
		return false, err
	}
	defer in.Close()
	there, here := sha256.New(), sha256.New()
	n, err := io.Copy(there, in)
	if err != nil || n != size {
		return false, err
	}
	if _, err := io.CopyN(here, file, size); err != nil {
		return false, err
	}
	return [sha256.Size]byte(there.Sum(nil)) == [sha256.Size]byte(here.Sum(nil)), nil
}

// HasLog says that the store has a sound log pack that stands for an ordinal and holds what the
// pack with the index ix does: the same members, or, where it was merged, its transactions.
func (r *Repo) HasLog(ctx context.Context, ordinal uint64, ix *pack.Index) (bool, error) {
	has := false
	err := r.onChain(ctx, endless, func(c *chain) error {
		for _, l := range slices.Concat(c.logs, c.covered) {
			if ordinal < l.FirstOrdinal || ordinal > l.LastOrdinal {
				continue
			}
			there, err := r.LogIndex(ctx, l)
			if err != nil {
				return err
			}
			if has = holds(there, ix, l.FirstOrdinal < l.LastOrdinal); has {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for log pack %012x of %s: %w", ordinal, r, err)
	}
	return has, nil
}

// holds says that a pack has what another one has.
func holds(there, ix *pack.Index, merged bool) bool {
	if merged {
		return there.First <= ix.First && ix.Last <= there.Last && there.Server == ix.Server
	}
	same := func(a, b pack.Member) bool { return a.Sum == b.Sum && a.Kind == b.Kind && a.Table == b.Table }
	return there.First == ix.First && there.Last == ix.Last && there.From == ix.From && there.To == ix.To &&
		there.Server == ix.Server && slices.EqualFunc(there.Members, ix.Members, same)
}
