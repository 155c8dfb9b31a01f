package app

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads "90s", "3h", "1h30m" as time.ParseDuration does, and "2d", "1w".
func parseDuration(s string) (time.Duration, bool) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, true
	}
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if n, err := strconv.ParseFloat(strings.TrimSuffix(s, suffix), 64); err == nil && n >= 0 && strings.HasSuffix(s, suffix) {
			return time.Duration(n * float64(unit)), true
		}
	}
	return 0, false
}

// parseTime reads RFC 3339, or local time with or without its date and seconds. A time
// without a date is the last such time.
func parseTime(s string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, true
		}
	}
	for _, layout := range []string{"15:04:05.999999", "15:04"} {
		t, err := time.ParseInLocation(layout, s, time.Local)
		if err != nil {
			continue
		}
		now = now.Local()
		t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.Local)
		if t.After(now) {
			t = t.AddDate(0, 0, -1)
		}
		return t, true
	}
	return time.Time{}, false
}

var (
	mariaGTID = regexp.MustCompile(`^\d+-\d+-\d+$`)
	mysqlGTID = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:([a-z_][a-z0-9_]{0,31}:)?\d+$`)
	place     = regexp.MustCompile(`^(.+\.\d+):(\d+)$`)
)

func isGTID(s string) bool { return mariaGTID.MatchString(s) || mysqlGTID.MatchString(s) }

// parsePlace reads "mysql-bin.000412:1234".
func parsePlace(s string) (file string, pos int64, ok bool) {
	m := place.FindStringSubmatch(s)
	if m == nil {
		return "", 0, false
	}
	pos, err := strconv.ParseInt(m[2], 10, 64)
	return m[1], pos, err == nil
}

func parsePos(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
