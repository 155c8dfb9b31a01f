package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// took is what one run of something cost.
type took struct {
	wall   time.Duration
	cpu    float64 // seconds, user and system, of the child
	server float64 // seconds that the database server used meanwhile
	rss    int64   // most bytes of memory that the child had at a time
}

func (t took) add(o took) took {
	return took{t.wall + o.wall, t.cpu + o.cpu, t.server + o.server, max(t.rss, o.rss)}
}

// child runs cmd to its end. What it says on stderr becomes part of the error.
func (b *bench) child(cmd *exec.Cmd) (took, error) {
	var says bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &says
	}
	cmd.Env = withZone(cmd.Environ())
	start := b.now()
	err := cmd.Run()
	t := took{wall: b.now().Sub(start)}
	if err != nil {
		return t, fmt.Errorf("run %s: %w: %s", cmd.Args[0], err, strings.TrimSpace(says.String()))
	}
	t.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.rss = int64(use.Maxrss) //nolint:unconvert // it is an int32 on 32-bit systems
		if runtime.GOOS == "linux" {
			t.rss *= 1024 // it counts in kilobytes
		}
	}
	return t, nil
}

// withZone names the time zone: without a name the C library asks the file system for it at
// every time that mariadb-binlog prints, which would not be a fair comparison.
func withZone(env []string) []string {
	for _, e := range env {
		if strings.HasPrefix(e, "TZ=") {
			return env
		}
	}
	return append(env, "TZ=UTC")
}

// contender is one way to do a job.
type contender struct {
	name string
	run  func() (took, error)
	once bool // too slow to be run again and again
}

// alternate runs the contenders in turn, so that a busy machine hurts all of them, and
// returns each one's runs. The first rounds are not counted, except of those run once.
func (b *bench) alternate(skip int, cs []contender) ([][]took, error) {
	out := make([][]took, len(cs))
	for round := range skip + b.rounds {
		for i, c := range cs {
			if c.once && round > 0 {
				continue
			}
			t, err := c.run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round >= skip || c.once {
				out[i] = append(out[i], t)
			}
		}
	}
	return out, nil
}

// median is the middle of each figure by itself.
func median(runs []took) (took, error) {
	if len(runs) == 0 {
		return took{}, errors.New("nothing was measured")
	}
	return took{
		wall: middle(runs, func(t took) time.Duration { return t.wall }),
		cpu:  middle(runs, func(t took) float64 { return t.cpu }), server: middle(runs, func(t took) float64 { return t.server }),
		rss: middle(runs, func(t took) int64 { return t.rss }),
	}, nil
}

func middle[R any, T time.Duration | float64 | int64](runs []R, of func(R) T) T {
	values := make([]T, len(runs))
	for i, t := range runs {
		values[i] = of(t)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
