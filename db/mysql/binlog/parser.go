package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lull-ops/lull/db"
)

// EventKind says what an Event means.
type EventKind uint8

// The kinds of events a Parser hands out.
const (
	Begin      EventKind = iota + 1 // a transaction begins
	Statement                       // the text of the statement whose rows follow; SQL is set
	Touched                         // a table map: the statement opened Table for writing
	Changed                         // Rows is set
	Query                           // a statement logged as text: DDL, or DML under STATEMENT format; SQL and Schema are set
	Commit                          // the transaction is durable
	Rollback                        // it ended without effect, or with the effect of its non-transactional tables
	Prepared                        // XA: it will be committed or rolled back later, under XID
	XACommit                        // the prepared transaction XID was committed
	XARollback                      // the prepared transaction XID was rolled back
	Incident                        // the server says that changes are missing from its log
	Rotate                          // the log goes on in the file SQL names
	Stop                            // the server shut down
	Started                         // a format description: the server (re)started the log; SQL is its version
)

// Event is one step of a log. It and what it points to are valid until the next call of Next.
type Event struct {
	Kind     EventKind
	Header   Header
	Pos, End int64 // offsets in the file, of the enclosing event inside a compressed transaction
	SQL      []byte
	Schema   string
	Table    *TableMap
	Rows     *Rows
	XID      string
}

// Parser reads one binlog file's events and keeps the state they need: table maps, the
// transaction they belong to, compression.
type Parser struct {
	// Want filters row events by table; nil wants all. Table maps are always handed out.
	Want func(schema, table string) bool

	src    *reader
	raw    rawEvent
	ev     Event
	rows   Rows
	tables tableCache
	z      inflater
	zq     inflater
	inner  *payload // the compressed transaction being read
	unpack *payload // for the next one
	maria  bool     // MariaDB wrote the log

	open    bool
	gtidRaw rawEvent // the last GTID event, parsed only when somebody asks
	start   int64
	begun   Header
	thread  uint32
	// explicit: the transaction ends with a commit event, not with its first statement
	explicit bool
	xa       bool // it began with XA START
}

// NewParser parses the log in src.
func NewParser(src io.Reader, opts Options) *Parser {
	return &Parser{src: newReader(src, opts)}
}

// Pos is the offset behind the last event read whole.
func (p *Parser) Pos() int64 { return p.src.pos }

// Open says that a transaction has begun and not ended.
func (p *Parser) Open() bool { return p.open }

// XA says that the open transaction is one of XA: it may end as Prepared.
func (p *Parser) XA() bool {
	const flagsAt = 12
	if p.gtidRaw.Type == MariaGTIDEvent && len(p.gtidRaw.body) > flagsAt {
		return p.open && p.gtidRaw.body[flagsAt]&mariaPreparedXA != 0
	}
	return p.open && p.xa
}

// Start is the offset of the first event of the transaction that the last event belongs to.
func (p *Parser) Start() int64 { return p.start }

// Tx describes the transaction that the last event belongs to; File is left empty.
func (p *Parser) Tx() (db.Tx, error) {
	tx := db.Tx{Start: p.start, End: p.ev.End, At: time.Unix(int64(p.ev.Header.Time), 0).UTC(), Thread: p.thread, Server: p.begun.Server}
	if p.gtidRaw.Type == 0 {
		return tx, nil
	}
	g, err := parseAnyGTID(&p.gtidRaw)
	if err != nil {
		return tx, &CorruptError{Pos: p.gtidRaw.pos, Reason: err.Error()}
	}
	tx.GTID = g.text
	if !g.commit.IsZero() {
		tx.At = g.commit
	}
	if g.thread != 0 {
		tx.Thread = g.thread
	}
	return tx, nil
}

func parseAnyGTID(ev *rawEvent) (gtid, error) {
	switch ev.Type {
	case MariaGTIDEvent:
		return parseMariaGTID(ev.Header, ev.body)
	case GTIDTaggedEvent:
		return parseTaggedGTID(ev.body)
	}
	return parseGTID(ev.body, ev.Type == AnonymousGTIDEvent)
}

// Next reads up to the next event that means something. It returns io.EOF at the end of the
// source, *CorruptError where the log is damaged or cut off, *UnsupportedError where it
// cannot be read; everything handed out before is good. Only of a compressed transaction of
// more than 16 MiB are rows handed out before its checksum was verified; its Commit never is.
func (p *Parser) Next() (*Event, error) {
	for {
		if err := p.read(); err != nil {
			return nil, err
		}
		p.clear()
		if p.inner != nil {
			p.ev.Pos, p.ev.End = p.inner.pos, p.inner.end
		}
		if err := p.handle(); err != nil {
			return nil, p.locate(err)
		}
		if p.ev.Kind != 0 {
			return &p.ev, nil
		}
	}
}

