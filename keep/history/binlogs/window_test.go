package binlogs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// counted counts how often a log is opened to be read.
type counted struct {
	binlogs.Log
	opens *atomic.Int64
}

func (c counted) Open(ctx context.Context, from int64) (io.ReadCloser, binlog.Options, error) {
	c.opens.Add(1)
	return c.Log.Open(ctx, from)
}

func counting(logs []binlogs.Log) ([]binlogs.Log, *atomic.Int64) {
	n := &atomic.Int64{}
	var out []binlogs.Log
	for _, l := range logs {
		out = append(out, counted{l, n})
	}
	return out, n
}

// day is a time on the day that the tests' logs are written.
func day(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-03-01 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// pastLogs are logs 000998 to 001002 with one insert an hour from 10:30 on, id 1 to 5, each log
// begun at the full hour. The server's clock cannot be set, so the times are written into the
// events, which have no checksums.
func pastLogs(t *testing.T) []string {
	t.Helper()
	l := newLab(t, unchecked(t))
	l.exec(tableA)
	var paths []string
	dir := t.TempDir()
	for i := range 5 {
		l.exec("FLUSH BINARY LOGS")
		l.exec(fmt.Sprintf("INSERT INTO a VALUES (%d,'x')", i+1))
		logs := l.logs()
		b, err := os.ReadFile(filepath.Join(l.srv.BinlogDir(), logs[len(logs)-1].Name()))
		if err != nil {
			t.Fatal(err)
		}
		begun := day("10:00:00").Add(time.Duration(i) * time.Hour)
		retime(b, begun, begun.Add(30*time.Minute))
		path := filepath.Join(dir, fmt.Sprintf("mysql-bin.%06d", 998+i))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// retime gives a log's first event one time and the others another.
func retime(log []byte, first, others time.Time) {
	at := first
	for pos := 4; pos+19 <= len(log); {
		for i, x := 0, uint32(at.Unix()); i < 4; i++ {
			log[pos+i] = byte(x >> (8 * i))
		}
		at = others
		pos += int(log[pos+9]) | int(log[pos+10])<<8 | int(log[pos+11])<<16
	}
}

func open(t testing.TB, paths ...string) []binlogs.Log {
	t.Helper()
	logs, err := binlogs.Files(paths)
	if err != nil {
		t.Fatal(err)
	}
	return logs
}

// TestTimeWindow picks transactions by commit time and reads no more logs than it must.
func TestTimeWindow(t *testing.T) {
	paths := pastLogs(t)
	at := func(clock string) history.Bound {
		if clock == "" {
			return history.Bound{}
		}
		return history.Bound{Time: day(clock)}
	}
	for _, c := range []struct {
		since, until string
		rows         int64
		most         int64 // logs opened
	}{
		{"", "", 5, 5},
		{"12:00:00", "", 3, 3},
		{"12:30:00", "", 3, 3}, // Since is in the window
		{"12:30:01", "", 2, 3},
		{"", "12:30:00", 2, 5}, // Until is not; the first log beyond is looked into
		{"", "12:30:01", 3, 5},
		{"11:15:00", "12:45:00", 2, 5},
		{"09:00:00", "10:00:00", 0, 5},
		{"20:00:00", "", 0, 1},
	} {
		logs, opens := counting(open(t, paths...))
		r := scan(t, logs, binlogs.Query{All: true, MinRows: 1, Window: history.Window{Since: at(c.since), Until: at(c.until)}})
		if int64(len(r.Touches)) != c.rows || opens.Load() > c.most || len(r.Gaps) > 0 {
			t.Errorf("%s to %s: %q from %d logs, gaps %v; want %d rows from at most %d", c.since, c.until, text(r.Touches), opens.Load(), r.Gaps, c.rows, c.most)
		}
	}
}

// TestReplicaTimes does not miss transactions in a log that a delayed replica began later.
func TestReplicaTimes(t *testing.T) {
	paths := pastLogs(t)
	b, err := os.ReadFile(paths[4])
	if err != nil {
		t.Fatal(err)
	}
	retime(b, day("23:00:00"), day("14:30:00"))
	if err := os.WriteFile(paths[4], b, 0o600); err != nil {
		t.Fatal(err)
	}
	w := history.Window{Since: history.Bound{Time: day("14:00:00")}, Until: history.Bound{Time: day("15:00:00")}}
	if r := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1, Window: w}); len(r.Touches) != 1 {
		t.Errorf("found %q, want the insert of 14:30", text(r.Touches))
	}
}

// TestPlaceWindow picks transactions by where they begin, across logs.
func TestPlaceWindow(t *testing.T) {
	paths := pastLogs(t)
	all := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1}).Touches
	if len(all) != 5 || all[1].Tx.File != "mysql-bin.000999" || all[2].Tx.File != "mysql-bin.001000" {
		t.Fatalf("order of the logs: %+v", all)
	}
	start := func(i int) history.Bound { return history.Bound{File: all[i].Tx.File, Pos: all[i].Tx.Start} }
	end := func(i int) history.Bound { return history.Bound{File: all[i].Tx.File, Pos: all[i].Tx.End} }
	gtid := func(i int) history.Bound { return history.Bound{GTID: all[i].Tx.GTID} }
	for _, c := range []struct {
		name         string
		since, until history.Bound
		rows         int
		most         int64
	}{
		{"from a place", start(1), history.Bound{}, 4, 4},
		{"up to its end", history.Bound{}, end(1), 2, 2},
		{"up to its start", history.Bound{}, start(1), 1, 2},
		{"one", start(3), end(3), 1, 1},
		{"three", start(1), end(3), 3, 3},
		{"none", start(3), start(1), 0, 0},
		{"one GTID", gtid(2), gtid(2), 1, 7},
		{"GTIDs", gtid(1), gtid(3), 3, 9},
		{"from a GTID", gtid(4), history.Bound{}, 1, 2},
	} {
		logs, opens := counting(open(t, paths...))
		r := scan(t, logs, binlogs.Query{All: true, MinRows: 1, Window: history.Window{Since: c.since, Until: c.until}})
		if len(r.Touches) != c.rows || opens.Load() > c.most {
			t.Errorf("%s: %q from %d opens; want %d rows from at most %d", c.name, text(r.Touches), opens.Load(), c.rows, c.most)
		}
	}
	for name, w := range map[string]history.Window{
		"no transaction 9-9-9 is in these binlogs":                       {Since: history.Bound{GTID: "9-9-9"}},
		"no binlog is named mysql-bin.000007: purged, or misspelt":       {Since: history.Bound{File: "mysql-bin.000007", Pos: 4}},
		"no binlog is named mysql-bin.000008: purged, or misspelt":       {Until: history.Bound{File: "mysql-bin.000008", Pos: 4}},
		"mysql-bin.001002 has " /* n bytes, there is no position ... */ : {Since: history.Bound{File: "mysql-bin.001002", Pos: 1 << 40}},
	} {
		_, err := binlogs.Scan(t.Context(), open(t, paths...), binlogs.Query{Window: w})
		if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), name) || lull.HintOf(err) == "" {
			t.Errorf("error %v (hint %q), want %q", err, lull.HintOf(err), name)
		}
	}
}

