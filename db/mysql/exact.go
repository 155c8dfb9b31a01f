package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// Snapshot is a connection in a read-only view of the server's data as of one moment. It is for
// one goroutine.
type Snapshot struct {
	*sql.Conn
	end string // the statement that ends the view
}

// Close ends the view and gives the connection back.
func (s *Snapshot) Close() error {
	_, err := s.ExecContext(context.Background(), s.end)
	return errors.Join(err, s.Conn.Close())
}

// snapshotTries bounds how often a busy MySQL is asked for a moment without a commit.
const snapshotTries = 40

// ExactSnapshot opens a view of all transactional tables as of a place in the binlog: the
// transactions that end at or before it are seen, later ones are not. The position has the GTID
// set where the server has one. MariaDB knows the place; from MySQL it takes a moment in which
// nobody commits, and when there is none it is a lull.Error of kind Refused. Tables of other engines,
// such as MyISAM, are seen as they are when they are read: see ExactTable.
func (c *Conn) ExactSnapshot(ctx context.Context) (*Snapshot, db.Position, error) {
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return nil, db.Position{}, c.failed(ctx, "open snapshot", err)
	}
	s := &Snapshot{conn, "ROLLBACK"}
	var pos db.Position
	if c.Flavor == MariaDB {
		pos, err = c.snapshotMariaDB(ctx, conn)
	} else {
		pos, err = c.snapshotMySQL(ctx, conn)
	}
	if err != nil {
		return nil, pos, errors.Join(c.failed(ctx, "open snapshot", err), s.Close())
	}
	return s, pos, nil
}

const startSnapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT"

func (c *Conn) snapshotMariaDB(ctx context.Context, conn *sql.Conn) (db.Position, error) {
	var pos db.Position
	if _, err := conn.ExecContext(ctx, startSnapshot); err != nil {
		return pos, err
	}
	for _, name := range []string{"binlog_snapshot_file", "binlog_snapshot_position"} {
		var key, value string
		if err := conn.QueryRowContext(ctx, "SHOW STATUS LIKE '"+name+"'").Scan(&key, &value); err != nil {
			return pos, fmt.Errorf("read %s: %w", name, err)
		}
		if name == "binlog_snapshot_file" {
			pos.File = value
		} else {
			pos.Offset, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	if pos.File == "" {
		return pos, noBinlog("open snapshot")
	}
	var set sql.NullString
	err := conn.QueryRowContext(ctx, "SELECT BINLOG_GTID_POS("+literal(pos.File)+", "+strconv.FormatInt(pos.Offset, 10)+")").Scan(&set)
	if err != nil {
		return pos, fmt.Errorf("read GTID of the snapshot: %w", err)
	}
	pos.GTID = set.String
	return pos, nil
}

// snapshotMySQL opens a view, and keeps it when the log did not grow meanwhile and nobody was
// between writing to the log and letting others see it.
func (c *Conn) snapshotMySQL(ctx context.Context, conn *sql.Conn) (db.Position, error) {
	why := ""
	for try := range snapshotTries {
		if try > 0 {
			if err := pause(ctx, time.Duration(try)*5*time.Millisecond); err != nil {
				return db.Position{}, err
			}
		}
		before, err := c.Position(ctx)
		if err != nil {
			return before, err
		}
		if _, err := conn.ExecContext(ctx, startSnapshot); err != nil {
			return before, err
		}
		busy, err := c.committing(ctx)
		if err != nil {
			return before, err
		}
		after, err := c.Position(ctx)
		switch {
		case err != nil:
			return after, err
		case before != after:
			why = "the log grows all the time"
		case busy > 0:
			why = fmt.Sprintf("%d sessions are committing", busy)
		default:
			after.GTID = strings.Join(strings.Fields(after.GTID), "")
			return after, nil
		}
	}
	return db.Position{}, lull.Errorf(lull.Refused, "try again when fewer transactions are committed",
		"open snapshot: in %d tries there was no moment without a commit: %s", snapshotTries, why)
}

// committing counts the sessions that may be between the log and the engine.
func (c *Conn) committing(ctx context.Context) (n int, err error) {
	states := "'waiting for handler commit', 'waiting for semi-sync ack from slave', 'waiting for semi-sync ack from replica', 'waiting for semi-sync ack'"
	if !c.Version.AtLeast(8, 0, 0) {
		states += ", 'query end', 'starting', 'init', 'commit', 'committing'" // no state of its own
	}
	err = c.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND NOT IN "+
		"('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID') AND LOWER(STATE) IN ("+states+")").Scan(&n)
	return n, err
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
