package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// readAhead is the size of one read from the source. It fits into a processor's second cache,
// so that what the read has just copied is still there when it is parsed.
const readAhead = 256 << 10

// readFirst is the size of the first read: most compressed transactions are small.
const readFirst = 16 << 10

// implausible is the size from which an event's length must agree with its position, before
// memory is spent on it.
const implausible = 16 << 20

// rawEvent is one event as it lies in the log. Body is without header and checksum and is
// valid until the next call of next.
type rawEvent struct {
	Header
	pos  int64 // offset of the first byte in the file
	body []byte
}

// Options say what an event source holds.
type Options struct {
	// Start is the offset of the event behind the format description, when the source
	// jumps there; 0 when it follows directly.
	Start int64
	// NoMagic says that the source begins with the format description event, as the
	// replication protocol sends it, and not with the four magic bytes of a file.
	NoMagic bool
	// SkipChecksums leaves event checksums unverified.
	SkipChecksums bool
}

// reader cuts a byte stream into events and verifies their checksums.
type reader struct {
	src       io.Reader
	opts      Options
	buf       []byte
	r, w      int
	pos       int64
	started   bool
	formatted bool   // a format description was read
	checksum  bool   // events end with a CRC32
	logPos    uint32 // of the last event
	srcErr    error
}

func newReader(src io.Reader, opts Options) *reader {
	return &reader{src: src, opts: opts, buf: make([]byte, readFirst)}
}

// fill makes at least n bytes available at r.buf[r.r:]. The buffer grows only as bytes
// arrive, so that a damaged length cannot claim memory the source does not back.
func (r *reader) fill(n int) error {
	for r.w-r.r < n {
		if r.srcErr != nil {
			return r.srcErr
		}
		if r.r > 0 {
			into := r.buf
			if r.w == len(r.buf) && len(r.buf) < readAhead { // the source has more to give
				into = make([]byte, 4*len(r.buf))
			}
			r.w = copy(into, r.buf[r.r:r.w])
			r.buf, r.r = into, 0
		}
		if r.w == len(r.buf) {
			r.buf = append(r.buf, make([]byte, min(len(r.buf), n-len(r.buf)))...)
		}
		r.read()
	}
	return nil
}

// read reads once from the source, or more often while it gives nothing.
func (r *reader) read() {
	for range 100 {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if err != nil {
			r.srcErr = err
		}
		if n > 0 || err != nil {
			return
		}
	}
	r.srcErr = io.ErrNoProgress
}

// reset starts over with another source of the same kind.
func (r *reader) reset(src io.Reader) {
	*r = reader{src: src, opts: r.opts, buf: r.buf}
}

// have is how many bytes are buffered.
func (r *reader) have() int { return r.w - r.r }

// begin checks the magic bytes.
func (r *reader) begin() error {
	r.started = true
	r.pos = 4
	if r.opts.NoMagic {
		return nil
	}
	if err := r.fill(4); err != nil {
		return r.short(0, err, "the file is shorter than its four magic bytes")
	}
	switch string(r.buf[r.r : r.r+4]) {
	case Magic:
	case encryptedMagic:
		return &UnsupportedError{0, "the file is encrypted (binlog_encryption=ON); read it through the server with --db, which decrypts it"}
	default:
		return &CorruptError{Pos: 0, Reason: fmt.Sprintf("it starts with % x, not with a binlog's fe 62 69 6e", r.buf[r.r:r.r+4])}
	}
	r.r += 4
	return nil
}

// short turns the end of the source within an event into a CorruptError; other errors of
// the source pass unchanged.
func (r *reader) short(pos int64, err error, reason string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &CorruptError{Pos: pos, Reason: reason, Short: true}
	}
	return err
}

// take reads the event whose header head has just read.
func (r *reader) take(ev *rawEvent) error {
	size := int(ev.Size)
	if r.have() < size {
		if err := r.load(ev); err != nil {
			return err
		}
	}
	return r.finish(ev, r.buf[r.r:r.r+size])
}

// load buffers a whole event.
func (r *reader) load(ev *rawEvent) error {
	size := int(ev.Size)
	if err := r.plausible(ev); err != nil {
		return err
	}
	if err := r.fill(size); err != nil {
		return r.short(ev.pos, err, fmt.Sprintf("the log ends %d bytes into an event of %d", r.have(), size))
	}
	return nil
}

// plausible refuses a large event whose length and position do not agree, unless positions say
// nothing: relay logs have those of another file, MariaDB 11.8 has none inside transactions.
func (r *reader) plausible(ev *rawEvent) error {
	if ev.Size < implausible || ev.LogPos == 0 || r.logPos != uint32(ev.pos) || ev.LogPos == uint32(ev.pos+int64(ev.Size)) {
		return nil
	}
	return &CorruptError{Pos: ev.pos, Reason: fmt.Sprintf("event length %d and log position %d do not agree", ev.Size, ev.LogPos)}
}

