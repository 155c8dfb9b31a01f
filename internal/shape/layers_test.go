package shape

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rooms stand in the order in which data flows. A room imports from rooms before it only.
var rooms = []string{"db", "keep", "watch", "tell", "decide", "act", "web", "internal/app", "cmd/lull"}

// shelf is what every package of keep may use of keep.
var shelf = []string{"keep/journal", "keep/blob", "keep/state"}

// codecs turn bytes into values and do nothing else.
var codecs = []string{"db/mysql/binlog", "db/mysql/ddl", "db/mysql/binjson", "db/mysql/sqltext"}

// mayImport says why a package in folder from must not import folder to, "" when it may.
func mayImport(from, to string) string {
	if to == "." {
		return ""
	}
	if slices.ContainsFunc(codecs, func(c string) bool { return in(from, c) }) {
		if to == "db" || slices.Contains(codecs, to) {
			return ""
		}
		return "a codec imports only lull, db and other codecs"
	}
	if in(to, "cmd") || isEdge(to) {
		return "nothing imports cmd, e2e, demo and bench"
	}
	fromRoom, toRoom := room(from), room(to)
	if toRoom < 0 {
		return "" // plain internal packages are for everyone
	}
	switch {
	case isEdge(from) || in(from, "cmd") || in(from, "internal/shape"):
		return ""
	case fromRoom < 0:
		return "a plain internal package knows no room"
	case toRoom > fromRoom:
		return fmt.Sprintf("data flows from %s to %s, so imports point the other way", rooms[fromRoom], rooms[toRoom])
	case toRoom < fromRoom:
		return ""
	}
	return inOneRoom(rooms[fromRoom], from, to)
}

// isEdge says that folder holds programs and tests that use all rooms, as cmd does.
func isEdge(folder string) bool {
	return in(folder, "e2e") || in(folder, "demo") || in(folder, "bench")
}

func inOneRoom(room, from, to string) string {
	switch {
	case to == room || slices.Contains(shelf, to):
		return ""
	case from == room:
		return "a room's root does not know its kinds"
	case kindOf(room, from) != kindOf(room, to):
		return "kinds of one room do not import each other"
	}
	return ""
}

// room is the place of folder's room in rooms, -1 for a plain internal package and all else.
func room(folder string) int {
	return slices.IndexFunc(rooms, func(r string) bool { return in(folder, r) })
}

// kindOf is the first folder below the room.
func kindOf(room, folder string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(folder, room+"/"), "/")
	return kind
}

func TestImportsPointLeft(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue // a test may look at the whole flow
		}
		for _, p := range s.imports {
			to, ours := strings.CutPrefix(p, module)
			if !ours {
				continue
			}
			to = strings.TrimPrefix(to, "/")
			if to == "" {
				to = "."
			}
			if why := mayImport(s.dir, to); why != "" && s.dir != to {
				t.Errorf("%s imports %s: %s", s.path, to, why)
			}
		}
	}
}

func TestMayImport(t *testing.T) {
	f := func(from, to string, want bool) {
		t.Helper()
		if why := mayImport(from, to); (why == "") != want {
			t.Errorf("%s imports %s: %q", from, to, why)
		}
	}
	f("db", ".", true)
	f("db/mysql", "db", true)
	f("db/mysql", "db/mysql/binlog", true)
	f("db/mysql/rowio", "db/mysql", true)
	f("db/mysql", "internal/term", true)
	f("db", "db/mysql", false)
	f("db/mysql", "db/postgres", false)
	f("db/mysql", "keep", false)
	f("db/mysql/binlog", "db", true)
	f("db/mysql/binlog", "db/mysql/binjson", true)
	f("db/mysql/binlog", "db/mysql", false)
	f("db/mysql/binlog", "internal/term", false)
	f("keep/history", "db/mysql", true)
	f("keep/history", "keep/journal", true)
	f("keep/history", "keep/logs", false)
	f("act/undo", "act", true)
	f("act/undo", "keep/history", true)
	f("act/undo", "web", false)
	f("watch", "internal/app", false)
	f("internal/app", "act/undo", true)
	f("internal/term", "internal/clock", true)
	f("internal/term", "db", false)
	f("internal/term", "internal/app", false)
	f("cmd/lull", "internal/app", true)
	f("act", "cmd/lull", false)
	f("demo", "db/mysql/server", true)
	f("bench", "demo", false)
	f("act", "bench", false)
}

func TestCodecsDoNoIO(t *testing.T) {
	forbidden := []string{"os", "net", "net/http", "os/exec", "syscall", "database/sql"}
	for _, s := range sources(t) {
		codec := slices.ContainsFunc(codecs, func(c string) bool { return in(s.dir, c) })
		for _, p := range s.imports {
			if codec && !s.test && slices.Contains(forbidden, p) {
				t.Errorf("%s imports %s: a codec does no I/O", s.path, p)
			}
		}
	}
}

func TestRootImportsOnlyStd(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports {
			if first, _, _ := strings.Cut(p, "/"); s.dir == "." && !s.test && strings.Contains(first, ".") {
				t.Errorf("%s imports %s: the root package imports only the standard library", s.path, p)
			}
		}
	}
}
