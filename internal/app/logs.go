package app

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// serverLog is a binlog on a server, read over the replication protocol.
type serverLog struct {
	conn *mysql.Conn
	file mysql.LogFile
}

var _ binlogs.Log = serverLog{}

func (l serverLog) Name() string { return l.file.Name }

func (l serverLog) Size() int64 { return l.file.Size }

func (l serverLog) Started(ctx context.Context) (time.Time, error) {
	return l.conn.FirstTimestamp(ctx, l.file.Name)
}

func (l serverLog) Open(ctx context.Context, from int64) (io.ReadCloser, binlog.Options, error) {
	d, err := l.conn.Dump(ctx, l.file.Name, from)
	if err != nil {
		return nil, binlog.Options{}, err
	}
	_, start, r, err := d.Next()
	if err != nil {
		return nil, binlog.Options{}, closing(d, err)
	}
	return &dumped{r, d}, binlog.Options{NoMagic: true, Start: start}, nil
}

func closing(d *mysql.Dump, err error) error {
	_ = d.Close() // err says why it is closed
	return err
}

// dumped is one file of a dump; closing it ends the dump.
type dumped struct {
	io.Reader
	d *mysql.Dump
}

func (d *dumped) Close() error { return d.d.Close() }

// serverLogs lists the server's binlogs, oldest first.
func serverLogs(ctx context.Context, c *mysql.Conn) ([]binlogs.Log, error) {
	files, err := c.Binlogs(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]binlogs.Log, len(files))
	for i, f := range files {
		out[i] = serverLog{c, f}
	}
	return out, nil
}

// untilNow is the logs up to what the server writes now: to files that were given it adds the
// server's own newer ones. It refuses where it cannot tell that the two belong together.
func (d *Database) untilNow(ctx context.Context) ([]binlogs.Log, error) {
	last := d.Logs[len(d.Logs)-1]
	if _, own := last.(serverLog); own {
		return d.Logs, nil
	}
	logs, err := serverLogs(ctx, d.Conn)
	if err != nil {
		return nil, notUntilNow(last, err)
	}
	for i, l := range logs {
		if l.Name() != last.Name() {
			continue
		}
		ours, err := last.Started(ctx)
		if err != nil {
			return nil, notUntilNow(last, err)
		}
		theirs, err := l.Started(ctx)
		if err != nil {
			return nil, notUntilNow(last, err)
		}
		if !ours.Equal(theirs) {
			return nil, notUntilNow(last, errors.New("the server's log of that name is another one"))
		}
		// The copy may be older than the end of the log, so that is read on the server, too.
		return slices.Concat(d.Logs[:len(d.Logs)-1], logs[i:]), nil
	}
	return nil, notUntilNow(last, errors.New("the server has no log of that name"))
}

func notUntilNow(last binlogs.Log, err error) error {
	return lull.Errorf(lull.Refused, "give all logs up to now with --binlog, or the CREATE TABLE of then with --schema FILE.sql",
		"how the tables were altered after %s cannot be seen: %w", last.Name(), err)
}
