package binlogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// FollowOptions say where a feed begins and what it hands out.
type FollowOptions struct {
	// From is where to go on, as a step of an earlier feed said; zero is the server's position now.
	From db.Position
	// Server is the identity (mysql.Conn.Identity) of the server that From belongs to. On
	// another one the place is found by From's GTID set. "" is the server that is followed.
	Server string
	// Known are the tables' definitions as of From. With a zero From and none of them, the feed
	// begins by reading all of them from the server.
	Known []*history.Definition
	// Want says which tables to follow; nil is all but those of the server itself.
	Want func(db.Name) bool
	// Clock is the time now, for idle steps.
	Clock func() time.Time
}

// Feed is a server's binlogs as they are written: the history.Feed of MySQL and MariaDB. Its
// methods may be called from several goroutines, one at a time goes on.
//
// What a transaction did comes in steps before its CommitStep. When Next returns an error,
// the steps since the last CommitStep are void. Steps of small transactions are held back until
// they are known to be committed; of large ones that are undone after all - the server crashed,
// or a table without transactions was part of them - a Lost follows for the tables.
type Feed struct {
	mu      sync.Mutex
	conn    *mysql.Conn
	opt     FollowOptions
	server  string          // its identity
	ctx     context.Context //nolint:containedctx // a Feed is one call that goes on
	cancel  context.CancelFunc
	call    context.Context //nolint:containedctx // of the call of Next that waits for a step
	unwatch func() bool     // set while the server is waited for: call ends the feed when it ends
	next    func() (*history.Step, bool)
	stop    func()
	err     error // what the feed ended with

	// What follows belongs to the coroutine that runs below next.
	yield   func(*history.Step) bool
	step    history.Step
	pos     db.Position
	gtids   gtidSet
	passed  gtidSet // transactions that the recorder had from another server
	p       *binlog.Parser
	s       *scanner
	q       Query
	tables  catalogue
	rows    map[*binlog.TableMap]*rowReader
	held    held
	xa      map[string]*pending // by xid
	xaBytes int                 // of those that are in memory
	judged  bool                // passed was asked about the open transaction
	skip    bool                // the open transaction is one of them
	touch   []history.Touch
}

var _ history.Feed = (*Feed)(nil)

// errStopped says that nobody wants more steps.
var errStopped = errors.New("the feed was closed")

// Follow opens a feed. Its errors wrap ErrPurged when the server has the log at From no more,
// and ErrLost when it does not have all transactions up to From.
func Follow(ctx context.Context, conn *mysql.Conn, opt FollowOptions) (*Feed, error) {
	f := &Feed{conn: conn, opt: opt, q: Query{Places: true}, rows: map[*binlog.TableMap]*rowReader{}, xa: map[string]*pending{}}
	if f.opt.Want == nil {
		f.opt.Want = ownedByUsers
	}
	f.tables = newCatalogue(conn, f.opt.Known)
	if err := f.locate(ctx); err != nil {
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := f.tables.preload(ctx, f.opt); err != nil {
		f.cancel()
		return nil, err
	}
	f.next, f.stop = iter.Pull(f.run)
	return f, nil
}

func ownedByUsers(n db.Name) bool {
	switch n.Schema {
	case "mysql", "sys", "information_schema", "performance_schema":
		return false
	}
	return true
}

// Known are the definitions of the tables that the feed knows of, as of the last step.
func (f *Feed) Known() []*history.Definition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tables.known()
}

// Server is the identity of the server that the feed's positions belong to.
func (f *Feed) Server() string { return f.server }

// Next waits for the next step. A ctx that ends, ends the feed. The first step is an IdleStep
// that says where the feed begins; it comes when the server has begun to send its log.
func (f *Feed) Next(ctx context.Context) (*history.Step, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if f.err != nil {
		return nil, f.err
	}
	f.call = ctx
	step, ok := f.next()
	if ok {
		return step, nil
	}
	if ctx.Err() != nil {
		f.err = ctx.Err()
	}
	return nil, f.err
}

// waiting lets the call of Next end the feed while fn waits for the server. Otherwise it is not
// watched, because most steps come out of a buffer.
func (f *Feed) waiting(fn func() error) error {
	if f.unwatch != nil {
		return fn()
	}
	f.watch()
	defer f.release()
	return fn()
}

func (f *Feed) watch() { f.unwatch = context.AfterFunc(f.call, f.cancel) }

func (f *Feed) release() {
	f.unwatch()
	f.unwatch = nil
}

// watchedReader is a log that is waited for.
type watchedReader struct {
	f   *Feed
	r   io.Reader
	err error // what reading ended with, but for the log's end
}

