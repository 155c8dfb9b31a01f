package ddl

import "github.com/lull-ops/lull/db"

// Verb says what a statement does.
type Verb uint8

// The verbs.
const (
	Other           Verb = iota // anything that is not below: SELECT, SET, GRANT, views, routines, ...
	Create                      // CREATE TABLE
	CreateOrReplace             // CREATE OR REPLACE TABLE: the rows of an old one are gone
	Alter                       // ALTER TABLE, CREATE INDEX, DROP INDEX
	Drop                        // DROP TABLE
	Rename                      // RENAME TABLE
	Truncate                    // TRUNCATE TABLE
	CreateDatabase
	DropDatabase
	DropPartition     // ALTER TABLE ... DROP PARTITION: rows are gone
	TruncatePartition // ALTER TABLE ... TRUNCATE PARTITION: rows are gone
	ExchangePartition // rows of Tables[0] and Tables[1] change places
	ConvertPartition  // MariaDB CONVERT PARTITION: rows move from Tables[0] to Tables[1]
	Begin             // BEGIN, START TRANSACTION
	Commit
	Rollback // of the whole transaction
	Savepoint
	RollbackTo // ROLLBACK TO SAVEPOINT: the transaction goes on
	ReleaseSavepoint
	XAStart // XA START or BEGIN
	XAEnd
	XAPrepare
	XACommit
	XARollback
	Insert
	Update
	Delete
	Replace
	Load // LOAD DATA, LOAD XML
)

var verbNames = [...]string{
	"other", "create", "create or replace", "alter", "drop", "rename", "truncate", "create database",
	"drop database", "drop partition", "truncate partition", "exchange partition", "convert partition",
	"begin", "commit", "rollback", "savepoint", "rollback to savepoint", "release savepoint",
	"xa start", "xa end", "xa prepare", "xa commit", "xa rollback", "insert", "update", "delete", "replace", "load",
}

// String is the verb in lower-case words: "drop partition".
func (v Verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return "unknown"
}

// Renaming is one table that gets another name.
type Renaming struct{ From, To db.Name }

// Statement is what Classify found out.
type Statement struct {
	Verb Verb
	// Tables are the tables the statement changes, as written, with the default schema filled
	// in: those of a DROP list, the old names of a RENAME, the targets of DML. A multi-table
	// UPDATE names every table it reads.
	Tables      []db.Name
	Renames     []Renaming // of RENAME TABLE, and of ALTER TABLE ... RENAME TO
	Database    string     // of CREATE DATABASE and DROP DATABASE
	Partitions  []string   // of the partition verbs; nil stands for ALL
	Temporary   bool       // CREATE or DROP TEMPORARY TABLE
	IfExists    bool
	IfNotExists bool
	Like        db.Name // the model of CREATE TABLE ... LIKE
	Select      bool    // CREATE TABLE ... SELECT, INSERT ... SELECT
}

// Classify tells what the first statement in sql does and to which tables. Names without a
// schema belong to defaultSchema. A statement it cannot read has the verb Other.
func Classify(sql, defaultSchema string) Statement {
	c := statement(sql)
	c.prologue()
	s := Statement{}
	if !c.classify(&s, defaultSchema) {
		return Statement{}
	}
	return s
}

// prologue skips what may stand before the verb: SET STATEMENT ... FOR, WITH and brackets.
func (c *cursor) prologue() {
	if c.words("SET", "STATEMENT") {
		for !c.done() && !c.any("FOR") {
			c.i++
		}
	}
	if !c.any("WITH") {
		return
	}
	for !c.done() && !c.peek().isOneOf("DELETE", "UPDATE", "INSERT", "REPLACE", "SELECT", "TABLE", "VALUES") {
		if !c.group() {
			c.i++
		}
	}
}

