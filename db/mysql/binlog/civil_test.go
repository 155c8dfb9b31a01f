package binlog

import (
	"testing"
	"time"
)

func TestCivil(t *testing.T) {
	for days := range 1<<32/86400 + 1 {
		y, m, d := civil(days)
		if wy, wm, wd := time.Unix(int64(days)*86400, 0).UTC().Date(); y != wy || m != int(wm) || d != wd {
			t.Fatalf("day %d: %d-%d-%d, want %d-%d-%d", days, y, m, d, wy, wm, wd)
		}
	}
}
