package binlogs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// threeLogs are copies of logs with an insert each, of one, two and three rows.
func threeLogs(t *testing.T) []string {
	t.Helper()
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA)
	for i := range 3 {
		l.exec("FLUSH BINARY LOGS;\n" + rows("a", 10*i, i+1))
	}
	l.exec("FLUSH BINARY LOGS")
	dir := t.TempDir()
	var paths []string
	for i, x := range l.logs()[1:4] {
		b, err := os.ReadFile(filepath.Join(l.srv.BinlogDir(), x.Name()))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprintf("bin.%06d", i+1))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// copies keeps the logs whole for the next case. Logs made anew would not do: where the server
// writes its checkpoint events differs from one to the next, and with it every offset.
func copies(t *testing.T, paths []string) []string {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for _, p := range paths {
		b, err := os.ReadFile(p)
		path := filepath.Join(dir, filepath.Base(p))
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamage reports what is good before and behind the damage, and where it is.
func TestDamage(t *testing.T) {
	whole := threeLogs(t)
	tx := scan(t, open(t, whole...), binlogs.Query{All: true, MinRows: 1}).Touches[1].Tx
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
		gap    string
		pos    int64 // at least
	}{
		{"cut inside the transaction", func(b []byte) []byte { return b[:tx.End-5] }, "a +1; a +3", "ends", tx.Start},
		{"cut between its events", func(b []byte) []byte { return b[:tx.End-31] }, "a +1; a +3", "ends inside a transaction", tx.Start},
		{"a byte flipped", func(b []byte) []byte { b[tx.End-10] ^= 1; return b }, "a +1; a +3", "checksum does not match", tx.Start},
		{"a byte flipped behind it", func(b []byte) []byte { b[tx.End+30] ^= 1; return b }, "a +1; a +2; a +3", "checksum does not match", tx.End},
		{"hostile length", func(b []byte) []byte { copy(b[tx.Start+9:], "\xff\xff\xff\x7f"); return b }, "a +1; a +3", "", tx.Start},
		{"not a binlog", func([]byte) []byte { return []byte("id,name\n1,Ann\n") }, "a +1; a +3", "not with a binlog's", 0},
		{"empty", func([]byte) []byte { return nil }, "a +1; a +3", "shorter than its four magic bytes", 0},
		{"only the magic bytes", func(b []byte) []byte { return b[:4] }, "a +1; a +3", "", 0},
	} {
		paths := copies(t, whole)
		edit(t, paths[1], c.change)
		for _, since := range []history.Bound{{}, {Time: day("00:00:00")}} {
			r := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1, Window: history.Window{Since: since}})
			if got := text(r.Touches); got != c.want {
				t.Errorf("%s: found %q, want %q", c.name, got, c.want)
			}
			if c.name == "only the magic bytes" {
				continue // a log that the server was about to begin
			}
			if len(r.Gaps) != 1 || r.Gaps[0].File != "bin.000002" || !strings.Contains(r.Gaps[0].Reason, c.gap) || r.Gaps[0].Pos < c.pos {
				t.Errorf("%s: gaps %+v, want bin.000002 at %d or behind: %s", c.name, r.Gaps, c.pos, c.gap)
			}
		}
	}
}

// TestDamagedChanges refuses to hand out half a transaction.
func TestDamagedChanges(t *testing.T) {
	paths := threeLogs(t)
	tx := scan(t, open(t, paths...), binlogs.Query{All: true, MinRows: 1}).Touches[1].Tx
	place := history.Place{File: tx.File, Start: tx.Start, End: tx.End}
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:tx.End-31] },
		"flipped": func(b []byte) []byte { b[tx.End-10] ^= 1; return b },
	} {
		paths := copies(t, paths)
		edit(t, paths[1], change)
		err := binlogs.Changes(t.Context(), open(t, paths...), []history.Place{place},
			func(*binlog.TableMap, history.Place) (*db.Table, error) { return nil, nil }, nil)
		if want := fmt.Sprintf("bin.000002:%d", tx.Start); err == nil || !strings.Contains(err.Error(), want) || lull.HintOf(err) == "" {
			t.Errorf("%s: error %v, want the place %s and a hint", name, err, want)
		}
	}
	_, err := binlogs.Redefinitions(t.Context(), open(t, paths[0], paths[2]), history.Place{File: "bin.000001", End: 4}, nil)
	if err == nil || !strings.Contains(err.Error(), "bin.000002") {
		t.Errorf("a missing log: error %v", err)
	}
	edit(t, paths[1], func(b []byte) []byte { return b[:tx.End-5] })
	if _, err = binlogs.Redefinitions(t.Context(), open(t, paths...), history.Place{File: "bin.000001", End: 4}, nil); err == nil {
		t.Error("a log that was cut off in the middle of the series gave no error")
	}
	if _, err = binlogs.Redefinitions(t.Context(), open(t, paths...), history.Place{File: "bin.000009"}, nil); err == nil {
		t.Error("a log that is not there gave no error")
	}
}

// TestFilesErrors names the path and the next step.
func TestFilesErrors(t *testing.T) {
	p := threeLogs(t)
	same := filepath.Join(t.TempDir(), filepath.Base(p[0]))
	if err := os.WriteFile(same, []byte(binlog.Magic), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		paths []string
		want  string
	}{
		{"no such file", []string{"/no/such/file"}, "open /no/such/file: no such file or directory"},
		{"a directory without logs", []string{t.TempDir()}, "holds no binlog"},
		{"two of one name", []string{p[0], same}, "have the same name"},
	} {
		_, err := binlogs.Files(c.paths)
		if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), c.want) || lull.HintOf(err) == "" {
			t.Errorf("%s: error %v (hint %q), want %q", c.name, err, lull.HintOf(err), c.want)
		}
	}
}

// TestEncrypted says that the files cannot be read and what can.
func TestEncrypted(t *testing.T) {
	key := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(key, []byte("1;770A8A65DA156D24EE2A093277530142\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(key), 0o755); err != nil {
		t.Fatal(err)
	}
	maria := servertest.MariaDB(t, "--plugin-load-add=file_key_management", "--file-key-management-filename="+key, "--encrypt-binlog=ON")
	l := newLab(t, maria)
	l.exec(tableA + ";\n" + rows("a", 1, 3))
	mysql := filepath.Join(t.TempDir(), "bin.000001")
	if err := os.WriteFile(mysql, []byte("\xfdbin\x01\x02\x03 and 500 bytes of keys follow, then what they hide"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, logs := range map[string][]binlogs.Log{"mariadb": l.logs(), "mysql": open(t, mysql)} {
		for _, from := range []int64{0, 300} {
			if from > 0 && name == "mysql" {
				continue
			}
			w := history.Window{Since: history.Bound{File: logs[0].Name(), Pos: from}}
			_, err := binlogs.Scan(t.Context(), logs, binlogs.Query{Window: w})
			if _, ok := errors.AsType[*binlog.UnsupportedError](err); !ok || !strings.Contains(err.Error(), logs[0].Name()) {
				t.Errorf("%s from %d: error %v", name, from, err)
			}
		}
	}
}

// TestActive reads the log that the server is writing, while it grows.
func TestActive(t *testing.T) {
	l := newLab(t, oneMariaDB(t))
	l.exec(tableA + ";\n" + rows("a", 1, 3))
	logs := l.logs() // their sizes are those of now
	l.exec("DELETE FROM a")
	if r := scan(t, logs, l.all()); text(r.Touches) != "a +3; a -3" || len(r.Gaps) > 0 {
		t.Errorf("found %q, gaps %v", text(r.Touches), r.Gaps)
	}
}
