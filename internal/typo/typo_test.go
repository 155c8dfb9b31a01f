package typo

import "testing"

func TestDistance(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := Distance(a, b); got != want {
			t.Errorf("Distance(%q, %q) = %d, want %d", a, b, got, want)
		}
		if back := Distance(b, a); back != want {
			t.Errorf("Distance(%q, %q) = %d, want %d", b, a, back, want)
		}
	}
	f("", "", 0)
	f("billing", "billing", 0)
	f("", "abc", 3)
	f("biling", "billing", 1)
	f("bililng", "billing", 2)
	f("orders", "order", 1)
	f("cat", "dog", 3)
}