// clear begins the event to hand out. It goes field by field, which the processor does faster
// than a copy of what was written a moment ago in smaller pieces.
func (p *Parser) clear() {
	h := &p.ev.Header
	h.Time, h.Type, h.Server, h.Size, h.LogPos, h.Flags = p.raw.Time, p.raw.Type, p.raw.Server, p.raw.Size, p.raw.LogPos, p.raw.Flags
	p.ev.Kind, p.ev.Pos, p.ev.End = 0, p.raw.pos, p.raw.pos+int64(p.raw.Size)
	p.ev.SQL, p.ev.Schema, p.ev.Table, p.ev.Rows, p.ev.XID = nil, "", nil, nil, ""
}

// locate gives a parse error the place of its event.
func (p *Parser) locate(err error) error {
	if _, ok := errors.AsType[*CorruptError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*UnsupportedError](err); ok {
		return err
	}
	return &CorruptError{Pos: p.ev.Pos, Reason: err.Error()}
}

// read takes the next event from the compressed transaction being read, or from the file.
func (p *Parser) read() error {
	for {
		if p.inner != nil {
			if err := p.inner.next(&p.raw); !errors.Is(err, io.EOF) {
				return err
			}
			p.inner = nil
		}
		if err := p.src.head(&p.raw); err != nil {
			return err
		}
		if p.raw.Type != TransactionPayloadEvent {
			return p.src.take(&p.raw)
		}
		if p.unpack == nil {
			p.unpack = newPayload()
		}
		if err := p.unpack.open(p.src, &p.raw); err != nil {
			return err
		}
		p.inner = p.unpack
	}
}

func (p *Parser) handle() error {
	if shape := &rowShapes[p.raw.Type]; shape.op != 0 {
		return p.handleRows(shape)
	}
	body := p.raw.body
	switch p.raw.Type {
	case GTIDEvent, AnonymousGTIDEvent, GTIDTaggedEvent, MariaGTIDEvent:
		p.beginGTID()
	case QueryEvent:
		return p.handleQuery(body, false)
	case MariaQueryCompressed:
		return p.handleQuery(body, true)
	case MariaAnnotateRowsEvent:
		p.ev.Kind, p.ev.SQL = Statement, body
	case RowsQueryEvent:
		if len(body) > 1 {
			p.ev.Kind, p.ev.SQL = Statement, body[1:]
		}
	case TableMapEvent:
		return p.handleTableMap(body)
	case XIDEvent:
		p.end(Commit)
	case XAPrepareEvent:
		return p.handlePrepare(body)
	case RotateEvent:
		if len(body) < 8 {
			return errors.New("rotate event is cut short")
		}
		p.ev.Kind, p.ev.SQL = Rotate, body[8:]
	case StopEvent:
		p.ev.Kind = Stop
	case IncidentEvent:
		p.ev.Kind = Incident
	case MariaStartEncryptionEvent:
		if p.src.opts.NoMagic {
			return nil // the server decrypts what it sends, and sends this event, too
		}
		return &UnsupportedError{p.raw.pos, "the file is encrypted (MariaDB encrypt_binlog); read it through the server with --db, which decrypts it"}
	case FormatDescriptionEvent:
		p.tables = tableCache{}
		p.maria = len(body) >= formatFixed+mariaTypes
		p.ev.Kind, p.ev.SQL = Started, bytes.TrimRight(body[2:52], "\x00")
	}
	return nil
}

// A format description is version 2 bytes, server 50, time 4, header length 1, then a byte
// for each event type the server knows. MariaDB's own types begin at 160.
const (
	formatFixed = 2 + 50 + 4 + 1
	mariaTypes  = 160
)

// beginGTID notes that a transaction starts. MySQL follows with a BEGIN query, MariaDB with
// the first statement at once.
func (p *Parser) beginGTID() {
	p.begin()
	p.gtidRaw.Header, p.gtidRaw.pos = p.raw.Header, p.raw.pos
	p.gtidRaw.body = append(p.gtidRaw.body[:0], p.raw.body...)
	if p.raw.Type == MariaGTIDEvent && len(p.raw.body) > 12 {
		p.explicit = p.raw.body[12]&mariaStandalone == 0
		p.ev.Kind = Begin
	}
}

func (p *Parser) begin() {
	p.open, p.explicit, p.xa = true, false, false
	p.start, p.begun, p.thread = p.ev.Pos, p.raw.Header, 0
	p.gtidRaw.Type = 0
}

func (p *Parser) end(kind EventKind) {
	p.open = false
	p.ev.Kind = kind
}

// handleQuery reads a query event: thread 4 bytes, seconds 4, schema length 1, error 2,
// status variables' length 2, then those, the schema with a zero byte, and the text.
func (p *Parser) handleQuery(body []byte, compressed bool) error {
	c := cursor{b: body}
	thread := uint32(c.uint(4))
	c.take(4)
	schema := int(c.u8())
	c.take(2)
	c.take(int(c.uint(2)))
	name := c.take(schema)
	c.u8()
	if c.bad {
		return errors.New("query event is cut short")
	}
	sql := c.b
	if compressed {
		var err error
		if sql, err = p.zq.inflate(sql); err != nil {
			return fmt.Errorf("query event: %w", err)
		}
	}
	p.query(thread, name, sql)
	return nil
}

