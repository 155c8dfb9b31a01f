package dir

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/lull-ops/lull/keep/blob"
)

// List implements blob.Store. It holds the names of one folder at each level in memory.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		w := &walk{ctx: ctx, store: s, prefix: prefix, yield: yield}
		w.folder("")
	}
}

type walk struct {
	ctx    context.Context
	store  *Store
	prefix string
	yield  func(blob.Info, error) bool
}

// folder hands out what lies below dir, which is empty or ends with a slash, and says whether
// to go on. Sorted with its slash, a folder comes where its objects' full names do.
func (w *walk) folder(dir string) bool {
	entries, err := os.ReadDir(w.store.path(dir))
	if isAbsent(err) {
		return true
	}
	if err != nil {
		w.yield(blob.Info{}, w.store.wrap("list", dir, err))
		return false
	}
	byName := make(map[string]fs.DirEntry, len(entries))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := dir + e.Name()
		if e.IsDir() {
			name += "/"
		}
		if strings.HasPrefix(e.Name(), blob.Reserved) || !strings.HasPrefix(name, w.prefix) && !strings.HasPrefix(w.prefix, name) {
			continue
		}
		byName[name] = e
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !w.entry(name, byName[name]) {
			return false
		}
	}
	return true
}

func (w *walk) entry(name string, e fs.DirEntry) bool {
	if err := w.ctx.Err(); err != nil {
		w.yield(blob.Info{}, err)
		return false
	}
	if e.IsDir() {
		return w.folder(name)
	}
	if !strings.HasPrefix(name, w.prefix) || !e.Type().IsRegular() || blob.CheckName(name) != nil {
		return true
	}
	info, err := e.Info()
	if isAbsent(err) {
		return true // deleted meanwhile
	}
	if err != nil {
		w.yield(blob.Info{}, w.store.wrap("list", name, err))
		return false
	}
	return w.yield(blob.Info{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil)
}
