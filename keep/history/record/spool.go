package record

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

const (
	openName   = "open.tmp" // the pack that is being written
	packSuffix = ".pack"
	leftPrefix = "left-" // of folders with packs that do not fit into the repository
)

// sealedPack is a whole pack in Dir. tip is what the chain ends with there.
type sealedPack struct {
	tip
	first history.Seq // as its index says
	path  string
	size  int64
}

func packName(ordinal uint64) string { return fmt.Sprintf("%012x", ordinal) + packSuffix }

// ordinalOf reads what packName wrote.
func ordinalOf(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, packSuffix)
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, ok && err == nil && name == packName(n)
}

// storeError is an error of the store, which another try may mend.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// spool is what lies in Dir when a Recorder begins.
type spool struct {
	repo  Repository
	dir   string
	aside string // where what does not fit goes
	end   tip    // the store's
	floor history.Seq

	state  state
	queue  []sealedPack
	there  map[uint64]bool // numbers of the packs that lay in Dir
	hole   string          // what is missing before the queue; "" for nothing
	broken bool            // a pack that the store does not have could not be used
	left   string          // the last folder of packs that were put aside; "" for none
}

// look finds the packs that go into the store. It removes what was not finished and what the
// store has, and puts aside what is damaged or fits nowhere: that is never thrown away.
func (s *spool) look(ctx context.Context) error {
	var err error
	if s.state, err = readState(s.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	if err := s.same(entries); err != nil {
		return err
	}
	s.there = map[uint64]bool{}
	for _, e := range entries { // in the order of their names, which is that of their numbers
		path := filepath.Join(s.dir, e.Name())
		if strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove unfinished file: %w", err)
			}
			continue
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), leftPrefix) {
			s.left = path
		}
		if ordinal, ok := ordinalOf(e.Name()); ok {
			if err := s.add(ctx, path, ordinal); err != nil {
				return err
			}
		}
	}
	return nil
}

// same refuses a folder that belongs to another repository.
func (s *spool) same(entries []os.DirEntry) error {
	id := s.repo.ID()
	if s.state.Repository == "" || s.state.Repository == id {
		return nil
	}
	waiting := 0
	for _, e := range entries {
		if _, ok := ordinalOf(e.Name()); ok {
			waiting++
		}
	}
	return lull.Errorf(lull.Usage,
		"name the earlier repository again so that it gets what waits there; or, to begin anew in this one, move the folder away",
		"%s belongs to the repository %s, not to %s; %d packs wait there", s.dir, s.state.Repository, id, waiting)
}

// add decides about one pack; they come in the order of their numbers.
func (s *spool) add(ctx context.Context, path string, ordinal uint64) error {
	s.there[ordinal] = true
	p, ix, err := readPack(ctx, path)
	if err != nil {
		return err
	}
	if p != nil && ordinal <= s.end.ordinal {
		has, err := s.repo.HasLog(ctx, ordinal, ix)
		if err != nil {
			return &storeError{err}
		}
		if has {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove stored pack: %w", err)
			}
			return nil
		}
	}
	if p == nil || !s.follows(ordinal, ix) {
		s.broken = s.broken || ordinal > s.end.ordinal
		return s.putAside(path)
	}
	p.ordinal = ordinal
	if last := s.last(); last.at.After(p.at) {
		p.at = last.at
	}
	s.queue = append(s.queue, *p)
	return nil
}

// last is what the chain ends with behind the queue.
func (s *spool) last() tip {
	if n := len(s.queue); n > 0 {
		return s.queue[n-1].tip
	}
	return s.end
}

// follows says that a pack goes into the store next: it goes on from the last one, or the store
// has lost what was in between and a hole there is all that is left to tell.
func (s *spool) follows(ordinal uint64, ix *pack.Index) bool {
	last := s.last()
	switch {
	case s.broken || ordinal <= last.ordinal || ix.First <= max(last.seq, s.floor):
		return false
	case ordinal == last.ordinal+1 && ix.First == last.seq+1:
		return last.ordinal == 0 || ix.From == last.pos
	case len(s.queue) > 0:
		return false
	}
	s.hole = fmt.Sprintf("the repository lost what is before pack %012x: it ends with transaction %d of pack %012x",
		ordinal, last.seq, last.ordinal)
	return true
}

// putAside moves a pack into a folder of its own, and with it what Dir says of it.
func (s *spool) putAside(path string) error {
	if err := os.MkdirAll(s.aside, 0o700); err != nil {
		return fmt.Errorf("put pack aside: %w", err)
	}
	for _, from := range []string{filepath.Join(s.dir, stateName), path} {
		err := os.Rename(from, filepath.Join(s.aside, filepath.Base(from)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("put pack aside: %w", err)
		}
	}
	s.left = s.aside
	return errors.Join(fsx.SyncDir(s.aside), fsx.SyncDir(s.dir))
}

// begin is where to go on, and why numbers are left out there; "" when none are. Numbers that
// the store or a snapshot in it had must not be given to other transactions.
func (s *spool) begin() (tip, string) {
	last := s.last()
	seq := max(last.seq, s.floor)
	for i, ref := range s.state.Packs {
		switch {
		case ref.Ordinal <= s.end.ordinal:
			seq = max(seq, ref.Seq)
		case i+1 < len(s.state.Packs) && !s.there[ref.Ordinal] && len(s.queue) == 0:
			// It left Dir for the store, and the one behind it may have, too.
			next := s.state.Packs[i+1]
			seq, last.ordinal = max(seq, next.Seq), max(last.ordinal, next.Ordinal)
		}
	}
	if seq == last.seq {
		return last, ""
	}
	why := fmt.Sprintf("the repository lost the transactions %d to %d", last.seq+1, seq)
	last.seq = seq
	return last, why
}

// readPack reads the index of the file at path; nil when it is no whole pack.
func readPack(ctx context.Context, path string) (*sealedPack, *pack.Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open pack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("open pack: %w", err)
	}
	ix, err := checkPack(ctx, pack.At(f, info.Size()))
	if _, damaged := errors.AsType[*pack.CorruptError](err); damaged {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read pack %s: %w", path, err)
	}
	// Created says when it was sealed, not up to when all is known.
	next := tip{seq: ix.Last, pos: ix.To, server: ix.Server, at: ix.MaxAt}
	return &sealedPack{tip: next, first: ix.First, path: path, size: info.Size()}, ix, nil
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

// writeSkip tells that numbers are left out, as an event with a number of its own: a snapshot
// from before, which may go up to one of those, is no base any more.
func (r *Recorder) writeSkip() error {
	now := r.o.Clock()
	at := r.cur.at
	if at.IsZero() {
		at = now
	}
	r.urgent = true
	return r.lone(history.Event{Kind: history.Lost, Reason: r.skip}, at, r.cur.pos, now)
}
