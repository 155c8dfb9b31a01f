package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// recorded is the system's MariaDB as recording wants it.
func recorded(t *testing.T) *server.Server {
	t.Helper()
	return servertest.MariaDB(t, "--loose-binlog-row-metadata=FULL")
}

// traffic writes random rows of every kind into the tables until ctx ends.
func traffic(ctx context.Context, pool *sql.DB, rng *rand.Rand, more ...string) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET sql_mode='', time_zone='+00:00'"); err != nil {
		return ignoreEnd(ctx, err)
	}
	tick := time.NewTicker(6 * time.Millisecond) // the machine is needed for more than writing
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		if err := writeSome(ctx, conn, rng, more); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	return nil
}

// writeSome is one transaction, which is sometimes taken back.
func writeSome(ctx context.Context, conn *sql.Conn, rng *rand.Rand, more []string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range 1 + rng.IntN(6) {
		stmt := randomStatement(rng)
		if len(more) > 0 && rng.IntN(5) == 0 {
			stmt = pick(rng, more...)
		}
		if _, err = tx.ExecContext(ctx, stmt); ignoreConflict(err) != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
		if err != nil {
			break
		}
	}
	if err != nil || rng.IntN(8) == 0 {
		return tx.Rollback()
	}
	return ignoreConflict(tx.Commit())
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
	for _, normal := range []string{"Deadlock", "Duplicate", "foreign key", "Lock wait", "Record has changed", "Unknown column", "Out of range", "doesn't exist", "definition has changed", "read auto-increment"} {
		if strings.Contains(err.Error(), normal) {
			return nil
		}
	}
	return err
}

func randomStatement(rng *rand.Rand) string {
	id := 1 + rng.IntN(400)
	text := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(40))
	switch rng.IntN(15) {
	case 0, 1, 2:
		return fmt.Sprintf("INSERT INTO customers (name, note) VALUES ('%s', %s)", text, pick(rng, "NULL", "'x'", "'caf\u00e9'"))
	case 3, 4:
		return fmt.Sprintf("UPDATE customers SET name='%s', balance=balance+%d.05 WHERE id%%400=%d", text, rng.IntN(50), id)
	case 5:
		return fmt.Sprintf("DELETE FROM customers WHERE id%%400=%d LIMIT 1", id)
	case 6, 7:
		return fmt.Sprintf("INSERT INTO orders (customer, agent, total) SELECT id, %s, %d.5 FROM customers WHERE id%%400 BETWEEN %d AND %d ORDER BY id DESC LIMIT 3", pick(rng, "NULL", "1", "2", "3"), rng.IntN(9), id, id+3)
	case 8:
		return fmt.Sprintf("UPDATE orders SET total=total*2, flags=%d WHERE id%%400 BETWEEN %d AND %d", rng.IntN(8), id, id+5)
	case 9:
		return fmt.Sprintf("UPDATE words SET word='%s%d' WHERE word='%s%d'", text[:min(len(text), 3)], rng.IntN(99), pick(rng, "a", "b", "q"), rng.IntN(99))
	case 10:
		return fmt.Sprintf("REPLACE INTO words VALUES ('%s%d', UNIX_TIMESTAMP(), X'%X')", pick(rng, "a", "b", "q"), rng.IntN(99), text)
	case 11:
		return fmt.Sprintf("INSERT INTO heap (a, b) VALUES (%d, '%s'), (%d, NULL)", rng.IntN(5), text[:min(len(text), 2)], rng.IntN(5))
	case 12:
		return fmt.Sprintf("DELETE FROM heap WHERE a=%d LIMIT 2", rng.IntN(5))
	}
	if id%2 == 0 {
		return fmt.Sprintf("INSERT INTO parts (ord) SELECT id FROM orders WHERE id%%400 > %d LIMIT 3", id)
	}
	return fmt.Sprintf("UPDATE parts SET qty=qty+1 WHERE id%%400 BETWEEN %d AND %d", id, id+9)
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// busyTables are what traffic writes to: keys of numbers and of text, none at all, and three
// tables that rows fall out of by foreign keys.
func (k *keep) busyTables() []string {
	k.Helper()
	stamp := "TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
	k.exec("CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, note TEXT, balance DECIMAL(12,2) NOT NULL DEFAULT 0, seen " + stamp + ", KEY (name)) CHARACTER SET utf8mb4")
	k.exec("CREATE TABLE agents (id INT PRIMARY KEY, name VARCHAR(20))", "INSERT INTO agents VALUES (1,'a'),(2,'b'),(3,'c')")
	k.exec("CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, agent INT, total DOUBLE, flags SET('x','y','z') NOT NULL DEFAULT '', FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, FOREIGN KEY (agent) REFERENCES agents (id) ON DELETE SET NULL ON UPDATE CASCADE)")
	k.exec("CREATE TABLE parts (id BIGINT AUTO_INCREMENT PRIMARY KEY, ord BIGINT UNSIGNED NOT NULL, qty INT NOT NULL DEFAULT 1, FOREIGN KEY (ord) REFERENCES orders (id) ON DELETE CASCADE)")
	k.exec("CREATE TABLE words (word VARCHAR(30) CHARACTER SET latin1 PRIMARY KEY, n BIGINT, raw VARBINARY(60))")
	k.exec("CREATE TABLE heap (a INT, b VARCHAR(9))")
	for range 3 {
		k.exec("INSERT INTO customers (name) SELECT CONCAT('c', a.n*10+b.n) FROM (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) a, (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) b")
	}
	k.exec("INSERT INTO orders (customer, agent, total) SELECT id, 1+id%3, id/3 FROM customers", "INSERT INTO parts (ord) SELECT id FROM orders")
	return []string{"customers", "agents", "orders", "parts", "words", "heap"}
}

