package binlogs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// Why a feed cannot go on where another one ended.
var (
	// ErrPurged says that the server has deleted logs that were not read yet.
	ErrPurged = errors.New("the logs from there on are purged")
	// ErrLost says that the server's history is another one: it lacks transactions that were
	// read before, or has others in their place. It is an ErrPurged, too: what is to be done, to
	// begin anew, is the same.
	ErrLost error = otherHistory{}
)

type otherHistory struct{}

func (otherHistory) Error() string { return "the server has another history" }

func (otherHistory) Is(target error) bool { return target == ErrPurged }

func purged(what string, args ...any) error {
	return lull.Errorf(lull.Failed, "begin anew at the server's current position; what lies between is a gap", "%s: %w", fmt.Sprintf(what, args...), ErrPurged)
}

func lost(what string, args ...any) error {
	return lull.Errorf(lull.Failed, "begin anew at the server's current position with new snapshots", "%s: %w", fmt.Sprintf(what, args...), ErrLost)
}

func streamEnded(c *mysql.Conn) error {
	return lull.Errorf(lull.Unreachable, "", "follow %s: the server ended the stream", c.DSN.Where())
}

// locate finds where to begin, and on which server: all answers must be of one.
func (f *Feed) locate(ctx context.Context) (err error) {
	if f.server, err = f.conn.Identity(ctx); err != nil {
		return err
	}
	if err := f.place(ctx); err != nil {
		return err
	}
	now, err := f.conn.Identity(ctx)
	if err != nil {
		return err
	}
	if now != f.server {
		return lull.Errorf(lull.Unreachable, "", "follow %s: it became another server meanwhile", f.conn.DSN.Where())
	}
	return nil
}

