package fold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"sort"

	"github.com/lull-ops/lull/internal/extsort"
	"github.com/lull-ops/lull/keep/history"
)

// place is where in a past something happened.
type place struct {
	seq history.Seq
	n   uint64
}

func (p place) less(q place) bool { return p.seq < q.seq || p.seq == q.seq && p.n < q.n }

func appendPlace(dst []byte, p place) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.seq))
	return binary.BigEndian.AppendUint64(dst, p.n)
}

func placeOf(b []byte) place {
	return place{history.Seq(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])}
}

const placeSize = 16

// index finds records by key and place. It holds its records in memory while they are few,
// else in a temporary file of which it remembers where each block begins.
type index struct {
	seed   maphash.Seed
	bloom  []uint64
	firsts [][]byte // full key of each block's first record
	blocks [][]byte // while in memory
	ends   []int64  // of blocks in the file
	file   *os.File
	buf    []byte
	cached int // block in buf
	n      int64
}

const blockSize = 4 << 10

// newIndex takes records in order; a record's key ends with its place. It closes it.
func newIndex(it *extsort.Iter, records int64, dir string, memory int) (x *index, err error) {
	defer func() { err = errors.Join(err, it.Close()) }()
	bits := 1024
	for int64(bits) < 12*records && bits < 8*max(memory, 1<<20) {
		bits *= 2
	}
	x = &index{seed: maphash.MakeSeed(), bloom: make([]uint64, bits/64), cached: -1}
	var block []byte
	held := 0
	for it.Next() {
		k := it.Key()
		if block == nil {
			x.firsts = append(x.firsts, bytes.Clone(k))
		}
		x.mark(k[:len(k)-placeSize])
		block = binary.AppendUvarint(block, uint64(len(k)))
		block = append(block, k...)
		block = binary.AppendUvarint(block, uint64(len(it.Value())))
		block = append(block, it.Value()...)
		x.n++
		if len(block) >= blockSize {
			if err := x.add(block, &held, dir, memory); err != nil {
				return nil, err
			}
			block = nil
		}
	}
	if block != nil {
		if err := x.add(block, &held, dir, memory); err != nil {
			return nil, err
		}
	}
	return x, it.Err()
}

// add puts a block away: into memory up to the bound, all of them into a file beyond.
func (x *index) add(block []byte, held *int, dir string, memory int) error {
	if x.file == nil {
		x.blocks = append(x.blocks, block)
		if *held += len(block); *held <= memory {
			return nil
		}
		f, err := os.CreateTemp(dir, "lull-fold-*.tmp")
		if err != nil {
			return fmt.Errorf("create index file: %w", err)
		}
		x.file = f
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(fmt.Errorf("create index file: %w", err), x.close())
		}
		blocks := x.blocks
		x.blocks = nil
		for _, b := range blocks {
			if err := x.write(b); err != nil {
				return err
			}
		}
		return nil
	}
	return x.write(block)
}

func (x *index) write(block []byte) error {
	end := int64(len(block))
	if n := len(x.ends); n > 0 {
		end += x.ends[n-1]
	}
	x.ends = append(x.ends, end)
	if _, err := x.file.Write(block); err != nil {
		return errors.Join(fmt.Errorf("write index file: %w", err), x.close())
	}
	return nil
}

func (x *index) close() error {
	if x == nil || x.file == nil {
		return nil
	}
	f := x.file
	x.file = nil
	return f.Close()
}

func (x *index) mark(key []byte) {
	h := maphash.Bytes(x.seed, key)
	m := uint64(len(x.bloom)*64 - 1)
	for _, b := range [2]uint64{h & m, (h >> 32) & m} {
		x.bloom[b/64] |= 1 << (b % 64)
	}
}

func (x *index) mayHave(key []byte) bool {
	h := maphash.Bytes(x.seed, key)
	m := uint64(len(x.bloom)*64 - 1)
	for _, b := range [2]uint64{h & m, (h >> 32) & m} {
		if x.bloom[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

func (x *index) block(i int) ([]byte, error) {
	if x.file == nil {
		return x.blocks[i], nil
	}
	if x.cached == i {
		return x.buf, nil
	}
	var start int64
	if i > 0 {
		start = x.ends[i-1]
	}
	n := int(x.ends[i] - start)
	if cap(x.buf) < n {
		x.buf = make([]byte, n)
	}
	x.buf, x.cached = x.buf[:n], -1
	if _, err := x.file.ReadAt(x.buf, start); err != nil {
		return nil, fmt.Errorf("read index file: %w", err)
	}
	x.cached = i
	return x.buf, nil
}

// each hands out the records of a key after one place and before another, in order, until fn
// returns false. What fn gets is valid until it returns.
func (x *index) each(key []byte, after, before place, fn func(place, []byte) bool) error {
	if x == nil || x.n == 0 || !x.mayHave(key) {
		return nil
	}
	from := appendPlace(bytes.Clone(key), after)
	i := max(0, sort.Search(len(x.firsts), func(i int) bool { return bytes.Compare(x.firsts[i], from) > 0 })-1)
	for ; i < len(x.firsts); i++ {
		b, err := x.block(i)
		if err != nil {
			return err
		}
		for len(b) > 0 {
			var k, v []byte
			k, v, b = cutRecord(b)
			if bytes.Compare(k, from) <= 0 {
				continue
			}
			own := k[:len(k)-placeSize]
			if !bytes.Equal(own, key) {
				return nil
			}
			p := placeOf(k[len(own):])
			if !p.less(before) || !fn(p, v) {
				return nil
			}
		}
	}
	return nil
}

func cutRecord(b []byte) (k, v, rest []byte) {
	n, w := binary.Uvarint(b)
	k, b = b[w:w+int(n)], b[w+int(n):]
	n, w = binary.Uvarint(b)
	return k, b[w : w+int(n)], b[w+int(n):]
}
