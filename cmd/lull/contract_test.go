package main

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// checkDocument reads stdout as exactly one document and compares its fields with those wanted:
// "accidents[].position.file" names a field of an object in a list. A list that is empty
// has no fields below it.
func checkDocument(ts *testscript.TestScript, _ bool, want []string) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var doc map[string]any
	ts.Check(dec.Decode(&doc))
	if _, err := dec.Token(); err != io.EOF {
		ts.Fatalf("more than one document on stdout")
	}
	if doc["lull"] != float64(1) {
		ts.Fatalf(`"lull" is %v, want 1`, doc["lull"])
	}
	got := map[string]bool{}
	fields("", doc, got)
	delete(got, "lull")
	for _, w := range want {
		if !got[w] {
			ts.Fatalf("the document has no field %s", w)
		}
		delete(got, w)
	}
	var more []string
	for f := range got {
		more = append(more, f)
	}
	slices.Sort(more)
	if len(more) > 0 {
		ts.Fatalf("the document has fields that nobody promised: %s", strings.Join(more, " "))
	}
}

// fields names all leaves of a document. Rows are data: their columns are no fields.
func fields(path string, v any, out map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains([]string{"now", "to", "before", "after"}, path[strings.LastIndexByte(path, '.')+1:]) {
			out[path] = true
			return
		}
		for name, value := range v {
			fields(strings.TrimPrefix(path+"."+name, "."), value, out)
		}
	case []any:
		if len(v) == 0 {
			out[path] = true
		}
		for _, value := range v {
			fields(path+"[]", value, out)
		}
	default:
		out[path] = true
	}
}

// TestFieldsAreDocumented compares the fields that the scripts promise with docs/json.md.
func TestFieldsAreDocumented(t *testing.T) {
	script, err := os.ReadFile("testdata/scripts/json.txtar")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(script)) {
		promised, ok := strings.CutPrefix(line, "json ")
		if !ok {
			continue
		}
		for field := range strings.FieldsSeq(promised) {
			for part := range strings.SplitSeq(strings.ReplaceAll(field, "[]", ""), ".") {
				n++
				if !strings.Contains(string(page), "`"+part+"`") && !strings.Contains(string(page), `"`+part+`": {`) && !strings.Contains(string(page), `"`+part+`": "`) {
					t.Errorf("docs/json.md does not tell what %s is (of %s)", part, field)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("the script promises only %d fields: is it still the right one?", n)
	}
}
