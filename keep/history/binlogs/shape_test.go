package binlogs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// then works out the shape that the rows at a place of table a have, as a plan does.
func (l *lab) then(place history.Place, given *db.Table) (*binlogs.Then, error) {
	l.Helper()
	since, err := binlogs.Redefinitions(l.Context(), l.logs(), place, []db.Name{l.table("a")})
	if err != nil {
		return nil, err
	}
	c := l.open()
	live, err := c.Table(l.Context(), binlogs.NameNow(l.table("a"), since))
	if lull.KindOf(err) == lull.Usage {
		live, err = nil, nil
	}
	if err != nil {
		l.Fatal(err)
	}
	var then *binlogs.Then
	done := errors.New("done")
	err = binlogs.Changes(l.Context(), l.logs(), []history.Place{place}, func(t *binlog.TableMap, _ history.Place) (*db.Table, error) {
		if t.Table != "a" {
			return nil, nil
		}
		var err error
		then, err = binlogs.ShapeThen(t, given, live, since)
		if err != nil {
			return nil, err
		}
		return nil, done
	}, nil)
	if errors.Is(err, done) {
		err = nil
	}
	return then, err
}

// columns are a shape's columns: "id v(hidden)".
func columns(t *db.Table) string {
	var out []string
	for _, c := range t.Columns {
		if c.Generated {
			c.Name += "(hidden)"
		}
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

// shapeCase is what became of a table since its rows were logged, and the columns of then.
type shapeCase struct {
	name, since   string
	minimal, full string // without names in the log and with them; "refused: " and a part of the reason
	now           string // the table's name by now, when it is another
	renamed       string
	where         string // "mariadb": only there
}

const shapeCreate = "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(50), n INT, m INT, d DATE)"

func shapeCases() []shapeCase {
	return []shapeCase{
		{name: "nothing", minimal: "id v n m d", full: "id v n m d"},
		{name: "key added", since: "CREATE INDEX k ON a (n)", minimal: "id v n m d", full: "id v n m d"},
		{name: "column added", since: "ALTER TABLE a ADD w INT", minimal: "id v n m d", full: "id v n m d"},
		{name: "column added first", since: "ALTER TABLE a ADD w INT FIRST", minimal: "id v n m d", full: "id v n m d"},
		{name: "column dropped", since: "ALTER TABLE a DROP v", minimal: "id v n m d", full: "id v n m d"},
		{name: "column dropped among its like", since: "ALTER TABLE a DROP n", minimal: "refused: 2 orders", full: "id v n m d"},
		{name: "column renamed", since: "ALTER TABLE a CHANGE v w VARCHAR(50)", minimal: "id v n m d", full: "id v n m d", renamed: "v>w"},
		{name: "renamed twice", since: "ALTER TABLE a CHANGE v w VARCHAR(50);\nALTER TABLE a CHANGE w x TEXT", minimal: "id v n m d", full: "id v n m d", renamed: "v>x"},
		{name: "name taken over", since: "ALTER TABLE a CHANGE n k INT, ADD n INT AFTER k", minimal: "id v n m d", full: "id v n m d", renamed: "n>k"},
		{name: "names exchanged", since: "ALTER TABLE a CHANGE n m INT, CHANGE m n INT", minimal: "id v n m d", full: "id v n m d", renamed: "m>n n>m"},
		{name: "reordered", since: "ALTER TABLE a MODIFY d DATE AFTER id", minimal: "id v n m d", full: "id v n m d"},
		{name: "type changed", since: "ALTER TABLE a MODIFY n BIGINT", minimal: "id v n m d", full: "id v n m d"},
		{name: "several", since: "ALTER TABLE a ADD w INT AFTER id;\nALTER TABLE a DROP d;\nALTER TABLE a CHANGE v vv TEXT FIRST", minimal: "refused: orders", full: "id v n m d", renamed: "v>vv"},
		{name: "table renamed", since: "RENAME TABLE a TO z", minimal: "id v n m d", full: "id v n m d", now: "z"},
		{name: "renamed and altered", since: "ALTER TABLE a RENAME TO y;\nALTER TABLE y ADD w INT FIRST;\nRENAME TABLE y TO z", minimal: "id v n m d", full: "id v n m d", now: "z"},
		{name: "renamed and back", since: "RENAME TABLE a TO z;\nRENAME TABLE z TO a", minimal: "id v n m d", full: "id v n m d"},
		{name: "online schema change", since: "CREATE TABLE g LIKE a;\nALTER TABLE g ADD w INT;\nRENAME TABLE a TO z, g TO a", minimal: "refused: anew", full: "id v n m d"},
		{name: "and the old table dropped", since: "CREATE TABLE g LIKE a;\nRENAME TABLE a TO z;\nRENAME TABLE g TO a;\nDROP TABLE z", minimal: "refused: anew", full: "id v n m d"},
		{name: "dropped", since: "DROP TABLE a", minimal: "refused: no column names", full: "id v n m d"},
		{name: "dropped and re-created", since: "DROP TABLE a;\n" + shapeCreate, minimal: "refused: anew", full: "id v n m d"},
		{name: "another of its name", since: "CREATE TABLE IF NOT EXISTS a (id INT)", minimal: "id v n m d", full: "id v n m d"},
		{name: "created or replaced", since: "CREATE OR REPLACE TABLE a (x INT)", minimal: "refused: anew", full: "id v n m d", where: "mariadb"},
		{name: "versioning added", since: "ALTER TABLE a ADD SYSTEM VERSIONING", minimal: "id v n m d", full: "id v n m d", where: "mariadb"},
	}
}

func TestShapeThen(t *testing.T) {
	const insert = "INSERT INTO a VALUES (1,'x',5,6,'2026-01-01')"
	for _, metadata := range []string{"MINIMAL", "FULL"} {
		each(t, func(l *lab) {
			full := metadata == "FULL" && !l.on("mysql-5")
			for _, c := range shapeCases() {
				if c.where != "" && c.where != l.srv.Flavor() {
					continue
				}
				l.exec("DROP TABLE IF EXISTS a, g, y, z;\nFLUSH BINARY LOGS")
				l.first = l.logs()[len(l.logs())-1].Name()
				l.exec(shapeCreate + ";\n" + insert)
				q := l.all()
				q.Places = true
				place := l.scan(q).Places[0]
				l.exec(c.since)
				want := c.minimal
				if full {
					want = c.full
				}
				l.checkThen(c.name, place, want, c.now, c.renamed)
			}
		}, "--loose-binlog-row-metadata="+metadata)
	}
}

func (l *lab) checkThen(name string, place history.Place, want, now, renamed string) {
	l.Helper()
	then, err := l.then(place, nil)
	if reason, refused := strings.CutPrefix(want, "refused: "); refused {
		if lull.KindOf(err) != lull.Refused || !strings.Contains(err.Error(), reason) || !strings.Contains(lull.HintOf(err), "--schema") {
			l.Errorf("%s: error %v, want it refused: %s", name, err, reason)
		}
		return
	}
	if err != nil {
		l.Errorf("%s: %v", name, err)
		return
	}
	if got := columns(then.Shape); got != want {
		l.Errorf("%s: columns %s, want %s", name, got, want)
	}
	if now == "" {
		now = "a"
	}
	if then.Now != l.table(now) {
		l.Errorf("%s: now called %s, want %s", name, then.Now, now)
	}
	var pairs []string
	for from, to := range then.Renamed {
		pairs = append(pairs, from+">"+to)
	}
	slices.Sort(pairs)
	if got := strings.Join(pairs, " "); got != renamed {
		l.Errorf("%s: renamed %q, want %q", name, got, renamed)
	}
}

// TestHiddenColumns finds the columns that MariaDB keeps to itself.
func TestHiddenColumns(t *testing.T) {
	for _, metadata := range []string{"MINIMAL", "FULL"} {
		each(t, func(l *lab) {
			if !l.maria() {
				return
			}
			for create, want := range map[string]string{
				"CREATE TABLE a (id INT, v TEXT) WITH SYSTEM VERSIONING":      "id v row_start(hidden) row_end(hidden)",
				"CREATE TABLE a (id INT, v TEXT, UNIQUE (v))":                 "id v DB_ROW_HASH_1(hidden)",
				"CREATE TABLE a (id INT, v TEXT, w INT AS (id+1) PERSISTENT)": "id v w(hidden)",
			} {
				l.exec("DROP TABLE IF EXISTS a;\nFLUSH BINARY LOGS")
				l.first = l.logs()[len(l.logs())-1].Name()
				l.exec(create + ";\nINSERT INTO a (id, v) VALUES (1,'x')")
				q := l.all()
				q.Places = true
				l.checkThen(create, l.scan(q).Places[0], want, "", "")
			}
		}, "--loose-binlog-row-metadata="+metadata)
	}
}

// TestEnumList keeps the members that the log's numbers stand for.
func TestEnumList(t *testing.T) {
	each(t, func(l *lab) {
		if l.on("mysql-5") {
			return // logs no members
		}
		l.exec("CREATE TABLE a (id INT PRIMARY KEY, e ENUM('new','paid'));\nINSERT INTO a VALUES (1,'paid')")
		q := l.all()
		q.Places = true
		place := l.scan(q).Places[0]
		l.exec("ALTER TABLE a MODIFY e ENUM('paid','new')")
		then, err := l.then(place, nil)
		if err != nil {
			l.Fatal(err)
		}
		if got := fmt.Sprint(then.Shape.Columns[1].Elements); got != "[new paid]" {
			l.Errorf("members %s, want those of then", got)
		}
	}, fullMetadata)
}

// TestCharsetChanged says that text was logged in another character set than the column has now.
func TestCharsetChanged(t *testing.T) {
	each(t, func(l *lab) {
		if l.on("mysql-5") {
			return // logs no character sets
		}
		l.exec("CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET latin1);\nINSERT INTO a VALUES (1,'x')")
		q := l.all()
		q.Places = true
		place := l.scan(q).Places[0]
		l.exec("ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4")
		then, err := l.then(place, nil)
		if err != nil {
			l.Fatal(err)
		}
		if got := then.Shape.Columns[1].Charset; got != "latin1" {
			l.Errorf("character set %q, want latin1", got)
		}
	}, fullMetadata)
}

// TestGivenShape takes the user's CREATE TABLE when it fits.
func TestGivenShape(t *testing.T) {
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA + ";\nINSERT INTO a VALUES (1,'x')")
	q := l.all()
	q.Places = true
	place := l.scan(q).Places[0]
	l.exec("DROP TABLE a")
	given := func(sql string) *db.Table {
		tables, err := ddl.ParseCreateTables(sql)
		if err != nil || len(tables) != 1 {
			t.Fatal(tables, err)
		}
		return tables[0]
	}
	then, err := l.then(place, given("CREATE TABLE a (key1 INT PRIMARY KEY, txt VARCHAR(50))"))
	if err != nil || columns(then.Shape) != "key1 txt" {
		t.Errorf("shape %+v, error %v", then, err)
	}
	_, err = l.then(place, given("CREATE TABLE a (key1 INT PRIMARY KEY)"))
	if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), "--schema does not fit") {
		t.Errorf("error %v", err)
	}
}

// TestRedefinitionsCancelled ends soon.
func TestRedefinitionsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := binlogs.Redefinitions(ctx, open(t, threeLogs(t)...), history.Place{File: "bin.000001"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
