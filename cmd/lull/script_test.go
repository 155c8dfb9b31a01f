package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites the expected screens of the scripts and of docs/.
var update = flag.Bool("update", false, "rewrite the screens in scripts and docs")

// TestMain lets this test binary be the program, too: under the name lull it is main.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"lull": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/scripts", Setup: setupScript, Cmds: scriptCommands(),
		UpdateScripts: *update, RequireUniqueNames: true,
	})
}

type sessionKey struct{}

func setupScript(env *testscript.Env) error {
	s := newSession(env.WorkDir)
	env.Values[sessionKey{}] = s
	env.Defer(func() {
		if err := s.stop(); err != nil {
			env.T().Fatal(err)
		}
	})
	env.Vars = append(env.Vars, s.env()...)
	env.Vars = append(env.Vars, "SHOP="+abs("testdata/shop.sql"))
	return nil
}

func abs(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		panic(err) // the working directory is gone
	}
	return full
}

// scriptCommands are what scripts can do besides what testscript knows.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"server":    startServer,   // server [FLAG...]: a server of the script's own, with schema shop; $DB, $ROOT, $ADDR, $BINLOGS
		"sql":       runSQL,        // sql STATEMENTS | sql -f FILE: as root in schema shop
		"rows":      wantRows,      // rows QUERY WANT: the first column of all rows, comma separated
		"ok":        runOK,         // ok lull ARG...: must succeed; the file screen holds what people saw
		"exit":      runExit,       // exit CODE lull ARG...: must end with this code
		"later":     runLater,      // later DURATION CODE ARG...: as exit, with a clock that runs ahead
		"json":      checkDocument, // json FIELD...: stdout is one document with exactly these fields
		"errors":    checkErrors,   // errors: stderr is one line "lull: ..." and perhaps one "Next: ..."
		"nosecret":  noSecret,      // nosecret WORD: neither the last output nor any file below $WORK/data holds it
		"tarpit":    tarpit,        // tarpit: $TARPIT is an address that accepts and never answers
		"stuck":     stuck,         // stuck: waits until somebody has called the tarpit
		"start":     startLull,     // start ARG...: in the background
		"waitfor":   waitFor,       // waitfor QUERY: until it finds a row
		"purge":     purge,         // purge TO GONE: until the log GONE, which is before TO, is gone
		"says":      waitSays,      // says TEXT: until what was started has said it
		"interrupt": interrupt,     // interrupt CODE: signals what was started and checks its exit code
		"hold":      hold,          // hold STATEMENT: in a transaction that stays open; release ends it
		"release":   release,
		"damage":    damage, // damage FILE OFFSET HEX | damage FILE cut SIZE
	}
}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

func startServer(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	ts.Check(s.start(args))
	ts.Setenv("ADDR", s.srv.Addr())
	ts.Setenv("DB", "mysql://ops@"+s.srv.Addr()+"/shop")
	ts.Setenv("ROOT", s.srv.URL("shop"))
	ts.Setenv("BINLOGS", s.srv.BinlogDir())
}

func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	text := args[0]
	if text == "-f" {
		text = ts.ReadFile(args[1])
	}
	ts.Check(sessionOf(ts).sql("shop", text))
}

func wantRows(ts *testscript.TestScript, _ bool, args []string) {
	got, err := sessionOf(ts).column(args[0])
	ts.Check(err)
	if text := strings.Join(got, ","); text != args[1] {
		ts.Fatalf("%s: got %s, want %s", args[0], text, args[1])
	}
}

func (s *session) column(query string) ([]string, error) {
	db, err := s.open("shop")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, rows.Err()
}

func runOK(ts *testscript.TestScript, _ bool, args []string) { lullExits(ts, 0, args[1:]) }

func runExit(ts *testscript.TestScript, _ bool, args []string) {
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	lullExits(ts, code, args[2:])
}

func lullExits(ts *testscript.TestScript, want int, args []string) {
	s := sessionOf(ts)
	for i := range args {
		args[i] = s.untidy(args[i])
	}
	err := ts.Exec("lull", args...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(s.tidy(stdout+stderr)), 0o600))
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// runLater runs the program inside this process, as only its clock differs.
func runLater(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	ahead, err := time.ParseDuration(args[0])
	ts.Check(err)
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	var out, errs strings.Builder
	a := &runner{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, env: ts.Getenv,
		now: func() time.Time { return time.Now().Add(ahead) },
	}
	ctx := context.Background()
	code := a.report(ctx, args[2:], a.execute(ctx, args[2:]))
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(s.tidy(out.String()+errs.String())), 0o600))
	if code != want {
		ts.Fatalf("exit code %d, want %d: %s", code, want, errs.String())
	}
}

