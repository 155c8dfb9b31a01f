package binjson_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/binjson"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

var update = flag.Bool("update", false, "write the corpora in testdata from what the server logged")

// Documents that random ones hardly meet.
var special = []string{
	`_utf8mb4'{}'`, `_utf8mb4'[]'`, `_utf8mb4'""'`, `_utf8mb4'null'`, `_utf8mb4'true'`, `_utf8mb4'-0.0'`, `_utf8mb4'{"":""}'`, `_utf8mb4'{"bb":1,"a":2,"c":3,"":4,"ba":5}'`,
	`_utf8mb4'[32767,32768,-32768,-32769,65535,65536,2147483647,2147483648,-2147483648,-2147483649,4294967295,4294967296,9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615]'`,
	`_utf8mb4'[1e15,1e14,999999999999999.0,123456789012345.6,1234567890123456.5,12345678901234567.0,1e-14,1e-15,1.5e-14,1.5e-15,0.1,1.5e-7,1e20,1e100,1.7976931348623157e308,5e-324,2.2250738585072014e-308]'`,
	`JSON_ARRAY(0.0, -0.5, 0.50000, CAST('0' AS DECIMAL(1,0)), CAST('12345678901' AS DECIMAL(11,0)), 5., -5., 12345678901234567890123, -.25, (SELECT d FROM src), (SELECT d - d FROM src), 123456789.123456789, 99999999999999999999999999999999999.999999999999999999999999999999)`,
	`JSON_ARRAY(CAST('-838:59:59' AS TIME), CAST('838:59:59.999999' AS TIME(6)), CAST('-00:00:00.000001' AS TIME(6)), CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)))`,
	`JSON_ARRAY(CAST(0 AS UNSIGNED), CAST(65535 AS UNSIGNED), CAST(65536 AS UNSIGNED), CAST(4294967296 AS UNSIGNED), CAST(9223372036854775807 AS UNSIGNED))`,
	`CAST(_utf8mb4'[` + strings.Repeat("[", 98) + `1,70000` + strings.Repeat("]", 98) + `, "x"]' AS JSON)`,
	`JSON_ARRAY(REPEAT(_utf8mb4'x', 65500), 70000, -1, JSON_ARRAY(70000, _utf8mb4'y'), CAST(_utf8mb4'{"k":[1]}' AS JSON))`,
	`JSON_ARRAY(REPEAT(_utf8mb4'x', 70000), 70000, -1, CAST(70000 AS UNSIGNED), JSON_ARRAY(70000, _utf8mb4'y'))`,
	`JSON_OBJECT(_utf8mb4'a', REPEAT(_utf8mb4'x', 70000), _utf8mb4'b', JSON_OBJECT(_utf8mb4'c', REPEAT(_utf8mb4'y', 65000), _utf8mb4'd', JSON_ARRAY(1.5)), REPEAT(_utf8mb4'k', 300), 80000)`,
	strings.Repeat("JSON_ARRAY(", 99) + "JSON_OBJECT(_utf8mb4'k', 1.50)" + strings.Repeat(")", 99),
	`(WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 120) SELECT JSON_ARRAYAGG(CAST(a.n * b.n AS DECIMAL(9,3))) FROM s a, s b)`,
	`JSON_EXTRACT(JSON_ARRAY(1.50), _utf8mb4'$[0]')`, `JSON_EXTRACT(JSON_ARRAY(x'00ff'), _utf8mb4'$[0]')`,
	`JSON_EXTRACT(JSON_ARRAY(CAST('2020-01-02' AS DATE)), _utf8mb4'$[0]')`, `CAST(CAST(5 AS UNSIGNED) AS JSON)`,
	`_utf8mb4'"' '\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u2028\\/\\"\\\\ é😀' '"'`,
}

// expressions are the special documents and n random ones, always the same.
func expressions(n int) []string {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	out := slices.Clone(special)
	for i := range n {
		out = append(out, "JSON_EXTRACT(JSON_ARRAY("+g.doc(1+i%5)+"), _utf8mb4'$[0]')")
	}
	return out
}

func (b *bench) insert(exprs []string) []image {
	b.t.Helper()
	b.exec("DELETE FROM docs")
	images := b.record(func() {
		for i, e := range exprs {
			b.exec(fmt.Sprintf("INSERT INTO docs VALUES (%d, %s)", i, e))
		}
	})
	if len(images) != len(exprs) {
		b.t.Fatalf("%d row images of %d documents", len(images), len(exprs))
	}
	return images
}

func TestServerText(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mysql-9") {
		b := newBench(t, srv)
		var corpus bytes.Buffer
		for _, im := range b.insert(expressions(1500)) {
			want := b.text(int(im.id))
			got, err := binjson.AppendText(nil, im.after)
			if err != nil || string(got) != want {
				t.Errorf("%s:\ngot  %.300s %v\nwant %.300s", hex.EncodeToString(im.after[:min(len(im.after), 200)]), got, err, want)
			}
			again, err := binjson.Apply(im.after, nil)
			if err != nil || !bytes.Equal(again, im.after) {
				t.Errorf("encoded again: %.300s: %v", want, err)
			}
			if len(im.after) < 100_000 && int(im.id) < len(special) || len(im.after) < 400 && im.id < 700 {
				fmt.Fprintf(&corpus, "%x\t%s\n", im.after, want)
			}
		}
		writeCorpus(t, "testdata/corpus.txt.gz", corpus.Bytes())
	}
}

// writeCorpus keeps what a server logged and printed for the tests that need no server.
func writeCorpus(t *testing.T, name string, data []byte) {
	t.Helper()
	if !*update {
		return
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, zipped.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestServerStoresSQL(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mysql-9") {
		b := newBench(t, srv)
		docs := b.insert(expressions(1500))
		texts := make([]string, len(docs))
		exprs := make([]string, len(docs))
		for i, im := range docs {
			texts[i] = b.text(i)
			e, err := binjson.AppendSQL(nil, im.after)
			if err != nil {
				t.Errorf("%.300s: %v", texts[i], err)
				e = []byte("'null'")
			}
			exprs[i] = string(e)
		}
		for i, im := range b.insert(exprs) {
			if got := b.text(i); got != texts[i] {
				t.Errorf("%.300s\ngot  %.300s\nwant %.300s", exprs[i], got, texts[i])
			}
			if !bytes.Equal(im.after, docs[i].after) {
				t.Errorf("%.300s\n%.300s\ngot  %x\nwant %x", texts[i], exprs[i], im.after[:min(len(im.after), 200)], docs[i].after[:min(200, len(docs[i].after))])
			}
		}
	}
}
