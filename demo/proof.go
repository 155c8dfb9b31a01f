package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// proof is a copy of billing, made by the server itself in the moment before the accident, and
// hidden from the binlog. The undo knows nothing of it: it is for comparing afterwards.
type proof struct {
	db   *sql.DB
	cols []string // of billing, without generated ones
	rows int64
}

// Bills that a colleague puts back by hand between the accident and the undo.
const (
	sameID  = 7 // as it was
	otherID = 8 // with another amount
)

func takeProof(ctx context.Context, db *sql.DB) (*proof, error) {
	p := &proof{db: db}
	rows, err := db.QueryContext(ctx, `SELECT column_name FROM information_schema.columns
 WHERE table_schema = 'shop' AND table_name = 'billing' AND is_generated = 'NEVER' ORDER BY ordinal_position`)
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read columns: %w", err)
		}
		p.cols = append(p.cols, name)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	if err := p.quietly(ctx, "CREATE DATABASE proof", "CREATE TABLE proof.before_it LIKE shop.billing", p.copy("before_it", "shop.billing")); err != nil {
		return nil, err
	}
	return p, db.QueryRowContext(ctx, "SELECT COUNT(*) FROM proof.before_it").Scan(&p.rows)
}

// copy is the statement that copies billing rows as they are.
func (p *proof) copy(to, from string) string {
	cols := strings.Join(p.cols, ", ")
	return "INSERT INTO proof." + to + " (" + cols + ") SELECT " + cols + " FROM " + from
}

// quietly runs statements that do not go to the binlog.
func (p *proof) quietly(ctx context.Context, stmts ...string) error {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, stmt := range append([]string{"SET sql_log_bin = 0"}, stmts...) {
		if _, err := conn.ExecContext(ctx, stmt); err != nil {
			return fmt.Errorf("run %.60q: %w", stmt, err)
		}
	}
	_, err = conn.ExecContext(ctx, "SET sql_log_bin = 1")
	return err
}

// byHand puts two bills back as a colleague would who has an old export.
func (p *proof) byHand(ctx context.Context) error {
	cols := strings.Join(p.cols, ", ")
	_, err := p.db.ExecContext(ctx, fmt.Sprintf("INSERT INTO shop.billing (%s) SELECT %s FROM proof.before_it WHERE id IN (%d, %d)", cols, cols, sameID, otherID))
	if err == nil {
		_, err = p.db.ExecContext(ctx, fmt.Sprintf("UPDATE shop.billing SET amount = 1.00, note = 'typed in by hand' WHERE id = %d", otherID))
	}
	if err != nil {
		return fmt.Errorf("put rows back by hand: %w", err)
	}
	return nil
}

// sums are the checksums of the rows before the accident and of the same rows now, without
// the one that was put back by hand and differs.
func (p *proof) sums(ctx context.Context) (before, now int64, err error) {
	err = p.quietly(ctx, "DROP TABLE IF EXISTS proof.compared, proof.now",
		"CREATE TABLE proof.compared LIKE proof.before_it", fmt.Sprintf("%s WHERE id <> %d", p.copy("compared", "proof.before_it"), otherID),
		"CREATE TABLE proof.now LIKE proof.before_it",
		fmt.Sprintf("%s WHERE id <> %d AND id IN (SELECT id FROM proof.before_it)", p.copy("now", "shop.billing"), otherID))
	if err != nil {
		return 0, 0, err
	}
	rows, err := p.db.QueryContext(ctx, "CHECKSUM TABLE proof.compared, proof.now EXTENDED")
	if err != nil {
		return 0, 0, fmt.Errorf("checksum: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	var name string
	for _, sum := range []*int64{&before, &now} {
		if !rows.Next() {
			return 0, 0, errors.Join(errors.New("checksum: a table is missing"), rows.Err())
		}
		if err := rows.Scan(&name, sum); err != nil {
			return 0, 0, fmt.Errorf("checksum: %w", err)
		}
	}
	return before, now, rows.Err()
}

// wrong counts the bills of before that are missing now, or differ in a byte of any column,
// but for the one that was put back by hand.
func (p *proof) wrong(ctx context.Context) (missing, differ int64, err error) {
	var same []string
	for _, c := range p.cols {
		same = append(same, fmt.Sprintf("BINARY b.%s <=> BINARY n.%s", c, c))
	}
	query := fmt.Sprintf(`SELECT COALESCE(SUM(n.id IS NULL), 0), COALESCE(SUM(n.id IS NOT NULL AND NOT (%s)), 0)
 FROM proof.before_it b LEFT JOIN shop.billing n ON n.id = b.id WHERE b.id <> %d`, strings.Join(same, " AND "), otherID)
	if err := p.db.QueryRowContext(ctx, query).Scan(&missing, &differ); err != nil {
		return 0, 0, fmt.Errorf("compare rows: %w", err)
	}
	return missing, differ, nil
}

// lost counts the bills written by visitors that are not there as they were saved.
func (p *proof) lost(ctx context.Context, bills []bill) (n int, err error) {
	for _, b := range bills {
		var found int
		err := p.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM shop.billing WHERE id = ? AND invoice = ? AND amount = ? AND state = ?",
			b.id, b.invoice, b.amount, b.state).Scan(&found)
		if err != nil {
			return 0, fmt.Errorf("look for bill %s: %w", b.invoice, err)
		}
		n += 1 - found
	}
	return n, nil
}

// count is one number from the shop.
func (p *proof) count(ctx context.Context, query string) (n int64, err error) {
	if err := p.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return n, nil
}
