package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lull-ops/lull/db"
)

// Writers and their tables.
const (
	writers     = 4
	writeTables = 4
)

// follower is what reads a server's log while it works.
type follower struct {
	name  string
	start func(context.Context) error
	stop  func() error
	at    func(context.Context) (db.Position, time.Time, error) // how far it is, and when it was
	cpu   func() float64
}

// recording is a server under small transactions, alone and with followers.
type recording struct {
	*past
	replica *shop
	serve   *exec.Cmd
	copier  *exec.Cmd // mariadb-binlog
	load    string    // sysbench
	pinned  bool
}

// followed is one run under a load.
type followed struct {
	tps, server, self float64 // transactions a second; CPU milliseconds a transaction
	lag               time.Duration
	rest              time.Duration // from the load's end until all is there
}

// record measures what following a server costs it, and how far behind the follower is. Server
// and load are kept to one core and the follower to another, so that the one does not take the
// other's time.
func (b *bench) record(ctx context.Context, _ *corpus) (err error) {
	program := b.peer("sysbench")
	if program == "" {
		return nil
	}
	s, err := b.startServer(ctx, "--innodb-buffer-pool-size="+b.size.poolSize, "--server-id=11")
	if err != nil {
		return err
	}
	r := &recording{past: &past{bench: b, shop: s, dir: filepath.Join(b.work, "past")}, load: program}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := errors.Join(os.RemoveAll(r.dir), os.Mkdir(r.dir, 0o700)); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	fs := []follower{
		{name: "nobody"},
		{name: "lull serve", start: r.startLull, stop: r.stopLull, at: r.lullAt, cpu: r.lullCPU},
		{name: "mariadb-binlog", start: r.startCopy, stop: r.stopCopy, at: r.copyAt, cpu: func() float64 { return processCPU(strconv.Itoa(r.copier.Process.Pid)) }},
		{name: "a replica", start: r.startReplica, stop: r.stopReplica, at: r.replicaAt, cpu: func() float64 { return r.replica.cpu() }},
	}
	runs := make([][]followed, len(fs))
	for range b.rounds {
		for i := range fs {
			f, err := r.under(ctx, &fs[i])
			if err != nil {
				return fmt.Errorf("%s: %w", fs[i].name, err)
			}
			runs[i] = append(runs[i], f)
		}
	}
	return r.report(ctx, fs, runs)
}

func (r *recording) prepare(ctx context.Context) (err error) {
	if err := execAll(ctx, r.shop.db, pastOpsSQL); err != nil {
		return err
	}
	if r.replica, err = r.startServer(ctx, "--innodb-buffer-pool-size="+r.size.poolSize, "--server-id=12"); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.shop.Addr())
	if err != nil {
		return err
	}
	r.pin(ctx, "0", r.shop)
	r.pin(ctx, "1", r.replica)
	// The replica has the schema already.
	err = execAll(ctx, r.shop.db, "CREATE USER replica@'127.0.0.1' IDENTIFIED BY 'bench'; GRANT REPLICATION SLAVE ON *.* TO replica@'127.0.0.1'; RESET MASTER")
	if err == nil {
		err = execAll(ctx, r.replica.db, fmt.Sprintf("RESET MASTER; CHANGE MASTER TO master_host='%s', master_port=%s, master_user='replica', master_password='bench', master_log_file='%s', master_log_pos=4", host, port, firstLog))
	}
	if err == nil {
		err = r.configure("repo", "shop")
	}
	if err == nil {
		_, err = r.sysbench(ctx, "prepare")
	}
	if err == nil {
		// Lull's recording begins here, with snapshots of the tables.
		_, err = r.backupNow(ctx, "repo")
	}
	return err
}

// pin keeps a server to a core, where that can be done.
func (r *recording) pin(ctx context.Context, core string, s *shop) {
	taskset := r.peer("taskset")
	pid, err := s.pid()
	if taskset == "" || err != nil {
		return
	}
	r.pinned = exec.CommandContext(ctx, taskset, "-a", "-p", "-c", core, pid).Run() == nil
}

