package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
)

// progress remembers in a file which tables a restore of a database has made. It has a table
// before that has its name: what has a name is either in the file or somebody else's.
type progress struct {
	path    string
	resumed bool // the file was there

	mu     sync.Mutex
	Tables []db.Name `json:"lull_restored"`
}

func openProgress(path string) (*progress, error) {
	p := &progress{path: path}
	if path == "" {
		return p, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	if err := json.Unmarshal(text, p); err != nil || p.Tables == nil {
		return nil, lull.Errorf(lull.Usage, "give another file to resume from, or remove it", "read progress: %s is no file of a restore", path)
	}
	p.resumed = true
	return p, nil
}

func (p *progress) knows(n db.Name) bool { return slices.Contains(p.Tables, n) }

// add writes down a table that is about to get its name.
func (p *progress) add(r *Receipt) error {
	if p.path == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.knows(r.Table) {
		p.Tables = append(p.Tables, r.Table)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("remember progress: %w", err)
	}
	return fsx.WriteFile(p.path, text, 0o600)
}
