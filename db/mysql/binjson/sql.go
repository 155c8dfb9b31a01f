package binjson

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
)

// NeedsSQL reports whether the document holds a value that its text would not bring back:
// one whose JSON type the parser would not choose again, such as DECIMAL, DATE, a small
// unsigned or a large signed integer, or a double whose last bit the parser might miss. It walks the document
// once and allocates nothing. An error wraps ErrDamaged or ErrDepth.
func NeedsSQL(doc []byte) (bool, error) {
	w, n := open(doc)
	return w.needs(n, 0, nil)
}

// AppendSQL appends an SQL expression for MySQL 8.0.4 or newer that makes the server store
// the document again: a plain literal _utf8mb4'...' of the text where NeedsSQL says no, else
// JSON_OBJECT and JSON_ARRAY down to the values that text cannot carry. The literals assume
// that backslash escapes are on; zero dates need an sql_mode without NO_ZERO_DATE and
// NO_ZERO_IN_DATE, and TIMESTAMP values the time zone UTC or any without gaps.
// An error wraps ErrDamaged, ErrDepth or ErrNoSQL; dst is then returned as it was.
func AppendSQL(dst, doc []byte) ([]byte, error) {
	w, n := open(doc)
	var p plan
	needs, err := w.needs(n, 0, &p)
	if err != nil {
		return dst, err
	}
	q := sqlWriter{plan: p}
	q.walk, n = open(doc)
	var out []byte
	switch {
	case !needs:
		out, err = q.textLiteral(dst, n)
	case n.container():
		out, err = q.expr(dst, n)
	default:
		out = append(dst, "JSON_EXTRACT(JSON_ARRAY("...)
		out, err = q.expr(out, n)
		out = append(out, "), _utf8mb4'$[0]')"...)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// plan says of every array and object, in the order of a walk, whether text cannot carry
// it, and how many of them lie inside it.
type plan []planned

type planned struct {
	needs bool
	size  int // containers in the subtree, itself included
}

// needs is NeedsSQL for one value; a plan that is not nil is filled and then the whole
// document is read, else the walk ends at the first value that needs SQL.
func (w *walk) needs(n node, depth int, p *plan) (bool, error) {
	if !n.container() {
		s, err := w.scalar(n)
		return err == nil && s.needsSQL(), err
	}
	if depth++; depth > MaxDepth {
		return false, ErrDepth
	}
	b, err := w.box(n)
	if err != nil {
		return false, err
	}
	at := 0
	if p != nil {
		at = len(*p)
		*p = append(*p, planned{})
	}
	needs, err := w.anyNeeds(&b, depth, p)
	if p != nil {
		(*p)[at] = planned{needs: needs, size: len(*p) - at}
	}
	return needs, err
}

func (w *walk) anyNeeds(b *box, depth int, p *plan) (needs bool, err error) {
	for i := range b.count {
		if b.object {
			if _, err := w.key(b, i); err != nil {
				return false, err
			}
		}
		c, err := b.child(i)
		if err != nil {
			return false, err
		}
		n, err := w.needs(c, depth, p)
		if err != nil {
			return false, err
		}
		if needs = needs || n; needs && p == nil {
			return true, nil
		}
	}
	return needs, nil
}

// needsSQL: the server's parser makes unsigned values of integers above 32 bits and signed
// ones of all others.
func (s scalar) needsSQL() bool {
	switch s.typ {
	case tInt64:
		return int64(s.bits) > math.MaxUint32
	case tUint64:
		return s.bits <= math.MaxUint32
	case tDouble:
		return !readsBack(s.double())
	case tOpaque:
		return true
	}
	return false
}

// sqlWriter walks a document a second time, along its plan. The document is known to be
// sound by then.
type sqlWriter struct {
	*walk
	plan plan
	next int // the container that comes next in plan
	tmp  []byte
}

// expr appends an expression that JSON_ARRAY and JSON_OBJECT take over as the value n.
func (q *sqlWriter) expr(dst []byte, n node) ([]byte, error) {
	if n.container() {
		if p := q.plan[q.next]; !p.needs {
			q.next += p.size
			return q.castText(dst, n)
		}
		q.next++
		return q.call(dst, n)
	}
	if n.typ != tString && n.typ != tOpaque {
		return q.number(dst, n)
	}
	s, err := q.scalar(n)
	if err != nil {
		return dst, err
	}
	if s.typ == tString {
		return appendLiteral(dst, s.data), nil
	}
	return appendOpaqueSQL(dst, s)
}

// call appends JSON_OBJECT(...) or JSON_ARRAY(...).
func (q *sqlWriter) call(dst []byte, n node) ([]byte, error) {
	b, err := q.box(n)
	if err != nil {
		return dst, err
	}
	name := "JSON_ARRAY("
	if b.object {
		name = "JSON_OBJECT("
	}
	dst = append(dst, name...)
	for i := range b.count {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst, err = q.argument(dst, &b, i); err != nil {
			return dst, err
		}
	}
	return append(dst, ')'), nil
}

func (q *sqlWriter) argument(dst []byte, b *box, i int) ([]byte, error) {
	if b.object {
		k, err := q.key(b, i)
		if err != nil {
			return dst, err
		}
		dst = append(appendLiteral(dst, k), ", "...)
	}
	c, err := b.child(i)
	if err != nil {
		return dst, err
	}
	return q.expr(dst, c)
}

func (q *sqlWriter) number(dst []byte, n node) ([]byte, error) {
	s, err := q.scalar(n)
	if err != nil {
		return dst, err
	}
	switch {
	case !s.needsSQL():
		t, err := appendScalar(q.tmp[:0], s)
		q.tmp = t
		return append(appendLiteral(append(dst, "CAST("...), t), " AS JSON)"...), err
	case s.typ == tInt64:
		return strconv.AppendInt(dst, int64(s.bits), 10), nil
	case s.typ == tUint64:
		dst = strconv.AppendUint(append(dst, "CAST("...), s.bits, 10)
		return append(dst, " AS UNSIGNED)"...), nil
	}
	x := s.double()
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return dst, fmt.Errorf("%w: a double that is not finite", ErrNoSQL)
	}
	return strconv.AppendFloat(dst, x, 'e', -1, 64), nil
}

func (q *sqlWriter) textLiteral(dst []byte, n node) ([]byte, error) {
	t, err := q.text(q.tmp[:0], n, 0)
	if err != nil {
		return dst, err
	}
	q.tmp = t
	return appendLiteral(dst, t), nil
}

func (q *sqlWriter) castText(dst []byte, n node) ([]byte, error) {
	dst, err := q.textLiteral(append(dst, "CAST("...), n)
	return append(dst, " AS JSON)"...), err
}

// appendLiteral appends a character literal in utf8mb4.
func appendLiteral(dst, s []byte) []byte {
	dst = append(dst, "_utf8mb4'"...)
	from := 0
	for i, c := range s {
		if c != '\'' && c != '\\' && c != 0 {
			continue
		}
		dst = append(append(dst, s[from:i]...), '\\')
		if from = i; c == 0 {
			dst, from = append(dst, '0'), i+1
		}
	}
	return append(append(dst, s[from:]...), '\'')
}

// appendOpaqueSQL appends an expression of the column type that the opaque value came from.
func appendOpaqueSQL(dst []byte, s scalar) ([]byte, error) {
	switch s.col {
	case colDecimal:
		return appendDecimalSQL(dst, s.data)
	case colDate:
		return appendCast(dst, s, "DATE")
	case colTime:
		return appendCast(dst, s, "TIME(6)")
	case colDatetime:
		return appendCast(dst, s, "DATETIME(6)")
	case colTimestamp:
		return appendTimestampSQL(dst, s)
	}
	return appendBinarySQL(dst, s)
}

func appendCast(dst []byte, s scalar, as string) ([]byte, error) {
	dst, err := appendTemporal(append(dst, "CAST('"...), s)
	return append(append(append(dst, "' AS "...), as...), ')'), err
}

// No function returns a TIMESTAMP, a BIT or a BLOB of a certain kind, and JSON keeps the
// column type; JSON_TABLE declares a column of any type.
const (
	tableOpen = "JSON_EXTRACT((SELECT JSON_ARRAY(v) FROM JSON_TABLE("
	tableType = ", _utf8mb4'$[*]' COLUMNS(v "
	tableShut = " PATH _utf8mb4'$')) AS t), _utf8mb4'$[0]')"
)

func appendTable(dst []byte, as string) []byte {
	return append(append(append(dst, tableType...), as...), tableShut...)
}

func appendTimestampSQL(dst []byte, s scalar) ([]byte, error) {
	dst, err := appendTemporal(append(append(dst, tableOpen...), `_utf8mb4'["`...), s)
	return appendTable(append(dst, `"]'`...), "TIMESTAMP(6)"), err
}

// appendDecimalSQL appends a literal, or a CAST where the stored precision counts digits in
// groups of nine as results of CAST do. Nothing makes the odd precision of a quotient again
// (three integer digits for 74.5); value, scale and text are the same.
func appendDecimalSQL(dst, data []byte) ([]byte, error) {
	precision, scale, _, err := decimalShape(data)
	if err != nil {
		return dst, err
	}
	var tmp [maxDecimal + 3]byte
	text, err := appendDecimal(tmp[:0], data)
	if err != nil {
		return dst, err
	}
	digits := bytes.TrimPrefix(text, []byte("-"))
	sign := text[:len(text)-len(digits)]
	written := len(digits)
	if scale > 0 {
		written -= scale + 1
	}
	switch ints := precision - scale; {
	case ints == 0 && scale > 0:
		return append(append(dst, sign...), digits[1:]...), nil
	case ints == written || ints%9 != 0:
		if dst = append(dst, text...); scale == 0 {
			dst = append(dst, '.')
		}
		return dst, nil
	}
	dst = append(append(dst, "CAST('"...), text...)
	return fmt.Appendf(dst, "' AS DECIMAL(%d,%d))", min(written+scale, 65), scale), nil
}

// appendBinarySQL appends an expression for binary strings and BIT values.
func appendBinarySQL(dst []byte, s scalar) ([]byte, error) {
	as := ""
	switch s.col {
	case 15, colVarString: // VARCHAR and VARBINARY; which of the two is the server's version
		return appendHex(dst, s.data), nil
	case 16:
		return appendBitSQL(dst, s.data)
	case 249:
		as = "TINYBLOB"
	case 250:
		as = "MEDIUMBLOB"
	case 251:
		as = "LONGBLOB"
	case 252:
		as = "BLOB"
	case 254:
		as = "BINARY(" + strconv.Itoa(len(s.data)) + ")"
	default:
		return dst, fmt.Errorf("%w: opaque value of column type %d", ErrNoSQL, s.col)
	}
	dst = append(append(dst, tableOpen...), "JSON_ARRAY("...)
	return appendTable(append(appendHex(dst, s.data), ')'), as), nil
}

func appendBitSQL(dst, data []byte) ([]byte, error) {
	if len(data) == 0 || len(data) > 8 {
		return dst, fmt.Errorf("%w: BIT of %d bytes", ErrNoSQL, len(data))
	}
	var v uint64
	for _, c := range data {
		v = v<<8 | uint64(c)
	}
	dst = strconv.AppendUint(append(append(dst, tableOpen...), "_utf8mb4'["...), v, 10)
	return appendTable(append(dst, "]'"...), "BIT("+strconv.Itoa(8*len(data))+")"), nil
}

func appendHex(dst, data []byte) []byte {
	return append(hex.AppendEncode(append(dst, "x'"...), data), '\'')
}
