package ddl

import "github.com/lull-ops/lull/db"

// OpKind says what one item of an ALTER TABLE does.
type OpKind uint8

// The kinds of items.
const (
	OtherOp        OpKind = iota // does not change the columns: keys, options, partitions
	AddColumn                    // Column, at First, After or the end
	DropColumn                   // Old
	RenameColumn                 // Old becomes New
	ChangeColumn                 // CHANGE: Old becomes Column
	ModifyColumn                 // MODIFY: Old (which is Column.Name) gets a new type
	RenameTable                  // To
	ConvertCharset               // CONVERT TO: text columns get Column's Charset and Collation
	AddVersioning                // MariaDB: hidden row_start and row_end unless the ALTER adds its own
	DropVersioning               // MariaDB: the hidden columns go
)

// AlterOp is one item of an ALTER TABLE, in the order of the statement.
type AlterOp struct {
	Kind   OpKind
	Old    string    // the column as it was called before
	New    string    // the column as it is called afterwards
	Column db.Column // its new definition; Charset "" when it is the table's default
	First  bool
	After  string // name of the column it goes behind; "" for no change of place
	// Default is the expression after DEFAULT of the column's new definition, nil for none.
	Default []Token
	// IfExists is IF EXISTS or IF NOT EXISTS: the op may have done nothing.
	IfExists bool
	From, To db.Name // of RenameTable

	key     *keyDef
	dropKey string // name of a key that goes; "PRIMARY" for the primary key
	def     *columnDef
}

// ChangesColumns says that rows logged before and after the op may have different columns.
func (op AlterOp) ChangesColumns() bool {
	return op.Kind != OtherOp && op.Kind != RenameTable
}

// ParseAlter reads an ALTER TABLE, CREATE INDEX or DROP INDEX. Names without a schema belong
// to defaultSchema. A statement of another sort, or a column definition it cannot read, is an
// error that names the line and what was expected.
func ParseAlter(sql, defaultSchema string) (db.Name, []AlterOp, error) {
	c := statement(sql)
	c.prologue()
	return c.parseAlter(defaultSchema)
}

func (c *cursor) parseAlter(schema string) (db.Name, []AlterOp, error) {
	if c.peek().isOneOf("CREATE", "DROP") {
		return c.alterByIndex(schema)
	}
	if !c.any("ALTER") {
		return db.Name{}, nil, c.expected("ALTER TABLE")
	}
	name, _, ok := c.alterHead(schema)
	if !ok {
		return db.Name{}, nil, c.expected("TABLE and a table name")
	}
	var ops []AlterOp
	for !c.done() {
		more, err := c.alterOps(name)
		if err != nil {
			return name, nil, err
		}
		ops = append(ops, more...)
		c.skipItem()
		if !c.done() && !c.op(",") {
			return name, nil, c.expected(`"," or the end of the statement`)
		}
	}
	return name, ops, nil
}

// alterOps takes one item, which may add several columns.
func (c *cursor) alterOps(table db.Name) ([]AlterOp, error) {
	switch {
	case c.any("ADD"):
		return c.alterAdd(table.Schema)
	case c.any("DROP"):
		return c.alterDrop()
	case c.any("CHANGE"):
		c.any("COLUMN")
		ifExists := c.words("IF", "EXISTS")
		old, ok := c.name()
		if !ok {
			return nil, c.expected("a column name")
		}
		return c.alterColumn(AlterOp{Kind: ChangeColumn, Old: old, IfExists: ifExists}, table.Schema)
	case c.any("MODIFY"):
		c.any("COLUMN")
		return c.alterColumn(AlterOp{Kind: ModifyColumn, IfExists: c.words("IF", "EXISTS")}, table.Schema)
	case c.words("RENAME", "COLUMN"):
		return c.alterRenameColumn()
	case c.renameTo():
		to, ok := c.table(table.Schema)
		if !ok {
			return nil, c.expected("a table name")
		}
		return []AlterOp{{Kind: RenameTable, From: table, To: to}}, nil
	case c.words("CONVERT", "TO"):
		return c.alterConvert(), nil
	}
	c.alterOther()
	return []AlterOp{{Kind: OtherOp}}, nil
}

// alterOther moves over items whose commas do not separate items.
func (c *cursor) alterOther() {
	if c.words("ORDER", "BY") {
		c.i = len(c.toks)
		return
	}
	partitions := c.peekAt(1).isWord("PARTITION")
	if partitions && c.any("TRUNCATE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR", "REORGANIZE",
		"DISCARD", "IMPORT", "COALESCE", "EXCHANGE", "CONVERT") {
		c.i = len(c.toks)
	}
}

// alterColumn takes the column definition of ADD, CHANGE and MODIFY.
func (c *cursor) alterColumn(op AlterOp, schema string) ([]AlterOp, error) {
	d, err := c.column(schema)
	if err != nil {
		return nil, err
	}
	if op.Kind == ModifyColumn {
		op.Old = d.col.Name
	}
	op.def, op.Column, op.New, op.First, op.After = d, d.col, d.col.Name, d.first, d.after
	op.Default = d.def
	ops := []AlterOp{op}
	for _, k := range d.keys() {
		ops = append(ops, AlterOp{Kind: OtherOp, key: k})
	}
	return ops, nil
}

