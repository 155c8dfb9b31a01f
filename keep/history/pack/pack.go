// Package pack is the codec of the objects a repository is made of: containers of members
// that are compressed, checksummed and, if asked for, encrypted one by one, and the rows,
// changes, transactions, events and definitions in them. It does no I/O of its own and knows
// neither where objects lie nor what follows from them. docs/formats/repository.md is the
// format's page.
package pack

import (
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

// Kind says what a pack is for.
type Kind string

// The kinds of packs.
const (
	Log      Kind = "log"
	Snapshot Kind = "snapshot"
	Catalog  Kind = "catalog"
)

// MemberKind says what a member's payload is.
type MemberKind string

// The kinds of members.
const (
	Definitions  MemberKind = "definitions"
	Rows         MemberKind = "rows"
	Changes      MemberKind = "changes"
	Transactions MemberKind = "transactions"
	Events       MemberKind = "events"
	Statements   MemberKind = "statements" // of a catalog
)

// Member is one part of a pack as its index describes it.
type Member struct {
	Kind  MemberKind `json:"kind"`
	Table db.Name    `json:"table,omitzero"` // of rows and changes
	// Definition is the id of the definition that rows or changes have.
	Definition string   `json:"definition,omitempty"`
	IDs        []string `json:"ids,omitempty"` // of the definitions in a definitions member
	Offset     int64    `json:"offset"`        // in the pack
	Size       int64    `json:"size"`          // stored bytes
	Sum        string   `json:"sum"`           // SHA-256 of the stored bytes, hexadecimal
	Raw        int64    `json:"raw"`           // bytes of the payload
	Count      int64    `json:"count"`         // rows, changes, transactions, events, definitions or statements
	// First and Last are the numbers of the first and the last transaction in it.
	First history.Seq `json:"first,omitempty"`
	Last  history.Seq `json:"last,omitempty"`
	MinAt time.Time   `json:"min_at,omitzero"`
	MaxAt time.Time   `json:"max_at,omitzero"`
}

// Index describes a pack and its members.
type Index struct {
	Version  int       `json:"lull_pack"` // 1
	Kind     Kind      `json:"kind"`
	Database string    `json:"database"`
	Created  time.Time `json:"created"`
	Server   string    `json:"server,omitempty"` // identity of the server it was read from
	// First and Last are the numbers of the transactions of a log pack; Last is First-1 when
	// there are none. From and To are the places in the server's log before and behind them.
	First     history.Seq `json:"first,omitempty"`
	Last      history.Seq `json:"last,omitempty"`
	From      db.Position `json:"from,omitzero"`
	To        db.Position `json:"to,omitzero"`
	MinAt     time.Time   `json:"min_at,omitzero"` // commit times
	MaxAt     time.Time   `json:"max_at,omitzero"`
	Encrypted bool        `json:"encrypted"`
	Members   []Member    `json:"members"`
}

// Version is the format's version that is written.
const Version = 1

// Keys are whom members are encrypted to, and who may read them. Without recipients members
// are not encrypted.
type Keys struct {
	Recipients []age.Recipient
	Identities []age.Identity
}

// Statement is one object of a database that is not a table's rows.
type Statement struct {
	Kind   string `json:"kind"` // "schema", "view", "trigger", "procedure", "function", "event", "grant", "user", "sequence"
	Schema string `json:"schema,omitempty"`
	Name   string `json:"name"`
	SQL    string `json:"sql"`
}
