package mysql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// got is one file of a Dump.
type got struct {
	name  string
	start int64
	size  int64
	sum   [32]byte
}

// dumpAll reads a stream to its end, in reads of a size that fits nothing.
func dumpAll(t testing.TB, c *Conn, file string, pos int64) (out []got, err error) {
	t.Helper()
	d, err := c.Dump(t.Context(), file, pos)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	buf := make([]byte, 77777)
	for {
		name, start, r, err := d.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		h := sha256.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{h}, r, buf)
		if err != nil {
			return out, err
		}
		out = append(out, got{name, start, n, [32]byte(h.Sum(nil))})
	}
}

// onDisk is what the file holds without its magic bytes, and its size.
func onDisk(t testing.TB, srv *server.Server, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(srv.BinlogDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return b[magicSize:]
}

// closeFile ends the current log, so that its file does not change any more.
func closeFile(t testing.TB, c *Conn) (closed string) {
	t.Helper()
	p, err := c.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.DB, "FLUSH BINARY LOGS")
	return p.File
}

// TestDumpIsTheFile compares the stream with the files, with events of 17 and 40 MB.
func TestDumpIsTheFile(t *testing.T) {
	for _, srv := range servertest.All(t, "--max-allowed-packet=256M", "--loose-binlog-row-event-max-size=64M") {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			_, schema := servertest.DB(t, srv)
			c := dial(t, srv, schema)
			run(t, c.DB, "CREATE TABLE big (id int PRIMARY KEY, b longblob) ENGINE=MyISAM")
			first := closeFile(t, c)
			run(t, c.DB, "INSERT INTO big VALUES (1, REPEAT('a', 17 << 20));\nINSERT INTO big VALUES (2, REPEAT('b', 40 << 20));\nINSERT INTO big VALUES (3, 'small')")
			run(t, c.DB, fmt.Sprintf("INSERT INTO big VALUES (4, REPEAT('c', %d))", exactPacketBlob))
			second := closeFile(t, c)
			p, err := c.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			files, err := dumpAll(t, c, first, magicSize)
			if err != nil || len(files) != 3 {
				t.Fatalf("%d files: %v", len(files), err)
			}
			for i, name := range []string{first, second} {
				disk := onDisk(t, srv, name)
				if files[i].name != name || files[i].size != int64(len(disk)) || files[i].sum != sha256.Sum256(disk) {
					t.Errorf("%s: %d bytes of %s are not the file's %d", name, files[i].size, files[i].name, len(disk))
				}
				if want := magicSize + int64(binary.LittleEndian.Uint32(disk[9:])); files[i].start != want {
					t.Errorf("%s: starts at %d, want %d", name, files[i].start, want)
				}
			}
			after, err := c.Position(t.Context()) // MariaDB writes a checkpoint in the background
			if err != nil {
				t.Fatal(err)
			}
			if end := files[2].size + magicSize; files[2].name != p.File || end < p.Offset || end > after.Offset {
				t.Errorf("the last file is %s up to %d, want %s up to %d or %d", files[2].name, end, p.File, p.Offset, after.Offset)
			}
		})
	}
}

// exactPacketBlob makes an event end near the end of a packet; TestStreamFraming hits it exactly.
const exactPacketBlob = maxPacket - 100

