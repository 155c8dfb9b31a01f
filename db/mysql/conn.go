package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/lull-ops/lull"
)

const (
	defaultTimeout = 10 * time.Second
	maxConns       = 6
	maxIdleConns   = 4
)

// Conn is a server that is connected to. Its methods may be called concurrently.
type Conn struct {
	// DB is a pool of at most 6 connections, each set up as Session says. Placeholders are
	// filled in by the client, so that all results come as text.
	DB *sql.DB

	DSN     DSN // as it was completed; never print its Password
	Flavor  Flavor
	Version Version
	// Cloud is "rds" or "aurora" on Amazon's servers, else "".
	Cloud string
	// Schema is the default schema, "" for none.
	Schema string
	// Account is the grantee the server took us for, as in GRANT: 'ops'@'%'.
	Account          string
	ServerUUID       string // "" on MariaDB and before MySQL 5.6
	ServerID         uint32
	MaxAllowedPacket int64 // bytes a statement may have
	// LowerCaseNames is lower_case_table_names: 0 when the names of tables differ by case.
	LowerCaseNames int

	dumper driver.Connector // without Session, for binlog streams
}

// Open connects to the server. What d leaves open comes from env. A wrong password, an
// unknown schema and refused TLS are a lull.Error of kind Usage, a server that does not
// answer is one of kind Unreachable.
func Open(ctx context.Context, d DSN, env Env) (*Conn, error) {
	d, err := env.complete(d)
	if err != nil {
		return nil, err
	}
	c, err := open(ctx, d)
	if !asked(err) || d.Password.IsSet() || env.Ask == nil {
		return c, err
	}
	if d, err = env.ask(d); err != nil {
		return nil, err
	}
	return open(ctx, d)
}

// asked says that the server refused a login, which a password may mend.
func asked(err error) bool {
	n := serverErrorNumber(err)
	return n == errAccessDenied || n == errAccessDeniedNoPassword
}

func open(ctx context.Context, d DSN) (*Conn, error) {
	conf, err := d.config()
	if err != nil {
		return nil, err
	}
	base, err := driverpkg.NewConnector(conf)
	if err != nil {
		return nil, lull.Errorf(lull.Usage, dsnExample, "connect to %s: %w", d.Where(), err)
	}
	c := &Conn{DSN: d, Schema: d.Schema, dumper: base}
	version, err := firstVersion(ctx, base)
	if err != nil {
		return nil, classify(ctx, d, err)
	}
	c.Flavor, c.Version = ParseVersion(version)
	c.DB = sql.OpenDB(connector{Connector: base, setup: Session(c.Flavor, c.Version)})
	c.DB.SetMaxOpenConns(maxConns)
	c.DB.SetMaxIdleConns(maxIdleConns)
	if err := c.probe(ctx); err != nil {
		return nil, errors.Join(classify(ctx, d, err), c.Close())
	}
	return c, nil
}

// Close ends all connections of the pool.
func (c *Conn) Close() error { return c.DB.Close() }

func (d DSN) config() (*driverpkg.Config, error) {
	conf := driverpkg.NewConfig()
	conf.User, conf.Passwd, conf.DBName = d.User, d.Password.Reveal(), d.Schema
	conf.Net, conf.Addr = d.address()
	conf.Logger = &driverpkg.NopLogger{}
	conf.ClientFoundRows = true
	conf.InterpolateParams = true
	conf.Timeout = d.Timeout
	if d.Timeout == 0 {
		conf.Timeout = defaultTimeout
	}
	conf.ConnectionAttributes = "program_name:lull"
	var err error
	if conf.TLS, err = d.tlsConfig(); err != nil {
		return nil, err
	}
	conf.AllowFallbackToPlaintext = d.tlsMode() == TLSPreferred
	// The driver writes to its Config when it falls back to plain text. With this option
	// each connection gets a copy, so that concurrent ones do not race.
	err = conf.Apply(driverpkg.BeforeConnect(func(context.Context, *driverpkg.Config) error { return nil }))
	return conf, err
}

// connector runs setup on every new connection.
type connector struct {
	driver.Connector
	setup []string
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, stmt := range c.setup {
		if err := execRaw(ctx, conn, stmt); err != nil {
			return nil, errors.Join(fmt.Errorf("set up session: %w", err), conn.Close())
		}
	}
	return conn, nil
}

func execRaw(ctx context.Context, conn driver.Conn, stmt string) error {
	ex, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("driver connection has no ExecContext")
	}
	_, err := ex.ExecContext(ctx, stmt, nil)
	return err
}

// firstVersion makes one connection to learn what Session depends on.
func firstVersion(ctx context.Context, base driver.Connector) (version string, err error) {
	db := sql.OpenDB(base)
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version)
	return version, err
}

func (c *Conn) probe(ctx context.Context) error {
	var account string
	if err := c.DB.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&account); err != nil {
		return fmt.Errorf("read CURRENT_USER(): %w", err)
	}
	c.Account = quoteAccount(account)
	vars, err := c.variables(ctx, "server_id", "server_uuid", "max_allowed_packet", "lower_case_table_names", "basedir", "aurora_version")
	if err != nil {
		return err
	}
	id, _ := strconv.ParseUint(vars["server_id"], 10, 32)
	c.ServerID = uint32(id)
	if c.Flavor == MySQL {
		c.ServerUUID = vars["server_uuid"]
	}
	c.MaxAllowedPacket, _ = strconv.ParseInt(vars["max_allowed_packet"], 10, 64)
	c.LowerCaseNames, _ = strconv.Atoi(vars["lower_case_table_names"])
	switch {
	case vars["aurora_version"] != "":
		c.Cloud = "aurora"
	case strings.HasPrefix(vars["basedir"], "/rdsdbbin"):
		c.Cloud = "rds"
	}
	return nil
}

// variables reads global variables by name, in lower case; those that the server does not
// know are missing.
func (c *Conn) variables(ctx context.Context, names ...string) (map[string]string, error) {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = literal(n)
	}
	out := map[string]string{}
	err := c.each(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ("+strings.Join(list, ", ")+")", func(row []sql.NullString) {
		out[strings.ToLower(row[0].String)] = row[1].String
	})
	if err != nil {
		return nil, fmt.Errorf("read variables: %w", err)
	}
	return out, nil
}

// each calls fn with every row of a query, as text.
func (c *Conn) each(ctx context.Context, query string, fn func(row []sql.NullString)) error {
	rows, err := c.DB.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	cols, err := rows.Columns()
	if err != nil {
		return err
	}
	row := make([]sql.NullString, len(cols))
	into := make([]any, len(cols))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fn(row)
	}
	return rows.Err()
}

// literal is s as a string in the character set of identifiers, whatever SET NAMES says:
// compared with a column of information_schema it takes that column's collation.
func literal(s string) string { return fmt.Sprintf("_utf8mb4 X'%X'", s) }

// quoteAccount makes 'user'@'host' of what CURRENT_USER() gives.
func quoteAccount(s string) string {
	user, host := s, "%"
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		user, host = s[:at], s[at+1:]
	}
	q := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return q(user) + "@" + q(host)
}

// quoteName is a name in backticks.
func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// dumpServerID is a server id that no real server is likely to have: the source ends an
// older stream when a second one comes with the same id.
func dumpServerID() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint32(b[:]) | 1<<31
}
