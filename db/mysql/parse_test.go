package mysql

import (
	"reflect"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"10.11.19-MariaDB-0+deb12u1-log": "mariadb 10.11.19", "5.5.5-10.6.12-MariaDB": "mariadb 10.6.12",
		"9.7.4": "mysql 9.7.4", "8.0.36-28.1": "mysql 8.0.36", "5.6.24-log": "mysql 5.6.24", "8.0": "mysql 8.0.0", "": "mysql 0.0.0",
	} {
		f, v := ParseVersion(in)
		if got := string(f) + " " + v.String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	v := Version{8, 0, 30}
	if !v.AtLeast(8, 0, 30) || !v.AtLeast(5, 7, 99) || v.AtLeast(8, 0, 31) || v.AtLeast(8, 2, 0) || v.AtLeast(10, 0, 0) {
		t.Error("AtLeast compares wrongly")
	}
}

func TestParseElements(t *testing.T) {
	for in, want := range map[string][]string{
		"enum('a')":                  {"a"},
		"set('a','b,c)','it''s','')": {"a", "b,c)", "it's", ""},
		`enum('a\\b','\n\r\0','\'')`: {`a\b`, "\n\r\x00", "'"},
		"enum('größe') CHARSET x":    {"größe"},
	} {
		if got, err := parseElements(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "enum", "enum(", "enum('", "enum('a'", "enum('a',", "enum('a''", "enum('a'b)", `enum('a\`, "enum()"} {
		if got, err := parseElements(in); err == nil {
			t.Errorf("%s: %q without an error", in, got)
		}
	}
}

func FuzzParseElements(f *testing.F) {
	for _, s := range []string{"enum('a','b''c')", `set('\\','\0')`, "enum('", "x("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseElements(s); err == nil && len(got) == 0 {
			t.Fatal("no member and no error")
		}
	})
}

func TestGrants(t *testing.T) {
	const shop = "shop_eu"
	for _, c := range []struct {
		lines, privilege, schema, table string
		want                            bool
	}{
		{"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", "DELETE", shop, "", true},
		{"GRANT USAGE ON *.* TO `u`@`%`", "SELECT", shop, "", false},
		{"GRANT SELECT, REPLICATION SLAVE ON *.* TO `u`@`%`", "REPLICATION SLAVE", "", "", true},
		{"GRANT SELECT, REPLICATION SLAVE ADMIN ON *.* TO `u`@`%`", "REPLICATION SLAVE", "", "", false},
		{"GRANT SELECT ON `shop\\_%`.* TO 'u'@'%'", "SELECT", shop, "", true},
		{"GRANT SELECT ON `shop\\_%`.* TO 'u'@'%'", "SELECT", "shopXeu", "", false},
		{"GRANT SELECT ON `shop_%`.* TO 'u'@'%'", "SELECT", "shopXeu", "", true},
		{"GRANT SELECT ON `%eu`.* TO 'u'@'%'", "SELECT", shop, "orders", true},
		{"GRANT SELECT ON `shop_eu`.`orders` TO `u`@`%`", "SELECT", shop, "", false},
		{"GRANT SELECT ON `shop_eu`.`orders` TO `u`@`%`", "SELECT", shop, "orders", true},
		{"GRANT SELECT ON `shop_eu`.`ord``ers` TO `u`@`%`", "SELECT", shop, "ord`ers", true},
		{"GRANT SELECT (`a, ON `, b), INSERT ON `shop_eu`.* TO `u`@`%`", "SELECT", shop, "", false},
		{"GRANT SELECT (`a, ON `, b), INSERT ON `shop_eu`.* TO `u`@`%`", "INSERT", shop, "", true},
		{"GRANT SELECT ON *.* TO `u`@`%`\nREVOKE SELECT ON `shop_eu`.* FROM `u`@`%`", "SELECT", shop, "", false},
		{"GRANT SELECT ON *.* TO `u`@`%`\nREVOKE SELECT ON `other`.* FROM `u`@`%`", "SELECT", shop, "", true},
		{"GRANT `SELECT`@`%` TO `u`@`%`", "SELECT", shop, "", false},
		{"GRANT PROXY ON ''@'%' TO 'root'@'localhost'", "SELECT", shop, "", false},
		{"GRANT EXECUTE ON PROCEDURE `shop_eu`.`p` TO `u`@`%`", "EXECUTE", shop, "", false},
	} {
		var gs grants
		for line := range strings.SplitSeq(c.lines, "\n") {
			if g, ok := parseGrant(line); ok {
				gs = append(gs, g)
			}
		}
		if got := gs.has(c.privilege, db.Name{Schema: c.schema, Table: c.table}); got != c.want {
			t.Errorf("%s: %s on %s.%s is %v", c.lines, c.privilege, c.schema, c.table, got)
		}
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"%", "", true},
		{"", "", true},
		{"", "a", false},
		{"a%c%e", "abcde", true},
		{"a%c%e", "abcdef", false},
		{"%%b", "aab", true},
		{`a\%`, "a%", true},
		{`a\%`, "ab", false},
		{"_", "", false},
		{`\`, "a", false},
		{"%ab", "aab", true},
	} {
		if like(c.pattern, c.s) != c.want {
			t.Errorf("%q LIKE %q is not %v", c.s, c.pattern, c.want)
		}
	}
}

func FuzzParseGrant(f *testing.F) {
	f.Add("GRANT SELECT (`a`), INSERT ON `shop\\_%`.* TO `u`@`%`")
	f.Add("REVOKE SELECT ON `")
	f.Fuzz(func(_ *testing.T, s string) {
		if g, ok := parseGrant(s); ok {
			grants{g}.has("SELECT", db.Name{Schema: s, Table: "t"})
		}
	})
}

func TestClosest(t *testing.T) {
	var tables []db.Name
	for _, n := range []string{"billing", "billings_old", "orders", "order_lines", "users", "x"} {
		tables = append(tables, db.Name{Schema: "shop", Table: n})
	}
	for in, want := range map[string]string{
		"biling": "shop.billing", "order": "shop.orders shop.order_lines", "Usres": "shop.users", "quite_different": "", "billing": "shop.billing shop.billings_old",
	} {
		if got := strings.Join(closest(db.Name{Schema: "shop", Table: in}, tables), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestIsGeneratedAndUnsigned(t *testing.T) {
	for extra, want := range map[string]bool{
		"": false, "DEFAULT_GENERATED": false, "DEFAULT_GENERATED ON UPDATE CURRENT_TIMESTAMP": false, "VIRTUAL GENERATED": true,
		"STORED GENERATED INVISIBLE": true, "VIRTUAL": true, "PERSISTENT": true, "AUTO_INCREMENT": false,
	} {
		if isGenerated(extra) != want {
			t.Errorf("%s: not %v", extra, want)
		}
	}
	for _, c := range []struct {
		dataType, columnType string
		want                 bool
	}{
		{"int", "int unsigned", true},
		{"bigint", "bigint(20) unsigned zerofill", true},
		{"int", "int(11)", false},
		{"decimal", "decimal(10,2) unsigned", true},
		{"enum", "enum(') unsigned')", false},
		{"double", "double unsigned", true},
	} {
		if isUnsigned(db.Column{DataType: c.dataType, ColumnType: c.columnType}) != c.want {
			t.Errorf("%s: not %v", c.columnType, c.want)
		}
	}
}
