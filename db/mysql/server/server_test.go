package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// start starts a server that this test alone uses.
func start(t *testing.T, opt server.Options) *server.Server {
	t.Helper()
	srv, err := server.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = &mysql.NopLogger{} // it would report every connection that a test kills
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func query(t *testing.T, db *sql.DB, q string) (s string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), q).Scan(&s); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return s
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestLife(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		t.Run(b.Series(), func(t *testing.T) {
			dir := t.TempDir()
			srv := start(t, server.Options{Binaries: b, Dir: dir})
			db := open(t, srv.RootDSN(""))
			exec(t, db, "CREATE DATABASE shop")
			exec(t, db, "CREATE TABLE shop.billing (id INT PRIMARY KEY)")
			exec(t, db, "INSERT INTO shop.billing VALUES (1), (2)")

			for q, want := range map[string]string{
				"SELECT LEFT(VERSION(), " + strconv.Itoa(len(b.Version)) + ")": b.Version,
				"SELECT @@GLOBAL.log_bin":                                      "1",
				"SELECT @@GLOBAL.server_id":                                    "1",
				"SELECT @@GLOBAL.sync_binlog":                                  "0",
				"SELECT @@GLOBAL.innodb_flush_log_at_trx_commit":               "2",
				"SELECT @@SESSION.binlog_format":                               "ROW",
				"SELECT COUNT(*) FROM mysql.user WHERE user=''":                "0",
			} {
				if got := query(t, db, q); got != want {
					t.Errorf("%s = %s, want %s", q, got, want)
				}
			}
			log, err := os.ReadFile(filepath.Join(srv.BinlogDir(), "mysql-bin.000001"))
			if err != nil || !bytes.HasPrefix(log, []byte("\xfebin")) || !bytes.Contains(log, []byte("billing")) {
				t.Errorf("first binlog: %d bytes, %v; want the magic and the table", len(log), err)
			}

			srv.Kill()
			if err := db.PingContext(t.Context()); err == nil {
				t.Error("a killed server answered")
			}
			for _, after := range []string{"a kill", "a running server"} {
				if err := srv.Restart(t.Context()); err != nil {
					t.Fatalf("restart after %s: %v", after, err)
				}
				if got := query(t, db, "SELECT COUNT(*) FROM shop.billing"); got != "2" {
					t.Errorf("after the restart of %s: %s rows, want 2", after, got)
				}
			}

			for range 2 {
				if err := srv.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.PingContext(t.Context()); err == nil {
				t.Error("a stopped server answered")
			}
			if left := entries(t, dir); len(left) != 0 {
				t.Errorf("stop left %v", left)
			}
			if err := srv.Restart(t.Context()); err == nil {
				t.Error("a stopped server restarted")
			}
		})
	}
}

func TestArgsWin(t *testing.T) {
	var log bytes.Buffer
	srv := start(t, server.Options{Args: []string{"--server-id=7", "--sync-binlog=1", "--binlog-row-metadata=FULL"}, Log: &log})
	db := open(t, srv.RootDSN("mysql"))
	if got := query(t, db, "SELECT CONCAT_WS(' ', @@server_id, @@sync_binlog, @@binlog_row_metadata, DATABASE())"); got != "7 1 FULL mysql" {
		t.Errorf("got %q", got)
	}
	if want := "mysql://root@" + srv.Addr() + "/shop"; srv.URL("shop") != want {
		t.Errorf("URL = %q, want %q", srv.URL("shop"), want)
	}
	if err := srv.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "ready for connections") {
		t.Errorf("the log was not passed on: %q", log.String())
	}
}

func TestStartFailsCleanly(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, want string
		ctx        context.Context
		opt        server.Options
	}{
		{"unknown flag", "no-such-flag", t.Context(), server.Options{Args: []string{"--no-such-flag"}}},
		{"cancelled", "context canceled", cancelled, server.Options{}},
		{"no daemon", "find mysql_system_tables.sql", t.Context(), server.Options{Binaries: server.Binaries{Flavor: "mariadb", Version: "10.11.1", Daemon: "/nowhere/mariadbd"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opt.Dir = t.TempDir()
			if c.name == "no daemon" {
				c.opt.Cache = t.TempDir()
			}
			srv, err := server.Start(c.ctx, c.opt)
			if err == nil {
				srv.Stop(t.Context())
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if left := entries(t, c.opt.Dir); len(left) != 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func TestLongDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	srv := start(t, server.Options{Dir: dir})
	if n := len(srv.Socket()); n >= 100 {
		t.Errorf("the socket's path has %d bytes: %s", n, srv.Socket())
	}
	if got := query(t, open(t, "root@unix("+srv.Socket()+")/"), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	if err := srv.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(srv.Socket())); !os.IsNotExist(err) {
		t.Errorf("the socket's directory is still there: %v", err)
	}
}

// TestParallelStarts needs one template for all, and as many data directories as servers.
func TestParallelStarts(t *testing.T) {
	cache, dir := t.TempDir(), t.TempDir()
	var wg sync.WaitGroup
	servers := make([]*server.Server, 3)
	for i := range servers {
		wg.Go(func() {
			srv, err := server.Start(t.Context(), server.Options{Dir: dir, Cache: cache})
			if err != nil {
				t.Error(err)
				return
			}
			servers[i] = srv
		})
	}
	wg.Wait()
	for i, srv := range servers {
		if srv == nil {
			continue
		}
		defer srv.Stop(context.Background())
		exec(t, open(t, srv.RootDSN("")), "CREATE DATABASE own"+string(rune('a'+i)))
	}
	var templates []string
	for _, name := range entries(t, cache) {
		if !strings.HasSuffix(name, ".lock") {
			templates = append(templates, name)
		}
	}
	if len(templates) != 1 {
		t.Errorf("templates: %v, want one", templates)
	}
}

func TestTools(t *testing.T) {
	for _, b := range servertest.Trees(t) {
		if b.Flavor != "mariadb" {
			continue
		}
		cmd, err := b.Command(t.Context(), "mariadb-binlog", "--version")
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "mariadb-binlog") {
			t.Errorf("%s: %s, %v", b.Series(), out, err)
		}
		if _, err := b.Command(t.Context(), "no-such-tool"); err == nil {
			t.Errorf("%s: found no-such-tool", b.Series())
		}
	}
}

func TestFindNothing(t *testing.T) {
	if b, err := server.Find(t.TempDir()); err == nil {
		t.Errorf("found %+v in an empty directory", b)
	}
}

// BenchmarkStart is start and stop with a template at hand.
func BenchmarkStart(b *testing.B) {
	for _, bin := range servertest.Trees(b) {
		b.Run(bin.Series(), func(b *testing.B) {
			for b.Loop() {
				srv, err := server.Start(b.Context(), server.Options{Binaries: bin})
				if err != nil {
					b.Fatal(err)
				}
				if err := srv.Stop(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
