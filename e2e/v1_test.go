package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeV1 makes testdata/v1-repo; it was used once. Made again, it would prove nothing.
var makeV1 = flag.String("make-v1", "", "make a repository for "+v1+" in this empty folder")

func fileSum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestMakeV1(t *testing.T) {
	if *makeV1 == "" {
		return // only by hand
	}
	l := newLab(t, recorded(t))
	key := filepath.Join(*makeV1, "lull.key")
	public := strings.TrimSpace(l.lull(0, "backup", "key", key).out)
	k := newKeep(l, settings{backup: []string{"encrypt: [" + public + "]", "identity: {file: " + key + "}"}})
	tables := k.busyTables()
	k.bills(20)
	tables = append(tables, "bills")
	var facts v1Facts
	k.lull(0, "backup", "now", "shop")
	for _, stmts := range []string{
		"UPDATE bills SET note='caf\u00e9 \\'x\\'' WHERE id<5; DELETE FROM customers WHERE id<10; INSERT INTO words VALUES ('q1', 7, X'00FF')",
		"ALTER TABLE bills ADD COLUMN paid DATETIME(3) AFTER cents; UPDATE bills SET paid='2026-01-02 03:04:05.678' WHERE id=3; UPDATE agents SET id=30 WHERE id=3",
		"DELETE FROM agents WHERE id=2; TRUNCATE TABLE heap; INSERT INTO heap VALUES (1,'a'),(1,'a')",
	} {
		k.script(stmts)
		at := k.here()
		k.script("INSERT INTO heap VALUES (9,'end')")
		k.lull(0, "backup", "now", "shop")
		for _, table := range tables {
			out := filepath.Join(t.TempDir(), "out.csv")
			k.lull(0, "restore", k.schema+"."+table, "--at", at, "--out", out)
			facts.Moments = append(facts.Moments, struct{ At, Table, CSV string }{at, k.schema + "." + table, fileSum(t, out)})
		}
	}
	text, err := json.MarshalIndent(&facts, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	k.write(filepath.Join(*makeV1, "facts.json"), string(text)+"\n")
	if err := os.CopyFS(filepath.Join(*makeV1, "store"), os.DirFS(k.store)); err != nil {
		t.Fatal(err)
	}
}
