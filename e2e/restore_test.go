package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// finding waits until serving tells of an accident of this table and returns its id.
func (k *keep) finding(table string) string {
	k.Helper()
	id := ""
	k.until(20*time.Second, "an accident of "+table, func() bool {
		for line := range strings.Lines(k.log.String()) {
			_, rest, ok := strings.Cut(line, "ACCIDENT ")
			if ok && strings.Contains(rest, k.schema+"."+table) {
				id, _, _ = strings.Cut(rest, ":")
			}
		}
		return id != ""
	})
	return id
}

// What a TRUNCATE and a DROP took comes back by the finding's id.
func TestUndoWhatNoLogHolds(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(300)
	k.exec("CREATE TABLE stubs LIKE bills", "INSERT INTO stubs SELECT * FROM bills WHERE id<=30")
	k.start()
	k.untilSnapshots("bills", "stubs")
	k.exec("UPDATE bills SET cents=5 WHERE id=3")
	was, stubs := k.sum("bills"), k.sum("stubs")
	k.exec("TRUNCATE TABLE bills")
	id := k.finding("bills")
	k.exec("INSERT INTO bills VALUES (1000,1,'written since')", "DROP TABLE stubs")
	dropped := k.finding("stubs")
	k.untilStored()
	k.lull(0, "undo", id, "--yes")
	if got := k.text("SELECT COUNT(*) FROM bills"); got != "301" {
		t.Errorf("%s rows after undo, want 301", got)
	}
	k.exec("DELETE FROM bills WHERE id=1000")
	if got := k.sum("bills"); got != was {
		t.Errorf("checksum is %s after undo of TRUNCATE, was %s", got, was)
	}
	k.lull(0, "restore", k.schema+".stubs", "--at", dropped, "--into", k.schema+".stubs")
	if got := k.sum("stubs"); got != stubs {
		t.Errorf("checksum is %s after DROP, was %s", got, stubs)
	}
	k.stop()
}

func TestRestoreMerge(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(100)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET cents=5 WHERE id=3")
	at := k.here()
	k.exec("DELETE FROM bills WHERE id>90", "UPDATE bills SET note='since' WHERE id=7", "INSERT INTO bills VALUES (1000,1,'since')")
	k.lull(0, "backup", "now", "shop")
	r := k.lull(0, "restore", k.schema+".bills", "--at", at, "--merge", "--yes")
	k.says(r.all(), "10 inserted|1 kept as they are")
	if got := k.text("SELECT COUNT(*), SUM(note='since') FROM bills"); got != "101 2" {
		t.Errorf("%s rows, want 101 and 2 since", got)
	}
}

// Rows that fell along by a foreign key come back from the repository when the logs are gone.
func TestCascadeFromTheRepository(t *testing.T) {
	t.Parallel()
	k := ownKeep(t, settings{})
	k.bills(100)
	k.exec("CREATE TABLE items (id INT PRIMARY KEY, bill INT NOT NULL, FOREIGN KEY (bill) REFERENCES bills (id) ON DELETE CASCADE)",
		"CREATE TABLE notes (id INT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES items (id) ON DELETE SET NULL)",
		"INSERT INTO items SELECT id*10, id FROM bills", "INSERT INTO notes SELECT id, id FROM items")
	k.start()
	k.untilSnapshots("bills", "items", "notes")
	k.exec("INSERT INTO items VALUES (7,7)", "INSERT INTO notes VALUES (7,7)", "UPDATE items SET bill=8 WHERE id=90")
	sums := k.sum("bills") + k.sum("items") + k.sum("notes")
	k.exec("DELETE FROM bills")
	id := k.finding("bills")
	k.exec("FLUSH BINARY LOGS")
	k.untilStored()
	k.stop()
	last, _, _ := strings.Cut(k.here(), ":")
	k.exec("PURGE BINARY LOGS TO '" + last + "'")
	k.lull(0, "undo", id, "--yes")
	if got := k.sum("bills") + k.sum("items") + k.sum("notes"); got != sums {
		t.Errorf("checksums %s, were %s; %s %s", got, sums, k.text("SELECT COUNT(*) FROM items"), k.text("SELECT COUNT(item) FROM notes"))
	}
}

