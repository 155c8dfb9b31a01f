package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// keep is a lab whose past is recorded.
type keep struct {
	*lab
	config string
	store  string
	truth  *mysql.Conn
	serve  *exec.Cmd
	log    *bytes.Buffer
}

// newKeep writes a lull.yaml for the lab's database. more are further lines under backups/shop.
func newKeep(l *lab, more ...string) *keep {
	l.Helper()
	k := &keep{lab: l, store: filepath.Join(l.data, "store"), config: filepath.Join(l.data, "lull.yaml")}
	dsn := "mysql://" + l.user + "@" + l.srv.Addr() + "/" + l.schema
	text := fmt.Sprintf("databases:\n  shop: {dsn: %q, tables: [%q]}\nstores:\n  here: {kind: dir, path: %q}\nbackups:\n  shop:\n    to: here\n    flush: 200ms\n", dsn, l.schema+".*", k.store)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	k.write(k.config, text)
	l.env = append(l.env, "LULL_CONFIG="+k.config)
	var err error
	k.truth, err = mysql.Open(l.Context(), mysql.DSN{Host: "127.0.0.1", User: "root", Schema: l.schema, Port: port(l.srv)}, mysql.Env{Getenv: func(string) string { return "" }})
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { k.truth.Close() })
	return k
}

func port(srv *server.Server) int {
	_, p, _ := strings.Cut(srv.Addr(), ":")
	n := 0
	fmt.Sscan(p, &n)
	return n
}

func (k *keep) write(path, text string) {
	k.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
}

