package binlogs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// Query says which touches a scan reports.
type Query struct {
	Window history.Window
	Tables history.Names
	// MinRows is how many rows a transaction must have deleted or updated in a table to be
	// reported; statements that empty or drop a table always are.
	MinRows int64
	// NoWhere also reports smaller transactions whose statement has no WHERE.
	NoWhere bool
	// All reports every transaction with at least MinRows rows, those that only inserted, too.
	All bool
	// From leaves out the transactions that end at or before it, in its file; the window must
	// begin at the head of that file.
	From history.Place
	// ID reports the touch of that id and nothing else, without counting its rows.
	ID string
	// Others leaves out what Lull's own plans did.
	Others bool
	// Places asks for where the transactions lie and one total a table, instead of a Touch for
	// each: a window may hold millions.
	Places bool
	// Progress, when set, is called now and then with the bytes read so far.
	Progress func(read int64)
}

// Parallel is how many logs are read at once.
const Parallel = 2

// scanner reads one log.
type scanner struct {
	q        *Query
	p        *binlog.Parser
	file     string
	origin   history.Origin
	res      history.Result
	reported int64 // bytes that Progress was told of
	tx       transaction
	stats    map[*binlog.TableMap]*history.Stats
	versions map[*binlog.TableMap]*versions
	xa       xaLog
}

func newScanner(q *Query, log Log, src io.Reader, opts binlog.Options) *scanner {
	s := &scanner{
		q: q, file: log.Name(), p: binlog.NewParser(src, opts),
		stats: map[*binlog.TableMap]*history.Stats{}, versions: map[*binlog.TableMap]*versions{},
	}
	s.res.Stats = map[db.Name]*history.Stats{}
	switch {
	case q.ID != "": // an id is made of the transaction and the table: no row is needed
		s.p.Want = func(string, string) bool { return false }
	case len(q.Tables) > 0:
		s.p.Want = q.Tables.Has
	}
	return s
}

// run reads to the end of the log. Damage ends the scan and becomes a gap, because what was
// read before it is good.
func (s *scanner) run(ctx context.Context) error {
	for n := 0; ; n++ {
		if n&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.progress()
		}
		ev, err := s.p.Next()
		if err == nil {
			err = s.event(ev)
		}
		if err != nil {
			s.progress()
			return s.ended(err)
		}
	}
}

func (s *scanner) progress() {
	if s.q.Progress != nil {
		s.q.Progress(s.p.Pos() - s.reported)
	}
	s.reported = s.p.Pos()
}

func (s *scanner) ended(err error) error {
	if errors.Is(err, errBeyond) || errors.Is(err, io.EOF) && !s.p.Open() {
		return nil
	}
	if errors.Is(err, io.EOF) {
		s.gap("the log ends inside a transaction: it was cut off, or the server crashed and undid it")
		return nil
	}
	if bad, ok := errors.AsType[*binlog.CorruptError](err); ok {
		s.res.Gaps = append(s.res.Gaps, history.Gap{File: s.file, Pos: bad.Pos, Reason: bad.Error() + "; nothing behind it was read"})
		return nil
	}
	return fmt.Errorf("read %s: %w", s.file, err)
}

// errBeyond ends a scan at the window's upper place.
var errBeyond = errors.New("beyond the window")

func (s *scanner) gap(reason string) {
	s.res.Gaps = append(s.res.Gaps, history.Gap{File: s.file, Pos: s.p.Pos(), Reason: reason})
}

func (s *scanner) event(ev *binlog.Event) error {
	switch ev.Kind {
	case binlog.Begin:
		return s.begin()
	case binlog.Statement:
		s.tx.statement(ev.SQL)
	case binlog.Touched:
		s.tx.touch(ev.Table)
	case binlog.Changed:
		return s.rows(ev.Rows)
	case binlog.Query:
		if err := s.begin(); err != nil {
			return err
		}
		return s.query(ev)
	case binlog.Commit, binlog.Rollback, binlog.Prepared:
		return s.commit(ev)
	case binlog.XACommit, binlog.XARollback:
		s.decide(ev.XID, ev.Kind == binlog.XACommit)
		s.tx.reset()
	case binlog.Incident:
		s.gap("the server says that changes are missing from its log here (incident event)")
	case binlog.Started:
		s.origin = history.MySQL
		if bytes.Contains(ev.SQL, []byte("MariaDB")) {
			s.origin = history.MariaDB
		}
		s.tx.reset()
	}
	return nil
}

