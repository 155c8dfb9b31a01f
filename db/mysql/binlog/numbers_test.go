package binlog

import (
	"fmt"
	"strconv"
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

func TestDigits(t *testing.T) {
	check := func(v uint64) {
		if got, want := string(appendDigits(nil, v, 1)), strconv.FormatUint(v, 10); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, want := string(appendDigits([]byte("x"), v, 9)), fmt.Sprintf("x%09d", v); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	for v := range uint64(100_000) {
		check(v)
	}
	for p := uint64(1); p < 1e19; p *= 10 {
		check(p - 1)
		check(p)
		check(10*p - 1)
	}
	for n := range 64 {
		check(1 << n)
		check(1<<n - 1)
	}
	check(1<<64 - 1)
	if got := appendDigits([]byte("x"), 0, 0); string(got) != "x" {
		t.Errorf("%s, want nothing appended", got)
	}
}

// TestTableCache keeps what is in use while far more tables go by.
func TestTableCache(t *testing.T) {
	var c tableCache
	wide := &TableMap{Columns: make([]Column, 1000)}
	for id := range uint64(5000) {
		m := &cachedMap{t: wide}
		c.put(id, m)
		if c.get(id) != m || id > 0 && c.get(id-1) == nil || c.get(0) == nil {
			t.Fatalf("table %d or the one before is gone", id)
		}
		if n := len(c.young) + len(c.old); n > 3*cachedColumns/1000 {
			t.Fatalf("%d tables are kept", n)
		}
	}
	if c.get(4000) != nil {
		t.Error("nothing ever goes")
	}
}
