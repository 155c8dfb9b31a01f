package pack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// The samples in testdata/v1 were written by the first version of the format. They stay as
// they are for ever: every later version has to read them.
var update = flag.Bool("update", false, "write the samples in testdata/v1 that are not there")

var sampleNames = []string{"log", "snapshot", "encrypted", "catalog"}

// sample opens a sample of version 1.
func sample(tb testing.TB, name string) *pack.Reader {
	tb.Helper()
	with := must(pack.ParseIdentities(strings.NewReader(file(tb, "v1/key"))))(tb)
	return must(pack.Open(tb.Context(), bytesOf([]byte(file(tb, "v1/"+name+".pack"))), with))(tb)
}

func TestSamplesOfVersion1(t *testing.T) {
	for _, name := range sampleNames {
		if *update {
			writeSample(t, name)
		}
		got, want := told(t, sample(t, name)), file(t, "v1/"+name+".golden")
		if !holds(records(t, got), records(t, want)) {
			t.Errorf("sample %s is read as\n%s", name, got)
		}
	}
}

// records are the JSON documents on the lines of text.
func records(t *testing.T, text string) any {
	t.Helper()
	out := []any{}
	for line := range strings.Lines(text) {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.UseNumber()
		var v any
		fine(t, dec.Decode(&v))
		out = append(out, v)
	}
	return out
}

// holds says that got is want, except that objects may have got more fields since.
func holds(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for k, v := range want {
			ok = ok && holds(got[k], v)
		}
		return ok
	case []any:
		got, ok := got.([]any)
		ok = ok && len(got) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = holds(got[i], want[i])
		}
		return ok
	}
	return got == want
}

// writeSample writes a sample and what is in it, but not over one that is there.
func writeSample(t *testing.T, name string) {
	t.Helper()
	keyPath, path := filepath.Join("testdata", "v1", "key"), filepath.Join("testdata", "v1", name+".pack")
	if _, err := os.Stat(path); err == nil {
		return
	}
	if _, err := os.Stat(keyPath); err != nil {
		public, secret, err := pack.Generate()
		fine(t, err)
		fine(t, os.WriteFile(keyPath, []byte("# of the samples; it protects nothing\n# public key: "+public+"\n"+secret+"\n"), 0o600))
	}
	var out bytes.Buffer
	w := must(pack.NewWriter(&out, nil))(t)
	kind := pack.Log
	switch name {
	case "snapshot":
		kind = pack.Snapshot
		addDefinitions(t, w)
		addRows(t, w)
	case "catalog":
		kind = pack.Catalog
		var b []byte
		for _, s := range allStatements() {
			b = must(pack.AppendStatement(b, &s))(t)
		}
		fine(t, w.Add(pack.Member{Kind: pack.Statements, Count: 2}, b))
	case "encrypted":
		_, public, _ := strings.Cut(file(t, "v1/key"), "public key: ")
		public, _, _ = strings.Cut(public, "\n")
		out.Reset()
		w = must(pack.NewWriter(&out, must(pack.ParseRecipients([]string{public}))(t)))(t)
		fallthrough
	case "log":
		addDefinitions(t, w)
		addChanges(t, w)
	}
	must(w.Close(pack.Index{
		Kind: kind, Database: "shop", Created: started, Server: "3e11fa47-71ca-11e1-9e33-c80aa9429562", First: 1, Last: 1 << 63,
		From: db.Position{File: "bin.000001", Offset: 4, GTID: "0-1-269"}, To: db.Position{File: "bin.000002", Offset: 4}, MinAt: started,
		MaxAt: started.Add(time.Hour),
	}))(t)
	fine(t, os.WriteFile(path, out.Bytes(), 0o600))
	fine(t, os.WriteFile(filepath.Join("testdata", "v1", name+".golden"), []byte(told(t, sample(t, name))), 0o600))
}

var billing = db.Name{Schema: "shop", Table: "orders"}

func addDefinitions(t *testing.T, w *pack.Writer) {
	t.Helper()
	var b []byte
	for _, d := range allDefinitions() {
		b = must(pack.AppendDefinition(b, &d))(t)
	}
	fine(t, w.Add(pack.Member{Kind: pack.Definitions, IDs: []string{"d-1", "d-2"}, Count: 2}, b))
}

