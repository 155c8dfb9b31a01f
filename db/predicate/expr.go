package predicate

import "github.com/lull-ops/lull/db"

// Tri is a truth value of SQL. The zero value is Unknown.
type Tri uint8

// The three values.
const (
	Unknown Tri = iota
	False
	True
)

// String is "true", "false" or "unknown".
func (t Tri) String() string { return [...]string{"unknown", "false", "true"}[t%3] }

func tri(b bool) Tri {
	if b {
		return True
	}
	return False
}

func not(t Tri) Tri {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// test judges a row.
type test func(db.Row) Tri

// Expr is a condition made ready for one table. It may be used from several goroutines.
type Expr struct {
	src     string
	match   test
	columns []int
}

// Match judges a row of the table that the expression was made for. A value that is Absent, or
// missing at the row's end, is unknown.
func (e *Expr) Match(row db.Row) Tri { return e.match(row) }

// String is the condition as it was written.
func (e *Expr) String() string { return e.src }

// Columns is the columns that the condition reads, as indexes into the table's Columns, in
// ascending order.
func (e *Expr) Columns() []int { return e.columns }

// and is False as soon as one is False, else Unknown when one is.
func and(tests []test) test {
	return func(r db.Row) Tri {
		out := True
		for _, t := range tests {
			switch t(r) {
			case False:
				return False
			case Unknown:
				out = Unknown
			}
		}
		return out
	}
}

func or(tests []test) test {
	return func(r db.Row) Tri {
		out := False
		for _, t := range tests {
			switch t(r) {
			case True:
				return True
			case Unknown:
				out = Unknown
			}
		}
		return out
	}
}

func xor(tests []test) test {
	return func(r db.Row) Tri {
		odd := false
		for _, t := range tests {
			v := t(r)
			if v == Unknown {
				return Unknown
			}
			odd = odd != (v == True)
		}
		return tri(odd)
	}
}

func negate(t test) test { return func(r db.Row) Tri { return not(t(r)) } }

func always(t Tri) test { return func(db.Row) Tri { return t } }
