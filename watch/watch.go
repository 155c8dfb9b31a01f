// Package watch holds what watches noticed: findings, and the ledger that keeps them. The
// watches themselves lie in the packages below it; nothing here judges anything.
package watch

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/lull-ops/lull/internal/fsx"
)

// Finding is something a watch noticed. It opens and closes.
type Finding struct {
	ID       string    `json:"id"`   // the same whenever the same thing is noticed
	Kind     string    `json:"kind"` // "accident", "drill", "recording", ...
	System   string    `json:"system"`
	Title    string    `json:"title"` // one line
	Reasons  []string  `json:"reasons,omitempty"`
	Next     string    `json:"next,omitempty"` // the command that helps
	At       time.Time `json:"at"`             // when it happened
	Opened   time.Time `json:"opened"`         // when it was noticed
	Closed   time.Time `json:"closed,omitzero"`
	Evidence string    `json:"evidence,omitempty"` // why it was closed
}

// Ledger keeps findings in an append-only file of JSON lines: each line is a finding as it is
// from then on. What Open and Close have returned from survives a crash.
type Ledger struct {
	path string

	mu sync.Mutex
}

// NewLedger is the ledger in the data folder dir. The file is made when something is found.
func NewLedger(dir string) *Ledger { return &Ledger{path: filepath.Join(dir, "findings.jsonl")} }

// Open records a finding, unless it is open already; fresh says that it was not.
func (l *Ledger) Open(f Finding) (fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, err := l.read()
	if err != nil {
		return false, err
	}
	for i := range known {
		if known[i].ID == f.ID && known[i].Closed.IsZero() {
			return false, nil
		}
		// An accident happens once: noticing it again does not open it again.
		if known[i].ID == f.ID && known[i].At.Equal(f.At) {
			return false, nil
		}
	}
	return true, l.append(f)
}

// Close ends a finding with the evidence for it; one that is not open stays as it is.
func (l *Ledger) Close(id string, at time.Time, evidence string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, err := l.read()
	if err != nil {
		return err
	}
	for i := range known {
		if f := known[i]; f.ID == id && f.Closed.IsZero() {
			f.Closed, f.Evidence = at, evidence
			return l.append(f)
		}
	}
	return nil
}

// All are the findings, the newest first, each as it is now.
func (l *Ledger) All() ([]Finding, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, err := l.read()
	slices.SortStableFunc(known, func(a, b Finding) int { return b.At.Compare(a.At) })
	return known, err
}

// read gives each finding's last line. A last line that was cut off by a crash was never
// acknowledged and does not count.
func (l *Ledger) read() ([]Finding, error) {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	defer file.Close()
	var out []Finding
	at := map[string]int{}
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		var f Finding
		if json.Unmarshal(line, &f) != nil || f.ID == "" {
			continue // half a line that a later one was appended to
		}
		if i, ok := at[f.ID]; ok {
			out[i] = f
			continue
		}
		at[f.ID] = len(out)
		out = append(out, f)
	}
}

func (l *Ledger) append(f Finding) (err error) {
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write finding %s: %w", f.ID, err)
	}
	if err := fsx.SecureDir(filepath.Dir(l.path)); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write finding %s: %w", f.ID, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// A crash may have left half a line: what comes now must begin its own.
	if end, serr := file.Seek(0, io.SeekEnd); serr == nil && end > 0 {
		last := make([]byte, 1)
		if _, rerr := file.ReadAt(last, end-1); rerr == nil && last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write finding %s: %w", f.ID, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write finding %s: %w", f.ID, err)
	}
	return nil
}
