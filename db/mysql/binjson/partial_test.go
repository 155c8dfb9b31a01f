package binjson_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/binjson"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// padding makes documents so large that the server logs diffs instead of the whole.
const padding = `JSON_OBJECT(_utf8mb4'pad', REPEAT(_utf8mb4'p', 600), _utf8mb4'a', 1, _utf8mb4'é', _utf8mb4'x',
	_utf8mb4'q"\\uote.d [*]', JSON_ARRAY(1, 2, JSON_OBJECT(_utf8mb4'deep', JSON_ARRAY(1.50))),
	_utf8mb4'list', JSON_ARRAY(1, _utf8mb4'two', JSON_ARRAY(3, 4), JSON_OBJECT(_utf8mb4'k', 5)), _utf8mb4'', CAST('2020-01-02' AS DATE))`

// change is a random call that the server can log as diffs.
func (g generator) change() string {
	path := "_utf8mb4'" + g.pick("$.a", `$."é"`, `$."q\\"\\\\uote.d [*]"`, `$."q\\"\\\\uote.d [*]"[2].deep[0]`,
		`$."q\\"\\\\uote.d [*]"[2].deep[last]`, "$.list", "$.list[0]", "$.list[1]", "$.list[2][1]", "$.list[last]",
		"$.list[last-1]", "$.list[3].k", "$.list[9]", "$.list[2][7]", `$.""`, "$.new", "$.new.er", `$."1x"`, "$.$_y", `$."日本"`, `$."tab\\t"`) + "'"
	switch g.IntN(3) {
	case 0:
		return "JSON_REMOVE(j, " + path + ")"
	case 1:
		return "JSON_REPLACE(j, " + path + ", " + g.doc(2) + ")"
	}
	return "JSON_SET(j, " + path + ", " + g.doc(2) + ")"
}

func TestServerPartialUpdates(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mysql-9") {
		b := newBench(t, srv)
		b.exec("SET binlog_row_value_options = PARTIAL_JSON")
		g := generator{rand.New(rand.NewPCG(3, 4))}
		var corpus bytes.Buffer
		partial := 0
		for id := range 40 {
			b.exec(fmt.Sprintf("INSERT INTO docs VALUES (%d, %s)", id, padding))
			for range 20 {
				for _, im := range b.record(func() {
					b.exec(fmt.Sprintf("UPDATE docs SET j = %s WHERE id = %d", g.change(), id))
				}) {
					checkPartial(t, im, b.text(id), &corpus, &partial)
				}
			}
		}
		if partial < 200 {
			t.Errorf("only %d updates were logged as diffs", partial)
		}
		writeCorpus(t, "testdata/partial.txt.gz", corpus.Bytes())
	}
}

// checkPartial applies the update's diffs and compares with what the server printed.
func checkPartial(t *testing.T, im image, want string, corpus *bytes.Buffer, partial *int) {
	t.Helper()
	after := im.after
	if im.partial {
		*partial++
		diffs, err := binjson.ParseDiffs(im.after)
		if err != nil {
			t.Fatalf("%x: %v", im.after, err)
		}
		if after, err = binjson.Apply(im.before, diffs); err != nil {
			t.Fatalf("%q: %v", diffs, err)
		}
		if len(im.before) < 4000 && len(im.after) < 1000 && *partial%2 == 0 {
			fmt.Fprintf(corpus, "%x\t%x\t%s\n", im.before, im.after, want)
		}
	}
	if got, err := binjson.AppendText(nil, after); err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, shorten(string(got)), shorten(want))
	}
}

func shorten(s string) string { return strings.ReplaceAll(s, strings.Repeat("p", 600), "pp") }
