package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"time"

	"github.com/lull-ops/lull"
)

// Dump streams binlogs from the server, file after file, up to the end of the last one.
// It is for one goroutine.
type Dump struct {
	conn   *Conn
	ctx    context.Context //nolint:containedctx // a Dump is one call that goes on
	driver driver.Conn
	net    net.Conn
	stop   func() bool // ends the watch over ctx

	s    *stream
	file string // the file that is read
	next string // the file that an artificial ROTATE announced, "" for none
	pos  int64  // where the first file is read from; 0 in later ones
	err  error  // what the stream ended with
	cur  *logReader

	follow *patience // of a stream without end
	idle   func() error
}

// Dump starts to stream at a place of a file; pos is the offset of an event, or 4 for all
// of it. The server only lets users with REPLICATION SLAVE do so. When ctx ends, reading
// stops with its error. Close must be called.
func (c *Conn) Dump(ctx context.Context, file string, pos int64) (*Dump, error) {
	return c.dump(ctx, file, pos, nil)
}

func (c *Conn) dump(ctx context.Context, file string, pos int64, follow *following) (*Dump, error) {
	if pos < magicSize {
		pos = magicSize
	}
	ask := uint32(magicSize)
	if pos <= math.MaxUint32 {
		ask = uint32(pos)
	} // else the command has no room for it: read from the start and leave out what is before
	conn, nc, err := c.startDump(ctx, file, ask, follow)
	if err != nil {
		return nil, err
	}
	d := &Dump{conn: c, ctx: ctx, driver: conn, net: nc, file: file, next: file, pos: pos}
	if follow != nil {
		d.follow = newPatience(nc)
		d.s = newStream(d.follow)
	} else {
		d.s = newStream(nc)
	}
	d.stop = context.AfterFunc(ctx, func() { _ = nc.Close() })
	return d, nil
}

// Close ends the stream, wherever it is.
func (d *Dump) Close() error {
	d.stop()
	// The socket first, so that the driver's farewell cannot wait for a busy server.
	_ = d.net.Close() // may be closed by ctx already
	_ = d.driver.Close()
	return nil
}

// Next goes to the next file; what is left of the current one is read over. It returns
// io.EOF after the last file.
//
// r yields the file's events, byte for byte as in the file without its 4 magic bytes,
// starting with the FORMAT_DESCRIPTION event. start is the file's offset of the event that
// follows it: more than 4 plus its length when the stream starts inside the file, or when
// the server leaves out the event that says the file is encrypted. The server clears the
// flag "in use" and, inside a file, the time and position of the FORMAT_DESCRIPTION event.
func (d *Dump) Next() (file string, start int64, r io.Reader, err error) {
	if d.cur != nil {
		if _, err := io.Copy(io.Discard, d.cur); err != nil {
			return "", 0, nil, err
		}
	}
	if d.err != nil {
		return "", 0, nil, d.err
	}
	format, err := d.format()
	if err != nil {
		return "", 0, nil, d.fail(err)
	}
	start, err = d.start(int64(len(format)))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", 0, nil, d.fail(err)
	}
	d.pos = 0
	d.cur = &logReader{d: d, format: format, done: err != nil || d.next != ""}
	if err != nil {
		d.err = io.EOF
	}
	return d.file, start, d.cur, nil
}

// format reads up to and including the FORMAT_DESCRIPTION event of the file in d.next.
func (d *Dump) format() ([]byte, error) {
	for {
		announced, err := d.advance()
		switch {
		case err != nil:
			return nil, err
		case announced:
		case d.s.eventType() != eventFormat:
			return nil, fmt.Errorf("%w: file %s starts with event type %d", errStream, d.next, d.s.eventType())
		default:
			d.file, d.next = d.next, ""
			return d.s.small()
		}
	}
}

// advance goes to the next event that is in a file. When the server announces another file
// instead, its name is in d.next and no event is pending.
func (d *Dump) advance() (announced bool, err error) {
	for {
		if err := d.s.next(); err != nil {
			return false, err
		}
		switch {
		case d.s.eventType() == eventHeartbeat || d.s.eventType() == eventHeartbeatV2:
			if err := d.s.skip(); err != nil {
				return false, err
			}
			if d.idle != nil {
				if err := d.idle(); err != nil {
					return false, err
				}
			}
		case d.s.eventType() == eventRotate && d.s.isArtificial():
			event, err := d.s.small()
			if err != nil {
				return false, err
			}
			d.next, err = rotateFile(event)
			return true, err
		default:
			return false, nil
		}
	}
}

// start goes to the first event after the FORMAT_DESCRIPTION event and finds its offset.
func (d *Dump) start(formatSize int64) (int64, error) {
	start := magicSize + formatSize
	if d.follow != nil && d.pos > magicSize && d.pos <= math.MaxUint32 {
		return d.pos, nil // nothing may follow for hours
	}
	announced, err := d.advance()
	if err == nil && !announced && d.s.eventLogPos() >= d.s.eventSize()+start {
		start = d.s.eventLogPos() - d.s.eventSize()
	}
	switch {
	case d.pos > math.MaxUint32:
		return d.skipTo(start, err)
	case d.pos > magicSize:
		start = d.pos
	}
	return start, err
}

