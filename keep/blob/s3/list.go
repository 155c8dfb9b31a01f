package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/minio/minio-go/v7"
)

// List implements blob.Store, a thousand names at a time.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		l := &listing{store: s, prefix: s.key(prefix), strip: len(s.key("")), yield: yield}
		err := s.retry(ctx, func(int) error { return l.goOn(ctx) })
		if err != nil && !l.stopped {
			yield(blob.Info{}, s.wrap(ctx, "list", prefix, err))
		}
	}
}

type listing struct {
	store   *Store
	prefix  string
	strip   int    // bytes of the store's prefix
	last    string // key
	stopped bool
	yield   func(blob.Info, error) bool
}

// goOn lists what comes after the last key that was handed out.
func (l *listing) goOn(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := minio.ListObjectsOptions{Prefix: l.prefix, Recursive: true, StartAfter: l.last}
	for o := range l.store.core.ListObjectsIter(ctx, l.store.o.Bucket, opts) {
		if o.Err != nil {
			return o.Err
		}
		if l.last != "" && o.Key <= l.last {
			return lull.Errorf(lull.Failed, "use a bucket that lists its objects in order (no directory bucket)",
				"%s lists %q after %q", l.store, o.Key, l.last)
		}
		l.last = o.Key
		if !strings.HasPrefix(o.Key, l.prefix) || blob.CheckName(o.Key[l.strip:]) != nil {
			continue // not ours: a folder's mark, say
		}
		if !l.yield(blob.Info{Name: o.Key[l.strip:], Size: o.Size, Modified: o.LastModified}, nil) {
			l.stopped = true
			return nil
		}
	}
	return ctx.Err()
}
