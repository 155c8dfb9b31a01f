// Package restore carries the rows a table had at some moment to where they are wanted: into
// a new table of a server, a whole database into an empty one, or a file of SQL, CSV or
// Parquet. A table appears under its final name only when all of its rows are there and have
// been read back. It does not know where the rows come from, writes into no table that is
// there already, and merges nothing: package undo does.
package restore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/keep/history"
)

// Table is a table as it was at some moment.
type Table struct {
	// Name is what the table was called then.
	Name       db.Name
	Definition *history.Definition
	// Rows have the columns of Definition.Table, are valid until the next one is asked for, and
	// may be asked for again. Values of generated columns do not matter; all others are known.
	Rows iter.Seq2[db.Row, error]
	// Estimate is about how many rows there are, -1 when nobody knows.
	Estimate int64
}

// Reader reads the database that is restored into.
type Reader interface {
	// Names are all that has a table's name in the schema: tables, views and sequences. A
	// schema that is not there has none.
	Names(ctx context.Context, schema string) ([]db.Name, error)
	Table(ctx context.Context, name db.Name) (*db.Table, error)
	// Stream hands out all rows of a table, with the columns cols; the others are Absent.
	Stream(ctx context.Context, t *db.Table, cols []int) iter.Seq2[db.Row, error]
}

// Writer makes things in the database that is restored into.
type Writer interface {
	// Exec runs the statements in order on one connection, in the schema ("" is none) and
	// with the checks of foreign keys off.
	Exec(ctx context.Context, schema string, stmts ...string) error
	// ExecProgram runs a statement that defines a view, routine, trigger or event, under the
	// server's own sql_mode, as these keep the session's settings.
	ExecProgram(ctx context.Context, schema, stmt string) error
	// Exists says that a statement failed with err because what it makes is there already.
	Exists(err error) bool
	// Load writes the rows, which have the columns of t, exactly or fails. progress is told
	// how many rows have been sent so far.
	Load(ctx context.Context, t *db.Table, rows iter.Seq2[db.Row, error], parallel int, progress func(rows int64)) error
}

// Marks tell what is at work on the database.
type Marks interface {
	// Hold takes a mark that is free again when release is called or the process ends.
	Hold(ctx context.Context, mark string) (release func(), err error)
	// Held says that some process holds the mark.
	Held(ctx context.Context, mark string) (bool, error)
}

// Target is the database that is restored into.
type Target interface {
	Reader
	Writer
	Marks
}

// Options says how to restore. The zero value is good.
type Options struct {
	// Progress is told from time to time how many rows of a table are there, of about how many.
	Progress func(table db.Name, done, estimate int64)
	// Parallel is how many connections load a table: 0 is 2, at most 4.
	Parallel int
	// Clock measures Receipt.Seconds, which stay 0 without one.
	Clock clock.Clock

	// For Database only:

	// Grants applies the catalog's users and grants.
	Grants bool
	// EnableEvents leaves events as they were; otherwise they are created disabled.
	EnableEvents bool
	// Resume is a file that remembers which tables are done; "" for none.
	Resume string
}

