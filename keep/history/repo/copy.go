package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
)

// Copied is what Copy did.
type Copied struct {
	Objects int
	Bytes   int64
	Present int // that were there already
}

// Copy copies a repository's objects that to does not have; prefix is "<database>/". Cut off at
// any moment it leaves what can be read as far as it got, and what a later run goes on with:
// parts come before the documents that complete them, the log comes oldest first, and lull.json
// last. What is condemned is copied, but not that it is. An object that to has with another size
// is a lull.Error, and nothing is copied over it. progress may be nil; it gets bytes.
func Copy(ctx context.Context, from, to blob.Store, prefix string, progress func(done, total int64)) (Copied, error) {
	c := &copier{from: from, to: to, prefix: prefix, progress: progress}
	if err := c.plan(ctx); err != nil {
		return c.done, fmt.Errorf("copy %s from %s to %s: %w", prefix, from, to, err)
	}
	for _, stage := range c.stages {
		width := 4
		if len(stage) > 0 && c.stage(stage[0].Name) == stageLog {
			width = 1 // so that there is never a hole
		}
		err := ahead(ctx, len(stage), width, func(ctx context.Context, i int) (struct{}, error) {
			return struct{}{}, c.object(ctx, stage[i])
		}, func(i int, _ struct{}) error {
			c.done.Objects++
			c.done.Bytes += stage[i].Size
			if progress != nil {
				progress(c.done.Bytes, c.total)
			}
			return nil
		})
		if err != nil {
			return c.done, fmt.Errorf("copy %s from %s to %s: %w", prefix, from, to, err)
		}
	}
	return c.done, nil
}

// The order in which objects are copied.
const (
	stageParts = iota
	stageLog
	stageDocuments
	stageHeader
	stages
)

type copier struct {
	from, to blob.Store
	prefix   string
	progress func(done, total int64)
	stages   [stages][]blob.Info
	total    int64
	done     Copied
}

// stage is when an object is copied; -1 for never.
func (c *copier) stage(name string) int {
	rest := strings.TrimPrefix(name, c.prefix)
	switch {
	case rest == headerName:
		return stageHeader
	case strings.HasPrefix(rest, gcDir):
		return -1
	case strings.HasPrefix(rest, logDir):
		return stageLog
	case strings.HasSuffix(rest, "/"+snapshotName):
		return stageDocuments
	}
	return stageParts
}

func (c *copier) plan(ctx context.Context) error {
	have := map[string]int64{}
	for info, err := range c.to.List(ctx, c.prefix) {
		if err != nil {
			return err
		}
		have[info.Name] = info.Size
	}
	// Snapshots first, so that the log that is listed later has all that they need.
	seen := map[string]bool{}
	for _, prefix := range []string{c.prefix + snapDir, c.prefix} {
		for info, err := range c.from.List(ctx, prefix) {
			if err != nil {
				return err
			}
			stage := c.stage(info.Name)
			if seen[info.Name] || stage < 0 || prefix == c.prefix && strings.HasPrefix(info.Name, c.prefix+snapDir) {
				continue
			}
			seen[info.Name] = true
			size, ok := have[info.Name]
			switch {
			case !ok:
				c.stages[stage] = append(c.stages[stage], info)
				c.total += info.Size
			case size != info.Size:
				return differs(info, size)
			default:
				c.done.Present++
			}
		}
	}
	return nil
}

func differs(info blob.Info, size int64) error {
	return lull.Errorf(lull.Failed, "lull backup verify finds out which one is damaged",
		"%s has %d bytes here and %d there", info.Name, info.Size, size)
}

// object copies one object. One that is gone by now was not needed any more.
func (c *copier) object(ctx context.Context, info blob.Info) error {
	in := &seeker{ctx: ctx, store: c.from, name: info.Name, size: info.Size}
	defer in.Close()
	err := c.to.Put(ctx, info.Name, in, info.Size)
	if err == nil || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("copy %s: %w", info.Name, err)
}
