package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// size is how much data is made.
type size struct {
	name     string
	billing  int // rows of each table
	clients  int
	orders   int
	lines    int
	batch    int   // rows of one INSERT
	txs      int   // real transactions of the log of small ones
	oltp     int64 // bytes to which their events are repeated
	poolSize string
	disk     int64 // bytes that are needed at the most

	pastBilling int // rows of the shop whose past is kept
	pastClients int
	pastOrders  int
	pastLines   int
	pastPool    string
	writeRows   int           // of each of sysbench's tables
	writeFor    time.Duration // how long it writes at a time
}

// full makes 5 million rows: about 1.2 GB of binlog, and as much again of small transactions.
// The shop whose past is kept has 2.5 GB, one percent of it in billing.
var full = size{
	name: "full", billing: 1_000_000, clients: 500_000, orders: 1_500_000, lines: 2_000_000,
	batch: 50_000, txs: 20_000, oltp: 1_050_000_000, poolSize: "1G", disk: 25_000_000_000,
	pastBilling: 100_000, pastClients: 1_000_000, pastOrders: 3_000_000, pastLines: 5_000_000, pastPool: "4G",
	writeRows: 100_000, writeFor: 30 * time.Second,
}

var tenth = size{
	name: "quick", billing: 100_000, clients: 50_000, orders: 150_000, lines: 200_000,
	batch: 50_000, txs: 2_000, oltp: 105_000_000, poolSize: "256M", disk: 5_000_000_000,
	pastBilling: 10_000, pastClients: 100_000, pastOrders: 300_000, pastLines: 500_000, pastPool: "512M",
	writeRows: 20_000, writeFor: 8 * time.Second,
}

// schemaSQL is the shop. Its rows are made from their number alone, so every server gets the
// same ones.
const schemaSQL = `
CREATE TABLE clients (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL,
  city VARCHAR(60), joined_at DATETIME NOT NULL, notes VARCHAR(200), KEY email (email)
) DEFAULT CHARSET=utf8mb4;
CREATE TABLE orders (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, client_id BIGINT UNSIGNED NOT NULL, total DECIMAL(12,2) NOT NULL,
  state ENUM('new','paid','packed','sent','back') NOT NULL, address VARCHAR(160) NOT NULL, remark VARCHAR(160) NOT NULL,
  placed_at DATETIME(6) NOT NULL, KEY client (client_id)
) DEFAULT CHARSET=utf8mb4;
CREATE TABLE order_lines (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, order_id BIGINT UNSIGNED NOT NULL, sku VARCHAR(40) NOT NULL,
  n INT UNSIGNED NOT NULL, price DECIMAL(10,2) NOT NULL, title VARCHAR(160) NOT NULL, KEY ord (order_id)
) DEFAULT CHARSET=utf8mb4;
CREATE TABLE billing (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, client_id BIGINT UNSIGNED NOT NULL,
  invoice VARCHAR(24) NOT NULL, amount DECIMAL(12,2) NOT NULL, tax DECIMAL(8,4) NOT NULL,
  state ENUM('open','sent','paid','void') NOT NULL, flags SET('export','reverse','reminded','manual') NOT NULL,
  details JSON NOT NULL, note VARCHAR(120), due_at DATETIME(6) NOT NULL, paid_at DATETIME(6),
  KEY client (client_id), KEY due (state, due_at)
) DEFAULT CHARSET=utf8mb4`

const (
	clientsSQL = `INSERT INTO clients SELECT seq, CONCAT('Client ', seq, ' ', MD5(seq)), CONCAT('c', seq, '@', LEFT(MD5(seq*7), 12), '.example.com'),
 ELT(1+seq%5, 'Berlin', 'Zürich', 'Praha', 'İstanbul', '東京'), '2020-01-01' + INTERVAL seq%200000 MINUTE, REPEAT(MD5(seq*3), 2) FROM `
	ordersSQL = `INSERT INTO orders SELECT seq, 1+CRC32(seq)%500000, CRC32(seq*11)%1000000/100, 1+seq%5,
 CONCAT(MD5(seq), ' street ', seq%977, ', ', MD5(seq*5)), CONCAT('Please ring ', REPEAT(MD5(seq*23), 2), ' twice'), '2024-01-01' + INTERVAL seq SECOND FROM `
	linesSQL = `INSERT INTO order_lines SELECT seq, 1+seq DIV 2, CONCAT('SKU-', LEFT(MD5(seq%5000), 20)), 1+seq%7, CRC32(seq)%100000/100,
 CONCAT('Item ', MD5(seq%5000), ' of order ', seq, ' ', REPEAT(MD5(seq), 3)) FROM `
	billingSQL = `INSERT INTO billing SELECT seq, 1+CRC32(seq)%500000, CONCAT('INV-', LPAD(seq, 12, '0')), CRC32(seq*13)%10000000/100, CRC32(seq*17)%250000/10000,
 1+seq%4, seq%16, JSON_OBJECT('order', seq*3, 'method', ELT(1+seq%3, 'card', 'sepa', 'invoice'), 'ref', MD5(seq)),
 IF(seq%5=0, NULL, CONCAT('Rechnung für ', LEFT(MD5(seq*19), 24), ' – danke')), '2025-01-01' + INTERVAL seq*1000003 MICROSECOND,
 IF(seq%4=2, '2025-02-01' + INTERVAL seq*999983 MICROSECOND, NULL) FROM `
)

// execAll runs statements that stand between semicolons.
func execAll(ctx context.Context, db *sql.DB, script string) error {
	for stmt := range strings.SplitSeq(script, ";") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("run %.60q: %w", strings.TrimSpace(stmt), err)
		}
	}
	return nil
}

// fill inserts rows 1 to n by insert, batch rows a transaction.
func fill(ctx context.Context, db *sql.DB, insert string, n, batch int) error {
	for from := 1; from <= n; from += batch {
		to := min(from+batch-1, n)
		if _, err := db.ExecContext(ctx, fmt.Sprintf("%sseq_%d_to_%d", insert, from, to)); err != nil {
			return fmt.Errorf("fill table: %w", err)
		}
	}
	return nil
}

// fillAll fills all four tables.
func (s size) fillAll(ctx context.Context, db *sql.DB) error {
	for _, t := range []struct {
		insert string
		n      int
	}{{clientsSQL, s.clients}, {ordersSQL, s.orders}, {linesSQL, s.lines}, {billingSQL, s.billing}} {
		if err := fill(ctx, db, t.insert, t.n, s.batch); err != nil {
			return err
		}
	}
	return nil
}