func (w *watchedReader) Read(p []byte) (n int, err error) {
	err = w.f.waiting(func() error {
		n, err = w.r.Read(p)
		return err
	})
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// Close ends the feed, also from another goroutine than the one that waits in Next.
func (f *Feed) Close() error {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop()
	f.held.reset()
	for xid := range f.xa {
		f.drop(xid)
	}
	if f.err == nil {
		f.err = errStopped
	}
	return nil
}

func (f *Feed) run(yield func(*history.Step) bool) {
	f.yield = yield
	f.err = f.follow()
}

// hand hands out f.step.
func (f *Feed) hand() error {
	waits := f.unwatch != nil
	if waits {
		f.release() // the call is over
	}
	ok := f.yield(&f.step)
	if waits {
		f.watch() // the next call
	}
	if !ok {
		return errStopped
	}
	return nil
}

// idle hands out where the stream is. It is called from within a read of the stream.
func (f *Feed) idle() error {
	if f.p != nil && !f.p.Open() && f.p.Pos() > f.pos.Offset {
		f.pos.Offset = f.p.Pos()
	}
	f.step = history.Step{Kind: history.IdleStep, Pos: f.pos}
	if f.opt.Clock != nil {
		f.step.At = f.opt.Clock()
	}
	return f.hand()
}

func (f *Feed) follow() error {
	var d *mysql.Dump
	err := f.waiting(func() (err error) {
		d, err = f.conn.Follow(f.ctx, f.server, f.pos.File, f.pos.Offset, f.idle)
		return err
	})
	if err != nil {
		return f.failed(err)
	}
	defer func() { _ = d.Close() }() // nothing is lost with it
	for first := true; ; first = false {
		var file string
		var start int64
		var r io.Reader
		err := f.waiting(func() (err error) {
			file, start, r, err = d.Next()
			return err
		})
		if err == nil && first { // not before: a server that refuses the stream does not work
			err = f.idle()
		}
		if err != nil {
			return f.failed(err)
		}
		if err := f.log(file, start, &watchedReader{f: f, r: r}); err != nil {
			return f.failed(err)
		}
	}
}

func (f *Feed) failed(err error) error {
	switch {
	case errors.Is(err, errStopped):
		return errStopped
	case f.ctx.Err() != nil:
		return f.ctx.Err()
	case errors.Is(err, io.EOF):
		return streamEnded(f.conn)
	}
	return err
}

// log reads one file of the stream.
func (f *Feed) log(file string, start int64, r *watchedReader) error {
	if file != f.pos.File {
		f.pos.File, f.pos.Offset = file, 0
	}
	clear(f.rows) // another parser makes other table maps
	f.p = binlog.NewParser(r, binlog.Options{NoMagic: true, Start: start})
	f.p.Want = func(schema, table string) bool { return f.opt.Want(db.Name{Schema: schema, Table: table}) }
	f.s = &scanner{q: &f.q, file: file, p: f.p, versions: map[*binlog.TableMap]*versions{}}
	f.s.tx.reset()
	for {
		ev, err := f.p.Next()
		switch {
		case err != nil && r.err != nil: // the parser takes a lost connection for a log cut short
			return r.err
		case errors.Is(err, io.EOF):
			return f.torn()
		case err == nil:
			err = f.event(ev)
		}
		if err != nil {
			return fmt.Errorf("follow %s at byte %d: %w", file, f.p.Pos(), err)
		}
	}
}

func (f *Feed) event(ev *binlog.Event) error {
	if f.skipped(ev) {
		return nil
	}
	switch ev.Kind {
	case binlog.Statement, binlog.Touched, binlog.Begin, binlog.Started:
		return f.s.event(ev)
	case binlog.Changed:
		if err := f.s.rows(ev.Rows); err != nil {
			return err
		}
		return f.changed(ev.Rows)
	case binlog.Query:
		return f.query(ev)
	case binlog.Commit, binlog.Prepared, binlog.Rollback:
		return f.commit(ev)
	case binlog.XACommit, binlog.XARollback:
		return f.decided(ev)
	case binlog.Incident:
		return f.lose(db.Name{}, "the server says that changes are missing from its log")
	}
	return nil
}

// skipped leaves out the transactions that the recorder had from another server.
func (f *Feed) skipped(ev *binlog.Event) bool {
	if f.passed.empty() || ev.Kind == binlog.Started || ev.Kind == binlog.Rotate || ev.Kind == binlog.Stop {
		return false
	}
	if !f.judged {
		f.judged, f.skip = true, false
		if tx, err := f.p.Tx(); err == nil && tx.GTID != "" {
			var one gtidSet
			f.skip = one.add(tx.GTID) == nil && one.within(&f.passed)
		}
	}
	skip := f.skip
	if ends(f.p, ev) {
		f.judged = false
		if skip {
			f.s.tx.reset()
			f.pos.Offset = ev.End
		}
	}
	return skip
}
