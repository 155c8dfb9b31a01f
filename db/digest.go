package db

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/bits"
)

// Digest sums up a set of rows so that two sets can be compared wherever they lie: how many
// rows there are, and a checksum that does not depend on their order. Equal rows count as
// often as they are there. It is for one goroutine; the zero Digest is empty.
//
// The checksum is the sum, modulo 2^128, of the first 16 bytes (big endian) of the SHA-256 of
// each row as AppendRow writes it, without expressions. docs/formats/repository.md is its page.
type Digest struct {
	Rows   int64
	hi, lo uint64
	h      hash.Hash
	buf    []byte
	sum    []byte
}

// Add counts one row in.
func (d *Digest) Add(r Row) {
	if d.h == nil {
		d.h = sha256.New()
	}
	d.h.Reset()
	d.buf = appendPlain(d.buf[:0], r)
	d.h.Write(d.buf)
	d.sum = d.h.Sum(d.sum[:0])
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, binary.BigEndian.Uint64(d.sum[8:]), 0)
	d.hi, _ = bits.Add64(d.hi, binary.BigEndian.Uint64(d.sum), carry)
	d.Rows++
}

// appendPlain is AppendRow without expressions, which are only a way to write a value.
func appendPlain(dst []byte, r Row) []byte {
	for i := range r {
		if r[i].Expr != nil {
			plain := append(Row(nil), r...)
			for k := range plain {
				plain[k].Expr = nil
			}
			return AppendRow(dst, plain)
		}
	}
	return AppendRow(dst, r)
}

// Merge adds another digest's rows.
func (d *Digest) Merge(o *Digest) {
	var carry uint64
	d.lo, carry = bits.Add64(d.lo, o.lo, 0)
	d.hi, _ = bits.Add64(d.hi, o.hi, carry)
	d.Rows += o.Rows
}

// Sum is the checksum as 32 hexadecimal digits.
func (d *Digest) Sum() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], d.hi)
	binary.BigEndian.PutUint64(b[8:], d.lo)
	return hex.EncodeToString(b[:])
}

// Same says that both have the same rows, as far as a checksum can tell.
func (d *Digest) Same(o *Digest) bool { return d.Rows == o.Rows && d.hi == o.hi && d.lo == o.lo }
