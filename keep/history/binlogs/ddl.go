package binlogs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/binlog"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history"
)

// Redefinition is a statement that changed the shape or the name of a table.
type Redefinition struct {
	Place  history.Place
	SQL    string
	Schema string // default schema of the statement
	ddl.Statement
}

// Redefinitions reads the logs from the end of a place and returns the statements that
// redefined one of the tables, oldest first. A table that is renamed is followed under its
// new name. What cannot be read is an error: without it nobody knows the table's shape.
func Redefinitions(ctx context.Context, logs []Log, from history.Place, tables []db.Name) ([]Redefinition, error) {
	first, err := boundFile(logs, history.Bound{File: from.File}, 0)
	if err != nil {
		return nil, err
	}
	logs = series(logs[first:])[0]
	if holes := missing(logs); len(holes) > 0 {
		return nil, lull.Errorf(lull.Refused, "give its CREATE TABLE of then with --schema FILE.sql",
			"look for changes of the table's shape in %s: %s", holes[0].File, holes[0].Reason)
	}
	follow := map[string]bool{}
	for _, t := range tables {
		follow[strings.ToLower(t.String())] = true
	}
	var out []Redefinition
	at := from.End
	for i, l := range logs {
		found, err := redefinitionsIn(ctx, l, at, follow, i == len(logs)-1)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		at = 0
	}
	return out, nil
}

// redefinitionsIn reads one log. Only the last one may end in the middle of an event, because
// it is being written.
func redefinitionsIn(ctx context.Context, log Log, from int64, follow map[string]bool, last bool) ([]Redefinition, error) {
	if size := log.Size(); size >= 0 && from >= size {
		return nil, nil
	}
	src, opts, err := log.Open(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", log.Name(), err)
	}
	defer src.Close()
	p := binlog.NewParser(src, opts)
	p.Want = func(string, string) bool { return false }
	var out []Redefinition
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		ev, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if short, ok := errors.AsType[*binlog.CorruptError](err); ok && short.Short && last {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for changes of the table's shape in %s: %w", log.Name(), err)
		}
		if ev.Kind != binlog.Query {
			continue
		}
		st := ddl.Classify(string(ev.SQL), ev.Schema)
		if redefines(&st, follow) {
			out = append(out, Redefinition{
				Place: history.Place{File: log.Name(), Start: ev.Pos, End: ev.End},
				SQL:   strings.Clone(string(ev.SQL)), Schema: ev.Schema, Statement: st,
			})
		}
	}
}

// redefines says that a statement is about a followed table, and follows its new names.
func redefines(st *ddl.Statement, follow map[string]bool) bool {
	switch st.Verb {
	case ddl.Create, ddl.CreateOrReplace, ddl.Alter, ddl.Drop, ddl.Rename:
	case ddl.DropDatabase:
		for name := range follow {
			if strings.HasPrefix(name, strings.ToLower(st.Database)+".") {
				return true
			}
		}
		return false
	default:
		return false
	}
	if st.Temporary {
		return false
	}
	hit := false
	for _, t := range st.Tables {
		hit = hit || follow[strings.ToLower(t.String())]
	}
	for _, r := range st.Renames {
		if follow[strings.ToLower(r.From.String())] {
			follow[strings.ToLower(r.To.String())] = true
			hit = true
		}
	}
	return hit
}
