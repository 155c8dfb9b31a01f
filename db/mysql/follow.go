package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

const (
	// heartbeatPeriod is how often an idle server says that it is there.
	heartbeatPeriod = 500 * time.Millisecond
	// silenceMost is how long a server that is alive may say nothing.
	silenceMost = 10 * time.Second
)

// Follow is Dump for a stream that does not end with the last log but waits for what the server
// writes next, file after file. While the server has nothing new it says so about twice a
// second, and idle is called from within Next or Read; an error of idle ends the stream. A server
// that says nothing at all for ten seconds is a lull.Error of kind Unreachable.
func (c *Conn) Follow(ctx context.Context, file string, pos int64, idle func() error) (*Dump, error) {
	d, err := c.dump(ctx, file, pos, true)
	if err != nil {
		return nil, err
	}
	d.idle = idle
	return d, nil
}

// heartbeats asks the server to send one whenever nothing was sent for a while; the period is
// in nanoseconds.
func heartbeats() string {
	return fmt.Sprintf("SET @master_heartbeat_period = %d, @source_heartbeat_period = %[1]d", heartbeatPeriod.Nanoseconds())
}

// errSilent says that heartbeats did not come. It is a net.Error, because the network is what
// fails this way.
var errSilent = silence{errors.New("the server was silent for " + silenceMost.String())}

type silence struct{ error }

func (silence) Timeout() bool   { return true }
func (silence) Temporary() bool { return true }

// patience reads from a connection and closes it when a read takes too long.
type patience struct {
	nc    net.Conn
	timer *time.Timer
	out   atomic.Bool // of patience
}

func newPatience(nc net.Conn) *patience {
	p := &patience{nc: nc}
	p.timer = time.AfterFunc(silenceMost, func() {
		p.out.Store(true)
		_ = nc.Close() // ends the read
	})
	p.timer.Stop()
	return p
}

func (p *patience) Read(b []byte) (int, error) {
	p.timer.Reset(silenceMost)
	defer p.timer.Stop()
	return p.nc.Read(b)
}
