package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/lull-ops/lull/internal/clock"
)

// Load is how busy a server is.
type Load struct {
	Threads        int           // that run a statement now
	Lag            time.Duration // of its slowest replica; negative when nobody knows
	Connections    int
	MaxConnections int
}

// Limits are how busy a server may be while a snapshot is taken; zero fields do not matter.
type Limits struct {
	MaxThreads          int
	MaxLag              time.Duration
	MaxConnectionsShare float64 // of MaxConnections, 0 to 1
}

const (
	// askEvery is how often the server is asked while all is well, waitEvery while it is busy.
	askEvery  = time.Second
	waitEvery = 500 * time.Millisecond
)

// Throttle makes a function that waits while the server is busier than limits allow. waiting,
// which may be nil, is told what it waits for, and "" when it goes on. A load that cannot be
// read is an error. The function is for one goroutine.
func Throttle(load func(context.Context) (Load, error), limits Limits, now clock.Clock, waiting func(reason string)) func(context.Context) error {
	var asked time.Time
	return func(ctx context.Context) error {
		if !asked.IsZero() && now().Sub(asked) < askEvery {
			return ctx.Err()
		}
		said := ""
		for {
			l, err := load(ctx)
			if err != nil {
				return fmt.Errorf("read the server's load: %w", err)
			}
			asked = now()
			reason := limits.exceeded(l)
			if waiting != nil && reason != said {
				waiting(reason)
			}
			if said = reason; reason == "" {
				return ctx.Err()
			}
			if err := pause(ctx, waitEvery); err != nil {
				return err
			}
		}
	}
}

// exceeded says which limit a load is over, "" for none.
func (l Limits) exceeded(now Load) string {
	switch {
	case l.MaxThreads > 0 && now.Threads > l.MaxThreads:
		return fmt.Sprintf("%d threads run on the server, the limit is %d", now.Threads, l.MaxThreads)
	case l.MaxLag > 0 && now.Lag > l.MaxLag:
		return fmt.Sprintf("a replica is %s behind, the limit is %s", now.Lag.Round(time.Second/10), l.MaxLag)
	case l.MaxConnectionsShare > 0 && now.MaxConnections > 0 &&
		float64(now.Connections) > l.MaxConnectionsShare*float64(now.MaxConnections):
		return fmt.Sprintf("%d of %d connections are taken, the limit is %.0f %%",
			now.Connections, now.MaxConnections, l.MaxConnectionsShare*100)
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
