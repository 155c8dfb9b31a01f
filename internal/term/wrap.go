package term

import "strings"

// Wrap breaks text at spaces so that no line is wider than width columns, unless one word is.
// Lines after the first begin with hang spaces; the spaces inside a line stay as they are.
// text must be Safe; the result ends without a newline.
func Wrap(text string, width, hang int) string {
	var b strings.Builder
	indent := strings.Repeat(" ", hang)
	for Columns(text) > width {
		cut := breakAt(text, width)
		if cut < 0 {
			break
		}
		b.WriteString(strings.TrimRight(text[:cut], " "))
		b.WriteByte('\n')
		text = indent + strings.TrimLeft(text[cut:], " ")
	}
	return b.String() + text
}

// breakAt is the last space that ends a line of at most width columns, else the first one
// behind a word that is too long; -1 when there is none.
func breakAt(text string, width int) int {
	start := len(text) - len(strings.TrimLeft(text, " "))
	best, cols := -1, start
	for i, r := range text[start:] {
		if r == ' ' && i > 0 {
			if cols > width && best >= 0 {
				break
			}
			best = start + i
			if cols > width {
				break
			}
		}
		cols += runeColumns(r)
	}
	if best < 0 || strings.TrimSpace(text[best:]) == "" {
		return -1
	}
	return best
}
