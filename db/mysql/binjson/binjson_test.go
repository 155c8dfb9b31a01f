package binjson_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/binjson"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// corpus is the tab-separated lines of a file that a server test wrote.
func corpus(t testing.TB, name string) (lines [][]string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return lines
}

func TestAppendText(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{"", "null"},
		{"0400", "null"},
		{"0401", "true"},
		{"0402", "false"},
		{"05ffff", "-1"},
		{"06ffff", "65535"},
		{"07000000 80", "-2147483648"},
		{"08ffffffff", "4294967295"},
		{"09 0000000000000080", "-9223372036854775808"},
		{"0a ffffffffffffffff", "18446744073709551615"},
		{"0b 0000000000000000", "0.0"},
		{"0b 0000000000000080", "-0.0"},
		{"0b 000000000000f83f", "1.5"},
		{"0b 00003426f56b0c43", "1e15"},
		{"0b 000000000000f07f", "0.0"},
		{"0c 00", `""`},
		{"0c 0a 22 5c 2f 08 0c 0a 0d 09 01 7f", `"\"\\/\b\f\n\r\t\u0001` + "\x7f\""},
		{"00 0000 0400", "{}"},
		{"02 0000 0400", "[]"},
		{"01 00000000 08000000", "{}"},
		{"03 00000000 08000000", "[]"},
		{"00 0100 0c00 0b00 0100 05 fdff 61", `{"a": -3}`},
		{"03 01000000 0d000000 07 fdffffff", "[-3]"},
		{"0f f6 04 03 02 81 32", "1.50"},
		{"0f f6 04 03 02 7e cd", "-1.50"},
		{"0f f6 03 01 01 85", "0.5"},
		{"0f 0a 08 0000000000 84b219", `"2024-02-02"`},
		{"0f fc 02 00ff", `"base64:type252:AP8="`},
		{"0f fd 02 6122", `"a\""`},
	} {
		if got, err := binjson.AppendText([]byte("x"), unhex(t, c.doc)); err != nil || string(got) != "x"+c.want {
			t.Errorf("%s: got %s, %v; want %s", c.doc, got, err, c.want)
		}
	}
}

func TestBase64BreaksLines(t *testing.T) {
	for n, want := range map[int]int{0: 0, 56: 0, 57: 0, 58: 1, 114: 1, 115: 2} {
		doc := append([]byte{0x0f, 252, byte(n)}, make([]byte, n)...)
		got, err := binjson.AppendText(nil, doc)
		if err != nil || strings.Count(string(got), `\n`) != want {
			t.Errorf("%d bytes: %s, %v; want %d line breaks", n, got, err, want)
		}
	}
}

func TestDamaged(t *testing.T) {
	for name, doc := range map[string]string{
		"unknown type":            "0d00",
		"unknown literal":         "0403",
		"literal cut short":       "04",
		"integer cut short":       "09 00000000",
		"string longer than data": "0c 05 61",
		"length without end":      "0c ffffffffffff",
		"opaque cut short":        "0f",
		"count beyond the data":   "03 ffffffff ffffffff",
		"size beyond the data":    "02 0000 0500",
		"header beyond the size":  "02 0200 0600 0000",
		"key outside":             "00 0100 0c00 0b00 0200 05 fdff 61",
		"key inside the header":   "00 0100 0c00 0000 0100 05 fdff 61",
		"value outside":           "02 0100 0700 0c 0800",
		"value is its container":  "02 0100 0700 02 0000",
		"decimal of no digits":    "0f f6 02 6000",
		"decimal scale":           "0f f6 03 01 02 81",
		"decimal digits":          "0f f6 04 03 02 81 ff",
		"date of 7 bytes":         "0f 0a 07 00000000000000",
		"negative date":           "0f 0a 08 ffffffffffffffff",
		"microseconds":            "0f 0b 08 ffffff0000000000",
	} {
		dst := []byte("x")
		for what, f := range map[string]func([]byte, []byte) ([]byte, error){"text": binjson.AppendText, "SQL": binjson.AppendSQL} {
			got, err := f(dst, unhex(t, doc))
			if !errors.Is(err, binjson.ErrDamaged) || string(got) != "x" {
				t.Errorf("%s: %s %q, %v", name, what, got, err)
			}
		}
	}
}

