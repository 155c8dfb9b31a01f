package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

// state is where a snapshot is to go on when it was interrupted: a file in Dir.
type state struct {
	Version    int               `json:"lull_snapshot_state"`
	Table      db.Name           `json:"table"`
	Definition string            `json:"definition"`
	ID         string            `json:"id"`
	Start      history.Seq       `json:"start"`
	Began      time.Time         `json:"began"`
	Parts      []repo.StoredPart `json:"parts"`
	After      []byte            `json:"after,omitempty"` // db.AppendRow of after
	SortKey    []byte            `json:"sort_key,omitempty"`
	Unsorted   bool              `json:"unsorted,omitempty"`

	path  string
	after db.Row // key of the last row that is stored
}

const stateVersion = 1

func statePath(dir string, table db.Name) string {
	sum := sha256.Sum256([]byte(table.Schema + "\x00" + table.Table))
	return filepath.Join(dir, "snapshot-"+hex.EncodeToString(sum[:8])+".json")
}

func newState(dir string, table db.Name, definition, id string, start history.Seq, now time.Time) *state {
	return &state{
		Version: stateVersion, Table: table, Definition: definition, ID: id, Start: start, Began: now,
		path: statePath(dir, table),
	}
}

// readState reads what an earlier run left; a state without an ID when it left nothing of use.
func readState(dir string, table db.Name) (*state, error) {
	path := statePath(dir, table)
	none := &state{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	s := &state{path: path}
	if json.Unmarshal(text, s) != nil || s.Version != stateVersion || s.Table != table {
		return none, nil
	}
	if s.After != nil {
		row, rest, err := db.ParseRow(s.After, nil)
		if err != nil || len(rest) > 0 {
			return none, nil
		}
		s.after = row
	}
	return s, nil
}

// good says that a snapshot can go on from the state.
func (s *state) good(d *history.Definition, now time.Time) bool {
	return s.ID != "" && s.Definition == d.ID && pieceKey(d.Table) != nil && now.Sub(s.Began) < maxAge &&
		(s.after == nil || len(s.after) == len(d.Table.Columns))
}

func (s *state) save() error {
	s.After = nil
	if s.after != nil {
		s.After = db.AppendRow(nil, s.after)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return fsx.WriteFile(s.path, text, 0o600)
}

func (s *state) remove() error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}