// TestFrom leaves out what ends before a place, to find the transaction that holds it.
func TestFrom(t *testing.T) {
	paths := pastLogs(t)
	tx := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1}).Touches[2].Tx
	for _, pos := range []int64{tx.Start, tx.Start + 1, tx.End - 1} {
		w := history.Window{Since: history.Bound{File: tx.File, Pos: 4}, Until: history.Bound{File: tx.File, Pos: pos + 1}}
		r := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1, Places: true, Window: w, From: history.Place{File: tx.File, Start: pos}})
		if len(r.Places) != 1 || r.Places[0] != (history.Place{File: tx.File, Start: tx.Start, End: tx.End}) {
			t.Errorf("at %d: places %v, want %d-%d", pos, r.Places, tx.Start, tx.End)
		}
	}
}

// TestMissing names the logs that lie between those there are.
func TestMissing(t *testing.T) {
	p := pastLogs(t)
	other := filepath.Join(filepath.Dir(p[0]), "replica-bin.000007")
	b, err := os.ReadFile(p[0])
	if err == nil {
		err = os.WriteFile(other, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		paths []string
		want  string
	}{
		{"one", []string{p[0], p[2]}, "mysql-bin.000999"},
		{"several", []string{p[0], p[4]}, "mysql-bin.000999 to .001001"},
		{"none", p, ""},
		{"another server's", []string{p[0], p[1], other}, ""},
		{"any order", []string{p[4], p[2], p[1], p[3]}, ""},
		{"given twice", []string{p[1], p[1], p[2]}, ""},
	} {
		got := ""
		for _, g := range scan(t, open(t, c.paths...), binlogs.Query{}).Gaps {
			got += g.File
		}
		if got != c.want {
			t.Errorf("%s: gaps %q, want %q", c.name, got, c.want)
		}
	}
	// Each server's logs are chosen by their own times.
	w := history.Window{Since: history.Bound{Time: day("10:20:00")}, Until: history.Bound{Time: day("11:00:00")}}
	if r := scan(t, open(t, append(p, other)...), binlogs.Query{All: true, MinRows: 1, Window: w}); len(r.Touches) != 2 {
		t.Errorf("two servers: %q", text(r.Touches))
	}
}

// TestCancel ends a scan soon.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := binlogs.Scan(ctx, open(t, pastLogs(t)...), binlogs.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestRestart reads on over crashes and clean restarts, and after RESET MASTER.
func TestRestart(t *testing.T) {
	srv, err := server.Start(t.Context(), server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop(context.WithoutCancel(t.Context()))
	run := func(script string) {
		t.Helper()
		l := lab{TB: t, srv: srv}
		l.conn = connect(t, srv)
		defer l.conn.Close()
		l.exec(script)
	}
	count := func() string {
		t.Helper()
		r := scan(t, open(t, srv.BinlogDir()), binlogs.Query{All: true, MinRows: 1})
		if len(r.Gaps) > 0 {
			t.Errorf("gaps %+v", r.Gaps)
		}
		return text(r.Touches)
	}
	run("CREATE DATABASE shop;\nCREATE TABLE shop.a (id INT);\nINSERT INTO shop.a VALUES (1)")
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	run("INSERT INTO shop.a VALUES (2),(3)")
	srv.Kill()
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	run("DELETE FROM shop.a")
	if got := count(); got != "a +1; a +2; a -3" {
		t.Errorf("after restarts: %q", got)
	}
	run("RESET MASTER;\nINSERT INTO shop.a VALUES (4)")
	if got := count(); got != "a +1" {
		t.Errorf("after RESET MASTER: %q", got)
	}
}
