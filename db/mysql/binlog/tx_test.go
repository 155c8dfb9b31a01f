package binlog_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// span is one transaction of a log.
type span struct {
	db.Tx
	end  binlog.EventKind
	rows map[string]int // "a+" inserted, "a~" updated, "a-" deleted
	sql  []string
	xid  string
}

// spans groups a log's events; an event that leaves no transaction open ends one.
func spans(steps []step) (out []span) {
	cur := span{rows: map[string]int{}}
	for _, s := range steps {
		switch s.Kind {
		case binlog.Started, binlog.Stop, binlog.Rotate:
			continue
		case binlog.Changed:
			cur.rows[s.Table.Table+[]string{"", "+", "~", "-"}[s.op]] += s.n
		case binlog.Query:
			cur.sql = append(cur.sql, string(s.SQL))
		}
		if !s.open {
			cur.Tx, cur.end, cur.xid = s.tx, s.Kind, s.XID
			out = append(out, cur)
			cur = span{rows: map[string]int{}}
		}
	}
	return out
}

func (s span) String() string {
	keys := []string{}
	for k, n := range s.rows {
		keys = append(keys, fmt.Sprint(k, n))
	}
	slices.Sort(keys)
	out := kinds[s.end] + " " + strings.Join(keys, " ")
	if s.xid != "" {
		out += " " + s.xid
	}
	for _, q := range s.sql {
		out += " " + strings.Fields(q)[0]
	}
	return out
}

// serverOffsets is where the server itself says that events begin and end.
// Checkpoints, which MariaDB writes when it likes, are left out.
func (l *lab) serverOffsets() (begin, end []int64, checkpoints map[int64]int64) {
	l.Helper()
	rows, err := l.conn.QueryContext(l.Context(), "SHOW BINLOG EVENTS IN '"+l.file()+"'")
	if err != nil {
		l.Fatal(err)
	}
	defer rows.Close()
	checkpoints = map[int64]int64{}
	for rows.Next() {
		var file, typ, info string
		var pos, server, next int64
		if err := rows.Scan(&file, &pos, &typ, &server, &next, &info); err != nil {
			l.Fatal(err)
		}
		if typ == "Binlog_checkpoint" {
			checkpoints[pos] = next
			continue
		}
		begin, end = append(begin, pos), append(end, next)
	}
	if err := rows.Err(); err != nil {
		l.Fatal(err)
	}
	return begin, end, checkpoints
}

const mixed = `CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
CREATE TABLE m (id INT, v INT) ENGINE=MyISAM;
INSERT INTO a VALUES (1,1),(2,2);
BEGIN;
INSERT INTO a VALUES (3,1);
SAVEPOINT s1;
INSERT INTO a VALUES (4,1);
ROLLBACK TO s1;
INSERT INTO a VALUES (5,1);
COMMIT;
BEGIN;
INSERT INTO a VALUES (6,1);
INSERT INTO m VALUES (6,1),(7,1);
ROLLBACK;
BEGIN;
INSERT INTO a VALUES (7,1);
ROLLBACK;
XA START 'x1','b',7;
INSERT INTO a VALUES (20,1);
XA END 'x1','b',7;
XA PREPARE 'x1','b',7;
XA COMMIT 'x1','b',7;
XA START 'x2';
UPDATE a SET v = 9 WHERE id = 1;
XA END 'x2';
XA PREPARE 'x2';
XA ROLLBACK 'x2';
XA START 'x3';
INSERT INTO a VALUES (22,1);
XA END 'x3';
XA COMMIT 'x3' ONE PHASE;
LOCK TABLES a WRITE, m WRITE;
UPDATE a SET v = v + 1;
DELETE FROM m WHERE id = 6;
UNLOCK TABLES;
CREATE TABLE c AS SELECT * FROM a;
CREATE TEMPORARY TABLE tt (id INT);
INSERT INTO tt VALUES (1);
INSERT INTO a SELECT id + 900, 1 FROM tt;
DROP TEMPORARY TABLE tt;
SET SESSION binlog_format = STATEMENT;
UPDATE a SET v = v + 1 WHERE id = 1;
SET SESSION binlog_format = ROW;
DROP TABLE c`

// mixedWant is what each server logs of mixed, a line a transaction.
var mixedWant = map[string]string{
	"mariadb": `Query  CREATE
Query  CREATE
Commit a+2
Commit a+2 SAVEPOINT
Commit m+2
Prepared a+1 X'7831',X'62',7 XA
XACommit  X'7831',X'62',7
Prepared a~1 X'7832',X'',1 XA
XARollback  X'7832',X'',1
Commit a+1
Commit a~6
Commit m-1
Commit c+6 CREATE
Commit a+1
Commit  UPDATE
Query  DROP`,
	"mysql-5.6": `Query  CREATE
Query  CREATE
Commit a+2
Commit a+2 SAVEPOINT
Commit m+2
Commit a+1
Commit a+1
Commit a~6
Commit m-1
Commit c+6 CREATE
Commit a+1
Commit  UPDATE
Query  DROP`,
	"mysql-9.7": `Query  CREATE
Query  CREATE
Commit a+2
Commit a+2 SAVEPOINT
Commit m+2
Prepared a+1 X'7831',X'62',7 XA
XACommit  X'7831',X'62',7
Prepared a~1 X'7832',X'',1 XA
XARollback  X'7832',X'',1
Commit a+1 X'7833',X'',1 XA
Commit a~6
Commit m-1
Commit c+6 CREATE
Commit a+1
Commit  UPDATE
Query  DROP`,
}

