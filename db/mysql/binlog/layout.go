package binlog

import (
	"encoding/binary"
	"errors"
)

var errRowShort = errors.New("a row image is longer than its event")

// field says how long a column's value is in a row image: fixed bytes, or a length prefix
// of prefix bytes and then that many.
type field struct {
	fixed  int
	prefix int
}

// layout walks row images of one table without decoding them.
type layout struct {
	fields []field
	// runs is fields with neighbouring fixed ones joined, for rows without NULLs and with
	// every column present.
	runs []field
	// jsons counts JSON columns: partial updates carry one bit for each.
	jsons int
}

func newLayout(cols []Column) layout {
	l := layout{fields: make([]field, len(cols))}
	for i := range cols {
		f := cols[i].field()
		l.fields[i] = f
		if cols[i].Type == TypeJSON {
			l.jsons++
		}
		if n := len(l.runs); n > 0 && l.runs[n-1].prefix == 0 && f.prefix == 0 {
			l.runs[n-1].fixed += f.fixed
			continue
		}
		l.runs = append(l.runs, f)
	}
	return l
}

func (col *Column) field() field {
	switch col.Type {
	case TypeTiny, TypeYear:
		return field{fixed: 1}
	case TypeShort:
		return field{fixed: 2}
	case TypeInt24, TypeDate, TypeNewDate, TypeTime:
		return field{fixed: 3}
	case TypeLong, TypeFloat, TypeTimestamp:
		return field{fixed: 4}
	case TypeLongLong, TypeDouble, TypeDatetime:
		return field{fixed: 8}
	case TypeTimestamp2:
		return field{fixed: 4 + fractionBytes(col.Meta)}
	case TypeDatetime2:
		return field{fixed: 5 + fractionBytes(col.Meta)}
	case TypeTime2:
		return field{fixed: 3 + fractionBytes(col.Meta)}
	case TypeNewDecimal:
		return field{fixed: decimalSize(int(col.Meta>>8), int(col.Meta&0xff))}
	case TypeEnum, TypeSet:
		return field{fixed: int(col.Meta)}
	case TypeBit:
		return field{fixed: int(col.Meta>>8) + (int(col.Meta&0xff)+7)/8}
	case TypeString, TypeVarchar, TypeVarString, TypeVarcharCompressed:
		if col.Meta > 255 {
			return field{prefix: 2}
		}
		return field{prefix: 1}
	case TypeNull:
		return field{}
	}
	return field{prefix: int(col.Meta)} // the blob family: check has seen to 1..4
}

func fractionBytes(digits uint16) int { return int(digits+1) / 2 }

// size is how many bytes the value at the front of b takes, with its prefix.
func (f field) size(b []byte) (int, error) {
	n := f.fixed
	switch f.prefix {
	case 0:
	case 1:
		if len(b) < 1 {
			return 0, errRowShort
		}
		n = 1 + int(b[0])
	case 2:
		if len(b) < 2 {
			return 0, errRowShort
		}
		n = 2 + int(binary.LittleEndian.Uint16(b))
	case 3:
		if len(b) < 3 {
			return 0, errRowShort
		}
		n = 3 + (int(b[0]) | int(b[1])<<8 | int(b[2])<<16)
	default:
		if len(b) < 4 {
			return 0, errRowShort
		}
		n = 4 + int(binary.LittleEndian.Uint32(b))
	}
	if n > len(b) {
		return 0, errRowShort
	}
	return n, nil
}

// image walks one row image: its NULL bits and values. full says that every column is present.
func (l *layout) image(b []byte, present []byte, count int, full bool) (int, error) {
	nulls := (count + 7) / 8
	if len(b) < nulls {
		return 0, errRowShort
	}
	if full && noNulls(b[:nulls], count) {
		n, err := l.whole(b[nulls:])
		return nulls + n, err
	}
	at, k := nulls, 0
	for i, f := range l.fields {
		if !bit(present, i) {
			continue
		}
		if isNull := bit(b, k); !isNull {
			n, err := f.size(b[at:])
			if err != nil {
				return 0, err
			}
			at += n
		}
		k++
	}
	return at, nil
}

// noNulls looks at count bits; the spare bits of the last byte are set by some servers.
func noNulls(b []byte, count int) bool {
	last := len(b) - 1
	for _, x := range b[:last] {
		if x != 0 {
			return false
		}
	}
	return b[last]<<(uint(8-count&7)&7) == 0
}

func (l *layout) whole(b []byte) (int, error) {
	at := 0
	for i := range l.runs {
		f := &l.runs[i]
		if f.prefix == 0 {
			at += f.fixed
			continue
		}
		if f.prefix == 1 {
			if at >= len(b) {
				return 0, errRowShort
			}
			at += 1 + int(b[at])
			continue
		}
		if at > len(b) {
			return 0, errRowShort
		}
		n, err := f.size(b[at:])
		if err != nil {
			return 0, err
		}
		at += n
	}
	if at > len(b) {
		return 0, errRowShort
	}
	return at, nil
}