// skipTo reads over events up to d.pos.
func (d *Dump) skipTo(at int64, err error) (int64, error) {
	for err == nil && d.next == "" && at < d.pos {
		at += d.s.eventSize()
		if err = d.s.skip(); err == nil && (d.follow == nil || at < d.pos) {
			_, err = d.advance()
		}
	}
	return at, err
}

// fail keeps an error for later calls, and says what the server meant.
func (d *Dump) fail(err error) error {
	if d.err == nil {
		d.err = d.explain(err)
	}
	return d.err
}

// logReader is one file's events.
type logReader struct {
	d      *Dump
	format []byte
	done   bool
}

func (r *logReader) Read(p []byte) (n int, err error) {
	if r.d.cur != r {
		return 0, errors.New("read binlog stream: the stream has gone on to another file")
	}
	n = copy(p, r.format)
	r.format = r.format[n:]
	for n < len(p) && !r.done {
		m, err := r.d.s.read(p[n:])
		n += m
		if err == nil && m == 0 {
			// Hand over what is there rather than wait for more.
			if n > 0 && r.d.s.mayWait() {
				return n, nil
			}
			r.done, err = r.d.advance()
		}
		if err != nil {
			r.done = true
			_ = r.d.fail(err) // end tells it, after what was read before
		}
	}
	if n == 0 && r.done && len(p) > 0 {
		return 0, r.end()
	}
	return n, nil
}

// end is how the file ended: io.EOF, also when the whole stream did.
func (r *logReader) end() error {
	if r.d.err != nil {
		return r.d.err
	}
	return io.EOF
}

// explain turns what the server says into what the user can do.
func (d *Dump) explain(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	file := d.file
	if d.next != "" {
		file = d.next
	}
	n := serverErrorNumber(err)
	if passes(n) {
		return lull.Errorf(lull.Unreachable, "run it again; it starts where it is told to", "read binlog %s from %s: %w", file, d.conn.DSN.Where(), err)
	}
	switch n {
	case 0:
		if d.follow != nil && d.follow.out.Load() {
			err = errSilent
		}
		if isNetwork(err) {
			return lull.Errorf(lull.Unreachable, "run it again; it starts where it is told to", "read binlog %s from %s: %w", file, d.conn.DSN.Where(), shorten(err))
		}
		return fmt.Errorf("read binlog %s from %s: %w", file, d.conn.DSN.Where(), err)
	case errSpecificAccessDenied, errAccessDenied:
		return lull.Errorf(lull.Usage, "GRANT REPLICATION SLAVE ON *.* TO "+d.conn.Account, "read binlog %s: %w", file, err)
	case errBinlogDump:
		return explainDump(file, err)
	default:
		return lull.Errorf(lull.Failed, "", "read binlog %s: %w", file, err)
	}
}

// explainDump sorts the many meanings of error 1236 by its text.
func explainDump(file string, err error) error {
	text := strings.ToLower(err.Error())
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("not open", "log-bin", "binlog is disabled"):
		return lull.Errorf(lull.Usage, "put log_bin into my.cnf and restart; what happened before is not recorded", "read binlog: the server writes none: %w", err)
	case has("could not find first log", "could not open log", "could not find next log", "purged"):
		return lull.Errorf(lull.Failed, "SHOW BINARY LOGS lists what is left; lull check --db says how long logs are kept", "read binlog %s: the server has it no more: %w", file, err)
	case has("decrypt", "encrypt", "keyring"):
		return lull.Errorf(lull.Failed, "give the server its encryption key back (keyring or file_key_management)", "read binlog %s: the server cannot decrypt it: %w", file, err)
	case has("impossible position", "> file size", "position"):
		return lull.Errorf(lull.Usage, "the position must be the offset of an event inside the file", "read binlog %s: no event starts there: %w", file, err)
	}
	return lull.Errorf(lull.Failed, "", "read binlog %s: %w", file, err)
}

// FirstTimestamp is when a binlog was begun: the time of its first event that has one, to
// the second. Transactions in the file committed later, though a statement in it may have
// begun earlier. It costs one connection and reads no more than the first events.
func (c *Conn) FirstTimestamp(ctx context.Context, file string) (t time.Time, err error) {
	d, err := c.Dump(ctx, file, magicSize)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for {
		switch err := d.s.next(); {
		case errors.Is(err, io.EOF):
			return time.Time{}, fmt.Errorf("read binlog %s: no event in it has a time", file)
		case err != nil:
			return time.Time{}, d.fail(err)
		}
		if seconds := d.s.eventSeconds(); seconds != 0 && d.s.eventFlags()&flagArtificial == 0 {
			return time.Unix(seconds, 0).UTC(), nil
		}
		if err := d.s.skip(); err != nil {
			return time.Time{}, d.fail(err)
		}
	}
}
