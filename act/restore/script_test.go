package restore

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db"
)

func TestScript(t *testing.T) {
	was, to := db.Name{Schema: "shop", Table: "t"}, db.Name{Schema: "s", Table: "w"}
	for _, c := range []struct {
		sql, own, side string // the second statement of a script; "" when nothing is left
	}{
		{"ALTER TABLE t ADD a int", "ALTER TABLE `s`.`w` ADD a int", "ALTER TABLE `s`.`w` ADD a int"},
		{"alter ignore table shop . `t` drop a, drop foreign key f;", "alter ignore table `s`.`w` drop a, drop foreign key f", "alter ignore table `s`.`w` drop a"},
		{"ALTER TABLE t RENAME u", "", ""},
		{"ALTER TABLE t RENAME COLUMN a TO b, RENAME TO u", "ALTER TABLE `s`.`w` RENAME COLUMN a TO b", "ALTER TABLE `s`.`w` RENAME COLUMN a TO b"},
		{"ALTER TABLE t RENAME KEY a TO b, ADD CONSTRAINT c CHECK (a > (1)) /*!80016 NOT ENFORCED */", "ALTER TABLE `s`.`w` RENAME KEY a TO b, ADD CONSTRAINT c CHECK (a > (1)) /*!80016 NOT ENFORCED */", "ALTER TABLE `s`.`w` RENAME KEY a TO b, ADD CHECK (a > (1)) /*!80016 NOT ENFORCED */"},
		{"ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES x (a, b) ON DELETE CASCADE", "ALTER TABLE `s`.`w` ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES x (a, b) ON DELETE CASCADE", ""},
		{"CREATE UNIQUE INDEX i USING BTREE ON t (a)", "CREATE UNIQUE INDEX i USING BTREE ON `s`.`w` (a)", "CREATE UNIQUE INDEX i USING BTREE ON `s`.`w` (a)"},
		{"RENAME TABLE a TO b", "", ""},
	} {
		for own, want := range map[bool]string{true: c.own, false: c.side} {
			got, err := makeScript([]string{"CREATE TABLE `t` (\n  `a` int\n)", c.sql}, was, to, own)
			if err != nil {
				t.Errorf("%s: %v", c.sql, err)
				continue
			}
			if text := strings.Join(got.statements[1:], ";"); strings.TrimSpace(text) != want {
				t.Errorf("%s (own %v)\nis   %s\nwant %s", c.sql, own, text, want)
			}
		}
	}
	for _, bad := range [][]string{nil, {""}, {"ALTER TABLE t ADD a int"}, {"CREATE TABLE"}, {"CREATE TABLE t (a int"}, {"CREATE TABLE t (a int)", "DELETE FROM t"}, {"CREATE TABLE t (a int)", "DROP TABLE t"}} {
		if _, err := makeScript(bad, was, to, false); !errors.Is(err, errScript) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestScriptOfCreate(t *testing.T) {
	const create = "CREATE TABLE `t` (\n  `a` int DEFAULT ')',\n  `p` int /*!80023 INVISIBLE */,\n  KEY `p` (`p`) /*!80000 INVISIBLE */,\n" +
		"  CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES `x` (`a`, `b`),\n  CONSTRAINT `c` CHECK (`a` in (1,2))\n) ENGINE=InnoDB COMMENT='FOREIGN KEY, ('\n/*!50100 PARTITION BY RANGE (a)\n(PARTITION p0 VALUES LESS THAN (1)) */"
	const side = "CREATE TABLE `w` (\n  `a` int DEFAULT ')',\n  `p` int /*!80023 INVISIBLE */,\n  KEY `p` (`p`) /*!80000 INVISIBLE */,\n" +
		"  CHECK (`a` in (1,2))\n) ENGINE=InnoDB COMMENT='FOREIGN KEY, ('\n/*!50100 PARTITION BY RANGE (a)\n(PARTITION p0 VALUES LESS THAN (1)) */"
	got, err := makeScript([]string{create}, db.Name{Schema: "s", Table: "t"}, db.Name{Table: "w"}, false)
	if err != nil || got.statements[0] != side || len(got.warnings) != 1 {
		t.Errorf("%v %q\n%s\nwant\n%s", err, got.warnings, got.statements[0], side)
	}
	got, err = makeScript([]string{create}, db.Name{Schema: "s", Table: "t"}, db.Name{Table: "w"}, true)
	if err != nil || got.statements[0] != strings.Replace(create, "`t`", "`w`", 1) || got.warnings != nil {
		t.Errorf("%v %+v", err, got)
	}
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{"ALTER TABLE t RENAME u", "CREATE TABLE t (a int, CONSTRAINT x CHECK (a), FOREIGN KEY (a) REFERENCES b (c)) /*!1 x */", "ALTER TABLE t ADD CONSTRAINT", "CREATE INDEX i ON", "DROP INDEX", "ALTER TABLE t DROP CONSTRAINT IF EXISTS", "CREATE TABLE t (,)", "ALTER TABLE a. ,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, own := range []bool{true, false} {
			for _, script := range [][]string{{sql}, {"CREATE TABLE t (a int)", sql}} {
				s, err := makeScript(script, db.Name{Schema: "s", Table: "t"}, db.Name{Schema: "s", Table: "w"}, own)
				if err != nil {
					continue
				}
				for _, stmt := range s.statements {
					if !strings.Contains(stmt, "`s`.`w`") {
						t.Errorf("%q became %q", sql, stmt)
					}
				}
			}
		}
		keyItems(sql)
		_, _ = disabled(sql)
	})
}

func TestDisabled(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1"},
		{"CREATE EVENT `do` ON SCHEDULE AT (now()) ON COMPLETION NOT PRESERVE ENABLE COMMENT 'x' DO BEGIN END", "CREATE EVENT `do` ON SCHEDULE AT (now()) ON COMPLETION NOT PRESERVE DISABLE COMMENT 'x' DO BEGIN END"},
		{"CREATE EVENT e ON SCHEDULE EVERY 1 DAY COMMENT 'ENABLE' DO SELECT 1", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'ENABLE' DO SELECT 1"},
		{"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SELECT 1", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE ON SLAVE DO SELECT 1"},
		{"CREATE EVENT e", ""},
	} {
		if got, err := disabled(c.sql); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s, %v", c.sql, got, err)
		}
	}
}

func TestEscaped(t *testing.T) {
	for in, want := range map[string]string{"": "", "plain": "plain", "a\tb\nc\\d\x00\r'\"\x1a": `a\tb\nc\\d\0` + "\r'\"\x1a"} {
		if got := appendEscaped([]byte("x"), []byte(in)); !bytes.Equal(got, []byte("x"+want)) {
			t.Errorf("%q is %q", in, got)
		}
	}
}
