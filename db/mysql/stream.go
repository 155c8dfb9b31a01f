package mysql

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	driverpkg "github.com/go-sql-driver/mysql"
)

// Event types and flags of the binlog that the stream itself must know.
const (
	eventRotate      = 4
	eventFormat      = 15
	eventHeartbeat   = 27
	eventHeartbeatV2 = 41

	flagArtificial = 0x20
	flagInUse      = 0x01

	headerSize   = 19
	checksumSize = 4
	magicSize    = 4

	maxPacket      = 1<<24 - 1 // a packet this long is continued in the next one
	streamBuffer   = 1 << 20
	maxSmallEvent  = 64 << 10 // ROTATE and FORMAT_DESCRIPTION events are far smaller
	packetOK       = 0x00
	packetEOF      = 0xfe
	packetError    = 0xff
	maxErrorPacket = 4 << 10
)

// errStream says that the bytes are no binlog stream.
var errStream = errors.New("binlog stream is damaged")

// stream reads what a server answers to COM_BINLOG_DUMP: packets, each of which starts an
// event or goes on with one. It holds no event in memory.
type stream struct {
	br     *bufio.Reader
	seq    byte
	packet int  // bytes of the current packet not read yet
	more   bool // the current packet is full: its payload goes on in the next one

	head  [headerSize]byte // header of the current event
	given int              // bytes of head that were handed out
	body  int64            // bytes of the current event after its header not read yet
}

func newStream(r io.Reader) *stream {
	// COM_BINLOG_DUMP itself was packet 0.
	return &stream{br: bufio.NewReaderSize(r, streamBuffer), seq: 1}
}

func (s *stream) eventType() byte     { return s.head[4] }
func (s *stream) eventSize() int64    { return int64(binary.LittleEndian.Uint32(s.head[9:])) }
func (s *stream) eventLogPos() int64  { return int64(binary.LittleEndian.Uint32(s.head[13:])) }
func (s *stream) eventFlags() uint16  { return binary.LittleEndian.Uint16(s.head[17:]) }
func (s *stream) eventSeconds() int64 { return int64(binary.LittleEndian.Uint32(s.head[:])) }

// nextPacket reads a packet's header.
func (s *stream) nextPacket() error {
	h, err := s.br.Peek(4)
	if err != nil {
		return cut(err)
	}
	if h[3] != s.seq && h[3] != 0 {
		return fmt.Errorf("%w: packet %d comes where %d is due", errStream, h[3], s.seq)
	}
	s.packet = int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	s.more = s.packet == maxPacket
	s.seq = h[3] + 1
	_, err = s.br.Discard(4)
	return err
}

