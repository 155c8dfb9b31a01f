package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Drill is the evidence of a drill.
type Drill struct {
	Name string
	At   time.Time
	JSON json.RawMessage
}

// PutDrill stores the evidence of a drill: a value that is an object in JSON, in clear. name is
// of letters, digits and _.=-.
func (r *Repo) PutDrill(ctx context.Context, evidence any, name string, at time.Time) error {
	if !drillWord(name) {
		return fmt.Errorf("keep evidence of drill %q: that is no name for one", name)
	}
	text, err := sealDocument(evidence)
	if err == nil {
		err = r.put(ctx, r.name(drillDir+stamp(at)+"-"+name+jsonSuffix), bytes.NewReader(text), int64(len(text)))
	}
	if err != nil {
		return fmt.Errorf("keep evidence of drill %s: %w", name, err)
	}
	return nil
}

// Drills are the evidence of drills, newest first. What is damaged is left out.
func (r *Repo) Drills(ctx context.Context) ([]Drill, error) {
	var out []Drill
	for info, err := range r.store.List(ctx, r.name(drillDir)) {
		if err != nil {
			return nil, fmt.Errorf("list drills of %s: %w", r, err)
		}
		if d, ok := parseDrillName(strings.TrimPrefix(info.Name, r.name(""))); ok {
			out = append(out, d)
		}
	}
	slices.Reverse(out)
	err := ahead(ctx, len(out), atOnce, func(ctx context.Context, i int) ([]byte, error) {
		return readAll(ctx, r.store, r.name(drillDir+stamp(out[i].At)+"-"+out[i].Name+jsonSuffix), maxDocument)
	}, func(i int, text []byte) error {
		out[i].JSON = text
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read drills of %s: %w", r, err)
	}
	return slices.DeleteFunc(out, func(d Drill) bool { return openDocument(d.JSON, new(json.RawMessage)) != nil }), nil
}

func parseDrillName(rest string) (Drill, bool) {
	rest = strings.TrimPrefix(rest, drillDir)
	if len(rest) < len(timeForm)+2 {
		return Drill{}, false
	}
	name, ok := strings.CutSuffix(rest[len(timeForm)+1:], jsonSuffix)
	at, parsed := parseStamp(rest[:len(timeForm)])
	return Drill{Name: name, At: at}, ok && parsed && rest[len(timeForm)] == '-' && drillWord(name)
}

// PutCatalog stores what a database has besides tables, as it was found behind the log pack of
// an ordinal.
func (r *Repo) PutCatalog(ctx context.Context, ordinal uint64, at time.Time, statements []pack.Statement) error {
	var out bytes.Buffer
	w, err := pack.NewWriter(&out, r.keys.Recipients)
	var payload []byte
	for i := range statements {
		if err == nil {
			payload, err = pack.AppendStatement(payload, &statements[i])
		}
	}
	if err == nil {
		err = w.Add(pack.Member{Kind: pack.Statements, Count: int64(len(statements))}, payload)
	}
	if err == nil {
		_, err = w.Close(pack.Index{Kind: pack.Catalog, Database: r.header.Database, Created: at.UTC()})
	}
	if err == nil {
		err = r.put(ctx, r.name(catalogName(ordinal, at)), bytes.NewReader(out.Bytes()), int64(out.Len()))
	}
	if err != nil {
		return fmt.Errorf("keep catalog of %s: %w", r, err)
	}
	return nil
}

// Catalog is what the database had besides tables at transaction seq, and when that was found:
// the newest catalog that is not later than its log pack, else the oldest. There may be none.
func (r *Repo) Catalog(ctx context.Context, seq history.Seq) ([]pack.Statement, time.Time, error) {
	ordinal, err := r.ordinalOf(ctx, seq)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("find catalog of %s: %w", r, err)
	}
	var name string
	var found time.Time
	var size int64
	for info, err := range r.store.List(ctx, r.name(catalogDir)) {
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("list catalogs of %s: %w", r, err)
		}
		n, at, ok := parseCatalogName(strings.TrimPrefix(info.Name, r.name("")))
		if ok && (name == "" || n <= ordinal) {
			name, found, size = info.Name, at, info.Size
		}
	}
	if name == "" {
		return nil, time.Time{}, nil
	}
	out, err := r.statements(ctx, name, size)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read catalog of %s: %w", r, err)
	}
	return out, found, nil
}

func (r *Repo) statements(ctx context.Context, name string, size int64) ([]pack.Statement, error) {
	o, err := r.openPack(ctx, name, size, false)
	if err != nil {
		return nil, err
	}
	if err := r.belongs(name, o.Index(), pack.Catalog); err != nil {
		return nil, err
	}
	var out []pack.Statement
	for i := range o.Index().Members {
		payload, err := o.Payload(ctx, i)
		if err == nil && o.Index().Members[i].Kind == pack.Statements {
			err = pack.EachStatement(payload, func(s *pack.Statement) error {
				out = append(out, *s)
				return nil
			})
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return out, nil
}

// ordinalOf is the last ordinal of the pack that holds transaction seq.
func (r *Repo) ordinalOf(ctx context.Context, seq history.Seq) (uint64, error) {
	var ordinal uint64
	err := r.onChain(ctx, seq, func(c *chain) error {
		i, err := r.search(ctx, c.logs, func(s *summary) bool { return s.Last >= seq })
		if err == nil && i < len(c.logs) {
			ordinal = c.logs[i].LastOrdinal
		} else {
			ordinal = c.highest
		}
		return err
	})
	return ordinal, err
}
