package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPasswordIn(t *testing.T) {
	f := func(arg, want string) {
		t.Helper()
		got := ""
		if from, to, ok := passwordIn(arg); ok {
			got = arg[from:to]
		}
		if got != want {
			t.Errorf("%s: found %q, want %q", arg, got, want)
		}
	}
	f("mysql://ops:hush@db/shop", "hush")
	f("--db=mysql://ops:hush@db/shop", "hush")
	f("mysql://ops:a@b:c/d@db/shop", "a@b:c/d")
	f("mysql://ops@db:3306/shop", "")
	f("mysql://ops:@db/shop", "")
	f("mysql://db:3306/shop", "")
	f("user:pass@db", "")
	f("@://:", "")
	f("", "")
}

// child starts the running test alone in another process, which ends with the test.
func child(t *testing.T, env string, args ...string) (*exec.Cmd, io.Writer, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^" + t.Name() + "$", "--"}, args...)...)
	cmd.Env = append(os.Environ(), env)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	return cmd, stdin, bufio.NewReader(stdout)
}

func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if got, err := r.ReadString('\n'); got != want+"\n" {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// processArgs is what other users of the machine see of a process's arguments.
func processArgs(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, os.ErrNotExist) {
		raw, err = exec.CommandContext(t.Context(), "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(raw), "\x00", " "))
}

func TestPasswordLeavesProcessList(t *testing.T) {
	const dsn = "mysql://ops:hush-hush@db/shop"
	if os.Getenv("LULL_TEST_ARGV") != "" {
		fmt.Println("started")
		bufio.NewReaderSize(os.Stdin, 16).ReadString('\n')
		args := takeArgs(os.Args)
		fmt.Println("took " + args[len(args)-1])
		io.Copy(io.Discard, os.Stdin)
		return
	}
	cmd, stdin, stdout := child(t, "LULL_TEST_ARGV=1", "--db="+dsn, dsn)
	wantLine(t, stdout, "started")
	if seen := processArgs(t, cmd.Process.Pid); strings.Count(seen, dsn) != 2 {
		t.Fatalf("this test looks at the wrong place: %q", seen)
	}
	fmt.Fprintln(stdin)
	wantLine(t, stdout, "took "+dsn)
	seen := processArgs(t, cmd.Process.Pid)
	if strings.Contains(seen, "hush") || !strings.HasSuffix(seen, "--db=mysql://ops:*********@db/shop mysql://ops:*********@db/shop") {
		t.Errorf("the process list shows %q", seen)
	}
}

func TestSecondSignalKills(t *testing.T) {
	if os.Getenv("LULL_TEST_SIGNAL") != "" {
		ctx := interruptible()
		fmt.Println("ready")
		<-ctx.Done()
		// AfterFunc gives the signal back in a goroutine of its own.
		fmt.Println("code", (&runner{stderr: io.Discard}).report(ctx, nil, ctx.Err()))
		io.Copy(io.Discard, os.Stdin)
		return
	}
	cmd, _, stdout := child(t, "LULL_TEST_SIGNAL=1")
	wantLine(t, stdout, "ready")
	// SIGTERM, as a shell may start its background jobs with SIGINT ignored.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantLine(t, stdout, "code 130")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		// Giving the signal back takes the child a moment after its context has ended.
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("the second signal did not kill: %v", err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