func (f *Feed) place(ctx context.Context) error {
	now, err := f.conn.Position(ctx)
	if err != nil {
		return err
	}
	from := f.opt.From
	if from.File == "" && from.GTID == "" {
		from = now
	}
	if f.gtids, err = parseGTIDs(from.GTID); err != nil {
		return lull.Errorf(lull.Usage, "", "follow %s: %w", f.conn.DSN.Where(), err)
	}
	f.pos = db.Position{File: from.File, Offset: from.Offset, GTID: f.gtids.String()}
	if f.opt.From.File == "" && f.opt.From.GTID == "" {
		return nil
	}
	if from.File == "" || f.opt.Server != "" && f.opt.Server != f.server {
		return f.failover(ctx, now)
	}
	files, err := f.conn.Binlogs(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(files, func(l mysql.LogFile) bool { return l.Name == from.File })
	switch {
	case i < 0 && len(files) > 0 && compareNames(from.File, files[0].Name) < 0:
		return purged("go on at %s:%d: the first log of %s is %s", from.File, from.Offset, f.conn.DSN.Where(), files[0].Name)
	case i < 0:
		return lost("go on at %s:%d: %s has no such log", from.File, from.Offset, f.conn.DSN.Where())
	case files[i].Size < from.Offset:
		return lost("go on at %s:%d: the log of %s ends at %d", from.File, from.Offset, f.conn.DSN.Where(), files[i].Size)
	}
	return f.sameHistory(ctx, now)
}

// sameHistory checks that the server is still the one that From's GTIDs are of: it may have been
// reset, or another one has its name.
func (f *Feed) sameHistory(ctx context.Context, now db.Position) error {
	if f.gtids.empty() {
		return nil
	}
	there := now.GTID
	if f.conn.Flavor == mysql.MariaDB {
		var set sql.NullString
		if err := f.conn.DB.QueryRowContext(ctx, "SELECT BINLOG_GTID_POS(?, ?)", f.pos.File, f.pos.Offset).Scan(&set); err != nil {
			return f.conn.Explain(ctx, fmt.Sprintf("read GTID at %s:%d", f.pos.File, f.pos.Offset), err)
		}
		if !set.Valid {
			return nil // the place is not the beginning of an event that it knows
		}
		there = set.String
	}
	have, err := parseGTIDs(there)
	if err != nil {
		return err
	}
	same := f.gtids.within(&have)
	for domain, end := range f.gtids.domains {
		same = same && have.domains[domain] == end
	}
	if !same {
		return lost("go on at %s:%d: the log of %s has %s there, not %s", f.pos.File, f.pos.Offset, f.conn.DSN.Where(), have.String(), f.gtids.String())
	}
	return nil
}

// failover finds the log of another server that begins before the transactions that From does
// not have. Those it has are passed over.
func (f *Feed) failover(ctx context.Context, now db.Position) error {
	where := f.conn.DSN.Where()
	if f.gtids.empty() {
		return lost("go on at %s: it is another server, and without GTIDs nobody can tell where", where)
	}
	have, err := parseGTIDs(now.GTID)
	if err != nil {
		return err
	}
	if !f.gtids.within(&have) {
		return lost("go on at %s: it has %s, which lacks some of %s", where, have.String(), f.gtids.String())
	}
	files, err := f.conn.Binlogs(ctx)
	if err != nil {
		return err
	}
	for i, l := range slices.Backward(files) {
		begin, err := f.beginsAfter(ctx, l.Name)
		if err != nil {
			return err
		}
		if !begin.within(&f.gtids) {
			continue
		}
		f.passed = f.gtids.clone()
		f.pos = db.Position{File: l.Name, Offset: int64(len(binlog.Magic)), GTID: f.gtids.String()}
		return f.sameBranch(ctx, files[i:], &begin)
	}
	return purged("go on at %s behind %s", where, f.gtids.String())
}

// beginsAfter is the GTID set of all that a server has logged before a file.
func (f *Feed) beginsAfter(ctx context.Context, file string) (gtidSet, error) {
	rows, err := f.conn.DB.QueryContext(ctx, "SHOW BINLOG EVENTS IN '"+file+"' LIMIT 4")
	if err != nil {
		return gtidSet{}, f.conn.Explain(ctx, "read the head of "+file, err)
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	var name, kind, info string
	var pos, server, end int64
	for rows.Next() {
		if err := rows.Scan(&name, &pos, &kind, &server, &end, &info); err != nil {
			return gtidSet{}, f.conn.Explain(ctx, "read the head of "+file, err)
		}
		if kind == "Previous_gtids" || kind == "Gtid_list" {
			return parseGTIDs(info)
		}
	}
	if err := rows.Err(); err != nil {
		return gtidSet{}, f.conn.Explain(ctx, "read the head of "+file, err)
	}
	return gtidSet{}, lost("read the head of %s: it has no list of GTIDs", file)
}

// sameBranch checks that the last transactions of MariaDB's domains are the same ones here: a
// number alone may be that of another server's transaction.
func (f *Feed) sameBranch(ctx context.Context, files []mysql.LogFile, begin *gtidSet) error {
	var logs []Log
	for _, l := range files {
		logs = append(logs, serverLog{f.conn, l})
	}
	for domain, end := range f.gtids.domains {
		if begin.domains[domain] == end {
			continue
		}
		if _, err := locate(ctx, logs, fmt.Sprintf("%d-%d-%d", domain, end.server, end.seq)); err != nil {
			return lost("go on at %s: it has no transaction %d-%d-%d", f.conn.DSN.Where(), domain, end.server, end.seq)
		}
	}
	return nil
}

// serverLog is a log on the server.
type serverLog struct {
	conn *mysql.Conn
	file mysql.LogFile
}

var _ Log = serverLog{}

func (l serverLog) Name() string { return l.file.Name }

func (l serverLog) Size() int64 { return -1 } // it may grow

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
		_ = d.Close() // err says why
		return nil, binlog.Options{}, err
	}
	return &joined{r, d}, binlog.Options{NoMagic: true, Start: start}, nil
}
