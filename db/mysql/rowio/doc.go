// Package rowio reads and writes rows of one live table by key: it looks rows up, streams
// a table, and inserts, changes and deletes exactly the rows it is told to. It begins and
// ends no transaction and compares nothing before it writes: a caller that must not
// overwrite locks and compares the rows by Lookup first, in the same transaction.
//
// Connections must be set up as mysql.Session says and count found rows, not changed ones
// (mysql.Open does both).
package rowio

import (
	"context"
	"database/sql"
)

// Querier is a *sql.Conn or *sql.Tx: one connection. A *sql.DB will do for reading.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

var (
	_ Querier = (*sql.Conn)(nil)
	_ Querier = (*sql.Tx)(nil)
	_ Querier = (*sql.DB)(nil)
)
