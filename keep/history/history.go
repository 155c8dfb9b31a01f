// Package history holds the words for reading a table's past: which transactions touched it,
// what they did to its rows, and where the record has holes. The kinds of history lie in the
// packages below it; nothing here reads anything.
package history

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
)

// Touch is what one transaction did to one table: rows, or a statement that changed the
// table as a whole.
type Touch struct {
	Tx                         db.Tx
	Table                      db.Name
	Inserted, Updated, Deleted int64
	// Statement is the text of the statement that changed most of the rows, when the log has
	// it, cut at MaxStatement bytes; Statements counts them all.
	Statement  string
	Statements int
	// NoWhere says why Statement hits every row, "" when it does not or nobody knows.
	NoWhere string
	// DDL is what a TRUNCATE, DROP, RENAME or the like did: "truncate", "drop", "drop column",
	// "rename", ..., or "statement delete" and the like for a change of rows that was logged as
	// text; "" for rows.
	DDL string
	// Columns are the columns that an ALTER dropped.
	Columns []string
	// Incomplete says what is wrong with the row images: Minimal, NoBlob or Savepoint; "" when
	// they are whole.
	Incomplete string
	// Children are tables the transaction opened without logging a row of them: MariaDB's trace
	// of foreign keys whose ON DELETE or ON UPDATE action may have changed rows there.
	Children []db.Name
	// ForeignKeysOff says that all rows were changed with foreign_key_checks=0: nothing cascaded.
	ForeignKeysOff bool
	// Origin is the kind of server that wrote the log.
	Origin Origin
	// Net is how many rows the table gained since the scan began, this transaction included;
	// negative when it lost more.
	Net int64
	// Plan is the plan of Lull that made this change, "" for everybody else's.
	Plan string
}

// Origin is a kind of server.
type Origin string

// The kinds whose logs differ in what they hold.
const (
	MySQL   Origin = "mysql"
	MariaDB Origin = "mariadb"
)

// Why the rows in a log are not all that is needed.
const (
	Minimal   = "MINIMAL"   // binlog_row_image: keys and changed columns only
	NoBlob    = "NOBLOB"    // binlog_row_image: BLOB and TEXT are left out
	Savepoint = "SAVEPOINT" // some of the rows were rolled back again, and the log does not tell which
)

// MaxStatement is how much of a statement's text a Touch keeps.
const MaxStatement = 4096

// Rows is how many rows the transaction changed in the table.
func (t *Touch) Rows() int64 { return t.Inserted + t.Updated + t.Deleted }

// RowsStay says that the statement lost no row: it moved them to another name or table.
func (t *Touch) RowsStay() bool {
	return t.DDL == "rename" || t.DDL == "exchange partition" || t.DDL == "convert partition"
}

// ID names the touch. It is made of what the log says and nothing else, so it is the same in
// every run, from the server or from its files.
func (t *Touch) ID() string {
	h := sha256.New()
	if t.Tx.GTID != "" {
		fmt.Fprintf(h, "gtid %s", t.Tx.GTID)
	} else {
		fmt.Fprintf(h, "pos %d %s:%d", t.Tx.Server, t.Tx.File, t.Tx.Start)
	}
	fmt.Fprintf(h, " %d %s %s", t.Tx.At.UnixMicro(), t.Table, t.DDL)
	return "f-" + strings.ToLower(idAlphabet.EncodeToString(h.Sum(nil)[:idBytes]))
}

const idBytes = 4

// idAlphabet has no letters that are taken for digits.
var idAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Gap is a stretch of the past that a history cannot tell.
type Gap struct {
	File   string    `json:"file"`
	Pos    int64     `json:"position"`
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason"`
}

// Bound is one end of a window: a time, a transaction, or a place in a file. The zero Bound
// is open.
type Bound struct {
	Time time.Time
	GTID string
	File string
	Pos  int64
}

// IsZero says that the bound is open.
func (b Bound) IsZero() bool { return b.Time.IsZero() && b.GTID == "" && b.File == "" }

func (b Bound) String() string {
	switch {
	case b.GTID != "":
		return b.GTID
	case b.File != "":
		return fmt.Sprintf("%s:%d", b.File, b.Pos)
	case b.Time.IsZero():
		return "ever"
	}
	return b.Time.Local().Format(time.DateTime)
}

// Window is the part of the past that is asked for. A time bound takes the transactions
// committed in [Since, Until); a GTID bound includes its transaction; a place includes the
// transactions that begin in [Since, Until).
type Window struct{ Since, Until Bound }

// Names is a set of tables: "shop.billing", or "billing" in any schema. Empty means all.
type Names []string

// Has says that the set holds the table.
func (n Names) Has(schema, table string) bool {
	if len(n) == 0 {
		return true
	}
	for _, want := range n {
		s, t, ok := strings.Cut(want, ".")
		if !ok && strings.EqualFold(want, table) || ok && strings.EqualFold(s, schema) && strings.EqualFold(t, table) {
			return true
		}
	}
	return false
}
