package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

var errValueShort = errors.New("a value is longer than its row image")

// appendInt appends a little endian integer of len(b) bytes.
func appendInt(dst, b []byte, unsigned bool) []byte {
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	if unsigned {
		return strconv.AppendUint(dst, v, 10)
	}
	shift := 64 - 8*len(b)
	return strconv.AppendInt(dst, int64(v<<shift)>>shift, 10)
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

// appendPadded appends n with leading zeros up to width digits.
func appendPadded(dst []byte, n, width int) []byte {
	var tmp [20]byte
	i := len(tmp)
	for n > 0 || width > 0 {
		i--
		tmp[i] = byte('0' + n%10)
		n /= 10
		width--
	}
	return append(dst, tmp[i:]...)
}

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

func appendYMD(dst []byte, y, m, d int) []byte {
	dst = append(appendPadded(dst, y, 4), '-')
	dst = append(appendPadded(dst, m, 2), '-')
	return appendPadded(dst, d, 2)
}

func appendHMS(dst []byte, h, m, s int) []byte {
	dst = append(appendPadded(dst, h, 2), ':')
	dst = append(appendPadded(dst, m, 2), ':')
	return appendPadded(dst, s, 2)
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
	dst = time.Unix(int64(sec), 0).UTC().AppendFormat(dst, time.DateTime)
	return appendFraction(dst, frac, digits)
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
	var mask byte
	if b[0]&0x80 == 0 {
		mask = 0xff
	}
	start := len(dst)
	dst = append(dst, '-')
	whole := precision - scale
	at := 0
	group := func(digits int) int {
		n := digitBytes[digits]
		if digits == 9 {
			n = 4
		}
		v := 0
		for i := range n {
			x := b[at+i] ^ mask
			if at+i == 0 {
				x ^= 0x80
			}
			v = v<<8 | int(x)
		}
		at += n
		return v
	}
	head := len(dst)
	if whole%9 > 0 {
		dst = appendPadded(dst, group(whole%9), 0)
	}
	for range whole / 9 {
		width := 9
		if len(dst) == head {
			width = 0
		}
		dst = appendPadded(dst, group(9), width)
	}
	if len(dst) == head {
		dst = append(dst, '0')
	}
	if scale > 0 {
		dst = append(dst, '.')
		for range scale / 9 {
			dst = appendPadded(dst, group(9), 9)
		}
		if scale%9 > 0 {
			dst = appendPadded(dst, group(scale%9), scale%9)
		}
	}
	if mask == 0 || isZeroDecimal(dst[head:]) {
		return append(dst[:start], dst[head:]...)
	}
	return dst
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

func appendBit(dst, b []byte) []byte { return strconv.AppendUint(dst, bigEndian(b), 10) }

// appendInet6 renders an IPv6 address as MariaDB does: lower case, the longest run of zero
// groups as "::", and the last four bytes dotted in IPv4-mapped and IPv4-compatible ones.
func appendInet6(dst, b []byte) []byte {
	var g [8]uint16
	for i := range g {
		g[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	at, n := longestZeros(g[:])
	for i := 0; i < 8; i++ {
		if i == at && n > 1 {
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
