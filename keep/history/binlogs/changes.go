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
// when the log was written. A nil table leaves the rows out.
type Shape func(t *binlog.TableMap) (*db.Table, error)

// Changes hands out the row changes of the transactions at places, oldest first. The rows
// given to fn are valid until it returns. Everything selected must be readable: damage is an
// error here, because a repair from half a transaction would be wrong.
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
	r := changeReader{p: binlog.NewParser(src, opts), shape: shape, fn: fn, decoders: map[*binlog.TableMap]*binlog.Decoder{}}
	for n := 0; len(places) > 0; n++ {
		if n&0xff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ev, err := r.p.Next()
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
			return fmt.Errorf("%s at byte %d: %w", log.Name(), ev.Pos, err)
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
	p        *binlog.Parser
	shape    Shape
	fn       func(*db.Change, history.Place) error
	decoders map[*binlog.TableMap]*binlog.Decoder
	change   db.Change
}

func (r *changeReader) rows(rows *binlog.Rows, at history.Place) error {
	d, ok := r.decoders[rows.Table]
	if !ok {
		t, err := r.shape(rows.Table)
		if err != nil {
			return err
		}
		if t != nil {
			if d, err = binlog.NewDecoder(rows.Table, t); err != nil {
				return err
			}
		}
		r.decoders[rows.Table] = d
	}
	if d == nil {
		return nil
	}
	r.change.Op, r.change.Table = rows.Op, d.Shape()
	return rows.Each(d, func(before, after db.Row) error {
		r.change.Before, r.change.After = before, after
		return r.fn(&r.change, at)
	})
}