func TestAlarm(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{more: []string{"quiet: [nightly-prune]"}})
	k.bills(300)
	k.start("--origin", "deploy")
	k.untilSnapshots("bills")
	k.exec("DELETE /* origin: nightly-prune */ FROM bills WHERE id<50", "DELETE /* origin: deploy */ FROM bills WHERE id<100")
	k.exec("DELETE FROM bills")
	begun := time.Now()
	id := k.finding("bills")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("told after %s", took)
	}
	if n := strings.Count(k.log.String(), "ACCIDENT"); n != 1 {
		t.Errorf("%d findings, want 1:\n%s", n, k.log)
	}
	k.untilStored()
	k.says(k.lull(3, "tonight").all(), "NO|"+id+"|lull undo "+id)
	k.exec("INSERT INTO bills VALUES (1,1,'x')")
	k.untilStored()
	k.lull(0, "backup", "drill", "shop", "--all")
	r := k.try("tonight", "--meant", id)
	if strings.Contains(r.out, id) || r.code != 0 {
		t.Errorf("closed, and still there (%d): %s", r.code, r.all())
	}
	k.stop()
}

func TestRenamedTable(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(10)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET cents=1")
	at := k.here()
	k.exec("RENAME TABLE bills TO invoices", "UPDATE invoices SET cents=2")
	k.lull(0, "backup", "now", "shop")
	r := k.lull(2, "restore", k.schema+".invoices", "--at", at)
	k.oneLineError(r, "bills")
	later := k.here()
	k.exec("UPDATE invoices SET cents=3")
	k.lull(0, "backup", "now", "shop")
	k.oneLineError(k.lull(2, "restore", k.schema+".bills", "--at", later), "invoices")
	if d := k.restored("bills", at); d.Rows != 10 {
		t.Errorf("%d rows", d.Rows)
	}
}

// The server that records has no key that opens what it wrote.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	l := newLab(t, recorded(t))
	key, other := filepath.Join(t.TempDir(), "lull.key"), filepath.Join(t.TempDir(), "other.key")
	public := strings.TrimSpace(l.lull(0, "backup", "key", key).out)
	l.lull(0, "backup", "key", other)
	l.oneLineError(l.lull(2, "backup", "key", key), key)
	k := newKeep(l, settings{backup: []string{"encrypt: [" + public + "]"}})
	k.bills(100)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET note='a secret word'")
	m := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills")
	k.lull(0, "backup", "now", "shop")
	k.lull(0, "backup", "verify", "shop")
	k.lull(0, "backup", "list", "shop")
	table, out := k.schema+".bills", filepath.Join(t.TempDir(), "bills.csv")
	k.oneLineError(k.lull(2, "restore", table, "--at", m.String(), "--out", out), "--identity")
	k.oneLineError(k.lull(2, "restore", table, "--at", m.String(), "--out", out, "--identity", other), "--identity")
	k.oneLineError(k.lull(2, "restore", table, "--at", m.String(), "--out", out, "--identity", out+".missing"), "identity")
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	away := *l
	away.env, away.data = nil, t.TempDir() // another machine: no lull.yaml, no server
	away.lull(0, "backup", "list", "--repo", k.store, "--identity", key)
	away.lull(0, "restore", table, "--at", m.String(), "--repo", k.store, "--identity", key, "--out", out)
	text, err := os.ReadFile(out)
	if err != nil || strings.Count(string(text), "a secret word") != 100 {
		t.Errorf("%v, %.200s", err, text)
	}
	for _, dir := range []string{"log", "snap", "catalog"} {
		files, _ := filepath.Glob(filepath.Join(k.store, "shop", dir, "*"))
		for _, f := range files {
			if b, _ := os.ReadFile(f); strings.Contains(string(b), "secret word") || strings.Contains(string(b), "CREATE TABLE") {
				t.Errorf("%s holds something in clear", f)
			}
		}
	}
}

// A whole database goes to a new server, with all that is in it besides tables.
func TestWholeDatabase(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(500)
	k.grant("SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, EXECUTE")
	k.exec("GRANT SELECT ON mysql.proc TO '" + k.user + "'@'%'")
	k.exec("CREATE TABLE items (id INT PRIMARY KEY, bill INT, doubled INT AS (bill*2) STORED, FOREIGN KEY (bill) REFERENCES bills (id) ON DELETE CASCADE)",
		"INSERT INTO items (id, bill) SELECT id, id FROM bills", "CREATE VIEW dear AS SELECT * FROM bills WHERE cents>1000",
		"CREATE TRIGGER stamp BEFORE INSERT ON bills FOR EACH ROW SET NEW.note=CONCAT('new ', NEW.note)",
		"CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n*2", "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM bills")
	k.lull(0, "backup", "now", "shop")
	k.exec("DELETE FROM bills WHERE id%3=0", "UPDATE bills SET cents=cents+1 WHERE id<100")
	sums := k.sum("bills") + k.rows("items") // CHECKSUM TABLE is fickle with generated columns
	at := k.here()
	k.exec("DELETE FROM bills")
	k.lull(0, "backup", "now", "shop")
	srv, err := server.Start(t.Context(), server.Options{Binaries: servertest.Trees(t)[0], Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Stop(context.Background()) })
	to := "mysql://root@" + srv.Addr() + "/"
	k.env = append(k.env, "LULL_PASSWORD=") // root there has none
	k.lull(0, "restore", "shop", "--at", at, "--to", to)
	conn := newLab(t, srv)
	conn.exec("USE " + k.schema)
	if got := conn.sum("bills") + conn.rows("items"); got != sums {
		t.Errorf("checksum and rows are %.200s, were %.200s", got, sums)
	}
	if got := conn.text("SELECT (SELECT COUNT(*)>0 FROM dear), twice(4), (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema='" + k.schema + "'), (SELECT status FROM information_schema.events WHERE event_schema='" + k.schema + "')"); !strings.HasPrefix(got, "1 8 1 ") || !strings.Contains(got, "DISABLED") {
		t.Errorf("views, routines, triggers and events are %s", got)
	}
	conn.exec("INSERT INTO bills VALUES (9999, 1, 'x')")
	before := conn.sum("bills")
	k.oneLineError(k.lull(5, "restore", "shop", "--at", at, "--to", to), k.schema)
	if got := conn.sum("bills"); got != before {
		t.Error("a table that was there is another now")
	}
}