// Receipt says what was restored.
type Receipt struct {
	Table   db.Name `json:"table"` // as it is called now
	Rows    int64   `json:"rows"`
	Digest  string  `json:"digest"` // db.Digest of the columns that are not generated, read back
	Sent    string  `json:"-"`      // of the rows as they were given; another when a value has no exact form for the server
	Seconds float64 `json:"seconds"`
	// Kept says that an earlier run had restored the table.
	Kept     bool     `json:"kept,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

const (
	defaultParallel = 2
	maxParallel     = 4
	cleanupTime     = time.Minute
)

func (o *Options) parallel() int {
	if o.Parallel <= 0 {
		return defaultParallel
	}
	return min(o.Parallel, maxParallel)
}

func (o *Options) elapsed(since time.Time) float64 {
	if o.Clock == nil {
		return 0
	}
	return o.Clock().Sub(since).Seconds()
}

func (o *Options) start() time.Time {
	if o.Clock == nil {
		return time.Time{}
	}
	return o.Clock()
}

// Into restores a table under the name as, whose schema must be there. When something has
// that name already it is a lull.Error of kind Refused. Rows are loaded into a table named
// "_lull_restore_" and 16 hex digits beside it, read back, and only then given the name. A run that
// fails drops that table; what a killed run left is dropped by the next one in that schema.
// Under another name than its own, or in another schema, a table comes without its foreign
// keys, as the receipt says, and its CHECKs get names of the server's choice.
func Into(ctx context.Context, target Target, t Table, as db.Name, opt Options) (*Receipt, error) {
	if err := mustBeFree(ctx, target, as); err != nil {
		return nil, err
	}
	run, err := begin(ctx, target)
	if err != nil {
		return nil, err
	}
	defer run.release()
	if err := run.sweep(ctx, as.Schema); err != nil {
		return nil, err
	}
	return run.table(ctx, t, as, opt, nil)
}

func mustBeFree(ctx context.Context, target Reader, as db.Name) error {
	names, err := target.Names(ctx, as.Schema)
	if err != nil {
		return err
	}
	if slices.Contains(names, as) {
		return taken(as)
	}
	return nil
}

func taken(as db.Name) error {
	return lull.Errorf(lull.Refused, "restore under another name, or rename or drop what is there", "restore %s: the name is taken", as)
}

// table restores one table; before is called when all is checked and only the name is missing.
func (r *run) table(ctx context.Context, t Table, as db.Name, opt Options, before func(*Receipt) error) (*Receipt, error) {
	began := opt.start()
	work := r.workName(as.Schema)
	made, err := makeScript(t.Definition.Script, t.Definition.Table.Name, work, as == t.Definition.Table.Name)
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", as, err)
	}
	receipt, err := r.fill(ctx, t, work, made, opt)
	if err == nil {
		receipt.Table = as
		receipt.Seconds = opt.elapsed(began)
		if before != nil {
			err = before(receipt)
		}
	}
	if err == nil {
		err = r.rename(ctx, work, as)
	}
	if err != nil {
		return nil, r.fail(ctx, work, as, err)
	}
	return receipt, nil
}

// fill makes the work table, loads it and reads it back.
func (r *run) fill(ctx context.Context, t Table, work db.Name, made *script, opt Options) (*Receipt, error) {
	if err := r.target.Exec(ctx, work.Schema, made.statements...); err != nil {
		return nil, fmt.Errorf("create the table: %w", err)
	}
	shape, err := r.target.Table(ctx, work)
	if err != nil {
		return nil, err
	}
	if err := sameColumns(t.Definition.Table, shape); err != nil {
		return nil, err
	}
	progress := func(int64) {}
	if opt.Progress != nil {
		progress = func(n int64) { opt.Progress(t.Name, n, t.Estimate) }
	}
	shape.Rows = t.Estimate
	sent := newSum(shape)
	if err := r.target.Load(ctx, shape, sent.along(t.Rows), opt.parallel(), progress); err != nil {
		return nil, err
	}
	there := newSum(shape)
	if err := there.all(r.target.Stream(ctx, shape, Stored(shape))); err != nil {
		return nil, err
	}
	warnings := made.warnings
	switch got, want := &there.digest, &sent.digest; {
	case got.Same(want):
	case there.numbers.Same(&sent.numbers):
		warnings = append(warnings, "decimals inside of JSON were written as doubles: their text is another now (1.50 is 1.5)")
	default:
		return nil, lull.Errorf(lull.Failed, "report it with the table's CREATE TABLE",
			"the table reads back otherwise than it was written: %d rows (%s) of %d (%s)", got.Rows, got.Sum(), want.Rows, want.Sum())
	}
	return &Receipt{Rows: there.digest.Rows, Digest: there.digest.Sum(), Sent: sent.digest.Sum(), Warnings: warnings}, nil
}

// sameColumns makes sure that rows of the definition fit the table made from its script.
func sameColumns(was, made *db.Table) error {
	names := func(t *db.Table) (out []string) {
		for i := range t.Columns {
			out = append(out, t.Columns[i].Name)
		}
		return out
	}
	if a, b := names(was), names(made); !slices.Equal(a, b) {
		return fmt.Errorf("the server made columns (%s) of a definition with (%s)", strings.Join(b, ", "), strings.Join(a, ", "))
	}
	for i := range was.Columns {
		a, b := &was.Columns[i], &made.Columns[i]
		if a.Generated != b.Generated || !slices.EqualFunc(a.Elements, b.Elements, sameMember) {
			return fmt.Errorf("the server made column %s as %s of a definition with %s", b.Name, b.ColumnType, a.ColumnType)
		}
	}
	return nil
}

// sameMember compares members of ENUM and SET where both are known: JSON has no form for
// those that are not UTF-8.
func sameMember(a, b string) bool {
	return a == b || !utf8.ValidString(a) || !utf8.ValidString(b) || strings.ContainsRune(a+b, utf8.RuneError)
}

func (r *run) rename(ctx context.Context, work, as db.Name) error {
	err := r.target.Exec(ctx, as.Schema, "RENAME TABLE "+quote(work)+" TO "+quote(as))
	if err != nil && mustBeFree(ctx, r.target, as) != nil {
		return taken(as) // somebody was faster
	}
	return err
}

// fail drops the work table, also when ctx has ended, and gives the error its place.
func (r *run) fail(ctx context.Context, work, as db.Name, err error) error {
	if lull.KindOf(err) != lull.Refused {
		err = fmt.Errorf("restore %s: %w", as, err)
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if derr := r.target.Exec(clean, work.Schema, "DROP TABLE IF EXISTS "+quote(work)); derr != nil {
		err = errors.Join(err, fmt.Errorf("drop work table %s, which the next restore will do: %w", work, derr))
	}
	return err
}
