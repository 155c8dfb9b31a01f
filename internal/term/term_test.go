package term

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/lull-ops/lull"
)

func TestSafe(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) is %q, want %q", in, got, want)
		}
	}
	f("", "")
	f("plain äöü 日本語 🙂 C:\\temp", "plain äöü 日本語 🙂 C:\\temp")
	f("a\nb\r\tc", `a\nb\r\tc`)
	f("\x1b[2J\x1b]0;title\x07", `\x1b[2J\x1b]0;title\x07`)
	f("\x00\x7f", `\x00\x7f`)
	f("\xff\xfea", `\xff\xfea`)
	f("\u009b31m", `\u009b31m`)           // C1 CSI as a character
	f("\x9b31m", `\x9b31m`)               // C1 CSI as a byte
	f("a\u202eb", `a\u202eb`)             // right-to-left override
	f("a\u200bb\ufeff", `a\u200bb\ufeff`) // invisible
	f("a\u2028b", `a\u2028b`)
	f("\U000e0041", `\U000e0041`) // tag character
	f("\ufffd", "\ufffd")
	f("a\u3000b", "a\u3000b")
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b[31m\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) || Safe(got) != got {
			t.Errorf("Safe(%q) is %q", s, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e {
				t.Errorf("Safe(%q) lets %U through", s, r)
			}
		}
		for _, cols := range []int{0, 1, 5, 79} {
			if n := Columns(Cut(got, cols)); n > cols {
				t.Errorf("Cut(%q, %d) takes %d columns", got, cols, n)
			}
		}
	})
}

func TestCut(t *testing.T) {
	f := func(s string, cols int, want string) {
		t.Helper()
		if got := Cut(s, cols); got != want {
			t.Errorf("Cut(%q, %d) is %q, want %q", s, cols, got, want)
		}
	}
	f("hello", 5, "hello")
	f("hello", 4, "hel…")
	f("hello", 1, "…")
	f("hello", 0, "")
	f("日本語", 6, "日本語")
	f("日本語", 5, "日本…")
	f("日本語", 4, "日…")
	f("e\u0301e\u0301", 2, "e\u0301e\u0301")
}

func TestCount(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := Count(n); got != want {
			t.Errorf("Count(%d) is %q, want %q", n, got, want)
		}
	}
	f(0, "0")
	f(999, "999")
	f(1000, "1,000")
	f(18204, "18,204")
	f(-1234567, "-1,234,567")
	f(-123, "-123")
	f(-9223372036854775808, "-9,223,372,036,854,775,808")
	if got := Plural(1, "row") + " " + Plural(2000, "row") + " " + Plural(0, "row"); got != "1 row 2,000 rows 0 rows" {
		t.Error(got)
	}
}

func TestBytes(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) is %q, want %q", n, got, want)
		}
	}
	f(0, "0 B")
	f(999, "999 B")
	f(1000, "1.0 kB")
	f(12345, "12.3 kB")
	f(99_949, "99.9 kB")
	f(99_951, "100 kB")
	f(999_499, "999 kB")
	f(999_501, "1.0 MB")
	f(1_190_000_000, "1.2 GB")
	f(5_000_000_000_000, "5.0 TB")
	f(9223372036854775807, "9.2 EB")
	f(-1500, "-1.5 kB")
	f(-9223372036854775808, "-9.2 EB")
}

func TestDuration(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) is %q, want %q", d, got, want)
		}
	}
	f(0, "0ms")
	f(12*time.Millisecond, "12ms")
	f(999*time.Millisecond, "999ms")
	f(999600*time.Microsecond, "1s")
	f(4230*time.Millisecond, "4.2s")
	f(9960*time.Millisecond, "10s")
	f(59*time.Second, "59s")
	f(59600*time.Millisecond, "1m")
	f(192*time.Second, "3m 12s")
	f(2*time.Hour, "2h")
	f(2*time.Hour+59*time.Second, "2h")
	f(35*24*time.Hour, "35d")
	f(35*24*time.Hour+3*time.Hour, "35d 3h")
	f(-192*time.Second, "-3m 12s")
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 2, 11, 0, time.UTC)
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := Ago(now, now.Add(-d)); got != want {
			t.Errorf("Ago(%v) is %q, want %q", d, got, want)
		}
	}
	f(0, "just now")
	f(900*time.Millisecond, "just now")
	f(1900*time.Millisecond, "1s ago")
	f(12*time.Second, "12s ago")
	f(61*time.Minute, "1h ago")
	f(-5*time.Minute, "in 5m")
	if got := Ago(now, time.Time{}); got != "never" {
		t.Error(got)
	}
}

