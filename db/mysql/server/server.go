// Package server runs private MariaDB and MySQL servers: each in a directory of its own, on
// the loopback interface and a unix socket, thrown away by Stop. Tests, the demo and restore
// drills use it. It does not touch the system's own server, its configuration or its data,
// and it is no way to run a database that anybody depends on.
//
// The root account has no password. Whoever can reach the loopback interface of the machine
// is root in the server while it runs, so it must not hold production data on a machine that
// is shared with people one does not trust.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// Options says which server to start, where, and with what.
type Options struct {
	// Binaries are what to run; the zero value means Find("").
	Binaries
	// Dir is where the server makes its own directory; "" means os.TempDir().
	Dir string
	// Args are further server flags, such as "--binlog-row-metadata=FULL". They come last on
	// the command line, so they win over the flags that Start chooses.
	Args []string
	// Log receives the server's error log; nil drops it.
	Log io.Writer
	// Cache is where initialised data directories are kept to be copied, one for each server
	// version; "" means lull-servers in os.UserCacheDir().
	Cache string
}

// Server is a running, killed or stopped private server. Its accessors may be called at any
// time; Restart, Kill and Stop wait for each other.
type Server struct {
	opt       Options
	dir       string
	socketDir string // dir, unless a socket's path there would be too long
	port      int
	alive     *os.File // locked as long as this process or the server lives

	mu      sync.Mutex
	proc    *process // nil when killed or stopped
	stopped bool
}

// errPortTaken says that another process bound the port between its choice and its use.
var errPortTaken = errors.New("the port is taken")

// portAttempts bounds how often Start chooses another port.
const portAttempts = 5

// Start makes a server in a new directory and returns when it answers a query: row format
// binlogs on, server_id set, small buffers, and nothing synced to disk at commit, unless
// Args say otherwise. ctx bounds the start only; the server runs until Stop, or until this
// process dies (on Linux; elsewhere it may be left behind). Directories that dead processes
// left in Dir are removed on the way.
func Start(ctx context.Context, opt Options) (*Server, error) {
	if opt.Daemon == "" {
		b, err := Find("")
		if err != nil {
			return nil, err
		}
		opt.Binaries = b
	}
	if opt.Dir == "" {
		opt.Dir = os.TempDir()
	}
	sweep(opt.Dir)
	s := &Server{opt: opt}
	err := s.setup(ctx)
	if err == nil {
		err = s.bootAnywhere(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s %s: %w", opt.Flavor, opt.Version, errors.Join(err, s.remove()))
	}
	return s, nil
}

// bootAnywhere boots on a free port, and on another one when that was taken meanwhile.
func (s *Server) bootAnywhere(ctx context.Context) (err error) {
	for range portAttempts {
		if s.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = s.boot(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// setup makes the directories and the data.
func (s *Server) setup(ctx context.Context) (err error) {
	if s.dir, s.alive, err = makeDir(s.opt.Dir); err != nil {
		return err
	}
	if s.socketDir, err = socketDir(s.dir); err != nil {
		return err
	}
	for _, d := range []string{s.BinlogDir(), s.TmpDir()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return fmt.Errorf("make the server's directory: %w", err)
		}
	}
	return makeData(ctx, s.opt.Binaries, s.opt.Cache, s.DataDir())
}

// boot starts the process and waits until it answers.
func (s *Server) boot(ctx context.Context) error {
	cmd := s.opt.command(s.opt.Daemon, append(runArgs(s), s.opt.Args...)...)
	tail := &tail{next: s.opt.Log}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.DataDir(), tail, tail
	if canLock {
		cmd.ExtraFiles = []*os.File{s.alive}
	}
	p, err := run(cmd)
	if err != nil {
		return fmt.Errorf("run %s: %w", s.opt.Daemon, err)
	}
	if err := s.await(ctx, p); err != nil {
		p.kill()
		<-p.done
		if tail.contains("Bind on TCP/IP port") {
			return errPortTaken
		}
		return fmt.Errorf("%w; its log ends:\n%s", err, tail)
	}
	s.proc = p
	return nil
}

// Restart shuts the server down cleanly, or finds it killed, and starts it again with the
// same data, address and flags. When ctx ends during the shutdown the server is killed.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("restart server: it was stopped")
	}
	if s.proc != nil {
		s.proc.shutdown(ctx)
		s.proc = nil
	}
	if err := s.boot(ctx); err != nil {
		return fmt.Errorf("restart %s %s: %w", s.opt.Flavor, s.opt.Version, err)
	}
	return nil
}

// Kill ends the server at once, as a power cut to it alone would. Restart brings it back.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
		<-s.proc.done
		s.proc = nil
	}
}

// Stop ends the server and removes everything it wrote. Because nothing of it is kept, the
// server is killed, not asked. ctx bounds the wait for its end. A second Stop does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if s.proc != nil {
		s.proc.kill()
		select {
		case <-s.proc.done:
		case <-ctx.Done():
			return fmt.Errorf("stop %s %s: %w", s.opt.Flavor, s.opt.Version, ctx.Err())
		}
	}
	s.proc, s.stopped = nil, true
	return s.remove()
}

// remove deletes the directories, then lets go of the lock that kept them from being swept.
func (s *Server) remove() error {
	var errs []error
	for _, d := range []string{s.dir, s.socketDir} {
		if d != "" {
			errs = append(errs, os.RemoveAll(d))
		}
	}
	if s.alive != nil {
		errs = append(errs, s.alive.Close())
	}
	return errors.Join(errs...)
}

// Flavor is "mariadb" or "mysql".
func (s *Server) Flavor() string { return s.opt.Flavor }

// Binaries are what the server runs from; their Command runs the tools beside it.
func (s *Server) Binaries() Binaries { return s.opt.Binaries }

// Addr is the TCP address, "127.0.0.1:port". It stays the same over Restart.
func (s *Server) Addr() string { return net.JoinHostPort(loopback, strconv.Itoa(s.port)) }

// Socket is the path of the unix socket, shorter than 100 bytes.
func (s *Server) Socket() string { return filepath.Join(s.socketDir, "mysqld.sock") }

// DataDir is the server's data directory.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

// BinlogDir holds the binlogs, mysql-bin.000001 and so on, and their index.
func (s *Server) BinlogDir() string { return filepath.Join(s.dir, "binlog") }

// TmpDir is for temporary files, and the one directory that LOAD DATA INFILE and SELECT INTO
// OUTFILE may use.
func (s *Server) TmpDir() string { return filepath.Join(s.dir, "tmp") }

// RootDSN names the root account and a database, which may be "", for go-sql-driver/mysql.
func (s *Server) RootDSN(database string) string {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "tcp", s.Addr(), database
	return c.FormatDSN()
}

// URL names the root account and a database, as "mysql://root@127.0.0.1:3306/shop".
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "mysql", User: url.User("root"), Host: s.Addr(), Path: "/" + database}
	return u.String()
}
