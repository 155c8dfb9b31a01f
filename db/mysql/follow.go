package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/lull-ops/lull"
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
// that says nothing at all for ten seconds is a lull.Error of kind Unreachable, and so is another
// server than the one whose Identity is given, where it is not "": the place is not one of its log.
func (c *Conn) Follow(ctx context.Context, server, file string, pos int64, idle func() error) (*Dump, error) {
	d, err := c.dump(ctx, file, pos, &following{server})
	if err != nil {
		return nil, err
	}
	d.idle = idle
	return d, nil
}

// following says what a stream without end is of.
type following struct{ server string }

// confirm makes sure that a new connection leads to the server.
func (f *following) confirm(ctx context.Context, c *Conn, conn driver.Conn) error {
	if f.server == "" {
		return nil
	}
	here, err := identity(ctx, conn)
	if err != nil {
		return c.failed(ctx, "read the server's name", err)
	}
	if here == f.server {
		return nil
	}
	// Connections of the pool may still lead to the old one.
	c.DB.SetMaxIdleConns(-1)
	c.DB.SetMaxIdleConns(maxIdleConns)
	return lull.Errorf(lull.Unreachable, "", "read binlog from %s: it has become another server (%s, not %s)", c.DSN.Where(), here, f.server)
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
