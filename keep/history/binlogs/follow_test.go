package binlogs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// mirror is what the steps of a feed make of the tables.
type mirror struct {
	testing.TB
	tables  map[db.Name]*mirrored
	pending []func()
	commits int
	log     []string
	touches []history.Touch
	pos     db.Position
	lost    []string
	defs    []*history.Definition // that came with events
}

type mirrored struct {
	def  string
	rows map[string]db.Row
	lost bool
}

func newMirror(t testing.TB) *mirror { return &mirror{TB: t, tables: map[db.Name]*mirrored{}} }

func (m *mirror) table(n db.Name) *mirrored {
	t := m.tables[n]
	if t == nil {
		t = &mirrored{rows: map[string]db.Row{}}
		m.tables[n] = t
	}
	return t
}

func keyOf(t *db.Table, row db.Row) string {
	return string(db.AppendKey(nil, t, t.RowKey(), row))
}

// take takes a step in; a transaction's steps count when it commits.
func (m *mirror) take(st *history.Step) {
	m.Helper()
	switch st.Kind {
	case history.RowStep:
		c := *st.Change
		c.Before, c.After = c.Before.Clone(), c.After.Clone()
		def := st.Definition
		m.pending = append(m.pending, func() { m.row(&c, def) })
	case history.EventStep:
		e := *st.Event
		def := st.New
		if def != nil {
			m.defs = append(m.defs, def)
		}
		if e.Definition != "" && (def == nil || def.ID != e.Definition) {
			m.Errorf("event %+v comes without its definition", e)
		}
		m.pending = append(m.pending, func() { m.event(&e) })
	case history.CommitStep:
		for _, f := range m.pending {
			f()
		}
		m.pending = nil
		m.commits++
		m.touches = append(m.touches, st.Touches...)
		m.pos = st.Pos
	case history.IdleStep:
		for _, f := range m.pending { // a Lost outside of a transaction
			f()
		}
		m.pending = nil
		m.pos = st.Pos
	}
}

func (m *mirror) row(c *db.Change, def *history.Definition) {
	t := m.table(c.Table.Name)
	if t.def == "" {
		t.def = def.ID
	}
	if t.def != def.ID && !t.lost {
		m.Errorf("a row of %s has definition %s, want %s\n%s", c.Table.Name, def.ID, t.def, strings.Join(m.log, "\n"))
	}
	t.def = def.ID
	if n := len(def.Table.Columns); c.Before != nil && len(c.Before) != n || c.After != nil && len(c.After) != n {
		m.Errorf("a row of %s has not %d columns", c.Table.Name, n)
		return
	}
	if c.Before != nil {
		k := keyOf(c.Table, c.Before)
		old := t.rows[k]
		if old == nil && !t.lost {
			m.Errorf("%s: a row is changed that is not there", c.Table.Name)
		}
		delete(t.rows, k)
		for i := range c.After {
			if c.After[i].State == db.Absent && old != nil {
				c.After[i] = old[i]
			}
		}
	}
	if c.After != nil {
		t.rows[keyOf(c.Table, c.After)] = c.After
	}
}

func (m *mirror) event(e *history.Event) {
	m.log = append(m.log, fmt.Sprintf("%s %s %s: %s %s", e.Kind, e.Table, e.To, e.Statement, e.Reason))
	switch e.Kind {
	case history.Created:
		m.tables[e.Table] = &mirrored{def: e.Definition, rows: map[string]db.Row{}}
	case history.Altered:
		t := m.table(e.Table)
		if t.def != "" && t.def != e.Was && !t.lost {
			m.Errorf("%s: altered from %s, but it is %s\n%s", e.Table, e.Was, t.def, strings.Join(m.log, "\n"))
		}
		t.def = e.Definition
		rows := map[string]db.Row{}
		for k, r := range t.rows {
			now := make(db.Row, len(e.Columns))
			for i, c := range e.Columns {
				switch {
				case c.Old >= 0:
					now[i] = r[c.Old]
				case c.Default != nil:
					now[i] = db.Value{State: db.Set, Data: c.Default}
				}
			}
			rows[k] = now // the tests never change a key's columns
		}
		t.rows = rows
	case history.Dropped:
		delete(m.tables, e.Table)
	case history.Renamed:
		m.tables[e.To] = m.table(e.Table)
		delete(m.tables, e.Table)
	case history.Truncated:
		m.table(e.Table).rows = map[string]db.Row{}
	case history.Lost:
		m.lost = append(m.lost, e.Table.Table+": "+e.Reason)
		for n, t := range m.tables {
			if n == e.Table || e.Table == (db.Name{}) {
				t.lost = true
			}
		}
	}
}