// nested is n arrays inside each other.
func nested(n int) []byte {
	doc := []byte{0, 0, 4, 0}
	for i := 1; i < n; i++ {
		size := len(doc) + 7
		doc = append([]byte{1, 0, byte(size), byte(size >> 8), 2, 7, 0}, doc...)
	}
	return append([]byte{2}, doc...)
}

func TestDepth(t *testing.T) {
	deep := nested(101)
	if _, err := binjson.AppendText(nil, deep); !errors.Is(err, binjson.ErrDepth) {
		t.Errorf("text: %v", err)
	}
	if _, err := binjson.NeedsSQL(deep); !errors.Is(err, binjson.ErrDepth) {
		t.Errorf("needs SQL: %v", err)
	}
	if _, err := binjson.Apply(deep, nil); !errors.Is(err, binjson.ErrDepth) {
		t.Errorf("apply: %v", err)
	}
	got, err := binjson.AppendText(nil, nested(100))
	if want := strings.Repeat("[", 100) + strings.Repeat("]", 100); err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestSharedOffsets: 60 arrays whose two elements are both the next array would print 2^60
// values.
func TestSharedOffsets(t *testing.T) {
	doc := []byte{0, 0, 4, 0}
	for range 60 {
		size := len(doc) + 10
		doc = append([]byte{2, 0, byte(size), byte(size >> 8), 2, 10, 0, 2, 10, 0}, doc...)
	}
	doc = append([]byte{2}, doc...)
	if _, err := binjson.AppendText(nil, doc); !errors.Is(err, binjson.ErrDamaged) {
		t.Errorf("text: %v", err)
	}
	if _, err := binjson.Apply(doc, nil); !errors.Is(err, binjson.ErrDamaged) {
		t.Errorf("apply: %v", err)
	}
}

func TestCorpus(t *testing.T) {
	lines := corpus(t, "testdata/corpus.txt.gz")
	if len(lines) < 400 {
		t.Fatalf("only %d documents", len(lines))
	}
	for _, l := range lines {
		doc := unhex(t, l[0])
		if got, err := binjson.AppendText(nil, doc); err != nil || string(got) != l[1] {
			t.Errorf("got  %.200s, %v\nwant %.200s", got, err, l[1])
		}
		if again, err := binjson.Apply(doc, nil); err != nil || !bytes.Equal(again, doc) {
			t.Errorf("%.200s: encoded again as %x, %v", l[1], again, err)
		}
	}
}

func TestPartialCorpus(t *testing.T) {
	lines := corpus(t, "testdata/partial.txt.gz")
	if len(lines) < 50 {
		t.Fatalf("only %d updates", len(lines))
	}
	for _, l := range lines {
		diffs, err := binjson.ParseDiffs(unhex(t, l[1]))
		if err != nil {
			t.Fatal(err)
		}
		after, err := binjson.Apply(unhex(t, l[0]), diffs)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := binjson.AppendText(nil, after); err != nil || string(got) != l[2] {
			t.Errorf("%q: got %s, %v, want %s", diffs, got, err, l[2])
		}
	}
}

func TestAppendSQL(t *testing.T) {
	for _, c := range []struct {
		doc, want string
		needs     bool
	}{
		{"", "_utf8mb4'null'", false},
		{"0401", "_utf8mb4'true'", false},
		{"0c 05 61 27 5c 00 62", `_utf8mb4'"a\'\\\\\\u0000b"'`, false},
		{"06 0500", "JSON_EXTRACT(JSON_ARRAY(CAST(5 AS UNSIGNED)), _utf8mb4'$[0]')", true},
		{"09 0000000001000000", "JSON_EXTRACT(JSON_ARRAY(4294967296), _utf8mb4'$[0]')", true},
		{"0a 0000000001000000", "_utf8mb4'4294967296'", false},
		{"08 70110100", "JSON_EXTRACT(JSON_ARRAY(CAST(70000 AS UNSIGNED)), _utf8mb4'$[0]')", true},
		{"0b 000000000000f83f", "_utf8mb4'1.5'", false},
		{
			"02 0200 2600 02 0a00 02 1500 0100 0b00 02 0700 0000 0400 0100 1100 0f 0700 f6 04 03 02 81 32 000000000000",
			"JSON_ARRAY(CAST(_utf8mb4'[[]]' AS JSON), JSON_ARRAY(1.50))", true,
		},
		{"0b 343333333333d33f", "JSON_EXTRACT(JSON_ARRAY(3.0000000000000004e-01), _utf8mb4'$[0]')", true},
		{"0f f6 06 07 04 80 4a 13 88", "JSON_EXTRACT(JSON_ARRAY(74.5000), _utf8mb4'$[0]')", true},
		{"0f f6 08 0d 04 80 00 00 4a 13 88", "JSON_EXTRACT(JSON_ARRAY(CAST('74.5000' AS DECIMAL(6,4))), _utf8mb4'$[0]')", true},
		{"0f f6 04 03 03 7e 0b", "JSON_EXTRACT(JSON_ARRAY(-.500), _utf8mb4'$[0]')", true},
		{"0f f6 02 00 00", "JSON_EXTRACT(JSON_ARRAY(CAST('0' AS DECIMAL(1,0))), _utf8mb4'$[0]')", true},
		{"02 0200 1000 040000 0f0a00 f6 04 03 02 81 32", "JSON_ARRAY(CAST(_utf8mb4'null' AS JSON), 1.50)", true},
		{"00 0100 1200 0b00 0100 0f 0c00 27 f6 04 03 02 81 32", `JSON_OBJECT(_utf8mb4'\'', 1.50)`, true},
	} {
		doc := unhex(t, c.doc)
		if got, err := binjson.AppendSQL(nil, doc); err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.doc, got, err, c.want)
		}
		if needs, err := binjson.NeedsSQL(doc); err != nil || needs != c.needs {
			t.Errorf("%s: needs SQL %v, %v", c.doc, needs, err)
		}
	}
}

