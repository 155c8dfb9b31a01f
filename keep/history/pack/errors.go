package pack

import (
	"fmt"

	"github.com/lull-ops/lull/db"
)

// CorruptError says that bytes are not what a pack or a payload is made of: they were damaged,
// cut short, or never were one. Nothing of what it speaks about was handed out as data.
type CorruptError struct {
	Where  string // "trailer", "index", "member 3 (changes of shop.orders)", "record 17 of changes"
	Reason string
}

func (e *CorruptError) Error() string { return e.Where + " is damaged: " + e.Reason }

func corrupt(where, format string, args ...any) error {
	return &CorruptError{Where: where, Reason: fmt.Sprintf(format, args...)}
}

// place names a member for people.
func place(i int, m *Member) string {
	if m.Table == (db.Name{}) {
		return fmt.Sprintf("member %d (%s)", i, m.Kind)
	}
	return fmt.Sprintf("member %d (%s of %s)", i, m.Kind, m.Table)
}