// TestTransactions runs every way to begin and end one, with a table that cannot roll back.
func TestTransactions(t *testing.T) {
	each(t, func(l *lab) {
		log := l.script(mixed)
		got := spans(l.steps(log, nil))
		var lines []string
		for _, s := range got {
			if !strings.Contains(strings.Join(s.sql, " "), "DROP TEMPORARY") {
				lines = append(lines, s.String())
			}
		}
		want := mixedWant[l.series]
		if l.maria() {
			want = mixedWant["mariadb"]
		}
		if text := l.withoutEmpty(lines); text != want {
			l.Errorf("%s: transactions\n%s\nwant\n%s", l.series, text, want)
		}
		l.checkOffsets(log, got)
	}, "--loose-gtid-mode=OFF", "--loose-enforce-gtid-consistency=OFF")
}

// withoutEmpty leaves out what some versions log of LOCK TABLES and temporary tables.
func (l *lab) withoutEmpty(lines []string) string {
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "Commit " }), "\n")
}

// checkOffsets compares with SHOW BINLOG EVENTS; transactions lie one behind the other.
func (l *lab) checkOffsets(log []byte, got []span) {
	l.Helper()
	begin, end, checkpoints := l.serverOffsets()
	at := got[0].Start
	for _, s := range got {
		if next, ok := checkpoints[at]; ok {
			at = next
		}
		if s.Start != at {
			l.Errorf("transaction %s begins at %d, the one before ended at %d", s, s.Start, at)
		}
		if !slices.Contains(begin, s.Start) || !slices.Contains(end, s.End) {
			l.Errorf("the server has no events from %d to %d", s.Start, s.End)
		}
		at = s.End
	}
	if at != int64(len(log)) && checkpoints[at] != int64(len(log)) {
		l.Errorf("the last transaction ends at %d of %d", at, len(log))
	}
}

// TestTx compares what is known of transactions with what the server says at the time.
func TestTx(t *testing.T) {
	each(t, func(l *lab) {
		l.exec("CREATE TABLE a (id INT PRIMARY KEY, v INT)")
		var gtids []string
		log := l.log(func() {
			for i := range 5 {
				if l.series == "mysql-9.7" && i == 3 {
					l.exec("SET SESSION gtid_next = 'AUTOMATIC:lull'")
				}
				if l.maria() && i == 3 {
					l.exec("SET SESSION gtid_domain_id = 77")
				}
				l.exec([]string{
					"INSERT INTO a VALUES (1,1)", "ALTER TABLE a ADD COLUMN w INT", "UPDATE a SET v = 2",
					"BEGIN;\nINSERT INTO a VALUES (2,1,1);\nDELETE FROM a WHERE id = 1;\nCOMMIT", "TRUNCATE TABLE a",
				}[i])
				gtids = append(gtids, l.lastGTID())
			}
		})
		got := spans(l.steps(log, nil))
		if len(got) != len(gtids) {
			l.Fatalf("%d transactions, want %d", len(got), len(gtids))
		}
		thread, _ := strconv.ParseUint(l.ask("SELECT CONNECTION_ID()"), 10, 32)
		for i, s := range got {
			if s.GTID != gtids[i] {
				l.Errorf("%s: transaction %d has GTID %q, want %q", l.series, i, s.GTID, gtids[i])
			}
			if s.Thread != uint32(thread) && (s.Thread != 0 || !l.maria()) {
				l.Errorf("%s: transaction %d of thread %d, want %d", l.series, i, s.Thread, thread)
			}
			if age := time.Since(s.At); age < -2*time.Second || age > 30*time.Second || s.Server != 1 {
				l.Errorf("%s: transaction %d at %s by server %d", l.series, i, s.At, s.Server)
			}
			if l.series == "mysql-9.7" && s.At.Nanosecond() == 0 {
				l.Errorf("transaction %d at %s: no microseconds", i, s.At)
			}
		}
		l.checkOffsets(log, got)
	}, "--loose-gtid-mode=ON", "--loose-enforce-gtid-consistency=ON", "--log-slave-updates=ON")
}

// lastGTID is the server's word for the last transaction of the session.
func (l *lab) lastGTID() string {
	l.Helper()
	if l.maria() {
		return l.ask("SELECT @@last_gtid")
	}
	// uuid:1-9:lull:1-2; the newest is the last of the tag in use.
	f := strings.Split(strings.ReplaceAll(l.ask("SELECT @@GLOBAL.gtid_executed"), "\n", ""), ":")
	last := f[len(f)-1]
	last = last[strings.LastIndexByte(last, '-')+1:]
	if len(f) > 2 {
		return f[0] + ":" + f[len(f)-2] + ":" + last
	}
	return f[0] + ":" + last
}
