package act

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lull-ops/lull/internal/fsx"
)

// Batch is a stretch of one section's rows that is written in one transaction.
type Batch struct {
	Section int   `json:"section"`
	From    int64 `json:"from"`
	Rows    int64 `json:"rows"`
}

// Ledger notes which batches have begun and which are done, so that an apply that was killed
// can go on. A batch that began and is not done may or may not have been committed: its rows
// tell.
type Ledger struct {
	mu    sync.Mutex
	f     *os.File
	begun map[Batch]bool
	done  map[Batch]bool
	// Began is when the first run began; Runs counts them.
	Began time.Time
	Runs  int
}

type entry struct {
	What string    `json:"what"` // "run", "begin", "done"
	At   time.Time `json:"at,omitzero"`
	Batch
}

// OpenLedger reads the plan's ledger, or begins it, and notes this run.
func (s *Stored) OpenLedger() (*Ledger, error) {
	path := filepath.Join(s.dir, ledgerFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open ledger of %s: %w", s.ID, err)
	}
	l := &Ledger{f: f, begun: map[Batch]bool{}, done: map[Batch]bool{}}
	in := bufio.NewScanner(f)
	for in.Scan() {
		var e entry
		if json.Unmarshal(in.Bytes(), &e) != nil {
			continue // a line that a crash cut short was never acted on
		}
		l.note(e)
	}
	err = in.Err()
	if err == nil {
		err = l.write(entry{What: "\n"}, entry{What: "run", At: s.now().UTC()})
	}
	if err == nil {
		err = fsx.SyncDir(s.dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *Ledger) note(e entry) {
	switch e.What {
	case "run":
		l.Runs++
		if l.Began.IsZero() {
			l.Began = e.At
		}
	case "begin":
		l.begun[e.Batch] = true
	case "done":
		l.done[e.Batch] = true
	}
}

// write appends entries and syncs; a "\n" entry only ends a line that may be cut short.
func (l *Ledger) write(entries ...entry) error {
	var b []byte
	for _, e := range entries {
		if e.What != "\n" {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			b = append(b, line...)
		}
		b = append(b, '\n')
		l.note(e)
	}
	if _, err := l.f.Write(b); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// Begin notes that a batch is about to be committed.
func (l *Ledger) Begin(b Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(entry{What: "begin", Batch: b})
}

// Finish notes that a batch is committed.
func (l *Ledger) Finish(b Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(entry{What: "done", Batch: b})
}

// IsDone says that the batch is committed.
func (l *Ledger) IsDone(b Batch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done[b]
}

// InDoubt says that the batch began in an earlier run and nobody noted how it ended.
func (l *Ledger) InDoubt(b Batch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun[b] && !l.done[b]
}

// Any says that some batch began.
func (l *Ledger) Any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.begun) > 0
}

// Close closes the file.
func (l *Ledger) Close() error { return l.f.Close() }

// Abandon removes the ledger of an apply that changed nothing.
func (s *Stored) Abandon() error {
	return os.Remove(filepath.Join(s.dir, ledgerFile))
}
