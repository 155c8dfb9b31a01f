package e2e

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// A transaction is undone in the same memory, however large it is.
func TestMemoryIsBounded(t *testing.T) {
	const rows, limit = 150_000, 200 << 10 // kB
	l := newLab(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE t (id int PRIMARY KEY, v varchar(700))", "INSERT INTO t VALUES (1, REPEAT('x',600))")
	for have := 1; have < rows; have *= 2 {
		l.exec(fmt.Sprintf("INSERT INTO t SELECT id+%d, v FROM t WHERE id+%d<=%d", have, have, rows))
	}
	sum := l.sum("t")
	for _, accident := range []string{"DELETE FROM t", "UPDATE t SET v=CONCAT('y',v)"} {
		span := l.span(accident)
		cmd := l.command("undo", "--yes", "--pos", span)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok || used.Maxrss > limit {
			t.Errorf("%s: %d kB were used, more than %d", accident, used.Maxrss, limit)
		}
		t.Logf("%s of %d rows: %d kB", accident, rows, used.Maxrss)
		if got := l.sum("t"); got != sum {
			t.Errorf("%s: checksum is %s, was %s", accident, got, sum)
		}
	}
}
