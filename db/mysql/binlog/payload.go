package binlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// payload is a transaction that MySQL wrote compressed (binlog_transaction_compression): one
// event that holds the others. It is unpacked as a stream, because it may unfold to far more
// than fits in memory. Its buffers serve one transaction after the other.
type payload struct {
	body   bodyReader
	in     *bufio.Reader
	z      *zstd.Decoder
	events *reader
	pos    int64
	end    int64
	done   bool // the last event was read and the checksum found right
}

// The fields of a payload header, each with packed type, length and value.
const (
	payloadEnd         = 0
	payloadCompression = 2

	compressionZstd = 0
	compressionNone = 255
)

// maxWindow bounds the memory one zstd stream may ask for.
const maxWindow = 128 << 20

func newPayload() *payload {
	p := &payload{events: newReader(nil, Options{NoMagic: true})}
	p.in = bufio.NewReaderSize(&p.body, readFirst)
	return p
}

// open starts on the event whose header src.head has just read.
func (p *payload) open(src *reader, ev *rawEvent) error {
	p.pos, p.end, p.done = ev.pos, ev.pos+int64(ev.Size), false
	var err error
	if p.body, err = src.stream(ev); err != nil {
		return err
	}
	p.in.Reset(&p.body)
	method, err := payloadMethod(p.in)
	if err != nil {
		return p.damaged(err)
	}
	switch method {
	case compressionNone:
		p.events.reset(p.in)
	case compressionZstd:
		if err := p.decompress(); err != nil {
			return p.damaged(err)
		}
		p.events.reset(p.z)
	default:
		return &UnsupportedError{p.pos, fmt.Sprintf("transaction compressed by method %d", method)}
	}
	return nil
}

// decompress makes the decoder, or turns it to the new payload. With a concurrency of one it
// runs in the reading goroutine and needs no closing.
func (p *payload) decompress() (err error) {
	if p.z != nil {
		return p.z.Reset(p.in)
	}
	p.z, err = zstd.NewReader(p.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	return err
}

// next reads the next event inside; io.EOF ends the payload. The event that commits is only
// handed out when the whole payload has proved right.
func (p *payload) next(ev *rawEvent) error {
	if p.done {
		return io.EOF
	}
	err := p.events.head(ev)
	if err == nil && ev.Size > maxInflated {
		err = fmt.Errorf("an event unfolds to %d bytes", ev.Size)
	}
	if err == nil {
		err = p.events.take(ev)
	}
	switch {
	case errors.Is(err, io.EOF):
		return p.finish()
	case err != nil:
		return p.damaged(err)
	case ev.Type != XIDEvent && ev.Type != XAPrepareEvent:
		return nil
	}
	ev.body = bytes.Clone(ev.body) // what follows moves the buffer
	var more rawEvent
	if err := p.events.head(&more); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("events follow the commit")
		}
		return p.damaged(err)
	}
	if err := p.finish(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// finish ends the payload after its last inner event; io.EOF says that all was well.
func (p *payload) finish() error {
	if err := p.body.close(); err != nil {
		return err
	}
	p.done = true
	return io.EOF
}

// damaged gives an error of what is inside the place of the payload.
func (p *payload) damaged(err error) error {
	if p.body.err != nil {
		return p.body.err
	}
	if inner, ok := errors.AsType[*CorruptError](err); ok {
		err = errors.New(inner.Reason)
	}
	return &CorruptError{Pos: p.pos, Reason: fmt.Sprintf("compressed transaction: %v", err)}
}

// payloadMethod reads the header's fields up to its end mark and returns the compression.
func payloadMethod(in *bufio.Reader) (uint64, error) {
	method := uint64(compressionNone)
	for {
		kind, err := readPacked(in)
		if err != nil || kind == payloadEnd {
			return method, err
		}
		size, err := readPacked(in)
		if err != nil {
			return 0, err
		}
		if size > 1<<10 {
			return 0, errors.New("header field is too long")
		}
		field := make([]byte, size)
		if _, err := io.ReadFull(in, field); err != nil {
			return 0, err
		}
		if kind == payloadCompression {
			c := cursor{b: field}
			if method = c.packed(); c.bad {
				return 0, errors.New("header is cut short")
			}
		}
	}
}

func readPacked(in *bufio.Reader) (uint64, error) {
	first, err := in.ReadByte()
	if err != nil {
		return 0, err
	}
	n := map[byte]int{252: 2, 253: 3, 254: 8}[first]
	if n == 0 {
		return uint64(first), nil
	}
	var b [9]byte
	b[0] = first
	if _, err := io.ReadFull(in, b[1:1+n]); err != nil {
		return 0, err
	}
	c := cursor{b: b[:1+n]}
	return c.packed(), nil
}