// mayWait says, between two events, that there is no next one to be had without waiting for the
// server. A heartbeat is none, and nobody knows when something follows it.
func (s *stream) mayWait() bool {
	const typeAt = 4 + 1 + 4 // behind the packet's header and its status
	if s.br.Buffered() < 2*headerSize {
		return true
	}
	h, err := s.br.Peek(typeAt + 1)
	return err != nil || h[typeAt] == eventHeartbeat || h[typeAt] == eventHeartbeatV2
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next goes to the next event: its header is in s.head. io.EOF is the end of the stream, a
// *driverpkg.MySQLError what the server ended it with. The current event must be read up.
func (s *stream) next() error {
	if err := s.nextPacket(); err != nil {
		return err
	}
	if s.packet == 0 {
		return fmt.Errorf("%w: empty packet", errStream)
	}
	status, err := s.br.ReadByte()
	if err != nil {
		return cut(err)
	}
	s.packet--
	switch status {
	case packetOK:
	case packetEOF:
		return io.EOF
	case packetError:
		return s.serverError()
	default:
		return fmt.Errorf("%w: packet status %#x", errStream, status)
	}
	if s.packet < headerSize {
		return fmt.Errorf("%w: event of %d bytes", errStream, s.packet)
	}
	if _, err := io.ReadFull(s.br, s.head[:]); err != nil {
		return cut(err)
	}
	s.packet -= headerSize
	s.given = 0
	s.body = s.eventSize() - headerSize
	if s.body < int64(s.packet) || s.body > int64(s.packet) && !s.more {
		return fmt.Errorf("%w: event header says %d bytes, its packet has %d", errStream, s.eventSize(), s.packet+headerSize)
	}
	return s.endEvent()
}

// serverError reads an error packet.
func (s *stream) serverError() error {
	b := make([]byte, min(s.packet, maxErrorPacket))
	if _, err := io.ReadFull(s.br, b); err != nil {
		return cut(err)
	}
	if len(b) < 2 {
		return fmt.Errorf("%w: error packet of %d bytes", errStream, len(b))
	}
	e := &driverpkg.MySQLError{Number: binary.LittleEndian.Uint16(b)}
	b = b[2:]
	if len(b) >= 6 && b[0] == '#' {
		copy(e.SQLState[:], b[1:6])
		b = b[6:]
	}
	e.Message = strings.ToValidUTF8(string(b), "?")
	return e
}

// read reads on in the current event, header first. It returns 0 at the event's end.
func (s *stream) read(p []byte) (int, error) {
	if s.given < headerSize {
		n := copy(p, s.head[s.given:])
		s.given += n
		return n, nil
	}
	n, err := s.fill()
	if err != nil || n == 0 {
		return 0, err
	}
	n, err = io.ReadAtLeast(s.br, p[:min(len(p), n)], 1)
	if err != nil {
		return 0, cut(err)
	}
	return n, s.used(n)
}

// skip discards what is left of the current event.
func (s *stream) skip() error {
	s.given = headerSize
	for {
		n, err := s.fill()
		if err != nil || n == 0 {
			return err
		}
		n, err = s.br.Discard(n)
		if err != nil {
			return cut(err)
		}
		if err := s.used(n); err != nil {
			return err
		}
	}
}

// fill is how many bytes of the event's body the current packet still has, 0 at its end.
func (s *stream) fill() (int, error) {
	if s.body == 0 {
		return 0, nil
	}
	if s.packet == 0 {
		if !s.more {
			return 0, fmt.Errorf("%w: event ends %d bytes early", errStream, s.body)
		}
		if err := s.nextPacket(); err != nil {
			return 0, err
		}
		if s.packet == 0 {
			return 0, fmt.Errorf("%w: event ends %d bytes early", errStream, s.body)
		}
	}
	return int(min(int64(s.packet), s.body)), nil
}

func (s *stream) used(n int) error {
	s.packet -= n
	s.body -= int64(n)
	return s.endEvent()
}

// endEvent checks, at the end of an event, that its packets end as well: after a full
// packet comes an empty one.
func (s *stream) endEvent() error {
	if s.body > 0 {
		return nil
	}
	if s.packet == 0 && s.more {
		if err := s.nextPacket(); err != nil {
			return err
		}
	}
	if s.packet != 0 || s.more {
		return fmt.Errorf("%w: packet is longer than its event", errStream)
	}
	return nil
}

// small reads the whole current event into memory, which only small kinds may.
func (s *stream) small() ([]byte, error) {
	if s.eventSize() > maxSmallEvent {
		return nil, fmt.Errorf("%w: event type %d of %d bytes", errStream, s.eventType(), s.eventSize())
	}
	b := make([]byte, s.eventSize())
	for n := 0; n < len(b); {
		m, err := s.read(b[n:])
		if err != nil {
			return nil, err
		}
		n += m
	}
	return b, nil
}

// isArtificial tells the ROTATE that the server makes up to name a file from the one at
// the end of a file.
func (s *stream) isArtificial() bool {
	return s.eventFlags()&flagArtificial != 0 || s.eventSeconds() == 0 && s.eventLogPos() == 0
}

// rotateFile is the file that a ROTATE event names. Whether an artificial one has a
// checksum depends on the server's version, so it is tried.
func rotateFile(event []byte) (string, error) {
	if len(event) < headerSize+8+1 {
		return "", fmt.Errorf("%w: ROTATE event of %d bytes", errStream, len(event))
	}
	if n := len(event) - checksumSize; n > headerSize+8 &&
		crc32.ChecksumIEEE(event[:n]) == binary.LittleEndian.Uint32(event[n:]) {
		event = event[:n]
	}
	return string(event[headerSize+8:]), nil
}
