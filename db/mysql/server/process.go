package server

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// process is a started command.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone and waited for
	err  error         // how it ended; read after done
}

// outputDelay bounds the wait for output after the process is gone.
const outputDelay = 2 * time.Second

// run starts cmd so that it dies with this process where the system can do that. Linux ties
// the child to the thread that started it, so the goroutine keeps its thread until the end.
func run(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = dieWithParent()
	cmd.WaitDelay = outputDelay
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	return p, <-started
}

// kill ends the process at once. That it may be gone already is no error.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// shutdown asks the process to end, and kills it when ctx ends first.
func (p *process) shutdown(ctx context.Context) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.kill()
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
	}
}

// pollEvery is how often a server that starts is asked whether it is ready.
const pollEvery = 10 * time.Millisecond

// await returns when the server answers a query, or why it will not.
func (s *Server) await(ctx context.Context, p *process) error {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.Logger = "root", "unix", s.Socket(), &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.Socket(), err)
	}
	pool := sql.OpenDB(connector)
	defer pool.Close()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if _, err = pool.ExecContext(ctx, "DO 1"); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended before it answered: %w", endError(p.err))
		case <-ctx.Done():
			return fmt.Errorf("wait for its first answer: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// endError gives a name to an end without an error.
func endError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// tail passes a log on and keeps its end for error messages. It may be used by several
// goroutines.
type tail struct {
	next io.Writer // may be nil
	mu   sync.Mutex
	end  []byte
}

const tailBytes = 4096

// Write never fails: a log that cannot be passed on must not stop the server.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		if _, err := t.next.Write(p); err != nil {
			t.next = nil
		}
	}
	t.end = append(t.end, p...)
	if cut := len(t.end) - tailBytes; cut > 0 {
		t.end = append(t.end[:0], t.end[cut:]...)
	}
	return len(p), nil
}

func (t *tail) contains(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.end, []byte(s))
}

// String is the end of the log.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.end))
}
