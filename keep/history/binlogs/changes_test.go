package binlogs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

const fullMetadata = "--loose-binlog-row-metadata=FULL"

// changes are the rows at the places, in one line each: "a -1,x", "a 1,x>1,y".
func (l *lab) changes(logs []binlogs.Log, places []history.Place, tables ...string) []string {
	l.Helper()
	c := l.open()
	shape := func(t *binlog.TableMap, _ history.Place) (*db.Table, error) {
		if t.Schema != l.schema || !slices.Contains(tables, t.Table) {
			return nil, nil
		}
		live, err := c.Table(l.Context(), l.table(t.Table))
		if err != nil {
			return nil, err
		}
		then, err := binlogs.ShapeThen(t, nil, live, nil)
		if err != nil {
			return nil, err
		}
		return then.Shape, nil
	}
	var out []string
	err := binlogs.Changes(l.Context(), logs, places, shape, func(ch *db.Change, _ history.Place) error {
		out = append(out, show(ch))
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return out
}

func show(ch *db.Change) string {
	row := func(r db.Row) string {
		var v []string
		for i := range r {
			if c := &ch.Table.Columns[i]; !c.Generated {
				v = append(v, c.Show(r[i]))
			}
		}
		return strings.Join(v, ",")
	}
	switch ch.Op {
	case db.Insert:
		return ch.Table.Table + " +" + row(ch.After)
	case db.Delete:
		return ch.Table.Table + " -" + row(ch.Before)
	}
	return ch.Table.Table + " " + row(ch.Before) + ">" + row(ch.After)
}

// TestChanges hands out the rows of the chosen transactions and tables, and no others.
func TestChanges(t *testing.T) {
	for _, metadata := range []string{"--loose-binlog-row-metadata=MINIMAL", fullMetadata} {
		each(t, func(l *lab) {
			l.exec(tableA + ";\nCREATE TABLE b LIKE a;\n" + rows("a", 1, 3) + ";\n" + rows("b", 1, 2))
			l.exec("DELETE FROM a WHERE id=1;\nFLUSH BINARY LOGS;\nBEGIN;\nUPDATE a SET v=NULL WHERE id=2;\nDELETE FROM b;\nCOMMIT;\nDELETE FROM a WHERE id=3")
			q := l.all()
			q.Places = true
			places := l.scan(q).Places
			if len(places) != 5 {
				l.Fatalf("places %v", places)
			}
			for _, c := range []struct {
				name   string
				places []history.Place
				tables []string
				want   string
			}{
				{"all", places, []string{"a", "b"}, "a +1,v1; a +2,v2; a +3,v3; b +1,v1; b +2,v2; a -1,v1; a 2,v2>2,NULL; b -1,v1; b -2,v2; a -3,v3"},
				{"across logs", []history.Place{places[2], places[4]}, []string{"a", "b"}, "a -1,v1; a -3,v3"},
				{"one table of two", places[3:4], []string{"b"}, "b -1,v1; b -2,v2"},
				{"none", nil, []string{"a"}, ""},
			} {
				for where, logs := range map[string][]binlogs.Log{"files": l.logs(), "server": l.overWire()} {
					if got := strings.Join(l.changes(logs, c.places, c.tables...), "; "); got != c.want {
						l.Errorf("%s from %s: %q, want %q", c.name, where, got, c.want)
					}
				}
			}
		}, metadata)
	}
}

// TestDeletedRows gives back exactly what a SELECT saw before the DELETE.
func TestDeletedRows(t *testing.T) {
	each(t, func(l *lab) {
		l.exec("CREATE TABLE a (id BIGINT UNSIGNED PRIMARY KEY, n DECIMAL(10,2), v VARCHAR(300), e ENUM('x','y'), d DATETIME(3))")
		for i := range 20 {
			l.exec(fmt.Sprintf("INSERT INTO a VALUES (%d, %d.5, REPEAT('ü',%d), 'y', '2026-01-01 10:00:00.%03d')", i, -i, i*10, i))
		}
		var want []string
		for i := range 20 {
			want = append(want, "a -"+l.ask(fmt.Sprintf("SELECT CONCAT_WS(',', id, n, v, e, d) FROM a WHERE id=%d", i)))
		}
		l.exec("DELETE FROM a")
		q := l.all()
		q.Places = true
		places := l.scan(q).Places
		if got := l.changes(l.logs(), places[len(places)-1:], "a"); !slices.Equal(got, want) {
			l.Errorf("rows %q, want %q", got, want)
		}
	})
}

// TestVersionedChanges hands out what the user did to a system-versioned table.
func TestVersionedChanges(t *testing.T) {
	for _, metadata := range []string{"MINIMAL", "FULL"} {
		each(t, func(l *lab) {
			if !l.maria() {
				return
			}
			l.exec("CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9)) WITH SYSTEM VERSIONING;\nINSERT INTO a VALUES (1,'x'),(2,'x');\nUPDATE a SET v='y' WHERE id=1;\nDELETE FROM a")
			r := l.scan(l.all())
			if got := text(r.Touches); got != "a +2; a ~1; a -2" {
				l.Errorf("found %q", got)
			}
			q := l.all()
			q.Places = true
			if got := strings.Join(l.changes(l.logs(), l.scan(q).Places, "a"), "; "); got != "a +1,x; a +2,x; a 1,x>1,y; a -1,y; a -2,x" {
				l.Errorf("rows %q", got)
			}
		}, "--loose-binlog-row-metadata="+metadata)
	}
}
