package predicate

import (
	"bytes"
	"math/big"
	"strconv"
	"strings"

	"github.com/lull-ops/lull/db"
)

// order compares two known values as bytes.Compare does. For a literal on the right, the
// second argument is the literal as prepared.
type order func(x, y []byte) int

// truth makes a condition of an operand: a number that is not zero is true.
func (p *parser) truth(v value) (test, error) {
	switch {
	case v.test != nil:
		return v.test, nil
	case v.class == null:
		return always(Unknown), nil
	case v.class == exact || v.class == float:
		return p.compare("<>", v.pos, v, value{class: exact, lit: true, data: []byte("0"), pos: v.pos})
	}
	return nil, p.fail(v.pos, "compare it with something: = '...'", "expected a condition, found a value that is no number")
}

// compare makes the test of one comparison operator; at is its place.
func (p *parser) compare(o string, at int, l, r value) (test, error) {
	if l.class == null || r.class == null {
		if o != "<=>" {
			return always(Unknown), nil
		}
		if l.class == null {
			l = r
		}
		return l.isNull(), nil
	}
	if l.lit && !r.lit {
		l, r, o = r, l, mirrored(o)
	}
	cmp, err := p.unify(o, at, &l, &r)
	if err != nil {
		return nil, err
	}
	accept := acceptor(o)
	if r.lit {
		y := r.data
		return func(row db.Row) Tri {
			x := l.get(row)
			if x.State != db.Set {
				return missing(o, x, db.Value{State: db.Set})
			}
			return tri(accept[cmp(x.Data, y)+1])
		}, nil
	}
	return func(row db.Row) Tri {
		x, y := l.get(row), r.get(row)
		if x.State != db.Set || y.State != db.Set {
			return missing(o, x, y)
		}
		return tri(accept[cmp(x.Data, y.Data)+1])
	}, nil
}

// missing is a comparison of which one side is NULL or not known.
func missing(o string, x, y db.Value) Tri {
	if o != "<=>" || x.State == db.Absent || y.State == db.Absent {
		return Unknown
	}
	return tri(x.State == y.State)
}

func mirrored(o string) string {
	switch o {
	case "<", "<=":
		return ">" + o[1:]
	case ">", ">=":
		return "<" + o[1:]
	}
	return o
}

// acceptor says for less, equal and greater whether the operator holds.
func acceptor(o string) [3]bool {
	switch o {
	case "=", "<=>":
		return [3]bool{false, true, false}
	case "<":
		return [3]bool{true, false, false}
	case "<=":
		return [3]bool{true, true, false}
	case ">":
		return [3]bool{false, false, true}
	case ">=":
		return [3]bool{false, true, true}
	}
	return [3]bool{true, false, true}
}

// unify finds how two operands compare, and prepares the right one when it is a literal. The
// left one is a column or a condition unless both are literals.
func (p *parser) unify(o string, at int, l, r *value) (order, error) {
	if l.class == enum || l.class == set || r.class == enum || r.class == set {
		return p.unifyElements(o, at, l, r)
	}
	switch {
	case l.class == exact && (r.class == exact || r.lit && (r.class == text || r.hex)),
		l.lit && r.class == exact && l.class == text:
		return compareDecimal, p.decimals(l, r)
	case l.class == float || r.class == float:
		return p.unifyFloat(at, l, r)
	case l.class == day && (r.class == day || r.lit && r.class == text):
		return compareDay, p.dayLiteral(l, r)
	case l.class == clock && (r.class == clock || r.lit && r.class == text):
		return compareClock, p.clockLiteral(r)
	case l.class == text && r.class == text:
		return p.unifyText(l, r)
	case isBytes(l) && isBytes(r):
		return bytes.Compare, nil
	}
	return nil, p.mismatch(at, l, r)
}

// isBytes says that an operand can be compared byte for byte.
func isBytes(v *value) bool { return v.class == binary || v.class == text }

func (p *parser) mismatch(at int, l, r *value) error {
	hint := ""
	if r.lit && r.class == exact {
		hint = "put the value in quotes"
	}
	return p.fail(at, hint, "cannot compare %s with %s", l.describe(), r.describe())
}

func (v *value) describe() string {
	kind := [...]string{"NULL", "a number", "a number", "text", "bytes", "a date", "a time", "an element", "a set", "an opaque value"}[v.class]
	if v.col != nil {
		return "column " + v.col.Name + " (" + v.col.DataType + ")"
	}
	return kind
}

// decimals prepares number literals on both sides.
func (p *parser) decimals(l, r *value) error {
	for _, v := range []*value{l, r} {
		if !v.lit {
			continue
		}
		if v.hex {
			v.data = []byte(new(big.Int).SetBytes(v.data).String())
		}
		d, ok := plainDecimal(strings.TrimSpace(string(v.data)))
		if !ok {
			return p.fail(v.pos, "", "expected a number of at most %d digits, found %q", mostDigits, clip(v.data))
		}
		v.data, v.class = []byte(d), exact
	}
	return nil
}

