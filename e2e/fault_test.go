package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// many fills table t with n rows and two indexes.
func (l *lab) many(n int) {
	l.Helper()
	l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int PRIMARY KEY, v int, w varchar(100), KEY (v), UNIQUE KEY w (w))",
		"INSERT INTO t VALUES (1,1,'row 1')")
	for have := 1; have < n; have *= 2 {
		l.exec(fmt.Sprintf("INSERT INTO t SELECT id+%d, (id*7919)%%1000, CONCAT('row ', id+%d) FROM t WHERE id+%d<=%d", have, have, have, n))
	}
}

// ledger is how many lines the plan's ledger has.
func (l *lab) ledger(plan string) int {
	b, err := os.ReadFile(filepath.Join(l.data, "plans", plan, "ledger"))
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte("\n"))
}

// killed starts lull apply and kills it once its ledger has this many lines; it says whether
// lull was still running.
func (l *lab) killed(plan string, lines int, after time.Duration) bool {
	l.Helper()
	cmd := l.command("apply", plan)
	if err := cmd.Start(); err != nil {
		l.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	var due <-chan time.Time
	for {
		select {
		case err := <-done:
			if err != nil {
				l.Fatalf("apply: %v", err)
			}
			return false
		case <-due:
			cmd.Process.Kill()
			<-done
			return true
		case <-tick.C:
			if due == nil && l.ledger(plan) >= lines {
				due = time.After(after)
			}
		}
	}
}

// A kill at any step leaves "not done", "done" or "resumable".
func TestKilledAnywhere(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	for _, accident := range []string{"DELETE FROM t", "UPDATE t SET v=v+1", "UPDATE t SET w=CONCAT('x',w), id=id+500000", "DELETE FROM t WHERE id%2=0; UPDATE t SET v=0"} {
		for _, atomic := range []string{"true", "false"} {
			t.Run(accident+" atomic="+atomic, func(t *testing.T) {
				l := l.on(t)
				l.many(70000)
				sum := l.sum("t")
				span := l.span(accident)
				plan := l.plan(0, "--pos", span, "--atomic="+atomic)
				kills := 0
				for lines := 1; lines < 40 && l.killed(plan, lines, time.Duration(lines%5)*3*time.Millisecond); lines++ {
					kills++
					lines = max(lines, l.ledger(plan))
				}
				l.lull(0, "apply", plan)
				if got := l.sum("t"); got != sum {
					l.Errorf("checksum is %s after %d kills, was %s", got, kills, sum)
				}
				if kills == 0 {
					l.Error("nothing was killed")
				}
			})
		}
	}
}

func TestServerKilledWhileApplying(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		t.Run(b.Series(), func(t *testing.T) {
			srv, err := server.Start(t.Context(), server.Options{Binaries: b, Dir: t.TempDir(), Args: []string{"--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { srv.Stop(context.Background()) })
			for _, atomic := range []string{"true", "false"} {
				killServer(t, srv, atomic)
			}
		})
	}
}

func killServer(t *testing.T, srv *server.Server, atomic string) {
	l := newLab(t, srv)
	l.many(60000)
	sum := l.sum("t")
	span := l.span("DELETE FROM t")
	plan := l.plan(0, "--pos", span, "--atomic="+atomic)
	cmd := l.command("apply", plan)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); l.ledger(plan) < 4 && atomic == "false" && time.Since(start) < 20*time.Second; {
		tickOnce()
	}
	tickOnce()
	srv.Kill()
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 4 && exit.ExitCode() != 6 && exit.ExitCode() != 1 {
		t.Errorf("apply ended with %v: %s", err, out.String())
	}
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.reconnect()
	l.lull(0, "apply", plan)
	if got := l.sum("t"); got != sum {
		t.Errorf("atomic=%s: checksum is %s, was %s", atomic, got, sum)
	}
}

// tickOnce waits for a moment in which others work.
func tickOnce() { <-time.After(30 * time.Millisecond) }

// proxy passes bytes to a server until it is told to cut.
type proxy struct {
	net.Listener
	to    string
	cut   atomic.Bool // the answer to the next COMMIT is lost
	drop  atomic.Bool // the next COMMIT itself is lost
	conns sync.WaitGroup
	mu    sync.Mutex
	open  []net.Conn
}

// cutAll ends every connection at once.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: ln, to: to}
	p.conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			go p.serve(c)
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.conns.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	defer p.conns.Done()
	defer client.Close()
	upstream, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer upstream.Close()
	p.mu.Lock()
	p.open = append(p.open, client, upstream)
	p.mu.Unlock()
	var deaf atomic.Bool
	p.conns.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := upstream.Read(buf)
			if err != nil || deaf.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("COMMIT")) {
			if p.drop.CompareAndSwap(true, false) {
				return
			}
			if p.cut.CompareAndSwap(true, false) {
				deaf.Store(true)
			}
		}
		if _, err := upstream.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A COMMIT whose answer is lost is in doubt: the next apply finds out.
func TestCommitInDoubt(t *testing.T) {
	onAll(t, func(l *lab) {
		tables := map[string]string{"keyed": "id int PRIMARY KEY, v int", "keyless": "id int, v int"}
		for name, columns := range tables {
			for _, accident := range []string{"DELETE FROM t WHERE id>1", "UPDATE t SET v=v+1", "INSERT INTO t VALUES (9,9),(9,9)", "DELETE FROM t WHERE id=2 LIMIT 1"} {
				for _, lost := range []string{"answer", "COMMIT"} {
					for _, atomic := range []string{"true", "false"} {
						if name == "keyed" && strings.HasPrefix(accident, "INSERT") {
							accident = "INSERT INTO t VALUES (9,9)"
						}
						l.Run(strings.Join([]string{name, accident, lost, atomic}, " "), func(t *testing.T) {
							l := l.on(t)
							l.exec("DROP TABLE IF EXISTS t", "CREATE TABLE t ("+columns+")", "INSERT INTO t VALUES (1,1),(2,2),(3,3)")
							if name == "keyless" {
								l.exec("INSERT INTO t VALUES (2,2),(3,3)")
							}
							before := l.rows("t")
							plan := l.plan(0, "--pos", l.span(accident), "--atomic="+atomic)
							after := l.rows("t")
							p := newProxy(t, l.srv.Addr())
							(map[string]*atomicBool{"answer": &p.cut, "COMMIT": &p.drop})[lost].Store(true)
							db := "mysql://" + l.user + "@" + p.Addr().String() + "/" + l.schema + "?tls=off" // the proxy reads along
							r := l.try("apply", plan, "--db", db)
							if r.code != 4 && r.code != 6 {
								l.Errorf("exit code %d: %s", r.code, r.all())
							}
							l.says(r.all(), "did not say whether it committed|lull apply "+plan)
							if now := l.rows("t"); lost == "COMMIT" && now != after || now != before && now != after {
								l.Errorf("holds %s", now)
							}
							l.lull(0, "apply", plan)
							l.is("t", before)
							p.Close()
						})
					}
				}
			}
		}
	})
}

type atomicBool = atomic.Bool

// waiter waits until lull waits for a row, and returns its connection's id.
func (l *lab) waiter() string {
	for {
		if id := l.text("SELECT id FROM information_schema.processlist WHERE user='" + l.user + "' AND info LIKE '%`t`%' LIMIT 1"); id != "" {
			return id
		}
		tickOnce()
	}
}

// Only one apply writes at a time, and the other says so.
func TestTwoAppliesAtOnce(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	plan, before := l.planned("DELETE FROM t")
	l.exec("START TRANSACTION", "INSERT INTO t VALUES (2,'bob',20)") // apply waits for this row
	first := l.command("apply", plan)
	out, err := first.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	l.waiter()
	l.says(l.lull(7, "apply", plan).all(), plan)
	l.exec("ROLLBACK")
	text, _ := io.ReadAll(out)
	if err := first.Wait(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	l.is("t", before)
}

// What the server breaks off is tried again, or leaves nothing behind.
func TestBrokenOff(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	plan, before := l.planned("UPDATE t SET cents=0")
	l.exec("START TRANSACTION", "SELECT * FROM t WHERE id=3 FOR UPDATE")
	cmd := l.command("apply", plan)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.exec("KILL " + l.waiter())
	if err := cmd.Wait(); err == nil {
		t.Errorf("apply outlived its connection: %s", out.String())
	}
	l.exec("ROLLBACK")
	l.is("t", "1 ann 0, 2 bob 0, 3 cy 0")
	l.lull(0, "apply", plan)
	l.is("t", before)
}

func TestInterrupted(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	plan, before := l.planned("UPDATE t SET cents=0")
	l.exec("START TRANSACTION", "SELECT * FROM t WHERE id=3 FOR UPDATE")
	cmd := l.command("apply", plan)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.waiter()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	exit, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	if !ok || exit.ExitCode() != 130 {
		t.Errorf("ended with %v", exit)
	}
	l.exec("ROLLBACK")
	l.is("t", "1 ann 0, 2 bob 0, 3 cy 0")
	if n := l.ledger(plan); n != 0 {
		t.Errorf("the ledger has %d lines", n)
	}
	l.lull(0, "apply", plan)
	l.is("t", before)
}

// A plan that does not fit on the disk changes nothing and leaves nothing.
func TestDiskFull(t *testing.T) {
	l := newLab(t, servertest.MariaDB(t))
	l.many(40000)
	span := l.span("DELETE FROM t")
	line := l.command("undo", "--pos", span)
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -f 512; trap '' XFSZ; exec "$0" "$@"`}, line.Args...)...)
	cmd.Env = line.Env
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() == 0 {
		t.Fatalf("ended with %v: %s", err, out)
	}
	l.says(string(out), "lull: ")
	left, err := filepath.Glob(filepath.Join(l.data, "plans", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if drafts, _ := filepath.Glob(filepath.Join(l.data, "plans", ".draft*")); len(drafts) != 0 {
		t.Errorf("left behind: %v", drafts)
	}
}
