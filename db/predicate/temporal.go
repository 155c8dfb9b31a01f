package predicate

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// midnight is what a date lacks to be a date and time.
const midnight = " 00:00:00.000000"

// compareDay compares DATE, DATETIME and TIMESTAMP texts as if they had all parts.
func compareDay(x, y []byte) int {
	if len(x) == len(y) {
		return bytes.Compare(x, y)
	}
	n := min(len(x), len(y))
	if c := bytes.Compare(x[:n], y[:n]); c != 0 {
		return c
	}
	const dateLen = len("2026-11-20")
	if n < dateLen {
		return compareFloat(float64(len(x)), float64(len(y)))
	}
	if len(x) > n {
		return compareTail(x[n:], n-dateLen)
	}
	return -compareTail(y[n:], n-dateLen)
}

// compareTail compares what one text has more with the padding from a place on.
func compareTail(rest []byte, from int) int {
	for i, c := range rest {
		pad := byte('0')
		if from+i < len(midnight) {
			pad = midnight[from+i]
		}
		if c != pad {
			if c < pad {
				return -1
			}
			return 1
		}
	}
	return 0
}

// compareClock compares TIME texts, whose hours have two or three digits and may be negative.
func compareClock(x, y []byte) int {
	a, b := microseconds(x), microseconds(y)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// microseconds reads [-]HH:MM:SS[.ffffff].
func microseconds(b []byte) int64 {
	neg := len(b) > 0 && b[0] == '-'
	var total, part int64
	digits := -1
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if digits < 6 {
				part = part*10 + int64(c-'0')
			}
			if digits >= 0 {
				digits++
			}
		case c == ':':
			total, part = (total+part)*60, 0
		case c == '.':
			total, part, digits = total+part, 0, 0
		}
	}
	if digits < 0 {
		total, part, digits = total+part, 0, 0
	}
	for ; digits < 6; digits++ {
		part *= 10
	}
	total = total*1_000_000 + part
	if neg {
		return -total
	}
	return total
}

const (
	dayPattern   = `^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d{2}:\d{2})?)?\s*$`
	clockPattern = `^\s*(-?)(\d{1,3}):(\d{1,2})(?::(\d{1,2})(\.\d{1,6})?)?\s*$`
)

// dayLiteral brings a date literal into the canonical form. An offset moves it to UTC, which
// only a TIMESTAMP is in.
func (p *parser) dayLiteral(l, r *value) error {
	if !r.lit {
		return nil
	}
	m := regexp.MustCompile(dayPattern).FindStringSubmatch(string(r.data))
	if m == nil {
		return p.fail(r.pos, "write '2026-11-20' or '2026-11-20 14:02:11'", "expected a date, found %q", clip(r.data))
	}
	n := numbers(m[1:7])
	if n[1] > 12 || n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return p.fail(r.pos, "", "expected a date, found %q", clip(r.data))
	}
	out := fmt.Sprintf("%04d-%02d-%02d", n[0], n[1], n[2])
	if m[4] != "" {
		out += fmt.Sprintf(" %02d:%02d:%02d", n[3], n[4], n[5])
	}
	if m[7] != "" {
		out += "." + m[7]
	}
	if m[8] != "" {
		utc, err := toUTC(out, m[8])
		if err != nil || l.col == nil || l.col.DataType != "timestamp" {
			return p.fail(r.pos, "", "an offset is only possible for a TIMESTAMP, found %q", clip(r.data))
		}
		out = utc
	}
	r.data = []byte(out)
	return nil
}

func toUTC(s, offset string) (string, error) {
	t, err := time.Parse("2006-01-02 15:04:05.999999Z07:00", s+offset)
	if err != nil {
		return "", err
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000"), nil
}

func numbers(parts []string) []int {
	out := make([]int, len(parts))
	for i, s := range parts {
		out[i], _ = strconv.Atoi(s) // the pattern lets only digits through; an absent part is 0
	}
	return out
}

func (p *parser) clockLiteral(r *value) error {
	if !r.lit {
		return nil
	}
	m := regexp.MustCompile(clockPattern).FindStringSubmatch(string(r.data))
	if m == nil {
		return p.fail(r.pos, "write '14:02:11'", "expected a time, found %q", clip(r.data))
	}
	n := numbers(m[2:5])
	if n[0] > 838 || n[1] > 59 || n[2] > 59 {
		return p.fail(r.pos, "", "expected a time up to 838:59:59, found %q", clip(r.data))
	}
	r.data = []byte(strings.Join([]string{fmt.Sprintf("%s%02d:%02d:%02d", m[1], n[0], n[1], n[2]), m[5]}, ""))
	return nil
}
