package rowio

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

type keyCase struct {
	name string
	cols string // definitions of the key's columns
	key  string
	vals string // their values, of %d
}

func keyCases() []keyCase {
	return []keyCase{
		{"int", "k int", "k", "%d"},
		{"bigint unsigned", "k bigint unsigned", "k", "18446744073709551615-%d"},
		{"negative", "k bigint", "k", "%d-1500"},
		{"decimal", "k decimal(20,4)", "k", "%d/16"},
		{"datetime", "k datetime(3)", "k", "'2026-01-01 00:00:00.5' + INTERVAL %d MINUTE"},
		{"timestamp", "k timestamp(3) not null default '2000-01-01'", "k", "'2026-01-01 00:00:00.5' + INTERVAL %d MINUTE"},
		{"date", "k date", "k", "'2026-01-01' + INTERVAL %d DAY"},
		{"time", "k time(2)", "k", "SEC_TO_TIME(%d-1000)"},
		{"varchar ci", "k varchar(40) character set utf8mb4 collate utf8mb4_general_ci", "k", "CONCAT('Key''\\\\', %d)"},
		{"varchar bin", "k varchar(40) character set utf8mb4 collate utf8mb4_bin", "k", "CONCAT('Key', %d)"},
		{"varchar latin1", "k varchar(40) character set latin1", "k", "CONCAT(X'E9', %d)"},
		{"varchar sjis", "k varchar(40) character set sjis", "k", "CONCAT(X'835C', %d)"},
		{"char utf16", "k char(40) character set utf16", "k", "CONCAT(_latin1'x', %d)"},
		{"binary", "k binary(16)", "k", "LEFT(UNHEX(SHA2(%d, 256)), 16)"},
		{"varbinary", "k varbinary(40)", "k", "CONCAT(X'00', %d)"},
		{"int and varchar", "a int, b varchar(20)", "a,b", "%[1]d %% 7, CONCAT('v', %[1]d)"},
		{"varchar and datetime and int", "a varchar(20), b datetime, c int", "a,b,c", "CONCAT('v', %[1]d %% 3), '2026-01-01' + INTERVAL %[1]d DAY, %[1]d"},
	}
}

const keyRows = 3000

