package binlog

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// payload is a transaction that MySQL wrote compressed (binlog_transaction_compression): one
// event that holds the others. It is unpacked as a stream, because it may unfold to far more
// than fits in memory.
type payload struct {
	body   *bodyReader
	z      *zstd.Decoder
	events *reader
	pos    int64
	end    int64
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

func openPayload(src *reader, ev *rawEvent) (*payload, error) {
	p := &payload{pos: ev.pos, end: ev.pos + int64(ev.Size)}
	p.body = src.stream(ev)
	in := bufio.NewReaderSize(p.body, 64<<10)
	method, err := payloadMethod(in)
	if err != nil {
		return nil, p.damaged(err)
	}
	var plain io.Reader = in
	switch method {
	case compressionNone:
	case compressionZstd:
		p.z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, p.damaged(err)
		}
		plain = p.z
	default:
		return nil, &UnsupportedError{p.pos, fmt.Sprintf("transaction compressed by method %d", method)}
	}
	p.events = newReader(plain, Options{NoMagic: true})
	return p, nil
}

func (p *payload) damaged(err error) error {
	if short, ok := errors.AsType[*CorruptError](err); ok {
		return short
	}
	return &CorruptError{Pos: p.pos, Reason: fmt.Sprintf("compressed transaction: %v", err)}
}

// finish ends the payload after its last inner event; err is why no more came.
func (p *payload) finish(err error) error {
	if p.z != nil {
		p.z.Close()
	}
	if !errors.Is(err, io.EOF) {
		if inner, ok := errors.AsType[*CorruptError](err); ok && !inner.Short {
			err = errors.New(inner.Reason)
		}
		return p.damaged(err)
	}
	return p.body.close()
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
