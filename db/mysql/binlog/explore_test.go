package binlog_test

import (
	"fmt"
	"strings"
	"testing"
)

var kinds = strings.Fields("0 Begin Statement Touched Changed Query Commit Rollback Prepared XACommit XARollback Incident Rotate Stop Started")

func brief(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "   %d-%d %s %.80q", s.Pos, s.End, kinds[s.Kind], s.SQL)
		if s.Table != nil {
			fmt.Fprintf(&b, " %s n=%d", s.Table.Table, s.n)
		}
		if s.XID != "" {
			fmt.Fprintf(&b, " xid=%s", s.XID)
		}
		fmt.Fprintf(&b, " open=%v tx=%s %d-%d thr=%d\n", s.open, s.tx.GTID, s.tx.Start, s.tx.End, s.tx.Thread)
	}
	return b.String()
}

func TestExplore(t *testing.T) {
	each(t, func(l *lab) {
		log := l.log(func() {
			l.exec(`CREATE TABLE a (id INT PRIMARY KEY, v INT) ENGINE=InnoDB;
CREATE TABLE m (id INT PRIMARY KEY, v INT) ENGINE=MyISAM;
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
INSERT INTO m VALUES (6,1);
SAVEPOINT s2;
INSERT INTO m VALUES (7,1);
INSERT INTO a VALUES (7,1);
ROLLBACK TO s2;
INSERT INTO a VALUES (8,1);
ROLLBACK;
BEGIN;
INSERT INTO a VALUES (9,1);
SAVEPOINT s2;
INSERT INTO a VALUES (10,1);
INSERT INTO m VALUES (10,1);
ROLLBACK TO s2;
COMMIT;
INSERT INTO m VALUES (100,1);
XA START 'x1','b',7;
INSERT INTO a VALUES (20,1);
XA END 'x1','b',7;
XA PREPARE 'x1','b',7;
XA COMMIT 'x1','b',7;
XA START 'x2';
INSERT INTO a VALUES (21,1);
XA END 'x2';
XA PREPARE 'x2';
XA ROLLBACK 'x2';
XA START 'x3';
INSERT INTO a VALUES (22,1);
XA END 'x3';
XA COMMIT 'x3' ONE PHASE;
LOCK TABLES a WRITE, m WRITE;
UPDATE a SET v=v+1;
UPDATE m SET v=v+1;
UNLOCK TABLES;
CREATE TABLE c AS SELECT * FROM a;
CREATE TEMPORARY TABLE tt (id INT);
INSERT INTO tt VALUES (1);
INSERT INTO a SELECT id+900, 1 FROM tt;
DROP TEMPORARY TABLE tt;
DROP TABLE c`)
			if l.series != "mysql-9.7" {
				l.exec("SET SESSION binlog_format=STATEMENT")
			} else {
				l.exec("SET SESSION binlog_format=STATEMENT")
			}
			l.exec(`UPDATE a SET v=v+1 WHERE id=1;
INSERT INTO m VALUES (300,RAND());
SET SESSION binlog_format=ROW`)
		})
		t.Logf("%s conn=%s\n%s", l.series, l.ask("SELECT CONNECTION_ID()"), brief(l.steps(log, nil)))
	}, "--loose-gtid-mode=OFF", "--loose-enforce-gtid-consistency=OFF")
}