// same compares all tables of a schema with what is live, but for the lost ones.
func (m *mirror) same(c *mysql.Conn, schema string) (compared int) {
	m.Helper()
	names, err := c.Tables(m.Context(), schema)
	if err != nil {
		m.Fatal(err)
	}
	have := slices.Collect(maps.Keys(m.tables))
	for _, n := range have {
		if !slices.Contains(names, n) && !m.tables[n].lost {
			m.Errorf("%s is not there any more\n%s", n, strings.Join(m.log, "\n"))
		}
	}
	for _, n := range names {
		got := m.tables[n]
		if got == nil {
			m.Errorf("%s is missing\n%s", n, strings.Join(m.log, "\n"))
			continue
		}
		if got.lost {
			continue
		}
		compared++
		t, err := c.Table(m.Context(), n)
		if err != nil {
			m.Fatal(err)
		}
		count := 0
		for row, err := range rowio.Stream(m.Context(), c.DB, t, nil, "") {
			if err != nil {
				m.Fatal(err)
			}
			count++
			if r := got.rows[keyOf(t, row)]; !slices.EqualFunc(r, row, db.Value.Equal) {
				m.Errorf("%s has %s, the mirror %s\n%s", n, words(row), words(r), strings.Join(m.log, "\n"))
				break
			}
		}
		if count != len(got.rows) {
			m.Errorf("%s has %d rows, the mirror %d\n%s", n, count, len(got.rows), strings.Join(m.log, "\n"))
		}
	}
	return compared
}

func words(r db.Row) string {
	var out []string
	for _, v := range r {
		if v.State != db.Set {
			out = append(out, [...]string{"NULL", "", "?"}[v.State])
			continue
		}
		out = append(out, string(v.Data))
	}
	return strings.Join(out, "|")
}

// until takes steps until the feed has read up to a position.
func (m *mirror) until(f *binlogs.Feed, pos db.Position) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), time.Minute)
	defer cancel()
	for m.pos.File < pos.File || m.pos.File == pos.File && m.pos.Offset < pos.Offset || len(m.pending) > 0 {
		st, err := f.Next(ctx)
		if err != nil {
			m.Fatalf("%v at %+v, want %+v", err, m.pos, pos)
		}
		m.take(st)
	}
}

func (l *lab) follow(c *mysql.Conn, opt binlogs.FollowOptions) *binlogs.Feed {
	l.Helper()
	if opt.Want == nil {
		opt.Want = func(n db.Name) bool { return n.Schema == l.schema }
	}
	f, err := binlogs.Follow(l.Context(), c, opt)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { f.Close() })
	return f
}

