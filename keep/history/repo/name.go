package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// The names of a repository's objects, below "<database>/".
const (
	headerName   = "lull.json"
	logDir       = "log/"
	snapDir      = "snap/"
	catalogDir   = "catalog/"
	drillDir     = "drill/"
	gcDir        = "gc/"
	snapshotName = "snapshot.json"
	packSuffix   = ".pack"
	jsonSuffix   = ".json"
)

// timeForm is how names tell times, in UTC: later ones have larger names.
const timeForm = "20060102T150405.000000Z"

// idDigits is how many hexadecimal digits a snapshot's id has.
const idDigits = 13

func stamp(at time.Time) string { return at.UTC().Format(timeForm) }

func parseStamp(s string) (time.Time, bool) {
	at, err := time.Parse(timeForm, s)
	return at, err == nil && stamp(at) == s
}

// SnapshotID is the id of a snapshot that is begun now.
func SnapshotID(now time.Time) string { return fmt.Sprintf("%0*x", idDigits, now.UnixMicro()) }

// idTime is when a snapshot with that id was begun.
func idTime(id string) time.Time {
	micros, _ := strconv.ParseInt(id, 16, 64)
	return time.UnixMicro(micros).UTC()
}

func checkDatabase(name string) error {
	ok := name != "" && len(name) <= 100 && name[0] != '.' && name[0] != '-'
	for _, c := range name {
		ok = ok && (c == '.' || c < 0x80 && isPlain(byte(c)))
	}
	if !ok {
		return lull.Errorf(lull.Usage, "use letters, digits, -, _ and .", "name a repository %q: that is no name for one", name)
	}
	return nil
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// logName is the name of the pack of the log packs first to last.
func logName(first, last uint64) string {
	return fmt.Sprintf("%s%012x-%012x%s", logDir, first, last, packSuffix)
}

func parseLogName(rest string) (first, last uint64, ok bool) {
	rest, ok = strings.CutPrefix(rest, logDir)
	if !ok {
		return 0, 0, false
	}
	rest, ok = strings.CutSuffix(rest, packSuffix)
	a, b, found := strings.Cut(rest, "-")
	if !ok || !found {
		return 0, 0, false
	}
	first, err1 := strconv.ParseUint(a, 16, 48)
	last, err2 := strconv.ParseUint(b, 16, 48)
	ok = err1 == nil && err2 == nil && first <= last && logName(first, last) == logDir+rest+packSuffix
	return first, last, ok
}

// maxEscaped is how long an escaped table name may be: stores take 250 bytes with the id.
const maxEscaped = 200

// escape is a table's name as a part of an object's: what is no letter, digit, - or _ is % and
// two hexadecimal digits for each byte. What gets too long is cut, and ends in = and 16 digits of
// the SHA-256 of all of it.
func escape(n db.Name) string {
	full := escapePart(n.Schema) + "." + escapePart(n.Table)
	if len(full) <= maxEscaped {
		return full
	}
	sum := sha256.Sum256([]byte(full))
	return full[:maxEscaped-17] + "=" + hex.EncodeToString(sum[:8])
}

func escapePart(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if isPlain(s[i]) {
			out.WriteByte(s[i])
		} else {
			fmt.Fprintf(&out, "%%%02X", s[i])
		}
	}
	return out.String()
}

// snapFolder is the folder of a snapshot, without a slash at its end.
func snapFolder(id string, table db.Name) string { return snapDir + id + "-" + escape(table) }

// parseSnapName tells a snapshot's folder, the id and the escaped table in it, and what lies there.
func parseSnapName(rest string) (folder, id, table, file string, ok bool) {
	below, ok := strings.CutPrefix(rest, snapDir)
	if !ok {
		return "", "", "", "", false
	}
	part, file, ok := strings.Cut(below, "/")
	if !ok || len(part) < idDigits+2 || part[idDigits] != '-' || !isID(part[:idDigits]) {
		return "", "", "", "", false
	}
	return snapDir + part, part[:idDigits], part[idDigits+1:], file, file != "" && !strings.Contains(file, "/")
}

func isID(s string) bool {
	return len(s) == idDigits && strings.Trim(s, "0123456789abcdef") == ""
}

// partName is the name of a snapshot's n-th part in its folder, from 1 on.
func partName(n int) string { return fmt.Sprintf("%04d%s", n, packSuffix) }

func isPartName(s string) bool {
	digits, ok := strings.CutSuffix(s, packSuffix)
	n, err := strconv.Atoi(digits)
	return ok && err == nil && n > 0 && partName(n) == s
}

func catalogName(ordinal uint64, at time.Time) string {
	return fmt.Sprintf("%s%012x-%s%s", catalogDir, ordinal, stamp(at), packSuffix)
}

func parseCatalogName(rest string) (ordinal uint64, at time.Time, ok bool) {
	rest, ok = strings.CutPrefix(rest, catalogDir)
	if !ok {
		return 0, time.Time{}, false
	}
	a, b, found := strings.Cut(strings.TrimSuffix(rest, packSuffix), "-")
	ordinal, err := strconv.ParseUint(a, 16, 48)
	at, ok = parseStamp(b)
	return ordinal, at, ok && found && err == nil && catalogName(ordinal, at) == catalogDir+rest
}

func gcName(at time.Time) string { return gcDir + stamp(at) + jsonSuffix }

func parseGCName(rest string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(rest, gcDir)
	if !ok {
		return time.Time{}, false
	}
	rest, ok = strings.CutSuffix(rest, jsonSuffix)
	at, parsed := parseStamp(rest)
	return at, ok && parsed
}

// drillWord is what a drill may be called in its object's name.
func drillWord(s string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.=-]{0,100}$`).MatchString(s)
}
