package term

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/lull-ops/lull"
	xterm "golang.org/x/term"
)

// Prompt asks a person. Answer comes from In, the question goes to Out (stderr: stdout
// belongs to the result). When Ask is false - no terminal, or --no-input - every question is
// a lull.Error of kind Usage instead.
//
// A Prompt must be the only reader of In while it asks. When the context ends first, the
// pending read stays behind until In has a line or the process ends.
type Prompt struct {
	In  io.Reader
	Out io.Writer
	Ask bool
}

// Confirm asks question with y/N. Only "y" and "yes" are a yes; an empty line and the end
// of input are a no. hint says what to pass instead when nobody can be asked.
func (p Prompt) Confirm(ctx context.Context, question, hint string) (bool, error) {
	answer, err := p.ask(ctx, Safe(question)+" [y/N] ", hint)
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// ConfirmName is for what hurts: the person types name to go on.
func (p Prompt) ConfirmName(ctx context.Context, question, name, hint string) (bool, error) {
	answer, err := p.ask(ctx, fmt.Sprintf("%s\nType %s to go on: ", Safe(question), Safe(name)), hint)
	return err == nil && strings.TrimSpace(answer) == name, err
}

// Password asks without showing what is typed where In is a terminal.
func (p Prompt) Password(ctx context.Context, question, hint string) (string, error) {
	f, ok := p.In.(*os.File)
	if !ok || !xterm.IsTerminal(int(f.Fd())) {
		return p.ask(ctx, Safe(question)+" ", hint)
	}
	if !p.Ask {
		return "", nobody(question, hint)
	}
	fd := int(f.Fd())
	state, err := xterm.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read terminal state: %w", err)
	}
	fmt.Fprint(p.Out, Safe(question)+" ")
	defer fmt.Fprintln(p.Out)
	line, err := wait(ctx, func() (string, error) {
		b, err := xterm.ReadPassword(fd)
		return string(b), err
	})
	if ctx.Err() != nil {
		// The read that stays behind has echo switched off.
		return "", errors.Join(err, xterm.Restore(fd, state))
	}
	return line, err
}

func (p Prompt) ask(ctx context.Context, text, hint string) (string, error) {
	if !p.Ask {
		return "", nobody(text, hint)
	}
	if _, err := io.WriteString(p.Out, text); err != nil {
		return "", fmt.Errorf("write question: %w", err)
	}
	line, err := wait(ctx, func() (string, error) {
		// One byte at a time, so that a next question finds the rest of the input.
		line, err := bufio.NewReaderSize(oneByte{p.In}, 16).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return line, nil
}

func nobody(question, hint string) error {
	question, _, _ = strings.Cut(strings.TrimSpace(question), "\n")
	return lull.Errorf(lull.Usage, hint, "ask %q: no terminal to ask on", strings.TrimSuffix(question, " [y/N]"))
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1)]) }

// wait runs read and gives up on it when ctx ends.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
