package undo

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull/act"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// sqlBytes is how long a statement of a written plan gets: any server takes it.
const sqlBytes = 1 << 20

// WriteSQL writes a plan as statements that any client can run. Each UPDATE and DELETE names
// the row as the plan found it, so a row that was changed since is left alone.
func WriteSQL(out io.Writer, plan *act.Stored) error {
	w := bufio.NewWriterSize(out, 1<<20)
	sqlHead(w, plan.Source)
	sqlSummary(w, &plan.Plan)
	for i := range plan.Tables {
		if t := &plan.Tables[i]; t.Create {
			like := strings.SplitN(t.Like, ".", 2)
			stmt := sqltext.AppendName([]byte("CREATE TABLE IF NOT EXISTS "), t.Name)
			stmt = sqltext.AppendName(append(stmt, " LIKE "...), db.Name{Schema: like[0], Table: like[1]})
			fmt.Fprintf(w, "%s;\n", stmt)
		}
	}
	fmt.Fprint(w, "START TRANSACTION;\n")
	for _, sec := range plan.Sections {
		if err := writeSection(w, plan, sec); err != nil {
			return err
		}
	}
	fmt.Fprint(w, "COMMIT;\n")
	return w.Flush()
}

// comment keeps text from ending the comment it stands in.
func comment(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

func writeSection(w *bufio.Writer, plan *act.Stored, sec act.Section) error {
	if sec.Do == act.Keep {
		fmt.Fprintf(w, "-- %d rows of %s were changed since and are left as they are\n", sec.Rows, comment(plan.Tables[sec.Table].Title))
		return nil
	}
	in, err := plan.Records(sec)
	if err != nil {
		return err
	}
	defer in.Close()
	t := &plan.Tables[sec.Table]
	s := sqlSection{w: w, t: t.Shape, key: t.Key, cols: newJudge(t.Shape, KeepNow).cols}
	s.in = sqltext.NewInserter(t.Shape, "", sqlBytes, s.emit)
	for {
		rec, err := in.Next()
		if isEOF(err) {
			return s.in.Flush()
		}
		if err == nil {
			err = s.write(sec.Do, rec)
		}
		if err != nil {
			return err
		}
	}
}

type sqlSection struct {
	w    *bufio.Writer
	t    *db.Table
	key  []int
	cols []int
	in   *sqltext.Inserter
	buf  []byte
}

func (s *sqlSection) emit(stmt []byte, _ int) error {
	if _, err := s.w.Write(stmt); err != nil {
		return err
	}
	_, err := s.w.WriteString(";\n")
	return err
}

func (s *sqlSection) write(do act.Verb, rec *act.Record) error {
	switch do {
	case act.Insert:
		return s.in.Add(rec.To)
	case act.Update:
		s.buf = sqltext.AppendUpdate(s.buf[:0], s.t, "", rec.Set, rec.To, s.key, rec.Now, s.guard(rec.Now, rec.Set))
	default:
		s.buf = sqltext.AppendDelete(s.buf[:0], s.t, "", s.key, rec.Now, s.guard(rec.Now, s.cols))
	}
	return s.emit(s.buf, 1)
}

// guard is the columns by which a row is found unchanged; what is not known cannot be one.
func (s *sqlSection) guard(row db.Row, cols []int) []int {
	if s.key == nil {
		cols = s.cols
	}
	out := make([]int, 0, len(cols))
	for _, i := range cols {
		if row[i].State != db.Absent {
			out = append(out, i)
		}
	}
	return out
}
