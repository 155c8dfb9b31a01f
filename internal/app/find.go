package app

import (
	"context"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
	"github.com/lull-ops/lull/watch/accident"
)

// DefaultMinRows is how many rows make a transaction worth showing.
const DefaultMinRows = 100

// Find says what to look for.
type Find struct {
	Window  history.Window
	Tables  history.Names
	MinRows int64 // negative takes DefaultMinRows, and smaller ones without a WHERE
	All     bool
	// Recorded is the repository to read from, nil to read the server's own logs only.
	Recorded Recorded
	// Progress is told the bytes read so far, and the total when it is known.
	Progress func(read, total int64)
}

// Found is what there is.
type Found struct {
	Accidents []accident.Accident // newest first
	Result    *history.Result
	// Own counts the touches of Lull's own plans that were left out.
	Own int
}

// Find scans the logs and judges what it finds.
func (d *Database) Find(ctx context.Context, f Find) (*Found, error) {
	q := binlogs.Query{Window: f.Window, Tables: d.qualify(f.Tables), MinRows: f.MinRows, All: f.All}
	if f.MinRows < 0 {
		q.MinRows, q.NoWhere = DefaultMinRows, true
		if f.All {
			q.MinRows = 1
		}
	}
	q.Progress = meter(f.Progress, d.Logs)
	if f.Recorded == nil {
		if err := d.knownTables(ctx, q.Tables); err != nil {
			return nil, err
		}
		r, err := binlogs.Scan(ctx, d.Logs, q)
		if err != nil {
			return nil, err
		}
		return d.judged(ctx, r, f.All)
	}
	r, err := d.recorded(ctx, f.Recorded, q)
	if err != nil {
		return nil, err
	}
	return d.judged(ctx, r, f.All)
}

// judged orders what was found and leaves out what lull's own plans did.
func (d *Database) judged(ctx context.Context, r *history.Result, all bool) (*Found, error) {
	r.NewestFirst()
	judged, err := accident.Judge(ctx, r, d.live())
	if err != nil {
		return nil, err
	}
	out := &Found{Result: r}
	for i := range judged {
		if own := judged[i].Plan != "" || strings.HasPrefix(judged[i].Table.Table, workPrefix); own && !all {
			out.Own++
			continue
		}
		out.Accidents = append(out.Accidents, judged[i])
	}
	return out, nil
}

// workPrefix begins the names of tables that are only there while lull restores.
const workPrefix = "_lull_"

// Recorded is a repository's part of a database's past. Past reads its transactions in the
// window; from then on, End, the server's own logs go on.
type Recorded interface {
	Past(ctx context.Context, q *binlogs.Query) (*history.Result, error)
	End(ctx context.Context) (pos db.Position, server string, err error)
}

// recorded reads the past from the repository, and what is newer from the server's logs.
func (d *Database) recorded(ctx context.Context, past Recorded, q binlogs.Query) (*history.Result, error) {
	r, err := past.Past(ctx, &q)
	if err != nil || d.Conn == nil {
		return r, err
	}
	pos, server, err := past.End(ctx)
	if err != nil {
		return nil, err
	}
	if here, err := d.Conn.Identity(ctx); err != nil || here != server {
		return r, err // the repository is of another server: its logs do not go on here
	}
	q.Window.Since = history.Bound{File: pos.File, Pos: pos.Offset}
	newer, err := binlogs.Scan(ctx, d.Logs, q)
	if err != nil {
		r.Gaps = append(r.Gaps, history.Gap{File: pos.File, Pos: pos.Offset, Reason: "what came after it was not read: " + err.Error()})
		return r, nil
	}
	r.Touches = append(r.Touches, newer.Touches...)
	r.Gaps = append(r.Gaps, newer.Gaps...)
	r.Files = append(r.Files, newer.Files...)
	r.Transactions += newer.Transactions
	r.Bytes += newer.Bytes
	r.Passed += newer.Passed
	for name, st := range newer.Stats {
		if have := r.Stats[name]; have != nil {
			have.Merge(st)
		} else {
			r.Stats[name] = st
		}
	}
	return r, nil
}

// meter adds up what parallel scans read.
func meter(report func(read, total int64), logs []binlogs.Log) func(int64) {
	if report == nil {
		return nil
	}
	total := int64(0)
	for _, l := range logs {
		total += max(0, l.Size())
	}
	read := make(chan int64, 1)
	read <- 0
	return func(n int64) {
		sum := <-read + n
		report(sum, total)
		read <- sum
	}
}

// live is the database as the judge asks it; nil without a server. The interface must be nil
// itself, not hold a nil pointer.
func (d *Database) live() accident.Live {
	if d.Conn == nil {
		return nil
	}
	return d.Conn
}

// qualify gives names without a schema the default one, where there is a server.
func (d *Database) qualify(names history.Names) history.Names {
	out := make(history.Names, 0, len(names))
	for _, n := range names {
		n = unquoted(n)
		if schema := d.defaultSchema(); schema != "" && !strings.Contains(n, ".") {
			n = schema + "." + n
		}
		out = append(out, n)
	}
	return out
}

// knownTables refuses names that the server does not know, naming the nearest; a table that
// was dropped is known to the log alone, so a name that stood in it is let through.
func (d *Database) knownTables(ctx context.Context, names history.Names) error {
	if d.Conn == nil {
		return nil
	}
	for _, n := range names {
		name, err := parseName(n, d.defaultSchema())
		if err != nil {
			return err
		}
		_, err = d.Conn.Table(ctx, name)
		if lull.KindOf(err) != lull.Usage {
			if err != nil {
				return err
			}
			continue
		}
		r, scanErr := binlogs.Scan(ctx, d.Logs, binlogs.Query{Tables: history.Names{n}, All: true, MinRows: 1, Places: true})
		if scanErr != nil {
			return scanErr
		}
		if len(r.Totals) == 0 && len(r.Touches) == 0 {
			return err
		}
	}
	return nil
}

// ParseBound reads one end of a window: a duration before now ("3h", "2d"), RFC 3339, local
// time ("2026-11-20 14:02", "14:02:11"), a GTID, or FILE:POS.
func ParseBound(s string, now time.Time) (history.Bound, error) {
	if s == "" {
		return history.Bound{}, nil
	}
	if d, ok := parseDuration(s); ok {
		return history.Bound{Time: now.Add(-d)}, nil
	}
	if t, ok := parseTime(s, now); ok {
		return history.Bound{Time: t}, nil
	}
	if isGTID(s) {
		return history.Bound{GTID: s}, nil
	}
	if file, pos, ok := parsePlace(s); ok {
		return history.Bound{File: file, Pos: pos}, nil
	}
	return history.Bound{}, lull.Errorf(lull.Usage, "write 3h, 2d, 14:02, \"2026-11-20 14:02\", 2026-11-20T14:02:11Z, a GTID or mysql-bin.000412:1234",
		"%q is neither a duration, a time, a GTID nor FILE:POS", s)
}

var _ accident.Live = (*mysql.Conn)(nil)

// Touched is a touch of a table by its name, for listing.
func tableNames(totals map[db.Name]*history.Touch) []db.Name {
	out := make([]db.Name, 0, len(totals))
	for n := range totals {
		out = append(out, n)
	}
	return out
}
