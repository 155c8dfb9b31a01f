package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/act/restore"
	"github.com/lull-ops/lull/act/undo"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/fsx"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/internal/typo"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/keep/history/pack"
	"github.com/lull-ops/lull/keep/history/repo"
)

// Then is a database as it was at a moment.
type Then struct {
	site    *Site
	asked   string // the moment, as it was asked for
	when    string // the same in words
	cut     repo.Cut
	scratch string
}

// Then finds the moment: a time, "f-..." for just before a finding, a GTID, or FILE:POS.
// What must be sorted on disk goes below scratch.
func (s *Site) Then(ctx context.Context, at, scratch string) (*Then, error) {
	out := &Then{site: s, asked: at, when: "before " + at, scratch: scratch}
	var err error
	switch {
	case strings.HasPrefix(at, "f-"):
		out.cut, err = s.Repo.CutBefore(ctx, at)
		return out, asked(at, err)
	case at == "now":
		out.when = "after all that is recorded"
		out.cut, err = s.Repo.Cut(ctx, history.Bound{})
		return out, asked(at, err)
	}
	bound, err := app.ParseBound(at, s.where.Clock())
	if err != nil {
		return nil, lull.Errorf(lull.Usage, lull.HintOf(err), "--at: %w", err)
	}
	switch {
	case bound.GTID != "":
		out.when = "right after " + at
	case bound.File != "":
		out.when = "at " + at
	default:
		done, err := out.afterTheEnd(ctx, bound.Time)
		if done || err != nil {
			return out, err
		}
	}
	out.cut, err = s.Repo.Cut(ctx, bound)
	return out, asked(at, err)
}

// asked puts the moment as it was asked for in front of what is wrong with it.
func asked(at string, err error) error {
	wrong, ok := errors.AsType[*lull.Error](err)
	if !ok || wrong.Kind != lull.Usage {
		return err
	}
	return lull.Errorf(lull.Usage, wrong.Hint, "--at %s: %w", at, wrong)
}

// afterTheEnd handles a time after the last transaction that is stored: when the recorder has
// seen that nothing followed it by then, the state at its end is the answer.
func (t *Then) afterTheEnd(ctx context.Context, at time.Time) (done bool, err error) {
	end, err := t.site.Repo.End(ctx)
	if err != nil || !at.After(end.At) {
		return false, err
	}
	st, err := t.site.status()
	if err != nil || st.Seq != end.Seq || st.At.Before(at) {
		return false, nil //nolint:nilerr // without a recorder's word the repository's own answer counts
	}
	t.cut = repo.Cut{Seq: end.Seq, At: end.At}
	return true, nil
}

// Warnings are what a reader must know of the moment.
func (t *Then) Warnings() []string { return t.cut.Warnings }

// Database is the database's name.
func (t *Then) Database() string { return t.site.Name }

// Seq is the last transaction that counts, At when it was committed.
func (t *Then) Seq() history.Seq { return t.cut.Seq }

// At is when the last transaction that counts was committed.
func (t *Then) At() time.Time { return t.cut.At }

// When is the moment in words: "before 14:02", "right after 0-1-4711".
func (t *Then) When() string { return t.when }

// Last says for people which transaction is the last one that counts: "transaction 7, of
// 2026-11-20 14:01:58 UTC".
func (t *Then) Last() string {
	switch {
	case t.cut.Seq == 0:
		return "recording began"
	case t.cut.At.IsZero():
		return fmt.Sprintf("transaction %d", t.cut.Seq)
	}
	return fmt.Sprintf("transaction %d, of %s", t.cut.Seq, localTime(t.cut.At))
}

// localTime is t for people, with its fraction where there is one.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.999999 MST") }

// Table is a table as it was.
type Table struct {
	*Then
	Name db.Name
	fold *fold.Table
	gone error
}

// Table finds the table that was asked for.
func (t *Then) Table(ctx context.Context) (*Table, error) {
	name, err := t.named(ctx, t.site.what)
	if err != nil {
		return nil, err
	}
	return t.find(ctx, name)
}

func (t *Then) find(ctx context.Context, name db.Name) (*Table, error) {
	f, err := fold.Find(ctx, t.site.Repo, name, t.cut.Seq, fold.Options{Dir: t.scratch})
	if err != nil {
		return nil, t.site.explain(ctx, err)
	}
	return &Table{Then: t, Name: name, fold: f}, nil
}

