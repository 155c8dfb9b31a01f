package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// lullCmd is a run of the program with a data folder of its own.
func (b *bench) lullCmd(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.lull, append([]string{"--quiet", "--no-input", "--data", filepath.Join(b.work, "data")}, args...)...)
	return cmd
}

// tool is a contender that runs a program and throws its output away.
func (b *bench) tool(name string, cmd func() (*exec.Cmd, error)) contender {
	return contender{name: name, run: func() (took, error) {
		c, err := cmd()
		if err != nil {
			return took{}, err
		}
		return b.child(c)
	}}
}

// find is finding accidents in the log of small transactions: all of it must be read.
func (b *bench) find(ctx context.Context, l *corpus) error {
	info, err := os.Stat(l.OLTP)
	if err != nil {
		return err
	}
	cs := []contender{
		b.tool("lull find --binlog", func() (*exec.Cmd, error) {
			return b.lullCmd(ctx, "find", "--binlog", l.OLTP), nil
		}),
		b.tool("mariadb-binlog -v", func() (*exec.Cmd, error) {
			return l.tools.Command(ctx, "mariadb-binlog", "--no-defaults", "-v", l.OLTP)
		}),
		b.tool("mariadb-binlog --flashback", func() (*exec.Cmd, error) {
			return l.tools.Command(ctx, "mariadb-binlog", "--no-defaults", "--flashback", l.OLTP)
		}),
	}
	runs, err := b.alternate(b.skip, cs)
	if err != nil {
		return err
	}
	return b.add("a. find accidents: log of small transactions, "+megabytes(info.Size()), info.Size(), 0, cs, runs)
}

func megabytes(n int64) string { return strconv.FormatInt(n/1_000_000, 10) + " MB" }

// accidents is what the benchmark reads of find --json.
type accidents struct {
	Accidents []struct {
		ID      string `json:"id"`
		Deleted int64  `json:"deleted"`
	} `json:"accidents"`
}

// biggest is the id of the newest finding that deleted n rows.
func (b *bench) biggest(n int, find *exec.Cmd) (string, error) {
	text, err := find.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("run lull find: %w", err)
	}
	var found accidents
	if err := json.Unmarshal(text, &found); err != nil {
		return "", fmt.Errorf("read lull find: %w", err)
	}
	for _, a := range found.Accidents {
		if a.Deleted == int64(n) {
			return a.ID, nil
		}
	}
	return "", fmt.Errorf("lull find names no accident of %d rows", n)
}

// writeSQL is writing the SQL that brings a million rows back, from files alone.
func (b *bench) writeSQL(ctx context.Context, l *corpus) error {
	info, err := os.Stat(l.Big)
	if err != nil {
		return err
	}
	if l.End.Pos == 0 {
		l.End.Pos = info.Size()
	}
	id, err := b.biggest(b.size.billing, b.lullCmd(ctx, "find", "--binlog", l.Big, "--schema", l.Schema, "--json"))
	if err != nil {
		return err
	}
	out := filepath.Join(b.work, "undo.sql")
	lull := func(args ...string) func() (*exec.Cmd, error) {
		return func() (*exec.Cmd, error) {
			all := append([]string{"undo", "--binlog", l.Big, "--schema", l.Schema, "--out", out}, args...)
			return b.lullCmd(ctx, all...), removeIfThere(out)
		}
	}
	flashback := func(args ...string) contender {
		return contender{run: func() (took, error) {
			all := append([]string{"--no-defaults", "--flashback", "-T", "billing", "--result-file=" + out}, args...)
			cmd, err := l.tools.Command(ctx, "mariadb-binlog", append(all, l.Big)...)
			if err != nil {
				return took{}, err
			}
			return b.child(cmd)
		}}
	}
	exact := flashback("--start-position="+strconv.FormatInt(l.Start.Pos, 10), "--stop-position="+strconv.FormatInt(l.End.Pos, 10))
	exact.name = "flashback, exact position"
	whole := flashback()
	whole.name = "flashback, whole log"
	cs := []contender{
		b.tool("lull undo ID --out", lull(id)),
		b.tool("lull undo --pos P --out", lull("--table", "billing", "--pos", filepath.Base(l.Big)+":"+strconv.FormatInt(l.Start.Pos, 10))),
		exact, whole,
	}
	runs, err := b.alternate(b.skip, cs)
	if err != nil {
		return err
	}
	rows := int64(b.size.billing)
	return b.add(fmt.Sprintf("b. write the SQL that undoes a DELETE of %d rows, log of %s", rows, megabytes(info.Size())), 0, rows, cs, runs)
}

// decode is decoding every row of the log: Lull's codec to SQL text, go-mysql to its values.
// Only tests may use go-mysql, so both run as benchmarks of this package's test binary.
func (b *bench) decode(ctx context.Context, l *corpus) error {
	info, err := os.Stat(l.Big)
	if err != nil {
		return err
	}
	binary := filepath.Join(b.work, "bench.test")
	if _, err := b.child(exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./bench")); err != nil {
		return err
	}
	of := func(name, bench string) contender {
		return b.tool(name, func() (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=^BenchmarkDecode$/^"+bench+"$", "-test.benchtime=1x")
			cmd.Env = append(os.Environ(), "LULL_BENCH_LOG="+l.Big, "LULL_BENCH_SCHEMA="+l.Schema)
			return cmd, nil
		})
	}
	cs := []contender{
		of("lull, to SQL", "lull-sql"),
		of("lull, to values", "lull-values"),
		of("go-mysql, to values", "go-mysql"),
	}
	runs, err := b.alternate(b.skip, cs)
	if err != nil {
		return err
	}
	rows := int64(2*b.size.billing + b.size.clients + b.size.orders + b.size.lines)
	if err := b.add(fmt.Sprintf("c. decode %d rows of all tables, log of %s", rows, megabytes(info.Size())), 0, rows, cs, runs); err != nil {
		return err
	}
	cs = []contender{
		of("lull, to SQL", "lull-sql-of-the-delete"),
		of("go-mysql, to values", "go-mysql-of-the-delete"),
	}
	if runs, err = b.alternate(b.skip, cs); err != nil {
		return err
	}
	rows = int64(b.size.billing)
	return b.add(fmt.Sprintf("   decode only the %d deleted rows of that log", rows), 0, rows, cs, runs)
}
