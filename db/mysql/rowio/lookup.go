package rowio

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

const (
	// Keys of one IN list: MariaDB turns longer lists than 1000 into joins, and chains of
	// OR cost every optimizer memory.
	listKeys = 500
	// Keys answered by one range scan.
	rangeKeys = 4000
	// Bytes of keys in one statement, far below any max_allowed_packet.
	listBytes = 256 << 10
	// A range scan may return this many rows for each key asked; beyond it lists are cheaper.
	rangeExcess = 4
)

// LookupOptions says what Lookup reads.
type LookupOptions struct {
	ForUpdate bool  // lock the rows, and the gaps where rows are missing, until the transaction ends
	Columns   []int // columns to read besides the key's; nil is all
}

// Lookup finds the live rows that have the keys' values in the columns by; a key has one
// value for each of these. fn is called with a key's place in keys and its row, with a nil
// row when there is none, and more than once when by is no unique key; keys come in any
// order. A row that the server's collation takes for the key ('a' for 'A') is the key's row.
// The row is as long as the table is wide, Absent where it was not read, and valid until fn
// returns; fn must not use q. An error of fn ends the Lookup and is returned as it is.
func Lookup(ctx context.Context, q Querier, t *db.Table, by []int, keys []db.Row, opt LookupOptions, fn func(i int, row db.Row) error) error {
	cols := opt.Columns
	if cols == nil {
		cols = allColumns(t)
	}
	l := &lookup{q: q, table: t, by: by, cols: union(by, cols), keys: keys, fn: fn, verb: "SELECT "}
	if opt.ForUpdate {
		l.tail = " FOR UPDATE"
	}
	return l.run(ctx)
}

// Exists says for each key whether a row has its values in the columns by, in the server's
// collation. As in a UNIQUE or FOREIGN KEY check, a key with a NULL never exists. The
// columns should be the first ones of an index. With lock it sees what others committed by
// now, whatever the transaction read before, and keeps it so until the transaction ends.
func Exists(ctx context.Context, q Querier, t *db.Table, by []int, keys []db.Row, lock bool) ([]bool, error) {
	found := make([]bool, len(keys))
	var asked []db.Row
	var place []int
	for i, k := range keys {
		if !slices.ContainsFunc(k, func(v db.Value) bool { return v.State != db.Set }) {
			asked, place = append(asked, k), append(place, i)
		}
	}
	l := &lookup{q: q, table: t, by: by, cols: by, keys: asked, verb: "SELECT DISTINCT "}
	if lock {
		l.tail = " LOCK IN SHARE MODE"
	}
	l.fn = func(i int, row db.Row) error {
		found[place[i]] = found[place[i]] || row != nil
		return nil
	}
	return found, l.run(ctx)
}

type lookup struct {
	q     Querier
	table *db.Table
	by    []int
	cols  []int
	keys  []db.Row
	fn    func(i int, row db.Row) error
	verb  string
	tail  string
	buf   []byte
	thick bool // a range scan found far more rows than asked for
}

