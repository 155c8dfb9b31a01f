package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/internal/clock"
)

var tiny = size{
	name: "tiny", billing: 3000, clients: 200, orders: 300, lines: 400,
	batch: 1000, txs: 50, oltp: 3_000_000, poolSize: "64M",
	pastBilling: 1000, pastClients: 2000, pastOrders: 3000, pastLines: 4000, pastPool: "64M",
	writeRows: 500, writeFor: time.Second,
}

func tinyBench(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{size: tiny, rounds: 1, now: clock.System(), out: tb.Output(), lull: os.Args[0], merge: true, parts: "find,out,apply,snapshot,restore,record"}
	err := b.folders(tb.TempDir())
	if err == nil {
		err = os.Mkdir(b.work, 0o700)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func smallCorpus(tb testing.TB) *corpus {
	tb.Helper()
	l, err := tinyBench(tb).logs(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// TestContests runs every contest on a small shop: each checks its own rows.
func TestContests(t *testing.T) {
	b := tinyBench(t)
	b.lull = filepath.Join(t.TempDir(), "lull")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", b.lull, "../cmd/lull").CombinedOutput(); err != nil {
		t.Fatalf("build lull: %v\n%s", err, out)
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := b.report.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"lull find", "mariadb-binlog -v", "lull undo ID --out", "LOAD DATA", "restored dump", "lull backup now", "lull, snapshots", "lull restore", "own ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
}

// TestRepeatedLog reads a repeated log with our parser, and with the tool that refuses GTIDs
// out of order and wrong checksums.
func TestRepeatedLog(t *testing.T) {
	l := smallCorpus(t)
	text, err := os.ReadFile(l.OLTP)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(text)) < tiny.oltp {
		t.Errorf("it has %d bytes, want %d", len(text), tiny.oltp)
	}
	p := binlog.NewParser(bytes.NewReader(text), binlog.Options{})
	commits := 0
	for {
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == binlog.Commit {
			commits++
		}
	}
	if commits < 2*tiny.txs {
		t.Errorf("%d transactions, want several times %d", commits, tiny.txs)
	}
	cmd, err := l.tools.Command(t.Context(), "mariadb-binlog", "--no-defaults", "--verify-binlog-checksum", l.OLTP)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if n := bytes.Count(out, []byte("\nCOMMIT")); err != nil || n < commits/2 {
		t.Errorf("mariadb-binlog: %v, %d commits", err, n)
	}
}

func TestRepeatLogRefusesPieces(t *testing.T) {
	f := func(name string, body []byte) {
		if err := repeatLog(&bytes.Buffer{}, bytes.NewReader(body), 0, int64(len(body)), 100); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f("nothing", nil)
	f("half a header", make([]byte, 10))
	f("no size", make([]byte, 40))
}

func TestDecodersAgree(t *testing.T) {
	l := smallCorpus(t)
	all := 2*tiny.billing + tiny.clients + tiny.orders + tiny.lines
	f := func(only string, want int) {
		t.Helper()
		ours, err := decodeLull(l.Big, l.Schema, only, true)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := decodeGoMySQL(l.Big, only)
		if err != nil {
			t.Fatal(err)
		}
		if ours != want || theirs != want {
			t.Errorf("%q: %d and %d rows, want %d", only, ours, theirs, want)
		}
	}
	f("", all)
	f("billing", tiny.billing)
}

func TestMedian(t *testing.T) {
	f := func(want time.Duration, walls ...time.Duration) {
		t.Helper()
		var runs []took
		for _, w := range walls {
			runs = append(runs, took{wall: w})
		}
		if got, err := median(runs); err != nil || got.wall != want {
			t.Errorf("median of %v: %v, %v, want %v", walls, got.wall, err, want)
		}
	}
	f(5, 5)
	f(2, 9, 1, 2)
	f(3, 4, 2)
	if _, err := median(nil); err == nil {
		t.Error("a median of nothing")
	}
}

func TestAlternate(t *testing.T) {
	var order []string
	c := func(name string, once bool) contender {
		return contender{name: name, once: once, run: func() (took, error) {
			order = append(order, name)
			return took{wall: 1}, nil
		}}
	}
	b := &bench{rounds: 2}
	runs, err := b.alternate(1, []contender{c("a", false), c("b", false), c("slow", true)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, " "), "a b slow a b a b"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if len(runs[0]) != 2 || len(runs[1]) != 2 || len(runs[2]) != 1 {
		t.Errorf("%d, %d and %d runs", len(runs[0]), len(runs[1]), len(runs[2]))
	}
}

func TestChildFails(t *testing.T) {
	b := &bench{now: clock.System()}
	_, err := b.child(exec.CommandContext(t.Context(), "sh", "-c", "echo no such luck >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("%v", err)
	}
}

// TestChecksumTellsRowsApart is the proof that the proof can fail.
func TestChecksumTellsRowsApart(t *testing.T) {
	b := tinyBench(t)
	s, err := b.startShop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := fill(t.Context(), s.db, billingSQL, 500, 100); err != nil {
		t.Fatal(err)
	}
	before, err := s.checksum(t.Context(), "billing")
	if err != nil {
		t.Fatal(err)
	}
	if err := execAll(t.Context(), s.db, "UPDATE billing SET paid_at = paid_at + INTERVAL 1 MICROSECOND WHERE id = 6"); err != nil {
		t.Fatal(err)
	}
	if after, err := s.checksum(t.Context(), "billing"); err != nil || after == before {
		t.Errorf("checksum %d after, %d before: %v", after, before, err)
	}
}

func TestArguments(t *testing.T) {
	f := func(args ...string) {
		t.Helper()
		if err := run(context.Background(), args, func(string) string { return "" }, t.Output()); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	f("-rounds=0")
	f("-nonsense")
	f("-lull=/no/such/program", "-dir="+t.TempDir())
}

var _ = server.Find // its import makes `make test` run this package with those that start servers