// everyType makes a table with a column of every type, and the statements that fill it with
// their values.
func (k *keep) everyType() (statements []string) {
	k.Helper()
	var defs []string
	shorter := strings.NewReplacer("300000", "3000", "100000", "1000") // they are written many times
	for i, c := range columns() {
		if !k.has(c.on) || strings.Contains(c.def, "compressed") {
			continue
		}
		if c.def == "json" {
			c.values = `'{"a": 1, "b":[1,2.5]}'|'null'` // a decimal comes back as a double
		}
		name := fmt.Sprintf("c%d", i)
		defs = append(defs, name+" "+c.def)
		for n, v := range strings.Split(shorter.Replace(c.values), "|") {
			statements = append(statements, fmt.Sprintf("UPDATE kinds SET %s=%s WHERE id%%7=%d", name, v, n%7),
				fmt.Sprintf("INSERT INTO kinds (%s) VALUES (%s)", name, v))
		}
		statements = append(statements, "UPDATE kinds SET "+name+"=NULL WHERE id%5=1")
	}
	k.exec("CREATE TABLE kinds (id INT AUTO_INCREMENT PRIMARY KEY, " + strings.Join(defs, ", ") + ") ENGINE=InnoDB ROW_FORMAT=DYNAMIC")
	k.exec("SET innodb_lock_wait_timeout=1", "INSERT INTO kinds (id) VALUES (1),(2),(3),(4),(5),(6),(7)")
	k.exec(statements...)
	return append(statements, "DELETE FROM kinds WHERE id>20 LIMIT 9", "DELETE FROM kinds WHERE id>40", "DELETE FROM kinds WHERE id>12")
}

// writers are sessions that write until they are stopped.
type writers struct {
	k    *keep
	stop func()
	wg   sync.WaitGroup
	pool *sql.DB
}

// write begins to write in n sessions.
func (k *keep) writing(n int, more ...string) *writers {
	k.Helper()
	pool, err := sql.Open("mysql", k.srv.RootDSN(k.schema))
	if err != nil {
		k.Fatal(err)
	}
	w := &writers{k: k, pool: pool}
	ctx, stop := context.WithCancel(k.Context())
	w.stop = stop
	for i := range n {
		w.wg.Go(func() {
			if err := traffic(ctx, pool, rand.New(rand.NewPCG(uint64(i), 7)), more...); err != nil {
				k.Errorf("writing ended with %v", err)
			}
		})
	}
	k.Cleanup(w.end)
	return w
}