func (l *lab) position(c *mysql.Conn) db.Position {
	l.Helper()
	pos, err := c.Position(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return pos
}

func TestFollowStatements(t *testing.T) {
	f := func(name, script, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			each(t, func(l *lab) {
				l.TB = t
				c := l.open()
				f := l.follow(c, binlogs.FollowOptions{})
				m := newMirror(t)
				l.exec(strings.ReplaceAll(script, "SCHEMA", l.schema))
				m.until(f, l.position(c))
				m.same(c, l.schema)
				var kinds []string
				for _, line := range m.log {
					kinds = append(kinds, strings.Fields(strings.ReplaceAll(line, l.schema+".", ""))[0])
				}
				if got := strings.Join(kinds, " "); got != want {
					t.Errorf("%s: %q, want %q\n%s", l.series, got, want, strings.Join(m.log, "\n"))
				}
			})
		})
	}
	const ab = "CREATE TABLE a (id int PRIMARY KEY, x varchar(20));\nINSERT INTO a VALUES (1, 'one'), (2, NULL);\nCREATE TABLE b LIKE a;\nINSERT INTO b VALUES (9, 'nine');\n"
	f("rows", ab+"UPDATE a SET x = 'two' WHERE id = 2;\nDELETE FROM a WHERE id = 1;\nUPDATE b SET id = 10", "create create")
	f("add columns", ab+"ALTER TABLE a ADD y int NOT NULL DEFAULT 7, ADD z varchar(5) DEFAULT 'q' FIRST, ADD n decimal(5,2);\nUPDATE a SET y = 8 WHERE id = 1", "create create alter")
	f("rename a column", ab+"ALTER TABLE a CHANGE x w varchar(40) DEFAULT 'x', ADD x int;\nINSERT INTO a VALUES (5, 'w', 4)", "create create alter")
	f("drop a column", ab+"ALTER TABLE a DROP x;\nINSERT INTO a VALUES (5)", "create create alter")
	f("index", ab+"CREATE INDEX i ON a (x);\nINSERT INTO a VALUES (5, 'w')", "create create alter")
	f("swap", ab+"RENAME TABLE a TO c, b TO a, c TO b;\nINSERT INTO a VALUES (10, 'w')", "create create rename rename rename alter alter")
	f("alter and rename", ab+"ALTER TABLE a RENAME TO c, ADD y int;\nINSERT INTO c VALUES (10, 'w', 1)", "create create rename alter")
	f("truncate", ab+"TRUNCATE a;\nINSERT INTO a VALUES (10, 'w')", "create create truncate")
	f("drop", ab+"DROP TABLE a, b;\nDROP TABLE IF EXISTS a", "create create drop drop")
	f("conversion", ab+"DELETE FROM a;\nINSERT INTO a VALUES (1, '01');\nALTER TABLE a MODIFY x int", "create create alter lost")
	f("expression", ab+"ALTER TABLE a ADD t timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP", "create create alter lost")
	f("statement", ab+"SET SESSION binlog_format = STATEMENT;\nUPDATE a SET x = 'q';\nSET SESSION binlog_format = ROW", "create create lost")
	f("create again", ab+"CREATE TABLE IF NOT EXISTS a (q int);\nDROP TABLE b;\nCREATE TABLE b (i int PRIMARY KEY);\nINSERT INTO b VALUES (3)", "create create drop create")
	f("temporary", ab+"CREATE TEMPORARY TABLE t (i int);\nINSERT INTO t VALUES (3);\nDROP TEMPORARY TABLE t", "create create")
	f("create select", ab+"CREATE TABLE d (PRIMARY KEY (id)) SELECT * FROM a", "create create create")
	f("enum grows", "CREATE TABLE a (id int PRIMARY KEY, e enum('a','b') NOT NULL);\nINSERT INTO a VALUES (1, 'b');\nALTER TABLE a MODIFY e enum('a','b','c') NOT NULL, ADD f enum('x','y') NOT NULL DEFAULT 'y', ADD g float NOT NULL, ADD h datetime(3) NOT NULL DEFAULT '2020-01-02 03:04:05'", "create alter")
	f("foreign keys", "CREATE TABLE p (id int PRIMARY KEY) ENGINE=InnoDB;\nCREATE TABLE c (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES p (id)) ENGINE=InnoDB;\nINSERT INTO p VALUES (1);\nINSERT INTO c VALUES (1, 1);\nRENAME TABLE p TO q;\nINSERT INTO q VALUES (2)", "create create rename alter alter")
	f("two alters", ab+"ALTER TABLE a ADD y int NOT NULL DEFAULT 7;\nINSERT INTO a VALUES (7, 'x', 1);\nALTER TABLE a DROP x, ADD UNIQUE (y, id);\nINSERT INTO a VALUES (8, 1);\nALTER TABLE a ADD w int DEFAULT 3 FIRST;\nINSERT INTO a VALUES (9, 9, 9)", "create create alter alter alter")
	f("database", "CREATE DATABASE SCHEMA_2;\nCREATE TABLE SCHEMA_2.a (id int PRIMARY KEY);\nDROP DATABASE SCHEMA_2", "")
}

