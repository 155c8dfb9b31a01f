package restore

import "testing"

func TestDoublesInJSON(t *testing.T) {
	for in, want := range map[string]string{
		`1.50`: `1.5e+00`, `[1, 2.0]`: `[1, 2e+00]`, `{"1.50": -1.10, "a\"2.50": "3.50"}`: `{"1.50": -1.1e+00, "a\"2.50": "3.50"}`,
		`18446744073709551615`: `18446744073709551615`, `"`: `"`, `"\`: `"\`, ``: ``, `1.5.5`: `1.5.5`, `1e5`: `1e+05`,
	} {
		if got := string(appendDoubles(nil, []byte(in))); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