// head reads the next header without consuming it.
func (r *reader) head(ev *rawEvent) error {
	if !r.started {
		if err := r.begin(); err != nil {
			return err
		}
	}
	if r.have() < headerSize {
		if err := r.fill(headerSize); err != nil {
			if errors.Is(err, io.EOF) && r.have() == 0 {
				return io.EOF
			}
			return r.short(r.pos, err, fmt.Sprintf("the log ends %d bytes into an event header", r.have()))
		}
	}
	ev.Header = parseHeader(r.buf[r.r:])
	ev.pos = r.pos
	if ev.Size < headerSize {
		return &CorruptError{Pos: r.pos, Reason: fmt.Sprintf("event length %d is shorter than a header", ev.Size)}
	}
	return nil
}

// finish verifies and strips the checksum of the whole event b and consumes it.
func (r *reader) finish(ev *rawEvent, b []byte) error {
	if ev.Type == FormatDescriptionEvent {
		if err := r.format(ev, b); err != nil {
			return err
		}
	} else {
		end := len(b)
		if r.checksum {
			end -= checksumSize
			if end < headerSize {
				return &CorruptError{Pos: ev.pos, Reason: "event is too short for its checksum"}
			}
			if !r.opts.SkipChecksums && crc32.ChecksumIEEE(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
				return &CorruptError{Pos: ev.pos, Reason: "checksum does not match"}
			}
		}
		ev.body = b[headerSize:end]
	}
	r.r += len(b)
	r.pos += int64(len(b))
	r.logPos = ev.LogPos
	return nil
}

// format reads a format description event: whether checksums follow. Its own last five
// bytes are the algorithm and its checksum, from MySQL 5.6 and MariaDB 5.3 on.
func (r *reader) format(ev *rawEvent, b []byte) error {
	const fixed = headerSize + 2 + 50 + 4 + 1
	if r.formatted && r.checksum && !r.opts.SkipChecksums && !r.formatSum(b) {
		return &CorruptError{Pos: ev.pos, Reason: "checksum of a format description inside the log does not match"}
	}
	r.formatted = true
	if len(b) < fixed {
		return &CorruptError{Pos: ev.pos, Reason: "format description event is too short"}
	}
	if v := binary.LittleEndian.Uint16(b[headerSize:]); v != 4 {
		return &UnsupportedError{ev.pos, fmt.Sprintf("binlog version %d; version 4 (MySQL 5.0 and later) is read", v)}
	}
	if b[fixed-1] != headerSize {
		return &CorruptError{Pos: ev.pos, Reason: fmt.Sprintf("event header length %d, want %d", b[fixed-1], headerSize)}
	}
	r.checksum = false
	end := len(b)
	if version := b[headerSize+2 : headerSize+52]; knowsChecksums(version) && len(b) >= fixed+5 {
		end -= 5
		r.checksum = b[end] == 1
		if r.checksum && !r.opts.SkipChecksums && !r.formatSum(b) {
			return &CorruptError{Pos: ev.pos, Reason: "checksum of the format description does not match"}
		}
	}
	ev.body = b[headerSize:end]
	if r.opts.Start > 0 {
		r.pos = r.opts.Start - int64(len(b))
		r.opts.Start = 0
	}
	return nil
}

// formatSum verifies the checksum of a format description, which is computed as if the
// "log is being written" flag were clear.
func (r *reader) formatSum(b []byte) bool {
	end := len(b) - checksumSize
	if end < headerSize {
		return false
	}
	want := binary.LittleEndian.Uint32(b[end:])
	if crc32.ChecksumIEEE(b[:end]) == want {
		return true
	}
	sum := crc32.ChecksumIEEE(b[:17])
	sum = crc32.Update(sum, crc32.IEEETable, []byte{b[17] &^ 1})
	return crc32.Update(sum, crc32.IEEETable, b[18:end]) == want
}

// knowsChecksums reads a server version as the format description has it: checksums came
// with MySQL 5.6.1 and MariaDB 5.3.
func knowsChecksums(version []byte) bool {
	var n [3]int
	part := 0
	for _, c := range version {
		if c >= '0' && c <= '9' {
			n[part] = n[part]*10 + int(c-'0')
			if n[part] > 1000 {
				return true
			}
			continue
		}
		if c != '.' || part == 2 {
			break
		}
		part++
	}
	return n[0] > 5 || n[0] == 5 && (n[1] > 6 || n[1] == 6 && n[2] >= 1 || n[1] == 3 || n[1] == 5 && containsMaria(version))
}

func containsMaria(version []byte) bool {
	for i := 0; i+7 <= len(version); i++ {
		if string(version[i:i+7]) == "MariaDB" {
			return true
		}
	}
	return false
}
