// Package record follows a database's stream of changes and puts it into its repository: it
// numbers the transactions, gathers their rows by table into packs, keeps those on disk until
// the store has them, and goes on where it was after any interruption. It reads no server
// itself (a history.Feed does), takes no snapshots, and judges nothing.
package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Repository is where the log packs go. repo.Repo is one.
type Repository interface {
	// ID tells the repository from all others.
	ID() string
	// End is what the chain of log packs ends with; the zero End is an empty chain's.
	End(ctx context.Context) (repo.End, error)
	// Floor is the highest number of a transaction that anything there speaks of.
	Floor(ctx context.Context) (history.Seq, error)
	// HasLog says that what a pack with a number and this index holds is there.
	HasLog(ctx context.Context, ordinal uint64, ix *pack.Index) (bool, error)
	// PutLog stores the log pack with a number. A number that is taken by other bytes is a
	// lull.Error of kind Locked; taken by the same bytes is success.
	PutLog(ctx context.Context, ordinal uint64, r io.ReadSeeker, size int64) error
}

var _ Repository = (*repo.Repo)(nil)

// ErrPurged is what Open, or the Next of a Feed, wraps when nobody can tell what came after
// the position: the log was purged there, or the server is another one whose history does not
// go on from there. The recorder writes down the hole and begins afresh.
var ErrPurged = errors.New("the server's log no longer has what follows")

// Start is where a Feed has to begin.
type Start struct {
	Pos    db.Position
	Server string // what Open returned when Pos was read; "" when nothing was
	// Known are the definitions of tables at Pos; a table may be missing.
	Known []*history.Definition
	// Fresh says to begin at the server's present position. Pos is of no use then.
	Fresh bool
}

// Options say what to record, and where to. Repo, Open, Dir and Clock are required.
type Options struct {
	Repo Repository
	// Open begins a Feed and names its server in a way that another server's name differs from.
	// After an error of kind lull.Unreachable it is tried again; ErrPurged is explained there.
	Open func(context.Context, Start) (feed history.Feed, server string, err error)
	// Purged says of an error of Open or Next that it is an ErrPurged by another name; nil when
	// there is none.
	Purged   func(error) bool
	Database string
	// Recipients are whom the packs are encrypted to; none leaves them in clear.
	Recipients []age.Recipient
	// Dir is this recorder's own folder, for one repository. Packs that the store has not taken
	// lie there.
	Dir        string
	FlushEvery time.Duration // how long a commit may wait until its pack is sealed; 0 is 5 s
	FlushBytes int64         // stored bytes after which a pack is sealed at the next commit; 0 is 16 MiB
	// SpoolBytes is how much may wait for the store before reading stops; 0 is 1 GiB. One
	// transaction may be larger.
	SpoolBytes int64
	Clock      clock.Clock
	// OnCommit is called for each transaction before it counts as recorded, so that one may come
	// again, under the same number, after an interruption. Touches are valid until it returns.
	// Its error ends Run.
	OnCommit func(context.Context, history.Seq, *db.Tx, []history.Touch) error
	// OnLost is called when only snapshots that begin behind what was just read can restore the
	// tables; none named are all. It is called before that counts as recorded, so that nothing is
	// forgotten when it is on disk when OnLost returns; after an interruption it may be called
	// again for the same. A snapshot that was begun by then, or begins before Reached has said
	// that the recorder is at the server's present position, may be too early: Changed tells. It
	// must not wait for a snapshot, nor call the Recorder's methods.
	OnLost func(tables []db.Name, reason string)
	// OnStatus is called about once a second and when something goes wrong or right again. One
	// call ends before the next begins; it must not call the Recorder's methods.
	OnStatus func(Status)
}

// Recorder records one database. Run does the work; the other methods may be called at any
// time from anywhere.
type Recorder struct {
	o      Options
	create func(path string) (spoolFile, error)

	// What follows belongs to Run's reading goroutine.
	batch    *batch
	cur      tip // the last transaction that was read to its end
	sealed   tip // the last one that is safe on disk
	lastSeal time.Time
	known    known
	from     db.Position     // where the open pack begins
	gap      *gap            // a hole that the next fresh start closes
	hole     string          // the reason of one whose end is still to be noted
	skip     string          // why numbers are left out where the first feed begins; "" when none are
	unplaced bool            // a fresh start whose position is not known yet
	urgent   bool            // the open pack is to be sealed as soon as possible
	begun    bool            // the fresh start's position is known, and not in the trail yet
	loose    []history.Event // Lost, and not known yet whether a transaction follows
	lastNote time.Time
	backoff  backoff

	mu        sync.Mutex
	changed   chan struct{} // closed at each change of what mu guards
	queue     []sealedPack
	stored    tip // the last one in the store
	trail     trail
	readPos   db.Position // how far the trail's server was read; zero when that is not known
	freshFrom uint64      // number of the pack with which the last fresh start began; 0 for none
	flushUpTo history.Seq // somebody waits for it in the store
	waiters   int         // who want to know of each step
	status    Status
	events    map[db.Name]history.Seq // the last of each table; all tables' have no name

	notifying sync.Mutex
}

