package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

var errValueShort = errors.New("a value is longer than its row image")

// appendInt appends a little endian integer of len(b) bytes, at most 8.
func appendInt(dst, b []byte, unsigned bool) []byte {
	var v uint64
	switch len(b) {
	case 4:
		v = uint64(binary.LittleEndian.Uint32(b))
	case 8:
		v = binary.LittleEndian.Uint64(b)
	default:
		for i, x := range b {
			v |= uint64(x) << (8 * i)
		}
	}
	if shift := 64 - 8*len(b); !unsigned && int64(v<<shift) < 0 {
		dst = append(dst, '-')
		v = -uint64(int64(v<<shift) >> shift)
	}
	return appendDigits(dst, v, 1)
}

// appendDigits appends v with leading zeros up to width digits; 0 of no width leaves dst as it is.
func appendDigits(dst []byte, v uint64, width int) []byte {
	n := max(digits(v), width)
	dst = slices.Grow(dst, n)
	at := len(dst)
	dst = dst[:at+n]
	i := at + n
	for ; i >= at+2; i -= 2 {
		q := v / 100
		two := (v - q*100) * 2
		dst[i-2], dst[i-1] = pairs[two], pairs[two+1]
		v = q
	}
	if i > at {
		dst[at] = byte('0' + v)
	}
	return dst
}

// digits is how many decimal digits v has, 0 for 0.
func digits(v uint64) int {
	n := bits.Len64(v) * 1233 >> 12 // log10(2) is a little more
	if v >= powers[n] {
		n++
	}
	return n
}

// powers has the powers of ten, but 1 for none, so that 0 has no digits.
var powers = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

func appendFloat(dst, b []byte) []byte {
	f := math.Float32frombits(binary.LittleEndian.Uint32(b))
	return strconv.AppendFloat(dst, float64(f), 'e', -1, 64)
}

