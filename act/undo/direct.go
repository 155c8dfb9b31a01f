package undo

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// direct writes rows as SQL while the log is read. It serves the commonest case of --out,
// rows that were only deleted and nothing to compare them with: there nothing is to be
// folded, so nothing needs to be kept.
type direct struct{ w *bufio.Writer }

// Direct makes a build without a target write to out instead of keeping rows. The accident
// must have deleted rows and done nothing else.
func (b *Build) Direct(out io.Writer) error {
	b.direct = &direct{bufio.NewWriterSize(out, 1<<20)}
	sqlHead(b.direct.w, b.req.Source)
	_, err := fmt.Fprint(b.direct.w, "START TRANSACTION;\n")
	return err
}

// sqlHead begins a file of SQL: the session that its values are written for.
func sqlHead(w io.Writer, source []string) {
	fmt.Fprintf(w, "-- lull undo %s\n", comment(strings.Join(source, ", ")))
	fmt.Fprintf(w, "SET NAMES binary;\nSET time_zone='+00:00';\nSET SESSION sql_mode='%s';\nSET foreign_key_checks=0;\n", sqltext.Mode)
}

// sqlSummary says in comments what a file of SQL does.
func sqlSummary(w io.Writer, p *act.Plan) {
	sum := p.Totals()
	fmt.Fprintf(w, "-- %d inserts, %d updates, %d deletes\n", sum.Insert, sum.Update, sum.Delete)
	for _, warn := range p.Warnings {
		fmt.Fprintf(w, "-- note: %s\n", comment(warn.Text))
	}
}

// addDirect writes a deleted row.
func (t *table) addDirect(b *Build, n *net) error {
	if n = b.wanted(t, n); n == nil {
		return nil
	}
	if t.sql == nil {
		s := &sqlSection{w: b.direct.w, t: t.live}
		s.in = sqltext.NewInserter(t.live, "", sqlBytes, s.emit)
		t.sql = s
	}
	t.plan.Insert++
	return t.sql.in.Add(n.Before)
}

// finishDirect ends the file.
func (b *Build) finishDirect() error {
	for _, t := range b.tables {
		if t.sql != nil {
			if err := t.sql.in.Flush(); err != nil {
				return err
			}
		}
		b.lost(t)
	}
	fmt.Fprint(b.direct.w, "COMMIT;\n")
	p := act.Plan{Warnings: b.warn}
	for _, t := range b.tables {
		p.Tables = append(p.Tables, t.plan)
	}
	sqlSummary(b.direct.w, &p)
	return b.direct.w.Flush()
}
