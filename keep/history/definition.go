package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/lull-ops/lull/db"
)

// NewDefinition makes a definition and its id. The estimate of the table's rows and references
// that other tables make to it are left out: they change without the table.
func NewDefinition(t *db.Table, script []string) (*Definition, error) {
	own := *t
	own.Rows, own.Children = -1, nil
	d := &Definition{Table: &own, Script: script}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("describe table %s: %w", t.Name, err)
	}
	// JSON has no form for bytes that are not UTF-8, which members of an ENUM may hold.
	for i := range own.Columns {
		text = fmt.Appendf(text, "%q", own.Columns[i].Elements)
	}
	sum := sha256.Sum256(text)
	d.ID = "d-" + hex.EncodeToString(sum[:8])
	return d, nil
}
