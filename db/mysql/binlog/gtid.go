package binlog

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

var errGTID = errors.New("GTID event is cut short")

// MariaDB's GTID event flags.
const (
	mariaStandalone    = 1
	mariaGroupCommit   = 2
	mariaPreparedXA    = 64
	mariaCompletedXA   = 128
	mariaExtraEngines  = 1
	mariaExtraAlter    = 2 | 4 | 8
	mariaExtraThreadID = 16
)

// gtid is what a GTID event says of the transaction that follows.
type gtid struct {
	text   string
	commit time.Time // zero when the event has no commit time
	thread uint32
}

// parseMariaGTID reads MariaDB's GTID event: sequence 8 bytes, domain 4, flags 1, then parts
// that the flags announce.
func parseMariaGTID(h Header, body []byte) (gtid, error) {
	c := cursor{b: body}
	seq, domain, flags := c.uint(8), c.uint(4), c.u8()
	if c.bad {
		return gtid{}, errGTID
	}
	g := gtid{text: fmt.Sprintf("%d-%d-%d", domain, h.Server, seq)}
	if flags&mariaGroupCommit != 0 {
		c.take(8)
	}
	if flags&(mariaPreparedXA|mariaCompletedXA) != 0 {
		c.take(4)
		gl, bl := int(c.u8()), int(c.u8())
		c.take(gl + bl)
		if c.bad {
			return gtid{}, errGTID
		}
	} else if flags&mariaGroupCommit == 0 {
		c.take(6) // reserved
	}
	g.thread = mariaExtraThread(&c)
	return g, nil
}

// mariaExtraThread reads the flags that MariaDB 10.8 and 11.5 appended and finds the thread id.
func mariaExtraThread(c *cursor) uint32 {
	if len(c.b) == 0 {
		return 0
	}
	extra := c.u8()
	if extra&mariaExtraEngines != 0 {
		c.take(1)
	}
	if extra&mariaExtraAlter != 0 {
		c.take(8)
	}
	if extra&mariaExtraThreadID == 0 {
		return 0
	}
	id := uint32(c.uint(min(len(c.b), 8)))
	if c.bad {
		return 0
	}
	return id
}

func xidText(format uint32, gtrid, bqual []byte) string {
	return fmt.Sprintf("X'%x',X'%x',%d", gtrid, bqual, format)
}

// parseGTID reads MySQL's GTID event: flags 1 byte, server uuid 16, number 8, logical clock
// 1+8+8, then from 8.0 the commit times in microseconds, 7 bytes each, the original one only
// when the first has its highest bit set.
func parseGTID(body []byte, anonymous bool) (gtid, error) {
	c := cursor{b: body}
	c.u8()
	uuid := c.take(16)
	n := c.uint(8)
	if c.bad {
		return gtid{}, errGTID
	}
	var g gtid
	if !anonymous {
		g.text = fmt.Sprintf("%s:%d", uuidText(uuid), n)
	}
	if len(c.b) >= 1+16+7 && c.u8() == 2 {
		c.take(16)
		t := c.uint(7)
		const differs = 1 << 55
		if t&differs != 0 {
			t &^= differs
			if original := c.uint(7); !c.bad && original > 0 {
				t = original
			}
		}
		g.commit = time.UnixMicro(int64(t)).UTC()
	}
	return g, nil
}

func uuidText(b []byte) string {
	var out [36]byte
	hex.Encode(out[0:], b[:4])
	hex.Encode(out[9:], b[4:6])
	hex.Encode(out[14:], b[6:8])
	hex.Encode(out[19:], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// The fields of a tagged GTID event (MySQL 8.3), by id.
const (
	taggedFlags = iota
	taggedUUID
	taggedNumber
	taggedTag
	taggedLastCommitted
	taggedSequence
	taggedImmediateCommit
	taggedOriginalCommit
)

// parseTaggedGTID reads MySQL's serialization format: version, size and last field id as
// variable-length integers, then each field behind its id.
func parseTaggedGTID(body []byte) (gtid, error) {
	c := cursor{b: body}
	c.varint()
	c.varint()
	c.varint()
	var uuid [16]byte
	var n, commit uint64
	var tag string
fields:
	for len(c.b) > 0 && !c.bad {
		switch id := c.varint(); id {
		case taggedFlags:
			c.varint()
		case taggedUUID:
			for i := range uuid {
				uuid[i] = byte(c.varint())
			}
		case taggedNumber:
			n = uint64(c.signedVarint())
		case taggedTag:
			l := c.varint()
			if l > 32 {
				return gtid{}, errGTID
			}
			tag = string(c.take(int(l)))
		case taggedLastCommitted, taggedSequence:
			c.signedVarint()
		case taggedImmediateCommit:
			commit = c.varint()
		case taggedOriginalCommit:
			commit = c.varint()
		default:
			break fields
		}
	}
	if c.bad {
		return gtid{}, errGTID
	}
	g := gtid{text: uuidText(uuid[:])}
	if tag != "" {
		g.text += ":" + tag
	}
	g.text += fmt.Sprintf(":%d", n)
	if commit > 0 {
		g.commit = time.UnixMicro(int64(commit)).UTC()
	}
	return g, nil
}

// varint reads MySQL's serialized integer: as many bytes follow the first as it has trailing
// one bits, and the value lies above them.
func (c *cursor) varint() uint64 {
	first := c.u8()
	extra := 0
	for extra < 8 && first>>extra&1 == 1 {
		extra++
	}
	rest := c.uint(extra)
	if extra >= 8 {
		return rest
	}
	low := uint64(first) >> (extra + 1)
	return low | rest<<(7-extra)
}

// signedVarint keeps the sign in the lowest bit; negative values are complemented.
func (c *cursor) signedVarint() int64 {
	v := c.varint()
	if v&1 == 1 {
		return ^int64(v >> 1)
	}
	return int64(v >> 1)
}
