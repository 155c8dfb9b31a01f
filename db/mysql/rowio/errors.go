package rowio

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull/db"
)

// DuplicateError says that a row could not be written because another one has its values in
// a unique key. The server has undone the statement, not the transaction.
type DuplicateError struct {
	Table db.Name
	Key   string // the key's name, "PRIMARY" for the primary key
	Entry string // the key's values as the server prints them, "-" between them
	Err   error
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("write table %s: another row has %s in key %s", e.Table, e.Entry, e.Key)
}

func (e *DuplicateError) Unwrap() error { return e.Err }

const duplicateEntry = 1062

// writeError wraps what a server answered to a write.
func writeError(t *db.Table, err error) error {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == duplicateEntry {
		dup := &DuplicateError{Table: t.Name, Err: err}
		// Duplicate entry '1-2' for key 'billing.PRIMARY'; the table's name came with MySQL 8.
		entry, key, _ := strings.Cut(e.Message, "' for key '")
		_, dup.Entry, _ = strings.Cut(entry, "'")
		dup.Key = strings.TrimPrefix(strings.TrimSuffix(key, "'"), t.Table+".")
		return dup
	}
	return fmt.Errorf("write table %s: %w", t.Name, err)
}

// checkWarnings fails when the last statement warned of anything but its own style: strict
// mode lets notes pass that say a value was changed. zeros says that ENUM's index 0 was
// written, which is warned of.
func (w *Writer) checkWarnings(ctx context.Context, zeros bool) (err error) {
	rs, err := w.q.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return fmt.Errorf("read warnings: %w", err)
	}
	defer func() { err = errors.Join(err, rs.Close()) }()
	for rs.Next() {
		var level, message string
		var code int
		if err := rs.Scan(&level, &code, &message); err != nil {
			return fmt.Errorf("read warnings: %w", err)
		}
		if !Harmless(w.table, code, message, zeros) {
			return fmt.Errorf("write table %s: the server warned: %s", w.table.Name, message)
		}
	}
	return rs.Err()
}

const dataTruncated = 1265

// Harmless says that a warning about written rows of t does not mean that another value was
// stored: it is about syntax that is to go, about a generated column, or, where an ENUM's
// index 0 was written (zeros), about that.
func Harmless(t *db.Table, code int, message string, zeros bool) bool {
	switch code {
	case 1287, 1681, 3719, 3778:
		return true
	case dataTruncated:
		return zeros || aboutGenerated(t, message)
	}
	return false
}

// aboutGenerated says that a warning is about a generated column: how the server rounds what
// it computes is its own affair.
func aboutGenerated(t *db.Table, message string) bool {
	for i := range t.Columns {
		if t.Columns[i].Generated && strings.Contains(message, "column '"+t.Columns[i].Name+"'") {
			return true
		}
	}
	return false
}
