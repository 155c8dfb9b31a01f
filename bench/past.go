package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// past is a shop whose past is kept.
type past struct {
	*bench
	shop  *shop
	dir   string // below the working folder: the configuration, dumps
	dump  string // mydumper's, of everything
	sql   string // mariadb-dump's, of everything
	files string // mariadb-backup's, of everything
}

// pastOpsSQL lets Lull's account make a table and load it, besides recording.
const pastOpsSQL = opsSQL + `;
GRANT CREATE, DROP, ALTER, INDEX, SHOW VIEW, EVENT ON shop.* TO ops@'127.0.0.1';
CREATE DATABASE was`

// startPast starts a shop whose other tables are a share of the size: billing is as it is.
func (b *bench) startPast(ctx context.Context, share float64) (*past, error) {
	s, err := b.startServer(ctx, "--innodb-buffer-pool-size="+b.size.pastPool)
	if err != nil {
		return nil, err
	}
	p := &past{bench: b, shop: s, dir: filepath.Join(b.work, "past")}
	p.dump, p.sql, p.files = filepath.Join(p.dir, "mydumper"), filepath.Join(p.dir, "all.sql"), filepath.Join(p.dir, "files")
	err = errors.Join(os.RemoveAll(p.dir), os.Mkdir(p.dir, 0o700))
	if err == nil {
		err = execAll(ctx, s.db, schemaSQL+";"+pastOpsSQL)
	}
	if err == nil {
		err = p.fill(ctx, share)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *past) stop() error { return errors.Join(p.shop.stop(), os.RemoveAll(p.dir)) }

// fill fills the tables, without a log of it.
func (p *past) fill(ctx context.Context, share float64) error {
	dsn, err := mysql.ParseDSN(p.shop.RootDSN("shop"))
	if err != nil {
		return err
	}
	dsn.Params = map[string]string{"sql_log_bin": "0"}
	db, err := sql.Open("mysql", dsn.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	of := func(n int) int { return int(share * float64(n)) }
	z := p.size
	z.billing, z.clients, z.orders, z.lines = z.pastBilling, of(z.pastClients), of(z.pastOrders), of(z.pastLines)
	p.say("making a shop of %d rows, %d of them in billing", z.billing+z.clients+z.orders+z.lines, z.billing)
	return z.fillAll(ctx, db)
}

// lullSite is a run of the program with the configuration of one repository.
func (p *past) lullSite(ctx context.Context, repo string, args ...string) *exec.Cmd {
	all := append([]string{"--quiet", "--no-input"}, args...)
	cmd := exec.CommandContext(ctx, p.lull, append(all, "--config", p.config(repo))...)
	cmd.Env = append(os.Environ(), "LULL_PASSWORD=bench")
	return cmd
}

func (p *past) config(repo string) string { return filepath.Join(p.dir, repo, "lull.yaml") }

// kept is the folder of the repository.
func (p *past) kept(repo string) string { return filepath.Join(p.dir, repo, "kept") }

// configure makes the folder of a new repository.
func (p *past) configure(repo, schema string) error {
	dir := filepath.Dir(p.config(repo))
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("bench\n"), 0o600); err != nil {
		return err
	}
	text := fmt.Sprintf(`data: ./state
databases:
  shop: {dsn: "mysql://ops@%s/%s", password_file: password, tables: [%s.*]}
stores:
  here: {kind: dir, path: ./kept}
backups:
  shop: {to: here}
`, p.shop.Addr(), schema, schema)
	return os.WriteFile(p.config(repo), []byte(text), 0o600)
}

// backupNow records and takes the snapshots that are due.
func (p *past) backupNow(ctx context.Context, repo string) (took, error) {
	return p.served(p.lullSite(ctx, repo, "backup", "now", "shop", "--all"))
}

// changes changes a tenth of billing and a fiftieth of orders, a hundred rows a transaction, and
// returns how many rows that were.
func (p *past) changes(ctx context.Context) (n int64, err error) {
	change := func(stmt string, rows int) error {
		for from := 0; from < rows; from += 1000 {
			r, err := p.shop.db.ExecContext(ctx, stmt, from, from+1000)
			if err != nil {
				return fmt.Errorf("change rows: %w", err)
			}
			changed, err := r.RowsAffected()
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	}
	var orders int
	if err := p.shop.db.QueryRowContext(ctx, "SELECT MAX(id) FROM orders").Scan(&orders); err != nil {
		return 0, err
	}
	err = change("UPDATE billing SET state = 'paid', paid_at = NOW(6) WHERE id > ? AND id <= ? AND MOD(id, 10) = 3 AND state <> 'paid'", p.size.pastBilling)
	if err == nil {
		err = change("UPDATE billing SET note = CONCAT('changed ', LEFT(MD5(id), 8)), amount = amount + 1 WHERE id > ? AND id <= ? AND MOD(id, 10) = 7", p.size.pastBilling)
	}
	if err == nil {
		err = change("UPDATE orders SET state = 'sent', total = total + 0.5 WHERE id > ? AND id <= ? AND MOD(id, 50) = 9", orders)
	}
	return n, err
}

// gtid is the server's newest transaction.
func (s *shop) gtid(ctx context.Context) (id string, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_binlog_pos").Scan(&id)
	if err == nil && (id == "" || strings.Contains(id, ",")) {
		err = fmt.Errorf("the server's position is %q", id)
	}
	return id, err
}
