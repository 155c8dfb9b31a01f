package restore

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

const (
	// A row group's values are kept in memory until it is written.
	groupBytes = 64 << 20
	groupRows  = 1 << 20
	batchRows  = 256
)

// WriteParquet writes the rows as a Parquet file, zstd-compressed, in row groups of at most
// 64 MB. Columns keep their order and their names. Their types are
//
//	integers, YEAR               INT32 or INT64 with their width and sign
//	DECIMAL                      DECIMAL up to 38 digits, longer ones text
//	FLOAT, DOUBLE                FLOAT, DOUBLE
//	BIT                          unsigned INT64
//	ENUM, SET                    text: the members' names
//	DATE                         DATE
//	DATETIME, TIMESTAMP          TIMESTAMP in microseconds, of TIMESTAMP adjusted to UTC
//	TIME                         text: Parquet's ends at 24 hours
//	JSON                         JSON
//	other text                   text in UTF-8; of a character set that is not decoded here bytes
//	all else                     bytes
//
// Dates that no calendar has (0000-00-00, 2026-02-31) become NULL, and a warning says how
// many there were. All columns are written, also generated ones.
func WriteParquet(out io.Writer, t Table) (*File, error) {
	p, err := newParquetWriter(out, t)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	sent := newSum(t.Definition.Table)
	for row, err := range sent.along(t.Rows) {
		if err == nil {
			err = p.add(row)
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Name, err)
		}
	}
	if err := p.close(); err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	return &File{Rows: sent.digest.Rows, Digest: sent.digest.Sum(), Warnings: p.warnings()}, nil
}

// inOrder is a group whose columns stay where they are; a parquet.Group sorts them by name.
type inOrder struct {
	parquet.Group
	fields []parquet.Field
}

func (g inOrder) Fields() []parquet.Field { return g.fields }

func newGroup(cols []*parquetColumn) inOrder {
	g := parquet.Group{}
	place := map[string]int{}
	for i, c := range cols {
		g[c.name] = c.node
		place[c.name] = i
	}
	fields := g.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return place[a.Name()] - place[b.Name()] })
	return inOrder{g, fields}
}
