package fold

import (
	"fmt"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Moment is a place in a past: everything up to transaction Seq, which committed at At.
type Moment struct {
	Seq history.Seq
	At  time.Time // zero when nothing tells
}

// NotRestorableError says that a table's rows at a cut cannot be told, and the nearest moments
// at which they can. It comes wrapped in a lull.Error.
type NotRestorableError struct {
	Table  db.Name
	Cut    history.Seq
	Reason string
	// Before is the last restorable moment before the cut, After the first one after it; nil
	// when there is none.
	Before, After *Moment
}

func (e *NotRestorableError) Error() string {
	text := fmt.Sprintf("restore %s at transaction %d: %s", e.Table, e.Cut, e.Reason)
	switch {
	case e.Before != nil && e.After != nil:
		return text + fmt.Sprintf("; restorable until %s, and again from %s", e.Before, e.After)
	case e.Before != nil:
		return text + "; restorable until " + e.Before.String()
	case e.After != nil:
		return text + "; restorable from " + e.After.String()
	}
	return text
}

// String is the number of the transaction, and its time when it is known.
func (m *Moment) String() string {
	if m.At.IsZero() {
		return fmt.Sprintf("transaction %d", m.Seq)
	}
	return fmt.Sprintf("transaction %d (%s)", m.Seq, when(m.At))
}

// PartialRowError says that the log holds too little of a row to tell all its columns.
type PartialRowError struct {
	Table  db.Name
	Column string
	Seq    history.Seq
}

func (e *PartialRowError) Error() string {
	return fmt.Sprintf("fold %s at transaction %d: the log holds no value of column %s, and no earlier version of the row does",
		e.Table, e.Seq, e.Column)
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
