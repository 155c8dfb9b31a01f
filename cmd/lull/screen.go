package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lull-ops/lull/internal/term"
)

// screen collects what people will see, laid out for the width of their terminal.
type screen struct {
	strings.Builder
	term.Style
	width int
}

func (a *runner) newScreen() *screen {
	return &screen{Style: a.style(), width: term.Width(a.stdout)}
}

// show writes the screen on stdout.
func (a *runner) show(s *screen) error {
	if _, err := fmt.Fprint(a.stdout, s.String()); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// line adds one line, broken at spaces where it is too wide; the rest is indented by hang.
func (s *screen) line(hang int, format string, args ...any) {
	s.WriteString(term.Wrap(fmt.Sprintf(format, args...), s.width, hang))
	s.WriteByte('\n')
}

// item adds a marked text whose further lines begin under its first.
func (s *screen) item(indent int, mark string, c term.Color, text string) {
	left := indent + term.Columns(mark) + 1
	pad := strings.Repeat(" ", left)
	text = strings.ReplaceAll(term.Wrap(text, max(s.width-left, 20), 0), "\n", "\n"+pad)
	fmt.Fprintf(s, "%*s%s %s\n", indent, "", s.Paint(c, mark), text)
}

// cut adds one line that is shortened to the width.
func (s *screen) cut(indent int, text string) {
	fmt.Fprintf(s, "%*s%s\n", indent, "", term.Cut(text, max(s.width-indent, 20)))
}

// counted adds a line of a number and what it counts.
func (s *screen) counted(indent int, mark string, n int64, text string) {
	if n != 0 {
		s.item(indent, fmt.Sprintf("%s %12s ", mark, term.Count(n)), term.Plain, text)
	}
}

// localTime is t for people: their own clock, with the zone's name.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// shellWord is s as one word of a shell's command line.
func shellWord(s string) string {
	s = term.Safe(s)
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