func TestFollowVersions(t *testing.T) {
	each(t, func(l *lab) {
		if !l.maria() {
			return
		}
		c := l.open()
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		l.exec("CREATE TABLE a (id int PRIMARY KEY, x int) WITH SYSTEM VERSIONING;\nINSERT INTO a VALUES (1, 1), (2, 2), (3, 3);\nUPDATE a SET x = 5 WHERE id = 1;\n" +
			"DELETE FROM a WHERE id = 2;\nSET SESSION system_versioning_alter_history = KEEP;\nALTER TABLE a ADD y int DEFAULT 4;\nUPDATE a SET y = 1 WHERE id = 3;\nCREATE SEQUENCE s;\nSELECT NEXTVAL(s)")
		m.until(f, l.position(c))
		if m.same(c, l.schema) != 1 {
			l.Error(m.lost)
		}
	})
}

// TestFollowRandom changes tables at random, faster than the feed reads, and compares.
func TestFollowRandom(t *testing.T) {
	each(t, func(l *lab) {
		c := l.open()
		f := l.follow(c, binlogs.FollowOptions{})
		m := newMirror(l.TB)
		r := rand.New(rand.NewPCG(7, uint64(len(l.series))))
		compared := 0
		for round := range 12 {
			g := &generator{r: r, l: l}
			for range 40 {
				g.step()
			}
			m.until(f, l.position(c))
			compared += m.same(c, l.schema)
			if l.Failed() {
				l.Fatalf("round %d", round)
			}
			if round%4 == 3 { // go on in another feed
				known := f.Known()
				f.Close()
				server, err := c.Identity(l.Context())
				if err != nil {
					l.Fatal(err)
				}
				f = l.follow(c, binlogs.FollowOptions{From: m.pos, Server: server, Known: known})
			}
		}
		l.scripts(c, m.defs)
		if compared < 10 {
			l.Errorf("only %d tables were compared, lost: %s", compared, strings.Join(m.lost, "\n"))
		}
		l.Logf("%d tables compared, %d commits, lost %d times", compared, m.commits, len(m.lost))
	})
}

// scripts runs the definitions' scripts in a schema of their own, and compares what they make.
func (l *lab) scripts(c *mysql.Conn, defs []*history.Definition) {
	l.Helper()
	scratch := l.schema + "_scratch"
	longest := 0
	for _, d := range defs {
		longest = max(longest, len(d.Script))
		l.exec("CREATE DATABASE " + scratch + ";\nUSE " + scratch)
		for _, stmt := range d.Script {
			l.exec(stmt)
		}
		t, err := c.Table(l.Context(), db.Name{Schema: scratch, Table: d.Table.Table})
		if err != nil {
			l.Fatalf("%v\n%s", err, strings.Join(d.Script, ";\n"))
		}
		want := d.Table.Columns
		if !slices.EqualFunc(t.Columns, want, func(a, b db.Column) bool {
			return a.Name == b.Name && a.DataType == b.DataType && a.Nullable == b.Nullable && a.Scale == b.Scale
		}) || !slices.Equal(t.RowKey(), d.Table.RowKey()) {
			l.Errorf("the script makes %+v, want %+v\n%s", t.Columns, want, strings.Join(d.Script, ";\n"))
		}
		l.exec("DROP DATABASE " + scratch)
	}
	l.exec("USE " + l.schema)
	l.Logf("%d scripts of up to %d statements", len(defs), longest)
}

