package main

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// shopSQL makes the shop. billing, which gets lost, has most sorts of columns.
const shopSQL = `
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE customers (
  id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(120) NOT NULL UNIQUE,
  visits INT UNSIGNED NOT NULL DEFAULT 0, seen_at TIMESTAMP(3) NULL);
CREATE TABLE orders (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer_id INT UNSIGNED NOT NULL,
  placed_at DATETIME(6) NOT NULL, FOREIGN KEY (customer_id) REFERENCES customers (id));
CREATE TABLE order_lines (
  order_id BIGINT UNSIGNED NOT NULL, n TINYINT UNSIGNED NOT NULL, sku VARCHAR(32) NOT NULL, pieces INT NOT NULL,
  PRIMARY KEY (order_id, n), FOREIGN KEY (order_id) REFERENCES orders (id));
CREATE TABLE stock (sku VARCHAR(32) PRIMARY KEY, pieces INT NOT NULL, changed_at DATETIME NULL);
CREATE TABLE billing (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer_id INT UNSIGNED NOT NULL, invoice CHAR(14) NOT NULL UNIQUE,
  amount DECIMAL(12,2) NOT NULL, discount DOUBLE, rate FLOAT, state ENUM('open','sent','paid','void') NOT NULL,
  flags SET('export','reverse','reminded') NOT NULL, details JSON, note VARCHAR(160), vat_id VARCHAR(20) CHARACTER SET latin1,
  token BINARY(16), scan BLOB, locked BIT(3), days TIME(3), fiscal YEAR, due DATE, sent_at DATETIME(6), paid_at TIMESTAMP(6) NULL,
  gross DECIMAL(14,4) AS (amount * 1.19) STORED, KEY (state, due), FOREIGN KEY (customer_id) REFERENCES customers (id));
INSERT INTO customers (name, email) SELECT CONCAT(ELT(1+seq%6,'Zoë','Jürgen','Łukasz','Aïcha','Ødegård','李'), ' ', seq), CONCAT('c', seq, '@example.com') FROM seq_1_to_1000;
INSERT INTO stock SELECT CONCAT('sku-', seq), 100000, NULL FROM seq_1_to_200;
CREATE USER ops@'127.0.0.1' IDENTIFIED BY 'demo';
GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ops@'127.0.0.1';
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO ops@'127.0.0.1'`

// billingSQL fills billing: with NULLs, negative times, zero bytes, quotes and emoji.
const billingSQL = `INSERT INTO billing (customer_id, invoice, amount, discount, rate, state, flags, details, note, vat_id, token, scan,
 locked, days, fiscal, due, sent_at, paid_at)
SELECT 1+seq%1000, CONCAT('INV-', LPAD(seq, 10, '0')), CRC32(seq)%1000000/100, IF(seq%3=0, NULL, SQRT(seq)), RAND(seq), 1+seq%4, seq%8,
 JSON_OBJECT('order', seq, 'lines', JSON_ARRAY(seq%7, 'a"b')), ELT(1+seq%5, NULL, '', 'O''Hara''s "gift" \\ wrapped', 'danke 😀', CONCAT('Nr. ', MD5(seq))),
 IF(seq%4=0, NULL, CONCAT('DE£', seq)), UNHEX(MD5(seq)), IF(seq%6=0, NULL, CONCAT(CHAR(0), UNHEX(SHA1(seq)))), seq%8, SEC_TO_TIME(CAST(seq%50000 AS SIGNED)-20000),
 2000+seq%25, '2024-01-01' + INTERVAL seq%700 DAY, '2024-01-01' + INTERVAL seq*1000003 MICROSECOND,
 IF(seq%4=2, '2024-06-01 12:00:00' + INTERVAL seq*999983 MICROSECOND, NULL) FROM seq_1_to_`

// build makes the shop, with rows in billing.
func build(ctx context.Context, db *sql.DB, rows int) error {
	conn, err := db.Conn(ctx) // USE holds for one connection
	if err != nil {
		return err
	}
	defer conn.Close()
	for stmt := range strings.SplitSeq(shopSQL, ";\n") {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("build shop: %.60q: %w", strings.TrimSpace(stmt), err)
		}
	}
	if _, err := conn.ExecContext(ctx, billingSQL+strconv.Itoa(rows)); err != nil {
		return fmt.Errorf("fill billing: %w", err)
	}
	return nil
}
