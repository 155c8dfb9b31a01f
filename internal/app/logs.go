package app

import (
	"context"
	"io"
	"time"

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
