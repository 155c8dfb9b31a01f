// Package act holds plans and how they are kept: what will be changed, in a form that a
// person can read first and that is carried out exactly or refused. The kinds of acts lie in
// the packages below it.
package act

import (
	"time"

	"github.com/lull-ops/lull/db"
)

// Valid is how long a plan may be applied after it was made.
const Valid = 30 * time.Minute

// State says how far a plan is.
type State string

// The states a plan can be in; which one is read from what lies in its folder.
const (
	Planned State = "planned" // nothing has been changed
	Started State = "started" // it was interrupted: some of it may be done; apply goes on
	Done    State = "done"    // carried out and verified
)

// Plan is what will be done to one database. It is stored with its rows beside it and never
// changed; Digest covers both.
type Plan struct {
	Lull    int       `json:"lull"`
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Target is the database's URL without its password; Server is the identity it had.
	Target string `json:"target"`
	Server string `json:"server"`
	// Source says what is undone: finding ids, GTIDs or places, or the plan that is taken back.
	Source   []string  `json:"source"`
	At       time.Time `json:"at,omitzero"` // when the accident was committed
	Tables   []Table   `json:"tables"`
	Sections []Section `json:"sections"`
	Warnings []Warning `json:"warnings,omitempty"`
	// Atomic: one transaction; else batches with a ledger.
	Atomic bool `json:"atomic"`
	// Unchecked: the server does not enforce foreign keys while this is written, because rows
	// go back in an order that breaks them in between. They hold again at the end.
	Unchecked bool `json:"unchecked,omitempty"`
	// Narrowed says that only part of the accident was asked for: by --only, --where or --into.
	Narrowed bool `json:"narrowed,omitempty"`
	// Triggers says that triggers which fire were allowed.
	Triggers bool   `json:"triggers,omitempty"`
	Digest   string `json:"digest"`
}

// Table is what a plan found and will do in one table.
type Table struct {
	Name  db.Name   `json:"-"`
	Title string    `json:"table"`
	Shape *db.Table `json:"shape"`
	Key   []int     `json:"key"`
	// Create says that the table is made first, like the table Like.
	Create bool   `json:"create,omitempty"`
	Like   string `json:"like,omitempty"`
	Insert int64  `json:"insert"`
	Update int64  `json:"update"`
	Delete int64  `json:"delete"`
	Same   int64  `json:"same"`      // already as they were
	Keep   int64  `json:"conflicts"` // differ, and are kept as they are
	// Forced counts the rows that differ and are overwritten because the user said so; they
	// are part of Insert, Update and Delete.
	Forced int64 `json:"forced,omitempty"`
	// Partial counts the updates of rows of which some columns were changed again since: those stay.
	Partial int64 `json:"partial,omitempty"`
	Lost    int64 `json:"lost,omitempty"` // cannot be brought back from the log
}

// Writes is how many rows the plan will write in the table.
func (t *Table) Writes() int64 { return t.Insert + t.Update + t.Delete }

// Section is one step of a plan: rows of one table to which the same is done. The rows lie
// in the file named, in key order.
type Section struct {
	Table int    `json:"table"` // index into Tables
	Do    Verb   `json:"do"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
	File  string `json:"file"`
	SHA   string `json:"sha256"`
}

// Verb is what a section does to its rows.
type Verb string

// The verbs; Keep changes nothing and lists the conflicts.
const (
	Insert Verb = "insert"
	Update Verb = "update"
	Delete Verb = "delete"
	Keep   Verb = "keep"
)

// Warning is something the reader of a plan must know. One that is Partly means that not
// everything can be brought back, and the exit code says so.
type Warning struct {
	Text   string `json:"text"`
	Partly bool   `json:"partly,omitempty"`
}

// Partly says that the plan cannot bring everything back.
func (p *Plan) Partly() bool {
	for _, w := range p.Warnings {
		if w.Partly {
			return true
		}
	}
	return false
}

// Totals sums the tables.
func (p *Plan) Totals() Table {
	var sum Table
	for i := range p.Tables {
		t := &p.Tables[i]
		sum.Insert += t.Insert
		sum.Update += t.Update
		sum.Delete += t.Delete
		sum.Same += t.Same
		sum.Keep += t.Keep
		sum.Forced += t.Forced
		sum.Lost += t.Lost
		sum.Partial += t.Partial
	}
	return sum
}

// Receipt is what was done and verified.
type Receipt struct {
	Lull     int       `json:"lull"`
	Plan     string    `json:"plan"`
	Digest   string    `json:"digest"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Resumed  int       `json:"resumed,omitempty"` // how often apply had to go on after an interruption
	Inserted int64     `json:"inserted"`
	Updated  int64     `json:"updated"`
	Deleted  int64     `json:"deleted"`
	// Verified counts the rows read back and found as planned; Checksum is over them.
	Verified int64     `json:"verified"`
	Checksum string    `json:"checksum"`
	Warnings []Warning `json:"warnings,omitempty"`
}
