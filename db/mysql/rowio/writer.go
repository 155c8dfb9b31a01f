package rowio

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// statementBytes is where statements stop growing: larger ones were no faster.
const statementBytes = 256 << 10

// WriterOptions are limits and marks of a Writer.
type WriterOptions struct {
	MaxPacket int    // the server's max_allowed_packet in bytes; 0 when it does not matter
	Tag       string // put in a comment of every statement, so that the binlog tells whose it is
}

// Writer writes rows of one table. Its q must be one connection, in a transaction: after an
// error it must be rolled back and the connection closed or reset.
type Writer struct {
	q     Querier
	table *db.Table
	key   []int
	opt   WriterOptions
	lax   bool // the session is in sqltext.LaxMode
	buf   []byte
}

// NewWriter makes a Writer.
func NewWriter(q Querier, t *db.Table, opt WriterOptions) *Writer {
	return &Writer{q: q, table: t, key: t.RowKey(), opt: opt}
}

// Insert inserts the rows, which are as long as the table is wide, exactly as they are;
// generated columns and values that are Absent get what the server gives them. It returns
// how many rows it has inserted. A row that is in the way is a *DuplicateError; a value that
// the server would change is an error.
func (w *Writer) Insert(ctx context.Context, rows iter.Seq2[db.Row, error]) (n int64, err error) {
	emit := w.emitter(ctx, &n)
	in := sqltext.NewInserter(w.table, w.opt.Tag, w.maxBytes(), emit)
	for row, err := range rows {
		if err != nil {
			return n, w.reset(ctx, err)
		}
		if err := in.Add(row); err != nil {
			return n, w.reset(ctx, err)
		}
	}
	return n, w.reset(ctx, in.Flush())
}

// Update is a change of one row.
type Update struct {
	// Key is the row's values of the columns of Table.RowKey; for a table without a key the
	// whole row as it is.
	Key db.Row
	Set []int  // the columns to set, and no others
	To  db.Row // as long as the table is wide; only the columns Set are read
}

// Update changes exactly one row for each item, or fails. It does not look at what the rows
// hold, except in a table without a key, where one of the rows equal to Key is changed.
// Items are written in order, but key changes that pass through each other's keys are
// duplicates to the server.
func (w *Writer) Update(ctx context.Context, items []Update) error {
	var n int64
	emit := w.emitter(ctx, &n)
	if w.key == nil {
		return w.updateKeyless(items, emit)
	}
	up := sqltext.NewUpdater(w.table, w.key, w.opt.Tag, w.maxBytes(), emit)
	for _, it := range items {
		if err := up.Add(it.Key, it.Set, it.To); err != nil {
			return w.reset(ctx, err)
		}
	}
	return w.reset(ctx, up.Flush())
}

func (w *Writer) updateKeyless(items []Update, emit sqltext.Emit) error {
	all := allColumns(w.table)
	for _, it := range items {
		w.buf = sqltext.AppendUpdate(w.buf[:0], w.table, w.opt.Tag, it.Set, it.To, nil, it.Key, all)
		if err := emit(w.buf, 1); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes exactly one row for each key, or fails. Keys are as Update's.
func (w *Writer) Delete(ctx context.Context, keys []db.Row) error {
	var n int64
	emit := w.emitter(ctx, &n)
	for len(keys) > 0 {
		batch := 1
		if w.key == nil {
			w.buf = sqltext.AppendDelete(w.buf[:0], w.table, w.opt.Tag, nil, keys[0], allColumns(w.table))
		} else {
			batch = listSize(keys)
			w.buf = sqltext.AppendDeleteIn(w.buf[:0], w.table, w.opt.Tag, w.key, keys[:batch])
		}
		if err := emit(w.buf, batch); err != nil {
			return err
		}
		keys = keys[batch:]
	}
	return nil
}

func (w *Writer) maxBytes() int {
	if w.opt.MaxPacket > 0 {
		return min(statementBytes, w.opt.MaxPacket/2)
	}
	return statementBytes
}

// emitter runs statements, checks that each hits the rows it must, and adds them to total.
func (w *Writer) emitter(ctx context.Context, total *int64) sqltext.Emit {
	return func(stmt []byte, rows int) error {
		res, err := w.q.ExecContext(ctx, string(stmt))
		if err != nil {
			return writeError(w.table, err)
		}
		if rows == 0 {
			w.lax = !w.lax
			return nil
		}
		n, err := res.RowsAffected()
		if err != nil {
			return writeError(w.table, err)
		}
		*total += n
		if n != int64(rows) {
			return fmt.Errorf("write table %s: %d rows were hit by a statement for %d", w.table.Name, n, rows)
		}
		return w.checkWarnings(ctx, w.lax)
	}
}

// reset puts the strict mode back that an error has left behind.
func (w *Writer) reset(ctx context.Context, err error) error {
	if err == nil || !w.lax {
		return err
	}
	w.lax = false
	_, rerr := w.q.ExecContext(ctx, "SET SESSION sql_mode='"+sqltext.Mode+"'")
	return errors.Join(err, rerr)
}