// start begins to serve.
func (k *keep) start() {
	k.Helper()
	k.serve, k.log = k.command("serve"), &bytes.Buffer{}
	k.serve.Stdout, k.serve.Stderr = k.log, k.log
	if err := k.serve.Start(); err != nil {
		k.Fatal(err)
	}
	k.Cleanup(func() { _ = k.serve.Process.Kill() })
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

// moment is the truth at a place in the log: the digest of each table.
type moment struct {
	pos    db.Position
	tables map[string]*db.Digest
}

// remember takes the truth at an exact place, without stopping anybody.
func (k *keep) remember(ctx context.Context, tables ...string) (*moment, error) {
	snap, pos, err := k.truth.ExactSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }()
	m := &moment{pos: pos, tables: map[string]*db.Digest{}}
	for _, name := range tables {
		t, err := k.truth.Table(ctx, db.Name{Schema: k.schema, Table: name})
		if err != nil {
			return nil, err
		}
		if m.tables[name], err = restore.Sum(t, rowio.Stream(ctx, snap, t, nil, "")); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// restored restores a table at a place into a side table and sums that up.
func (k *keep) restored(table string, pos db.Position) *db.Digest {
	k.Helper()
	side := table + "_was"
	k.exec("DROP TABLE IF EXISTS " + side)
	at := fmt.Sprintf("%s:%d", pos.File, pos.Offset)
	k.lull(0, "restore", k.schema+"."+table, "--at", at, "--into", k.schema+"."+side)
	t, err := k.truth.Table(k.Context(), db.Name{Schema: k.schema, Table: side})
	if err != nil {
		k.Fatal(err)
	}
	d, err := restore.Sum(t, rowio.Stream(k.Context(), k.truth.DB, t, nil, ""))
	if err != nil {
		k.Fatal(err)
	}
	k.exec("DROP TABLE " + side)
	return d
}

// untilStored waits until the repository has all that is in the log by now.
func (k *keep) untilStored() {
	k.Helper()
	deadline := time.Now().Add(time.Minute)
	here := k.here()
	for {
		r := k.try("restore", "shop", "--at", here, "--json")
		if r.code == 0 {
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("the repository never got to %s: %s\n%s", here, r.all(), k.log)
		}
	}
}

// traffic writes random rows of every kind into the tables until ctx ends.
func (k *keep) traffic(ctx context.Context, pool *sql.DB, rng *rand.Rand) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for ctx.Err() == nil {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		for range 1 + rng.IntN(6) {
			if _, err = tx.ExecContext(ctx, randomStatement(rng)); err != nil {
				break
			}
		}
		if err == nil && rng.IntN(8) > 0 {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
		if err = ignoreConflict(err); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	return nil
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ignoreConflict takes what writers do to each other for normal.
func ignoreConflict(err error) error {
	if err == nil {
		return nil
	}
	for _, normal := range []string{"Deadlock", "Duplicate", "foreign key", "Lock wait", "Record has changed", "Unknown column", "Out of range"} {
		if strings.Contains(err.Error(), normal) {
			return nil
		}
	}
	return err
}

func randomStatement(rng *rand.Rand) string {
	id := 1 + rng.IntN(400)
	text := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(40))
	switch rng.IntN(14) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO customers (name, note) VALUES ('%s', %s)", text, pick(rng, "NULL", "'x'", "'caf\u00e9'"))
	case 3, 4:
		return fmt.Sprintf("UPDATE customers SET name='%s', balance=balance+%d.05 WHERE id=%d", text, rng.IntN(50), id)
	case 5:
		return fmt.Sprintf("DELETE FROM customers WHERE id=%d", id)
	case 6, 7:
		return fmt.Sprintf("INSERT INTO orders (customer, agent, total) SELECT id, %s, %d.5 FROM customers WHERE id BETWEEN %d AND %d", pick(rng, "NULL", "1", "2", "3"), rng.IntN(9), id, id+3)
	case 8:
		return fmt.Sprintf("UPDATE orders SET total=total*2, flags=%d WHERE id BETWEEN %d AND %d", rng.IntN(8), id, id+5)
	case 9:
		return fmt.Sprintf("UPDATE words SET word='%s%d' WHERE word='%s%d'", text[:min(len(text), 3)], rng.IntN(99), pick(rng, "a", "b", "q"), rng.IntN(99))
	case 10:
		return fmt.Sprintf("REPLACE INTO words VALUES ('%s%d', UNIX_TIMESTAMP(), X'%X')", pick(rng, "a", "b", "q"), rng.IntN(99), text)
	case 11:
		return fmt.Sprintf("INSERT INTO heap (a, b) VALUES (%d, '%s'), (%d, NULL)", rng.IntN(5), text[:min(len(text), 2)], rng.IntN(5))
	case 12:
		return fmt.Sprintf("DELETE FROM heap WHERE a=%d LIMIT 2", rng.IntN(5))
	}
	return fmt.Sprintf("UPDATE lines SET qty=qty+1 WHERE id < %d", id)
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// busyTables are what traffic writes to: keys of numbers and of text, none at all, and three
// tables that rows fall out of by foreign keys.
func (k *keep) busyTables() []string {
	k.Helper()
	k.exec("CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, note TEXT, balance DECIMAL(12,2) NOT NULL DEFAULT 0, seen TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (name)) CHARACTER SET utf8mb4")
	k.exec("CREATE TABLE agents (id INT PRIMARY KEY, name VARCHAR(20))", "INSERT INTO agents VALUES (1,'a'),(2,'b'),(3,'c')")
	k.exec("CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, agent INT, total DOUBLE, flags SET('x','y','z') NOT NULL DEFAULT '', FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, FOREIGN KEY (agent) REFERENCES agents (id) ON DELETE SET NULL ON UPDATE CASCADE)")
	k.exec("CREATE TABLE `lines` (id BIGINT AUTO_INCREMENT PRIMARY KEY, ord BIGINT UNSIGNED NOT NULL, qty INT NOT NULL DEFAULT 1, FOREIGN KEY (ord) REFERENCES orders (id) ON DELETE CASCADE)")
	k.exec("CREATE TABLE words (word VARCHAR(30) CHARACTER SET latin1 PRIMARY KEY, n BIGINT, raw VARBINARY(60))")
	k.exec("CREATE TABLE heap (a INT, b VARCHAR(9))")
	for range 3 {
		k.exec("INSERT INTO customers (name) SELECT CONCAT('c', a.n*10+b.n) FROM (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) a, (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) b")
	}
	k.exec("INSERT INTO orders (customer, agent, total) SELECT id, 1+id%3, id/3 FROM customers", "INSERT INTO `lines` (ord) SELECT id FROM orders")
	return []string{"customers", "agents", "orders", "lines", "words", "heap"}
}

// TestAnyMoment records a database under random load, with restarts of lull in between, and
// restores every table at many moments: each row must be the one that was there.
func TestAnyMoment(t *testing.T) {
	for _, srv := range servertest.All(t, "--loose-binlog-row-metadata=FULL") {
		if srv.Flavor() != "mariadb" {
			continue // the truth is taken at exact places, which only MariaDB tells without a lock
		}
		t.Run(srv.Binaries().Series(), func(t *testing.T) { anyMoment(t, newLab(t, srv)) })
	}
}

func anyMoment(t *testing.T, l *lab) {
	k := newKeep(l)
	k.grant("CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT")
	tables := k.busyTables()
	k.start()
	pool, err := sql.Open("mysql", l.srv.RootDSN(l.schema))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	failed := make(chan error, 8)
	for i := range 3 {
		writers.Go(func() { failed <- k.traffic(ctx, pool, rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	k.untilStored()
	var moments []*moment
	for i := range 12 {
		k.change(i)
		m, err := k.remember(ctx, tables...)
		if err != nil {
			t.Fatal(err)
		}
		moments = append(moments, m)
		if i%4 == 3 {
			k.kill()
			k.start()
		}
		k.untilStored()
	}
	stop()
	writers.Wait()
	close(failed)
	for err := range failed {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	k.exec("DELETE FROM agents WHERE id=2", "TRUNCATE TABLE words", "DROP TABLE heap")
	k.untilStored()
	for n, m := range moments {
		for _, name := range tables {
			if got := k.restored(name, m.pos); !got.Same(m.tables[name]) {
				t.Errorf("moment %d (%s:%d): %s has %d rows restored, %d were there", n, m.pos.File, m.pos.Offset, name, got.Rows, m.tables[name].Rows)
			}
		}
	}
	k.lull(0, "backup", "verify", "shop")
	k.stop()
	if t.Failed() {
		t.Logf("%s", k.log)
	}
}

// change redefines tables between the moments.
func (k *keep) change(i int) {
	k.Helper()
	switch i {
	case 2:
		k.exec("ALTER TABLE customers ADD COLUMN tier INT NOT NULL DEFAULT 3 AFTER name")
	case 4:
		k.exec("ALTER TABLE customers CHANGE note remark TEXT", "UPDATE agents SET id=30 WHERE id=3")
	case 6:
		k.exec("ALTER TABLE customers DROP COLUMN remark")
		k.exec("ALTER TABLE customers ADD COLUMN note TEXT")
	case 8:
		k.exec("TRUNCATE TABLE heap")
	case 10:
		k.exec("ALTER TABLE orders MODIFY total DECIMAL(20,4)")
	}
}

// listed is what `backup list` says of a table.
func (k *keep) listed(table string) (spans int, gap string) {
	k.Helper()
	var doc struct {
		Tables []struct {
			Table string
			Spans []struct{ Gap string }
		}
	}
	r := k.try("backup", "list", "shop", "--json")
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		k.Fatalf("read list: %v\n%s", err, r.all())
	}
	for _, t := range doc.Tables {
		if t.Table == k.schema+"."+table {
			for _, s := range t.Spans {
				gap += s.Gap
			}
			return len(t.Spans), gap
		}
	}
	return 0, ""
}
