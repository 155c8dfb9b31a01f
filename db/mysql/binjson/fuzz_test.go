package binjson_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/lull-ops/lull/db/mysql/binjson"
)

func seedDocs(f *testing.F, add func(doc []byte)) {
	for _, l := range corpus(f, "testdata/corpus.txt.gz") {
		if len(l[0]) < 1000 {
			add(unhex(f, l[0]))
		}
	}
	add(nested(100))
	add(nil)
}

func FuzzAppendText(f *testing.F) {
	seedDocs(f, func(doc []byte) { f.Add(doc) })
	f.Fuzz(func(t *testing.T, doc []byte) {
		text, err := binjson.AppendText(nil, doc)
		sql, sqlErr := binjson.AppendSQL(nil, doc)
		if err != nil {
			if sqlErr == nil {
				t.Fatalf("SQL %s of a document without text: %v", sql, err)
			}
			return
		}
		if len(text) > 8*len(doc)+16 && len(text) > 300 {
			t.Fatalf("%d bytes make %d of text", len(doc), len(text))
		}
		if utf8.Valid(text) && !json.Valid(text) {
			t.Fatalf("no JSON: %s", text)
		}
		if _, err := binjson.NeedsSQL(doc); err != nil {
			t.Fatal(err)
		}
		// Keys out of order print, but do not decode.
		again, err := binjson.Apply(doc, nil)
		if err != nil {
			return
		}
		if same, err := binjson.AppendText(nil, again); err != nil || !bytes.Equal(same, text) {
			t.Fatalf("%s became %s, %v", text, same, err)
		}
	})
}

func FuzzApply(f *testing.F) {
	for _, l := range corpus(f, "testdata/partial.txt.gz") {
		if len(l[0]) < 3000 {
			f.Add(unhex(f, l[0]), unhex(f, l[1]))
		}
	}
	f.Add([]byte{2, 0, 0, 4, 0}, []byte("\x01\x04$[0]\x02\x04\x00"))
	f.Add([]byte{0, 0, 0, 4, 0}, []byte("\x01\x0e$.\"\\ud83d\\ude00\x02\x04\x00"))
	f.Fuzz(func(t *testing.T, doc, list []byte) {
		diffs, err := binjson.ParseDiffs(list)
		if err != nil {
			return
		}
		after, err := binjson.Apply(doc, diffs)
		if err != nil {
			return
		}
		text, err := binjson.AppendText(nil, after)
		if err != nil {
			t.Fatalf("%x: %v", after, err)
		}
		again, err := binjson.Apply(after, nil)
		if err != nil || !bytes.Equal(again, after) {
			t.Fatalf("%s: %x became %x, %v", text, after, again, err)
		}
	})
}
