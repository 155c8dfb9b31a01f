// The demo command shows what Lull is for, on a private database server that it starts and
// throws away: a small shop with customers in it loses a table, and gets it back while they
// go on buying. Every command that it shows is run as shown, and every row is compared at the
// end. It touches no other database and leaves nothing behind.
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
	"syscall"

	"github.com/lull-ops/lull/internal/clock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; the private server is stopped and its folder removed")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: FAILED:", err)
		os.Exit(1)
	}
}

// run parses the arguments and gives the demo.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	lull := flags.String("lull", "bin/lull", "the `program` to show")
	rows := flags.Int("rows", 20_000, "how many `rows` are in the table that is lost")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rows < 100 {
		return errors.New("-rows must be at least 100")
	}
	d := &demo{screen: screen{out: out}, rows: *rows, now: clock.System()}
	if d.lull, err = filepath.Abs(*lull); err != nil {
		return fmt.Errorf("find lull: %w", err)
	}
	if _, err := os.Stat(d.lull); err != nil {
		return fmt.Errorf("find lull (make build): %w", err)
	}
	return d.run(ctx)
}