func TestDumpFromInside(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE x (id int PRIMARY KEY)")
		p, err := c.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		run(t, c.DB, "INSERT INTO x VALUES (1);\nINSERT INTO x VALUES (2)")
		name := closeFile(t, c)
		disk := onDisk(t, srv, name)
		d, err := c.Dump(t.Context(), name, p.Offset)
		if err != nil {
			t.Fatal(err)
		}
		file, start, r, err := d.Next()
		if err != nil || file != name || start != p.Offset {
			t.Fatalf("%s: %s from %d, want %s from %d: %v", c.Flavor, file, start, name, p.Offset, err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		size := binary.LittleEndian.Uint32(b[9:])
		if b[4] != eventFormat || !bytes.Equal(b[size:], disk[start-magicSize:]) {
			t.Errorf("%s: %d bytes after the format event are not the file's last %d", c.Flavor, len(b)-int(size), int64(len(disk))-start+magicSize)
		}
		_ = d.Close()
		// At the end of the last file there is nothing left.
		end, err := c.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		files, err := dumpAll(t, c, end.File, end.Offset)
		if err != nil || len(files) != 1 || files[0].start != end.Offset || files[0].size > 400 {
			t.Errorf("%s: from the end: %+v, %v", c.Flavor, files, err)
		}
	}
}

func TestDumpSkipsUnreadFiles(t *testing.T) {
	srv := servertest.MariaDB(t)
	c := dial(t, srv, "")
	first := closeFile(t, c)
	second := closeFile(t, c)
	d, err := c.Dump(t.Context(), first, magicSize)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	if name, _, _, err := d.Next(); err != nil || name != second {
		t.Errorf("%s, want %s: %v", name, second, err)
	}
}

func TestDumpErrors(t *testing.T) {
	for _, srv := range servertest.All(t, "--max-binlog-size=1G") { // servers of its own: it purges logs
		root, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		closeFile(t, c)
		last := closeFile(t, c)
		purged := firstFile(t, c)
		p, err := c.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for firstFile(t, c) == purged { // MariaDB keeps a file until its checkpoint is written
			run(t, c.DB, "PURGE BINARY LOGS TO '"+last+"'")
		}
		weak := dialURL(t, user(t, srv, root, schema, "nodump", "IDENTIFIED BY 'pw'", "SELECT ON "+schema+".*"))
		for _, x := range []struct {
			c    *Conn
			file string
			pos  int64
			kind lull.Kind
			want string
			hint string
		}{
			{c, purged, magicSize, lull.Failed, "the server has it no more", "SHOW BINARY LOGS"},
			{c, "no-such-log.000001", magicSize, lull.Failed, "the server has it no more", "SHOW BINARY LOGS"},
			{c, p.File, p.Offset + 100000, lull.Usage, "no event starts there", "offset of an event"},
			{weak, p.File, magicSize, lull.Usage, "privilege", "GRANT REPLICATION SLAVE ON *.* TO 'nodump'@'127.0.0.1'"},
		} {
			_, err := dumpAll(t, x.c, x.file, x.pos)
			if lull.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.want) || !strings.Contains(lull.HintOf(err), x.hint) {
				t.Errorf("%s %s: %s at %d: kind %d: %v; hint %s", c.Flavor, c.Version, x.file, x.pos, lull.KindOf(err), err, lull.HintOf(err))
			}
		}
		if _, err := weak.Binlogs(t.Context()); lull.KindOf(err) != lull.Usage || !strings.Contains(lull.HintOf(err), "GRANT "+weak.monitorPrivilege()+" ON *.*") {
			t.Errorf("%s: list without the privilege: %v; hint %s", c.Flavor, err, lull.HintOf(err))
		}
	}
}

func TestBinlogOff(t *testing.T) {
	srv := servertest.MariaDB(t, "--skip-log-bin")
	c := dial(t, srv, "")
	_, listErr := c.Binlogs(t.Context())
	_, posErr := c.Position(t.Context())
	_, dumpErr := dumpAll(t, c, "x", magicSize)
	for _, err := range []error{listErr, posErr, dumpErr} {
		if lull.KindOf(err) != lull.Usage || !strings.Contains(lull.HintOf(err), "log_bin") {
			t.Errorf("kind %d: %v; hint %s", lull.KindOf(err), err, lull.HintOf(err))
		}
	}
}

func TestDumpEncrypted(t *testing.T) {
	dir, err := os.MkdirTemp("", "lull-keys-") //nolint:usetesting // the server, another user, must get in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	writeFile(t, dir+"/keys", "1;"+strings.Repeat("ab", 32)+"\n")
	srv := servertest.MariaDB(t, "--plugin-load-add=file_key_management", "--file-key-management-filename="+dir+"/keys", "--encrypt-binlog=ON")
	_, schema := servertest.DB(t, srv)
	c := dial(t, srv, schema)
	run(t, c.DB, "CREATE TABLE x (id int)")
	p, err := c.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Dump(t.Context(), p.File, magicSize)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, start, r, err := d.Next()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	format := int64(binary.LittleEndian.Uint32(b[9:]))
	if !bytes.Contains(b, []byte("CREATE TABLE x")) || start+int64(len(b))-format != p.Offset {
		t.Errorf("%d bytes from %d do not end at %d", int64(len(b))-format, start, p.Offset)
	}
}

