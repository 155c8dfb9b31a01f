package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of shop.db

	"github.com/lull-ops/lull/db/mysql/server"
)

// stopTimeout bounds how long a server may take to go away.
const stopTimeout = 30 * time.Second

// shop is a private server with the shop's schema, and a connection as root.
type shop struct {
	*server.Server
	db *sql.DB
}

// startServer starts an empty server below the working folder, with these flags besides.
func (b *bench) startServer(ctx context.Context, args ...string) (*shop, error) {
	srv, err := server.Start(ctx, server.Options{Dir: b.work, Args: append([]string{
		"--innodb-buffer-pool-size=" + b.size.poolSize, "--innodb-log-file-size=512M",
		"--max-binlog-size=1G", "--local-infile=ON", "--max-allowed-packet=16M",
	}, args...)})
	if err != nil {
		return nil, err
	}
	if srv.Flavor() != "mariadb" {
		return nil, errors.Join(errors.New("the benchmark needs a MariaDB server: its rows come from SEQUENCE tables"), stop(srv))
	}
	s := &shop{Server: srv}
	err = s.open(ctx, "")
	if err == nil {
		err = execAll(ctx, s.db, "CREATE DATABASE shop")
		err = errors.Join(err, s.db.Close())
	}
	if err == nil {
		err = s.open(ctx, "shop")
	}
	if err != nil {
		return nil, errors.Join(err, stop(srv))
	}
	return s, nil
}

// startShop starts a server with the shop's empty tables.
func (b *bench) startShop(ctx context.Context) (*shop, error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return nil, err
	}
	if err := execAll(ctx, s.db, schemaSQL); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *shop) open(ctx context.Context, database string) (err error) {
	if s.db, err = sql.Open("mysql", s.RootDSN(database)); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return s.db.PingContext(ctx)
}

func (s *shop) stop() error { return errors.Join(s.db.Close(), stop(s.Server)) }

func stop(srv *server.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return srv.Stop(ctx)
}

// spot is a place in the server's binlogs.
type spot struct {
	File string `json:"file"`
	Pos  int64  `json:"pos"`
}

func (s *shop) spot(ctx context.Context) (p spot, err error) {
	var ignored sql.RawBytes
	rows, err := s.db.QueryContext(ctx, "SHOW MASTER STATUS")
	if err != nil {
		return p, fmt.Errorf("read position: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	if !rows.Next() {
		return p, errors.Join(errors.New("read position: the server writes no binlog"), rows.Err())
	}
	return p, rows.Scan(&p.File, &p.Pos, &ignored, &ignored)
}

// checksum is the server's own checksum over all rows of a table, whatever their order.
func (s *shop) checksum(ctx context.Context, table string) (sum int64, err error) {
	var name string
	err = s.db.QueryRowContext(ctx, "CHECKSUM TABLE "+table+" EXTENDED").Scan(&name, &sum)
	if err != nil {
		return 0, fmt.Errorf("checksum %s: %w", table, err)
	}
	return sum, nil
}

// accident empties billing.
func (s *shop) accident(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM billing"); err != nil {
		return fmt.Errorf("delete from billing: %w", err)
	}
	return nil
}

// settleFor bounds how long the server may clean up.
const settleFor = 2 * time.Minute

// settle waits until the server has purged what the accident left behind, as it has by the
// time somebody finds out: the next measurement is not to pay for it.
func (s *shop) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	return execAll(ctx, s.db, "SET GLOBAL innodb_max_purge_lag_wait = 0")
}

// ticks is how many units of CPU time Linux counts in a second.
const ticks = 100

func (s *shop) pid() (string, error) {
	pid, err := os.ReadFile(filepath.Join(filepath.Dir(s.DataDir()), "mysqld.pid"))
	return strings.TrimSpace(string(pid)), err
}

// cpu is the CPU seconds that the server has used, 0 where the system does not tell.
func (s *shop) cpu() float64 {
	pid, err := s.pid()
	if err != nil {
		return 0
	}
	return processCPU(pid)
}

// processCPU is the CPU seconds that a running process has used.
func processCPU(pid string) float64 {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (user + system) / ticks
}
