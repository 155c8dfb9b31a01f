package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lull-ops/lull/act/restore"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/db/mysql/server"
)

// keep is a lab whose past is recorded.
type keep struct {
	*lab
	config string
	store  string
	truth  *mysql.Conn
	serve  *exec.Cmd
	log    *output
}

// output is what a program says while others read it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// settings are what newKeep writes into lull.yaml.
type settings struct {
	addr   string   // of the server; "" is the lab's
	store  string   // the store's line; "" is a folder
	backup []string // lines under backups/shop
	more   []string // lines under databases/shop
}

// newKeep makes a configuration for the lab's database. Drills are told of a scratch server
// that is not there, so that they only read; tests of drills say otherwise.
func newKeep(l *lab, set settings) *keep {
	l.Helper()
	k := &keep{lab: l, store: filepath.Join(l.data, "store"), config: filepath.Join(l.data, "lull.yaml")}
	k.configure(set)
	l.env = append(l.env, "LULL_CONFIG="+k.config)
	k.truth = k.open(l.srv)
	return k
}

func (k *keep) configure(set settings) {
	k.Helper()
	if set.addr == "" {
		set.addr = k.srv.Addr()
	}
	if set.store == "" {
		set.store = fmt.Sprintf("{kind: dir, path: %q}", k.store)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(set.backup, func(line string) bool { return strings.HasPrefix(line, name+":") })
	}
	lines := []string{"databases:", "  shop:", "    dsn: mysql://" + k.user + "@" + set.addr + "/" + k.schema, fmt.Sprintf("    tables: [%q]", k.schema+".*"), fmt.Sprintf("    exclude: [%q]", k.schema+".*_was")}
	for _, line := range set.more {
		lines = append(lines, "    "+line)
	}
	lines = append(lines, "stores:", "  here: "+set.store, "backups:", "  shop:", "    to: here")
	if !has("flush") {
		lines = append(lines, "    flush: 200ms")
	}
	if !has("drill") {
		lines = append(lines, "    drill: {dsn: \"mysql://root@127.0.0.1:1/\"}")
	}
	for _, line := range set.backup {
		lines = append(lines, "    "+line)
	}
	k.write(k.config, strings.Join(lines, "\n")+"\n")
}

// open connects to a server as root.
func (k *keep) open(srv *server.Server) *mysql.Conn {
	k.Helper()
	_, port, _ := strings.Cut(srv.Addr(), ":")
	dsn := mysql.DSN{Host: "127.0.0.1", User: "root", Schema: k.schema}
	if _, err := fmt.Sscan(port, &dsn.Port); err != nil {
		k.Fatal(err)
	}
	conn, err := mysql.Open(k.Context(), dsn, mysql.Env{Getenv: func(string) string { return "" }})
	if err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() { conn.Close() })
	return conn
}

func (l *lab) write(path, text string) {
	l.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

// start begins to serve.
func (k *keep) start(args ...string) {
	k.Helper()
	k.begin(k.command(append([]string{"serve"}, args...)...))
	k.until(time.Minute, "it records", func() bool {
		st, ok := k.status()
		return ok && st.Pos.File != "" && st.Said.After(k.began())
	})
}

// begin starts a command that serves, and does not wait.
func (k *keep) begin(cmd *exec.Cmd) {
	k.Helper()
	log := &output{}
	k.serve, k.log = cmd, log
	k.serve.Stdout, k.serve.Stderr = k.log, k.log
	k.write(filepath.Join(k.data, "began"), "")
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if k.Failed() {
			k.Logf("lull serve said:\n%s", log)
		}
	})
}

// began is when serving began.
func (k *keep) began() time.Time {
	st, err := os.Stat(filepath.Join(k.data, "began"))
	if err != nil {
		k.Fatal(err)
	}
	return st.ModTime()
}

// kill ends serving in the middle of whatever it does.
func (k *keep) kill() {
	k.Helper()
	_ = k.serve.Process.Kill()
	_ = k.serve.Wait()
}

// stop asks serving to end, which must be clean.
func (k *keep) stop() {
	k.Helper()
	_ = k.serve.Process.Signal(syscall.SIGTERM)
	if err := k.serve.Wait(); err != nil {
		k.Errorf("lull serve ended with %v:\n%s", err, k.log)
	}
}

// until waits for something that must happen.
func (k *keep) until(most time.Duration, what string, done func() bool) {
	k.Helper()
	for deadline := time.Now().Add(most); !done(); tickOnce() {
		if time.Now().After(deadline) {
			k.Fatalf("not within %s: %s\n%s", most, what, k.log)
		}
	}
}

// heard waits until serving has said something.
func (k *keep) heard(most time.Duration, text string) {
	k.Helper()
	k.until(most, "it says "+text, func() bool { return strings.Contains(k.log.String(), text) })
}

// status is what the recorder says of itself.
func (k *keep) status() (st struct {
	Seq, Stored uint64
	Pos         struct {
		File   string
		Offset int64
	} `json:"position"`
	Said    time.Time
	Trouble string
}, ok bool,
) {
	text, err := os.ReadFile(filepath.Join(k.data, "record", "shop", "status.json"))
	return st, err == nil && json.Unmarshal(text, &st) == nil
}

