package lull

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what sort of failure an Error is. It decides the process's exit code.
type Kind int

// The kinds, in the order of the exit codes that `lull --help` prints.
const (
	Failed      Kind = 1 // it was tried and did not work
	Usage       Kind = 2 // wrong use or wrong configuration; nothing was touched
	No          Kind = 3 // the question was answered, and the answer is no
	Partly      Kind = 4 // some of it is done or can be done; what is missing is recorded
	Refused     Kind = 5 // needs approval, or the plan is stale or expired
	Unreachable Kind = 6 // a system did not answer; trying again may help
	Locked      Kind = 7 // another run holds the lock
	Interrupted Kind = 130
)

// Error is what a room hands to the edge: one line that names the thing and the reason,
// and a hint with the next step. Secrets must never be in either.
type Error struct {
	Kind Kind
	Err  error
	Hint string
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind; format may wrap a cause with %w. The hint is the next
// step for the user, an empty hint prints none.
func Errorf(kind Kind, hint, format string, args ...any) *Error {
	return &Error{Kind: kind, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// KindOf is the kind of the outermost Error in err's chain: Interrupted for a cancelled
// context, Failed for any other error, 0 for nil.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Failed
}

// HintOf is the hint of the outermost Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
