package restore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// Way is how rows are sent to a server.
type Way string

// The ways.
const (
	Auto     Way = ""          // LoadData where the server allows it, else Inserts
	LoadData Way = "load data" // LOAD DATA LOCAL INFILE: needs local_infile=ON
	Inserts  Way = "inserts"   // INSERT of many rows
)

// MySQL is a MySQL or MariaDB server to restore into.
type MySQL struct {
	Conn *mysql.Conn
	Way  Way
	// Stall is how long the server may take no more rows before it counts as lost: some keep a
	// connection open whose LOAD DATA was killed. 0 is 10 minutes.
	Stall time.Duration
}

const defaultStall = 10 * time.Minute

var _ Target = (*MySQL)(nil)

// Names are the tables, views and sequences of a schema.
func (m *MySQL) Names(ctx context.Context, schema string) (out []db.Name, err error) {
	rs, err := m.Conn.DB.QueryContext(ctx, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+fmt.Sprintf("_utf8mb4 X'%X'", schema))
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", schema, err)
	}
	defer func() { err = errors.Join(err, rs.Close()) }()
	for rs.Next() {
		n := db.Name{Schema: schema}
		if err := rs.Scan(&n.Table); err != nil {
			return nil, fmt.Errorf("list tables of %s: %w", schema, err)
		}
		out = append(out, n)
	}
	return out, rs.Err()
}

// Table reads a table's shape.
func (m *MySQL) Table(ctx context.Context, name db.Name) (*db.Table, error) {
	return m.Conn.Table(ctx, name)
}

// Stream reads all rows of a table on a connection of its own.
func (m *MySQL) Stream(ctx context.Context, t *db.Table, cols []int) iter.Seq2[db.Row, error] {
	return rowio.Stream(ctx, m.Conn.DB, t, cols, "")
}

// Exec runs the statements, which are in UTF-8 as SHOW CREATE prints them.
func (m *MySQL) Exec(ctx context.Context, schema string, stmts ...string) error {
	return m.exec(ctx, schema, []string{"SET NAMES utf8mb4"}, stmts)
}

// ExecProgram runs a statement whose result remembers the session's sql_mode, character set
// and time zone: they are the server's own, the text is UTF-8.
func (m *MySQL) ExecProgram(ctx context.Context, schema, stmt string) error {
	return m.exec(ctx, schema, []string{"SET NAMES utf8mb4", "SET SESSION sql_mode=DEFAULT, time_zone=DEFAULT"}, []string{stmt})
}

func (m *MySQL) exec(ctx context.Context, schema string, setup, stmts []string) (err error) {
	if len(stmts) == 0 {
		return nil
	}
	conn, err := m.Conn.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, discard(conn)) }()
	if schema != "" {
		setup = append(setup, "USE "+string(sqltext.AppendIdent(nil, schema)))
	}
	setup = append(setup, "SET SESSION foreign_key_checks=0")
	for _, s := range append(setup, stmts...) {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return explain(ctx, err)
		}
	}
	return nil
}

// discard closes the connection itself, not only its loan from the pool: what the session
// had set, or locked, is gone with it.
func discard(conn *sql.Conn) error {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // says so to the pool
	if err := conn.Close(); !errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return nil
}

// Hold takes the mark as a lock of the server's, which ends with its connection.
func (m *MySQL) Hold(ctx context.Context, mark string) (func(), error) {
	conn, err := m.Conn.DB.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	var got sql.NullInt64
	err = conn.QueryRowContext(ctx, "SELECT GET_LOCK('"+mark+"', 0)").Scan(&got)
	if err == nil && got.Int64 != 1 {
		err = errors.New("another restore has it")
	}
	if err != nil {
		return nil, errors.Join(err, discard(conn))
	}
	return func() { _ = discard(conn) }, nil // an error here means that it is gone already
}

// Held says that some connection holds the mark.
func (m *MySQL) Held(ctx context.Context, mark string) (bool, error) {
	var free sql.NullInt64
	err := m.Conn.DB.QueryRowContext(ctx, "SELECT IS_FREE_LOCK('"+mark+"')").Scan(&free)
	return free.Int64 != 1, err
}

// Exists knows what servers say of a database, table, routine, trigger or event that is there.
func (m *MySQL) Exists(err error) bool {
	e, ok := errors.AsType[*driverpkg.MySQLError](err)
	return ok && slices.Contains([]uint16{1007, 1050, 1304, 1359, 1537}, e.Number)
}

// Errors of a server without room.
const (
	errServerFull = 1021
	errTableFull  = 1114
	errWriteFile  = 3
	errStorage    = 1030
	errFileWrite  = 1026
)

// explain makes one line of what a server without room says.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e, ok := errors.AsType[*driverpkg.MySQLError](err)
	if !ok {
		return err
	}
	full := e.Number == errServerFull || e.Number == errTableFull
	switch e.Number {
	case errWriteFile, errStorage, errFileWrite:
		full = noSpace(e.Message)
	}
	if full {
		return lull.Errorf(lull.Failed, "make room on the server's disk and run it again", "the server has no room left: %s", e.Message)
	}
	return err
}