// on is a command that runs on a core.
func (r *recording) on(core string, cmd *exec.Cmd) *exec.Cmd {
	if r.pinned {
		cmd.Args = append([]string{"taskset", "-c", core, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = r.peer("taskset")
	}
	return cmd
}

func (r *recording) sysbench(ctx context.Context, args ...string) (string, error) {
	host, port, err := net.SplitHostPort(r.shop.Addr())
	if err != nil {
		return "", err
	}
	all := append([]string{
		"oltp_write_only", "--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=root",
		"--mysql-db=shop", "--tables=" + strconv.Itoa(writeTables), "--table-size=" + strconv.Itoa(r.size.writeRows),
		"--threads=" + strconv.Itoa(writers),
	}, args...)
	text, err := r.on("0", exec.CommandContext(ctx, r.load, all...)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run sysbench: %w: %s", err, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}

// under runs the load with a follower, which first catches up.
func (r *recording) under(ctx context.Context, f *follower) (out followed, err error) {
	if f.start != nil {
		if err := f.start(ctx); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, f.stop()) }()
		if _, err := r.caughtUp(ctx, f); err != nil {
			return out, err
		}
	}
	watch, end := context.WithCancel(ctx)
	var w lagWatch
	var watching sync.WaitGroup
	if f.at != nil {
		watching.Go(func() { w.run(watch, r, f) })
	}
	server, self := r.shop.cpu(), f.spent()
	text, err := r.sysbench(ctx, "--time="+strconv.Itoa(int(r.size.writeFor.Seconds())), "run")
	end()
	watching.Wait()
	if err == nil {
		err = w.err
	}
	if err != nil {
		return out, err
	}
	server = r.shop.cpu() - server
	var n float64
	if n, out.tps, err = transactions(text); err != nil {
		return out, err
	}
	out.lag = w.worst
	if f.at != nil {
		if out.rest, err = r.caughtUp(ctx, f); err != nil {
			return out, err
		}
	}
	out.server, out.self = 1000*server/n, 1000*(f.spent()-self)/n
	return out, nil
}

func (f *follower) spent() float64 {
	if f.cpu == nil {
		return 0
	}
	return f.cpu()
}

// transactions reads sysbench's report.
func transactions(text string) (n, tps float64, err error) {
	m := regexp.MustCompile(`transactions:\s+(\d+)\s+\(([\d.]+) per sec`).FindStringSubmatch(text)
	if m == nil {
		return 0, 0, fmt.Errorf("sysbench tells no transactions: %s", text)
	}
	n, err1 := strconv.ParseFloat(m[1], 64)
	tps, err2 := strconv.ParseFloat(m[2], 64)
	return n, tps, errors.Join(err1, err2)
}

const (
	lookEvery  = 50 * time.Millisecond
	catchUpFor = 10 * time.Minute
)

// caughtUp waits until the follower is where the server is now, and returns how long it took.
func (r *recording) caughtUp(ctx context.Context, f *follower) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	goal, err := r.shop.spot(ctx)
	if err != nil {
		return 0, err
	}
	start := r.now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		pos, _, err := f.at(ctx)
		if err == nil && !behind(pos, goal) {
			return r.now().Sub(start), nil
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("%s does not catch up with %s:%d", f.name, goal.File, goal.Pos), err)
		case <-tick.C:
		}
	}
}

func behind(pos db.Position, goal spot) bool {
	return pos.File < goal.File || pos.File == goal.File && pos.Offset < goal.Pos
}

// lagWatch notes where the server was when, and how long ago that was when the follower said
// that it had come as far.
type lagWatch struct {
	spots []seen
	worst time.Duration
	err   error
}

type seen struct {
	spot
	at time.Time
}

func (w *lagWatch) run(ctx context.Context, r *recording, f *follower) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := r.now()
		p, err := r.shop.spot(ctx)
		if err == nil {
			w.spots = append(w.spots, seen{p, now})
			var pos db.Position
			if pos, now, err = f.at(ctx); err == nil {
				w.note(pos, now)
			}
		}
		if err != nil && ctx.Err() == nil {
			w.err = err
			return
		}
	}
}

// note takes what a follower said at a time.
func (w *lagWatch) note(pos db.Position, at time.Time) {
	for len(w.spots) > 0 && !behind(pos, w.spots[0].spot) {
		w.spots = w.spots[1:]
	}
	if len(w.spots) > 0 {
		w.worst = max(w.worst, at.Sub(w.spots[0].at))
	}
}

// stop ends what runs.
func (r *recording) stop() error {
	var errs []error
	if r.serve != nil {
		errs = append(errs, r.stopLull())
	}
	if r.copier != nil {
		errs = append(errs, r.stopCopy())
	}
	if r.replica != nil {
		errs = append(errs, r.replica.stop())
	}
	return errors.Join(append(errs, r.past.stop())...)
}
