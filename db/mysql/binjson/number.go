package binjson

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// digits is a double as the shortest run of decimal digits that reads back as it, without
// trailing zeros, and the place of its point: 0.d1d2d3... times 10 to the point.
type digits struct {
	buf   [24]byte
	n     int
	point int
}

func shortest(x float64) (d digits) {
	var tmp [32]byte
	s := strconv.AppendFloat(tmp[:0], math.Abs(x), 'e', -1, 64)
	e := bytes.IndexByte(s, 'e')
	for _, c := range s[:e] {
		if c != '.' {
			d.buf[d.n] = c
			d.n++
		}
	}
	exp, _ := strconv.Atoi(string(s[e+1:]))
	d.point = exp + 1
	return d
}

// appendDouble prints a double as the server does: plain digits while the point is within
// 15 places, else "1.5e-7" without sign or padding of the exponent; ".0" marks an integral
// value. The server prints values that are not finite as 0.0.
func appendDouble(dst []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(dst, "0.0"...)
	}
	if math.Signbit(x) {
		dst = append(dst, '-')
	}
	d := shortest(x)
	if d.point < -14 || d.point > 15 && d.n <= d.point {
		return d.exponent(dst)
	}
	return d.plain(dst)
}

func (d *digits) exponent(dst []byte) []byte {
	dst = append(dst, d.buf[0])
	if d.n > 1 {
		dst = append(append(dst, '.'), d.buf[1:d.n]...)
	}
	return strconv.AppendInt(append(dst, 'e'), int64(d.point-1), 10)
}

func (d *digits) plain(dst []byte) []byte {
	if d.point <= 0 {
		dst = appendZeros(append(dst, "0."...), -d.point)
		return append(dst, d.buf[:d.n]...)
	}
	if d.point < d.n {
		dst = append(append(dst, d.buf[:d.point]...), '.')
		return append(dst, d.buf[d.point:d.n]...)
	}
	dst = appendZeros(append(dst, d.buf[:d.n]...), d.point-d.n)
	return append(dst, ".0"...)
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}

// readsBack says that the server's JSON parser surely reads the double's text as the same
// double. It computes digits times or divided by a power of ten in floating point, which is
// exact to the last bit only while both are exact.
func readsBack(x float64) bool {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return false
	}
	d := shortest(x)
	m, err := strconv.ParseUint(string(d.buf[:d.n]), 10, 64)
	p := d.point - d.n
	return err == nil && m < 1<<53 && p >= -22 && p <= 22
}

// Decimals hold at most this many digits, intermediate results included.
const maxDecimal = 81

// digitBytes is how many bytes a group of 0 to 9 decimal digits takes.
var digitBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// decimalShape is an opaque DECIMAL's precision, scale and digits.
func decimalShape(data []byte) (precision, scale int, bin []byte, err error) {
	if len(data) < 2 {
		return 0, 0, nil, fmt.Errorf("%w: DECIMAL cut short", ErrDamaged)
	}
	precision, scale, bin = int(data[0]), int(data[1]), data[2:]
	if precision > maxDecimal || scale > precision {
		return 0, 0, nil, fmt.Errorf("%w: DECIMAL(%d,%d)", ErrDamaged, precision, scale)
	}
	ints := precision - scale
	want := ints/9*4 + digitBytes[ints%9] + scale/9*4 + digitBytes[scale%9]
	if want != len(bin) {
		return 0, 0, nil, fmt.Errorf("%w: DECIMAL(%d,%d) in %d bytes", ErrDamaged, precision, scale, len(bin))
	}
	return precision, scale, bin, nil
}

// appendDecimal prints an opaque DECIMAL: precision, scale, then the digits in groups of
// nine, big endian, the first bit inverted and all bits inverted when negative.
func appendDecimal(dst, data []byte) ([]byte, error) {
	precision, scale, bin, err := decimalShape(data)
	if err != nil {
		return dst, err
	}
	if len(bin) == 0 {
		return append(dst, '0'), nil
	}
	var flip byte
	if bin[0]&0x80 == 0 {
		flip = 0xff
		dst = append(dst, '-')
	}
	r := decimalReader{src: bin, flip: flip, first: 0x80}
	var tmp [maxDecimal + 9]byte
	ints := r.groups(tmp[:0], (precision-scale)%9, (precision-scale)/9, true)
	ints = bytes.TrimLeft(ints, "0")
	if len(ints) == 0 {
		ints = []byte("0")
	}
	dst = append(dst, ints...)
	if scale > 0 {
		dst = r.groups(append(dst, '.'), scale%9, scale/9, false)
	}
	if r.bad {
		return dst, fmt.Errorf("%w: digits of a DECIMAL", ErrDamaged)
	}
	return dst, nil
}

type decimalReader struct {
	src   []byte
	flip  byte
	first byte // the inverted sign bit of the first byte, 0 afterwards
	bad   bool // a group held more than its digits
}

// groups appends a run of full groups of nine digits and one short group, which comes first
// before the point and last after it.
func (r *decimalReader) groups(dst []byte, short, full int, shortFirst bool) []byte {
	if shortFirst {
		dst = r.group(dst, short)
	}
	for range full {
		dst = r.group(dst, 9)
	}
	if !shortFirst {
		dst = r.group(dst, short)
	}
	return dst
}

func (r *decimalReader) group(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	var word [4]byte
	size := digitBytes[n]
	for i, c := range r.src[:size] {
		word[4-size+i] = c ^ r.flip ^ r.first
		r.first = 0
	}
	r.src = r.src[size:]
	v := binary.BigEndian.Uint32(word[:])
	var tmp [10]byte
	s := strconv.AppendUint(tmp[:0], uint64(v), 10)
	if len(s) > n {
		r.bad = true
		return dst
	}
	return append(appendZeros(dst, n-len(s)), s...)
}