func TestSparkline(t *testing.T) {
	f := func(want string, values ...int64) {
		t.Helper()
		if got := Sparkline(values); got != want {
			t.Errorf("Sparkline(%v) is %q, want %q", values, got, want)
		}
	}
	f("")
	f("▁▁▁", 0, 0, 0)
	f("▁█▁", 0, 1, 0)
	f("▂▁▂█▁", 3, 0, 1, 18204, 0)
	f("▃▅▇█", 1, 2, 3, 4)
	f("▁█", -5, 5)
	f("█▅", 9223372036854775807, 4611686018427387904)
}

func TestStyle(t *testing.T) {
	f := func(tty bool, vars string, want bool) {
		t.Helper()
		env := map[string]string{}
		for v := range strings.FieldsSeq(vars) {
			k, val, _ := strings.Cut(v, "=")
			env[k] = val
		}
		if got := NewStyle(tty, func(k string) string { return env[k] }).On(); got != want {
			t.Errorf("tty %v with %q: colour %v, want %v", tty, vars, got, want)
		}
	}
	f(true, "", true)
	f(false, "", false)
	f(true, "NO_COLOR=1", false)
	f(false, "CLICOLOR_FORCE=1", true)
	f(false, "CLICOLOR_FORCE=0", false)
	f(true, "CLICOLOR_FORCE=0", true)
	f(true, "CLICOLOR=0", false)
	f(true, "NO_COLOR=1 CLICOLOR_FORCE=1", false)
	f(true, "TERM=dumb", false)
	if got := (Style{on: true}).Paint(Bad, "NO"); got != "\x1b[31mNO\x1b[0m" {
		t.Errorf("got %q", got)
	}
	if got := (Style{}).Paint(Bad, "NO"); got != "NO" {
		t.Errorf("got %q", got)
	}
}

