// Package servertest gives tests private database servers, started once for each test binary
// and set of flags, and stopped at its end. It is for tests only; other code starts servers
// with package server.
//
// The test binary needs a TestMain that calls Main:
//
//	func TestMain(m *testing.M) { servertest.Main(m) }
package servertest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of DB

	"github.com/lull-ops/lull/db/mysql/server"
)

// Env is the environment variable that names the directory of server trees, as made by
// scripts/test-servers.sh. Without it tests run on the system's server alone.
const Env = "LULL_TEST_SERVERS"

// stopTimeout bounds how long one server may take to go away.
const stopTimeout = 30 * time.Second

// shared is the test binary's servers: there is one test run in a process, and tests have no
// other place in common.
var shared pool

type pool struct {
	inMain  atomic.Bool
	mu      sync.Mutex
	servers map[string]*entry
	notRun  []string
	names   atomic.Int64
	trees   func() ([]server.Binaries, error)
}

type entry struct {
	once sync.Once
	srv  *server.Server
	err  error
}

// Main runs the tests, then stops their servers and says on stderr which servers of the wide
// suite were not there to be tested. The process exits with the tests' code when TestMain
// returns.
func Main(m *testing.M) {
	shared.inMain.Store(true)
	shared.trees = sync.OnceValues(find)
	defer shared.stop()
	m.Run()
}

func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, e := range p.servers {
		if e.srv == nil {
			continue
		}
		if err := e.srv.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "servertest:", err)
		}
	}
	for _, line := range p.notRun {
		fmt.Fprintln(os.Stderr, "servertest: NOT TESTED:", line)
	}
}

// missing remembers, once, what could not be tested.
func (p *pool) missing(t testing.TB, line string) {
	t.Helper()
	t.Log("NOT TESTED:", line)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.notRun, line) {
		p.notRun = append(p.notRun, line)
	}
}

// find is the system's MariaDB first, then the trees below Env's directory.
func find() ([]server.Binaries, error) {
	b, err := server.Find("")
	if err != nil {
		return nil, err
	}
	found := []server.Binaries{b}
	dir := os.Getenv(Env)
	if dir == "" {
		return found, nil
	}
	dirs, err := filepath.Glob(filepath.Join(dir, "m*-*"))
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("find server trees in %s=%s: there are none; run scripts/test-servers.sh %s", Env, dir, dir)
	}
	for _, d := range dirs {
		b, err := server.Find(d)
		if err != nil {
			return nil, err
		}
		found = append(found, b)
	}
	return found, nil
}

// Trees are the servers that can be started: the system's first, then those of Env.
func Trees(t testing.TB) []server.Binaries {
	t.Helper()
	if !shared.inMain.Load() {
		t.Fatal("servertest needs: func TestMain(m *testing.M) { servertest.Main(m) }")
	}
	found, err := shared.trees()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(Env) == "" {
		shared.missing(t, "any server but "+found[0].Series()+"; run scripts/test-servers.sh DIR and set "+Env+"=DIR")
	}
	return found
}

// MariaDB is the system's server with these extra flags, shared by all tests that ask for
// the same flags. A test that kills or restarts it starts its own with package server.
func MariaDB(t testing.TB, args ...string) *server.Server {
	t.Helper()
	return Shared(t, Trees(t)[0], args...)
}

// All is every server there is, each with these extra flags. Flags that some versions do not
// know need the form "--loose-name=value".
func All(t testing.TB, args ...string) []*server.Server {
	t.Helper()
	var out []*server.Server
	for _, b := range Trees(t) {
		out = append(out, Shared(t, b, args...))
	}
	return out
}

// Versions are the servers of the wanted release lines without extra flags. "mysql-9.7" is
// one line, "mysql-9" all that begin with it, "mysql" all of the flavor. A wanted line that
// is not there is named at the end of the test run.
func Versions(t testing.TB, want ...string) []*server.Server {
	t.Helper()
	var out []*server.Server
	trees := Trees(t)
	for _, w := range want {
		n := len(out)
		for _, b := range trees {
			if Matches(b.Series(), w) {
				out = append(out, Shared(t, b))
			}
		}
		if len(out) == n {
			shared.missing(t, w+", which "+t.Name()+" wants")
		}
	}
	return out
}

// Matches says that a release line, "mysql-9.7", is the wanted one or begins with it at a
// boundary.
func Matches(series, want string) bool {
	rest, ok := strings.CutPrefix(series, want)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// Shared is one server of these binaries and extra flags for the whole test binary.
func Shared(t testing.TB, b server.Binaries, args ...string) *server.Server {
	t.Helper()
	e := shared.entry(b.Daemon + "\x00" + strings.Join(args, "\x00"))
	e.once.Do(func() {
		e.srv, e.err = server.Start(context.Background(), server.Options{Binaries: b, Args: args})
	})
	if e.err != nil {
		t.Fatal(e.err)
	}
	return e.srv
}

func (p *pool) entry(key string) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers == nil {
		p.servers = map[string]*entry{}
	}
	if p.servers[key] == nil {
		p.servers[key] = &entry{}
	}
	return p.servers[key]
}

// DB makes a database for one test and connects to it as root. Both end with the test.
func DB(t testing.TB, srv *server.Server) (*sql.DB, string) {
	t.Helper()
	name := fmt.Sprintf("t%d", shared.names.Add(1))
	pool, err := sql.Open("mysql", srv.RootDSN(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	root, err := sql.Open("mysql", srv.RootDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := root.Exec("DROP DATABASE " + name); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
		root.Close()
	})
	if _, err := root.ExecContext(t.Context(), "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	return pool, name
}
