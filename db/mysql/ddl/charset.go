package ddl

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// defaultCollation is the collation of a character set that is named without one.
func defaultCollation(charset string) string {
	switch charset {
	case "":
		return ""
	case "binary":
		return "binary"
	case "latin1", "swe7":
		return charset + "_swedish_ci"
	case "big5", "gb2312", "gbk":
		return charset + "_chinese_ci"
	case "gb18030":
		return "gb18030_chinese_ci"
	case "cp932", "eucjpms", "sjis", "ujis":
		return charset + "_japanese_ci"
	case "dec8":
		return "dec8_swedish_ci"
	case "euckr":
		return "euckr_korean_ci"
	case "hp8":
		return "hp8_english_ci"
	case "latin5":
		return "latin5_turkish_ci"
	case "tis620":
		return "tis620_thai_ci"
	}
	return charset + "_general_ci"
}

// canonCharset gives a character set the name that current servers print.
func canonCharset(cs string) string {
	cs = strings.ToLower(cs)
	if cs == "utf8" {
		return "utf8mb3"
	}
	return cs
}

// collationOf fills in a character set and a collation from each other. charset is the one
// in force where the collation does not name its own ("uca1400_ai_ci").
func collationOf(charset, collation string) (string, string) {
	charset, collation = canonCharset(charset), strings.ToLower(collation)
	if collation == "" || collation == "default" {
		return charset, defaultCollation(charset)
	}
	if collation == "binary" {
		return "binary", "binary"
	}
	prefix, rest, _ := strings.Cut(collation, "_")
	if prefix == "uca1400" {
		if charset == "" {
			charset = "utf8mb4"
		}
		return charset, charset + "_" + collation
	}
	prefix = canonCharset(prefix)
	return prefix, prefix + "_" + rest
}

// maxBytes is the most bytes one character takes; 1 when the character set is not known.
func maxBytes(charset string) int {
	switch charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return 4
	case "utf8mb3", "ujis", "eucjpms":
		return 3
	case "ucs2", "sjis", "cp932", "gbk", "gb2312", "big5", "euckr":
		return 2
	}
	return 1
}

// encode turns UTF-8 text into the bytes of a character set. Text that cannot be turned,
// or whose character set is not one of Unicode's or latin1, is left as it is.
func encode(s, charset string) string {
	switch charset {
	case "latin1":
		return encodeLatin1(s)
	case "ucs2", "utf16", "utf16le", "utf32":
		return encodeWide(s, charset)
	}
	return s
}

// cp1252 is 0x80 to 0x9f of MySQL's latin1, which is Windows-1252 with the gaps filled.
const cp1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

func encodeLatin1(s string) string {
	if !utf8.ValidString(s) {
		return s
	}
	high := []rune(cp1252)
	out := make([]byte, 0, len(s))
	for _, r := range s {
		b := -1
		if r < 0x80 || r >= 0xa0 && r <= 0xff {
			b = int(r)
		}
		for i := 0; b < 0 && i < len(high); i++ {
			if high[i] == r {
				b = 0x80 + i
			}
		}
		if b < 0 {
			return s
		}
		out = append(out, byte(b))
	}
	return string(out)
}

func encodeWide(s, charset string) string {
	if !utf8.ValidString(s) {
		return s
	}
	var out []byte
	if charset == "utf32" {
		for _, r := range s {
			out = append(out, byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
		}
		return string(out)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		if charset == "utf16le" {
			out = append(out, byte(u), byte(u>>8))
		} else {
			out = append(out, byte(u>>8), byte(u))
		}
	}
	return string(out)
}
