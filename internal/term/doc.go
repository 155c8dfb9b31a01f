// Package term talks to a terminal: words, colours, tables, numbers for people, a line of
// progress and a question. It knows nothing of databases, and it decides nothing: whether a
// stream is a terminal and what the environment says is handed in.
//
// Everything that came out of a database goes through Safe before it is shown. Table and
// Progress do that themselves.
package term

import (
	"io"
	"os"

	xterm "golang.org/x/term"
)

// IsTTY says whether stream is an open terminal. Anything that is not an *os.File is none.
func IsTTY(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && f != nil && xterm.IsTerminal(int(f.Fd()))
}

// defaultWidth is the width, in columns, that every screen fits into.
const defaultWidth = 80

// Width is the number of columns of the terminal behind w, or 80 when it is none.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok && f != nil {
		if cols, _, err := xterm.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return cols
		}
	}
	return defaultWidth
}
