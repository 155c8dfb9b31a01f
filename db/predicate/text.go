package predicate

import (
	"bytes"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// cp1252 is 0x80 to 0x9f of MySQL's latin1, which is Windows-1252 with the gaps filled.
const cp1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// foreign is added to a byte that is no character, so that it equals only itself.
const foreign = unicode.MaxRune + 1

// encode turns a literal into the bytes of a column's character set; ok is false when it has
// characters the set does not have, or that this package cannot write in it.
func encode(s, charset string) (b []byte, ok bool) {
	switch charset {
	case "", "utf8", "utf8mb3", "utf8mb4", "binary":
		return []byte(s), true
	case "ucs2", "utf16", "utf16le", "utf32":
		return encodeWide(s, charset), utf8.ValidString(s)
	}
	for _, r := range s {
		c := r
		if charset == "latin1" {
			c = latin1Byte(r)
		}
		if c > 0x7f && (charset != "latin1" || c > 0xff) {
			return nil, false
		}
		b = append(b, byte(c))
	}
	return b, true
}

func latin1Byte(r rune) rune {
	if r < 0x80 || r >= 0xa0 && r <= 0xff {
		return r
	}
	at := rune(0x80)
	for _, c := range cp1252 {
		if c == r {
			return at
		}
		at++
	}
	return foreign
}

func encodeWide(s, charset string) []byte {
	var b []byte
	if charset == "utf32" {
		for _, r := range s {
			b = append(b, byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
		}
		return b
	}
	for _, u := range utf16.Encode([]rune(s)) {
		if charset == "utf16le" {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return b
}

// decoder reads the first character of a text that is not empty, and its length in bytes.
type decoder func([]byte) (rune, int)

// decoderOf is the decoder of a character set. Of sets it does not know, only ASCII is read as
// characters, the other bytes one by one.
func decoderOf(charset string) decoder {
	switch charset {
	case "", "utf8", "utf8mb3", "utf8mb4":
		return decodeUTF8
	case "latin1":
		high := []rune(cp1252)
		return func(b []byte) (rune, int) {
			if b[0] >= 0x80 && b[0] < 0xa0 {
				return high[b[0]-0x80], 1
			}
			return rune(b[0]), 1
		}
	case "ucs2", "utf16", "utf16le":
		little := charset == "utf16le"
		return func(b []byte) (rune, int) { return decodeUTF16(b, little) }
	case "utf32":
		return func(b []byte) (rune, int) {
			if len(b) < 4 || b[0] != 0 || b[1] > 0x10 {
				return foreign + rune(b[0]), min(4, len(b))
			}
			return rune(b[1])<<16 | rune(b[2])<<8 | rune(b[3]), 4
		}
	}
	return func(b []byte) (rune, int) {
		if b[0] < 0x80 {
			return rune(b[0]), 1
		}
		return foreign + rune(b[0]), 1
	}
}

func decodeUTF8(b []byte) (rune, int) {
	if b[0] < utf8.RuneSelf {
		return rune(b[0]), 1
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n <= 1 {
		return foreign + rune(b[0]), 1
	}
	return r, n
}

func decodeUTF16(b []byte, little bool) (rune, int) {
	unit := func(b []byte) rune {
		if little {
			return rune(b[1])<<8 | rune(b[0])
		}
		return rune(b[0])<<8 | rune(b[1])
	}
	if len(b) < 2 {
		return foreign + rune(b[0]), 1
	}
	r := unit(b)
	if utf16.IsSurrogate(r) && len(b) >= 4 {
		if pair := utf16.DecodeRune(r, unit(b[2:])); pair != unicode.ReplacementChar {
			return pair, 4
		}
	}
	return r, 2
}

// folded is the first of all the characters that differ from r in case only.
func folded(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	if r > unicode.MaxRune {
		return r
	}
	least := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	return least
}

// textOrder compares texts of two character sets: byte for byte, or without case and trailing
// spaces.
func textOrder(xset, yset string, fold bool) order {
	if !fold && xset == yset {
		return bytes.Compare
	}
	xdec, ydec := decoderOf(xset), decoderOf(yset)
	if !fold {
		return func(x, y []byte) int {
			return compareRunes(x, y, xdec, ydec, func(r rune) rune { return r }, foreign<<1)
		}
	}
	return func(x, y []byte) int { return compareRunes(x, y, xdec, ydec, folded, ' ') }
}

// compareRunes compares as if the shorter text went on with pad; a pad beyond the characters
// makes the shorter text the lesser one.
func compareRunes(x, y []byte, xdec, ydec decoder, key func(rune) rune, pad rune) int {
	for len(x) > 0 || len(y) > 0 {
		if pad > unicode.MaxRune && (len(x) == 0 || len(y) == 0) {
			return compareFloat(float64(len(x)), float64(len(y)))
		}
		a, b := pad, pad
		if len(x) > 0 {
			r, n := xdec(x)
			a, x = key(r), x[n:]
		}
		if len(y) > 0 {
			r, n := ydec(y)
			b, y = key(r), y[n:]
		}
		if a != b {
			if a < b {
				return -1
			}
			return 1
		}
	}
	return 0
}

// unifyText prepares a literal for a column's character set. Text of two columns ignores case
// only when both do.
func (p *parser) unifyText(l, r *value) (order, error) {
	fold := l.fold && r.fold
	charset := r.charset
	if r.lit && !l.lit {
		b, ok := encode(string(r.data), l.charset)
		if !ok {
			return nil, p.fail(r.pos, "write the bytes: x'...'", "cannot write %q in character set %s of column %s", clip(r.data), l.charset, l.col.Name)
		}
		r.data, charset, fold = b, l.charset, l.fold
	}
	return textOrder(l.charset, charset, fold), nil
}
