package rowio

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// chunkRows are read by one statement of a Stream, so that none of them holds a read view,
// and with it the server's purge, for long.
const chunkRows = 20000

var errStopped = errors.New("the reader stopped")

// Stream reads the columns cols (nil is all) of every row for which the SQL condition where
// ("" is all rows) holds. Rows come in key order, in chunks of one statement each; a table
// without a key is read by one statement in no order. Rows are as Lookup's and are valid
// until the next one is asked for; q must not be used until the iteration ends. The first
// error is the last element.
func Stream(ctx context.Context, q Querier, t *db.Table, cols []int, where string) iter.Seq2[db.Row, error] {
	if cols == nil {
		cols = allColumns(t)
	}
	key := t.RowKey()
	cols = union(key, cols)
	return func(yield func(db.Row, error) bool) {
		var last db.Row
		for {
			n, err := readChunk(ctx, q, t, cols, chunkWhere(t, key, last, where, chunkRows), func(row db.Row) error {
				if !yield(row, nil) {
					return errStopped
				}
				last = keepKey(last, key, row)
				return nil
			})
			if err != nil {
				if !errors.Is(err, errStopped) {
					yield(nil, err)
				}
				return
			}
			if n < chunkRows || len(key) == 0 {
				return
			}
		}
	}
}

// Chunk reads the columns cols (nil is all) of the next rows in key order: those behind after, a
// row of which only the key's columns matter, or the first ones when it is nil. It calls fn with
// at most limit rows and returns how many there were; fewer than limit is the table's end. A
// table without a key has no order, and so no next chunk: it is an error. Rows are as Stream's.
func Chunk(ctx context.Context, q Querier, t *db.Table, cols []int, after db.Row, limit int, fn func(db.Row) error) (int, error) {
	key := t.RowKey()
	if len(key) == 0 {
		return 0, fmt.Errorf("read table %s in chunks: it has no key", t.Name)
	}
	if cols == nil {
		cols = allColumns(t)
	}
	var last db.Row
	if after != nil {
		last = keepKey(nil, key, after)
	}
	return readChunk(ctx, q, t, union(key, cols), chunkWhere(t, key, last, "", limit), fn)
}

// rawConn is a connection that hands out the driver's, as *sql.Conn does.
type rawConn interface {
	Raw(fn func(driverConn any) error) error
}

func readChunk(ctx context.Context, q Querier, t *db.Table, cols []int, tail []byte, fn func(db.Row) error) (n int, err error) {
	stmt := append(appendSelect(nil, t, cols, "SELECT "), tail...)
	if pool, ok := q.(*sql.DB); ok {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return 0, fmt.Errorf("read table %s: %w", t.Name, err)
		}
		defer conn.Close()
		q = conn
	}
	if raw, ok := q.(rawConn); ok {
		return readText(ctx, raw, t, cols, stmt, fn)
	}
	rs, err := query(ctx, q, t, cols, stmt)
	if err != nil {
		return 0, err
	}
	err = rs.each(func(row db.Row) error {
		n++
		return fn(row)
	})
	return n, err
}

// readText reads without database/sql, which takes longer than everything else.
func readText(ctx context.Context, q rawConn, t *db.Table, cols []int, stmt []byte, fn func(db.Row) error) (n int, err error) {
	r := newRows(t, cols)
	var stopped error
	err = q.Raw(func(conn any) error {
		return mysql.Text(ctx, conn, stmt, func(values [][]byte) error {
			if err := r.convert(values); err != nil {
				return err
			}
			n++
			stopped = fn(r.row)
			return stopped
		})
	})
	switch {
	case stopped != nil:
		return n, stopped
	case err != nil:
		return n, fmt.Errorf("read table %s: %w", t.Name, err)
	}
	return n, nil
}

// keepKey copies the row's key into last.
func keepKey(last db.Row, key []int, row db.Row) db.Row {
	if last == nil {
		last = make(db.Row, len(key))
	}
	for n, i := range key {
		last[n] = db.Value{State: row[i].State, Data: append(last[n].Data[:0], row[i].Data...)}
	}
	return last
}

// chunkWhere asks for the rows after last, the values of the key of the last chunk's end.
func chunkWhere(t *db.Table, key []int, last db.Row, where string, limit int) []byte {
	var dst []byte
	if where != "" {
		dst = append(append(append(dst, " WHERE ("...), where...), ')')
	}
	if len(key) == 0 {
		return dst
	}
	if last != nil {
		if where == "" {
			dst = append(dst, " WHERE "...)
		} else {
			dst = append(dst, " AND "...)
		}
		dst = appendAfter(dst, t, key, last)
	}
	dst = append(dst, " ORDER BY "...)
	for n, i := range key {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = sqltext.AppendIdent(dst, t.Columns[i].Name)
	}
	return strconv.AppendInt(append(dst, " LIMIT "...), int64(limit), 10)
}

// appendAfter appends a>=1 AND (a>1 OR a=1 AND (b>2 OR ...)): the first part is what every
// server can use an index for.
func appendAfter(dst []byte, t *db.Table, key []int, last db.Row) []byte {
	for n, i := range key {
		col := &t.Columns[i]
		compare := func(op string) {
			dst = sqltext.AppendKey(append(sqltext.AppendKeyColumn(dst, col), op...), col, last[n])
		}
		if n == len(key)-1 {
			compare(">")
			break
		}
		compare(">=")
		dst = append(dst, " AND ("...)
		compare(">")
		dst = append(dst, " OR "...)
	}
	for range len(key) - 1 {
		dst = append(dst, ')')
	}
	return dst
}
