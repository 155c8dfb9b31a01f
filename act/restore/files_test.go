package restore

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
	"github.com/lull-ops/lull/keep/history"
)

// A file of SQL makes the same table again when the client runs it, whatever its types.
func TestWriteSQL(t *testing.T) {
	for _, srv := range servertest.All(t, "--loose-local-infile=1") {
		t.Run(srv.Binaries().Series(), func(t *testing.T) {
			l := connect(t, srv)
			var file bytes.Buffer
			var names []string
			for i, c := range typeCases() {
				if !c.runsOn(l) {
					continue
				}
				name := fmt.Sprintf("t%d", i)
				l.makeTyped(c, name)
				past := l.past(name)
				past.Name.Table = name + "_side"
				f, err := WriteSQL(&file, past)
				l.must(err)
				want, err := Sum(past.Definition.Table, past.Rows)
				l.must(err)
				if f.Digest != want.Sum() || f.Rows != want.Rows {
					t.Errorf("%s: %+v", c.def, f)
				}
				names = append(names, name)
			}
			l.replay(&file)
			for _, name := range names {
				l.sameValues(name, name+"_side")
			}
		})
	}
}

// replay runs a file of SQL by the system's client.
func (l *live) replay(file io.Reader) {
	l.Helper()
	_, port, _ := strings.Cut(l.server.Addr(), ":")
	cmd, err := servertest.Trees(l)[0].Command(l.Context(), "mariadb", "--no-defaults", "-h127.0.0.1", "-P"+port, "-uroot", "--default-character-set=utf8mb4", l.schema)
	l.must(err)
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("replay: %v: %s", err, out)
	}
}

func column(name, dataType string) db.Column {
	return db.Column{Name: name, DataType: dataType, ColumnType: dataType, Nullable: true}
}

func textColumn(name, dataType, charset string, elements ...string) db.Column {
	c := column(name, dataType)
	c.Charset, c.Elements = charset, elements
	return c
}

func made(t *testing.T, cols []db.Column, rows ...db.Row) Table {
	t.Helper()
	shape := &db.Table{Name: db.Name{Schema: "shop", Table: "t"}, Columns: cols}
	def, err := history.NewDefinition(shape, []string{"CREATE TABLE t (a int)"})
	if err != nil {
		t.Fatal(err)
	}
	return Table{Name: shape.Name, Definition: def, Rows: each(rows...), Estimate: int64(len(rows))}
}

func TestWriteCSV(t *testing.T) {
	for _, c := range []struct {
		col  db.Column
		vals db.Row
		want string
	}{
		{column("id", "int"), row("1", "NULL", "-7"), "id\r\n1\r\n\r\n-7\r\n"},
		{textColumn("a", "varchar", "utf8mb4"), row("x", "", "NULL", "a,b", "say \"hi\"", "two\nlines", " x "), "a\r\nx\r\n\"\"\r\n\r\n\"a,b\"\r\n\"say \"\"hi\"\"\"\r\n\"two\nlines\"\r\n x \r\n"},
		{textColumn("a,b", "varchar", "latin1"), row("\xe9\x80\x81"), "\"a,b\"\r\n\u00e9\u20ac\u0081\r\n"},
		{textColumn("a", "text", "utf16"), row("\x00A\xd8\x3d\xde\x00"), "a\r\nA\U0001F600\r\n"},
		{textColumn("a", "text", "utf16le"), row("A\x00"), "a\r\nA\r\n"},
		{textColumn("a", "char", "utf32"), row("\x00\x01\xf6\x00"), "a\r\n\U0001F600\r\n"},
		{textColumn("a", "varchar", "sjis"), row("\x83\x5c"), "a:hex\r\n835c\r\n"},
		{textColumn("a", "blob", "binary"), row("\x00\xff", ""), "a:hex\r\n00ff\r\n\"\"\r\n"},
		{textColumn("a", "enum", "latin1", "d\xe9", "b"), row("1", "2", "0"), "a\r\nd\u00e9\r\nb\r\n\"\"\r\n"},
		{textColumn("a", "set", "utf8mb4", "x", "y", "z"), row("5", "0"), "a\r\n\"x,z\"\r\n\"\"\r\n"},
		{column("a", "float"), row("1.0000000149011612e-01"), "a\r\n0.1\r\n"},
		{column("a", "double"), row("1e+300", "2.5e+00"), "a\r\n1e+300\r\n2.5\r\n"},
		{column("a", "timestamp"), row("2026-11-20 14:02:11.5"), "a\r\n2026-11-20 14:02:11.5\r\n"},
	} {
		var rows []db.Row
		for _, v := range c.vals {
			rows = append(rows, db.Row{v})
		}
		var out bytes.Buffer
		f, err := WriteCSV(&out, made(t, []db.Column{c.col}, rows...))
		if err != nil || f.Rows != int64(len(rows)) || out.String() != c.want {
			t.Errorf("%s: %v, %+v\n%q, want\n%q", c.col.DataType, err, f, out.String(), c.want)
		}
	}
}

