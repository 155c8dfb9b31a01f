package history

import (
	"context"
	"time"

	"github.com/lull-ops/lull/db"
)

// This file holds the words of a recorded past: what a database's stream of changes hands
// over, and what a repository keeps of it. Engines fill them in; the packages record,
// snapshot, fold and repo work with nothing else.

// Seq numbers the committed transactions of one recorded database: 1 is the first, and each
// one after it has the next number, whatever server it came from. 0 is before all of them.
type Seq uint64

// Definition is one version of a table: its shape, and how to make it again.
type Definition struct {
	// ID is made of the rest by DefinitionID.
	ID    string    `json:"id"`
	Table *db.Table `json:"table"`
	// Script makes an empty table of this shape when it is run in order: a CREATE TABLE as the
	// server printed it, and the ALTERs since when there was no chance to ask again. Triggers
	// are not part of it.
	Script []string `json:"script"`
}

// EventKind says what happened to a table as a whole.
type EventKind string

// The kinds of events.
const (
	Created   EventKind = "create"   // Table is there, empty, in the shape Definition; whatever had the name is gone
	Altered   EventKind = "alter"    // its columns changed from Was to Definition, as Columns says
	Dropped   EventKind = "drop"     // Table is gone
	Renamed   EventKind = "rename"   // Table is called To now; whatever was called To is gone
	Truncated EventKind = "truncate" // all rows are gone
	// Lost says that something happened to the rows that the log does not tell: from here on
	// the table can only be restored from a snapshot that began later. The zero Table is all of them.
	Lost EventKind = "lost"
)

// Event is something that happened to a table as a whole.
type Event struct {
	Seq   Seq       `json:"seq"` // the transaction it is; what is Lost outside of one has a number of its own
	At    time.Time `json:"at"`
	Kind  EventKind `json:"kind"`
	Table db.Name   `json:"table,omitzero"`
	To    db.Name   `json:"to,omitzero"`
	// Was and Definition are ids of the table's definition before and after; Definition is of
	// Created and Altered, Was of Altered.
	Was        string `json:"was,omitempty"`
	Definition string `json:"definition,omitempty"`
	// Columns says for each column of the new definition where its values come from.
	Columns   []ColumnFrom `json:"columns,omitempty"`
	Statement string       `json:"statement,omitempty"` // cut at MaxStatement bytes
	Reason    string       `json:"reason,omitempty"`    // of Lost
}

// ColumnFrom is where a column's values come from in rows that were there before an ALTER.
type ColumnFrom struct {
	Old int `json:"old"` // index in the old definition's columns; -1 for a new column
	// Default is the canonical value a new column has in them; nil is NULL.
	Default []byte `json:"default"`
}

// StepKind says what a Step is.
type StepKind uint8

// The kinds of steps.
const (
	RowStep    StepKind = iota + 1 // Change is set: part of the transaction that the next CommitStep ends
	EventStep                      // Event is set, but for its Seq and At: part of the transaction, too; Lost may also stand outside of one
	CommitStep                     // Tx, Touches and Pos are set
	IdleStep                       // nothing happened; Pos is where the stream is, At the time
)

// Step is one step of a Feed.
type Step struct {
	Kind StepKind
	// Change is a row with the columns of Definition.Table. Values may be Absent where the log
	// holds only what changed.
	Change     *db.Change
	Definition *Definition
	// ForeignKeysOff says that the change ran with foreign_key_checks=0: nothing cascaded.
	ForeignKeysOff bool

	Event *Event
	// New is the definition that Event names, when it names one.
	New *Definition

	Tx      db.Tx
	Touches []Touch
	// Pos is where to go on from after this step.
	Pos db.Position
	At  time.Time
}

// Feed is a database's stream of changes. It never hands out what was rolled back.
type Feed interface {
	// Next waits for the next step, which is valid until the next call. At least once a second
	// it returns an IdleStep. When ctx ends it returns its error. After a lost connection it
	// returns a lull.Error of kind Unreachable; the caller opens another Feed.
	Next(ctx context.Context) (*Step, error)
	Close() error
}

// RowChange is one change of a row as it is kept.
type RowChange struct {
	Seq Seq
	// N is the change's number in its transaction, over all tables: 0 is the first.
	N              uint64
	Op             db.Op
	ForeignKeysOff bool
	// Definition is the id of the definition whose columns Before and After have.
	Definition string
	// Before is nil for an insert, After for a delete.
	Before, After db.Row
}

// Snapshot says where a table's rows as of some moment lie. Its rows may have been read at
// different moments between Start and End: the changes after Start make them exact from End on.
type Snapshot struct {
	// ID is unique in its repository, and later snapshots have larger ones.
	ID         string    `json:"id"`
	Table      db.Name   `json:"table"`
	Definition string    `json:"definition"`
	Start      Seq       `json:"start"` // all transactions up to it are in the rows
	End        Seq       `json:"end"`   // no later one is
	Rows       int64     `json:"rows"`
	Sum        string    `json:"sum"`    // db.Digest of the rows as they lie there
	Sorted     bool      `json:"sorted"` // rows lie in the order of db.AppendKey
	Origin     string    `json:"origin"` // "read" from the server, "folded" in the repository
	At         time.Time `json:"at"`     // commit time of End, or when it was taken
	Bytes      int64     `json:"bytes"`
	Parts      []Part    `json:"parts"`
}

// Part is one object of a snapshot.
type Part struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Sum  string `json:"sum"` // SHA-256 of the object, hexadecimal
}

// Past is what a repository knows, as fold reads it. Rows and changes handed to fn are valid
// until it returns.
type Past interface {
	// Events are all that happened to tables in (after, upto], oldest first.
	Events(ctx context.Context, after, upto Seq) ([]Event, error)
	// Snapshots are the complete ones of a name, newest first. "" in both parts of the name is all.
	Snapshots(ctx context.Context, table db.Name) ([]Snapshot, error)
	// Rows are a snapshot's.
	Rows(ctx context.Context, s *Snapshot, fn func(db.Row) error) error
	// Changes are those in (after, upto] made to the tables under these names, in order of Seq
	// and N for each table.
	Changes(ctx context.Context, tables []db.Name, after, upto Seq, fn func(db.Name, *RowChange) error) error
	// Definition finds a definition by its id.
	Definition(ctx context.Context, id string) (*Definition, error)
}

// Tail is a recorder that runs, as a snapshot needs it.
type Tail interface {
	// Safe is the number of a transaction that every reader of the server sees by now.
	Safe() Seq
	// Reached waits until the recorder has read up to pos and returns the number of the last
	// transaction that ends at or before it.
	Reached(ctx context.Context, pos db.Position) (Seq, error)
}
