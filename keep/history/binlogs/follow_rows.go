package binlogs

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/keep/history"
)

// rowReader decodes the rows of one table map.
type rowReader struct {
	decoder  *binlog.Decoder // nil leaves the rows out
	def      *history.Definition
	versions *versions // of a system-versioned table
	why      string    // rows are left out; "" when nobody misses them
}

// refusal is what is known of a table of which rows came that no definition fits.
type refusal struct {
	asked bool
	at    time.Time // when the server was asked last
	// offer is what the server told then, nil when it had no such table.
	offer *history.Definition
	until db.Position
	other *mysql.NotTableError // the name is that of something else
}

// askEvery is how often the server is asked again for a definition that fits.
const askEvery = time.Second

// changed holds the rows of an event.
func (f *Feed) changed(rows *binlog.Rows) error {
	r, known := f.rows[rows.Table]
	name := db.Name{Schema: rows.Table.Schema, Table: rows.Table.Table}
	if known && r.decoder == nil && !slices.Contains(f.held.left, name) {
		known = !f.mayAsk(name)
	}
	if !known {
		err := f.waiting(func() (err error) {
			r, err = f.reader(rows.Table)
			return err
		})
		if err != nil {
			return err
		}
	}
	if r.decoder == nil {
		return f.leave(name, r.why)
	}
	return rows.Each(r.decoder, func(before, after db.Row) error {
		op := rows.Op
		if r.versions != nil {
			var ok bool
			if op, ok = r.versions.deed(op, before, after); !ok {
				return nil
			}
			if op == db.Delete {
				after = nil
			}
		}
		return f.hold(r, op, rows.ForeignKeysOff, r.visible(before), r.visible(after))
	})
}

// leave leaves rows of a table out, and says so once in each transaction: a snapshot may have
// made the table whole since the last one.
func (f *Feed) leave(name db.Name, why string) error {
	if why == "" || slices.Contains(f.held.left, name) {
		return nil
	}
	f.held.left = append(f.held.left, name)
	return f.lose(name, "its columns at this time are not known: "+why)
}

// visible is a row without the columns that the server hides.
func (r *rowReader) visible(row db.Row) db.Row {
	if row == nil {
		return nil
	}
	return row[:len(r.def.Table.Columns)]
}

// reader finds and keeps how to read a table map's rows.
func (f *Feed) reader(t *binlog.TableMap) (*rowReader, error) {
	r, err := f.resolve(t)
	if err != nil {
		return nil, err
	}
	if len(f.rows) > maxCached {
		clear(f.rows)
	}
	f.rows[t] = r
	return r, nil
}

func (f *Feed) resolve(t *binlog.TableMap) (*rowReader, error) {
	name := db.Name{Schema: t.Schema, Table: t.Table}
	tr := f.tables.get(name)
	if tr == nil {
		tr = &tracked{}
		f.tables.put(name, tr)
	}
	if tr.def != nil {
		if r := fitting(t, tr.def); r != nil {
			return r, nil
		}
		if err := f.lose(name, "its rows in the log do not fit its columns: it was altered without a trace in the log"); err != nil {
			return nil, err
		}
		*tr = tracked{}
	}
	if f.mayAsk(name) {
		if err := f.inquire(name, &tr.refusal); err != nil {
			return nil, err
		}
	}
	if offer := tr.refusal.offer; offer != nil {
		if r := fitting(t, offer); r != nil {
			*tr = tracked{def: offer, until: tr.refusal.until}
			return r, nil
		}
	}
	return &rowReader{why: tr.refusal.why(t)}, nil
}

// mayAsk says that the server is to be asked for a table's definition: at first, and then now
// and again, because what it told may have been of another time than that of the log.
func (f *Feed) mayAsk(name db.Name) bool {
	tr := f.tables.get(name)
	if tr == nil || !tr.refusal.asked || f.opt.Clock == nil {
		return true
	}
	since := f.opt.Clock().Sub(tr.refusal.at)
	return since < 0 || since >= askEvery
}

// inquire asks the server what a table is.
func (f *Feed) inquire(name db.Name, r *refusal) error {
	*r = refusal{asked: true}
	if f.opt.Clock != nil {
		r.at = f.opt.Clock()
	}
	var err error
	r.offer, r.until, err = f.tables.ask(f.ctx, name)
	if other, ok := errors.AsType[*mysql.NotTableError](err); ok {
		r.other = other
		return nil
	}
	return err
}

// sequenceColumns is how many columns the row of a sequence has.
const sequenceColumns = 8

// why is the reason to leave rows out. A sequence is kept with the catalogue, and nobody misses
// its row.
func (r *refusal) why(t *binlog.TableMap) string {
	switch {
	case r.other != nil && r.other.Kind == "sequence" && len(t.Columns) == sequenceColumns:
		return ""
	case r.other != nil:
		return "it is a " + r.other.Kind + " by now"
	case r.offer != nil:
		return "it was altered since"
	}
	return "the server has no such table any more"
}

// fitting is how to read a table map's rows by a definition, nil when they are not of it.
func fitting(t *binlog.TableMap, def *history.Definition) *rowReader {
	shape := withHidden(t, def.Table)
	if len(shape.Columns) != len(t.Columns) {
		return nil
	}
	for i := range shape.Columns {
		if !t.Columns[i].Fits(&shape.Columns[i]) || t.HasNames && i < len(def.Table.Columns) && !strings.EqualFold(t.Columns[i].Name, shape.Columns[i].Name) {
			return nil
		}
	}
	d, err := binlog.NewDecoder(t, shape)
	if err != nil {
		return nil
	}
	r := &rowReader{decoder: d, def: def}
	if end := len(shape.Columns) - 1; maybeVersioned(t) && shape.Columns[end].Generated {
		r.versions = &versions{end: end, sure: true}
	}
	return r
}