// Another reader of CSV finds the fields of a live table.
func TestWriteCSVOfTable(t *testing.T) {
	l := connect(t, servertest.MariaDB(t))
	l.exec("CREATE TABLE t (a int PRIMARY KEY, b varchar(20), c varbinary(9))", "INSERT INTO t VALUES (1,'a\\r\\nb\"c',X'00'),(2,NULL,NULL),(3,'',''),(4,'NULL','NULL')")
	var out bytes.Buffer
	_, err := WriteCSV(&out, l.past("t"))
	l.must(err)
	got, err := csv.NewReader(&out).ReadAll()
	l.must(err)
	// The reader takes \r\n in a field for \n.
	if fmt.Sprintf("%q", got) != `[["a" "b" "c:hex"] ["1" "a\nb\"c" "00"] ["2" "" ""] ["3" "" ""] ["4" "NULL" "4e554c4c"]]` {
		t.Errorf("%q", got)
	}
}

func parquetTable(t *testing.T) Table {
	t.Helper()
	typed := func(c db.Column, columnType string, scale int) db.Column {
		c.ColumnType, c.Scale = columnType, scale
		return c
	}
	unsigned := column("u", "bigint")
	unsigned.Unsigned = true
	key := column("z", "int")
	key.Nullable = false
	return made(t, []db.Column{
		key, column("tiny", "tinyint"), unsigned, typed(column("price", "decimal"), "decimal(9,2)", 2), typed(column("sum", "decimal"), "decimal(18,4)", 4),
		typed(column("big", "decimal"), "decimal(38,3)", 3), typed(column("huge", "decimal"), "decimal(65,0)", 0), column("d", "date"), column("dt", "datetime"),
		column("ts", "timestamp"), column("f", "float"), column("x", "double"), textColumn("name", "varchar", "latin1"), textColumn("blob", "blob", "binary"),
		column("doc", "json"), textColumn("state", "enum", "utf8mb4", "open", "paid"), column("t", "time"), column("bits", "bit"),
	},
		row("7", "-128", "18446744073709551615", "-12.50", "99999999999999.9999", "-1.001", strings.Repeat("9", 65), "2026-11-20", "2026-11-20 14:02:11.5",
			"1970-01-01 00:00:01", "1.5e+00", "1e+300", "caf\xe9", "\x00\xff", `{"a": 1}`, "2", "-838:59:59", "5"),
		row("8", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "0000-00-00", "2026-02-31 00:00:00", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"))
}

func TestWriteParquet(t *testing.T) {
	var out bytes.Buffer
	f, err := WriteParquet(&out, parquetTable(t))
	if err != nil {
		t.Fatal(err)
	}
	if f.Rows != 2 || len(f.Warnings) != 2 || !strings.Contains(f.Warnings[0], "column d") {
		t.Errorf("%+v", f)
	}
	file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	const schema = `message t {
	required int32 z (INT(32,true));
	optional int32 tiny (INT(8,true));
	optional int64 u (INT(64,false));
	optional int32 price (DECIMAL(9,2));
	optional int64 sum (DECIMAL(18,4));
	optional fixed_len_byte_array(16) big (DECIMAL(38,3));
	optional binary huge (STRING);
	optional int32 d (DATE);
	optional int64 dt (TIMESTAMP(isAdjustedToUTC=false,unit=MICROS));
	optional int64 ts (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional float f;
	optional double x;
	optional binary name (STRING);
	optional binary blob;
	optional binary doc (JSON);
	optional binary state (STRING);
	optional binary t (STRING);
	optional int64 bits (INT(64,false));
}`
	if got := file.Schema().String(); got != schema {
		t.Errorf("schema\n%s\nwant\n%s", got, schema)
	}
	rows := make([]parquet.Row, 3)
	n, err := file.RowGroups()[0].Rows().ReadRows(rows)
	if n != 2 || err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	dt := time.Date(2026, 11, 20, 14, 2, 11, 5e8, time.UTC)
	want := fmt.Sprintf("7 -128 18446744073709551615 -1250 999999999999999999 %x %s %d %d 1000000 1.5 1e+300 caf\u00e9 00ff {\"a\": 1} paid -838:59:59 5",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfc\x17", strings.Repeat("9", 65), dt.Unix()/86400, dt.UnixMicro())
	if got := words(rows[0]); got != want {
		t.Errorf("row\n%s\nwant\n%s", got, want)
	}
	for i, v := range rows[1] {
		if v.IsNull() != (i > 0) {
			t.Errorf("value %d of the second row is %v", i, v)
		}
	}
}

func words(r parquet.Row) string {
	var out []string
	for i, v := range r {
		switch i {
		case 5, 13:
			out = append(out, fmt.Sprintf("%x", v.ByteArray()))
		case 2:
			out = append(out, fmt.Sprint(v.Uint64()))
		default:
			out = append(out, v.String())
		}
	}
	return strings.Join(out, " ")
}

// Row groups end before they hold too much.
func TestWriteParquetInGroups(t *testing.T) {
	const n = 400
	wide := strings.Repeat("x", 400<<10)
	table := made(t, []db.Column{column("id", "int"), textColumn("b", "longblob", "binary")})
	table.Rows = func(yield func(db.Row, error) bool) {
		for i := range n {
			if !yield(row(fmt.Sprint(i), wide), nil) {
				return
			}
		}
	}
	var out bytes.Buffer
	if _, err := WriteParquet(&out, table); err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(file.RowGroups()) < 2 || file.NumRows() != n {
		t.Errorf("%d groups, %d rows", len(file.RowGroups()), file.NumRows())
	}
}
