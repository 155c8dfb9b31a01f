package repo

import (
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/keep/history"
)

func FuzzNames(f *testing.F) {
	for _, s := range []string{
		logName(1, 0xffffffffffff), snapFolder(SnapshotID(day0), billing) + "/0001.pack", catalogName(7, day0), gcName(day0),
		"drill/" + stamp(day0) + "-x.json", "log/-.pack", "snap/x/y", "", "shop", "a.b%2Fc",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, b, ok := parseLogName(s); ok && logName(a, b) != s {
			t.Errorf("%q is the log %d-%d", s, a, b)
		}
		if n, at, ok := parseCatalogName(s); ok && catalogName(n, at) != s {
			t.Errorf("%q is a catalog", s)
		}
		if at, ok := parseGCName(s); ok && gcName(at) != s {
			t.Errorf("%q is of gc", s)
		}
		if folder, id, table, file, ok := parseSnapName(s); ok && (folder+"/"+file != s || snapDir+id+"-"+table != folder) {
			t.Errorf("%q is a snapshot", s)
		}
		parseDrillName(s)
		for _, name := range []string{escape(db0(s, "t")), escape(db0("s", s))} {
			if len(name) > maxEscaped || strings.ContainsAny(name, "/ ") || strings.Count(name, ".") > 1 {
				t.Errorf("%q becomes %q", s, name)
			}
		}
		if checkDatabase(s) == nil && strings.ContainsAny(s, "/\\ \x00") {
			t.Errorf("%q is the name of a repository", s)
		}
	})
}

func FuzzDocuments(f *testing.F) {
	for _, v := range []any{
		Header{Version: 1, ID: "x", Database: "shop"},
		history.Snapshot{ID: SnapshotID(day0), Table: billing, Parts: []history.Part{{Name: "0001.pack"}}},
		gcDocument{Version: 1, Names: []string{"log/x"}},
	} {
		text, err := sealDocument(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:len(text)-checkSize])
	}
	f.Add([]byte(`{"id":"0000000000000","start":9,"end":3`))
	f.Add([]byte(`{"lull-repository":99`))
	f.Fuzz(func(t *testing.T, object []byte) {
		for _, text := range [][]byte{object, appendCheck(append(slices.Clip(object), '}'))} {
			if h, err := parseHeader(text); err == nil && (h.Version != Version || h.ID == "") {
				t.Errorf("%q is the header %+v", text, h)
			}
			if s, err := parseSnapshot(text); err == nil && (s.End < s.Start || !isID(s.ID)) {
				t.Errorf("%q is the snapshot %+v", text, s)
			}
			_ = openDocument(text, &gcDocument{})
		}
	})
}
