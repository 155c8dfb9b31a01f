package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// ownKeep is a recorded database on a server of its own, which the test may kill.
func ownKeep(t *testing.T, set settings, args ...string) *keep {
	t.Helper()
	srv, err := server.Start(t.Context(), server.Options{Binaries: servertest.Trees(t)[0], Dir: t.TempDir(), Args: append([]string{
		"--binlog-row-metadata=FULL", "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1",
	}, args...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return newKeep(newLab(t, srv), set)
}

// bills makes the table that things happen to.
func (k *keep) bills(n int) {
	k.Helper()
	k.grant("CREATE, DROP, ALTER, INDEX")
	k.exec("CREATE TABLE bills (id INT PRIMARY KEY, cents INT, note VARCHAR(50))")
	k.exec(fmt.Sprintf("INSERT INTO bills SELECT seq, seq*7, CONCAT('bill ', seq) FROM seq_1_to_%d", n))
}

func TestServerDiesWhileRecording(t *testing.T) {
	t.Parallel()
	k := ownKeep(t, settings{})
	k.bills(1000)
	k.start()
	k.untilSnapshots("bills")
	k.exec("UPDATE bills SET cents=1 WHERE id<10")
	before := k.remember(t.Context(), "bills")
	k.truth.Close()
	k.srv.Kill()
	k.heard(20*time.Second, "the server cannot be followed")
	if err := k.srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.reconnect()
	k.truth = k.open(k.srv)
	k.exec("UPDATE bills SET cents=2 WHERE id<20")
	k.heard(time.Minute, "recording goes on")
	after := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills WHERE id>500")
	k.untilStored()
	k.comeBack(before, false)
	k.comeBack(after, false)
	if spans := k.listed("bills"); len(spans) != 1 {
		t.Errorf("the table has %d spans, want one without a gap: %v", len(spans), spans)
	}
	k.stop()
}

func TestNetworkCut(t *testing.T) {
	t.Parallel()
	l := newLab(t, recorded(t))
	p := newProxy(t, l.srv.Addr())
	k := newKeep(l, settings{addr: p.Addr().String()})
	k.bills(100)
	k.start()
	k.untilSnapshots("bills")
	for i := range 3 {
		p.cutAll()
		k.exec(fmt.Sprintf("UPDATE bills SET cents=cents+1 WHERE id<%d", 10+i))
	}
	m := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills")
	k.untilStored()
	k.comeBack(m, false)
	k.stop()
}

// A disk that takes no more bytes stops reading, is said, and loses nothing.
func TestSpoolDiskFull(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(100)
	line := k.command("serve")
	k.begin(limited(t, line, 64)) // 32 kB: what a file may have
	k.untilSnapshots("bills")
	k.exec("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
	for i := range 4 {
		k.exec(fmt.Sprintf("INSERT INTO big SELECT seq+%d, RANDOM_BYTES(1000) FROM seq_1_to_200", i*200))
	}
	k.heard(30*time.Second, "full")
	k.says(k.lull(3, "tonight").all(), "NO|full")
	k.kill()
	m := k.remember(t.Context(), "bills", "big")
	k.start()
	k.exec("DELETE FROM big", "DELETE FROM bills")
	k.untilStored()
	k.comeBack(m, false)
	k.stop()
}

// limited has a command that may write no files of more than so many blocks of 512 bytes.
func limited(t *testing.T, line *exec.Cmd, blocks int) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", fmt.Sprintf(`ulimit -f %d; trap '' XFSZ; exec "$0" "$@"`, blocks)}, line.Args...)...)
	cmd.Env = line.Env
	return cmd
}

// bucket is an S3 service that can be down.
type bucket struct {
	*httptest.Server
	down atomic.Bool
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("vault"); err != nil {
		t.Fatal(err)
	}
	b := &bucket{}
	next := gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server()
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) line() string {
	return fmt.Sprintf("{kind: s3, bucket: vault, endpoint: %q, insecure: true, path_style: true, access_key: {env: S3_KEY}, secret_key: {env: S3_KEY}}", b.Listener.Addr())
}

// While the store is away recording goes on, and says so.
func TestStoreIsDown(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	k := mariaKeep(t, settings{store: b.line()})
	k.env = append(k.env, "S3_KEY=key-of-the-test")
	k.bills(100)
	k.start()
	k.untilSnapshots("bills")
	k.untilStored()
	b.down.Store(true)
	k.exec("UPDATE bills SET cents=cents+1")
	m := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills")
	k.heard(time.Minute, "the store takes nothing, changes wait on disk")
	k.until(20*time.Second, "it reads on", func() bool {
		st, ok := k.status()
		return ok && st.Seq > st.Stored && st.Trouble != ""
	})
	k.says(k.try("tonight").all(), "NO|the store takes nothing")
	k.kill() // what waits outlives a kill
	k.begin(k.command("serve"))
	b.down.Store(false)
	k.untilStored()
	k.comeBack(m, false)
	k.lull(0, "backup", "verify", "shop")
	k.stop()
}

// Binlogs that were purged before they were read are a gap, and what was before stays.
func TestPurgedWhileDown(t *testing.T) {
	t.Parallel()
	k := ownKeep(t, settings{})
	k.bills(100)
	k.start()
	k.untilSnapshots("bills")
	k.exec("UPDATE bills SET cents=1 WHERE id=1")
	before := k.remember(t.Context(), "bills")
	k.exec("UPDATE bills SET cents=2 WHERE id=1")
	k.untilStored()
	k.stop()
	k.exec("UPDATE bills SET cents=3", "FLUSH BINARY LOGS")
	inside := time.Now().UTC().Format(time.RFC3339Nano)
	<-time.After(2 * time.Second)
	k.exec("DELETE FROM bills WHERE id>50", "FLUSH BINARY LOGS")
	last, _, _ := strings.Cut(k.here(), ":")
	k.exec("PURGE BINARY LOGS TO '" + last + "'")
	k.start()
	k.untilSnapshots("bills")
	after := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills")
	k.untilStored()
	k.comeBack(before, false)
	k.comeBack(after, false)
	spans := k.listed("bills")
	if len(spans) != 2 || spans[1].Gap == "" {
		t.Errorf("spans are %v, want two and a reason", spans)
	}
	r := k.lull(2, "restore", k.schema+".bills", "--at", inside)
	k.oneLineError(r, "before|after")
	k.stop()
}

// TestFailover follows a promoted replica by GTID.
func TestFailover(t *testing.T) {
	t.Parallel()
	k := ownKeep(t, settings{}, "--server-id=1", "--log-slave-updates=1", "--gtid-strict-mode=1")
	k.bills(100)
	second := ownKeep(t, settings{}, "--server-id=2", "--log-slave-updates=1", "--gtid-strict-mode=1")
	_, port, _ := strings.Cut(k.srv.Addr(), ":")
	second.exec("STOP SLAVE", "RESET MASTER", "DROP DATABASE "+second.schema, "CREATE DATABASE "+second.schema, "RESET MASTER",
		"SET GLOBAL gtid_slave_pos=''", "CREATE USER IF NOT EXISTS x@'%'", "DROP USER x@'%'", "DROP USER '"+second.user+"'@'%'", "DROP DATABASE "+second.schema, "RESET MASTER",
		"CHANGE MASTER TO master_host='127.0.0.1', master_port="+port+", master_user='root', master_use_gtid=slave_pos", "START SLAVE")
	k.start()
	k.untilSnapshots("bills")
	k.exec("UPDATE bills SET cents=cents+1")
	before := k.remember(t.Context(), "bills")
	k.exec("UPDATE bills SET note='x' WHERE id<10")
	k.untilStored()
	k.stop()
	k.exec("UPDATE bills SET note='while lull was away' WHERE id=50")
	gtid := k.text("SELECT @@gtid_binlog_pos")
	if got := second.text("SELECT MASTER_GTID_WAIT('" + gtid + "', 20)"); got != "0" {
		t.Fatalf("the replica never got to %s: %s", gtid, second.text("SHOW SLAVE STATUS"))
	}
	first := k.srv
	t.Cleanup(func() {
		if err := first.Restart(context.Background()); err != nil { // what else is cleaned up asks it
			t.Error(err)
		}
	})
	k.srv.Kill()
	second.exec("STOP SLAVE", "SET GLOBAL read_only=0", "USE "+k.schema)
	second.exec("UPDATE bills SET cents=0 WHERE id=7")
	k.srv, k.root = second.srv, second.root
	k.truth.Close()
	k.truth = k.open(second.srv)
	k.configure(settings{})
	k.start()
	after := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills")
	k.untilStored()
	k.comeBack(after, false)
	k.exec("DROP TABLE IF EXISTS bills_was")
	if spans := k.listed("bills"); len(spans) != 1 {
		t.Errorf("spans are %v, want one", spans)
	}
	if got := k.restored("bills", gtid); got.Rows != 100 {
		t.Errorf("%d rows at the last GTID of the first server", got.Rows)
	}
	_ = before // its place is one of a server that is gone; the GTID stands for it
	k.stop()
	second.exec("CREATE DATABASE IF NOT EXISTS "+second.schema, "CREATE USER IF NOT EXISTS '"+second.user+"'@'%'")
}

// Two that record into one repository would write over each other.
func TestTwoServes(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(10)
	k.start()
	k.oneLineError(k.lull(7, "serve"), "")
	k.oneLineError(k.lull(7, "backup", "now", "shop"), "")
	k.stop()
}

// Objects that are half there are told of in one line, and nothing crashes.
func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(500)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET cents=0")
	m := k.remember(t.Context(), "bills")
	k.lull(0, "backup", "now", "shop")
	for _, kind := range []string{"log/*.pack", "snap/*/*.pack", "snap/*/snapshot.json", "lull.json"} {
		files, err := filepath.Glob(filepath.Join(k.store, "shop", kind))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", kind, err)
		}
		path := files[len(files)-1]
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, damaged := range map[string][]byte{"half": whole[:len(whole)/2], "none": {}, "flipped": flipped(whole), "noise": bytes.Repeat([]byte{7}, len(whole))} {
			t.Run(kind+" "+what, func(t *testing.T) {
				k := *k
				k.lab = k.on(t)
				if err := errAfter(os.Chmod(path, 0o600), os.WriteFile(path, damaged, 0o600)); err != nil {
					t.Fatal(err)
				}
				for _, args := range [][]string{
					{"backup", "verify", "shop"},
					{"backup", "list", "shop"},
					{"restore", k.schema + ".bills", "--at", m.String(), "--out", filepath.Join(k.data, "out.csv")},
					{"tonight"},
				} {
					r := k.try(args...)
					if strings.Contains(r.all(), "panic") || strings.Contains(r.all(), "goroutine") {
						t.Errorf("%s crashed: %s", args, r.all())
					}
					if args[0] == "backup" && args[1] == "verify" && r.code == 0 {
						t.Errorf("verify found nothing: %s", r.all())
					}
					if r.code != 0 {
						k.oneLineError(r, "")
					}
				}
			})
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.lull(0, "backup", "verify", "shop")
	k.comeBack(m, false)
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 0x40
	return b
}

func errAfter(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// A server whose clock goes back has transactions that are later and say an earlier time.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(10)
	k.start()
	k.untilSnapshots("bills")
	base := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for i, d := range []int{0, 10, -30, 20, 60} {
		k.exec(fmt.Sprintf("SET timestamp=%d", base.Add(time.Duration(d)*time.Second).Unix()), fmt.Sprintf("UPDATE bills SET cents=%d WHERE id=1", 1000+i))
	}
	k.exec("SET timestamp=0")
	k.untilStored()
	for at, want := range map[int]string{5: "1000", 15: "1003|1001|1002", 25: "1003"} {
		out := filepath.Join(t.TempDir(), "out.csv")
		r := k.lull(0, "restore", k.schema+".bills", "--at", base.Add(time.Duration(at)*time.Second).Format(time.RFC3339), "--out", out)
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(text)[strings.Index(string(text), "\n")+1:], "\n")
		fine := false
		for w := range strings.SplitSeq(want, "|") {
			fine = fine || strings.HasPrefix(line, "1,"+w)
		}
		if !fine {
			t.Errorf("at +%ds: %s, want %s", at, line, want)
		}
		if at == 5 && !strings.Contains(r.all(), "clock") && !strings.Contains(r.all(), "earlier") {
			t.Errorf("nobody says that the clock went back: %s", r.all())
		}
	}
	k.stop()
}