func addRows(t *testing.T, w *pack.Writer) {
	t.Helper()
	var b []byte
	for _, r := range allRows() {
		b = db.AppendRow(b, r)
	}
	fine(t, w.Add(pack.Member{Kind: pack.Rows, Table: billing, Definition: "d-1", Count: int64(len(allRows()))}, b))
	fine(t, w.Add(pack.Member{Kind: pack.Rows, Table: db.Name{Schema: "shop", Table: "empty"}, Definition: "d-2"}, nil))
}

func addChanges(t *testing.T, w *pack.Writer) {
	t.Helper()
	var changes pack.ChangeWriter
	for _, c := range allChanges() {
		changes.Add(&c)
	}
	fine(t, w.Add(pack.Member{
		Kind: pack.Changes, Table: billing, Definition: "d-1", Count: changes.Count(), First: 7, Last: 1<<60 + 2,
		MinAt: started, MaxAt: started.Add(time.Hour),
	}, changes.Bytes()))
	var transactions pack.TransactionWriter
	for _, x := range allTransactions() {
		transactions.Add(x.seq, &x.tx, x.touches)
	}
	fine(t, w.Add(pack.Member{Kind: pack.Transactions, Count: transactions.Count(), First: 1, Last: 1 << 63}, transactions.Bytes()))
	var events []byte
	for _, e := range allEvents() {
		events = must(pack.AppendEvent(events, &e))(t)
	}
	fine(t, w.Add(pack.Member{Kind: pack.Events, Count: int64(len(allEvents()))}, events))
}

// told is all that is in a pack, a line for each record after one for the index. Bytes are
// shown as characters U+0000 to U+00FF.
func told(t *testing.T, r *pack.Reader) string {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	tell := func(values ...any) { fine(t, enc.Encode(values)) }
	ix := *r.Index()
	tell("index", ix)
	for i, m := range ix.Members {
		b := must(r.Payload(t.Context(), i))(t)
		switch m.Kind {
		case pack.Rows:
			fine(t, pack.EachRow(b, func(r db.Row) error { tell("rows", m.Table.String(), shown(r)); return nil }))
		case pack.Changes:
			fine(t, pack.EachChange(b, &m, func(c *history.RowChange) error {
				off := 0
				if c.ForeignKeysOff {
					off = 1
				}
				tell("changes", m.Table.String(), c.Seq, c.N, c.Op, off, shown(c.Before), shown(c.After))
				return nil
			}))
		case pack.Transactions:
			fine(t, pack.EachTransaction(b, func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
				tell("transactions", seq, tx, touches)
				return nil
			}))
		case pack.Events:
			fine(t, pack.EachEvent(b, func(e *history.Event) error { tell("events", e); return nil }))
		case pack.Definitions:
			fine(t, pack.EachDefinition(b, func(d *history.Definition) error { tell("definitions", d); return nil }))
		case pack.Statements:
			fine(t, pack.EachStatement(b, func(s *pack.Statement) error { tell("statements", s); return nil }))
		}
	}
	return out.String()
}

// shown is a row as the reader in docs/formats/repository.md shows it: null is NULL, {} a value
// that was not logged, and a list a value and the expression that makes it.
func shown(r db.Row) any {
	if r == nil {
		return nil
	}
	out := []any{}
	for _, v := range r {
		switch {
		case v.State == db.Null:
			out = append(out, nil)
		case v.State == db.Absent:
			out = append(out, struct{}{})
		case v.Expr != nil:
			out = append(out, []string{latin(v.Data), latin(v.Expr)})
		default:
			out = append(out, latin(v.Data))
		}
	}
	return out
}

func latin(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// The reader that the format's page prints reads the samples, too.
func TestReaderOfTheDocumentation(t *testing.T) {
	page := string(must(os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats", "repository.md")))(t))
	_, script, _ := strings.Cut(page, "```python\n")
	script, _, ok := strings.Cut(script, "```")
	if lines := strings.Count(script, "\n"); !ok || lines > 30 {
		t.Fatalf("the reader has %d lines", lines)
	}
	path := filepath.Join(t.TempDir(), "read.py")
	fine(t, os.WriteFile(path, []byte(script), 0o600))
	for _, name := range sampleNames {
		var want strings.Builder
		for line := range strings.Lines(file(t, "v1/"+name+".golden")) {
			if strings.HasPrefix(line, `["rows"`) || strings.HasPrefix(line, `["changes"`) {
				want.WriteString(line)
			}
		}
		got := tool(t, nil, "python3", path, filepath.Join("testdata", "v1", name+".pack"), filepath.Join("testdata", "v1", "key"))
		if string(got) != want.String() {
			t.Errorf("sample %s is read as\n%s", name, got)
		}
	}
}