func appendDouble(dst, b []byte) []byte {
	f := math.Float64frombits(binary.LittleEndian.Uint64(b))
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

func appendYear(dst []byte, y byte) []byte {
	if y == 0 {
		return append(dst, "0000"...)
	}
	return appendPadded(dst, 1900+int(y), 4)
}

func appendPadded(dst []byte, n, width int) []byte { return appendDigits(dst, uint64(n), width) }

func bigEndian(b []byte) uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

// appendDate reads the 3 byte DATE: day in 5 bits, month in 4, year above.
func appendDate(dst, b []byte) []byte {
	v := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	return appendYMD(dst, v>>9, v>>5&15, v&31)
}

// pairs is the numbers from 00 to 99.
const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

// appendYMD appends a date; a damaged one may have more than four digits of year.
func appendYMD(dst []byte, y, m, d int) []byte {
	if y > 9999 {
		dst = strconv.AppendInt(dst, int64(y/10000), 10)
		y %= 10000
	}
	c, y2, m2, d2 := y/100*2, y%100*2, m%100*2, d%100*2
	return append(dst, pairs[c], pairs[c+1], pairs[y2], pairs[y2+1], '-', pairs[m2], pairs[m2+1], '-', pairs[d2], pairs[d2+1])
}

func appendHMS(dst []byte, h, m, s int) []byte {
	if h > 99 {
		dst = strconv.AppendInt(dst, int64(h/100), 10)
		h %= 100
	}
	h2, m2, s2 := h*2, m%100*2, s%100*2
	return append(dst, pairs[h2], pairs[h2+1], ':', pairs[m2], pairs[m2+1], ':', pairs[s2], pairs[s2+1])
}

// appendOldTime reads the TIME of MySQL before 5.6: hhmmss as a signed decimal in 3 bytes.
func appendOldTime(dst, b []byte) []byte {
	v := int(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8)
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	return appendHMS(dst, v/10000, v/100%100, v%100)
}

// appendOldDatetime reads the DATETIME of MySQL before 5.6: yyyymmddhhmmss as a number.
func appendOldDatetime(dst, b []byte) []byte {
	v := int(binary.LittleEndian.Uint64(b) & math.MaxInt64)
	d, t := v/1000000, v%1000000
	dst = append(appendYMD(dst, d/10000, d/100%100, d%100), ' ')
	return appendHMS(dst, t/10000, t/100%100, t%100)
}

// appendFraction reads the fraction's bytes, big endian hundredths, ten thousandths or millionths.
func appendFraction(dst, b []byte, digits uint16) []byte {
	if digits == 0 {
		return dst
	}
	v := int(bigEndian(b))
	if digits&1 == 1 { // odd precisions are stored with one more digit, which is zero
		v /= 10
	}
	return appendPadded(append(dst, '.'), v, int(digits))
}

// appendTimestamp renders seconds since 1970 in UTC; 0 is the zero timestamp.
func appendTimestamp(dst []byte, sec uint32, frac []byte, digits uint16) []byte {
	if sec == 0 && allZero(frac) {
		dst = append(dst, "0000-00-00 00:00:00"...)
		return appendFraction(dst, frac, digits)
	}
	y, m, d := civil(int(sec / 86400))
	dst = append(appendYMD(dst, y, m, d), ' ')
	dst = appendHMS(dst, int(sec/3600%24), int(sec/60%60), int(sec%60))
	return appendFraction(dst, frac, digits)
}

// civil is the date that many days after 1970-01-01: years counted from March begin with the
// leap day at their end, and 153 days are five months of 31, 30, 31, 30, 31 days.
func civil(days int) (y, m, d int) {
	days += 719468 // from 0000-03-01
	era := days / 146097
	days %= 146097
	y = (days - days/1460 + days/36524 - days/146096) / 365
	days -= 365*y + y/4 - y/100
	m = (5*days + 2) / 153
	d = days - (153*m+2)/5 + 1
	y += 400 * era
	if m += 3; m > 12 {
		return y + 1, m - 12, d
	}
	return y, m, d
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// appendDatetime2 reads the 5 byte big endian DATETIME: sign, year*13+month in 17 bits, day
// 5, hour 5, minute 6, second 6; then the fraction.
func appendDatetime2(dst, b []byte, digits uint16) []byte {
	v := int(bigEndian(b[:5])) - 0x8000000000
	if v < 0 {
		v = -v
	}
	ymd, hms := v>>17, v&(1<<17-1)
	ym := ymd >> 5
	dst = append(appendYMD(dst, ym/13, ym%13, ymd&31), ' ')
	dst = appendHMS(dst, hms>>12, hms>>6&63, hms&63)
	return appendFraction(dst, b[5:], digits)
}

// appendTime2 reads the 3 byte big endian TIME with its fraction. The whole, sign bit
// inverted, is one two's complement number, so a negative time borrows from the fraction.
func appendTime2(dst, b []byte, digits uint16) []byte {
	frac := 8 * uint(len(b)-3)
	v := int64(bigEndian(b)) - int64(0x800000)<<frac
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	hms := int(v >> frac)
	f := int(v & (1<<frac - 1))
	dst = appendHMS(dst, hms>>12&1023, hms>>6&63, hms&63)
	if digits == 0 {
		return dst
	}
	if digits&1 == 1 {
		f /= 10
	}
	return appendPadded(append(dst, '.'), f, int(digits))
}

// digitBytes is how many bytes hold the 0..9 leading digits of a packed decimal.
var digitBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

func decimalSize(precision, scale int) int {
	whole := precision - scale
	return whole/9*4 + digitBytes[whole%9] + scale/9*4 + digitBytes[scale%9]
}

// appendDecimal reads a packed decimal: groups of nine digits in four big endian bytes, the
// sign bit inverted, negative numbers complemented.
func appendDecimal(dst, b []byte, precision, scale int) []byte {
	var plain [32]byte // 65 digits take at most 30 bytes
	digits := plain[:copy(plain[:], b)]
	negative := digits[0]&0x80 == 0
	digits[0] ^= 0x80
	if negative {
		for i := range digits {
			digits[i] = ^digits[i]
		}
		dst = append(dst, '-')
	}
	head := len(dst)
	dst, digits = appendWhole(dst, digits, precision-scale)
	if scale > 0 {
		dst = append(dst, '.')
	}
	for ; scale >= 9; scale -= 9 {
		dst = appendPadded(dst, int(binary.BigEndian.Uint32(digits)), 9)
		digits = digits[4:]
	}
	if scale > 0 {
		dst = appendPadded(dst, int(bigEndian(digits)), scale)
	}
	if negative && isZeroDecimal(dst[head:]) {
		return append(dst[:head-1], dst[head:]...)
	}
	return dst
}

// appendWhole appends the n digits before the point without leading zeros, the odd ones first.
func appendWhole(dst, b []byte, n int) (out, rest []byte) {
	head := len(dst)
	if odd := digitBytes[n%9]; odd > 0 {
		dst = appendPadded(dst, int(bigEndian(b[:odd])), 0)
		b = b[odd:]
	}
	for range n / 9 {
		width := 9
		if len(dst) == head {
			width = 0
		}
		dst = appendPadded(dst, int(binary.BigEndian.Uint32(b)), width)
		b = b[4:]
	}
	if len(dst) == head {
		dst = append(dst, '0')
	}
	return dst, b
}

func isZeroDecimal(b []byte) bool {
	for _, x := range b {
		if x != '0' && x != '.' {
			return false
		}
	}
	return true
}

// appendUUID renders MariaDB's UUID. Versions 1 to 5 are stored with their groups in reverse
// order, so that the time stamp sorts; others as they are written.
func appendUUID(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	var u [16]byte
	copy(u[:], b)
	if swapped(b) {
		copy(u[0:4], b[12:16])
		copy(u[4:6], b[10:12])
		copy(u[6:8], b[8:10])
		copy(u[8:10], b[6:8])
		copy(u[10:16], b[0:6])
	}
	for i, x := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[x>>4], hex[x&15])
	}
	return dst
}