// untilStored waits until the repository has all that is in the log by now.
func (k *keep) untilStored() {
	k.Helper()
	file, pos, _ := strings.Cut(k.here(), ":")
	var offset int64
	if _, err := fmt.Sscan(pos, &offset); err != nil {
		k.Fatal(err)
	}
	want := ^uint64(0)
	k.until(time.Minute, "the repository has "+file+":"+pos, func() bool {
		st, ok := k.status()
		if ok && want == ^uint64(0) && st.Said.After(k.began()) && (st.Pos.File > file || st.Pos.File == file && st.Pos.Offset >= offset) {
			want = st.Seq
		}
		return ok && st.Stored >= want
	})
}

// untilSnapshots waits until there is a snapshot of each table.
func (k *keep) untilSnapshots(tables ...string) {
	k.Helper()
	for _, t := range tables {
		k.heard(time.Minute, "snapshot of "+k.schema+"."+t+":")
	}
}

// moment is the truth at a place in the log: the digest of each table.
type moment struct {
	pos    db.Position
	tables map[string]*db.Digest
}

func (m *moment) String() string { return fmt.Sprintf("%s:%d", m.pos.File, m.pos.Offset) }

// remember takes the truth at an exact place, without stopping anybody.
func (k *keep) remember(ctx context.Context, tables ...string) *moment {
	k.Helper()
	snap, pos, err := k.truth.ExactSnapshot(ctx)
	if err != nil {
		k.Fatal(err)
	}
	defer func() { _ = snap.Close() }()
	m := &moment{pos: pos, tables: map[string]*db.Digest{}}
	for _, name := range tables {
		t, err := k.truth.Table(ctx, db.Name{Schema: k.schema, Table: name})
		if err != nil {
			k.Fatal(err)
		}
		if m.tables[name], err = restore.Sum(t, rowio.Stream(ctx, snap, t, nil, "")); err != nil {
			k.Fatal(err)
		}
	}
	return m
}

// digest sums up a table.
func (k *keep) digest(conn *mysql.Conn, table string) *db.Digest {
	k.Helper()
	t, err := conn.Table(k.Context(), db.Name{Schema: k.schema, Table: table})
	if err != nil {
		k.Fatal(err)
	}
	d, err := restore.Sum(t, rowio.Stream(k.Context(), conn.DB, t, nil, ""))
	if err != nil {
		k.Fatal(err)
	}
	return d
}

// restored restores a table at a moment into a side table and sums that up.
func (k *keep) restored(table, at string) *db.Digest {
	k.Helper()
	d, r := k.tryRestored(table, at)
	if r.code != 0 {
		k.Fatalf("restore %s at %s: exit code %d\n%s", table, at, r.code, r.all())
	}
	return d
}

// tryRestored is restored for a moment that may be refused.
func (k *keep) tryRestored(table, at string) (*db.Digest, result) {
	k.Helper()
	side := table + "_was"
	k.exec("DROP TABLE IF EXISTS " + side)
	r := k.try("restore", k.schema+"."+table, "--at", at, "--into", k.schema+"."+side)
	if r.code != 0 {
		return nil, r
	}
	d := k.digest(k.truth, side)
	k.exec("DROP TABLE " + side)
	return d, r
}

// comeBack restores the moment's tables, compares them with what was remembered, and counts
// them. One that lull says it cannot restore exactly only counts as wrong when it must.
func (k *keep) comeBack(m *moment, mayRefuse bool) (exact int) {
	k.Helper()
	for name, want := range m.tables {
		got, r := k.tryRestored(name, m.String())
		switch {
		case got == nil && mayRefuse && (r.code == 2 || r.code == 4):
			k.says(r.errOut, "orders|Next:")
		case got == nil:
			k.Errorf("%s: %s: exit code %d: %s", m, name, r.code, r.all())
		case !got.Same(want):
			k.Errorf("%s: %s has %d rows restored, %d were there, or others", m, name, got.Rows, want.Rows)
		default:
			exact++
		}
	}
	return exact
}

// span is a stretch of time that a table can be restored to.
type span struct {
	From, To time.Time
	Gap      string
}

// listed is what `backup list` says of a table.
func (k *keep) listed(table string) []span {
	k.Helper()
	var doc struct {
		Tables []struct {
			Table string
			Spans []span
		}
	}
	r := k.try("backup", "list", "shop", "--json")
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		k.Fatalf("read list: %v\n%s", err, r.all())
	}
	for _, t := range doc.Tables {
		if t.Table == k.schema+"."+table {
			return t.Spans
		}
	}
	return nil
}

// oneLineError checks that a failed command says what is wrong in one line, and what to do in
// another.
func (l *lab) oneLineError(r result, parts string) {
	l.Helper()
	lines := strings.Split(strings.TrimSpace(r.errOut), "\n")
	var said []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "Next: ") && !strings.HasPrefix(line, "note: ") && !strings.Contains(line, " shop: ") {
			said = append(said, line)
		}
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], "lull: ") || !strings.Contains(r.errOut, "\nNext: ") {
		l.Errorf("not one line and what to do next:\n%s", r.errOut)
	}
	l.says(r.errOut, parts)
}

// mariaKeep is a recorded database on the system's MariaDB, for tests that leave the server alone.
func mariaKeep(t *testing.T, set settings) *keep {
	t.Helper()
	return newKeep(newLab(t, recorded(t)), set)
}