// checkErrors is what every error must look like to people.
func checkErrors(ts *testscript.TestScript, _ bool, _ []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	switch {
	case !strings.HasPrefix(lines[0], "lull: "):
		ts.Fatalf("the error does not begin with lull: %q", lines[0])
	case len(lines) > 2 || len(lines) == 2 && !strings.HasPrefix(lines[1], "Next: "):
		ts.Fatalf("the error has more than a line and its next step: %q", lines)
	case len(lines) < 2:
		ts.Fatalf("the error has no next step: %q", lines)
	}
}

func noSecret(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(name), args[0]) {
			ts.Fatalf("%s holds the secret", name)
		}
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("data"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), args[0]) {
			err = fmt.Errorf("%s holds the secret", path)
		}
		return err
	}))
}

func tarpit(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("TARPIT", l.Addr().String())
	ts.Defer(func() { l.Close() })
	sessionOf(ts).tarpit = l
}

func stuck(ts *testscript.TestScript, _ bool, _ []string) {
	conn, err := sessionOf(ts).tarpit.Accept()
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
}

// running is a lull in the background.
type running struct {
	cmd  *exec.Cmd
	out  spoken
	done chan error
}

// spoken is what a program has said so far.
type spoken struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func waitSays(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	heard := func() bool { return strings.Contains(s.background.out.String(), args[0]) }
	defer func() {
		if !heard() {
			ts.Logf("it said:\n%s", s.background.out.String())
		}
	}()
	s.until(ts, heard)
}

func startLull(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	path, err := exec.LookPath("lull")
	ts.Check(err)
	r := &running{cmd: exec.Command(path, args...), done: make(chan error, 1)}
	r.cmd.Dir, r.cmd.Env = s.dir, s.env()
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	ts.Check(r.cmd.Start())
	go func() { r.done <- r.cmd.Wait() }()
	s.background = r
	ts.Defer(func() { _ = r.cmd.Process.Kill() }) // it is gone unless the script failed
}

// waitFor asks seldom: InnoDB renews its tables of transactions only for those who do.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	sessionOf(ts).until(ts, func() bool {
		got, err := sessionOf(ts).column(args[0])
		ts.Check(err)
		return len(got) > 0
	})
}

// purge repeats itself: the server keeps a log that its engines may still need for a while.
func purge(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	s.until(ts, func() bool {
		ts.Check(s.sql("", "PURGE BINARY LOGS TO '"+args[0]+"'"))
		_, err := os.Stat(filepath.Join(s.srv.BinlogDir(), args[1]))
		return errors.Is(err, os.ErrNotExist)
	})
}

// until asks done every now and then.
func (s *session) until(ts *testscript.TestScript, done func() bool) {
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-end.C:
			ts.Fatalf("it did not come to pass")
		case <-tick.C:
		}
	}
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(s.background.cmd.Process.Signal(syscall.SIGINT))
	select {
	case err := <-s.background.done:
		ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(s.tidy(s.background.out.String())), 0o600))
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code, err = exit.ExitCode(), nil
		}
		if err != nil || code != want {
			ts.Fatalf("ended with %v, want %d: %s", err, want, s.background.out.String())
		}
	case <-time.After(20 * time.Second):
		ts.Fatalf("the program goes on after Ctrl-C")
	}
}

func hold(ts *testscript.TestScript, _ bool, args []string) {
	s := sessionOf(ts)
	db, err := s.open("shop")
	ts.Check(err)
	tx, err := db.Begin()
	ts.Check(err)
	s.letGo = func() error { return errors.Join(tx.Rollback(), db.Close()) }
	_, err = tx.Exec(args[0])
	ts.Check(err)
}

func release(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(sessionOf(ts).letGo()) }

func damage(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	if args[1] == "cut" {
		size, err := strconv.ParseInt(args[2], 10, 64)
		ts.Check(err)
		ts.Check(os.Truncate(path, size))
		return
	}
	at, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	if at < 0 {
		end, err := f.Seek(0, io.SeekEnd)
		ts.Check(err)
		at += end
	}
	_, err = f.WriteAt([]byte(args[2]), at)
	ts.Check(err)
}
