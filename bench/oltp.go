package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

const oltpSchemaSQL = `
CREATE TABLE accounts (id INT UNSIGNED PRIMARY KEY, owner VARCHAR(100) NOT NULL, email VARCHAR(120) NOT NULL,
  balance DECIMAL(12,2) NOT NULL, touched TIMESTAMP(3) NULL, n INT NOT NULL);
CREATE TABLE payments (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, account INT UNSIGNED NOT NULL, amount DECIMAL(12,2) NOT NULL,
  state ENUM('new','done') NOT NULL, reference VARCHAR(120), at DATETIME(6) NOT NULL);
INSERT INTO accounts SELECT seq, CONCAT('Owner ', MD5(seq), ' ', MD5(seq*5)), CONCAT(MD5(seq*3), '.', MD5(seq*7), '@example.com'), 1000, NULL, 0 FROM seq_1_to_10000`

// smallTransactions runs n transactions, each a payment: one row changed, two inserted. With
// the server's defaults that makes eight events of some 140 bytes on average.
func smallTransactions(ctx context.Context, db *sql.DB, n int) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range n {
		account, ref := 1+i*7919%10000, fmt.Sprintf("payment %d of invoice %d-%08x, thank you for buying here", i, 2000+i%25, i*2654435761)
		for _, stmt := range []string{
			"START TRANSACTION",
			fmt.Sprintf("UPDATE accounts SET balance = balance - %d.25, touched = NOW(3), n = n + 1 WHERE id = %d", i%90, account),
			fmt.Sprintf("INSERT INTO payments (account, amount, state, reference, at) VALUES (%d, %d.25, 'new', '%s', NOW(6)), (%d, 0.10, 'done', 'fee', NOW(6))", account, i%90, ref, account),
			"COMMIT",
		} {
			if _, err := conn.ExecContext(ctx, stmt); err != nil {
				return fmt.Errorf("run %.60q: %w", stmt, err)
			}
		}
	}
	return nil
}

// Where things stand in an event.
const (
	typeAt   = 4
	sizeAt   = 9
	logPosAt = 13
	headSize = 19 // in MariaDB's GTID event the sequence number comes next, 8 bytes
	crcSize  = 4
	gtidType = 162
	maxEvent = 1 << 20 // none of the small transactions has a larger one
)

// repeatLog writes the log's first from bytes, a binlog's beginning, and then the events up to
// offset to again and again until the new log is total bytes long. Each copy gets positions,
// GTIDs and checksums of its own, so the log is as valid as one that a server wrote. What is
// repeated must be whole transactions. Memory is that of one event: it would count for the
// programs that are started later.
func repeatLog(out io.Writer, log io.ReaderAt, from, to, total int64) error {
	if from < 0 || from >= to {
		return fmt.Errorf("repeat log: no events between %d and %d", from, to)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	if _, err := io.Copy(w, io.NewSectionReader(log, 0, from)); err != nil {
		return fmt.Errorf("repeat log: %w", err)
	}
	r := repeater{w: w, pos: from, in: bufio.NewReaderSize(nil, 1<<20)}
	for r.pos < total {
		r.in.Reset(io.NewSectionReader(log, from, to-from))
		if err := r.copy(); err != nil {
			return fmt.Errorf("repeat log: %w", err)
		}
	}
	return w.Flush()
}

// repeater copies events.
type repeater struct {
	in    *bufio.Reader
	w     io.Writer
	pos   int64  // how much is written
	seqs  uint64 // GTIDs in all copies before this one
	gtids uint64 // GTIDs so far
	ev    []byte
}

// copy writes one more copy of all events.
func (r *repeater) copy() error {
	r.seqs = r.gtids
	for {
		err := r.event()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// event copies the next event; io.EOF says that there is none.
func (r *repeater) event() error {
	head, err := r.in.Peek(headSize)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("an event is cut off: %w", io.ErrUnexpectedEOF)
	}
	n := int(binary.LittleEndian.Uint32(head[sizeAt:]))
	if n < headSize+crcSize || n > maxEvent {
		return fmt.Errorf("an event of %d bytes", n)
	}
	r.ev = slices.Grow(r.ev[:0], n)[:n]
	if _, err := io.ReadFull(r.in, r.ev); err != nil {
		return fmt.Errorf("an event is cut off: %w", io.ErrUnexpectedEOF)
	}
	if r.ev[typeAt] == gtidType {
		r.gtids++
	}
	r.pos += int64(n)
	move(r.ev, uint32(r.pos), r.seqs)
	_, err = r.w.Write(r.ev)
	return err
}

// move makes ev end at pos, and its GTID one that comes seqs later.
func move(ev []byte, pos uint32, seqs uint64) {
	binary.LittleEndian.PutUint32(ev[logPosAt:], pos)
	if ev[typeAt] == gtidType && len(ev) >= headSize+8+crcSize {
		binary.LittleEndian.PutUint64(ev[headSize:], binary.LittleEndian.Uint64(ev[headSize:])+seqs)
	}
	end := len(ev) - crcSize
	binary.LittleEndian.PutUint32(ev[end:], crc32.ChecksumIEEE(ev[:end]))
}
