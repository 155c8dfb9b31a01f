package confile

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Duration is a length of time, written as 10s, 6h, 35d, 2w, 1y (365 days) or 1d12h; never
// below 0.
type Duration time.Duration

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

const day = 24 * time.Hour

var (
	durationPart  = regexp.MustCompile(`^([0-9]+)(ms|s|m|h|d|w|y)`)
	durationUnits = map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day, "y": 365 * day,
	}
	bytesForm  = regexp.MustCompile(`^([0-9]+) ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$`)
	bytesUnits = map[string]int64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}
)

// ParseDuration reads a Duration.
func ParseDuration(text string) (Duration, error) {
	bad := &problem{what: fmt.Sprintf("%q is no duration", text), hint: "write it like 10s, 6h, 35d, 2w or 1y"}
	var sum time.Duration
	rest := text
	for rest != "" || text == "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			if text == "0" {
				return 0, nil
			}
			return 0, bad
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		unit := durationUnits[m[2]]
		if err != nil || n > int64((math.MaxInt64-sum)/unit) {
			return 0, bad
		}
		sum += time.Duration(n) * unit
		rest = rest[len(m[0]):]
	}
	return Duration(sum), nil
}

// String is what ParseDuration reads, in the units that are whole.
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	left := time.Duration(d)
	for _, unit := range []string{"y", "d", "h", "m", "s", "ms"} {
		if n := left / durationUnits[unit]; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit)
			left %= durationUnits[unit]
		}
	}
	return b.String()
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalYAML reads a Duration.
func (d *Duration) UnmarshalYAML(n *yaml.Node) (err error) {
	*d, err = scalarOf(n, ParseDuration)
	return err
}

// Bytes is a size: 64MiB, 2GB (of 1000 each) or a plain number of bytes.
type Bytes int64

// ParseBytes reads Bytes.
func ParseBytes(text string) (Bytes, error) {
	m := bytesForm.FindStringSubmatch(text)
	if m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if unit := bytesUnits[m[2]]; err == nil && n <= math.MaxInt64/unit {
			return Bytes(n * unit), nil
		}
	}
	return 0, &problem{what: fmt.Sprintf("%q is no size", text), hint: "write it like 64MiB or 2GB"}
}

// String is what ParseBytes reads, in the largest unit that is whole.
func (b Bytes) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if n := bytesUnits[unit]; b != 0 && int64(b)%n == 0 {
			return fmt.Sprintf("%d%s", int64(b)/n, unit)
		}
	}
	return fmt.Sprintf("%dB", int64(b))
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalYAML reads Bytes.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) (err error) {
	*b, err = scalarOf(n, ParseBytes)
	return err
}

func scalarOf[T any](n *yaml.Node, parse func(string) (T, error)) (T, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return parse("")
	}
	return parse(n.Value)
}
