package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// columns is how wide the text is set.
const columns = 78

// screen is where the demo talks. Several goroutines may write to it.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	steps int
}

// Write passes on what a program says.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

// step begins the next part.
func (s *screen) step(title string) {
	s.steps++
	head := fmt.Sprintf("== %d. %s ", s.steps, title)
	fmt.Fprintf(s, "\n%s%s\n\n", head, strings.Repeat("=", max(0, columns-len([]rune(head)))))
}

// say explains something.
func (s *screen) say(format string, args ...any) {
	for _, line := range wrap(fmt.Sprintf(format, args...), columns) {
		fmt.Fprintln(s, line)
	}
}

// typed shows what somebody types.
func (s *screen) typed(prompt, text string) { fmt.Fprintf(s, "\n%s %s\n", prompt, text) }

// wrap breaks text at spaces into lines of at most width runes, unless a word is longer.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
