package sqltext

import (
	"slices"
	"strconv"

	"github.com/lull-ops/lull/db"
)

// maxJoined bounds the rows of one joined UPDATE: each is a SELECT of its own to the server.
const maxJoined = 1000

// Updater groups changes of rows, found by key, into UPDATE statements of many rows each:
// a join of the table with the new values. It compares nothing but the key.
type Updater struct {
	table *db.Table
	key   []int
	tag   string
	max   int
	emit  Emit
	set   []int // columns of the statement being built
	mode  mode
	buf   []byte
	rows  int
}

// NewUpdater returns an Updater whose statements stay below about max bytes unless one row
// alone is larger. key is the columns that tell the table's rows apart.
func NewUpdater(t *db.Table, key []int, tag string, max int, emit Emit) *Updater {
	return &Updater{table: t, key: key, tag: tag, max: max, emit: emit}
}

// Add sets the columns set of the row with the key's values to their values in to, which is
// as long as the table is wide. One key must not be added twice before a Flush.
func (u *Updater) Add(key db.Row, set []int, to db.Row) error {
	lax := slices.ContainsFunc(set, func(i int) bool { return u.table.Columns[i].DataType == "enum" && isZero(to[i]) })
	single := !u.joinable(key, set, to)
	if u.rows > 0 && (single || lax != u.mode.lax || !slices.Equal(set, u.set)) {
		if err := u.flush(); err != nil {
			return err
		}
	}
	if err := u.mode.set(lax, u.emit); err != nil {
		return err
	}
	if single {
		return u.one(key, set, to)
	}
	if u.rows == 0 {
		u.set = append(u.set[:0], set...)
		u.buf = AppendName(appendVerb(u.buf[:0], "UPDATE", u.tag), u.table.Name)
		u.buf = append(u.buf, " t JOIN ("...)
	}
	u.appendRow(key, to)
	if u.rows < maxJoined && len(u.buf) < u.max {
		return nil
	}
	return u.flush()
}

// Flush emits what is left and puts the session's sql_mode back.
func (u *Updater) Flush() error {
	if err := u.flush(); err != nil {
		return err
	}
	return u.mode.set(false, u.emit)
}

// joinable says whether the values keep their meaning in a derived table, and whether the
// join finds rows through the key's index.
func (u *Updater) joinable(key db.Row, set []int, to db.Row) bool {
	for n, i := range u.key {
		if !keyJoins(&u.table.Columns[i], key[n]) {
			return false
		}
	}
	return !slices.ContainsFunc(set, func(i int) bool { return !valueJoins(&u.table.Columns[i], to[i]) })
}

func keyJoins(col *db.Column, v db.Value) bool {
	switch classOf(col) {
	case integer:
		return !isHuge(v.Data)
	case decimal, binary, temporal:
		return true
	case text:
		return col.Collation != ""
	}
	return false
}

func valueJoins(col *db.Column, v db.Value) bool {
	switch classOf(col) {
	case integer, bits, set:
		return !isHuge(v.Data)
	case opaque, named:
		return false
	case json:
		return v.Expr == nil
	}
	return true
}

// isHuge finds integers above BIGINT's maximum: beside a smaller one in a derived table they
// are out of range, or become floating point.
func isHuge(digits []byte) bool {
	const maximum = "9223372036854775807"
	return len(digits) >= len(maximum) && digits[0] != '-' && (len(digits) > len(maximum) || string(digits) > maximum)
}

func (u *Updater) one(key db.Row, set []int, to db.Row) error {
	was := make(db.Row, len(u.table.Columns))
	for n, i := range u.key {
		was[i] = key[n]
	}
	u.buf = AppendUpdate(u.buf[:0], u.table, u.tag, set, to, u.key, was, nil)
	return u.emit(u.buf, 1)
}

func (u *Updater) appendRow(key, to db.Row) {
	dst := u.buf
	if u.rows > 0 {
		dst = append(dst, " UNION ALL "...)
	}
	dst = append(dst, "SELECT "...)
	for n, i := range u.key {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = u.appendAlias(AppendKey(dst, &u.table.Columns[i], key[n]), 'k', n)
	}
	for n, i := range u.set {
		dst = u.appendAlias(AppendLiteral(append(dst, ','), &u.table.Columns[i], to[i]), 'v', n)
	}
	u.buf = dst
	u.rows++
}

// appendAlias names a column in the first SELECT, which names it for all.
func (u *Updater) appendAlias(dst []byte, kind byte, n int) []byte {
	if u.rows > 0 {
		return dst
	}
	return appendPlace(append(dst, ' '), kind, n)
}

func appendPlace(dst []byte, kind byte, n int) []byte {
	return strconv.AppendInt(append(dst, kind), int64(n), 10)
}

func (u *Updater) flush() error {
	if u.rows == 0 {
		return nil
	}
	dst := append(u.buf, ") u ON "...)
	for n, i := range u.key {
		if n > 0 {
			dst = append(dst, " AND "...)
		}
		col := &u.table.Columns[i]
		dst = AppendIdent(append(dst, "t."...), col.Name)
		dst = appendPlace(append(dst, "=u."...), 'k', n)
		if classOf(col) == text {
			dst = append(append(dst, " COLLATE "...), col.Collation...)
		}
	}
	for n, i := range u.set {
		if n == 0 {
			dst = append(dst, " SET "...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(AppendIdent(append(dst, "t."...), u.table.Columns[i].Name), "=u."...)
		dst = appendPlace(dst, 'v', n)
	}
	u.buf = appendKept(dst, u.table, "t.", u.set)
	n := u.rows
	u.rows = 0
	return u.emit(u.buf, n)
}