func (w *writers) end() {
	w.stop()
	w.wg.Wait()
	w.pool.Close()
}

// TestAnyMoment records a database under random load, with restarts of lull in between, and
// restores every table at many moments: each row must be the one that was there.
func TestAnyMoment(t *testing.T) {
	t.Parallel()
	for _, srv := range servertest.All(t, "--loose-binlog-row-metadata=FULL") {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			if srv.Flavor() == "mariadb" {
				anyMoment(newKeep(newLab(t, srv), settings{}), 12)
			} else {
				pausedMoments(newKeep(newLab(t, srv), settings{}), 5)
			}
		})
	}
}

// anyMoment takes the truth at exact places, which MariaDB tells without a lock.
func anyMoment(k *keep, n int) {
	k.grant("CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT")
	tables := k.busyTables()
	more := k.everyType()
	tables = append(tables, "kinds")
	k.start()
	w := k.writing(3, more...)
	k.untilSnapshots(tables...)
	var moments []*moment
	for i := range n {
		k.change(i)
		moments = append(moments, k.remember(k.Context(), tables...))
		if i%4 == 3 {
			k.kill()
			k.start()
		}
		for range 1 + i%7 {
			tickOnce()
		}
	}
	k.untilSnapshots("orders", "parts") // again, for the values that were converted
	late := k.remember(k.Context(), tables...)
	w.end()
	k.exec("DELETE FROM agents WHERE id=2", "TRUNCATE TABLE words", "DROP TABLE heap")
	k.untilStored()
	exact := 0
	for i, m := range moments {
		exact += k.comeBack(m, i >= converted)
	}
	k.comeBack(late, false)
	if want := n*len(tables) - 2*(n-converted); exact < want {
		k.Errorf("%d restores were exact, want %d", exact, want)
	}
	k.lull(0, "backup", "verify", "shop")
	k.stop()
}

// converted is the moment at which values of orders are converted, which no log tells.
const converted = 10

// pausedMoments takes the truth while nobody writes, for servers that tell no place otherwise.
func pausedMoments(k *keep, n int) {
	k.grant("CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT")
	tables := k.busyTables()
	more := k.everyType()
	tables = append(tables, "kinds")
	k.start()
	w := k.writing(3, more...)
	k.untilSnapshots(tables...)
	var moments []*moment
	for i := range n {
		k.change(i * 2)
		if i == 2 {
			k.kill()
			k.start()
		}
		w.end()
		moments = append(moments, k.remember(k.Context(), tables...))
		w = k.writing(3, more...)
		for range 10 {
			tickOnce()
		}
	}
	w.end()
	k.untilStored()
	for _, m := range moments {
		k.comeBack(m, false)
	}
	k.lull(0, "backup", "verify", "shop")
	k.stop()
}

// change redefines tables between the moments.
func (k *keep) change(i int) {
	k.Helper()
	switch i {
	case 2:
		k.alter("ALTER TABLE customers ADD COLUMN tier INT NOT NULL DEFAULT 3 AFTER name")
	case 4:
		k.alter("ALTER TABLE customers CHANGE note remark TEXT")
		k.alter("UPDATE agents SET id=30 WHERE id=3")
	case 6:
		k.alter("ALTER TABLE customers DROP COLUMN remark")
		k.alter("ALTER TABLE customers ADD COLUMN note TEXT")
	case 8:
		k.alter("TRUNCATE TABLE heap")
	case converted:
		k.alter("ALTER TABLE orders MODIFY total DECIMAL(20,4)")
	}
}

// alter tries again when writers were in the way: an ALTER of a parent table and a writer that
// has rows of its child wait for each other without the server noticing.
func (k *keep) alter(stmt string) {
	k.Helper()
	k.until(time.Minute, stmt, func() bool {
		_, err := k.root.ExecContext(k.Context(), stmt)
		if err != nil && ignoreConflict(err) != nil {
			k.Fatalf("%s: %v", stmt, err)
		}
		return err == nil
	})
}
