package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lull-ops/lull/keep/history/pack"
)

const (
	openName   = "open.tmp" // the pack that is being written
	packSuffix = ".pack"
)

// sealedPack is a whole pack in Dir. tip is what the chain ends with there.
type sealedPack struct {
	tip
	path string
	size int64
}

func packName(ordinal uint64) string { return fmt.Sprintf("%012x", ordinal) + packSuffix }

// ordinalOf reads what packName wrote.
func ordinalOf(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, packSuffix)
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, ok && err == nil && name == packName(n)
}

// spooled finds the packs in dir that go on from end, in order, and removes all that is left
// of others: what the store has already, what was not finished, and what is damaged or does
// not go on from what is before it. What is removed and not in the store will be read again.
func spooled(ctx context.Context, dir string, end tip) ([]sealedPack, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	var out []sealedPack
	for _, e := range entries { // in the order of their names, which is that of their numbers
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove unfinished file: %w", err)
			}
			continue
		}
		ordinal, ok := ordinalOf(e.Name())
		if !ok {
			continue
		}
		p, err := readPack(ctx, path, end)
		if err != nil {
			return nil, err
		}
		if p == nil || ordinal != end.ordinal+1 {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove pack: %w", err)
			}
			continue
		}
		out, end = append(out, *p), p.tip
	}
	return out, nil
}

// readPack looks whether the file at path is a whole pack that goes on from end; nil when not.
func readPack(ctx context.Context, path string, end tip) (*sealedPack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open pack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open pack: %w", err)
	}
	ix, err := checkPack(ctx, pack.At(f, info.Size()))
	if _, damaged := errors.AsType[*pack.CorruptError](err); damaged {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pack %s: %w", path, err)
	}
	if ix.First != end.seq+1 || end.ordinal > 0 && ix.From != end.pos {
		return nil, nil
	}
	next := tip{ordinal: end.ordinal + 1, seq: ix.Last, pos: ix.To, server: ix.Server, at: ix.Created}
	return &sealedPack{tip: next, path: path, size: info.Size()}, nil
}

// checkPack reads a pack's index and compares each member with its checksum.
func checkPack(ctx context.Context, src pack.Source) (*pack.Index, error) {
	r, err := pack.Open(ctx, src, nil)
	if err != nil {
		return nil, err
	}
	for i := range r.Index().Members {
		if _, err := r.Stored(ctx, i); err != nil {
			return nil, err
		}
	}
	return r.Index(), nil
}
