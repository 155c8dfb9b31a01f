package undo

import (
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/clock"
)

// Request says what is to be undone and how.
type Request struct {
	Source []string
	At     time.Time
	Target string // the database's URL without its password
	Server string // its identity
	Only   Kind   // "" undoes all kinds of changes
	Where  string // an expression over the row's version before the accident; "" takes all rows
	On     OnConflict
	Into   db.Name // a side table that takes the rows instead; zero for none
	// Triggers allows triggers to fire on the way back.
	Triggers bool
	// Batches forces resumable batches (false) or one transaction (true); nil decides by size.
	Atomic *bool
	Clock  clock.Clock
}

// Kind is a kind of change to undo.
type Kind string

// The kinds --only knows.
const (
	OnlyDelete Kind = "delete"
	OnlyUpdate Kind = "update"
	OnlyInsert Kind = "insert"
)

// takes says that the request wants changes of this kind undone. They are chosen before they
// are folded: of a row that was inserted and deleted, undoing the deletes brings it back.
func (k Kind) takes(op db.Op) bool {
	switch k {
	case OnlyDelete:
		return op == db.Delete
	case OnlyInsert:
		return op == db.Insert
	case OnlyUpdate:
		return op == db.Update
	}
	return true
}

// AtomicRows is how many rows are written in one transaction by default; beyond it batches
// are used, because a longer transaction makes the server keep more undo history, holds its
// locks longer, and takes long to roll back.
const AtomicRows = 250_000