// TestDumpCancel cancels a stream of which no buffer can hold the rest.
func TestDumpCancel(t *testing.T) {
	srv := servertest.MariaDB(t, "--max-allowed-packet=256M")
	_, schema := servertest.DB(t, srv)
	c := dial(t, srv, schema)
	run(t, c.DB, "CREATE TABLE big (b longblob) ENGINE=MyISAM")
	name := closeFile(t, c)
	run(t, c.DB, strings.Repeat("INSERT INTO big VALUES (REPEAT('x', 50 << 20));\n", 2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d, err := c.Dump(ctx, name, magicSize)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, _, err = d.Next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		var r io.Reader
		if _, _, r, err = d.Next(); err == nil {
			_, err = io.Copy(io.Discard, r)
		}
	}
	if !errors.Is(err, context.Canceled) || lull.KindOf(err) != lull.Interrupted {
		t.Error(err)
	}
	if _, err := c.Dump(ctx, "x", magicSize); !errors.Is(err, context.Canceled) {
		t.Errorf("a new stream: %v", err)
	}
}

// TestDumpMemory streams 200 MB in events of 50 MB.
func TestDumpMemory(t *testing.T) {
	srv := servertest.MariaDB(t, "--max-allowed-packet=256M")
	_, schema := servertest.DB(t, srv)
	c := dial(t, srv, schema)
	run(t, c.DB, "CREATE TABLE big (b longblob) ENGINE=MyISAM")
	name := closeFile(t, c)
	run(t, c.DB, strings.Repeat("INSERT INTO big VALUES (REPEAT('x', 50 << 20));\n", 4))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files, err := dumpAll(t, c, name, magicSize)
	runtime.ReadMemStats(&after)
	if err != nil || len(files) != 2 || files[1].size < 200<<20 {
		t.Fatalf("%+v: %v", files, err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated for a stream of %d", n, files[1].size)
	}
	run(t, c.DB, "PURGE BINARY LOGS TO '"+closeFile(t, c)+"'")
}

func TestFirstTimestamp(t *testing.T) {
	for _, srv := range servertest.All(t) {
		c := dial(t, srv, "")
		var before, after int64
		now := func(p *int64) {
			if err := c.DB.QueryRowContext(t.Context(), "SELECT UNIX_TIMESTAMP()").Scan(p); err != nil {
				t.Fatal(err)
			}
		}
		now(&before)
		closeFile(t, c)
		p, err := c.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now(&after)
		at, err := c.FirstTimestamp(t.Context(), p.File)
		if err != nil || at.Unix() < before || at.Unix() > after {
			t.Errorf("%s: %s is not between %d and %d: %v", c.Flavor, at, before, after, err)
		}
	}
}

func TestPosition(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE x (id int)")
		p, err := c.Position(t.Context())
		if err != nil || p.Offset <= magicSize || p.File == "" || c.Flavor == MariaDB && !strings.HasPrefix(p.GTID, "0-1-") {
			t.Errorf("%s: %+v, %v", c.Flavor, p, err)
		}
		files, err := c.Binlogs(t.Context())
		if err != nil || files[len(files)-1].Name != p.File || files[len(files)-1].Size != p.Offset {
			t.Errorf("%s: %+v does not end at %+v: %v", c.Flavor, files, p, err)
		}
	}
}

// TestSocket guards what socket needs of the driver.
func TestSocket(t *testing.T) {
	srv := servertest.MariaDB(t)
	c := dial(t, srv, "")
	conn, err := c.dumper.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := socket(conn)
	if err != nil || nc.RemoteAddr().String() != srv.Addr() {
		t.Fatalf("the driver's connection: %v", err)
	}
	_ = conn.Close()
	if _, err := socket(otherConn{}); err == nil {
		t.Error("a connection of another driver gave a socket")
	}
	if f, ok := reflect.TypeOf(conn).Elem().FieldByName("compress"); !ok || f.Type.Kind() != reflect.Bool {
		t.Error("the driver's compression moved: is the socket's stream still plain?")
	}
	if reflect.TypeOf(conn).Elem().PkgPath() != reflect.TypeFor[driverpkg.Config]().PkgPath() {
		t.Error("the connection is not the driver's")
	}
}

type otherConn struct{ driver.Conn }
