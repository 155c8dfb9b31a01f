package term

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Count writes n with thousands separators: "18,204".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Plural counts things: Plural(1, "row") is "1 row", Plural(2, "row") is "2 rows".
func Plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + one + "s"
}

// Bytes writes a number of bytes in decimal units with about three digits: "1.2 GB".
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-max(n, math.MinInt64+1))
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		v /= 1000
		switch {
		case v < 99.95:
			return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
		case v < 999.5 || unit == "EB":
			return strconv.FormatFloat(v, 'f', 0, 64) + " " + unit
		}
	}
	return ""
}

// Duration writes d in its two largest units: "3m 12s", "35d", "4.2s", "12ms". Anything
// under a millisecond is "0ms".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, math.MinInt64+1))
	}
	switch {
	case d < 999500*time.Microsecond:
		return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + "ms"
	case d < 9950*time.Millisecond:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + "s"
	}
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		out := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				out += fmt.Sprintf(" %d%s", rest, units[i+1].name)
			}
		}
		return out
	}
	return "0s"
}

// Ago writes how long before now t was, in one unit: "just now", "12s ago", "3h ago",
// "in 5m" for a t that is yet to come, and "never" for the zero time.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	one := func(d time.Duration) string { first, _, _ := strings.Cut(Duration(d), " "); return first }
	switch {
	case d <= -time.Second:
		return "in " + one(-d)
	case d < time.Second:
		return "just now"
	}
	return one(d.Truncate(time.Second)) + " ago"
}

// Sparkline draws one character a value, as high as its share of the largest: ▁ for
// nothing, ▂ to █ for something, so that a single row beside a million can still be seen.
func Sparkline(values []int64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	var top int64
	for _, v := range values {
		top = max(top, v)
	}
	out := make([]rune, len(values))
	for i, v := range values {
		out[i] = bars[0]
		if v > 0 {
			// Float keeps large counts from overflowing; the last bar is the largest value's alone or near it.
			out[i] = bars[1+min(int(float64(v)/float64(top)*float64(len(bars)-1)), len(bars)-2)]
		}
	}
	return string(out)
}
