package app

import "testing"

func TestUnquoted(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := unquoted(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	f("billing", "billing")
	f("shop.billing", "shop.billing")
	f("`billing`", "billing")
	f("`shop`.`my table`", "shop.my table")
	f("shop.`my table`", "shop.my table")
	f("`a``b`", "a`b")
	f("it's`mine", "it's`mine")
	f("shop.it's`mine", "shop.it's`mine")
	f("`open", "`open")
	f("`a`b", "`a`b")
	f("", "")
	f("``", "")
}
