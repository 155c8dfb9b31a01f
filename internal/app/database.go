package app

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/ddl"
	"github.com/lull-ops/lull/keep/history/binlogs"
)

// Source is where the past is read from: a server, files, or files of a server that is
// connected to as well.
type Source struct {
	DSN     string   // "" when there is no server
	Binlogs []string // files or directories; without any the server is asked
	Schema  string   // a file of CREATE TABLE statements, "" for none
	// PasswordFile is where the password stands, "" to look elsewhere.
	PasswordFile string
	Env          mysql.Env
}

// Database is an opened Source.
type Database struct {
	Conn  *mysql.Conn // nil when there are only files
	Logs  []binlogs.Log
	given []*db.Table
}

// Open connects and lists the logs.
func (s *Source) Open(ctx context.Context) (*Database, error) {
	if s.DSN == "" && len(s.Binlogs) == 0 {
		return nil, lull.Errorf(lull.Usage, "give --db mysql://USER@HOST/SCHEMA, or --binlog FILE for files alone", "there is nothing to read: neither --db nor --binlog is given")
	}
	d := &Database{}
	if err := d.readSchema(s.Schema); err != nil {
		return nil, err
	}
	if len(s.Binlogs) > 0 {
		logs, err := binlogs.Files(s.Binlogs)
		if err != nil {
			return nil, err
		}
		d.Logs = logs
	}
	if s.DSN == "" {
		return d, nil
	}
	conn, err := Connect(ctx, s.DSN, s.PasswordFile, s.Env)
	if err != nil {
		return nil, err
	}
	d.Conn = conn
	if d.Logs == nil {
		if d.Logs, err = serverLogs(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return d, nil
}

// Connect opens one server by its URL, or by env:NAME or file:PATH that hold it.
func Connect(ctx context.Context, url, passwordFile string, env mysql.Env) (*mysql.Conn, error) {
	dsn, err := env.ParseDSN(url)
	if err != nil {
		return nil, err
	}
	if passwordFile != "" {
		dsn.PasswordFile = passwordFile
	}
	return mysql.Open(ctx, dsn, env)
}

// Close ends the connection, if there is one.
func (d *Database) Close() error {
	if d.Conn == nil {
		return nil
	}
	return d.Conn.Close()
}

func (d *Database) readSchema(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return lull.Errorf(lull.Usage, "give a file with CREATE TABLE statements, as mysqldump --no-data writes", "read --schema: %w", err)
	}
	if d.given, err = ddl.ParseCreateTables(string(b)); err != nil {
		return lull.Errorf(lull.Usage, "give a file with CREATE TABLE statements, as mysqldump --no-data writes", "read --schema %s: %w", path, err)
	}
	if len(d.given) == 0 {
		return lull.Errorf(lull.Usage, "give a file with CREATE TABLE statements, as mysqldump --no-data writes", "read --schema %s: it holds no CREATE TABLE", path)
	}
	return nil
}

// givenTable is the shape that --schema gives a table; nil when it gives none. Tables there
// may stand without a schema.
func (d *Database) givenTable(name db.Name) *db.Table {
	for _, t := range d.given {
		if strings.EqualFold(t.Table, name.Table) && (t.Schema == "" || strings.EqualFold(t.Schema, name.Schema)) {
			out := *t
			out.Name = name
			return &out
		}
	}
	return nil
}

// defaultSchema is the schema that table names without one belong to.
func (d *Database) defaultSchema() string {
	if d.Conn == nil {
		return ""
	}
	return d.Conn.Schema
}

// parseName reads "schema.table", or "table" in the default schema.
func parseName(s, schema string) (db.Name, error) {
	plain := unquoted(s)
	if a, b, ok := strings.Cut(plain, "."); ok {
		return db.Name{Schema: a, Table: b}, nil
	}
	if schema == "" {
		return db.Name{}, lull.Errorf(lull.Usage, "write SCHEMA.TABLE, or name the schema in --db", "table %s: no schema is given", s)
	}
	return db.Name{Schema: schema, Table: plain}, nil
}
