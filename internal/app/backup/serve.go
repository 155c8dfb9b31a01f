package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/keep/history/record"
	"github.com/lull-ops/lull/keep/history/repo"
	"github.com/lull-ops/lull/watch"
)

// ServeOptions say how to serve.
type ServeOptions struct {
	Origins []string // that open no finding
	Say     func(at time.Time, text string)
}

// Serve records every database of the configuration until ctx ends.
func Serve(ctx context.Context, w Where, opt ServeOptions) error {
	conf, err := LoadConfig(w.Config, w.Getenv)
	if err != nil {
		return err
	}
	if len(conf.Names()) == 0 {
		_, err := conf.choose("", "")
		return err
	}
	var keepers []*keeper
	for _, name := range conf.Names() {
		one := w
		one.Database = name
		k, err := newKeeper(ctx, one, opt)
		if err != nil {
			return err
		}
		defer k.close()
		keepers = append(keepers, k)
	}
	var all sync.WaitGroup
	ended := make([]error, len(keepers))
	for i, k := range keepers {
		k.say("recording %s into %s", k.site.Name, k.site.store)
		all.Go(func() {
			if ended[i] = k.serve(ctx); ctx.Err() == nil && ended[i] != nil {
				k.say("NO: recording has ended: %s", ended[i])
			}
		})
	}
	all.Wait()
	err = errors.Join(ended...)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil && lull.KindOf(err) != lull.Locked {
		return nil // it was told to stop
	}
	return err
}

// serve records one database and does its jobs. What ends it does not end the others.
func (k *keeper) serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.recorder.Run(ctx) })
	g.Go(func() error { return k.jobs(ctx) })
	return g.Wait()
}

// keeper keeps one database's past.
type keeper struct {
	site     *Site
	recorder *record.Recorder
	alarm    *alarm
	ledger   *watch.Ledger
	tell     func(at time.Time, text string)
	lastLoss string // the reason that was told last; of the recorder's goroutine
	once     bool   // records up to the present and ends

	// What follows belongs to the goroutine that does the jobs.
	lastDay    time.Time // when daily work was done
	lastUpkeep time.Time
	lookAgain  map[db.Name]time.Time // when a table's snapshot may be due
	lastDrill  time.Time
	catalog    string    // digest of the catalog that was stored last
	catalogAt  time.Time // when it was looked at

	mu      sync.Mutex
	lost    map[db.Name]uint64 // tables that need a new snapshot, by when that was noted; the zero Name is all
	losses  uint64
	serving record.Status
}

func (k *keeper) say(format string, args ...any) {
	k.tell(k.site.where.Clock(), k.site.Name+": "+fmt.Sprintf(format, args...))
}

// newKeeper opens or begins a database's repository.
func newKeeper(ctx context.Context, w Where, opt ServeOptions) (*keeper, error) {
	site, err := prepare(ctx, w, w.Database)
	if err != nil {
		return nil, err
	}
	if site.db == nil {
		return nil, lull.Errorf(lull.Usage, "name lull.yaml with --config", "recording needs a configuration, not --repo")
	}
	site.Repo, err = repo.OpenOrCreate(ctx, site.store, site.Name, site.backup.Encrypt, site.keys.Identities, w.Clock(),
		site.cache()...)
	if err != nil {
		return nil, err
	}
	k := &keeper{site: site, tell: opt.Say, lost: map[db.Name]uint64{}, lookAgain: map[db.Name]time.Time{}, ledger: watch.NewLedger(site.dataDir)}
	if k.tell == nil {
		k.tell = func(time.Time, string) {}
	}
	if err := k.readLost(); err != nil {
		return nil, err
	}
	k.alarm = &alarm{
		database: site.Name, quiet: append(opt.Origins, site.db.Quiet...), ledger: k.ledger, now: w.Clock,
		say: func(text string) { k.say("%s", text) }, stats: map[db.Name]*history.Stats{}, again: site.again(),
	}
	k.recorder, err = record.New(record.Options{
		Repo: site.Repo, Open: k.open, Database: site.Name, Recipients: site.Repo.Recipients(), Dir: k.dir(),
		FlushEvery: site.backup.Flush.D(), Clock: w.Clock, Purged: purged,
		OnCommit: k.alarm.note, OnLost: k.onLost, OnStatus: k.onStatus,
	})
	return k, err
}

func (k *keeper) close() { _ = k.site.Close() }

// again are the flags that a next command needs to find the same configuration.
func (s *Site) again() string {
	if s.conf == nil {
		return ""
	}
	out := ""
	if s.conf.path != ConfigFile {
		out += " --config " + term.ShellWord(s.conf.path)
	}
	if s.Several() {
		out += " --database " + s.Name
	}
	return out
}

// dir is the recorder's own folder.
func (k *keeper) dir() string { return k.site.stateDir() }

func (s *Site) stateDir() string { return filepath.Join(s.dataDir, "record", s.Name) }

// live opens the server, again when it was lost: a pool of connections mends itself.
func (k *keeper) live(ctx context.Context) (*mysql.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	conn, err := k.site.connect(ctx)
	if err == nil && k.alarm.live == nil {
		k.alarm.live = conn
	}
	return conn, err
}

