package restore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

const (
	workPrefix = "_lull_restore_"
	markDigits = 12
	workDigits = markDigits + 4
)

// run is one call of Into or Database: it holds a mark, so that others tell its work tables
// from those that a killed run left.
type run struct {
	target  Target
	mark    string // hex digits that its work tables' names begin with
	release func()
	tables  atomic.Uint32
}

func begin(ctx context.Context, target Target) (*run, error) {
	var b [markDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	r := &run{target: target, mark: hex.EncodeToString(b[:])}
	var err error
	if r.release, err = target.Hold(ctx, workPrefix+r.mark); err != nil {
		return nil, fmt.Errorf("mark the restore as running: %w", err)
	}
	return r, nil
}

// workName is a new hidden name: the run's mark and the table's number in it.
func (r *run) workName(schema string) db.Name {
	return db.Name{Schema: schema, Table: fmt.Sprintf("%s%s%04x", workPrefix, r.mark, r.tables.Add(1)&0xffff)}
}

// markOf is the mark in a work table's name.
func markOf(table string) (string, bool) {
	digits, ok := strings.CutPrefix(table, workPrefix)
	if !ok || len(digits) != workDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", false
	}
	return digits[:markDigits], true
}

// sweep drops the work tables of runs that are no more.
func (r *run) sweep(ctx context.Context, schema string) error {
	names, err := r.target.Names(ctx, schema)
	if err != nil {
		return err
	}
	for _, n := range names {
		mark, ok := markOf(n.Table)
		if !ok || mark == r.mark {
			continue
		}
		held, err := r.target.Held(ctx, workPrefix+mark)
		if err != nil {
			return fmt.Errorf("look whether the restore of %s still runs: %w", n, err)
		}
		if held {
			continue
		}
		if err := r.target.Exec(ctx, schema, "DROP TABLE IF EXISTS "+quote(n)); err != nil {
			return fmt.Errorf("drop what a killed restore left in %s: %w", n, err)
		}
	}
	return nil
}

func quote(n db.Name) string { return string(sqltext.AppendName(nil, n)) }
