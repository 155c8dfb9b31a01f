package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

const (
	// lockPatience is how many seconds a table is waited for, and new writers of it wait meanwhile.
	lockPatience = 10

	errLockWaitTimeout = 1205
)

// ExactTable opens a view of one table as of a place in the binlog, as ExactSnapshot does. A table
// of an engine without transactions has no such view: it is locked, and writers of it wait until
// Close; no other table can be read on the connection. Where the user may not lock it, or somebody
// writes to it for too long, it is a lull.Error of kind Refused; an UnknownTableError says that it
// is gone.
func (c *Conn) ExactTable(ctx context.Context, name db.Name) (*Snapshot, db.Position, error) {
	what, listed, safe := "open snapshot of "+name.String(), false, false
	err := c.each(ctx, "SELECT TABLE_NAME, e.TRANSACTIONS FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE "+
		c.whereTable("TABLE", name), func(row []sql.NullString) {
		if c.sameName(row[0].String, name.Table) {
			listed, safe = true, row[1].String == "YES"
		}
	})
	switch {
	case err != nil:
		return nil, db.Position{}, c.failed(ctx, what, err)
	case !listed:
		return nil, db.Position{}, c.unknownTable(ctx, name)
	case safe:
		return c.ExactSnapshot(ctx)
	}
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return nil, db.Position{}, c.failed(ctx, what, err)
	}
	s := &Snapshot{conn, "UNLOCK TABLES"}
	if err := c.lock(ctx, conn, name); err != nil {
		return nil, db.Position{}, errors.Join(c.failed(ctx, what, err), s.Close())
	}
	// A statement is in the log before it lets go of its tables.
	pos, err := c.Position(ctx)
	if err != nil {
		return nil, pos, errors.Join(err, s.Close())
	}
	return s, pos, nil
}

// lock keeps writers away from a table.
func (c *Conn) lock(ctx context.Context, conn *sql.Conn, name db.Name) error {
	table := quoteName(name.Schema) + "." + quoteName(name.Table)
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = %d", lockPatience)); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "LOCK TABLES "+table+" READ")
	if _, reset := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = DEFAULT"); err == nil {
		err = reset
	}
	switch n := serverErrorNumber(err); {
	case denied(n):
		return lull.Errorf(lull.Refused, "GRANT LOCK TABLES ON "+quoteName(name.Schema)+".* TO "+c.Account+", or make it InnoDB",
			"open snapshot of %s: its engine has no transactions, and it cannot be locked: %w", name, err)
	case n == errLockWaitTimeout:
		return lull.Errorf(lull.Refused, "try again when nobody writes to it for long, or make it InnoDB",
			"open snapshot of %s: its engine has no transactions, and in %d seconds it could not be locked: %w", name, lockPatience, err)
	}
	return err
}
