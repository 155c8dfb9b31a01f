package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// known are the tables' definitions where the stream was read to, and where it is sealed. In
// Dir lie those of the last two packs, because a crash may take the last one back.
type known struct {
	now, safe map[db.Name]*history.Definition
	changed   bool // now is not safe
	refs      []ref
}

// ref says in which file the definitions behind a pack lie.
type ref struct {
	Ordinal uint64      `json:"ordinal"`
	Seq     history.Seq `json:"seq"` // the last transaction in it, or before it
	File    string      `json:"file"`
}

type state struct {
	Version    int    `json:"lull_recorder"`
	Repository string `json:"repository"` // id of the one that the packs are for
	Packs      []ref  `json:"packs"`      // oldest first; only the last may have no name yet
}

const (
	stateName         = "state.json"
	definitionsSuffix = ".definitions"
)

// readState reads what Dir says of itself; the zero state when it says nothing.
func readState(dir string) (state, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, os.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	var s state
	if json.Unmarshal(text, &s) != nil || s.Version != 1 {
		return state{}, nil // the packs themselves say what they are
	}
	return s, nil
}

func nothingKnown() known {
	return known{now: map[db.Name]*history.Definition{}, safe: map[db.Name]*history.Definition{}}
}

// readKnown reads the definitions behind the pack with a number; it knows none when what lies
// in dir is of others, which only costs questions to the server.
func readKnown(dir string, s *state, ordinal uint64) (known, error) {
	k := nothingKnown()
	i := slices.IndexFunc(s.Packs, func(r ref) bool { return r.Ordinal == ordinal })
	if i < 0 || s.Packs[i].File != filepath.Base(s.Packs[i].File) {
		return k, nil
	}
	payload, err := os.ReadFile(filepath.Join(dir, s.Packs[i].File))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return k, fmt.Errorf("read state: %w", err)
	}
	now := map[db.Name]*history.Definition{}
	each := pack.EachDefinition(payload, func(d *history.Definition) error {
		now[d.Table.Name] = d
		return nil
	})
	if err == nil && each == nil {
		k.now, k.safe, k.refs = now, maps.Clone(now), []ref{s.Packs[i]}
	}
	return k, nil
}

// learn takes the definition of a table's row or event.
func (k *known) learn(d *history.Definition) {
	if have := k.now[d.Table.Name]; have == nil || have.ID != d.ID {
		k.now[d.Table.Name] = d
		k.changed = true
	}
}

// happened follows an event; d is the definition it names.
func (k *known) happened(e *history.Event, d *history.Definition) {
	switch e.Kind {
	case history.Dropped:
		k.forget(e.Table)
	case history.Renamed:
		k.forget(e.Table)
		k.forget(e.To)
	}
	if d != nil {
		k.learn(d)
	}
}

func (k *known) forget(t db.Name) {
	if _, ok := k.now[t]; ok {
		delete(k.now, t)
		k.changed = true
	}
}

// clear forgets everything, at a hole in the stream.
func (k *known) clear() {
	k.changed = k.changed || len(k.now) > 0
	clear(k.now)
}

// list is in the order of the tables' names.
func (k *known) list() []*history.Definition {
	return slices.SortedFunc(maps.Values(k.now), func(a, b *history.Definition) int {
		return cmp.Or(cmp.Compare(a.Table.Schema, b.Table.Schema), cmp.Compare(a.Table.Name.Table, b.Table.Name.Table))
	})
}

// save writes the definitions behind a pack of a repository, which gets its name next.
func (k *known) save(dir, repository string, ordinal uint64, seq history.Seq) error {
	next := ref{Ordinal: ordinal, Seq: seq}
	if k.changed || len(k.refs) == 0 {
		next.File = fmt.Sprintf("%012x", ordinal) + definitionsSuffix
		var payload []byte
		for _, d := range k.list() {
			var err error
			if payload, err = pack.AppendDefinition(payload, d); err != nil {
				return err
			}
		}
		if err := fsx.WriteFile(filepath.Join(dir, next.File), payload, 0o600); err != nil {
			return err
		}
	} else {
		next.File = k.refs[len(k.refs)-1].File
	}
	refs := []ref{next}
	if n := len(k.refs); n > 0 {
		refs = []ref{k.refs[n-1], next}
	}
	text, err := json.Marshal(state{Version: 1, Repository: repository, Packs: refs})
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := fsx.WriteFile(filepath.Join(dir, stateName), text, 0o600); err != nil {
		return err
	}
	k.refs = refs
	return k.sweep(dir)
}

// sweep removes the files that no ref names.
func (k *known) sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	for _, e := range entries {
		used := slices.ContainsFunc(k.refs, func(r ref) bool { return r.File == e.Name() })
		if !used && strings.HasSuffix(e.Name(), definitionsSuffix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove old state: %w", err)
			}
		}
	}
	return nil
}

// sealed says that the pack has its name.
func (k *known) sealed() {
	if k.changed {
		k.safe, k.changed = maps.Clone(k.now), false
	}
}

// revert goes back to the pack with a number, the last that is sealed.
func (k *known) revert(ordinal uint64) {
	k.now, k.changed = maps.Clone(k.safe), false
	k.refs = slices.DeleteFunc(k.refs, func(r ref) bool { return r.Ordinal > ordinal })
}
