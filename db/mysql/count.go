package mysql

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull/db"
)

// countable is up to how many rows a table is counted; the engine's estimate is far off for
// small tables that just lost or got rows, and good enough for large ones.
const countable = 100_000

// Rows is how many rows a table has: exact up to 100,000, then about. It is -1 when nobody
// can say.
func (c *Conn) Rows(ctx context.Context, t *db.Table) (int64, error) {
	var n int64
	from := quoteName(t.Schema) + "." + quoteName(t.Table)
	err := c.DB.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) t", from, countable+1)).Scan(&n)
	switch {
	case serverErrorNumber(err) == errTableAccessDenied:
		return t.Rows, nil
	case err != nil:
		return 0, c.failed(ctx, "count rows of "+t.String(), err)
	case n > countable:
		return max(t.Rows, n), nil
	}
	return n, nil
}
