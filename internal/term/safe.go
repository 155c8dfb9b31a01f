package term

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe returns s in a form that cannot act on a terminal nor leave its line: control
// characters, escape sequences, invisible and direction-changing characters and bytes that
// are no UTF-8 are written as \n, \t, \r, \xNN or \uNNNN. Other text, backslashes included,
// stays as it is. Strings that are safe already are returned without a copy.
func Safe(s string) string {
	i := unsafeAt(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			writeHex(&b, `\x`, uint64(s[i]), 2)
		case isSafe(r):
			b.WriteString(s[i : i+n])
		default:
			writeEscape(&b, r)
		}
		i += n
	}
	return b.String()
}

// unsafeAt is the offset of the first character of s that must be escaped, or -1.
func unsafeAt(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
		if !isSafe(r) {
			return i
		}
	}
	return -1
}

func isSafe(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r != 0x7f
	}
	// IsGraphic leaves out Cc, Cf (direction marks, zero width), Zl, Zp and unassigned ones.
	return unicode.IsGraphic(r)
}

func writeEscape(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x80:
		writeHex(b, `\x`, uint64(r), 2)
	case r < 0x10000:
		writeHex(b, `\u`, uint64(r), 4)
	default:
		writeHex(b, `\U`, uint64(r), 8)
	}
}

func writeHex(b *strings.Builder, prefix string, v uint64, digits int) {
	h := strconv.FormatUint(v, 16)
	b.WriteString(prefix)
	b.WriteString(strings.Repeat("0", digits-len(h)))
	b.WriteString(h)
}

// Columns is the number of terminal columns that s takes: combining marks take none,
// East Asian wide characters and emoji two. s must be Safe.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case isWide(r):
		return 2
	}
	return 1
}

// isWide follows the wide and fullwidth ranges of Unicode's EastAsianWidth.txt, coarsely:
// a character judged too wide costs a column, one judged too narrow breaks the table.
func isWide(r rune) bool {
	return r >= 0x1100 && r <= 0x115f || r >= 0x231a && r <= 0x231b || r >= 0x23e9 && r <= 0x23f3 ||
		r >= 0x25fd && r <= 0x25fe || r >= 0x2614 && r <= 0x2615 || r >= 0x2648 && r <= 0x27bf && isEmoji(r) ||
		r >= 0x2b1b && r <= 0x2b1c || r == 0x2b50 || r == 0x2b55 ||
		r >= 0x2e80 && r <= 0x303e || r >= 0x3041 && r <= 0xa4cf || r >= 0xa960 && r <= 0xa97c ||
		r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f ||
		r >= 0xff00 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || r >= 0x16fe0 && r <= 0x18df2 ||
		r >= 0x1aff0 && r <= 0x1b2ff || r >= 0x1f000 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd
}

// isEmoji lists the wide ones among the symbols and dingbats, where most are narrow.
func isEmoji(r rune) bool {
	return strings.ContainsRune("♈♉♊♋♌♍♎♏♐♑♒♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓❔❕❗➕➖➗➰➿", r)
}

// Cut shortens s to at most cols columns, with … in place of what is missing.
func Cut(s string, cols int) string {
	if cols <= 0 {
		return ""
	}
	if len(s) <= cols || Columns(s) <= cols {
		return s
	}
	n := 0
	for i, r := range s {
		w := runeColumns(r)
		if n+w > cols-1 {
			return s[:i] + "…"
		}
		n += w
	}
	return s
}
