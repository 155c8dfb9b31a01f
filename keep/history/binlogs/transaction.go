package binlogs

import (
	"bytes"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// transaction is what the open transaction did so far. It is used again for the next one, so
// that small transactions cost no memory.
type transaction struct {
	open  bool
	slots []slot // one for each table it opened

	text  []byte // of the statement whose rows follow, cut at longText
	whole bool   // the text is not cut
	seq   int    // of the statement, 1 for the first
	ended bool   // the last row event was its statement's last

	statements []history.Touch // logged as text, to be reported when the transaction ends
	savepoint  bool            // part of what is logged was rolled back to a savepoint
}

// counts are rows by what was done to them.
type counts struct{ inserted, updated, deleted int64 }

func countsOf(op db.Op, n int64) counts {
	switch op {
	case db.Insert:
		return counts{inserted: n}
	case db.Update:
		return counts{updated: n}
	}
	return counts{deleted: n}
}

func (c counts) rows() int64 { return c.inserted + c.updated + c.deleted }

// slot is what the open transaction did to one table so far.
type slot struct {
	t *binlog.TableMap
	counts
	statements int
	seq        int   // of the statement that changed rows last
	here       int64 // rows of that statement
	best       int64 // rows of the statement whose text is kept
	text       []byte
	textSeq    int
	whole      bool
	incomplete string // see history.Touch
	foreignOn  bool   // some rows were changed with foreign_key_checks=1
}

func (sl *slot) name() db.Name { return db.Name{Schema: sl.t.Schema, Table: sl.t.Table} }

func (tx *transaction) reset() {
	tx.slots, tx.statements = tx.slots[:0], tx.statements[:0]
	tx.open, tx.ended, tx.savepoint = false, false, false
	tx.seq, tx.text, tx.whole = 0, tx.text[:0], true
}

// Texts are kept whole up to longText to be judged by their WHERE, which stands at the end;
// of statements that cannot lack one only what is reported is kept.
const longText = 4 << 20

func (tx *transaction) statement(sql []byte) {
	keep := history.MaxStatement
	if mayDestroy(sql) {
		keep = longText
	}
	tx.seq++
	tx.ended = false
	tx.text = append(tx.text[:0], sql[:min(len(sql), keep)]...)
	tx.whole = len(sql) <= keep
}

// mayDestroy says that a statement can be a DELETE or an UPDATE: it begins with D, U, WITH,
// SET STATEMENT, or a comment.
func mayDestroy(sql []byte) bool {
	if len(sql) == 0 {
		return false
	}
	switch c := sql[0] | 0x20; c {
	case 'd', 'u', 'w', 's':
		return true
	default:
		return c < 'a' || c > 'z'
	}
}

// touch finds or makes the slot for a table.
func (tx *transaction) touch(t *binlog.TableMap) *slot {
	if tx.ended { // another statement, whose text is not in the log
		tx.statement(nil)
	}
	for i := range tx.slots {
		sl := &tx.slots[i]
		if sl.t == t {
			return sl
		}
		if sl.t.Table == t.Table && sl.t.Schema == t.Schema {
			sl.t = t
			return sl
		}
	}
	if n := len(tx.slots); n < cap(tx.slots) {
		tx.slots = tx.slots[:n+1]
	} else {
		tx.slots = append(tx.slots, slot{})
	}
	sl := &tx.slots[len(tx.slots)-1]
	*sl = slot{t: t, text: sl.text[:0]}
	return sl
}

// add counts the rows of an event.
func (tx *transaction) add(r *binlog.Rows, c counts) {
	sl := tx.touch(r.Table)
	destroyedBefore := sl.updated+sl.deleted > 0
	destroys := c.updated+c.deleted > 0
	sl.inserted += c.inserted
	sl.updated += c.updated
	sl.deleted += c.deleted
	if sl.incomplete == "" && !r.Complete() {
		sl.incomplete = incomplete(r)
	}
	sl.foreignOn = sl.foreignOn || !r.ForeignKeysOff
	if sl.statements == 0 || sl.seq != tx.seq {
		sl.statements++
		sl.seq, sl.here = tx.seq, 0
	}
	sl.here += c.rows()
	if destroys && !destroyedBefore {
		sl.best = 0 // the text to keep is that of a statement that destroyed
	}
	if (destroys || !destroyedBefore) && sl.here > sl.best {
		sl.keep(tx)
	}
	tx.ended = r.StatementEnd
}

// keep takes the statement's text as the table's.
func (sl *slot) keep(tx *transaction) {
	sl.best = sl.here
	if sl.textSeq == tx.seq && tx.seq > 0 {
		return
	}
	sl.textSeq, sl.whole = tx.seq, tx.whole
	sl.text = append(sl.text[:0], tx.text...)
}

// noWhere is why the kept statement hits every row, "" when it does not or nobody knows.
func (sl *slot) noWhere() string {
	if !sl.whole || !mayDestroy(sl.text) {
		return ""
	}
	return ddl.NoWhereReason(string(sl.text))
}

// mayLackWhere is a cheap first look, for it is asked of every small transaction: there is no
// WHERE, or none that begins with a column.
func (sl *slot) mayLackWhere() bool {
	const where = "where"
	at := bytes.Index(sl.text, []byte("WHERE"))
	if at < 0 {
		at = bytes.Index(sl.text, []byte(where))
	}
	for i := 0; at < 0 && i+len(where) <= len(sl.text); i++ {
		if bytes.EqualFold(sl.text[i:i+len(where)], []byte(where)) {
			at = i
		}
	}
	if at < 0 {
		return true
	}
	rest := bytes.TrimLeft(sl.text[at+len(where):], " \t\r\n(")
	if len(rest) == 0 {
		return true
	}
	switch c := rest[0] | 0x20; c {
	case 't', 'n': // TRUE, NOT
		return true
	default:
		return (c < 'a' || c > 'z') && rest[0] != '`' && rest[0] != '_'
	}
}

// incomplete names what a row image lacks, for the first event that lacks something.
func incomplete(r *binlog.Rows) string {
	missing := r.Missing()
	if len(missing) == 0 {
		return ""
	}
	for _, i := range missing {
		if !isBlob(r.Table.Columns[i].Type) {
			return minimal(r, len(missing))
		}
	}
	return history.NoBlob
}

// minimal tells images of the key alone from those that only lack generated columns, which
// MariaDB 11.8 leaves out and the log does not mark.
func minimal(r *binlog.Rows, missing int) string {
	present := len(r.Table.Columns) - missing
	if key := len(r.Table.PrimaryKey); key > 0 && present > key || key == 0 && present > missing {
		return ""
	}
	return history.Minimal
}

func isBlob(t binlog.Type) bool {
	switch t {
	case binlog.TypeBlob, binlog.TypeTinyBlob, binlog.TypeMediumBlob, binlog.TypeLongBlob, binlog.TypeBlobCompressed,
		binlog.TypeJSON, binlog.TypeGeometry, binlog.TypeVector:
		return true
	}
	return false
}