func (c *cursor) alterRenameColumn() ([]AlterOp, error) {
	ifExists := c.words("IF", "EXISTS")
	old, ok := c.name()
	if !ok || !c.any("TO") {
		return nil, c.expected("RENAME COLUMN old TO new")
	}
	name, ok := c.name()
	if !ok {
		return nil, c.expected("a column name")
	}
	return []AlterOp{{Kind: RenameColumn, Old: old, New: name, IfExists: ifExists}}, nil
}

func (c *cursor) alterConvert() []AlterOp {
	op := AlterOp{Kind: ConvertCharset}
	var charset, collate string
	if c.charsetWord() {
		charset, _ = c.option()
	}
	if c.any("COLLATE") {
		collate, _ = c.option()
	}
	op.Column.Charset, op.Column.Collation = collationOf(charset, collate)
	return []AlterOp{op}
}

func (c *cursor) alterDrop() ([]AlterOp, error) {
	op := AlterOp{Kind: OtherOp}
	switch {
	case c.any("PARTITION"):
		c.i = len(c.toks)
	case c.words("SYSTEM", "VERSIONING"):
		op.Kind = DropVersioning
	case c.words("PRIMARY", "KEY"):
		op.dropKey = "PRIMARY"
	case c.any("INDEX", "KEY", "CONSTRAINT"):
		c.words("IF", "EXISTS")
		op.dropKey, _ = c.name()
	case c.words("FOREIGN", "KEY"), c.words("PERIOD", "FOR"), c.any("CHECK"):
	default:
		c.any("COLUMN")
		op.Kind, op.IfExists = DropColumn, c.words("IF", "EXISTS")
		name, ok := c.name()
		if !ok {
			return nil, c.expected("a column name")
		}
		op.Old = name
	}
	return []AlterOp{op}, nil
}

func (c *cursor) alterAdd(schema string) ([]AlterOp, error) {
	if c.words("SYSTEM", "VERSIONING") {
		return []AlterOp{{Kind: AddVersioning}}, nil
	}
	if c.any("PARTITION") {
		c.i = len(c.toks)
		return []AlterOp{{Kind: OtherOp}}, nil
	}
	if k, ok, err := c.tableKey(schema); ok || err != nil {
		return []AlterOp{{Kind: OtherOp, key: k}}, err
	}
	c.any("COLUMN")
	op := AlterOp{Kind: AddColumn, IfExists: c.words("IF", "NOT", "EXISTS")}
	if !c.op("(") {
		return c.alterColumn(op, schema)
	}
	var ops []AlterOp
	for {
		more, err := c.alterAddItem(op, schema)
		if err != nil {
			return nil, err
		}
		ops = append(ops, more...)
		if c.op(")") {
			return ops, nil
		}
		if !c.op(",") {
			return nil, c.expected(`"," or ")"`)
		}
	}
}

// alterAddItem takes one item of ADD (a int, KEY (a)).
func (c *cursor) alterAddItem(op AlterOp, schema string) ([]AlterOp, error) {
	if k, ok, err := c.tableKey(schema); ok || err != nil {
		return []AlterOp{{Kind: OtherOp, key: k}}, err
	}
	return c.alterColumn(op, schema)
}

// alterByIndex reads CREATE [UNIQUE] INDEX i ON t (a) and DROP INDEX i ON t.
func (c *cursor) alterByIndex(schema string) (db.Name, []AlterOp, error) {
	create := c.any("CREATE")
	if create {
		c.words("OR", "REPLACE")
	} else {
		c.any("DROP")
	}
	c.any("ONLINE", "OFFLINE")
	unique := c.any("UNIQUE")
	c.any("FULLTEXT", "SPATIAL", "VECTOR")
	if !c.any("INDEX") {
		return db.Name{}, nil, c.expected("ALTER TABLE")
	}
	c.words("IF", "NOT", "EXISTS")
	c.words("IF", "EXISTS")
	key := keyDef{unique: unique}
	key.name, _ = c.name()
	for !c.done() && !c.any("ON") {
		c.i++
	}
	name, ok := c.table(schema)
	if !ok {
		return name, nil, c.expected("a table name")
	}
	if !create {
		return name, []AlterOp{{Kind: OtherOp, dropKey: key.name}}, nil
	}
	c.wait()
	if err := c.keyParts(&key); err != nil {
		return name, nil, err
	}
	return name, []AlterOp{{Kind: OtherOp, key: &key}}, nil
}

// DropsColumn is the names of the columns that an ALTER TABLE drops; nil for none and for any
// other statement.
func DropsColumn(sql string) []string {
	_, ops, err := ParseAlter(sql, "")
	if err != nil {
		return nil
	}
	var out []string
	for _, op := range ops {
		if op.Kind == DropColumn {
			out = append(out, op.Old)
		}
	}
	return out
}
