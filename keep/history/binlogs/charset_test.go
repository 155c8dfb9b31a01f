package binlogs

import (
	"database/sql"
	"testing"

	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// TestCharsetOf asks each server for its collations: those that are known must be right.
func TestCharsetOf(t *testing.T) {
	for _, srv := range servertest.All(t, "--lock-wait-timeout=5") {
		pool, err := sql.Open("mysql", srv.RootDSN(""))
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		query := "SELECT id, character_set_name FROM information_schema.collations"
		if srv.Flavor() == "mariadb" {
			query = "SELECT id, character_set_name FROM information_schema.collation_character_set_applicability"
		}
		rows, err := pool.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		known := 0
		for rows.Next() {
			var id uint64
			var want string
			if err := rows.Scan(&id, &want); err != nil {
				t.Fatal(err)
			}
			if want == "utf8" {
				want = "utf8mb3"
			}
			got := charsetOf(id)
			if got != "" && got != want {
				t.Errorf("%s: collation %d is of %q, want %q", srv.Binaries().Series(), id, got, want)
			}
			if got != "" {
				known++
			}
		}
		if err := rows.Err(); err != nil || known < 100 {
			t.Errorf("%s: %d collations are known, error %v", srv.Binaries().Series(), known, err)
		}
	}
}