func (p *Parser) query(thread uint32, schema, sql []byte) {
	verb := controlVerb(sql)
	if !p.open {
		p.begin()
	}
	p.thread = thread
	switch verb {
	case Begin:
		p.explicit, p.xa = true, hasPrefixFold(sql, "XA ")
		p.ev.Kind = Begin
	case Commit, Rollback:
		p.end(verb)
	case XACommit, XARollback:
		p.ev.XID = xaTarget(sql)
		p.end(verb)
	default:
		p.ev.Kind, p.ev.SQL, p.ev.Schema = Query, sql, string(schema)
		p.open = p.explicit
	}
}

// controlVerb recognises the statements that servers log to delimit transactions; 0 is any other.
func controlVerb(sql []byte) EventKind {
	if len(sql) < 5 || len(sql) > 600 {
		return 0
	}
	switch {
	case isWord(sql, "BEGIN"), hasPrefixFold(sql, "XA START "), hasPrefixFold(sql, "XA BEGIN "):
		return Begin
	case isWord(sql, "COMMIT"):
		return Commit
	case isWord(sql, "ROLLBACK"):
		return Rollback
	case hasPrefixFold(sql, "XA COMMIT "):
		return XACommit
	case hasPrefixFold(sql, "XA ROLLBACK "):
		return XARollback
	}
	return 0
}

func isWord(sql []byte, word string) bool {
	return len(sql) == len(word) && hasPrefixFold(sql, word)
}

func hasPrefixFold(sql []byte, prefix string) bool {
	return len(sql) >= len(prefix) && bytes.EqualFold(sql[:len(prefix)], []byte(prefix))
}

// xaTarget is the xid that an XA statement names, in the form of xidText, without options.
func xaTarget(sql []byte) string {
	f := bytes.Fields(sql)
	if len(f) < 3 {
		return ""
	}
	return string(f[2])
}

func (p *Parser) handleTableMap(body []byte) error {
	id, ok := tableID(body)
	if !ok {
		return errors.New("table map is cut short")
	}
	m := p.tables.get(id)
	if m == nil || !bytes.Equal(m.body, body) {
		t, err := parseTableMap(body, p.maria)
		unknown, _ := errors.AsType[*unknownTypeError](err)
		if err != nil && unknown == nil {
			return err
		}
		m = &cachedMap{body: bytes.Clone(body), t: t, unknown: unknown, want: p.Want == nil || p.Want(t.Schema, t.Table)}
		p.tables.put(id, m)
	}
	if !p.open {
		p.begin()
	}
	p.ev.Kind, p.ev.Table = Touched, m.t
	return nil
}

func (p *Parser) handleRows(s *rowShape) error {
	id, ok := tableID(p.raw.body)
	if !ok {
		return errors.New("row event is cut short")
	}
	m := p.tables.get(id)
	if m == nil {
		if id == dummyTableID {
			return nil
		}
		return fmt.Errorf("row event for table id %d, which no table map describes", id)
	}
	if !m.want {
		return nil
	}
	if m.unknown != nil {
		return &UnsupportedError{p.ev.Pos, fmt.Sprintf("%s.%s: %v", m.t.Schema, m.t.Table, m.unknown)}
	}
	if err := p.rows.parse(s, p.raw.body, m.t, &p.z); err != nil {
		return err
	}
	p.ev.Kind, p.ev.Rows, p.ev.Table = Changed, &p.rows, m.t
	return nil
}

// dummyTableID marks an empty row event that only ends a statement.
const dummyTableID = 0xffffff

// handlePrepare reads an XA prepare event: one-phase flag 1 byte, format 4, lengths 4+4, data.
func (p *Parser) handlePrepare(body []byte) error {
	c := cursor{b: body}
	onePhase := c.u8() != 0
	format := uint32(c.uint(4))
	gl, bl := int(c.uint(4)), int(c.uint(4))
	gtrid, bqual := c.take(gl), c.take(bl)
	if c.bad {
		return errors.New("XA prepare event is cut short")
	}
	p.ev.XID = xidText(format, gtrid, bqual)
	if onePhase {
		p.end(Commit)
		return nil
	}
	p.end(Prepared)
	return nil
}

// FormatTime is the time of the first event's header: when the server opened this file. It
// reads the head of a file and nothing else.
func FormatTime(head []byte) (time.Time, bool) {
	if len(head) < 4+headerSize || string(head[:4]) != Magic && string(head[:4]) != encryptedMagic {
		return time.Time{}, false
	}
	sec := binary.LittleEndian.Uint32(head[4:])
	return time.Unix(int64(sec), 0).UTC(), true
}
