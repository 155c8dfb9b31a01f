package pack

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/lull-ops/lull/keep/history"
)

// eventLine is an event as it is written: a column's default says null for NULL and "" for
// empty bytes.
type eventLine struct {
	*history.Event
	Columns []columnLine `json:"columns,omitempty"`
}

type columnLine struct {
	Old     int    `json:"old"`
	Default []byte `json:"default"`
}

// AppendEvent appends an event to an events payload: a JSON document on a line.
func AppendEvent(dst []byte, e *history.Event) ([]byte, error) {
	if e.Kind == "" {
		return dst, fmt.Errorf("write event of %s: %w", e.Table, errNothing)
	}
	plain := speakable(*e)
	line := eventLine{Event: &plain}
	for _, c := range e.Columns {
		line.Columns = append(line.Columns, columnLine(c))
	}
	return appendLine(dst, &line)
}

// EachEvent hands the events of a payload to fn, to keep. An error of fn ends it; damage is a
// CorruptError.
func EachEvent(payload []byte, fn func(*history.Event) error) error {
	return eachLine(payload, Events, func(text []byte) error {
		e := new(history.Event)
		line := eventLine{Event: e}
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		if e.Kind == "" {
			return errNothing
		}
		*e = spoken(*e)
		for _, c := range line.Columns {
			e.Columns = append(e.Columns, history.ColumnFrom(c))
		}
		return stop(fn(e))
	})
}

// AppendDefinition appends a definition to a definitions payload: a JSON document on a line.
func AppendDefinition(dst []byte, d *history.Definition) ([]byte, error) {
	if d.ID == "" || d.Table == nil {
		return dst, fmt.Errorf("write definition %q: %w", d.ID, errNothing)
	}
	plain := speakable(*d)
	return appendLine(dst, &plain)
}

// EachDefinition hands the definitions of a payload to fn, to keep. An error of fn ends it;
// damage is a CorruptError.
func EachDefinition(payload []byte, fn func(*history.Definition) error) error {
	return eachLine(payload, Definitions, func(text []byte) error {
		var d history.Definition
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		if d.Table == nil || d.ID == "" {
			return errNothing
		}
		d = spoken(d)
		return stop(fn(&d))
	})
}

// AppendStatement appends a statement to a catalog's payload: a JSON document on a line.
func AppendStatement(dst []byte, s *Statement) ([]byte, error) {
	if s.Kind == "" {
		return dst, fmt.Errorf("write statement of %q: %w", s.Name, errNothing)
	}
	plain := speakable(*s)
	return appendLine(dst, &plain)
}

// EachStatement hands the statements of a payload to fn, to keep. An error of fn ends it;
// damage is a CorruptError.
func EachStatement(payload []byte, fn func(*Statement) error) error {
	return eachLine(payload, Statements, func(text []byte) error {
		var s Statement
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		if s.Kind == "" {
			return errNothing
		}
		s = spoken(s)
		return stop(fn(&s))
	})
}

func appendLine(dst []byte, v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("write record: %w", err)
	}
	return append(dst, out.Bytes()...), nil
}

// stopped is an error of the caller's, which is no damage.
type stopped struct{ error }

func stop(err error) error {
	if err == nil {
		return nil
	}
	return stopped{err}
}

func eachLine(payload []byte, kind MemberKind, fn func([]byte) error) error {
	for n := 0; len(payload) > 0; n++ {
		where := fmt.Sprintf("record %d of %s", n, kind)
		line, rest, ok := bytes.Cut(payload, []byte{'\n'})
		if !ok {
			return corrupt(where, "it is cut short")
		}
		payload = rest
		err := fn(line)
		if s, ok := err.(stopped); ok { //nolint:errorlint // it is made here and never wrapped
			return s.error
		}
		if err != nil {
			return corrupt(where, "%v", err)
		}
	}
	return nil
}