func (l *lookup) run(ctx context.Context) error {
	order := make([]int, len(l.keys))
	for i := range order {
		order[i] = i
	}
	ranged := l.rangeable()
	if ranged {
		slices.SortStableFunc(order, func(a, b int) int { return compareIntegers(l.keys[a][0].Data, l.keys[b][0].Data) })
	}
	for len(order) > 0 && ranged && !l.thick {
		n := min(len(order), rangeKeys)
		if !l.mayScan(order[:n]) {
			break
		}
		done, err := l.scanRange(ctx, order[:n])
		if err != nil {
			return err
		}
		order = order[done:]
	}
	for len(order) > 0 {
		n, err := l.list(ctx, order)
		if err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

// listSize is how many of the keys one statement may list, at least one.
func listSize(keys []db.Row) int {
	size := 0
	for n, key := range keys[:min(len(keys), listKeys)] {
		for _, v := range key {
			size += len(v.Data)
		}
		if n > 0 && size > listBytes {
			return n
		}
	}
	return min(len(keys), listKeys)
}

// list finds as many of the keys at the places in order as one list may hold, and returns
// how many that were.
func (l *lookup) list(ctx context.Context, order []int) (int, error) {
	order = order[:min(len(order), listKeys)]
	asked := make([]db.Row, len(order))
	for n, i := range order {
		asked[n] = l.keys[i]
	}
	asked = asked[:listSize(asked)]
	order = order[:len(asked)]
	return len(order), l.listed(ctx, order, asked)
}

func (l *lookup) listed(ctx context.Context, order []int, asked []db.Row) error {
	places := make(map[string][]int, len(order))
	for n, i := range order {
		l.buf = db.AppendRow(l.buf[:0], l.keys[i])
		places[string(l.buf)] = append(places[string(l.buf)], n)
	}
	matched := make([]bool, len(order))
	strays := false
	key := make(db.Row, len(l.by))
	err := l.selectRows(ctx, sqltext.AppendKeyIn(nil, l.table, l.by, asked), func(row db.Row) error {
		l.buf = db.AppendRow(l.buf[:0], l.keyOf(row, key))
		hits := places[string(l.buf)]
		strays = strays || len(hits) == 0
		for _, n := range hits {
			matched[n] = true
			if err := l.fn(order[n], row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n, i := range order {
		if strays {
			if matched[n], err = l.single(ctx, i, matched[n]); err != nil {
				return err
			}
		}
		if !matched[n] {
			if err := l.fn(i, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// single asks for the rows that the server takes for key i though they are spelled otherwise.
func (l *lookup) single(ctx context.Context, i int, matched bool) (bool, error) {
	key := make(db.Row, len(l.by))
	err := l.selectRows(ctx, sqltext.AppendKeyEqual(nil, l.table, l.by, l.keys[i]), func(row db.Row) error {
		if slices.EqualFunc(l.keyOf(row, key), l.keys[i], db.Value.Equal) {
			return nil // it was handed out from the list
		}
		matched = true
		return l.fn(i, row)
	})
	return matched, err
}

func (l *lookup) keyOf(row, key db.Row) db.Row {
	for n, i := range l.by {
		key[n] = row[i]
	}
	return key
}

func (l *lookup) selectRows(ctx context.Context, where []byte, fn func(db.Row) error) error {
	stmt := append(appendSelect(nil, l.table, l.cols, l.verb), " WHERE "...)
	stmt = append(append(stmt, where...), l.tail...)
	rs, err := query(ctx, l.q, l.table, l.cols, stmt)
	if err != nil {
		return err
	}
	return rs.each(fn)
}

// rangeable says that the keys are integers that tell rows apart, so that a range of them
// holds at most one row for each.
func (l *lookup) rangeable() bool {
	if len(l.by) != 1 || !isInteger(&l.table.Columns[l.by[0]]) {
		return false
	}
	unique := slices.ContainsFunc(l.table.Keys, func(k db.Key) bool {
		return !k.Prefix && len(k.Columns) == 1 && k.Columns[0] == l.by[0]
	})
	return unique && !slices.ContainsFunc(l.keys, func(k db.Row) bool { return k[0].State != db.Set })
}

func isInteger(col *db.Column) bool {
	switch col.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		return true
	}
	return false
}

// mayScan keeps scans that lock rows to ranges with hardly a row that was not asked for.
func (l *lookup) mayScan(order []int) bool {
	if l.tail == "" {
		return true
	}
	low, err1 := strconv.ParseInt(string(l.keys[order[0]][0].Data), 10, 64)
	high, err2 := strconv.ParseInt(string(l.keys[order[len(order)-1]][0].Data), 10, 64)
	// The difference of two int64 fits an uint64.
	return err1 == nil && err2 == nil && uint64(high)-uint64(low) < 2*uint64(len(order))
}

// scanRange reads the rows between the first and the last of the keys at the sorted places in
// order and returns how many of these keys it has answered.
func (l *lookup) scanRange(ctx context.Context, order []int) (done int, err error) {
	col := &l.table.Columns[l.by[0]]
	limit := rangeExcess * len(order)
	where := sqltext.AppendIdent(nil, col.Name)
	where = append(append(where, ">="...), l.keys[order[0]][0].Data...)
	// Not BETWEEN: old servers miss rows with it when one end is above BIGINT's maximum.
	where = sqltext.AppendIdent(append(where, " AND "...), col.Name)
	where = append(append(where, "<="...), l.keys[order[len(order)-1]][0].Data...)
	where = sqltext.AppendIdent(append(where, " ORDER BY "...), col.Name)
	where = strconv.AppendInt(append(where, " LIMIT "...), int64(limit), 10)
	found := 0
	err = l.selectRows(ctx, where, func(row db.Row) error {
		found++
		key := row[l.by[0]].Data
		for ; done < len(order); done++ {
			c := compareIntegers(l.keys[order[done]][0].Data, key)
			if c > 0 {
				break
			}
			hit := row
			if c < 0 {
				hit = nil
			}
			if err := l.fn(order[done], hit); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	if found >= limit {
		l.thick = true
		return done, nil
	}
	for ; done < len(order); done++ {
		if err := l.fn(order[done], nil); err != nil {
			return done, err
		}
	}
	return done, nil
}

// compareIntegers compares canonical integers of any size.
func compareIntegers(a, b []byte) int {
	negA, negB := a[0] == '-', b[0] == '-'
	switch {
	case negA && !negB:
		return -1
	case negB && !negA:
		return 1
	case negA:
		a, b = b, a
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}
