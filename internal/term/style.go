package term

// Color is a way to make a word stand out. The word itself must say the same.
type Color uint8

// The colours, by what they mean.
const (
	Plain  Color = iota
	Good         // done, ready, equal
	Bad          // lost, refused, failed
	Warn         // kept, partly, look here
	Faint        // context
	Strong       // the thing to read first
)

// Style paints text for one stream. The zero Style paints nothing.
type Style struct{ on bool }

// NewStyle decides for a stream whether it gets colour: on a terminal, unless NO_COLOR is
// set to anything or TERM is "dumb"; elsewhere only when CLICOLOR_FORCE is set and not "0".
// NO_COLOR wins. env looks a variable up and returns "" when it is unset.
func NewStyle(tty bool, env func(string) string) Style {
	if env("NO_COLOR") != "" {
		return Style{}
	}
	if f := env("CLICOLOR_FORCE"); f != "" && f != "0" {
		return Style{on: true}
	}
	return Style{on: tty && env("TERM") != "dumb" && env("CLICOLOR") != "0"}
}

// On says whether the style writes colour at all.
func (s Style) On() bool { return s.on }

// Paint wraps text in the colour c and leaves it alone when colour is off. text must be
// Safe already.
func (s Style) Paint(c Color, text string) string {
	code := ""
	switch c {
	case Good:
		code = "32"
	case Bad:
		code = "31"
	case Warn:
		code = "33"
	case Faint:
		code = "2"
	case Strong:
		code = "1"
	}
	if !s.on || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