func (c *cursor) classify(s *Statement, schema string) bool {
	t := c.peek()
	c.i++
	switch {
	case t.isWord("CREATE"):
		return c.create(s, schema)
	case t.isWord("ALTER"):
		return c.alter(s, schema)
	case t.isWord("DROP"):
		return c.drop(s, schema)
	case t.isWord("RENAME"):
		return c.rename(s, schema)
	case t.isWord("TRUNCATE"):
		c.any("TABLE")
		s.Verb = Truncate
		return c.target(s, schema)
	case t.isOneOf("DELETE", "UPDATE", "INSERT", "REPLACE", "LOAD"):
		c.i--
		return c.dml(s, schema)
	}
	c.i--
	return c.transaction(s)
}

// target takes one table's name into the statement.
func (c *cursor) target(s *Statement, schema string) bool {
	n, ok := c.table(schema)
	s.Tables = append(s.Tables, n)
	return ok
}

func (c *cursor) transaction(s *Statement) bool {
	switch {
	case c.words("BEGIN", "NOT"):
		return false
	case c.any("BEGIN"), c.words("START", "TRANSACTION"):
		s.Verb = Begin
	case c.any("COMMIT"):
		s.Verb = Commit
	case c.any("SAVEPOINT"):
		s.Verb = Savepoint
	case c.words("RELEASE", "SAVEPOINT"):
		s.Verb = ReleaseSavepoint
	case c.any("ROLLBACK"):
		s.Verb = Rollback
		c.any("WORK")
		if c.any("TO") {
			s.Verb = RollbackTo
		}
	case c.any("XA"):
		return c.xa(s)
	default:
		return false
	}
	return true
}

func (c *cursor) xa(s *Statement) bool {
	switch {
	case c.any("START", "BEGIN"):
		s.Verb = XAStart
	case c.any("END"):
		s.Verb = XAEnd
	case c.any("PREPARE"):
		s.Verb = XAPrepare
	case c.any("COMMIT"):
		s.Verb = XACommit
	case c.any("ROLLBACK"):
		s.Verb = XARollback
	default:
		return false
	}
	return true
}

func (c *cursor) create(s *Statement, schema string) bool {
	s.Verb = Create
	if c.words("OR", "REPLACE") {
		s.Verb = CreateOrReplace
	}
	if c.any("DATABASE", "SCHEMA") {
		s.Verb = CreateDatabase
		s.IfNotExists = c.words("IF", "NOT", "EXISTS")
		return c.database(s)
	}
	if c.index(s, schema) {
		return true
	}
	s.Temporary = c.any("TEMPORARY")
	if !c.any("TABLE") {
		return false
	}
	s.IfNotExists = c.words("IF", "NOT", "EXISTS")
	if !c.target(s, schema) {
		return false
	}
	c.createdFrom(s, schema)
	return true
}

func (c *cursor) database(s *Statement) bool {
	name, ok := c.name()
	s.Database = name
	return ok
}

// index takes [ONLINE] [UNIQUE|FULLTEXT|SPATIAL|VECTOR] INDEX name [USING x] ON table.
func (c *cursor) index(s *Statement, schema string) bool {
	c.any("ONLINE", "OFFLINE")
	c.any("UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR")
	if !c.any("INDEX") {
		return false
	}
	s.Verb = Alter
	for !c.done() && !c.any("ON") {
		c.i++
	}
	return c.target(s, schema)
}

// createdFrom finds LIKE and SELECT behind the name of a new table.
func (c *cursor) createdFrom(s *Statement, schema string) {
	mark := c.i
	if c.op("(") && !c.any("LIKE") {
		c.i = mark
	}
	if c.i > mark || c.any("LIKE") {
		s.Like, _ = c.table(schema)
		return
	}
	for !c.done() {
		if c.peek().isOp("(") && c.peekAt(1).isOneOf("SELECT", "WITH") {
			s.Select = true
		}
		if c.any("SELECT", "WITH") && !c.peek().isOneOf("SYSTEM", "PARSER") {
			s.Select = true
			return
		}
		if !c.group() {
			c.i++
		}
	}
}