// swapped looks at a stored UUID: the variant and version bytes of a swapped one are at 6 and 8.
func swapped(b []byte) bool {
	return b[6]&0x80 != 0 && b[8] > 0 && b[8] < 0x60
}

func appendInet4(dst, b []byte) []byte {
	for i, x := range b[:4] {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendUint(dst, uint64(x), 10)
	}
	return dst
}

// inflateColumn unpacks a value of a MariaDB COMPRESSED column: one header byte (bits 0-2
// the length of the length, bit 3 raw deflate without a zlib wrapper, bits 4-7 the
// algorithm: 0 stored as it is, 8 zlib), the little or big endian length, then the data.
func inflateColumn(f *columnInflater, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return b, nil
	}
	if b[0] == 0 {
		return b[1:], nil
	}
	if b[0]>>4 != 8 {
		return nil, fmt.Errorf("compressed column uses method %d", b[0]>>4)
	}
	n := int(b[0] & 7)
	if len(b) < 1+n {
		return nil, errValueShort
	}
	return f.inflate(b[1+n:], int(bigEndian(b[1:1+n])), b[0]&8 != 0)
}

func appendBit(dst, b []byte) []byte { return appendDigits(dst, bigEndian(b), 1) }

// appendInet6 renders an IPv6 address as MariaDB does: lower case, the first longest run of zero
// groups as "::", and the last four bytes dotted in IPv4-mapped and IPv4-compatible ones.
func appendInet6(dst, b []byte) []byte {
	var g [8]uint16
	for i := range g {
		g[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	at, n := longestZeros(g[:])
	for i := 0; i < 8; i++ {
		if i == at && n > 0 {
			dst = append(dst, ':')
			if i == 0 {
				dst = append(dst, ':')
			}
			i += n - 1
			continue
		}
		if i == 6 && at == 0 && (n == 6 || n == 5 && g[5] == 0xffff) {
			return appendInet4(dst, b[12:])
		}
		dst = strconv.AppendUint(dst, uint64(g[i]), 16)
		if i < 7 {
			dst = append(dst, ':')
		}
	}
	return dst
}

func longestZeros(g []uint16) (at, n int) {
	for i := 0; i < len(g); i++ {
		j := i
		for j < len(g) && g[j] == 0 {
			j++
		}
		if j-i > n {
			at, n = i, j-i
		}
		if j > i {
			i = j
		}
	}
	return at, n
}