func (l *live) makeKeyed(c keyCase, name string) {
	l.exec("CREATE TABLE "+name+" ("+c.cols+", n int NOT NULL, v varchar(50), PRIMARY KEY ("+c.key+")) CHARACTER SET utf8mb4",
		"CREATE TABLE "+name+"_digits (d int)", "INSERT INTO "+name+"_digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
	d := name + "_digits"
	seq := fmt.Sprintf("SELECT a.d+10*b.d+100*c.d+1000*e.d seq FROM %[1]s a, %[1]s b, %[1]s c, %[1]s e", d)
	vals := fmt.Sprintf(strings.ReplaceAll(strings.ReplaceAll(c.vals, "%[1]d", "%[1]s"), "%d", "%[1]s"), "seq")
	l.exec(fmt.Sprintf("INSERT INTO %s SELECT %s, seq, 'before' FROM (%s) s WHERE seq < %d", name, vals, seq, keyRows), "ANALYZE TABLE "+name)
}

// touched is how many rows the server has read in this session, by any means.
func (l *live) touched() int {
	sum := 0
	for line := range strings.Lines(l.text("SHOW SESSION STATUS LIKE 'Handler_read_%'")) {
		_, n, _ := strings.Cut(strings.TrimSpace(line), " ")
		count, err := strconv.Atoi(n)
		l.must(err)
		sum += count
	}
	return sum
}

// Rows are found, changed and deleted by every kind of key, and always through the index.
func TestEveryKindOfKey(t *testing.T) {
	onAll(t, func(l *live) {
		for i, c := range keyCases() {
			l.Run(c.name, func(t *testing.T) {
				sub := *l
				sub.T = t
				sub.keyed(c, fmt.Sprintf("k%d", i))
			})
		}
	})
}

func (l *live) keyed(c keyCase, name string) {
	l.makeKeyed(c, name)
	t := l.table(name)
	by := t.RowKey()
	rows := l.all(t)
	if len(rows) != keyRows {
		l.Fatalf("%d rows, want %d", len(rows), keyRows)
	}
	var keys []db.Row
	var items []Update
	v := t.Index("v")
	for i := 0; i < len(rows); i += 60 {
		to := rows[i].Clone()
		to[v] = db.Value{State: db.Set, Data: fmt.Appendf(nil, "after %d", i)}
		keys = append(keys, rows[i][:len(by)])
		items = append(items, Update{Key: rows[i][:len(by)], Set: []int{v}, To: to})
	}
	w := NewWriter(l, t, WriterOptions{})
	steps := []struct {
		name string
		do   func() error
	}{
		{"lookup", func() error {
			return Lookup(l.T.Context(), l, t, by, keys, LookupOptions{ForUpdate: true}, func(i int, row db.Row) error {
				if row == nil || !row[v-1].Equal(rows[i*60][v-1]) {
					l.Errorf("key %q found %q", keys[i], row)
				}
				return nil
			})
		}},
		{"update", func() error { return w.Update(l.T.Context(), items) }},
		{"delete", func() error { return w.Delete(l.T.Context(), keys[:40]) }},
	}
	for _, s := range steps {
		before := l.touched()
		l.must(s.do())
		if n := l.touched() - before; n > 1000 {
			l.Errorf("%s of %d rows read %d rows", s.name, len(keys), n)
		}
	}
	if got := l.text("SELECT COUNT(*), SUM(v LIKE 'after%') FROM " + name); got != fmt.Sprintf("%d %d", keyRows-40, len(keys)-40) {
		l.Errorf("rows and changed rows are %s", got)
	}
	for _, it := range items[40:] {
		if got := l.lookupText(t, by, it.Key, v); got != string(it.To[v].Data) {
			l.Errorf("row %q holds %q, want %q", it.Key, got, it.To[v].Data)
		}
	}
}

func (l *live) lookupText(t *db.Table, by []int, k db.Row, col int) (got string) {
	l.must(Lookup(l.T.Context(), l, t, by, []db.Row{k}, LookupOptions{Columns: []int{col}}, func(_ int, row db.Row) error {
		if row != nil {
			got = string(row[col].Data)
		}
		return nil
	}))
	return got
}

func TestLookupFindsWhatTheServerTakesForTheKey(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE a (k varchar(20) character set utf8mb4 collate utf8mb4_general_ci primary key, n int, d double, p int, key (n), unique (p))",
			"INSERT INTO a VALUES ('Anna', 1, 0e0, 10), ('bob', 1, 2, 20), ('', 2, 3, NULL), ('zo\xc3\xab', NULL, 4, 40)")
		a := l.table("a")
		for _, c := range []struct {
			by   []int
			keys []db.Row
			want string
		}{
			{[]int{0}, []db.Row{key("bob"), key("anna"), key("carl"), key("ZOE")}, "0=bob 1=Anna 2=none 3=zo\xc3\xab"},
			{[]int{0}, []db.Row{key("bob"), key("bob"), key("")}, "0=bob 1=bob 2="},
			{[]int{1}, []db.Row{key("1"), key("3"), key("NULL")}, "0=Anna+bob 1=none 2=zo\xc3\xab"},
			{[]int{1, 0}, []db.Row{key("1", "ANNA"), key("1", "bob"), key("2", "bob")}, "0=Anna 1=bob 2=none"},
			{[]int{2}, []db.Row{key("-0e+00"), key("2e+00")}, "0=Anna 1=bob"},
			{[]int{3}, []db.Row{key("40"), key("10"), key("11"), key("-5"), key("99999999999999999999")}, "0=zo\xc3\xab 1=Anna 2=none 3=none 4=none"},
			{[]int{0}, nil, ""},
		} {
			for _, opt := range []LookupOptions{{}, {ForUpdate: true}, {Columns: []int{0}}} {
				if got := l.lookup(a, c.by, opt, c.keys...); got != c.want {
					l.Errorf("%v by %v: %s, want %s", c.keys, c.by, got, c.want)
				}
			}
		}
	})
}