func TestRestoreToFiles(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(50)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET note=NULL WHERE id=1", "UPDATE bills SET note='a,\"b\"' WHERE id=2")
	at, sum := k.here(), k.sum("bills")
	k.exec("DELETE FROM bills")
	k.lull(0, "backup", "now", "shop")
	dir := t.TempDir()
	for _, ext := range []string{"sql", "csv", "parquet"} {
		out := filepath.Join(dir, "bills."+ext)
		k.lull(0, "restore", k.schema+".bills", "--at", at, "--out", out)
		if st, err := os.Stat(out); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", ext, err)
		}
		k.oneLineError(k.lull(2, "restore", k.schema+".bills", "--at", at, "--out", out), out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "bills.sql"))
	if err != nil {
		t.Fatal(err)
	}
	k.exec("DROP TABLE bills")
	for stmt := range strings.SplitSeq(string(text), ";\n") {
		var kept []string
		for line := range strings.Lines(stmt) {
			if !strings.HasPrefix(line, "-- ") {
				kept = append(kept, line)
			}
		}
		if s := strings.TrimSpace(strings.Join(kept, "")); s != "" {
			k.exec(s)
		}
	}
	if got := k.sum("bills"); got != sum {
		t.Errorf("checksum is %s after the SQL file, was %s", got, sum)
	}
}

// What was changed behind the log's back is found by a drill.
func TestDrillFindsUnloggedChange(t *testing.T) {
	t.Parallel()
	l := newLab(t, recorded(t))
	k := newKeep(l, settings{backup: []string{"drill: {every: 24h}"}})
	k.bills(100)
	k.lull(0, "backup", "now", "shop")
	k.lull(0, "backup", "drill", "shop", "--all")
	k.exec("SET sql_log_bin=0", "UPDATE bills SET cents=12345 WHERE id=7", "SET sql_log_bin=1")
	k.exec("UPDATE bills SET cents=1 WHERE id=8")
	k.start() // others write to this server, too: somebody must go on recording
	k.untilStored()
	r := k.lull(3, "backup", "drill", "shop", "--all")
	k.says(r.all(), "NO|"+k.schema+".bills|live table")
	k.says(k.lull(3, "tonight").all(), "NO|drill")
	k.stop()
}

