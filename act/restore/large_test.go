package restore

import (
	"bytes"
	"testing"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

// More rows than one statement holds, with a column that the server computes and rounds.
func TestManyStatementsAndRoundedColumns(t *testing.T) {
	for _, srv := range servertest.All(t, "--loose-local-infile=1") {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			l := connect(t, srv)
			computed := ", net DECIMAL(14,4) AS (price*0.81) STORED"
			columns := "id, price, note, net"
			if srv.Binaries().Series() == "mysql-5.6" {
				computed, columns = "", "id, price, note"
			}
			l.exec("CREATE TABLE many (id INT AUTO_INCREMENT PRIMARY KEY, price DECIMAL(12,4) NOT NULL, note VARCHAR(250)" + computed + ")")
			l.exec("INSERT INTO many (price, note) VALUES (1.2345, REPEAT('x', 200))")
			for range 14 {
				l.exec("INSERT INTO many (price, note) SELECT price+0.0003, CONCAT(LEFT(note, 190), id) FROM many")
			}
			past := l.past("many")
			past.Name.Table = "many_side"
			sum := func(table string) string {
				return l.text("SELECT CONCAT(COUNT(*), ' ', SUM(CRC32(CONCAT_WS('|', " + columns + ")))) FROM " + table)
			}
			same := func() {
				t.Helper()
				if got, want := sum("many_side"), sum("many"); got != want {
					t.Errorf("restored %s, want %s", got, want)
				}
			}
			var file bytes.Buffer
			_, err := WriteSQL(&file, past)
			l.must(err)
			l.replay(&file)
			same()
			for _, way := range []Way{LoadData, Inserts} {
				l.exec("DROP TABLE many_side")
				_, err = Into(t.Context(), &MySQL{Conn: l.conn, Way: way}, l.past("many"), db.Name{Schema: l.schema, Table: "many_side"}, Options{})
				l.must(err)
				same()
			}
		})
	}
}
