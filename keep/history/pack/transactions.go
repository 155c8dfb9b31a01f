package pack

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// The bits of a touch's flags: what of it is written.
const (
	touchStatement = 1 << iota
	touchStatements
	touchNoWhere
	touchDDL
	touchColumns
	touchIncomplete
	touchChildren
	touchFKOff // says it all, nothing is written
	touchPlan
	touchKnown = 1<<iota - 1
)

// How a reference to a text begins: 0 is "", 1 that a new text follows, and 2 the first text.
const (
	refEmpty = iota
	refNew
	refFirst
)

// How a GTID is written: not at all, as a text that ends in a number, or as it is.
const (
	gtidNone = iota
	gtidNumbered
	gtidText
)

// TransactionWriter makes the payload of a transactions member, in order of Seq. The zero
// TransactionWriter is empty. It is for one goroutine.
type TransactionWriter struct {
	buf   []byte
	count int64
	seq   history.Seq
	end   int64 // of the transaction before
	at    int64 // its commit time, microseconds since 1970
	id    uint64
	texts map[string]uint64 // reference of each text so far
}

// Add appends a transaction and what it did to tables; it keeps nothing but texts of them. The
// time is kept to the microsecond. Of a touch Tx is left out, because it is tx, and Net,
// because it depends on where a scan began.
func (w *TransactionWriter) Add(seq history.Seq, tx *db.Tx, touches []history.Touch) {
	at := tx.At.UnixMicro()
	w.uint(uint64(seq - w.seq))
	w.ref(tx.File)
	w.int(tx.Start - w.end)
	w.int(tx.End - tx.Start)
	w.int(at - w.at)
	w.uint(uint64(tx.Thread))
	w.uint(uint64(tx.Server))
	w.gtid(tx.GTID)
	w.uint(uint64(len(touches)))
	for i := range touches {
		w.touch(&touches[i])
	}
	w.seq, w.end, w.at = seq, tx.End, at
	w.count++
}

func (w *TransactionWriter) touch(t *history.Touch) {
	w.uint(touchFlags(t))
	w.name(t.Table)
	w.ref(string(t.Origin))
	w.uint(uint64(t.Inserted))
	w.uint(uint64(t.Updated))
	w.uint(uint64(t.Deleted))
	if t.Statement != "" {
		w.text(t.Statement)
	}
	if t.Statements != 0 {
		w.uint(uint64(t.Statements))
	}
	for _, s := range []string{t.NoWhere, t.DDL, t.Incomplete, t.Plan} {
		if s != "" {
			w.ref(s)
		}
	}
	if len(t.Columns) > 0 {
		w.uint(uint64(len(t.Columns)))
		for _, c := range t.Columns {
			w.ref(c)
		}
	}
	if len(t.Children) > 0 {
		w.uint(uint64(len(t.Children)))
		for _, c := range t.Children {
			w.name(c)
		}
	}
}

func touchFlags(t *history.Touch) uint64 {
	var flags uint64
	set := func(bit uint64, on bool) {
		if on {
			flags |= bit
		}
	}
	set(touchStatement, t.Statement != "")
	set(touchStatements, t.Statements != 0)
	set(touchNoWhere, t.NoWhere != "")
	set(touchDDL, t.DDL != "")
	set(touchColumns, len(t.Columns) > 0)
	set(touchIncomplete, t.Incomplete != "")
	set(touchChildren, len(t.Children) > 0)
	set(touchFKOff, t.ForeignKeysOff)
	set(touchPlan, t.Plan != "")
	return flags
}

func (w *TransactionWriter) uint(n uint64) { w.buf = binary.AppendUvarint(w.buf, n) }
func (w *TransactionWriter) int(n int64)   { w.buf = binary.AppendVarint(w.buf, n) }