// named reads "schema.table", or the name of a table that only one schema has.
func (t *Then) named(ctx context.Context, what string) (db.Name, error) {
	what = strings.ReplaceAll(what, "`", "")
	if schema, table, ok := strings.Cut(what, "."); ok {
		return db.Name{Schema: schema, Table: table}, nil
	}
	names, err := fold.List(ctx, t.site.Repo, t.cut.Seq)
	if err != nil {
		return db.Name{}, err
	}
	var found []db.Name
	for _, n := range names {
		if strings.EqualFold(n.Table, what) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		hint := "lull backup list " + t.site.Name
		for _, n := range names {
			if typo.Distance(n.Table, what) <= 2 {
				hint = "did you mean " + n.String() + "?"
			}
		}
		return db.Name{}, lull.Errorf(lull.Usage, hint, "no table %s was recorded then", what)
	}
	return db.Name{}, lull.Errorf(lull.Usage, "write "+found[0].String(), "table %s was in %d schemas", what, len(found))
}

// Tables are all tables of the database, as they were.
func (t *Then) Tables(ctx context.Context) ([]*Table, error) {
	names, err := fold.List(ctx, t.site.Repo, t.cut.Seq)
	if err != nil {
		return nil, err
	}
	var out []*Table
	for _, n := range names {
		table, err := t.find(ctx, n)
		if lull.KindOf(err) == lull.Usage || lull.KindOf(err) == lull.Refused {
			// One table's gap must not keep the others from coming back.
			table, err = &Table{Then: t, Name: n, gone: err}, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, table)
	}
	if len(out) == 0 {
		return nil, lull.Errorf(lull.No, "lull backup list "+t.site.Name, "no table of %s was recorded then", t.site.Name)
	}
	return out, nil
}

// explain gives the moments of an error that only has transactions.
func (s *Site) explain(ctx context.Context, err error) error {
	gone, ok := errors.AsType[*fold.NotRestorableError](err)
	if !ok {
		return whole(err, "lull backup verify "+s.Name+" says what else is damaged; a copy of the store may have it whole")
	}
	var near []string
	for _, m := range []struct {
		word string
		at   *fold.Moment
	}{{"the last moment before is", gone.Before}, {"the first moment after is", gone.After}} {
		if m.at == nil {
			continue
		}
		at := m.at.At
		if at.IsZero() {
			at = s.timeOf(ctx, m.at.Seq)
		}
		near = append(near, fmt.Sprintf("%s %q", m.word, at.Local().Format("2006-01-02 15:04:05.000")))
	}
	if len(near) == 0 {
		return err
	}
	return lull.Errorf(lull.KindOf(err), strings.Join(near, ", "), "%w", err)
}

// Gone is why the table cannot be restored to the moment, nil when it can be.
func (t *Table) Gone() error { return t.gone }

// Exact says that the rows are exactly those of then, as far as the log tells.
func (t *Table) Exact() bool { return t.gone == nil && t.fold.Exact }

// Warnings are what a reader must know of the table.
func (t *Table) Warnings() []string {
	if t.gone != nil {
		hint := lull.HintOf(t.gone)
		return []string{fmt.Sprintf("%s is not restored: %s (%s)", t.Name, oneLine(t.gone), hint)}
	}
	return t.fold.Warnings
}

// Estimate is about how many rows there will be; 0 when nobody knows.
func (t *Table) Estimate() int64 {
	if t.gone != nil || t.fold.Base == nil {
		return 0
	}
	return t.fold.Base.Rows
}

// Source says for people what the table is made of.
func (t *Table) Source() string {
	if t.gone != nil {
		return oneLine(t.gone)
	}
	if t.fold.Base == nil {
		return "every change since it was made, or emptied"
	}
	b := t.fold.Base
	return fmt.Sprintf("a snapshot of %s (%s, %s)", b.At.Local().Format("2006-01-02 15:04:05 MST"), term.Plural(b.Rows, "row"), term.Bytes(b.Bytes)) +
		changesIn(b.Start+1, t.cut.Seq)
}

// changesIn says which transactions are looked through.
func changesIn(from, to history.Seq) string {
	switch {
	case from > to:
		return ", and no change since"
	case from == to:
		return fmt.Sprintf(", and its changes in transaction %d", to)
	}
	return fmt.Sprintf(", and its changes in transactions %d to %d", from, to)
}