// generator makes statements on tables t0 to t3, whose key is id.
type generator struct {
	r *rand.Rand
	l *lab
}

func (g *generator) step() {
	n := fmt.Sprintf("t%d", g.r.IntN(4))
	var stmt string
	switch k := g.r.IntN(40); k {
	case 0:
		stmt = "DROP TABLE IF EXISTS " + n
	case 1:
		stmt = "TRUNCATE " + n
	case 2:
		stmt = fmt.Sprintf("RENAME TABLE %s TO x, t%d TO %[1]s", n, g.r.IntN(4))
	case 3:
		stmt = fmt.Sprintf("RENAME TABLE x TO %s", n)
	case 4:
		stmt = fmt.Sprintf("ALTER TABLE %s ADD c%d int NOT NULL DEFAULT %[2]d", n, g.r.IntN(5))
	case 5:
		stmt = fmt.Sprintf("ALTER TABLE %s DROP c%d", n, g.r.IntN(5))
	case 6:
		stmt = fmt.Sprintf("ALTER TABLE %s CHANGE c%d c%d bigint NOT NULL DEFAULT 3 FIRST", n, g.r.IntN(5), g.r.IntN(5))
	case 7:
		stmt = fmt.Sprintf("ALTER TABLE %s ADD d%d varchar(30) DEFAULT 'd' AFTER id", n, g.r.IntN(3))
	case 8:
		stmt = fmt.Sprintf("ALTER TABLE %s ADD INDEX (id, s)", n)
	case 9:
		stmt = fmt.Sprintf("CREATE TABLE %s LIKE t%d", n, g.r.IntN(4))
	case 10, 11, 12, 13:
		stmt = fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, s varchar(40) CHARACTER SET utf8, n decimal(8,2), ts timestamp(3) NULL) ENGINE=%s", n, []string{"InnoDB", "MyISAM"}[k%2])
	case 14, 15, 16:
		stmt = fmt.Sprintf("DELETE FROM %s WHERE id %% 7 = %d", n, g.r.IntN(7))
	case 17, 18, 19, 20:
		stmt = fmt.Sprintf("UPDATE %s SET s = CONCAT(s, '%d'), n = n + 1 WHERE id < %d", n, k, g.r.IntN(60))
	case 21:
		stmt = fmt.Sprintf("UPDATE %s SET id = id + 1000 WHERE id = %d", n, g.r.IntN(60))
	default:
		id := g.r.IntN(100)
		stmt = fmt.Sprintf("INSERT IGNORE INTO %s (id, s, n, ts) VALUES (%d, 'ä%d', %d.5, '2024-05-06 07:08:09.5'), (%d, NULL, NULL, NULL)", n, id, id, id, id+1)
	}
	if g.r.IntN(2) == 0 { // the script must not depend on it
		stmt = strings.Replace(stmt, "TABLE "+n+" ", "TABLE "+g.l.schema+"."+n+" ", 1)
	}
	_, _ = g.l.conn.ExecContext(context.WithoutCancel(g.l.Context()), stmt) // many cannot be carried out
}

func TestFollowIdleAndCancel(t *testing.T) {
	each(t, func(l *lab) {
		c := l.open()
		f := l.follow(c, binlogs.FollowOptions{Clock: time.Now})
		last := time.Now()
		for range 5 {
			st, err := f.Next(l.Context())
			if err != nil {
				l.Fatal(err)
			}
			if st.Kind == history.IdleStep && time.Since(last) > 1500*time.Millisecond {
				l.Errorf("an idle step came after %s", time.Since(last))
			}
			last = time.Now()
		}
		ctx, cancel := context.WithCancel(l.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		for {
			if _, err := f.Next(ctx); err != nil {
				if !errors.Is(err, context.Canceled) {
					l.Error(err)
				}
				break
			}
		}
		if d := time.Since(last); d > 2*time.Second {
			l.Errorf("it took %s to cancel", d)
		}
	})
}