func (w *TransactionWriter) text(s string) {
	w.uint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

func (w *TransactionWriter) name(n db.Name) {
	w.ref(n.Schema)
	w.ref(n.Table)
}

// ref appends a text that is likely to come again.
func (w *TransactionWriter) ref(s string) {
	if s == "" {
		w.uint(refEmpty)
		return
	}
	if r, ok := w.texts[s]; ok {
		w.uint(r)
		return
	}
	if w.texts == nil {
		w.texts = map[string]uint64{}
	}
	w.texts[s] = uint64(len(w.texts)) + refFirst
	w.uint(refNew)
	w.text(s)
}

func (w *TransactionWriter) gtid(s string) {
	prefix, id, ok := splitGTID(s)
	switch {
	case s == "":
		w.uint(gtidNone)
	case ok:
		w.uint(gtidNumbered)
		w.ref(prefix)
		w.int(int64(id - w.id))
		w.id = id
	default:
		w.uint(gtidText)
		w.text(s)
	}
}

// splitGTID splits "0-1-270" and "3e11fa47-...:23" before the last number, when joining the
// two again makes the same text.
func splitGTID(s string) (prefix string, id uint64, ok bool) {
	at := len(s)
	for at > 0 && s[at-1] >= '0' && s[at-1] <= '9' {
		at--
	}
	digits := s[at:]
	if digits == "" || digits[0] == '0' && len(digits) > 1 {
		return "", 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return s[:at], id, err == nil
}

// Bytes is the payload so far, valid until the next Add or Reset.
func (w *TransactionWriter) Bytes() []byte { return w.buf }

// Len is how many bytes the payload has so far.
func (w *TransactionWriter) Len() int { return len(w.buf) }

// Count is how many transactions the payload has so far.
func (w *TransactionWriter) Count() int64 { return w.count }

// Reset empties the writer and keeps its room.
func (w *TransactionWriter) Reset() {
	clear(w.texts)
	*w = TransactionWriter{buf: w.buf[:0], texts: w.texts}
}

// EachTransaction hands the transactions of a transactions payload to fn; the slice of touches
// is valid until it returns, what they hold for good. Times are in UTC, and each touch has the
// transaction in Tx. An error of fn ends it; damage is a CorruptError.
func EachTransaction(payload []byte, fn func(history.Seq, db.Tx, []history.Touch) error) error {
	d := transactionReader{cursor: cursor{src: payload, what: string(Transactions)}}
	for ; d.more(); d.record++ {
		d.next()
		if d.why != "" {
			break
		}
		if err := fn(d.seq, d.tx, d.touches); err != nil {
			return err
		}
	}
	return d.err()
}

type transactionReader struct {
	cursor
	seq     history.Seq
	tx      db.Tx
	at      int64
	id      uint64
	touches []history.Touch
	texts   []string
}

func (d *transactionReader) next() {
	d.seq += history.Seq(d.uvarint())
	d.tx.File = d.ref()
	d.tx.Start = d.tx.End + d.varint()
	d.tx.End = d.tx.Start + d.varint()
	d.at += d.varint()
	d.tx.At = time.UnixMicro(d.at).UTC()
	d.tx.Thread = d.uint32()
	d.tx.Server = d.uint32()
	d.tx.GTID = d.gtid()
	d.touches = d.touches[:0]
	for n := d.uvarint(); n > 0 && d.why == ""; n-- {
		d.touches = append(d.touches, history.Touch{Tx: d.tx})
		d.touch(&d.touches[len(d.touches)-1])
	}
}

func (d *transactionReader) touch(t *history.Touch) {
	flags := d.uvarint()
	if flags&^touchKnown != 0 {
		d.fail("a touch has unknown flags")
	}
	t.Table = d.name()
	t.Origin = history.Origin(d.ref())
	t.Inserted, t.Updated, t.Deleted = int64(d.uvarint()), int64(d.uvarint()), int64(d.uvarint())
	t.ForeignKeysOff = flags&touchFKOff != 0
	if flags&touchStatement != 0 {
		t.Statement = string(d.bytes(d.uvarint()))
	}
	if flags&touchStatements != 0 {
		t.Statements = int(d.uvarint())
	}
	if flags&touchNoWhere != 0 {
		t.NoWhere = d.ref()
	}
	if flags&touchDDL != 0 {
		t.DDL = d.ref()
	}
	if flags&touchIncomplete != 0 {
		t.Incomplete = d.ref()
	}
	if flags&touchPlan != 0 {
		t.Plan = d.ref()
	}
	if flags&touchColumns != 0 {
		for n := d.uvarint(); n > 0 && d.why == ""; n-- {
			t.Columns = append(t.Columns, d.ref())
		}
	}
	if flags&touchChildren != 0 {
		for n := d.uvarint(); n > 0 && d.why == ""; n-- {
			t.Children = append(t.Children, d.name())
		}
	}
}

func (d *transactionReader) uint32() uint32 {
	n := d.uvarint()
	if n > 1<<32-1 {
		d.fail("an id is too large")
	}
	return uint32(n)
}

func (d *transactionReader) name() db.Name { return db.Name{Schema: d.ref(), Table: d.ref()} }

func (d *transactionReader) ref() string {
	switch r := d.uvarint(); {
	case r == refEmpty:
		return ""
	case r == refNew:
		s := string(d.bytes(d.uvarint()))
		d.texts = append(d.texts, s)
		return s
	case r-refFirst < uint64(len(d.texts)):
		return d.texts[r-refFirst]
	}
	d.fail("a reference names no text")
	return ""
}

func (d *transactionReader) gtid() string {
	switch d.uvarint() {
	case gtidNone:
		return ""
	case gtidNumbered:
		prefix := d.ref()
		d.id += uint64(d.varint())
		return prefix + strconv.FormatUint(d.id, 10)
	case gtidText:
		return string(d.bytes(d.uvarint()))
	}
	d.fail("a GTID is of an unknown kind")
	return ""
}
