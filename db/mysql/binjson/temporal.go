package binjson

import (
	"encoding/binary"
	"fmt"
)

// appendTemporal prints an opaque DATE, TIME, DATETIME or TIMESTAMP without quotes: all but
// DATE with six fraction digits. The bytes are the server's packed form: from the low end 24
// bits of microseconds, 6 of seconds, 6 of minutes, then the hour (10 bits in TIME, 5 else),
// 5 of day and year*13+month. A negative TIME is the negated number.
func appendTemporal(dst []byte, s scalar) ([]byte, error) {
	if len(s.data) != 8 {
		return dst, fmt.Errorf("%w: temporal value of %d bytes", ErrDamaged, len(s.data))
	}
	v := int64(binary.LittleEndian.Uint64(s.data))
	if s.col == colTime {
		if v < 0 {
			dst, v = append(dst, '-'), -v
		}
		return appendClock(dst, uint64(v), uint64(v)>>36&0x3ff)
	}
	ymd := v >> 41
	year, month, day := ymd>>5/13, ymd>>5%13, ymd&31
	if v < 0 || year > 9999 {
		return dst, fmt.Errorf("%w: date out of range", ErrDamaged)
	}
	dst = fmt.Appendf(dst, "%04d-%02d-%02d", year, month, day)
	if s.col == colDate {
		return dst, nil
	}
	return appendClock(append(dst, ' '), uint64(v), uint64(v)>>36&31)
}

func appendClock(dst []byte, v, hour uint64) ([]byte, error) {
	micro := v & 0xffffff
	if micro > 999999 {
		return dst, fmt.Errorf("%w: fraction of a second", ErrDamaged)
	}
	return fmt.Appendf(dst, "%02d:%02d:%02d.%06d", hour, v>>30&63, v>>24&63, micro), nil
}