func TestTable(t *testing.T) {
	tab := NewTable(Column{Head: "FINDING"}, Column{Head: "WHAT"}, Column{Head: "ROWS"}, Column{Head: "STATE"})
	tab.Indent = 2
	tab.Row("f-31", "one statement, deletes", 18204, "open")
	tab.Row("f-2", "日本\x1b[2J", int64(3), "")
	want := `  FINDING  WHAT                      ROWS  STATE
  f-31     one statement, deletes  18,204  open
  f-2      日本\x1b[2J                  3
`
	if got := tab.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTableFits(t *testing.T) {
	tab := NewTable(Column{Head: "ID"}, Column{Head: "STATEMENT"}, Column{Head: "ROWS"}, Column{Head: "WHO"})
	tab.Row("f-1", strings.Repeat("delete from billing ", 20), 1_000_000, strings.Repeat("w", 50))
	tab.Row("f-2", "日本語"+strings.Repeat("語", 90), 7, "app")
	for _, width := range []int{0, 100, 60, 30} {
		tab.Width = width
		limit := width
		if width == 0 {
			limit = 80
		}
		for line := range strings.Lines(tab.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := Columns(line); n > limit {
				t.Errorf("width %d: line takes %d columns: %s", limit, n, line)
			}
			if line != strings.TrimRight(line, " ") {
				t.Errorf("trailing spaces: %q", line)
			}
		}
		if s := tab.String(); !strings.Contains(s, "1,000,000") || !strings.Contains(s, "…") {
			t.Errorf("width %d: a number is cut or a text is not:\n%s", width, s)
		}
	}
}

func TestTableColourTakesNoRoom(t *testing.T) {
	tab := NewTable(Column{}, Column{})
	tab.Style = Style{on: true}
	tab.Row(Cell{"ok", Good}, "shop")
	tab.Row(Cell{"NO", Bad}, Cell{Text: "blog"})
	want := "\x1b[32mok\x1b[0m  shop\n\x1b[31mNO\x1b[0m  blog\n"
	if got := tab.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// hand is a clock that is moved by hand.
type hand struct{ t time.Time }

func (h *hand) now() time.Time { return h.t }

func TestProgressOffTerminal(t *testing.T) {
	var out bytes.Buffer
	clk := &hand{time.Unix(0, 0)}
	p := NewProgress(&out, ProgressOptions{Label: "reading a\x1bb", Total: 1000, Now: clk.now})
	for range 100 {
		clk.t = clk.t.Add(time.Second)
		p.Add(10)
	}
	p.Done()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d lines, want 10:\n%s", len(lines), out.String())
	}
	if want := `reading a\x1bb  10 %  100 of 1,000  10/s  1m 30s left`; lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
	if want := `reading a\x1bb  100 %  1,000 of 1,000  10/s`; lines[9] != want {
		t.Errorf("got  %s\nwant %s", lines[9], want)
	}
}

func TestProgressOnTerminal(t *testing.T) {
	var out bytes.Buffer
	clk := &hand{time.Unix(0, 0)}
	p := NewProgress(&out, ProgressOptions{Label: "x", Total: 4e6, Unit: Bytes, TTY: true, Width: 40, Now: clk.now})
	p.Add(1) // too soon for a line
	clk.t = clk.t.Add(time.Second)
	p.Set(1e6)
	p.Println("note\n")
	p.Done()
	p.Add(1)
	want := "\rx  25 %  1.0 MB of 4.0 MB  1.0 MB/s  3…\x1b[K" + "\r\x1b[K" + "note\\n\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestProgressOfShortWork(t *testing.T) {
	f := func(tty bool, took time.Duration, want string) {
		t.Helper()
		var out bytes.Buffer
		clk := &hand{time.Unix(0, 0)}
		p := NewProgress(&out, ProgressOptions{Label: "x", Total: 100, TTY: tty, Now: clk.now})
		for range 100 {
			clk.t = clk.t.Add(took / 100)
			p.Add(1)
		}
		p.Done()
		if out.String() != want {
			t.Errorf("terminal %v, %v of work: got %q, want %q", tty, took, out.String(), want)
		}
	}
	f(false, 900*time.Millisecond, "")
	f(true, 900*time.Millisecond, "")
	f(false, 1500*time.Millisecond, "x  67 %  67 of 100  66/s  495ms left\n")
	f(false, 2500*time.Millisecond, "x  40 %  40 of 100  40/s  1.5s left\nx  80 %  80 of 100  40/s  500ms left\n")
}

func TestWrap(t *testing.T) {
	f := func(text string, width, hang int, want string) {
		t.Helper()
		if got := Wrap(text, width, hang); got != want {
			t.Errorf("Wrap(%q, %d, %d) is %q, want %q", text, width, hang, got, want)
		}
	}
	f("", 10, 2, "")
	f("one two", 10, 2, "one two")
	f("one two three", 10, 2, "one two\n  three")
	f("  - one  two three", 10, 4, "  - one\n    two\n    three")
	f("a word-that-is-longer than this", 8, 1, "a\n word-that-is-longer\n than\n this")
	f("日本 日本 日本", 10, 0, "日本 日本\n日本")
	f("+   1,204  rows", 80, 4, "+   1,204  rows")
}

func TestProgressWithoutTotal(t *testing.T) {
	var out bytes.Buffer
	clk := &hand{time.Unix(0, 0)}
	p := NewProgress(&out, ProgressOptions{Label: "x", Now: clk.now, Note: func() string { return "f-1" }})
	for range 7 {
		clk.t = clk.t.Add(10 * time.Second)
		p.Add(50)
	}
	if want := "x  150  5/s  f-1\nx  300  5/s  f-1\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressQuiet(t *testing.T) {
	p := NewProgress(nil, ProgressOptions{Quiet: true})
	p.Add(1)
	p.Set(2)
	p.Println("x")
	p.Done()
	if p != nil {
		t.Error("a quiet progress is there")
	}
}

func TestConfirm(t *testing.T) {
	f := func(in string, want bool) {
		t.Helper()
		var out bytes.Buffer
		p := Prompt{In: strings.NewReader(in), Out: &out, Ask: true}
		got, err := p.Confirm(t.Context(), "Apply p-12?", "pass --yes")
		if got != want || err != nil || out.String() != "Apply p-12? [y/N] " {
			t.Errorf("%q: %v, %v, asked %q", in, got, err, out.String())
		}
	}
	f("y\n", true)
	f("YES\r\n", true)
	f("y", true)
	f("", false)
	f("\n", false)
	f("no\n", false)
	f("yesterday\n", false)
}

func TestConfirmName(t *testing.T) {
	in := strings.NewReader("shop.orders\nother\n")
	p := Prompt{In: in, Out: io.Discard, Ask: true}
	first, err1 := p.ConfirmName(t.Context(), "Drop?", "shop.orders", "")
	second, err2 := p.ConfirmName(t.Context(), "Drop?", "shop.orders", "")
	if !first || second || err1 != nil || err2 != nil {
		t.Error(first, second, err1, err2)
	}
}

func TestNobodyToAsk(t *testing.T) {
	p := Prompt{In: strings.NewReader("y\n"), Out: io.Discard}
	_, err := p.Confirm(t.Context(), "Apply?", "pass --yes")
	if lull.KindOf(err) != lull.Usage || lull.HintOf(err) != "pass --yes" || err.Error() != `ask "Apply?": no terminal to ask on` {
		t.Errorf("got %v", err)
	}
	if _, err := p.Password(t.Context(), "Password:", "use --password-file"); lull.KindOf(err) != lull.Usage {
		t.Errorf("got %v", err)
	}
}

func TestInterruptedQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := Prompt{In: r, Out: io.Discard, Ask: true}.Confirm(ctx, "Apply?", "")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		w.Close()
	})
}