// Ctrl-C leaves nothing behind, and what was stored is not read again.
func TestInterruptedRestore(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(300000)
	cmd := k.command("backup", "now", "shop")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(600 * time.Millisecond)
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 && code != 0 {
		t.Errorf("backup now ended with %d", code)
	}
	k.lull(0, "backup", "now", "shop")
	m := k.remember(t.Context(), "bills")
	k.exec("DELETE FROM bills LIMIT 1000")
	k.lull(0, "backup", "now", "shop")
	for _, wait := range []time.Duration{100, 300, 700} {
		cmd := k.command("restore", k.schema+".bills", "--at", m.String(), "--into", k.schema+".bills_was")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(wait * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		k.exec("DROP TABLE IF EXISTS bills_was")
		if left := k.text("SHOW TABLES"); left != "bills" {
			t.Errorf("after %d ms there is %s", wait, left)
		}
	}
	k.comeBack(m, false)
}

// TestWrongCommands gives each mistake one line, one next step, and no change.
func TestWrongCommands(t *testing.T) {
	t.Parallel()
	k := mariaKeep(t, settings{})
	k.bills(10)
	k.lull(0, "backup", "now", "shop")
	k.exec("UPDATE bills SET cents=1")
	at := k.here()
	k.exec("UPDATE bills SET cents=2")
	k.lull(0, "backup", "now", "shop")
	table, sum := k.schema+".bills", k.sum("bills")
	config := func(text string) string {
		path := filepath.Join(t.TempDir(), "lull.yaml")
		k.write(path, text)
		return path
	}
	dsn := "mysql://" + k.user + "@" + k.srv.Addr() + "/" + k.schema
	for _, c := range []struct {
		code int
		args string
		says string
	}{
		{2, "restore " + table, "--at"},
		{2, "restore " + table + " --at yesterdayish", "--at"},
		{2, "restore " + table + " --at 2001-01-01", "begins"},
		{2, "restore " + table + " --at 2099-01-01", "end"},
		{2, "restore " + table + " --at f-nosuch1", "finding"},
		{2, "restore " + table + " --at mysql-bin.000001:99999999", "recorded"},
		{2, "restore " + table + " --at 0-1-99999999", "GTID"},
		{2, "restore " + k.schema + ".bils --at " + at, "bils"},
		{2, "restore nosuch --at " + at, "nosuch"},
		{2, "restore " + table + " --at " + at + " --out x.doc", "x.doc"},
		{2, "restore " + table + " --at " + at + " --out /nonexistent/dir/x.csv", "/nonexistent/dir"},
		{2, "restore " + table + " --at " + at + " --out x.csv --merge", "exclude"},
		{2, "restore " + table + " --at " + at + " --on-conflict maybe --merge", "maybe"},
		{5, "restore " + table + " --at " + at + " --into " + table, "bills"},
		{6, "restore " + table + " --at " + at + " --to mysql://root@127.0.0.1:1/", "127.0.0.1:1"},
		{2, "restore " + table + " --at " + at + " --repo /nonexistent", "/nonexistent"},
		{2, "backup list nosuch", "nosuch"},
		{2, "backup list --repo " + t.TempDir(), "no repository"},
		{2, "backup drill shop --table nosuch", "nosuch"},
		{2, "backup now shop --config /nonexistent.yaml", "/nonexistent.yaml"},
		{2, "serve --config " + config("databases: {}\n"), "no database"},
		{2, "serve --config " + config("databases: {shop: {dsn: \""+dsn+"\"}}\nstores: {s: {kind: ftp}}\n"), "ftp"},
		{2, "serve --config " + config("databases: {shop: {dsn: \""+dsn+"\", tabels: []}}\n"), "tabels"},
		{2, "serve --config " + config("databases: {shop: {dsn: \"mysql://u:secret@127.0.0.1/shop\"}}\nstores: {s: {kind: dir, path: x}}\nbackups: {shop: {to: s}}\n"), "password"},
		{2, "serve --config " + config("databases: {shop: {dsn: \""+dsn+"\"}}\nstores: {s: {kind: s3, bucket: nosuch, endpoint: \"127.0.0.1:1\", insecure: true}}\nbackups: {shop: {to: t}}\n"), "store t"},
		{2, "tonight --meant f-nosuch", "f-nosuch"},
	} {
		t.Run(c.args[:min(len(c.args), 60)], func(t *testing.T) {
			k := *k
			l := *k.lab
			l.T = t
			k.lab = &l
			r := k.try(strings.Fields(c.args)...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			k.oneLineError(r, c.says)
			if strings.Contains(r.all(), "secret") {
				t.Errorf("a password is told: %s", r.all())
			}
		})
	}
	if got := k.sum("bills"); got != sum || k.text("SHOW TABLES") != "bills" {
		t.Errorf("something changed: %s, %s", got, k.text("SHOW TABLES"))
	}
}

// v1 is a repository of format 1 that was made once: it must be readable for ever.
const v1 = "testdata/v1-repo"

// v1Facts are what it held when it was made.
type v1Facts struct {
	Moments []struct {
		At, Table, CSV string // CSV is the SHA-256 of the whole file
	}
}

func TestRepositoryOfVersion1(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(v1, "facts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var facts v1Facts
	if err := json.Unmarshal(text, &facts); err != nil || len(facts.Moments) < 6 {
		t.Fatalf("%d moments, %v", len(facts.Moments), err)
	}
	dir := t.TempDir()
	l := &lab{T: t, srv: recorded(t), data: dir}
	store := filepath.Join(dir, "store")
	if err := os.CopyFS(store, os.DirFS(filepath.Join(v1, "store"))); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(v1, "lull.key")
	l.lull(0, "backup", "verify", "--repo", store, "--identity", key)
	for i, m := range facts.Moments {
		out := filepath.Join(dir, fmt.Sprintf("%d.csv", i))
		l.lull(0, "restore", m.Table, "--at", m.At, "--repo", store, "--identity", key, "--out", out)
		if got := fileSum(t, out); got != m.CSV {
			t.Errorf("%s at %s is another: %s", m.Table, m.At, got)
		}
	}
}
