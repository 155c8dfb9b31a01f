package app

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
)

// Places remembers where findings were seen, so that undo need not read all logs again. It
// is only a shortcut: what it says is checked, and without it all is found the long way.
type Places struct {
	path string
	at   map[string]history.Place
}

// maxPlaces bounds what is remembered; a find that sees more forgets what was before.
const maxPlaces = 20_000

// OpenPlaces reads what earlier runs remembered under data.
func OpenPlaces(data string) *Places {
	p := &Places{path: filepath.Join(data, "findings.json"), at: map[string]history.Place{}}
	if b, err := os.ReadFile(p.path); err == nil && json.Unmarshal(b, &p.at) != nil {
		p.at = map[string]history.Place{}
	}
	return p
}

// Get is where a finding was seen.
func (p *Places) Get(id string) (history.Place, bool) {
	at, ok := p.at[id]
	return at, ok
}

// IDs are the findings that are remembered, in order.
func (p *Places) IDs() []string { return slices.Sorted(maps.Keys(p.at)) }

// Remember notes where the accidents lie.
func (p *Places) Remember(f *Found) error {
	if len(p.at)+len(f.Accidents) > maxPlaces {
		clear(p.at)
	}
	for i := range min(len(f.Accidents), maxPlaces) {
		t := &f.Accidents[i].Touch
		p.at[t.ID()] = history.Place{File: t.Tx.File, Start: t.Tx.Start, End: t.Tx.End}
	}
	if err := fsx.SecureDir(filepath.Dir(p.path)); err != nil {
		return err
	}
	b, err := json.Marshal(p.at)
	if err != nil {
		return err
	}
	return fsx.WriteFile(p.path, b, 0o600)
}
