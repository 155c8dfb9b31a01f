package binlogs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// Shape finds the table that a table map's rows belong to, with the columns as they were
// when the log was written; at is the first transaction with the map, and what it decides is
// kept for the others, because every DDL makes a new map. A nil table leaves the rows out.
type Shape func(t *binlog.TableMap, at history.Place) (*db.Table, error)

// Changes hands out the row changes of the transactions at places, oldest first. The rows
// given to fn are valid until it returns. Everything selected must be readable: damage is an
// error here, because a repair from half a transaction would be wrong. A system-versioned
// table's rows come as the user changed them: a DELETE is one, and the copies of old versions
// are left out.
func Changes(ctx context.Context, logs []Log, places []history.Place, shape Shape, fn func(*db.Change, history.Place) error) error {
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].File == places[0].File {
			n++
		}
		log, err := named(logs, places[0].File)
		if err != nil {
			return err
		}
		if err := changesIn(ctx, log, places[:n], shape, fn); err != nil {
			return err
		}
		places = places[n:]
	}
	return nil
}

func named(logs []Log, name string) (Log, error) {
	i, err := boundFile(logs, history.Bound{File: name}, 0)
	if err != nil {
		return nil, err
	}
	return logs[i], nil
}

// changesIn reads one log from the first place to the last.
func changesIn(ctx context.Context, log Log, places []history.Place, shape Shape, fn func(*db.Change, history.Place) error) error {
	src, opts, err := log.Open(ctx, places[0].Start)
	if err != nil {
		return fmt.Errorf("open %s: %w", log.Name(), err)
	}
	defer src.Close()
	r := changeReader{p: binlog.NewParser(src, opts), shape: shape, fn: fn, tables: map[*binlog.TableMap]*tableReader{}}
	for n := 0; len(places) > 0; n++ {
		if n&0xff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ev, err := r.p.Next()
		if errors.Is(err, io.EOF) && r.p.Pos() >= places[len(places)-1].End {
			return nil // the last transaction is the last thing in the log
		}
		if err != nil {
			return unreadable(log.Name(), places[0], err)
		}
		for len(places) > 0 && ev.Pos >= places[0].End {
			places = places[1:]
		}
		if len(places) == 0 || ev.Pos < places[0].Start || ev.Kind != binlog.Changed {
			continue
		}
		if err := r.rows(ev.Rows, places[0]); err != nil {
			return fmt.Errorf("read %s at byte %d: %w", log.Name(), ev.Pos, err)
		}
	}
	return nil
}

func unreadable(file string, at history.Place, err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the log ends before the transaction does")
	}
	return lull.Errorf(lull.Failed, "take the log from a replica or a backup and give it with --binlog",
		"read the transaction at %s:%d: %w", file, at.Start, err)
}

// changeReader decodes the row events of one log.
type changeReader struct {
	p      *binlog.Parser
	shape  Shape
	fn     func(*db.Change, history.Place) error
	tables map[*binlog.TableMap]*tableReader
	change db.Change
}

// tableReader decodes the rows of one table map.
type tableReader struct {
	decoder  *binlog.Decoder
	versions *versions // of a system-versioned table
}

// table finds the reader for a table map's rows, nil when they are not wanted.
func (r *changeReader) table(t *binlog.TableMap, at history.Place) (*tableReader, error) {
	if have, ok := r.tables[t]; ok {
		return have, nil
	}
	shape, err := r.shape(t, at)
	if err != nil {
		return nil, err
	}
	if len(r.tables) > maxCached {
		clear(r.tables)
	}
	if shape == nil {
		r.tables[t] = nil
		return nil, nil
	}
	d, err := binlog.NewDecoder(t, shape)
	if err != nil {
		return nil, err
	}
	out := &tableReader{decoder: d}
	if end := len(shape.Columns) - 1; maybeVersioned(t) && shape.Columns[end].Generated {
		out.versions = &versions{end: end, sure: true}
	}
	r.tables[t] = out
	return out, nil
}

func (r *changeReader) rows(rows *binlog.Rows, at history.Place) error {
	t, err := r.table(rows.Table, at)
	if t == nil || err != nil {
		return err
	}
	r.change.Table = t.decoder.Shape()
	return rows.Each(t.decoder, func(before, after db.Row) error {
		op := rows.Op
		if t.versions != nil {
			var ok bool
			if op, ok = t.versions.deed(op, before, after); !ok {
				return nil
			}
			if op == db.Delete {
				after = nil
			}
		}
		r.change.Op, r.change.Before, r.change.After = op, before, after
		return r.fn(&r.change, at)
	})
}