// One row in ten of what is asked lies in a range of rows that were not asked for.
func TestLookupOfThinAndThickRanges(t *testing.T) {
	onAll(t, func(l *live) {
		l.makeKeyed(keyCase{cols: "k int", key: "k", vals: "%d*2"}, "r")
		r := l.table("r")
		for _, step := range []int{1, 2, 3, 7, 50, 1000} {
			var keys []db.Row
			want := 0
			for k := -20; k < 2*keyRows+20; k += step {
				keys = append(keys, key(strconv.Itoa(k)))
				if k >= 0 && k < 2*keyRows && k%2 == 0 {
					want++
				}
			}
			for _, lock := range []bool{false, true} {
				calls, found := 0, 0
				l.must(Lookup(l.T.Context(), l, r, []int{0}, keys, LookupOptions{ForUpdate: lock}, func(i int, row db.Row) error {
					calls++
					if row != nil {
						found++
						if !row[0].Equal(keys[i][0]) {
							t.Errorf("key %s found row %s", keys[i][0].Data, row[0].Data)
						}
					}
					return nil
				}))
				if calls != len(keys) || found != want {
					l.Errorf("step %d lock %v: %d calls for %d keys, %d found, want %d", step, lock, calls, len(keys), found, want)
				}
			}
		}
	})
}

func TestExists(t *testing.T) {
	onAll(t, func(l *live) {
		l.exec("CREATE TABLE c (id int primary key, parent int, name varchar(10) character set latin1, key (parent), unique (name, parent))",
			"INSERT INTO c VALUES (1, 7, 'x'), (2, 7, 'Y'), (3, 8, NULL), (4, NULL, 'x')")
		c := l.table("c")
		for _, e := range []struct {
			by   []int
			keys []db.Row
			want string
		}{
			{[]int{1}, []db.Row{key("7"), key("8"), key("9"), key("NULL")}, "[true true false false]"},
			{[]int{2, 1}, []db.Row{key("y", "7"), key("x", "8"), key("x", "NULL"), key("NULL", "8"), key("x", "7")}, "[true false false false true]"},
			{[]int{0}, nil, "[]"},
		} {
			got, err := Exists(l.T.Context(), l, c, e.by, e.keys, false)
			l.must(err)
			if fmt.Sprint(got) != e.want {
				l.Errorf("%v: %v, want %s", e.keys, got, e.want)
			}
		}
	})
}

func TestStreamReadsEveryRowInKeyOrder(t *testing.T) {
	onAll(t, func(l *live) {
		l.makeKeyed(keyCase{cols: "a int, b varchar(20), c int", key: "a,b,c", vals: "%[1]d %% 3, CONCAT('v', %[1]d %% 11), %[1]d"}, "s")
		// 8 copies make more rows than one chunk holds, and chunks that end inside equal prefixes.
		for i := range 3 {
			l.exec(fmt.Sprintf("INSERT INTO s SELECT a, b, c+%d, n, v FROM s", keyRows<<i))
		}
		s := l.table("s")
		var got []string
		for row, err := range Stream(l.T.Context(), l, s, []int{2}, "") {
			l.must(err)
			got = append(got, fmt.Sprintf("%s %s %s", row[0].Data, row[1].Data, row[2].Data))
		}
		if want := l.text("SELECT a, b, c FROM s ORDER BY a, b, c"); strings.Join(got, "\n") != want {
			l.Errorf("%d rows differ from those of one SELECT", len(got))
		}
		n := 0
		for _, err := range Stream(l.T.Context(), l, s, nil, "a=1 OR a=2") {
			l.must(err)
			n++
		}
		if want := l.text("SELECT COUNT(*) FROM s WHERE a=1 OR a=2"); fmt.Sprint(n) != want {
			l.Errorf("%d rows, want %s", n, want)
		}
		for range Stream(l.T.Context(), l, s, nil, "") {
			break
		}
		for _, err := range Stream(l.T.Context(), l, s, nil, "nonsense") {
			if err == nil || !strings.Contains(err.Error(), "nonsense") {
				l.Errorf("a wrong condition gives %v", err)
			}
		}
		l.text("SELECT 1") // the connection is free again
	})
}
