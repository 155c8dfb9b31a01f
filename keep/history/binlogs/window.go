package binlogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

// bracket picks the logs that can hold the window's transactions, and notes files that are
// missing between them.
func bracket(ctx context.Context, logs []Log, w history.Window) ([]part, []history.Gap, error) {
	from, err := boundFile(logs, w.Since, 0)
	if err != nil {
		return nil, nil, err
	}
	to, err := boundFile(logs, w.Until, len(logs)-1)
	if err != nil {
		return nil, nil, err
	}
	var parts []part
	var gaps []history.Gap
	for _, run := range series(logs[from:max(from, to+1)]) {
		if run, err = inTime(ctx, run, w); err != nil {
			return nil, nil, err
		}
		gaps = append(gaps, missing(run)...)
		for _, l := range run {
			p := part{log: l}
			if l.Name() == w.Since.File {
				p.from = w.Since.Pos
			}
			parts = append(parts, p)
		}
	}
	return parts, gaps, nil
}

// series splits logs where another base name begins: the logs of another server, or from
// before the server's log_bin was changed, have times of their own.
func series(logs []Log) [][]Log {
	var out [][]Log
	for i := 0; i < len(logs); {
		base, _, _ := number(logs[i].Name())
		n := i + 1
		for ; n < len(logs); n++ {
			if b, _, _ := number(logs[n].Name()); b != base {
				break
			}
		}
		out = append(out, logs[i:n])
		i = n
	}
	return out
}

// inTime narrows one series down to the logs that can hold transactions committed in the
// window. What a log holds was committed after it was opened - on a replica, which logs the
// times of its source, maybe before. So the last log opened at or before Since is the first one
// needed, and a log is beyond Until when its first transaction is. A log that cannot be asked
// stays in, so that the scan reports why.
func inTime(ctx context.Context, logs []Log, w history.Window) ([]Log, error) {
	if t := w.Since.Time; !t.IsZero() {
		for i := len(logs) - 1; i > 0; i-- {
			if at, err := logs[i].Started(ctx); err == nil && !at.After(t) {
				logs = logs[i:]
				break
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	if t := w.Until.Time; !t.IsZero() {
		for len(logs) > 1 {
			last := logs[len(logs)-1]
			if at, err := last.Started(ctx); err != nil || at.Before(t) {
				break
			}
			if at, err := firstCommit(ctx, last); err != nil || !at.IsZero() && at.Before(t) {
				break
			}
			logs = logs[:len(logs)-1]
		}
	}
	return logs, ctx.Err()
}

// firstCommit is when the first transaction in a log was committed; zero when it has none.
func firstCommit(ctx context.Context, log Log) (at time.Time, err error) {
	err = eachTransaction(ctx, log, func(tx db.Tx) bool {
		at = tx.At
		return false
	})
	return at, err
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
	for _, log := range slices.Backward(logs) {
		tx, ok, err := locateIn(ctx, log, gtid)
		if err != nil {
			return db.Tx{}, err
		}
		if ok {
			return tx, nil
		}
	}
	return db.Tx{}, lull.Errorf(lull.Usage, "list the transactions there are with `lull find --all`", "no transaction %s is in these binlogs", gtid)
}

func locateIn(ctx context.Context, log Log, gtid string) (found db.Tx, ok bool, err error) {
	err = eachTransaction(ctx, log, func(tx db.Tx) bool {
		if ok = strings.EqualFold(tx.GTID, gtid); ok {
			found = tx
		}
		return !ok
	})
	// What cannot be read does not hold the transaction as far as anybody can tell.
	return found, ok, unlessLogEnd(err)
}

// eachTransaction calls fn with the transactions of a log until it returns false.
func eachTransaction(ctx context.Context, log Log, fn func(db.Tx) bool) error {
	src, opts, err := log.Open(ctx, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", log.Name(), err)
	}
	defer src.Close()
	p := binlog.NewParser(src, opts)
	p.Want = func(string, string) bool { return false }
	for ctx.Err() == nil {
		ev, err := p.Next()
		if err != nil {
			return err
		}
		if !ends(p, ev) {
			continue
		}
		tx, err := p.Tx()
		if err != nil {
			return err
		}
		tx.File = log.Name()
		if !fn(tx) {
			return nil
		}
	}
	return ctx.Err()
}

// ends says that an event is the last of its transaction.
func ends(p *binlog.Parser, ev *binlog.Event) bool {
	switch ev.Kind {
	case binlog.Commit, binlog.Rollback, binlog.Prepared, binlog.XACommit, binlog.XARollback:
		return true
	case binlog.Query:
		return !p.Open()
	}
	return false
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
