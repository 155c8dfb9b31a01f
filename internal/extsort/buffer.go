package extsort

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// buffer gathers records in memory in blocks of bytes, with a fixed-size entry for each.
type buffer struct {
	limit  int // bytes that blocks and entries may take
	block  int // bytes of an ordinary block
	used   int // bytes that blocks take
	blocks [][]byte
	spare  [][]byte // empty ordinary blocks, counted in used
	entry  []entry
	sorted bool // entries are in order as they came
}

// entry finds a record. at counts up with each record, so it also breaks ties.
type entry struct {
	prefix uint64 // first eight bytes of the key, big endian, padded with zeros
	at     uint64 // block number << 32 | offset
}

const (
	entrySize = 16
	minBlock  = 4 << 10
	maxBlock  = 256 << 10
	maxHeader = 2 * binary.MaxVarintLen64
)

func newBuffer(limit int) buffer {
	return buffer{limit: limit, block: min(max(limit/64, minBlock), maxBlock), sorted: true}
}

// add copies the record in. It returns false, and changes nothing, when the bound does not
// allow it and something else is there already; a first record always fits.
func (b *buffer) add(key, value []byte) bool {
	size := maxHeader + len(key) + len(value)
	if !b.room(size) {
		return false
	}
	last := len(b.blocks) - 1
	at := uint64(last)<<32 | uint64(len(b.blocks[last]))
	e := entry{prefix: prefixOf(key), at: at}
	if n := len(b.entry); n > 0 && b.sorted {
		prev := b.entry[n-1]
		b.sorted = prev.prefix < e.prefix || prev.prefix == e.prefix && bytes.Compare(b.key(prev), key) <= 0
	}
	b.blocks[last] = appendRecord(b.blocks[last], key, value)
	b.entry = append(b.entry, e)
	return true
}

// room makes the last block hold size more bytes and the entries one more.
func (b *buffer) room(size int) bool {
	grow := 0
	if len(b.entry) == cap(b.entry) {
		// The old entries live on while they are copied, so both count.
		grow = max(256, cap(b.entry))
		if len(b.entry) > 0 && b.used+(2*cap(b.entry)+grow)*entrySize > b.limit {
			return false
		}
	}
	if last := len(b.blocks) - 1; last < 0 || cap(b.blocks[last])-len(b.blocks[last]) < size {
		if !b.addBlock(size, grow) {
			return false
		}
	}
	if grow > 0 {
		b.entry = append(make([]entry, 0, cap(b.entry)+grow), b.entry...)
	}
	return true
}

func (b *buffer) addBlock(size, grow int) bool {
	if n := len(b.spare); n > 0 && size <= b.block {
		b.blocks, b.spare = append(b.blocks, b.spare[n-1]), b.spare[:n-1]
		return true
	}
	alloc := max(size, b.block)
	if len(b.entry) > 0 && b.used+alloc+(cap(b.entry)+grow)*entrySize > b.limit {
		return false
	}
	b.blocks = append(b.blocks, make([]byte, 0, alloc))
	b.used += alloc
	return true
}

// reset forgets the records and keeps the memory, apart from blocks of an odd size.
func (b *buffer) reset() {
	for _, bl := range b.blocks {
		if cap(bl) == b.block {
			b.spare = append(b.spare, bl[:0])
		} else {
			b.used -= cap(bl)
		}
	}
	b.blocks, b.entry, b.sorted = b.blocks[:0], b.entry[:0], true
	clear(b.blocks[:cap(b.blocks)])
}

// free gives the memory back, too.
func (b *buffer) free() { *b = newBuffer(b.limit) }

func (b *buffer) sort() {
	if b.sorted {
		return
	}
	slices.SortFunc(b.entry, func(x, y entry) int {
		if x.prefix != y.prefix {
			return cmp.Compare(x.prefix, y.prefix)
		}
		if c := bytes.Compare(b.key(x), b.key(y)); c != 0 {
			return c
		}
		return cmp.Compare(x.at, y.at)
	})
	b.sorted = true
}

// record is the whole record as appendRecord wrote it, split into its parts.
func (b *buffer) record(e entry) (raw, key, value []byte) {
	raw = b.blocks[e.at>>32][uint32(e.at):]
	k, n := binary.Uvarint(raw)
	v, m := binary.Uvarint(raw[n:])
	head := uint64(n + m)
	return raw[:head+k+v], raw[head : head+k : head+k], raw[head+k : head+k+v : head+k+v]
}

func (b *buffer) key(e entry) []byte {
	_, key, _ := b.record(e)
	return key
}

// appendRecord writes uvarint key length, uvarint value length, key, value.
func appendRecord(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(append(dst, key...), value...)
}

func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var p [8]byte
	copy(p[:], key)
	return binary.BigEndian.Uint64(p[:])
}
