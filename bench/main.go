// The bench command measures Lull against the tools people have, side by side on the same
// files and the same server: mariadb-binlog for finding and writing SQL, go-mysql for
// decoding, LOAD DATA and the way over a restored dump for putting rows back, mydumper,
// mariadb-backup and a replica for keeping a past. It prints tables of medians and ratios, and
// fails when a row that was put back differs.
//
// It is for people who change Lull, not for those who use it, and no test: machines differ,
// so it judges no figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/fsx"
)

// bench is one run.
type bench struct {
	lull    string // the program that is measured
	cache   string // where the logs are kept between runs
	work    string // removed at the end
	size    size
	rounds  int
	skip    int // leading rounds that are not counted
	parts   string
	merge   bool
	now     clock.Clock
	out     io.Writer
	report  report
	missing []string // tools that are not installed
}

// allParts are the contests.
const allParts = "find,out,decode,apply,snapshot,restore,record"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run parses the arguments and measures.
func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	b := &bench{now: clock.System(), out: out, size: full, skip: 1}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", env("BENCH") == "quick", "a tenth of the size (also BENCH=quick)")
	dir := flags.String("dir", env("LULL_BENCH_DIR"), "keep the generated logs in this `folder` (default .cache/bench, also LULL_BENCH_DIR)")
	keep := flags.Bool("keep", env("BENCH_KEEP") != "no", "keep the generated logs for the next run")
	flags.StringVar(&b.lull, "lull", "bin/lull", "measure this `program`")
	flags.IntVar(&b.rounds, "rounds", 3, "count `N` rounds of each contest, after one that is not counted")
	flags.StringVar(&b.parts, "only", allParts, "the `contests` to run")
	flags.BoolVar(&b.merge, "merge", true, "also go the way over a restored dump, once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quick {
		b.size = tenth
	}
	if b.rounds < 1 {
		return errors.New("-rounds must be at least 1")
	}
	if *dir == "" {
		*dir = filepath.Join(".cache", "bench")
	}
	if err := b.folders(*dir); err != nil {
		return err
	}
	return b.alone(func() error {
		err := b.run(ctx)
		if !*keep {
			err = errors.Join(err, os.RemoveAll(b.cache))
		}
		return err
	})
}

// folders makes the cache of this size and names a working folder beside it, so that files
// can be moved from one to the other.
func (b *bench) folders(dir string) (err error) {
	if b.lull, err = filepath.Abs(b.lull); err != nil {
		return fmt.Errorf("find lull: %w", err)
	}
	if _, err := os.Stat(b.lull); err != nil {
		return fmt.Errorf("find lull (make build): %w", err)
	}
	if b.cache, err = filepath.Abs(filepath.Join(dir, b.size.name)); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	if err := os.MkdirAll(b.cache, 0o700); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	b.work = filepath.Join(filepath.Dir(b.cache), "work")
	return nil
}

// alone empties the working folder, which a run that was killed may have left, and calls run.
// Two benchmarks at a time would measure each other.
func (b *bench) alone(run func() error) (err error) {
	lock, err := fsx.Lock(b.work+".lock", "make bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := os.RemoveAll(b.work); err != nil {
		return fmt.Errorf("empty working folder: %w", err)
	}
	if err := os.Mkdir(b.work, 0o700); err != nil {
		return fmt.Errorf("make working folder: %w", err)
	}
	err = fsx.Need(b.work, b.size.disk)
	if err == nil {
		err = run()
	}
	return errors.Join(err, os.RemoveAll(b.work))
}

func (b *bench) run(ctx context.Context) error {
	var logs *corpus
	for _, c := range []struct {
		name string
		run  func(context.Context, *corpus) error
	}{
		{"find", b.find},
		{"out", b.writeSQL},
		{"decode", b.decode},
		{"apply", b.putBack},
		{"snapshot", b.snapshots},
		{"restore", b.oneTable},
		{"record", b.record},
	} {
		if !strings.Contains(","+b.parts+",", ","+c.name+",") {
			continue
		}
		if logs == nil && slices.Contains([]string{"find", "out", "decode", "apply"}, c.name) {
			var err error
			if logs, err = b.logs(ctx); err != nil {
				return err
			}
		}
		b.say("measuring %s", c.name)
		if err := c.run(ctx, logs); err != nil {
			return fmt.Errorf("measure %s: %w", c.name, err)
		}
	}
	b.say("")
	return b.report.write(b.out)
}

// say tells what is going on, with the time and the load of the machine where it is known.
func (b *bench) say(format string, args ...any) {
	if format == "" {
		fmt.Fprintln(b.out)
		return
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = " (load " + strings.Fields(string(text))[0] + ")"
	}
	fmt.Fprintf(b.out, "%s %s%s\n", b.now().Format(time.TimeOnly), fmt.Sprintf(format, args...), load)
}
