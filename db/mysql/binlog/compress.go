package binlog

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// maxInflated bounds what one compressed event may unfold to: the servers' own limit for an
// uncompressed event is 1 GiB (max_allowed_packet).
const maxInflated = 1 << 30

// inflater unpacks MariaDB's compressed events (log_bin_compress) into a buffer it reuses.
type inflater struct {
	src bytes.Reader
	z   io.ReadCloser
	buf []byte
}

// inflate reads a header byte (algorithm in bits 4-6, 0 being zlib; length of the length in
// bits 0-2), the big endian length and a zlib stream.
func (f *inflater) inflate(b []byte) ([]byte, error) {
	if len(b) < 1 || b[0]&0x70 != 0 {
		return nil, errors.New("unknown compression")
	}
	n := int(b[0] & 7)
	if n < 1 || n > 4 || len(b) < 1+n {
		return nil, errors.New("compressed part is cut short")
	}
	size := 0
	for _, x := range b[1 : 1+n] {
		size = size<<8 | int(x)
	}
	if size > maxInflated {
		return nil, fmt.Errorf("compressed part unfolds to %d bytes", size)
	}
	f.src.Reset(b[1+n:])
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return f.read(size)
}

func (f *inflater) open() error {
	if f.z == nil {
		z, err := zlib.NewReader(&f.src)
		f.z = z
		return err
	}
	return f.z.(zlib.Resetter).Reset(&f.src, nil)
}

// read takes size bytes; the buffer grows as data arrives, whatever the header claims.
func (f *inflater) read(size int) ([]byte, error) {
	f.buf = f.buf[:0]
	for len(f.buf) < size {
		if len(f.buf) == cap(f.buf) {
			f.buf = append(f.buf, make([]byte, min(size-len(f.buf), max(64<<10, len(f.buf))))...)[:len(f.buf)]
		}
		n, err := f.z.Read(f.buf[len(f.buf):min(cap(f.buf), size)])
		f.buf = f.buf[:len(f.buf)+n]
		if err != nil && len(f.buf) < size {
			return nil, fmt.Errorf("decompress: %w", err)
		}
	}
	return f.buf, nil
}
