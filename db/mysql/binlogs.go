package mysql

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// LogFile is one binlog on the server.
type LogFile struct {
	Name      string
	Size      int64 // bytes on disk
	Encrypted bool  // MySQL 8.0 and newer say so
}

// Binlogs lists the server's binlogs, oldest first. It needs REPLICATION CLIENT (MariaDB
// from 10.5: BINLOG MONITOR); without, or with binlogs off, it is a lull.Error of kind Usage.
func (c *Conn) Binlogs(ctx context.Context) ([]LogFile, error) {
	var out []LogFile
	err := c.each(ctx, "SHOW BINARY LOGS", func(row []sql.NullString) {
		size, _ := strconv.ParseInt(row[1].String, 10, 64)
		out = append(out, LogFile{Name: row[0].String, Size: size, Encrypted: len(row) > 2 && row[2].String == "Yes"})
	})
	if err != nil {
		return nil, c.binlogError(ctx, "list binlogs", err)
	}
	return out, nil
}

func (c *Conn) binlogError(ctx context.Context, what string, err error) error {
	switch serverErrorNumber(err) {
	case errNoBinlog:
		return noBinlog(what)
	case errSpecificAccessDenied, errAccessDenied:
		return lull.Errorf(lull.Usage, c.grantAll(c.monitorPrivilege()), "%s: %w", what, err)
	}
	return c.failed(ctx, what, err)
}

func noBinlog(what string) error {
	return lull.Errorf(lull.Usage, "put log_bin into my.cnf and restart; what happened before is not recorded", "%s: the server writes no binlog", what)
}

// monitorPrivilege is the name of the privilege that SHOW BINARY LOGS needs.
func (c *Conn) monitorPrivilege() string {
	if c.Flavor == MariaDB && c.Version.AtLeast(10, 5, 2) {
		return "BINLOG MONITOR"
	}
	return "REPLICATION CLIENT"
}

func (c *Conn) grantAll(privilege string) string {
	return "GRANT " + privilege + " ON *.* TO " + c.Account
}

// status is one row of SHOW BINARY LOG STATUS.
type status struct {
	db.Position
	doDB, ignoreDB string
}

// Position is the end of what the server has logged, with its GTID set: MySQL's
// gtid_executed, MariaDB's gtid_binlog_pos.
func (c *Conn) Position(ctx context.Context) (db.Position, error) {
	s, err := c.status(ctx)
	return s.Position, err
}

func (c *Conn) status(ctx context.Context) (status, error) {
	statements := []string{"SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"}
	if c.Flavor == MySQL && c.Version.AtLeast(8, 2, 0) {
		statements = []string{"SHOW BINARY LOG STATUS"}
	}
	var s status
	var err error
	for _, stmt := range statements {
		err = c.each(ctx, stmt, func(row []sql.NullString) {
			s.File = row[0].String
			s.Offset, _ = strconv.ParseInt(row[1].String, 10, 64)
			s.doDB, s.ignoreDB = row[2].String, row[3].String
			if len(row) > 4 {
				s.GTID = row[4].String
			}
		})
		if serverErrorNumber(err) != errSyntax {
			break
		}
	}
	switch {
	case err != nil:
		return s, c.binlogError(ctx, "read binlog position", err)
	case s.File == "":
		return s, noBinlog("read binlog position")
	}
	if c.Flavor == MariaDB && c.Version.AtLeast(10, 0, 0) {
		// A statement of its own: the set may be a moment ahead of the position.
		vars, err := c.variables(ctx, "gtid_binlog_pos")
		if err != nil {
			return s, c.failed(ctx, "read binlog position", err)
		}
		s.GTID = vars["gtid_binlog_pos"]
	}
	return s, nil
}
