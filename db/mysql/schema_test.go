package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql/server/servertest"
)

func table(t testing.TB, c *Conn, schema, name string) *db.Table {
	t.Helper()
	tab, err := c.Table(t.Context(), db.Name{Schema: schema, Table: name})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// line is a column in one line; the servers spell ColumnType differently, so it is left out.
func line(c db.Column) string {
	s := c.Name + " " + c.DataType
	for _, f := range []struct {
		on   bool
		text string
	}{
		{c.Unsigned, "unsigned"},
		{c.Nullable, "null"},
		{c.Generated, "generated"},
		{c.Invisible, "invisible"},
		{c.AutoInc, "auto"},
		{c.Charset != "", c.Charset},
		{c.Length != 0, fmt.Sprint("length ", c.Length)},
		{c.Scale != 0, fmt.Sprint("scale ", c.Scale)},
		{c.Elements != nil, fmt.Sprintf("%q", c.Elements)},
	} {
		if f.on {
			s += " " + f.text
		}
	}
	return s
}

func TestColumns(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		for _, x := range []struct{ sql, want string }{
			{"bigint unsigned NOT NULL AUTO_INCREMENT UNIQUE", "bigint unsigned auto"},
			{"int(5) zerofill", "int unsigned null"},
			{"tinyint", "tinyint null"},
			{"decimal(12,3) unsigned", "decimal unsigned null scale 3"},
			{"double", "double null"},
			{"bit(9)", "bit null length 9"},
			{"year", "year null"},
			{"time(2)", "time null scale 2"},
			{"datetime(6)", "datetime null scale 6"},
			{"datetime", "datetime null"},
			{"timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)", "timestamp scale 3"},
			{"char(4) CHARACTER SET latin1", "char null latin1"},
			{"varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "varchar null utf8mb4"},
			{"text CHARACTER SET ucs2", "text null ucs2"},
			{"binary(3)", "binary null binary length 3"},
			{"varbinary(30)", "varbinary null binary"},
			{"mediumblob", "mediumblob null binary"},
			{"varchar(9) CHARACTER SET binary", "varbinary null binary"},
			{"geometry", "geometry null"},
			{`enum('a','it''s','b\\c',',','größe') CHARACTER SET utf8mb4`, `enum null utf8mb4 ["a" "it's" "b\\c" "," "größe"]`},
			{"enum('größe') CHARACTER SET latin1", `enum null latin1 ["gr\xf6\xdfe"]`},
			{"set('x','y') CHARACTER SET ucs2", `set null ucs2 ["\x00x" "\x00y"]`},
			{"enum(') unsigned','\n')  CHARACTER SET latin1", `enum null latin1 [") unsigned" "\n"]`},
		} {
			createColumn(t, c, x.sql)
			got := strings.TrimPrefix(line(table(t, c, schema, "x").Columns[0]), "ä` ")
			if got != x.want {
				t.Errorf("%s %s: %s is\n     %s\nwant %s", c.Flavor, c.Version, x.sql, got, x.want)
			}
		}
	}
}

// createColumn makes table x with one column of a hard name, in UTF-8.
func createColumn(t testing.TB, c *Conn, definition string) {
	t.Helper()
	conn, err := c.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, stmt := range []string{"SET NAMES utf8mb4", "DROP TABLE IF EXISTS x", "CREATE TABLE x (`ä`` ` " + definition + ")", "SET NAMES binary"} {
		stmt = strings.Replace(stmt, "`ä`` `", "`ä```", 1)
		if _, err := conn.ExecContext(t.Context(), stmt); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
}

func TestGeneratedAndInvisible(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mariadb-10.11", "mariadb-11", "mysql-9") {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, `CREATE TABLE g (id int PRIMARY KEY, v int AS (id + 1) VIRTUAL, s int AS (id + 2) STORED,
			d datetime DEFAULT (NOW() + INTERVAL 1 DAY), u datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
			h int DEFAULT 7 INVISIBLE, j json)`)
		j := "j json null"
		if c.Flavor == MariaDB {
			j = "j longtext null utf8mb4"
		}
		var got []string
		for _, col := range table(t, c, schema, "g").Columns {
			got = append(got, line(col))
		}
		want := []string{"id int", "v int null generated", "s int null generated", "d datetime null", "u datetime null", "h int null invisible", j}
		if !slices.Equal(got, want) {
			t.Errorf("%s %s:\n     %q\nwant %q", c.Flavor, c.Version, got, want)
		}
	}
}

func TestMySQLInvisibleKey(t *testing.T) {
	for _, srv := range servertest.Versions(t, "mysql-9") {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "SET GLOBAL sql_generate_invisible_primary_key = ON")
		defer run(t, c.DB, "SET GLOBAL sql_generate_invisible_primary_key = OFF")
		fresh := dial(t, srv, schema)
		run(t, fresh.DB, "SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF;\nCREATE TABLE k (a int, b int, UNIQUE ((a + 1)), UNIQUE (b))")
		tab := table(t, dial(t, srv, schema), schema, "k")
		run(t, fresh.DB, "SET GLOBAL show_gipk_in_create_table_and_information_schema = ON")
		if len(tab.Columns) != 3 || !tab.Columns[0].Invisible || !slices.Equal(tab.RowKey(), []int{0}) {
			t.Errorf("%+v", tab)
		}
	}
}

func keys(tab *db.Table) (out []string) {
	for _, k := range tab.Keys {
		s := fmt.Sprint(k.Name, k.Columns)
		for _, f := range []struct {
			on   bool
			text string
		}{{k.Primary, " primary"}, {k.NotNull, " notnull"}, {k.Prefix, " prefix"}} {
			if f.on {
				s += f.text
			}
		}
		out = append(out, s)
	}
	return out
}

func TestKeys(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE k (a int NOT NULL, b int, c varchar(20) NOT NULL, d int NOT NULL, PRIMARY KEY (d, a), UNIQUE KEY `1st` (b), UNIQUE KEY c (c(5)), UNIQUE KEY z (c), KEY plain (a));\n"+
			"CREATE TABLE none (a int, KEY (a))")
		want := []string{"PRIMARY[3 0] primary notnull", "1st[1]", "c[2] notnull prefix", "z[2] notnull"}
		if got := keys(table(t, c, schema, "k")); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.Flavor, got, want)
		}
		if tab := table(t, c, schema, "none"); tab.Keys != nil || tab.RowKey() != nil || tab.Engine != "InnoDB" || tab.Rows < 0 {
			t.Errorf("%s: %+v", c.Flavor, tab)
		}
		if c.Flavor == MySQL && c.Version.AtLeast(8, 0, 13) {
			run(t, c.DB, "CREATE TABLE e (a int NOT NULL, UNIQUE KEY f (a, (a + 1)))")
			if got := keys(table(t, c, schema, "e")); !slices.Equal(got, []string{"f[0] notnull prefix"}) {
				t.Errorf("a key with an expression is %q", got)
			}
		}
	}
}

func TestForeignKeysAndTriggers(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		_, other := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, `CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)) ENGINE=InnoDB;
CREATE TABLE c1 (x int, y int, CONSTRAINT same FOREIGN KEY (x, y) REFERENCES p (a, b) ON DELETE CASCADE ON UPDATE SET NULL) ENGINE=InnoDB;
CREATE TABLE `+other+`.c1 (x int, y int, CONSTRAINT same FOREIGN KEY (x, y) REFERENCES `+schema+`.p (a, b)) ENGINE=InnoDB;
CREATE TABLE me (id int PRIMARY KEY, up int, CONSTRAINT up FOREIGN KEY (up) REFERENCES me (id) ON DELETE SET NULL) ENGINE=InnoDB;
CREATE TRIGGER tr BEFORE DELETE ON p FOR EACH ROW SET @x = 1`)
		fk := func(list []db.ForeignKey) (out []string) {
			for _, k := range list {
				out = append(out, fmt.Sprintf("%s %s%v %s%v %s/%s", k.Name, k.Child, k.ChildColumns, k.Parent, k.ParentColumns, k.OnDelete, k.OnUpdate))
			}
			slices.Sort(out)
			return out
		}
		p := table(t, c, schema, "p")
		// The servers say RESTRICT or NO ACTION for a key without a rule; both do the same.
		children := strings.ReplaceAll(strings.Join(fk(p.Children), "; "), "NO ACTION", "RESTRICT")
		want := []string{
			"same " + schema + ".c1[x y] " + schema + ".p[a b] CASCADE/SET NULL",
			"same " + other + ".c1[x y] " + schema + ".p[a b] RESTRICT/RESTRICT",
		}
		slices.Sort(want)
		if children != strings.Join(want, "; ") || p.Parents != nil {
			t.Errorf("%s: children %s, parents %v", c.Flavor, children, p.Parents)
		}
		if got := fmt.Sprint(p.Triggers); got != "[{tr BEFORE DELETE}]" {
			t.Errorf("%s: triggers %s", c.Flavor, got)
		}
		c1 := table(t, c, schema, "c1")
		if got := fk(c1.Parents); len(got) != 1 || got[0] != "same "+schema+".c1[x y] "+schema+".p[a b] CASCADE/SET NULL" || c1.Children != nil {
			t.Errorf("%s: parents %q", c.Flavor, got)
		}
		me := table(t, c, schema, "me")
		if len(me.Parents) != 1 || len(me.Children) != 1 || me.Parents[0].OnDelete != "SET NULL" {
			t.Errorf("%s: %+v %+v", c.Flavor, me.Parents, me.Children)
		}
		run(t, c.DB, "DROP TABLE "+other+".c1")
	}
}

func TestUnknownTable(t *testing.T) {
	for _, srv := range servertest.All(t) {
		_, schema := servertest.DB(t, srv)
		c := dial(t, srv, schema)
		run(t, c.DB, "CREATE TABLE billing (id int);\nCREATE TABLE orders (id int);\nCREATE TABLE `Größe` (id int);\nCREATE VIEW v AS SELECT 1")
		for _, x := range []struct{ schema, table, want, hint string }{
			{schema, "biling", "there is no such table", "did you mean " + schema + ".billing?"},
			{schema, "BILLING", "there is no such table", schema + ".billing"},
			{schema + "x", "billing", "there is no such table", schema + ".billing"},
			{schema, "zzzzzz", "there is no such table", "no table has a name like it"},
			{schema, "v", "it is a view", "tables it reads from"},
			{schema, "'; DROP TABLE billing", "there is no such table", ""},
		} {
			_, err := c.Table(t.Context(), db.Name{Schema: x.schema, Table: x.table})
			if lull.KindOf(err) != lull.Usage || !strings.Contains(err.Error(), x.want) || !strings.Contains(lull.HintOf(err), x.hint) {
				t.Errorf("%s %s: %v; hint %s", c.Flavor, x.table, err, lull.HintOf(err))
			}
		}
		names, err := c.Tables(t.Context(), schema)
		if got := fmt.Sprint(names); err != nil || got != fmt.Sprintf("[%[1]s.Größe %[1]s.billing %[1]s.orders]", schema) {
			t.Errorf("%s: %s, %v", c.Flavor, got, err)
		}
		if got := table(t, c, schema, "Größe").Table; got != "Größe" {
			t.Errorf("%s: %q", c.Flavor, got)
		}
	}
}

func TestLowerCaseNames(t *testing.T) {
	c := dial(t, servertest.MariaDB(t, "--lower-case-table-names=1"), "")
	run(t, c.DB, "CREATE DATABASE Upper;\nCREATE TABLE Upper.Orders (id int)")
	if tab := table(t, c, "UPPER", "ORDERS"); tab.Table != "orders" || len(tab.Columns) != 1 {
		t.Errorf("%+v", tab)
	}
}

// TestHiddenPeriod pins what Table's documentation says of system versioning.
func TestHiddenPeriod(t *testing.T) {
	_, schema := servertest.DB(t, servertest.MariaDB(t))
	c := dial(t, servertest.MariaDB(t), schema)
	run(t, c.DB, "CREATE TABLE h (id int) WITH SYSTEM VERSIONING;\nCREATE TABLE s (id int, a timestamp(6) GENERATED ALWAYS AS ROW START, b timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (a, b)) WITH SYSTEM VERSIONING")
	if n := len(table(t, c, schema, "h").Columns); n != 1 {
		t.Errorf("%d columns", n)
	}
	var got []string
	for _, col := range table(t, c, schema, "s").Columns {
		got = append(got, line(col))
	}
	if !slices.Equal(got, []string{"id int null", "a timestamp generated scale 6", "b timestamp generated scale 6"}) {
		t.Errorf("%q", got)
	}
}

func TestSeesTriggers(t *testing.T) {
	srv := servertest.MariaDB(t)
	root, schema := servertest.DB(t, srv)
	run(t, root, "CREATE TABLE x (id int);\nCREATE TRIGGER tr BEFORE DELETE ON x FOR EACH ROW SET @x = 1")
	name := db.Name{Schema: schema, Table: "x"}
	for i, grants := range [][]string{{"SELECT ON *.*"}, {"SELECT ON *.*", "TRIGGER ON " + schema + ".x"}} {
		c := dialURL(t, user(t, srv, root, schema, fmt.Sprint("tr", i), "IDENTIFIED BY 'pw'", grants...))
		sees, err := c.SeesTriggers(t.Context(), name)
		if n := len(table(t, c, schema, "x").Triggers); err != nil || sees != (i == 1) || n != i {
			t.Errorf("%s: sees %v, %d triggers, %v", grants, sees, n, err)
		}
	}
}
