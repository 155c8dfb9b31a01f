package binlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// verifyFirst is up to which size a streamed event is buffered, so that its checksum is
// verified before anything in it is believed.
const verifyFirst = 16 << 20

// bodyReader reads one event's body straight from the source, without buffering it whole.
// It must be read to the end, then closed.
type bodyReader struct {
	r        *reader
	left     int64
	sum      uint32
	verified bool
	pos      int64
	size     int64
	err      error // what reading ended with, other than io.EOF at the end of the body
}

// stream prepares to read the body of the event whose header head has just read.
func (r *reader) stream(ev *rawEvent) (bodyReader, error) {
	b := bodyReader{r: r, left: int64(ev.Size) - headerSize, pos: ev.pos, size: int64(ev.Size)}
	b.verified = !r.checksum || r.opts.SkipChecksums
	if r.checksum {
		b.left -= checksumSize
	}
	if b.left < 0 {
		return b, &CorruptError{Pos: ev.pos, Reason: "event is too short for its checksum"}
	}
	if err := r.plausible(ev); err != nil {
		return b, err
	}
	if !b.verified && ev.Size <= verifyFirst {
		if err := r.load(ev); err != nil {
			return b, err
		}
		whole := r.buf[r.r : r.r+int(ev.Size)]
		end := len(whole) - checksumSize
		if crc32.ChecksumIEEE(whole[:end]) != binary.LittleEndian.Uint32(whole[end:]) {
			return b, &CorruptError{Pos: ev.pos, Reason: "checksum does not match"}
		}
		b.verified = true
	}
	b.sum = crc32.ChecksumIEEE(r.buf[r.r : r.r+headerSize])
	r.r += headerSize
	return b, nil
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left <= 0 {
		return 0, io.EOF
	}
	if b.r.have() == 0 {
		if err := b.r.fill(1); err != nil {
			b.err = b.r.short(b.pos, err, fmt.Sprintf("the log ends %d bytes before the end of an event of %d", b.left, b.size))
			return 0, b.err
		}
	}
	n := copy(p[:min(int64(len(p)), b.left)], b.r.buf[b.r.r:b.r.w])
	if !b.verified {
		b.sum = crc32.Update(b.sum, crc32.IEEETable, b.r.buf[b.r.r:b.r.r+n])
	}
	b.r.r += n
	b.left -= int64(n)
	return n, nil
}

// close skips what was not read and verifies the checksum.
func (b *bodyReader) close() error {
	if _, err := io.Copy(io.Discard, b); err != nil {
		return err
	}
	if b.r.checksum {
		if err := b.r.fill(checksumSize); err != nil {
			return b.r.short(b.pos, err, "the log ends in an event's checksum")
		}
		want := binary.LittleEndian.Uint32(b.r.buf[b.r.r:])
		b.r.r += checksumSize
		if !b.verified && want != b.sum {
			return &CorruptError{Pos: b.pos, Reason: "checksum does not match"}
		}
	}
	b.r.pos += b.size
	return nil
}