// begin starts a transaction unless one is open.
func (s *scanner) begin() error {
	if s.tx.open {
		return nil
	}
	if until := s.q.Window.Until; until.File == s.file && s.p.Start() >= until.Pos { // a GTID comes before the BEGIN
		return errBeyond
	}
	s.tx.reset()
	s.tx.open = true
	return nil
}

func (s *scanner) rows(r *binlog.Rows) error {
	n, err := r.Count()
	if err != nil {
		return &binlog.CorruptError{Pos: s.p.Pos(), Reason: err.Error()}
	}
	c := countsOf(r.Op, int64(n))
	if maybeVersioned(r.Table) {
		c = s.versioned(r, c)
	}
	s.tx.add(r, c)
	return nil
}

// commit counts the transaction and reports its tables.
func (s *scanner) commit(ev *binlog.Event) error {
	defer s.tx.reset()
	s.res.Transactions++
	if len(s.tx.slots) == 0 && len(s.tx.statements) == 0 || s.before(ev) {
		return nil
	}
	in, err := s.inWindow()
	if err != nil || !in {
		return err
	}
	var held *prepared
	if ev.Kind == binlog.Prepared {
		held = s.xa.hold(ev.XID)
	}
	reported, passed := false, false
	for i := range s.tx.slots {
		sl := &s.tx.slots[i]
		if sl.rows() == 0 && s.q.ID == "" || !s.q.Tables.Has(sl.t.Schema, sl.t.Table) {
			continue
		}
		s.count(sl, ev, held)
		passed = passed || sl.updated+sl.deleted == 0 && sl.inserted >= s.q.MinRows
		wanted, err := s.wanted(sl)
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		reported = true
		if err := s.report(sl, ev, held); err != nil {
			return err
		}
	}
	if passed && !reported && s.q.ID == "" {
		s.res.Passed++
	}
	return s.reportStatements()
}

// before says that the transaction ends before the place that the query starts from.
func (s *scanner) before(ev *binlog.Event) bool {
	return s.q.From.File == s.file && ev.End <= s.q.From.Start
}

// inWindow judges the open transaction by its commit time.
func (s *scanner) inWindow() (bool, error) {
	since, until := s.q.Window.Since.Time, s.q.Window.Until.Time
	if since.IsZero() && until.IsZero() {
		return true, nil
	}
	tx, err := s.p.Tx()
	if err != nil {
		return false, err
	}
	return within(tx.At, since, until), nil
}

func within(t, since, until time.Time) bool {
	return (since.IsZero() || !t.Before(since)) && (until.IsZero() || t.Before(until))
}

// count adds a table's share to its statistics, or to what waits for an XA decision.
func (s *scanner) count(sl *slot, ev *binlog.Event, held *prepared) {
	minute := int64(ev.Header.Time) / 60
	if held != nil {
		held.counts = append(held.counts, tableCounts{sl.name(), sl.counts, minute})
		return
	}
	st := s.stats[sl.t]
	if st == nil {
		if len(s.stats) > maxCached {
			clear(s.stats)
		}
		st = statsOf(&s.res, sl.name())
		s.stats[sl.t] = st
	}
	st.Add(sl.inserted, sl.updated, sl.deleted, minute)
}

// maxCached bounds what is remembered of table maps, which every DDL makes anew.
const maxCached = 4096

func statsOf(r *history.Result, name db.Name) *history.Stats {
	st := r.Stats[name]
	if st == nil {
		st = &history.Stats{Table: name}
		r.Stats[name] = st
	}
	return st
}

// wanted says that a table's share of the open transaction is to be reported.
func (s *scanner) wanted(sl *slot) (bool, error) {
	destroyed := sl.updated + sl.deleted
	switch {
	case s.q.ID != "":
		tx, err := s.transaction()
		touch := history.Touch{Tx: tx, Table: sl.name()}
		return err == nil && touch.ID() == s.q.ID, err
	case s.q.Others && planOf(sl.text) != "":
		return false, nil
	case s.q.All:
		return sl.rows() >= s.q.MinRows, nil
	case destroyed >= s.q.MinRows:
		return destroyed > 0, nil
	}
	return s.q.NoWhere && destroyed > 0 && sl.mayLackWhere() && sl.noWhere() != "", nil
}

// transaction describes the open transaction.
func (s *scanner) transaction() (db.Tx, error) {
	tx, err := s.p.Tx()
	tx.File = s.file
	return tx, err
}
