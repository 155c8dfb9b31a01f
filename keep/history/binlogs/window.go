package binlogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// part is one log and where to begin in it.
type part struct {
	log  Log
	from int64
}

// bracket picks the logs that can hold the window's transactions, by when each was opened,
// and notes files that are missing between them.
func bracket(ctx context.Context, logs []Log, w history.Window) ([]part, []history.Gap, error) {
	first, last := 0, len(logs)
	if t := w.Since.Time; !t.IsZero() {
		// A log's transactions committed after it was opened: the last one opened before
		// the bound may hold it, none before that.
		for i := len(logs) - 1; i > 0; i-- {
			at, err := logs[i].Started(ctx)
			if err != nil {
				return nil, nil, err
			}
			if first = i; !at.After(t) {
				break
			}
			first = 0
		}
	}
	if t := w.Until.Time; !t.IsZero() {
		for last > first+1 {
			at, err := logs[last-1].Started(ctx)
			if err != nil {
				return nil, nil, err
			}
			if at.Before(t) {
				break
			}
			last--
		}
	}
	var err error
	if first, err = boundFile(logs, w.Since, first); err != nil {
		return nil, nil, err
	}
	if w.Until.File != "" {
		i, err := boundFile(logs, w.Until, 0)
		if err != nil {
			return nil, nil, err
		}
		last = min(last, i+1)
	}
	var parts []part
	for i := first; i < last; i++ {
		p := part{log: logs[i]}
		if i == first && w.Since.File != "" {
			p.from = w.Since.Pos
		}
		parts = append(parts, p)
	}
	return parts, missing(logs[first:max(first, last)]), nil
}

// boundFile is the index of the bound's file, or def when it names none.
func boundFile(logs []Log, b history.Bound, def int) (int, error) {
	if b.File == "" {
		return def, nil
	}
	var names []string
	for i, l := range logs {
		if l.Name() == b.File {
			return i, nil
		}
		names = append(names, l.Name())
	}
	hint := "there is none"
	if len(names) > 0 {
		hint = fmt.Sprintf("there are %s to %s", names[0], names[len(names)-1])
	}
	return 0, lull.Errorf(lull.Usage, hint, "no binlog is named %s: purged, or misspelt", b.File)
}

// missing finds holes in the numbering of neighbouring files.
func missing(logs []Log) []history.Gap {
	var gaps []history.Gap
	for i := 1; i < len(logs); i++ {
		ab, an, aok := number(logs[i-1].Name())
		bb, bn, bok := number(logs[i].Name())
		if !aok || !bok || ab != bb || bn <= an+1 {
			continue
		}
		lost := fmt.Sprintf("%s.%0*d", ab, len(logs[i].Name())-len(bb)-1, an+1)
		if bn > an+2 {
			lost += fmt.Sprintf(" to .%0*d", len(logs[i].Name())-len(bb)-1, bn-1)
		}
		gaps = append(gaps, history.Gap{File: strings.TrimSpace(lost), Reason: "the file is missing: purged or not given"})
	}
	return gaps
}

// resolve turns the window's GTID bounds into places: from where the Since transaction
// begins, up to where the Until transaction ends.
func resolve(ctx context.Context, logs []Log, w history.Window) (history.Window, error) {
	if w.Since.GTID != "" {
		at, err := locate(ctx, logs, w.Since.GTID)
		if err != nil {
			return w, err
		}
		w.Since = history.Bound{File: at.File, Pos: at.Start}
	}
	if w.Until.GTID != "" {
		at, err := locate(ctx, logs, w.Until.GTID)
		if err != nil {
			return w, err
		}
		w.Until = history.Bound{File: at.File, Pos: at.End}
	}
	return w, nil
}

// locate finds a transaction by its GTID, looking in the newest log first.
func locate(ctx context.Context, logs []Log, gtid string) (db.Tx, error) {
	for i := len(logs) - 1; i >= 0; i-- {
		tx, ok, err := locateIn(ctx, logs[i], gtid)
		if err != nil {
			return db.Tx{}, err
		}
		if ok {
			return tx, nil
		}
	}
	return db.Tx{}, lull.Errorf(lull.Usage, "list the transactions there are with `lull find --all`", "no transaction %s is in these binlogs", gtid)
}

func locateIn(ctx context.Context, log Log, gtid string) (db.Tx, bool, error) {
	src, opts, err := log.Open(ctx, 0)
	if err != nil {
		return db.Tx{}, false, fmt.Errorf("open %s: %w", log.Name(), err)
	}
	defer src.Close()
	p := binlog.NewParser(src, opts)
	p.Want = func(string, string) bool { return false }
	wasOpen := false
	for ctx.Err() == nil {
		ev, err := p.Next()
		if err != nil {
			// What cannot be read does not hold the transaction as far as anybody can tell.
			return db.Tx{}, false, unlessLogEnd(err)
		}
		ended := wasOpen && !p.Open() || ev.Kind == binlog.Query && !p.Open()
		wasOpen = p.Open()
		if !ended {
			continue
		}
		tx, err := p.Tx()
		if err == nil && strings.EqualFold(tx.GTID, gtid) {
			tx.File = log.Name()
			return tx, true, nil
		}
	}
	return db.Tx{}, false, ctx.Err()
}

// unlessLogEnd drops the errors that only say that a log's readable part is over.
func unlessLogEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if _, ok := errors.AsType[*binlog.CorruptError](err); ok {
		return nil
	}
	return err
}
