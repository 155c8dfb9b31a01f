package mysql

import (
	"context"
	"database/sql"
	"strconv"
	"time"
)

// Load is how busy a server is.
type Load struct {
	Running        int           // threads that execute something
	Connections    int           // that are open
	MaxConnections int           // the server lets in
	Lag            time.Duration // behind its source; -1 when it has none or may not tell
}

// Load reads how busy the server is. Lag is the server's own, as a replica: a source does not
// know that of its replicas.
func (c *Conn) Load(ctx context.Context) (Load, error) {
	l := Load{Lag: -1}
	err := c.each(ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_running', 'Threads_connected')", func(row []sql.NullString) {
		n, _ := strconv.Atoi(row[1].String)
		if row[0].String == "Threads_running" {
			l.Running = n
		} else {
			l.Connections = n
		}
	})
	if err != nil {
		return l, c.failed(ctx, "read load", err)
	}
	vars, err := c.variables(ctx, "max_connections")
	if err != nil {
		return l, c.failed(ctx, "read load", err)
	}
	l.MaxConnections, _ = strconv.Atoi(vars["max_connections"])
	if err := c.lag(ctx, &l); err != nil {
		return l, c.failed(ctx, "read replica status", err)
	}
	return l, nil
}

// lag reads how far the server is behind its sources, the worst of several.
func (c *Conn) lag(ctx context.Context, l *Load) error {
	stmt := "SHOW SLAVE STATUS"
	switch {
	case c.Flavor == MariaDB:
		stmt = "SHOW ALL SLAVES STATUS"
	case c.Version.AtLeast(8, 0, 22):
		stmt = "SHOW REPLICA STATUS"
	}
	rows, err := c.DB.QueryContext(ctx, stmt)
	if n := serverErrorNumber(err); n == errSpecificAccessDenied || n == errAccessDenied {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells what matters
	cols, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]sql.NullString, len(cols)), make([]any, len(cols))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, name := range cols {
			if name != "Seconds_Behind_Master" && name != "Seconds_Behind_Source" {
				continue
			}
			if n, err := strconv.Atoi(row[i].String); err == nil {
				l.Lag = max(l.Lag, time.Duration(n)*time.Second)
			}
		}
	}
	return rows.Err()
}
