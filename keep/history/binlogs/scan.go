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
	"github.com/lull-ops/lull/db/mysql/ddl"
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
	// ID reports the touch of that id and nothing else.
	ID string
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
	q     *Query
	p     *binlog.Parser
	file  string
	res   history.Result
	stats map[*binlog.TableMap]*history.Stats

	slots     []slot // tables of the open transaction, the first used are in use
	used      int
	statement []byte // text of the statement whose rows follow
	fresh     bool   // statement has not been counted for a slot yet
	begun     bool
	origin    history.Origin
	decided   []decision
	pending   []pendingTouch
	reported  int64
}

// slot is what the open transaction did to one table so far.
type slot struct {
	t                          *binlog.TableMap
	inserted, updated, deleted int64
	statements                 int
	here                       int64 // rows of the current statement
	best                       int64 // rows of the statement whose text is kept
	text                       []byte
	incomplete                 string
}

// decision is the fate of a transaction that XA prepared earlier, maybe in another log.
type decision struct {
	xid       string
	committed bool
}

// pendingTouch is a touch whose transaction was only prepared.
type pendingTouch struct {
	xid   string
	index int // in Touches, or in Places
}

func newScanner(q *Query, log Log, src io.Reader, opts binlog.Options) *scanner {
	s := &scanner{q: q, file: log.Name(), p: binlog.NewParser(src, opts), stats: map[*binlog.TableMap]*history.Stats{}}
	s.res.Stats = map[db.Name]*history.Stats{}
	if len(q.Tables) > 0 {
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
	return fmt.Errorf("%s: %w", s.file, err)
}

// errBeyond ends a scan at the window's upper place.
var errBeyond = errors.New("beyond the window")

func (s *scanner) gap(reason string) {
	s.res.Gaps = append(s.res.Gaps, history.Gap{File: s.file, Pos: s.p.Pos(), Reason: reason})
}

func (s *scanner) event(ev *binlog.Event) error {
	switch ev.Kind {
	case binlog.Begin:
		return s.begin(ev)
	case binlog.Statement:
		s.statement, s.fresh = append(s.statement[:0], ev.SQL...), true
	case binlog.Touched:
		s.touch(ev.Table)
	case binlog.Changed:
		return s.rows(ev.Rows)
	case binlog.Query:
		if !s.begun {
			if err := s.begin(ev); err != nil {
				return err
			}
		}
		return s.query(ev)
	case binlog.Commit, binlog.Rollback, binlog.Prepared:
		return s.commit(ev)
	case binlog.XACommit, binlog.XARollback:
		s.decided = append(s.decided, decision{ev.XID, ev.Kind == binlog.XACommit})
		s.reset()
	case binlog.Incident:
		s.gap("the server says that changes are missing from its log here (incident event)")
	case binlog.Started:
		s.origin = history.MySQL
		if bytes.Contains(ev.SQL, []byte("MariaDB")) {
			s.origin = history.MariaDB
		}
		s.reset()
	}
	return nil
}

func (s *scanner) begin(ev *binlog.Event) error {
	until := s.q.Window.Until
	if until.File == s.file && ev.Pos >= until.Pos {
		return errBeyond
	}
	if !s.begun {
		s.reset()
		s.begun = true
	}
	return nil
}

func (s *scanner) reset() {
	s.used, s.begun, s.fresh = 0, false, false
	s.statement = s.statement[:0]
}

// touch finds or makes the open transaction's slot for a table.
func (s *scanner) touch(t *binlog.TableMap) *slot {
	for i := range s.slots[:s.used] {
		sl := &s.slots[i]
		if sl.t == t {
			return sl
		}
		if sl.t.Table == t.Table && sl.t.Schema == t.Schema {
			sl.t = t
			return sl
		}
	}
	if s.used == len(s.slots) {
		s.slots = append(s.slots, slot{})
	}
	sl := &s.slots[s.used]
	s.used++
	*sl = slot{t: t, text: sl.text[:0]}
	return sl
}

func (s *scanner) rows(r *binlog.Rows) error {
	n, err := r.Count()
	if err != nil {
		return &binlog.CorruptError{Pos: s.p.Pos(), Reason: err.Error()}
	}
	sl := s.touch(r.Table)
	destroyed := sl.updated + sl.deleted
	if r.Op != db.Insert && destroyed == 0 {
		sl.best = 0 // the text to keep is that of a statement that destroyed
	}
	switch r.Op {
	case db.Insert:
		sl.inserted += int64(n)
	case db.Update:
		sl.updated += int64(n)
	default:
		sl.deleted += int64(n)
	}
	if sl.incomplete == "" && !r.Complete() {
		sl.incomplete = incomplete(r)
	}
	if s.fresh {
		s.newStatement()
	}
	if sl.here == 0 {
		sl.statements++
	}
	sl.here += int64(n)
	if sl.here > sl.best && len(s.statement) > 0 && (r.Op != db.Insert || destroyed == 0) {
		if sl.here == int64(n) || sl.best == 0 || !bytes.Equal(sl.text, s.kept()) {
			sl.text = append(sl.text[:0], s.kept()...)
		}
		sl.best = sl.here
	}
	return nil
}

// keptText is how much of a statement is kept to judge it; its end may hold the WHERE.
const keptText = 1 << 20

func (s *scanner) kept() []byte { return s.statement[:min(len(s.statement), keptText)] }

func (s *scanner) newStatement() {
	s.fresh = false
	for i := range s.slots[:s.used] {
		s.slots[i].here = 0
	}
}

// incomplete names what a row image lacks, for the first event that lacks something.
func incomplete(r *binlog.Rows) string {
	missing := r.Missing()
	if len(missing) == 0 {
		return ""
	}
	blobs := true
	for _, i := range missing {
		blobs = blobs && isBlob(r.Table.Columns[i].Type)
	}
	if blobs {
		return "NOBLOB"
	}
	return "MINIMAL"
}

func isBlob(t binlog.Type) bool {
	switch t {
	case binlog.TypeBlob, binlog.TypeTinyBlob, binlog.TypeMediumBlob, binlog.TypeLongBlob, binlog.TypeBlobCompressed,
		binlog.TypeJSON, binlog.TypeGeometry, binlog.TypeVector:
		return true
	}
	return false
}

// commit counts the transaction and reports its tables.
func (s *scanner) commit(ev *binlog.Event) error {
	defer s.reset()
	s.res.Transactions++
	if s.used == 0 || ev.Kind == binlog.Rollback && !s.changed() {
		return nil
	}
	if s.q.From.File == s.file && ev.End <= s.q.From.Start {
		return nil
	}
	in, err := s.inWindow()
	if err != nil || !in {
		return err
	}
	for i := range s.slots[:s.used] {
		sl := &s.slots[i]
		if sl.inserted+sl.updated+sl.deleted == 0 || !s.q.Tables.Has(sl.t.Schema, sl.t.Table) {
			continue
		}
		s.count(sl, int64(ev.Header.Time)/60)
		if !s.wanted(sl) {
			continue
		}
		report := s.report
		if s.q.Places {
			report = s.place
		}
		if err := report(sl, ev); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) changed() bool {
	for i := range s.slots[:s.used] {
		if sl := &s.slots[i]; sl.inserted+sl.updated+sl.deleted > 0 {
			return true
		}
	}
	return false
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

func (s *scanner) count(sl *slot, minute int64) {
	st := s.stats[sl.t]
	if st == nil {
		name := db.Name{Schema: sl.t.Schema, Table: sl.t.Table}
		if st = s.res.Stats[name]; st == nil {
			st = &history.Stats{Table: name}
			s.res.Stats[name] = st
		}
		if len(s.stats) > 4*maxStats {
			clear(s.stats)
		}
		s.stats[sl.t] = st
	}
	st.Add(sl.inserted, sl.updated, sl.deleted, minute)
}

// maxStats bounds the shortcut from table maps to their statistics.
const maxStats = 4096

func (s *scanner) wanted(sl *slot) bool {
	if s.q.ID != "" {
		t, err := s.describe(sl)
		return err == nil && t.ID() == s.q.ID
	}
	rows := sl.updated + sl.deleted
	if s.q.All {
		return rows+sl.inserted >= s.q.MinRows
	}
	if rows >= s.q.MinRows {
		return rows > 0
	}
	if sl.inserted >= s.q.MinRows {
		s.res.Passed++
	}
	return s.q.NoWhere && rows > 0 && mayLackWhere(sl.text) && ddl.NoWhere(string(sl.text))
}

// mayLackWhere is a cheap first look, for it is asked of every small transaction.
func mayLackWhere(text []byte) bool {
	if len(text) == 0 || len(text) == keptText {
		return false
	}
	if c := text[0] | 0x20; c >= 'a' && c <= 'z' && c != 'd' && c != 'u' && c != 'w' {
		return false // neither DELETE nor UPDATE nor WITH
	}
	for i := 0; i+5 <= len(text); i++ {
		if text[i]|0x20 == 'w' && bytes.EqualFold(text[i:i+5], []byte("where")) {
			return false
		}
	}
	return true
}