// Mark is one word: ok, or ! for a table that may not be exact.
func (t *Table) Mark() string {
	switch {
	case t.gone != nil:
		return "NO"
	case t.Exact():
		return "ok"
	}
	return "!"
}

// Receipt says what was restored.
type Receipt struct {
	Tables   int // of a whole database
	Rows     int64
	Digest   string
	Took     time.Duration
	Verified string // how, for people
	Where    string
	Warnings []string
}

func (t *Table) restored(ctx context.Context) restore.Table {
	return restore.Table{Name: t.Name, Definition: t.fold.Definition, Rows: t.fold.Rows(ctx), Estimate: t.Estimate()}
}

// Write writes the table as sql, csv or parquet.
func (t *Table) Write(ctx context.Context, w io.Writer, format string, progress func(rows int64)) (*Receipt, error) {
	began := t.site.where.Clock()
	table := t.restored(ctx)
	table.Rows = counted(table.Rows, progress)
	var f *restore.File
	var err error
	switch format {
	case "sql":
		f, err = restore.WriteSQL(w, table)
	case "csv":
		f, err = restore.WriteCSV(w, table)
	case "parquet":
		f, err = restore.WriteParquet(w, table)
	default:
		err = lull.Errorf(lull.Usage, "sql, csv or parquet", "format %q is not known", format)
	}
	if err != nil {
		return nil, t.site.explain(ctx, err)
	}
	return &Receipt{Rows: f.Rows, Digest: f.Digest, Took: t.site.where.Clock().Sub(began), Verified: "checksum " + f.Digest[:12], Warnings: f.Warnings}, nil
}

// Target is a server, and the name that a table gets there.
type Target struct {
	URL          string // "" is the live database
	PasswordFile string
	Into         string // "" is the table's own name
	Connections  int
	Grants       bool // of a whole database
	Events       bool
}

func (x *Target) open(ctx context.Context, s *Site) (*mysql.Conn, func(), error) {
	if x.URL == "" {
		conn, err := s.connect(ctx)
		return conn, func() {}, err
	}
	conn, err := app.Connect(ctx, x.URL, x.PasswordFile, s.where.Env)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { conn.Close() }, nil
}

// Load writes the table to a server, where there must be none of that name.
func (t *Table) Load(ctx context.Context, s *Site, to Target, progress func(rows int64)) (*Receipt, string, error) {
	conn, done, err := to.open(ctx, s)
	if err != nil {
		return nil, "", err
	}
	defer done()
	as := t.Name
	if to.Into != "" {
		if as, err = sideName(to.Into, t.Name.Schema); err != nil {
			return nil, "", err
		}
	}
	where := as.String() + " on " + conn.DSN.Where()
	began := s.where.Clock()
	r, err := restore.Into(ctx, &restore.MySQL{Conn: conn}, t.restored(ctx), as, restore.Options{
		Progress: func(_ db.Name, done, _ int64) { progress(done) }, Parallel: to.Connections,
	})
	if err != nil {
		return nil, "", s.explain(ctx, err)
	}
	return &Receipt{Rows: r.Rows, Digest: r.Digest, Took: s.where.Clock().Sub(began), Verified: "read back and compared", Where: where, Warnings: r.Warnings}, where, nil
}

func sideName(into, schema string) (db.Name, error) {
	into = strings.ReplaceAll(into, "`", "")
	if a, b, ok := strings.Cut(into, "."); ok {
		schema, into = a, b
	}
	if schema == "" || into == "" {
		return db.Name{}, lull.Errorf(lull.Usage, "write --into SCHEMA.TABLE", "--into %q is not a table's name", into)
	}
	return db.Name{Schema: schema, Table: into}, nil
}

// Merge plans what the live table is missing: rows that were there then and are not now go
// back, rows that came since stay, and rows that differ are listed, and kept unless on says
// otherwise.
func (t *Table) Merge(ctx context.Context, s *Site, store *act.Store, on undo.OnConflict, progress func(rows int64)) (*act.Plan, *mysql.Conn, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	source := t.asked
	if !strings.HasPrefix(source, "f-") {
		source = fmt.Sprintf("what %s lost since %s", t.Name, t.asked)
	}
	plan, err := app.MergePlan(ctx, conn, app.Merge{
		Then: t.fold.Definition.Table, Name: t.Name, Rows: t.fold.Rows(ctx), At: t.cut.At, On: on, Progress: progress,
		Source: source, Doubts: func() ([]string, bool) { return t.Warnings(), t.Exact() },
	}, store)
	return plan, conn, err
}

