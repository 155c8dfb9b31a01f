package backup

import (
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/record"
)

// TestArrivesOnBusyServer has a recorder that reads on all the time and never has all of it stored.
func TestArrivesOnBusyServer(t *testing.T) {
	a := arrival{pos: db.Position{File: "bin.000002", Offset: 500}}
	for _, c := range []struct {
		file        string
		offset      int64
		seq, stored history.Seq
		met         bool
	}{
		{"", 0, 0, 0, false},
		{"bin.000001", 900, 10, 10, false}, // all is stored, but not all is read
		{"bin.000002", 400, 20, 12, false},
		{"bin.000002", 600, 30, 20, false}, // read now, with what follows
		{"bin.000002", 900, 50, 29, false},
		{"bin.000003", 100, 90, 30, true},
		{"bin.000003", 700, 95, 50, true},
	} {
		s := record.Status{Pos: db.Position{File: c.file, Offset: c.offset}, Seq: c.seq, Stored: c.stored}
		if got := a.met(&s); got != c.met {
			t.Errorf("read up to %s:%d, %d of %d stored: %v, want %v", c.file, c.offset, c.stored, c.seq, got, c.met)
		}
	}
}
