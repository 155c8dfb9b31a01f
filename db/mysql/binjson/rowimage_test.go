package binjson_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

// image is one row of the table (id INT, j JSON NOT NULL) in a binlog.
type image struct {
	id            uint32
	before, after []byte // nil where the event has none
	partial       bool   // after is a list of diffs
}

// bench is a session on a MySQL server and the table whose row images it reads.
type bench struct {
	t    testing.TB
	srv  *server.Server
	conn *sql.Conn
}

func newBench(t testing.TB, srv *server.Server) *bench {
	db, _ := servertest.DB(t, srv)
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	b := &bench{t: t, srv: srv, conn: conn}
	for _, q := range []string{
		"SET NAMES binary", "SET sql_mode='', time_zone='+00:00', binlog_rows_query_log_events=OFF",
		"CREATE TABLE docs (id INT PRIMARY KEY, j JSON NOT NULL)",
		"CREATE TABLE src (id INT PRIMARY KEY, d DECIMAL(20,6), ts TIMESTAMP(3) NULL, b8 BIT(13), bl BLOB, bi BINARY(5))",
		"INSERT INTO src VALUES (1, 7.5, '2024-02-03 04:05:06.789', 5000, x'00ff10', x'0102')",
	} {
		b.exec(q)
	}
	return b
}

func (b *bench) exec(q string) {
	b.t.Helper()
	if _, err := b.conn.ExecContext(context.Background(), q); err != nil {
		b.t.Fatalf("%v in %.600s", err, q)
	}
}

// text is the document of one row as the server prints it.
func (b *bench) text(id int) string {
	b.t.Helper()
	var s string
	if err := b.conn.QueryRowContext(context.Background(), "SELECT j FROM docs WHERE id = ?", id).Scan(&s); err != nil {
		b.t.Fatalf("row %d: %v", id, err)
	}
	return s
}

// record runs the statements and returns the row images that they logged.
func (b *bench) record(do func()) []image {
	b.t.Helper()
	b.exec("FLUSH BINARY LOGS")
	do()
	var file string
	rest := make([]any, 4)
	for i := range rest {
		rest[i] = new(sql.RawBytes)
	}
	rows, err := b.conn.QueryContext(context.Background(), "SHOW BINARY LOG STATUS") //nolint:rowserrcheck // one row is read
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		b.t.Fatal("binlog is off")
	}
	if err := rows.Scan(append([]any{&file}, rest...)...); err != nil {
		b.t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(b.srv.BinlogDir(), filepath.Base(file)))
	if err != nil {
		b.t.Fatal(err)
	}
	images, err := parseLog(log)
	if err != nil {
		b.t.Fatal(err)
	}
	return images
}

// parseLog reads the row events of a binlog that holds nothing but the docs table's rows.
func parseLog(log []byte) (images []image, err error) {
	for at := 4; at+19 <= len(log); {
		typ, size := log[at+4], int(binary.LittleEndian.Uint32(log[at+9:]))
		if size < 23 || at+size > len(log) {
			return nil, fmt.Errorf("event at %d: size %d", at, size)
		}
		if body := log[at+19 : at+size-4]; typ == 30 || typ == 31 || typ == 39 {
			if images, err = parseRows(images, typ, body); err != nil {
				return nil, fmt.Errorf("event at %d: %w", at, err)
			}
		}
		at += size
	}
	return images, nil
}

func parseRows(images []image, typ byte, b []byte) ([]image, error) {
	b = b[8:]
	b = b[binary.LittleEndian.Uint16(b):] // extra data, its length included
	if b[0] != 2 {
		return nil, fmt.Errorf("%d columns", b[0])
	}
	if b = b[2:]; typ != 30 {
		b = b[1:] // the after-image's column bitmap
	}
	for len(b) > 0 {
		var im image
		var first []byte
		im.id, first, b = parseRow(b)
		if typ == 30 {
			im.after = first
		} else {
			im.before = first
			if typ == 39 {
				options := b[0]
				if b = b[1:]; options == 1 {
					im.partial, b = b[0]&1 == 1, b[1:]
				}
			}
			im.id, im.after, b = parseRow(b)
		}
		images = append(images, im)
	}
	return images, nil
}

func parseRow(b []byte) (id uint32, doc, rest []byte) {
	id = binary.LittleEndian.Uint32(b[1:]) // after the NULL bitmap
	n := binary.LittleEndian.Uint32(b[5:])
	return id, b[9 : 9+n], b[9+n:]
}