func (c *cursor) drop(s *Statement, schema string) bool {
	if c.any("DATABASE", "SCHEMA") {
		s.Verb = DropDatabase
		s.IfExists = c.words("IF", "EXISTS")
		return c.database(s)
	}
	if c.index(s, schema) {
		return true
	}
	s.Verb = Drop
	s.Temporary = c.any("TEMPORARY")
	if !c.any("TABLE", "TABLES") {
		return false
	}
	s.IfExists = c.words("IF", "EXISTS")
	for {
		if !c.target(s, schema) {
			return false
		}
		if !c.op(",") {
			return true
		}
	}
}

func (c *cursor) rename(s *Statement, schema string) bool {
	if !c.any("TABLE", "TABLES") {
		return false
	}
	s.Verb = Rename
	s.IfExists = c.words("IF", "EXISTS")
	for {
		from, ok := c.table(schema)
		c.wait()
		to, found := db.Name{}, false
		if c.any("TO") {
			to, found = c.table(schema)
		}
		if !ok || !found {
			return false
		}
		s.Tables = append(s.Tables, from)
		s.Renames = append(s.Renames, Renaming{from, to})
		if !c.op(",") {
			return true
		}
	}
}

// wait skips MariaDB's WAIT n and NOWAIT.
func (c *cursor) wait() {
	if c.peek().isWord("WAIT") && c.peekAt(1).Kind == Number {
		c.i += 2
		return
	}
	c.any("NOWAIT")
}

// alterHead takes the words up to the table's name, for ALTER [ONLINE] [IGNORE] TABLE.
func (c *cursor) alterHead(schema string) (name db.Name, ifExists, ok bool) {
	for c.any("ONLINE", "OFFLINE", "IGNORE") {
	}
	if !c.any("TABLE") {
		return db.Name{}, false, false
	}
	ifExists = c.words("IF", "EXISTS")
	name, ok = c.table(schema)
	c.wait()
	return name, ifExists, ok
}

func (c *cursor) alter(s *Statement, schema string) bool {
	name, ifExists, ok := c.alterHead(schema)
	if !ok {
		return false
	}
	s.Verb, s.IfExists, s.Tables = Alter, ifExists, []db.Name{name}
	for !c.done() {
		c.alterItem(s, schema)
		c.skipItem()
		if !c.op(",") {
			c.i++
		}
	}
	return true
}

// alterItem looks at one item of an ALTER for what is more than a change of columns.
func (c *cursor) alterItem(s *Statement, schema string) {
	switch {
	case c.words("DROP", "PARTITION"):
		s.Verb = DropPartition
		s.IfExists = c.words("IF", "EXISTS") || s.IfExists
		c.partitions(s)
	case c.words("TRUNCATE", "PARTITION"):
		s.Verb = TruncatePartition
		c.partitions(s)
	case c.words("EXCHANGE", "PARTITION"):
		s.Verb = ExchangePartition
		c.partitionTable(s, schema, "WITH")
	case c.words("CONVERT", "PARTITION"):
		s.Verb = ConvertPartition
		c.partitionTable(s, schema, "TO")
	case c.renameTo():
		if to, ok := c.table(schema); ok {
			s.Renames = append(s.Renames, Renaming{s.Tables[0], to})
		}
	}
}

// partitionTable takes "p WITH TABLE t" or "p TO TABLE t".
func (c *cursor) partitionTable(s *Statement, schema, link string) {
	c.partitions(s)
	if c.words(link, "TABLE") {
		c.target(s, schema)
	}
}

// partitions takes a list of partition names; ALL leaves it empty.
func (c *cursor) partitions(s *Statement) {
	if c.any("ALL") {
		return
	}
	for {
		name, ok := c.name()
		if !ok {
			return
		}
		s.Partitions = append(s.Partitions, name)
		if !c.op(",") {
			return
		}
	}
}

// renameTo takes RENAME [TO|AS|=], but not RENAME COLUMN, INDEX or KEY old TO new.
func (c *cursor) renameTo() bool {
	if !c.peek().isWord("RENAME") {
		return false
	}
	if c.peekAt(1).isOneOf("COLUMN", "INDEX", "KEY") {
		return false
	}
	c.i++
	if !c.any("TO", "AS") {
		c.op("=")
	}
	return true
}
