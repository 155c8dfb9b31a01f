// Package undo turns an accident's row changes back: it folds them per row, compares each
// row with what is there now, and makes a plan of what to write, to conflict with or to
// leave alone; then it carries the plan out exactly or not at all. It reads no logs itself.
package undo

import (
	"context"
	"iter"

	"github.com/lull-ops/lull/db"
)

// Reader reads rows of the live database.
type Reader interface {
	// Lookup calls fn with each key's row, nil when there is none; by are columns of a unique
	// key. With lock the rows, and the gaps where they are missing, stay locked.
	Lookup(ctx context.Context, t *db.Table, by []int, keys []db.Row, lock bool, fn func(i int, now db.Row) error) error
	// Exists says for each key whether any row has its values in the columns by.
	Exists(ctx context.Context, t *db.Table, by []int, keys []db.Row) ([]bool, error)
	// Stream hands out the whole table.
	Stream(ctx context.Context, t *db.Table) iter.Seq2[db.Row, error]
}

// Change is one row to update.
type Change struct {
	Key db.Row // the key's values; the whole row of a table without a key
	Set []int
	To  db.Row
}

// Tx is a transaction on the live database. Every write hits exactly the rows it is given,
// or is an error.
type Tx interface {
	Reader
	Insert(ctx context.Context, t *db.Table, rows iter.Seq2[db.Row, error]) error
	Update(ctx context.Context, t *db.Table, items []Change) error
	Delete(ctx context.Context, t *db.Table, keys []db.Row) error
	Commit() error
	Rollback() error
}

// Target is the live database that a plan is made for.
type Target interface {
	Reader
	Table(ctx context.Context, name db.Name) (*db.Table, error)
	// Begin starts a transaction whose statements carry tag. checks says whether the server
	// enforces foreign keys in it.
	Begin(ctx context.Context, tag string, checks bool) (Tx, error)
	// CreateLike makes an empty table of another's shape; one that is there already stays.
	CreateLike(ctx context.Context, name db.Name, like string) error
	// Retry says that a transaction which failed so may work when it is tried again.
	Retry(err error) bool
}
