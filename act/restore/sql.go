package restore

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/sqltext"
)

// sqlBytes is how long a statement of a file gets: any server and client takes it.
const sqlBytes = 1 << 20

// File says what was written to a file.
type File struct {
	Rows     int64    `json:"rows"`
	Digest   string   `json:"digest"` // as of Receipt
	Warnings []string `json:"warnings,omitempty"`
}

const sqlHead = `SET @old_time_zone=@@SESSION.time_zone, @old_sql_mode=@@SESSION.sql_mode, @old_foreign_key_checks=@@SESSION.foreign_key_checks,
  @old_client=@@SESSION.character_set_client, @old_connection=@@SESSION.collation_connection, @old_results=@@SESSION.character_set_results;
SET NAMES utf8mb4;
SET SESSION time_zone='+00:00', sql_mode='` + sqltext.Mode + `', foreign_key_checks=0;
`

const sqlTail = `COMMIT;
SET SESSION time_zone=@old_time_zone, sql_mode=@old_sql_mode, foreign_key_checks=@old_foreign_key_checks,
  character_set_client=@old_client, collation_connection=@old_connection, character_set_results=@old_results;
`

// WriteSQL writes statements that make the table, called t.Name, in the schema that a client
// is in when it runs them, with exactly these rows. The file's bytes are those the table
// holds: it is no text in one character set. Under another name than its own the table has
// no foreign keys.
func WriteSQL(out io.Writer, t Table) (*File, error) {
	made, err := makeScript(t.Definition.Script, t.Definition.Table.Name, db.Name{Table: t.Name.Table}, t.Name == t.Definition.Table.Name)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	w := bufio.NewWriterSize(out, sqlBytes)
	fmt.Fprintf(w, "-- Lull: table %s\n%s", strings.NewReplacer("\n", " ", "\r", " ").Replace(t.Name.String()), sqlHead)
	for _, s := range made.statements {
		fmt.Fprintf(w, "%s;\n", s)
	}
	fmt.Fprint(w, "SET NAMES binary;\nSTART TRANSACTION;\n")
	shape := *t.Definition.Table
	shape.Name = db.Name{Table: t.Name.Table}
	in := sqltext.NewInserter(&shape, "", sqlBytes, func(stmt []byte, _ int) error {
		if _, err := w.Write(stmt); err != nil {
			return err
		}
		_, err := w.WriteString(";\n")
		return err
	})
	sent := newSum(t.Definition.Table)
	for row, err := range sent.along(t.Rows) {
		if err == nil {
			err = in.Add(row)
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", t.Name, err)
		}
	}
	if err := in.Flush(); err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	fmt.Fprint(w, sqlTail)
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write %s: %w", t.Name, err)
	}
	return &File{Rows: sent.digest.Rows, Digest: sent.digest.Sum(), Warnings: made.warnings}, nil
}
