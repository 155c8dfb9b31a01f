package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
)

// definitionTries bounds how often a table is read whose definition changes meanwhile.
const definitionTries = 5

// Definition reads a table's shape, as Table does, and the CREATE TABLE that the server prints
// for it, without the counter of its AUTO_INCREMENT. The two belong together. Triggers are in
// neither, and keys do not have the hidden part of MariaDB's system versioning: they tell apart
// the rows that a SELECT sees. An UnknownTableError in its error means that there is no such
// table; that the user may not see it is another lull.Error of kind Usage. When the table changes
// all the time it is one of kind Unreachable.
func (c *Conn) Definition(ctx context.Context, name db.Name) (*db.Table, string, error) {
	var last error
	for range definitionTries {
		name, create, err := c.created(ctx, name)
		if err != nil {
			return nil, "", err
		}
		t, err := c.Table(ctx, name)
		if lull.KindOf(err) == lull.Usage {
			last = err // it is gone since, or nobody may read its columns
			continue
		}
		if err != nil {
			return nil, "", err
		}
		_, again, err := c.created(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if again == create {
			t.Triggers = nil
			return t, create, nil
		}
		last = lull.Errorf(lull.Unreachable, "", "read definition of table %s: it changes all the time", name)
	}
	return nil, "", last
}

// created is a table's actual name and its CREATE TABLE.
func (c *Conn) created(ctx context.Context, name db.Name) (actual db.Name, create string, err error) {
	actual, kind, err := c.find(ctx, name)
	if err != nil {
		return actual, "", err
	}
	if kind != "" && !isTable(kind) {
		return actual, "", notTable(actual, kind)
	}
	// A name that is not listed is asked for as well: the server tells who may not see it.
	err = c.each(ctx, "SHOW CREATE TABLE "+quoteName(actual.Schema)+"."+quoteName(actual.Table), func(row []sql.NullString) {
		create = withoutCounter(row[1].String)
	})
	if n := serverErrorNumber(err); n == errUnknownTable || n == errUnknownSchema {
		return actual, "", c.unknownTable(ctx, name)
	}
	if err != nil {
		return actual, "", c.failed(ctx, "read definition of table "+name.String(), err)
	}
	return actual, create, nil
}

// counter is the table option AUTO_INCREMENT, which changes with the rows. It stands in the
// line of options, which begins with the bracket that ends the columns.
var counter = regexp.MustCompile(`(?m)^(\) ENGINE=\S+(?: [A-Z_]+=\S+)*?) AUTO_INCREMENT=[0-9]+`)

func withoutCounter(create string) string { return counter.ReplaceAllString(create, "$1") }

// Identity names the server that positions in its log belong to: its UUID; MariaDB has none and
// goes by host name, port and server_id. It asks each time: the address may lead to another server
// by now.
func (c *Conn) Identity(ctx context.Context) (string, error) {
	conn, err := c.DB.Conn(ctx)
	if err != nil {
		return "", c.failed(ctx, "read the server's name", err)
	}
	defer func() { _ = conn.Close() }() // goes back to the pool
	var id string
	err = conn.Raw(func(driverConn any) error {
		id, err = identity(ctx, driverConn)
		return err
	})
	return id, c.Explain(ctx, "read the server's name", err)
}

// identity is the Identity of the server at the other end of a driver's connection.
func identity(ctx context.Context, driverConn any) (string, error) {
	q, ok := driverConn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("driver connection has no QueryContext")
	}
	rows, err := q.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'hostname', 'port', 'server_id', 'version')", nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }() // Next told what matters
	vars := map[string]string{}
	for row := make([]driver.Value, len(rows.Columns())); ; {
		err := rows.Next(row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		vars[strings.ToLower(fmt.Sprintf("%s", row[0]))] = fmt.Sprintf("%s", row[1])
	}
	if flavor, _ := ParseVersion(vars["version"]); flavor == MySQL && vars["server_uuid"] != "" {
		return vars["server_uuid"], nil
	}
	return fmt.Sprintf("%s:%s/%s", vars["hostname"], vars["port"], vars["server_id"]), nil
}
