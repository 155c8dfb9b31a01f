package main

import (
	"context"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/app/backup"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch/accident"
)

// reach says where the logs begin, when that is after the time that was asked for; the zero
// time when they hold all of it, or when nobody knows.
func (f *findFlags) reach(ctx context.Context, d *app.Database, w history.Window) time.Time {
	if len(d.Logs) == 0 || w.Since.Time.IsZero() {
		return time.Time{}
	}
	first, err := d.Logs[0].Started(ctx)
	if err != nil || !first.After(w.Since.Time) {
		return time.Time{}
	}
	return first
}

// gapsError makes the exit code say that not all of the past could be read: an answer with a
// hole in it must not pass for a whole one. read is how many transactions were.
func (f *findFlags) gapsError(gaps []history.Gap, read int64) error {
	if len(gaps) == 0 {
		return nil
	}
	g := gaps[0]
	if read == 0 && len(f.binlogs) > 0 {
		return lull.Errorf(lull.Usage, "give binlogs of MySQL or MariaDB; encrypted ones can be read from their server with --db", "read %s: %s", g.File, g.Reason)
	}
	const hint = "take the file from a replica or a backup, and give all files with --binlog"
	if len(gaps) > 1 {
		return lull.Errorf(lull.Partly, hint, "%d parts of the logs could not be read, the first is %s: %s", len(gaps), g.File, g.Reason)
	}
	return lull.Errorf(lull.Partly, hint, "part of the logs could not be read, %s: %s", g.File, g.Reason)
}

// maxAsked is for how many findings the repository is asked whether it has their rows.
const maxAsked = 25

// askRepository finds out which of the accidents that the logs do not hold the rows of, or not
// all, can be taken back from the repository.
func (f *findFlags) askRepository(ctx context.Context, a *runner, found *app.Found) {
	f.kept = map[string]bool{}
	var site *backup.Site
	asked := 0
	for i := range found.Accidents {
		x := &found.Accidents[i]
		if x.Undoable == accident.Yes || x.RowsStay() || x.Tx.File == "" || len(f.binlogs) > 0 || asked == maxAsked {
			continue
		}
		if asked++; asked == 1 {
			site = f.site(ctx, a, f.table())
		}
		if site != nil && site.Holds(ctx, &x.Tx, x.Table) {
			f.kept[x.ID()] = true
		}
	}
}

// recorded is the repository that holds what is older than the server's logs, nil when there
// is none, or when the logs reach far enough; since is where the repository begins, when that
// is after what was asked for.
func (f *findFlags) recorded(ctx context.Context, a *runner, begin time.Time) (past app.Recorded, since time.Time) {
	if begin.IsZero() || len(f.binlogs) > 0 {
		return nil, begin
	}
	site := f.site(ctx, a, f.table())
	if site == nil {
		return nil, begin
	}
	past, since, err := site.Recorded(ctx, begin)
	if err != nil {
		a.say("note: the repository was not read: %s", oneLine(err.Error()))
		return nil, begin
	}
	return past, since
}
