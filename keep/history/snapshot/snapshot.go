// Package snapshot reads a table's rows from a running server, or takes them from a fold, and
// puts them into the repository as a snapshot. It takes no locks, goes on where it was
// interrupted, and waits while the server is busy. It knows neither SQL nor how objects are
// stored, and does not decide when a snapshot is due.
package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Source reads from the server. Rows handed to fn are valid until it returns.
type Source interface {
	// Chunk reads at most limit rows in the order of the table's row key, those behind the key
	// columns of after, or the first ones when after is nil; of after no other column is set. n
	// is how many there were: fewer than limit are the last ones.
	Chunk(ctx context.Context, t *db.Table, after db.Row, limit int, fn func(db.Row) error) (n int, err error)
	// Exact reads the whole table as it was at one place in the log, and returns the place.
	Exact(ctx context.Context, t *db.Table, fn func(db.Row) error) (db.Position, error)
	// Position is the end of the server's log now.
	Position(ctx context.Context) (db.Position, error)
	// Definition is the table's now.
	Definition(ctx context.Context, table db.Name) (*history.Definition, error)
}

// Repository is where snapshots go. repo.Repo is one.
type Repository interface {
	NewSnapshot(ctx context.Context, meta history.Snapshot, d *history.Definition, dir string, o repo.SnapshotOptions) (*repo.SnapshotWriter, error)
	PutSnapshot(ctx context.Context, s *history.Snapshot) error
}

var _ Repository = (*repo.Repo)(nil)

// Options say how to take a snapshot. Dir and Clock are required.
type Options struct {
	// Throttle is called before each chunk and waits while the server must not be asked.
	Throttle  func(context.Context) error
	ChunkRows int // rows in a chunk; 0 is 5000
	// Progress is called after each chunk with what was read so far, by earlier runs included.
	Progress func(Progress)
	// Changed says that something happened to a table as a whole behind a transaction: what the
	// recorder knows (record.Recorder.Changed). Without it only the definition is compared.
	Changed func(table db.Name, since history.Seq) bool
	// Dir is the folder for unfinished parts and for where to go on. One snapshot of a table may
	// use it at a time.
	Dir   string
	Clock clock.Clock

	memberBytes int // rows written at once
	partBytes   int64
}

// Progress is how far a snapshot is.
type Progress struct {
	Rows  int64
	Bytes int64 // of rows, before they are compressed; of this run
}

const (
	defaultChunk  = 5000
	defaultMember = 4 << 20
	defaultPart   = 64 << 20
	// tries is how often a snapshot is begun when the table keeps changing its shape.
	tries = 5
	// maxAge is how old what an earlier run left may be: the log since then must be there for
	// as long as the snapshot is.
	maxAge = 24 * time.Hour
	// recheck is how long to wait until Safe may be past what happened to the table.
	recheck = time.Second
)

// errAgain says that what was read is no snapshot, and that another try may make one.
var errAgain = errors.New("the table changed while it was read")

// Take takes a snapshot of a table and returns it when the repository has it. After an error,
// the end of ctx included, another Take with the same Dir goes on where this one was. A table
// that changes its shape again and again is a lull.Error of kind Failed.
func Take(ctx context.Context, src Source, tail history.Tail, r Repository, table db.Name, o Options) (*history.Snapshot, error) {
	o.fill()
	var err error
	for n := range tries {
		if n > 0 {
			if err := pause(ctx, recheck); err != nil {
				return nil, err
			}
		}
		var s *history.Snapshot
		s, err = take(ctx, src, tail, r, table, &o)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, errAgain) {
			break
		}
	}
	if errors.Is(err, errAgain) {
		return nil, lull.Errorf(lull.Failed, "take it when nobody alters the table", "take snapshot of %s: given up after %d tries: %w", table, tries, err)
	}
	return nil, fmt.Errorf("take snapshot of %s: %w", table, err)
}

func (o *Options) fill() {
	if o.ChunkRows <= 0 {
		o.ChunkRows = defaultChunk
	}
	if o.memberBytes <= 0 {
		o.memberBytes = defaultMember
	}
	if o.partBytes <= 0 {
		o.partBytes = defaultPart
	}
}

// try is one attempt at a snapshot.
type try struct {
	src   Source
	tail  history.Tail
	repo  Repository
	o     *Options
	state *state
	d     *history.Definition
	out   *output
}

func take(ctx context.Context, src Source, tail history.Tail, r Repository, table db.Name, o *Options) (*history.Snapshot, error) {
	t := &try{src: src, tail: tail, repo: r, o: o}
	if err := t.prepare(ctx, table); err != nil {
		return nil, err
	}
	s, err := t.read(ctx)
	switch {
	case err == nil:
		return s, t.state.remove()
	case errors.Is(err, blob.ErrExists):
		// An earlier run was killed between an object and its note: its bytes cannot be made again.
		err = errors.Join(errAgain, err)
	}
	if t.out != nil {
		t.out.w.Leave()
	}
	if errors.Is(err, errAgain) {
		// The parts stay until garbage is collected: were the snapshot complete after all, and
		// only the answer lost, then they would be missed.
		err = errors.Join(err, t.state.remove())
	}
	return nil, err
}