var _ history.Tail = (*Recorder)(nil)

// tip is an end of the chain.
type tip struct {
	ordinal uint64 // of the last pack; 0 for none
	seq     history.Seq
	pos     db.Position
	server  string
	at      time.Time // commit time, or when nothing was known to have happened
}

// spoolFile is an open file in Dir.
type spoolFile interface {
	io.WriteCloser
	Sync() error
}

const (
	defaultFlush = 5 * time.Second
	defaultPack  = 16 << 20
	defaultSpool = 1 << 30
)

// New makes a Recorder. Nothing happens before Run.
func New(o Options) (*Recorder, error) {
	if o.Repo == nil || o.Open == nil || o.Dir == "" || o.Clock == nil {
		return nil, errors.New("make recorder: Repo, Open, Dir and Clock are required")
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = defaultFlush
	}
	if o.FlushBytes <= 0 {
		o.FlushBytes = defaultPack
	}
	if o.SpoolBytes <= 0 {
		o.SpoolBytes = defaultSpool
	}
	return &Recorder{
		o: o, create: createFile, changed: make(chan struct{}), events: map[db.Name]history.Seq{},
	}, nil
}

func createFile(path string) (spoolFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Run records until ctx ends, whose error it returns then, or until something is wrong that
// time does not mend: Dir or the chain in the store belongs to another recorder (lull.Locked),
// Dir to another repository (lull.Usage), or the feed or OnCommit fails for good. It may be called once.
func (r *Recorder) Run(ctx context.Context) error {
	if err := fsx.SecureDir(r.o.Dir); err != nil {
		return err
	}
	lock, err := fsx.Lock(filepath.Join(r.o.Dir, "lock"), "record "+r.o.Database)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := r.recover(ctx); err != nil {
		return fmt.Errorf("record %s: %w", r.o.Database, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.upload(ctx) })
	g.Go(func() error { return r.read(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("record %s: %w", r.o.Database, err)
	}
	return nil
}

// recover finds out where to go on: behind the packs in Dir, or else behind the store's.
func (r *Recorder) recover(ctx context.Context) error {
	r.lastSeal = r.o.Clock()
	var s *spool
	for {
		var err error
		if s, err = r.look(ctx); err == nil {
			break
		}
		_, store := errors.AsType[*storeError](err)
		if kind := lull.KindOf(err); !store || kind != lull.Unreachable && kind != lull.Failed || ctx.Err() != nil {
			return err
		}
		r.storeFailed(err)
		if err := r.backoff.wait(ctx); err != nil {
			return err
		}
	}
	r.storeWorks()
	r.backoff.reset()
	return r.take(s)
}

// look asks the store and Dir.
func (r *Recorder) look(ctx context.Context) (*spool, error) {
	end, err := r.o.Repo.End(ctx)
	if err != nil {
		return nil, &storeError{err}
	}
	s := &spool{
		repo: r.o.Repo, dir: r.o.Dir, aside: filepath.Join(r.o.Dir, leftPrefix+r.o.Clock().UTC().Format("20060102T150405Z")),
		end: tip{ordinal: end.Ordinal, seq: end.Seq, pos: end.Pos, server: end.Server, at: end.At},
	}
	if s.floor, err = r.o.Repo.Floor(ctx); err != nil {
		return nil, &storeError{err}
	}
	return s, s.look(ctx)
}

// take goes on from what was found.
func (r *Recorder) take(s *spool) error {
	last, skip := s.begin()
	var err error
	if r.known, err = readKnown(r.o.Dir, &s.state, s.last().ordinal); err != nil {
		return err
	}
	if skip != "" {
		r.skip, r.known = skip, nothingKnown()
	}
	if (last.ordinal > 0 || skip != "") && last.pos == (db.Position{}) {
		r.gap = &gap{reason: "no pack in the store says where the stream goes on"}
	}
	if s.hole != "" {
		// The chain tells of it by itself.
		r.notice(s.queue[0].first-1, &history.Event{Kind: history.Lost, Reason: s.hole})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored, r.queue = s.end, s.queue
	r.sealed, r.cur, r.from = last, last, last.pos
	r.describe(func(st *Status) {
		st.Seq, st.Pos, st.Server, st.At, st.Left = last.seq, last.pos, last.server, last.at, s.left
	})
	return nil
}