// Load writes all tables, and what else the database had, to a server.
func (t *Then) Load(ctx context.Context, tables []*Table, to Target, progress func(rows int64)) (*Receipt, error) {
	conn, done, err := to.open(ctx, t.site)
	if err != nil {
		return nil, err
	}
	defer done()
	statements, _, err := t.site.Repo.Catalog(ctx, t.cut.Seq)
	if err != nil {
		return nil, err
	}
	began := t.site.where.Clock()
	var list []restore.Table
	for _, x := range tables {
		if x.gone == nil {
			list = append(list, x.restored(ctx))
		}
	}
	statements, unseen := withoutUnseen(statements)
	resume := filepath.Join(t.site.dataDir, "restores", fmt.Sprintf("%s-%d.json", t.site.Name, t.cut.Seq))
	if err := fsx.SecureDir(filepath.Dir(resume)); err != nil {
		return nil, err
	}
	sum := adder(progress)
	r, err := restore.Database(ctx, &restore.MySQL{Conn: conn}, list, statements, restore.Options{
		Progress: sum, Parallel: to.Connections, Grants: to.Grants, EnableEvents: to.Events, Resume: resume,
	})
	if r == nil {
		return nil, t.site.explain(ctx, err)
	}
	out := &Receipt{Tables: len(list), Took: t.site.where.Clock().Sub(began), Verified: "each read back and compared", Where: conn.DSN.Where(), Warnings: r.Warnings}
	out.Warnings = append(out.Warnings, unseen...)
	for _, x := range tables {
		out.Warnings = append(out.Warnings, x.Warnings()...)
	}
	if n := len(tables) - len(list); err == nil && n > 0 {
		err = lull.Errorf(lull.Partly, "restore them one by one, to the moments named above", "%s could not be restored to this moment", term.Plural(int64(n), "table"))
	}
	if err == nil && len(unseen) > 0 {
		err = lull.Errorf(lull.Partly, "make them by hand", "%s", unseen[0])
	}
	for i := range r.Tables {
		out.Rows += r.Tables[i].Rows
		for _, w := range r.Tables[i].Warnings {
			out.Warnings = append(out.Warnings, r.Tables[i].Table.String()+": "+w)
		}
	}
	if n := int64(len(r.DisabledEvents)); n > 0 {
		out.Warnings = append(out.Warnings, term.Plural(n, "scheduled event")+" switched off: --enable-events leaves them on")
	}
	if n := int64(len(r.Grants)); n > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("rights of %s were not given: --grants gives them", term.Plural(n, "account")))
	}
	return out, err
}

// counted tells how many rows have gone by.
func counted(rows iter.Seq2[db.Row, error], progress func(rows int64)) iter.Seq2[db.Row, error] {
	return func(yield func(db.Row, error) bool) {
		n := int64(0)
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			if n++; n&0xfff == 0 {
				progress(n)
			}
		}
	}
}

// adder adds up the progress of several tables.
func adder(progress func(rows int64)) func(db.Name, int64, int64) {
	var mu sync.Mutex
	done := map[db.Name]int64{}
	sum := int64(0)
	return func(name db.Name, rows, _ int64) {
		mu.Lock()
		defer mu.Unlock()
		sum += rows - done[name]
		done[name] = rows
		progress(sum)
	}
}

// timeOf is when a transaction was committed; zero when nobody can tell.
func (s *Site) timeOf(ctx context.Context, seq history.Seq) (at time.Time) {
	if seq == 0 {
		return at
	}
	_, _ = s.Repo.Transactions(ctx, seq-1, seq, func(_ history.Seq, tx db.Tx, _ []history.Touch) error {
		at = tx.At
		return nil
	}) // without an answer the number alone is told
	return at
}

// withoutUnseen takes out of a catalog what the recording account was not let see, and says so.
func withoutUnseen(statements []pack.Statement) (rest []pack.Statement, unseen []string) {
	for _, st := range statements {
		if st.Kind == unseenKind {
			unseen = append(unseen, st.Name+" is not restored: the account that recorded was not let see it")
			continue
		}
		rest = append(rest, st)
	}
	return rest, unseen
}