// prepare finds out where to begin: where an earlier run was, or at the front.
func (t *try) prepare(ctx context.Context, table db.Name) error {
	pos, err := t.src.Position(ctx)
	if err != nil {
		return err
	}
	// From here on the recorder reads what the server does.
	if _, err := t.tail.Reached(ctx, pos); err != nil {
		return err
	}
	if t.d, err = t.src.Definition(ctx, table); err != nil {
		return err
	}
	if t.state, err = readState(t.o.Dir, table); err != nil {
		return err
	}
	if t.state.good(t.d, t.o.Clock()) && !t.changed(t.state.Start) {
		return nil
	}
	if err := t.state.remove(); err != nil {
		return err
	}
	start := t.tail.Safe()
	for t.changed(start) {
		if err := pause(ctx, recheck); err != nil {
			return err
		}
		start = t.tail.Safe()
	}
	now := t.o.Clock()
	t.state = newState(t.o.Dir, table, t.d.ID, repo.SnapshotID(now), start, now)
	return nil
}

func (t *try) changed(since history.Seq) bool {
	return t.o.Changed != nil && t.o.Changed(t.d.Table.Name, since)
}

// read reads the table and completes the snapshot.
func (t *try) read(ctx context.Context) (*history.Snapshot, error) {
	if pieceKey(t.d.Table) == nil {
		return t.readExact(ctx)
	}
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	if err := t.chunks(ctx); err != nil {
		return nil, err
	}
	pos, err := t.src.Position(ctx)
	if err != nil {
		return nil, err
	}
	end, err := t.reached(ctx, pos)
	if err != nil {
		return nil, err
	}
	return t.out.close(max(end, t.state.Start), t.o.Clock())
}

// begin makes the output and takes over what an earlier run stored.
func (t *try) begin(ctx context.Context) (err error) {
	t.out, err = newOutput(ctx, t.repo, t.d, t.o, t.state)
	return err
}

// reached waits for the recorder, and compares the definition with the one before.
func (t *try) reached(ctx context.Context, pos db.Position) (history.Seq, error) {
	d, err := t.src.Definition(ctx, t.d.Table.Name)
	if err != nil {
		return 0, err
	}
	if d.ID != t.d.ID {
		return 0, errAgain
	}
	end, err := t.tail.Reached(ctx, pos)
	if err != nil {
		if lull.KindOf(err) == lull.Failed && ctx.Err() == nil {
			err = errors.Join(errAgain, err)
		}
		return 0, err
	}
	if t.changed(t.state.Start) {
		return 0, errAgain
	}
	return end, nil
}

// chunks reads the rest of the table by its key.
func (t *try) chunks(ctx context.Context) error {
	after := t.state.after
	for {
		if t.o.Throttle != nil {
			if err := t.o.Throttle(ctx); err != nil {
				return err
			}
		}
		n, err := t.src.Chunk(ctx, t.d.Table, after, t.o.ChunkRows, t.out.add)
		if err != nil {
			return err
		}
		if n > 0 {
			next, err := t.out.last()
			if err != nil {
				return err
			}
			if after != nil && bytes.Equal(db.AppendRow(nil, next), db.AppendRow(nil, after)) {
				return errors.New("read rows behind a key: the key does not move")
			}
			after = next
		}
		t.out.progress()
		if n < t.o.ChunkRows {
			return nil
		}
	}
}

// pieceKey is the key that a table is read in pieces by; nil when it must be read at once. A
// table that refers to itself is: its rows may fall with others of its own while it is read,
// and nothing in the log tells which.
func pieceKey(t *db.Table) []int {
	for i := range t.Parents {
		fk := &t.Parents[i]
		if fk.Parent == t.Name && (takes(fk.OnDelete) || takes(fk.OnUpdate)) {
			return nil
		}
	}
	return t.RowKey()
}

func takes(rule string) bool { return rule == "CASCADE" || rule == "SET NULL" }

// readExact reads a table at once as it was at one place, which is known only at the end.
func (t *try) readExact(ctx context.Context) (*history.Snapshot, error) {
	if t.o.Throttle != nil {
		if err := t.o.Throttle(ctx); err != nil {
			return nil, err
		}
	}
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	pos, err := t.src.Exact(ctx, t.d.Table, t.out.add)
	if err != nil {
		return nil, err
	}
	if err := t.out.flush(); err != nil {
		return nil, err
	}
	if err := t.out.w.Flush(); err != nil {
		return nil, err
	}
	end, err := t.reached(ctx, pos)
	if err != nil {
		return nil, err
	}
	t.out.w.Leave()
	s := t.out.exact(end, t.o.Clock())
	return s, t.repo.PutSnapshot(ctx, s)
}