func TestNoSQL(t *testing.T) {
	for _, doc := range []string{"0b 000000000000f07f", "0f ff 00", "0f 10 00"} {
		if got, err := binjson.AppendSQL([]byte("x"), unhex(t, doc)); !errors.Is(err, binjson.ErrNoSQL) || string(got) != "x" {
			t.Errorf("%s: %s, %v", doc, got, err)
		}
	}
}

func TestNeedsSQLAllocatesNothing(t *testing.T) {
	doc := unhex(t, "00 0100 0c00 0b00 0100 05 fdff 61")
	if n := testing.AllocsPerRun(100, func() { _, _ = binjson.NeedsSQL(doc) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestApply(t *testing.T) {
	one, two := []byte{5, 1, 0}, []byte{5, 2, 0}
	list := []byte{2, 2, 0, 10, 0, 5, 1, 0, 5, 2, 0} // [1, 2]
	object := unhex(t, "00 0100 0c00 0b00 0100 05 fdff 61")
	for _, c := range []struct {
		doc  []byte
		diff binjson.Diff
		want string // "" for a diff that does not fit
	}{
		{list, binjson.Diff{Op: binjson.Replace, Path: "$[0]", Value: two}, "[2, 2]"},
		{list, binjson.Diff{Op: binjson.Replace, Path: "$[last]", Value: one}, "[1, 1]"},
		{list, binjson.Diff{Op: binjson.Replace, Path: "$[last-1]", Value: list}, "[[1, 2], 2]"},
		{list, binjson.Diff{Op: binjson.Replace, Path: "$[2]", Value: one}, ""},
		{list, binjson.Diff{Op: binjson.Replace, Path: "$[last-2]", Value: one}, ""},
		{list, binjson.Diff{Op: binjson.Insert, Path: "$[0]", Value: two}, "[2, 1, 2]"},
		{list, binjson.Diff{Op: binjson.Insert, Path: "$[99]", Value: one}, "[1, 2, 1]"},
		{list, binjson.Diff{Op: binjson.Remove, Path: "$[0]"}, "[2]"},
		{list, binjson.Diff{Op: binjson.Remove, Path: "$.a"}, ""},
		{list, binjson.Diff{Op: binjson.Remove, Path: "$"}, ""},
		{list, binjson.Diff{Op: binjson.Insert, Path: "$[0][0]", Value: one}, ""},
		{object, binjson.Diff{Op: binjson.Insert, Path: `$.b`, Value: list}, `{"a": -3, "b": [1, 2]}`},
		{object, binjson.Diff{Op: binjson.Insert, Path: `$."\u00e9\ud83d\ude00\t\"\/"`, Value: one}, `{"a": -3, "é😀\t\"/": 1}`},
		{object, binjson.Diff{Op: binjson.Insert, Path: `$.a`, Value: one}, ""},
		{object, binjson.Diff{Op: binjson.Replace, Path: `$.a`, Value: nil}, `{"a": null}`},
		{object, binjson.Diff{Op: binjson.Remove, Path: `$.a`}, `{}`},
		{object, binjson.Diff{Op: binjson.Remove, Path: `$.aa`}, ""},
		{object, binjson.Diff{Op: binjson.Insert, Path: `$."` + strings.Repeat("k", 65536) + `"`, Value: one}, ""},
	} {
		after, err := binjson.Apply(c.doc, []binjson.Diff{c.diff})
		if c.want == "" {
			if !errors.Is(err, binjson.ErrReject) {
				t.Errorf("%.100v: %v", c.diff, err)
			}
			continue
		}
		if got, e := binjson.AppendText(nil, after); err != nil || e != nil || string(got) != c.want {
			t.Errorf("%v: got %s, %v; want %s", c.diff, got, err, c.want)
		}
	}
}

func TestParseDiffsDamaged(t *testing.T) {
	for name, b := range map[string]string{
		"operation":          "03 01 24",
		"no path length":     "02",
		"path cut short":     "02 05 24",
		"NULL length":        "02 fb",
		"length cut short":   "02 fe 0000",
		"length of 2^63":     "02 fe 0000000000000080",
		"no dollar":          "02 01 61",
		"wildcard":           "02 03 24 2e 2a",
		"empty name":         "02 02 24 2e",
		"open bracket":       "02 03 24 5b 31",
		"negative index":     "02 05 24 5b 2d 31 5d",
		"open quote":         "02 04 24 2e 22 61",
		"escape cut short":   "02 05 24 2e 22 61 5c",
		"lone surrogate":     "02 0a 24 2e 22 5c 75 64 38 33 64 22",
		"no value":           "00 02 24 2e",
		"replace, no length": "00 04 24 5b 30 5d",
	} {
		if d, err := binjson.ParseDiffs(unhex(t, b)); !errors.Is(err, binjson.ErrDamaged) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

// TestLarge: a container grows to four-byte offsets just where two bytes end, and makes the
// containers around it grow, too.
func TestLarge(t *testing.T) {
	for _, c := range []struct {
		n     int
		large byte
	}{{65535 - 7 - 7 - 3, 2}, {65535 - 7 - 7 - 2, 3}} {
		inner := append([]byte{12, 0x80 | byte(c.n&0x7f), 0x80 | byte(c.n>>7&0x7f), byte(c.n >> 14)}, bytes.Repeat([]byte("s"), c.n)...)
		doc := unhex(t, "02 0100 0e00 02 0700 0100 0700 040000")
		after, err := binjson.Apply(doc, []binjson.Diff{{Op: binjson.Replace, Path: "$[0][0]", Value: inner}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := binjson.AppendText(nil, after)
		if err != nil || len(got) != c.n+6 {
			t.Errorf("%d bytes of text, %v", len(got), err)
		}
		if after[0] != c.large {
			t.Errorf("string of %d bytes: %d bytes, container type %d", c.n, len(after), after[0])
		}
	}
}