func clip(b []byte) string {
	const most = 40
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// unifyFloat compares as float64, as the servers do.
func (p *parser) unifyFloat(at int, l, r *value) (order, error) {
	for _, v := range []*value{l, r} {
		if v.class != float && v.class != exact && !(v.lit && v.class == text) {
			return nil, p.mismatch(at, l, r)
		}
	}
	if !r.lit {
		return func(x, y []byte) int { return compareFloat(parseFloat(x), parseFloat(y)) }, nil
	}
	lit, err := strconv.ParseFloat(strings.TrimSpace(string(r.data)), 64)
	if err != nil || lit != lit {
		return nil, p.fail(r.pos, "", "expected a number, found %q", clip(r.data))
	}
	return func(x, _ []byte) int { return compareFloat(parseFloat(x), lit) }, nil
}

func parseFloat(b []byte) float64 {
	f, _ := strconv.ParseFloat(string(b), 64)
	return f
}

func compareFloat(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// unifyElements compares ENUM by its text, or by its index against a number; SET by its mask
// where the operator asks for equality, else by its text.
func (p *parser) unifyElements(o string, at int, l, r *value) (order, error) {
	if l.class != enum && l.class != set {
		*l = l.asText()
	}
	if r.class == exact || r.hex {
		return compareDecimal, p.decimals(l, r)
	}
	equality := o == "=" || o == "<>" || o == "!=" || o == "<=>"
	if r.lit && r.class == text && equality {
		mask, err := p.elements(l, r)
		if err != nil {
			return nil, err
		}
		r.data = strconv.AppendUint(nil, mask, 10)
		return bytes.Compare, nil
	}
	*l, *r = l.asText(), r.asText()
	if l.class != text || r.class != text {
		return nil, p.mismatch(at, l, r)
	}
	return p.unifyText(l, r)
}

// elements is the index of an ENUM's element, or the mask of a SET's. An element that does not
// exist is an error: it would never match.
func (p *parser) elements(l, r *value) (uint64, error) {
	if len(r.data) == 0 {
		return 0, nil
	}
	names := []string{string(r.data)}
	if l.class == set {
		names = strings.Split(names[0], ",")
	}
	var mask uint64
	for _, name := range names {
		n, err := p.element(l, r.pos, name)
		if err != nil {
			return 0, err
		}
		if l.class == enum {
			return uint64(n + 1), nil
		}
		mask |= 1 << n
	}
	return mask, nil
}

func (p *parser) element(l *value, pos int, name string) (int, error) {
	lit, ok := encode(name, l.charset)
	cmp := textOrder(l.charset, l.charset, l.fold)
	for i, e := range l.col.Elements {
		if ok && cmp([]byte(e), lit) == 0 {
			return i, nil
		}
	}
	shown := make([]string, len(l.col.Elements))
	for i, e := range l.col.Elements {
		shown[i] = strconv.Quote(e)
	}
	return 0, p.fail(pos, "elements: "+strings.Join(shown, ", "), "column %s has no element %q", l.col.Name, name)
}

// mapFrom is the length of an IN list from which a map is faster than one comparison after
// the other.
const mapFrom = 8

// oneOf makes the test of IN.
func (p *parser) oneOf(left value, items []value, at int) (test, error) {
	if len(items) >= mapFrom && left.col != nil {
		if t, ok, err := p.oneOfMany(left, items, at); ok || err != nil {
			return t, err
		}
	}
	tests := make([]test, len(items))
	for i, item := range items {
		t, err := p.compare("=", at, left, item)
		if err != nil {
			return nil, err
		}
		tests[i] = t
	}
	return or(tests), nil
}

// oneOfMany serves lists of literals for columns whose canonical bytes are equal exactly when
// the values are.
func (p *parser) oneOfMany(left value, items []value, at int) (test, bool, error) {
	integer := left.class == exact && left.col.Scale == 0
	if !integer && left.class != enum && left.class != binary && (left.class != text || left.fold) {
		return nil, false, nil
	}
	known := make(map[string]bool, len(items))
	withNull := false
	for _, item := range items {
		switch {
		case item.class == null:
			withNull = true
			continue
		case !item.lit:
			return nil, false, nil
		}
		l := left
		if _, err := p.unify("=", at, &l, &item); err != nil {
			return nil, false, err
		}
		known[string(item.data)] = true
	}
	return func(r db.Row) Tri {
		v := left.get(r)
		switch {
		case v.State != db.Set:
			return Unknown
		case known[string(v.Data)]:
			return True
		case withNull:
			return Unknown
		}
		return False
	}, true, nil
}
