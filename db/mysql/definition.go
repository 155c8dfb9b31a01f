package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"github.com/lull-ops/lull/db"
)

// definitionTries bounds how often a table is read whose definition changes meanwhile.
const definitionTries = 5

// Definition reads a table's shape, as Table does, and the CREATE TABLE that the server prints
// for it, without the counter of its AUTO_INCREMENT. The two belong together. Triggers are in
// neither, and keys do not have the hidden part of MariaDB's system versioning: they tell apart
// the rows that a SELECT sees.
func (c *Conn) Definition(ctx context.Context, name db.Name) (*db.Table, string, error) {
	name, err := c.actualName(ctx, name)
	if err != nil {
		return nil, "", err
	}
	create, err := c.createTable(ctx, name)
	if err != nil {
		return nil, "", err
	}
	for range definitionTries {
		t, err := c.Table(ctx, name)
		if err != nil {
			return nil, "", err
		}
		again, err := c.createTable(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if again == create {
			t.Triggers = nil
			return t, create, nil
		}
		create = again
	}
	return nil, "", fmt.Errorf("read definition of table %s: it changes all the time", name)
}

func (c *Conn) createTable(ctx context.Context, name db.Name) (create string, err error) {
	err = c.each(ctx, "SHOW CREATE TABLE "+quoteName(name.Schema)+"."+quoteName(name.Table), func(row []sql.NullString) {
		create = withoutCounter(row[1].String)
	})
	if serverErrorNumber(err) == errUnknownTable {
		return "", c.unknownTable(ctx, name)
	}
	if err != nil {
		return "", c.failed(ctx, "read definition of table "+name.String(), err)
	}
	return create, nil
}

// counter is the table option AUTO_INCREMENT, which changes with the rows. It stands in the
// line of options, which begins with the bracket that ends the columns.
var counter = regexp.MustCompile(`(?m)^(\) ENGINE=\S+(?: [A-Z_]+=\S+)*?) AUTO_INCREMENT=[0-9]+`)

func withoutCounter(create string) string { return counter.ReplaceAllString(create, "$1") }

// Identity names the server that positions in its log belong to: its UUID; MariaDB has none and
// goes by host name, port and server_id.
func (c *Conn) Identity(ctx context.Context) (string, error) {
	if c.ServerUUID != "" {
		return c.ServerUUID, nil
	}
	var host string
	var port int
	if err := c.DB.QueryRowContext(ctx, "SELECT @@hostname, @@port").Scan(&host, &port); err != nil {
		return "", c.failed(ctx, "read the server's name", err)
	}
	return fmt.Sprintf("%s:%d/%d", host, port, c.ServerID), nil
}
