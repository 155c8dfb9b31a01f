package binjson_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator makes SQL expressions of JSON documents with every type a server stores.
type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) doc(depth int) string {
	if depth == 0 || g.IntN(4) == 0 {
		return g.scalar()
	}
	n := g.IntN(6)
	args := make([]string, n)
	object := g.IntN(2) == 0
	for i := range args {
		args[i] = g.doc(depth - 1)
		if object {
			args[i] = g.str() + "," + args[i]
		}
	}
	if object {
		return "JSON_OBJECT(" + strings.Join(args, ",") + ")"
	}
	return "JSON_ARRAY(" + strings.Join(args, ",") + ")"
}

func (g generator) scalar() string {
	switch g.IntN(12) {
	case 0:
		return "CAST(_utf8mb4'" + g.pick("true", "false", "null") + "' AS JSON)"
	case 1, 2:
		return strconv.FormatInt(int64(g.Uint64())>>g.IntN(64), 10)
	case 3:
		return "CAST(" + strconv.FormatUint(g.Uint64()>>g.IntN(64), 10) + " AS UNSIGNED)"
	case 4, 5:
		return g.double()
	case 6:
		return g.decimal()
	case 7:
		return g.temporal()
	case 8:
		return g.binary()
	}
	return g.str()
}

func (g generator) double() string {
	x := math.Float64frombits(g.Uint64())
	switch g.IntN(4) {
	case 0:
		x = float64(g.IntN(1<<30)) / float64([]int{1, 10, 1000, 1 << 20}[g.IntN(4)])
	case 1:
		x = math.Pow(10, float64(g.IntN(60)-30)) * float64(1+g.IntN(2000))
	case 2:
		x = g.NormFloat64() * 1e15
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		x = math.Copysign(0, -1)
	}
	return strconv.FormatFloat(x, 'e', -1, 64)
}

func (g generator) decimal() string {
	ints := strconv.FormatUint(g.Uint64()>>g.IntN(64), 10)
	frac := fmt.Sprintf("%012d", g.Uint64()%1e12)[:1+g.IntN(12)]
	lit := g.pick("", "-") + ints + "." + frac
	switch g.IntN(4) {
	case 0:
		return lit
	case 1:
		return "0." + frac
	case 2:
		return "(SELECT d + " + strconv.Itoa(g.IntN(1000)) + " FROM src)"
	}
	return fmt.Sprintf("CAST('%s' AS DECIMAL(%d,%d))", lit, len(ints)+len(frac)+g.IntN(5), len(frac))
}

func (g generator) temporal() string {
	date := fmt.Sprintf("%04d-%02d-%02d", g.IntN(9999), 1+g.IntN(12), 1+g.IntN(28))
	clock := fmt.Sprintf("%02d:%02d:%02d.%06d", g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1e6))
	switch g.IntN(6) {
	case 0:
		return "CAST('" + date + "' AS DATE)"
	case 1:
		return fmt.Sprintf("CAST('%s%03d%s' AS TIME(6))", g.pick("", "-"), g.IntN(838), clock[2:])
	case 2:
		return "CAST('" + date + " " + clock + "' AS DATETIME(6))"
	case 3:
		return "CAST('" + date + " " + clock + "' AS DATETIME)"
	case 4:
		return "CAST('" + g.pick("0000-00-00", "2020-00-00", "2021-02-00") + "' AS DATE)"
	}
	return "(SELECT ts FROM src)"
}

func (g generator) binary() string {
	raw := make([]byte, g.IntN(200))
	for i := range raw {
		raw[i] = byte(g.Uint32())
	}
	switch g.IntN(4) {
	case 0:
		return g.pick("(SELECT b8 FROM src)", "(SELECT bl FROM src)", "(SELECT bi FROM src)")
	case 1:
		as := g.pick("TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "VARBINARY(255)", "BINARY(255)")
		return "JSON_EXTRACT((SELECT JSON_ARRAY(v) FROM JSON_TABLE(JSON_ARRAY(x'" + hex.EncodeToString(raw) +
			"'), _utf8mb4'$[*]' COLUMNS(v " + as + " PATH _utf8mb4'$')) AS q), _utf8mb4'$[0]')"
	}
	return "x'" + hex.EncodeToString(raw) + "'"
}

// str is an SQL literal of characters that need escapes, plain ones, and all planes of Unicode.
func (g generator) str() string {
	var b strings.Builder
	for range g.IntN(12) {
		switch g.IntN(5) {
		case 0:
			b.WriteByte(byte(g.IntN(0x80)))
		case 1:
			b.WriteString(g.pick(`"`, `\`, "\n", "/", "\x7f", "\x00", "'", "<", "\u2028", "😀", "é"))
		case 2:
			b.WriteRune(rune(0x80 + g.IntN(0xd000)))
		default:
			b.WriteByte(byte('a' + g.IntN(26)))
		}
	}
	if g.IntN(60) == 0 {
		b.WriteString(strings.Repeat("long ", 1+g.IntN(13000)))
	}
	return "_utf8mb4 x'" + hex.EncodeToString([]byte(b.String())) + "'"
}
