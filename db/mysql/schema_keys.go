package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strings"

	"github.com/lull-ops/lull/db"
)

// readKeys reads the primary and the unique keys, the primary first.
func (c *Conn) readKeys(ctx context.Context, t *db.Table) error {
	at := map[string]int{}
	err := c.each(ctx, `SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NULLABLE FROM information_schema.STATISTICS
		WHERE `+c.whereTable("TABLE", t.Name)+" AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX", func(row []sql.NullString) {
		if !c.sameName(row[0].String, t.Table) {
			return
		}
		name := row[1].String
		i, ok := at[name]
		if !ok {
			i = len(t.Keys)
			at[name] = i
			t.Keys = append(t.Keys, db.Key{Name: name, Primary: name == "PRIMARY", NotNull: true})
		}
		addPart(t, &t.Keys[i], row[2], row[3], row[4].String == "YES")
	})
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	sort.SliceStable(t.Keys, func(i, j int) bool { return t.Keys[i].Primary && !t.Keys[j].Primary })
	return nil
}

// addPart adds a column to a key. A part without a column is an expression, or a column
// that is not among the table's.
func addPart(t *db.Table, k *db.Key, column, subPart sql.NullString, nullable bool) {
	k.NotNull = k.NotNull && !nullable
	k.Prefix = k.Prefix || subPart.Valid
	i := -1
	if column.Valid {
		i = t.Index(column.String)
	}
	if i < 0 {
		k.Prefix = true
		return
	}
	k.Columns = append(k.Columns, i)
}

type rules struct{ onDelete, onUpdate string }

// readForeignKeys reads the references that t makes and those made to it. They are read in
// parts and joined here, because MariaDB and old MySQL open every table for each side of a
// join in information_schema.
func (c *Conn) readForeignKeys(ctx context.Context, t *db.Table) error {
	found := map[string]rules{}
	key := func(schema, table, name string) string { return schema + "\x00" + table + "\x00" + name }
	err := c.each(ctx, `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE
		FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE (`+c.whereTable2("CONSTRAINT_SCHEMA", "TABLE_NAME", t.Name)+") OR ("+
		c.whereTable2("UNIQUE_CONSTRAINT_SCHEMA", "REFERENCED_TABLE_NAME", t.Name)+")", func(row []sql.NullString) {
		found[key(row[0].String, row[1].String, row[2].String)] = rules{row[3].String, row[4].String}
	})
	if err != nil {
		return fmt.Errorf("foreign key rules: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	var list []db.ForeignKey
	const columns = `SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME,
		REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
		FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL AND `
	err = c.each(ctx, columns+"(("+c.whereTable("TABLE", t.Name)+") OR ("+c.whereTable2("REFERENCED_TABLE_SCHEMA", "REFERENCED_TABLE_NAME", t.Name)+
		")) ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION", func(row []sql.NullString) {
		r := found[key(row[0].String, row[3].String, row[1].String)]
		list = addReference(list, row, r)
	})
	if err != nil {
		return fmt.Errorf("foreign keys: %w", err)
	}
	for _, fk := range list {
		if c.isTable(fk.Child, t.Name) {
			t.Parents = append(t.Parents, fk)
		}
		if c.isTable(fk.Parent, t.Name) {
			t.Children = append(t.Children, fk)
		}
	}
	return nil
}

func (c *Conn) whereTable2(schemaColumn, tableColumn string, n db.Name) string {
	return c.is(schemaColumn, n.Schema) + " AND " + c.is(tableColumn, n.Table)
}

func (c *Conn) isTable(a, b db.Name) bool {
	return c.sameName(a.Schema, b.Schema) && c.sameName(a.Table, b.Table)
}

// addReference adds one column of a foreign key; rows of one key follow each other.
func addReference(list []db.ForeignKey, row []sql.NullString, r rules) []db.ForeignKey {
	child := db.Name{Schema: row[2].String, Table: row[3].String}
	name := row[1].String
	if n := len(list); n == 0 || list[n-1].Name != name || list[n-1].Child != child {
		list = append(list, db.ForeignKey{
			Name: name, Child: child, Parent: db.Name{Schema: row[5].String, Table: row[6].String},
			OnDelete: r.onDelete, OnUpdate: r.onUpdate,
		})
	}
	fk := &list[len(list)-1]
	fk.ChildColumns = append(fk.ChildColumns, row[4].String)
	fk.ParentColumns = append(fk.ParentColumns, row[7].String)
	return list
}

func (c *Conn) readTriggers(ctx context.Context, t *db.Table) error {
	err := c.each(ctx, `SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION FROM information_schema.TRIGGERS
		WHERE `+c.whereTable2("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", t.Name)+" ORDER BY TRIGGER_NAME", func(row []sql.NullString) {
		if !c.sameName(row[0].String, t.Table) {
			return
		}
		for event := range strings.SplitSeq(row[3].String, ",") {
			t.Triggers = append(t.Triggers, db.Trigger{Name: row[1].String, Timing: row[2].String, Event: strings.TrimSpace(event)})
		}
	})
	if err != nil {
		return fmt.Errorf("triggers: %w", err)
	}
	return nil
}