// open begins the stream of changes where the recorder says.
func (k *keeper) open(ctx context.Context, start record.Start) (history.Feed, string, error) {
	conn, err := k.live(ctx)
	if err != nil {
		return nil, "", err
	}
	server, err := conn.Identity(ctx)
	if err != nil {
		return nil, "", err
	}
	opt := binlogs.FollowOptions{From: start.Pos, Server: start.Server, Known: start.Known, Want: k.site.db.Wants, Clock: k.site.where.Clock}
	if start.Fresh {
		opt.From, opt.Server = db.Position{}, server
	}
	feed, err := binlogs.Follow(ctx, conn, opt)
	switch {
	case purged(err):
		return nil, server, fmt.Errorf("%w: %w", record.ErrPurged, err)
	case err != nil:
		return nil, server, err // a nil *Feed is no nil history.Feed
	}
	return feed, feed.Server(), nil
}

func purged(err error) bool {
	return errors.Is(err, binlogs.ErrPurged) || errors.Is(err, binlogs.ErrLost)
}

// onLost notes that tables can only be restored from snapshots that begin from now on.
func (k *keeper) onLost(tables []db.Name, reason string) {
	k.mu.Lock()
	k.losses++
	if len(tables) == 0 {
		k.lost[db.Name{}] = k.losses
	}
	for _, t := range tables {
		k.lost[t] = k.losses
	}
	err := k.writeLost()
	k.mu.Unlock()
	if len(tables) == 0 && reason == k.lastLoss {
		return // both ends of one hole are noted
	}
	k.lastLoss = reason
	what := "all tables"
	if len(tables) > 0 {
		what = names(tables)
	}
	k.say("a new snapshot is needed of %s: %s", what, reason)
	if err != nil {
		k.say("note: %s", err)
	}
}

func names(tables []db.Name) string {
	var out []string
	for _, t := range tables {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

func (k *keeper) lostFile() string { return filepath.Join(k.dir(), "lost.json") }

// writeLost keeps the tables that need a snapshot over a restart; mu is held.
func (k *keeper) writeLost() error {
	list := []db.Name{}
	for t := range k.lost {
		list = append(list, t)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return fsx.WriteFile(k.lostFile(), text, 0o600)
}

func (k *keeper) readLost() error {
	text, err := os.ReadFile(k.lostFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", k.lostFile(), err)
	}
	var list []db.Name
	if json.Unmarshal(text, &list) != nil {
		list = []db.Name{{}} // nobody knows which: all
	}
	for _, t := range list {
		k.losses++
		k.lost[t] = k.losses
	}
	return nil
}

// Status is what a recorder says of itself in its folder, for other processes.
type Status struct {
	Seq     history.Seq   `json:"seq"`
	Stored  history.Seq   `json:"stored"`
	Pos     db.Position   `json:"position"`
	At      time.Time     `json:"at"`     // nothing is missing until then
	Behind  time.Duration `json:"behind"` // ns
	Pending int64         `json:"pending"`
	Said    time.Time     `json:"said"`           // when this was written
	Once    bool          `json:"once"`           // by lull backup now, which ends when it is done
	Left    string        `json:"left,omitempty"` // folder of packs that fit the store no more
	Trouble string        `json:"trouble,omitempty"`
	Since   time.Time     `json:"since,omitzero"`
}

const statusFile = "status.json"

// onStatus writes the status down and says when it turns bad or good.
func (k *keeper) onStatus(s record.Status) {
	out := Status{Seq: s.Seq, Stored: s.Stored, Pos: s.Pos, At: s.At, Behind: s.Behind, Pending: s.Pending, Said: k.site.where.Clock(), Once: k.once, Left: s.Left}
	out.Trouble, out.Since = trouble(&s)
	k.mu.Lock()
	was, _ := trouble(&k.serving)
	k.serving = s
	k.mu.Unlock()
	switch {
	case out.Trouble != "" && was == "":
		k.say("%s", out.Trouble)
	case out.Trouble == "" && was != "":
		k.say("recording goes on")
	}
	text, err := json.Marshal(out)
	if err == nil {
		err = fsx.WriteFile(filepath.Join(k.dir(), statusFile), append(text, '\n'), 0o600)
	}
	if err != nil && was == "" {
		k.say("note: %s", err)
	}
}

// trouble is what keeps a recorder from working, "" when nothing does.
func trouble(s *record.Status) (string, time.Time) {
	switch {
	case s.DiskError != nil:
		return "the disk for what waits to be stored is full: " + s.DiskError.Error(), s.DiskSince
	case s.FeedError != nil:
		return "the server cannot be followed: " + s.FeedError.Error(), s.FeedSince
	case s.StoreError != nil:
		return "the store takes nothing, changes wait on disk: " + s.StoreError.Error(), s.StoreSince
	}
	return "", time.Time{}
}

// status reads what a recorder on this machine says of itself.
func (s *Site) status() (*Status, error) {
	text, err := os.ReadFile(filepath.Join(s.stateDir(), statusFile))
	if err != nil {
		return nil, err
	}
	out := &Status{}
	return out, json.Unmarshal(text, out)
}
