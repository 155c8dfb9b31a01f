// Package binlog decodes the binary logs of MySQL 5.6-9.x and MariaDB 10-12: events, table
// maps, row images, GTIDs, compressed events and transactions. It reads from an io.Reader
// and does no other I/O; it knows nothing of servers, and of tables only what the log says.
//
// The formats are those of the servers' own documentation: the MySQL "Replication Protocol"
// chapter of the internals manual and the MariaDB "Replication Protocol" pages.
package binlog

import (
	"encoding/binary"
	"fmt"
)

// Magic opens every binlog file.
const Magic = "\xfebin"

// encryptedMagic opens a binlog that MySQL encrypted (binlog_encryption=ON).
const encryptedMagic = "\xfdbin"

const (
	headerSize   = 19
	checksumSize = 4
)

// EventType is the type byte of an event header.
type EventType byte

// The event types Lull reads; all others are passed over.
const (
	QueryEvent              EventType = 2
	StopEvent               EventType = 3
	RotateEvent             EventType = 4
	FormatDescriptionEvent  EventType = 15
	XIDEvent                EventType = 16
	TableMapEvent           EventType = 19
	WriteRowsV0             EventType = 20
	UpdateRowsV0            EventType = 21
	DeleteRowsV0            EventType = 22
	WriteRowsV1             EventType = 23
	UpdateRowsV1            EventType = 24
	DeleteRowsV1            EventType = 25
	IncidentEvent           EventType = 26
	HeartbeatEvent          EventType = 27
	RowsQueryEvent          EventType = 29
	WriteRowsV2             EventType = 30
	UpdateRowsV2            EventType = 31
	DeleteRowsV2            EventType = 32
	GTIDEvent               EventType = 33
	AnonymousGTIDEvent      EventType = 34
	XAPrepareEvent          EventType = 38
	PartialUpdateRowsEvent  EventType = 39
	TransactionPayloadEvent EventType = 40
	HeartbeatV2Event        EventType = 41
	GTIDTaggedEvent         EventType = 42

	MariaAnnotateRowsEvent    EventType = 160
	MariaGTIDEvent            EventType = 162
	MariaStartEncryptionEvent EventType = 164
	MariaQueryCompressed      EventType = 165
	MariaWriteRowsCompV1      EventType = 166
	MariaUpdateRowsCompV1     EventType = 167
	MariaDeleteRowsCompV1     EventType = 168
	MariaWriteRowsComp        EventType = 169
	MariaUpdateRowsComp       EventType = 170
	MariaDeleteRowsComp       EventType = 171
)

// Header is the common header of an event, 19 bytes.
type Header struct {
	Time   uint32 // seconds since 1970, when the statement began
	Type   EventType
	Server uint32 // server_id of the origin
	Size   uint32 // whole event with header and checksum
	LogPos uint32 // offset behind the event, modulo 2^32; 0 inside MariaDB 11.8 transactions
	Flags  uint16
}

func parseHeader(b []byte) Header {
	return Header{
		Time:   binary.LittleEndian.Uint32(b),
		Type:   EventType(b[4]),
		Server: binary.LittleEndian.Uint32(b[5:]),
		Size:   binary.LittleEndian.Uint32(b[9:]),
		LogPos: binary.LittleEndian.Uint32(b[13:]),
		Flags:  binary.LittleEndian.Uint16(b[17:]),
	}
}

// CorruptError says at which byte a log stops making sense. What came before it is good.
type CorruptError struct {
	Pos    int64 // offset in the file of the event that is damaged
	Reason string
	// Short says that the log ends in the middle of the event: it was cut off, or is being written.
	Short bool
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("binlog is damaged at byte %d: %s", e.Pos, e.Reason)
}

// UnsupportedError says that the log needs something that Lull cannot read.
type UnsupportedError struct {
	Pos    int64
	Reason string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("cannot read binlog at byte %d: %s", e.Pos, e.Reason)
}

// cursor takes fields off the front of a byte slice; bad is set by the first read past the end.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad = true
		c.b = nil
		return nil
	}
	out := c.b[:n:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// uint reads an n byte little endian number.
func (c *cursor) uint(n int) uint64 {
	var v uint64
	for i, x := range c.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// packed reads a length-encoded integer of the MySQL protocol.
func (c *cursor) packed() uint64 {
	switch f := c.u8(); f {
	case 252:
		return c.uint(2)
	case 253:
		return c.uint(3)
	case 254:
		return c.uint(8)
	case 251, 255:
		c.bad = true
		return 0
	default:
		return uint64(f)
	}
}

// packedBytes reads a length-encoded string.
func (c *cursor) packedBytes() []byte {
	n := c.packed()
	if n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}
