package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

const maxNamed = 5

// some is a list of names for one line.
func some(names []string) string {
	if len(names) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}

// inScope is a condition on a column that holds a schema's name.
func (c *Conn) inScope(column string) string {
	if c.Schema != "" {
		return c.is(column, c.Schema)
	}
	return column + " NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
}

// names reads queries of two columns: schema and table.
func (k *checker) names(ctx context.Context, query string) ([]string, error) {
	var out []string
	err := k.each(ctx, query, func(row []sql.NullString) { out = append(out, row[0].String+"."+row[1].String) })
	if err != nil {
		return nil, k.failed(ctx, "check tables", err)
	}
	return out, nil
}

func (k *checker) tables(ctx context.Context) error {
	triggers, err := k.names(ctx, `SELECT DISTINCT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS
		WHERE `+k.inScope("EVENT_OBJECT_SCHEMA")+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	if len(triggers) > 0 {
		k.add("triggers", Warn, "", "they would fire when rows are put back into %s", some(triggers))
	}
	keyless, err := k.keyless(ctx)
	if err != nil {
		return err
	}
	if len(keyless) > 0 {
		k.add("tables without a key", Warn, "ALTER TABLE ... ADD PRIMARY KEY (...)", "equal rows cannot be told apart in %s", some(keyless))
	}
	return nil
}

// keyless lists tables without a primary key and without a unique key over columns that
// are NOT NULL and whole.
func (k *checker) keyless(ctx context.Context) ([]string, error) {
	type parts struct{ bad bool }
	good := map[string]map[string]*parts{}
	err := k.each(ctx, `SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, NULLABLE, SUB_PART, COLUMN_NAME FROM information_schema.STATISTICS
		WHERE NON_UNIQUE = 0 AND `+k.inScope("TABLE_SCHEMA"), func(row []sql.NullString) {
		table := row[0].String + "." + row[1].String
		if good[table] == nil {
			good[table] = map[string]*parts{}
		}
		p := good[table][row[2].String]
		if p == nil {
			p = &parts{}
			good[table][row[2].String] = p
		}
		p.bad = p.bad || row[3].String == "YES" || row[4].Valid || !row[5].Valid
	})
	if err != nil {
		return nil, k.failed(ctx, "check keys", err)
	}
	tables, err := k.Tables(ctx, k.Schema)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range tables {
		ok := false
		for _, p := range good[t.String()] {
			ok = ok || !p.bad
		}
		if !ok {
			out = append(out, t.String())
		}
	}
	return out, nil
}

// LogsCascades says that the server logs the rows that ON DELETE CASCADE and the like
// change: MySQL from 9.6 on, unless innodb_native_foreign_keys is on. MariaDB logs no row,
// only that the child table was touched; older MySQL logs nothing.
func (c *Conn) LogsCascades(ctx context.Context) (bool, error) {
	if c.Flavor != MySQL || !c.Version.AtLeast(9, 6, 0) {
		return false, nil
	}
	vars, err := c.variables(ctx, "innodb_native_foreign_keys")
	if err != nil {
		return false, c.failed(ctx, "check foreign keys", err)
	}
	return vars["innodb_native_foreign_keys"] != "ON", nil
}

func (k *checker) foreignKeys(ctx context.Context) error {
	var keys []string
	err := k.each(ctx, `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS
		WHERE `+k.inScope("CONSTRAINT_SCHEMA")+" ORDER BY 1, 2, 3", func(row []sql.NullString) {
		for i, verb := range []string{"DELETE", "UPDATE"} {
			if rule := row[3+i].String; rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT" {
				keys = append(keys, fmt.Sprintf("%s.%s (%s ON %s %s)", row[0].String, row[1].String, row[2].String, verb, rule))
			}
		}
	})
	if err != nil {
		return k.failed(ctx, "check foreign keys", err)
	}
	if len(keys) == 0 {
		return nil
	}
	logged, err := k.LogsCascades(ctx)
	switch {
	case err != nil:
		return err
	case logged:
		k.add("foreign keys", OK, "", "the server logs the rows that cascades change: %s", some(keys))
	case k.Flavor == MariaDB:
		k.add("foreign keys", Warn, "", "MariaDB logs which child tables a cascade touched, but not their rows: %s", some(keys))
	case k.Version.AtLeast(9, 6, 0):
		k.add("foreign keys", Warn, k.restartFix("innodb_native_foreign_keys = OFF"), "with innodb_native_foreign_keys the rows that cascades change are not logged: %s", some(keys))
	default:
		k.add("foreign keys", Warn, "MySQL 9.6 or newer logs them", "MySQL %s does not log the rows that cascades change: %s", k.Version, some(keys))
	}
	return nil
}
