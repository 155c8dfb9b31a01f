package blob

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, ok := range []string{"a", "shop/lull.json", "shop/snap/0-my%20db.t=1/0001.pack", "a/.b/c..d", ".tmp"} {
		if err := CheckName(ok); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "/", "/a", "a/", "a//b", "..", "a/../b", "a/./b", "a b", "a\\b", "a\x00", "ä", "a\nb", "\xff",
		".tmp-1", "a/.tmp-1/b", strings.Repeat("a", 251), strings.Repeat("a/", 451) + "a",
	} {
		if CheckName(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
