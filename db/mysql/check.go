package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/lull-ops/lull/db"
)

// Answer is how a Finding turned out.
type Answer string

// The answers.
const (
	OK   Answer = "ok"
	Warn Answer = "warn" // an undo is possible, and worse or shorter than it could be
	No   Answer = "no"   // an undo is not possible
)

// Finding is one thing that Check looked at.
type Finding struct {
	Name   string // stable, such as "binlog_format" or "grant SELECT"
	Answer Answer
	Detail string // one line
	Fix    string // the exact statement or line of configuration, "" when there is nothing to do
}

// checker gathers findings.
type checker struct {
	*Conn
	vars   map[string]string
	grants grants
	found  []Finding
}

func (k *checker) add(name string, a Answer, fix, detail string, args ...any) {
	if a == OK {
		fix = ""
	}
	k.found = append(k.found, Finding{Name: name, Answer: a, Detail: fmt.Sprintf(detail, args...), Fix: fix})
}

// Check looks whether accidents on this server can be found and undone: what is logged, how
// long it is kept, what the user may do, and what the logs do not tell. Grants on tables and
// the tables themselves are looked at in the default schema, or everywhere without one.
// An error means that the server could not be asked.
func (c *Conn) Check(ctx context.Context) ([]Finding, error) {
	k := &checker{Conn: c}
	var err error
	if k.vars, err = c.variables(ctx, checkedVariables()...); err != nil {
		return nil, c.failed(ctx, "check server", err)
	}
	if k.grants, err = c.grants(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		k.logging, k.replica, k.images, k.statements, k.durability, k.logs, k.retention, k.rights, k.tables, k.foreignKeys,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return k.found, nil
}

func checkedVariables() []string {
	return []string{
		"log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "binlog_row_value_options",
		"binlog_rows_query_log_events", "binlog_annotate_row_events", "sync_binlog",
		"binlog_encryption", "encrypt_binlog", "expire_logs_days", "binlog_expire_logs_seconds", "binlog_expire_logs_auto_purge",
		"max_binlog_total_size", "innodb_native_foreign_keys", "log_slave_updates", "log_replica_updates", "read_only",
	}
}

// fix is how a global variable is set for good.
func (c *Conn) fix(name, value string) string {
	switch {
	case c.Cloud == "aurora":
		return fmt.Sprintf("set %s = %s in the DB cluster parameter group", name, value)
	case c.Cloud == "rds":
		return fmt.Sprintf("set %s = %s in the DB parameter group", name, value)
	case c.Flavor == MySQL && c.Version.AtLeast(8, 0, 0):
		return fmt.Sprintf("SET PERSIST %s = %s", name, value)
	}
	return fmt.Sprintf("SET GLOBAL %s = %s; and %s = %s in my.cnf below [mysqld]", name, value, name, value)
}

// restartFix is how a variable is set that cannot be set while the server runs.
func (c *Conn) restartFix(lines string) string {
	switch c.Cloud {
	case "aurora":
		return "set " + lines + " in the DB cluster parameter group and restart"
	case "rds":
		return "set " + lines + " in the DB parameter group and restart"
	}
	return lines + " in my.cnf below [mysqld], then restart"
}

func (k *checker) logging(context.Context) error {
	if k.vars["log_bin"] != "ON" {
		fix := k.restartFix("log_bin = binlog, server_id = 1")
		switch k.Cloud {
		case "rds":
			fix = "turn automated backups on (backup retention period of at least 1 day)"
		case "aurora":
			fix = k.restartFix("binlog_format = ROW")
		}
		k.add("log_bin", No, fix, "the server writes no binlog")
		return nil
	}
	k.add("log_bin", OK, "", "the server writes binlogs")
	switch format := k.vars["binlog_format"]; format {
	case "ROW", "":
		k.add("binlog_format", OK, "", "rows are logged")
	case "MIXED":
		k.add("binlog_format", No, k.fix("binlog_format", "ROW"), "MIXED: most statements are logged as text, without the rows they changed")
	default:
		k.add("binlog_format", No, k.fix("binlog_format", "ROW"), "%s: statements are logged as text, without the rows they changed", format)
	}
	return nil
}

// replica matters where a replica keeps what it applies out of its own binlog.
func (k *checker) replica(ctx context.Context) error {
	name := "log_replica_updates"
	if _, ok := k.vars[name]; !ok {
		name = "log_slave_updates"
	}
	if k.vars["log_bin"] != "ON" || k.vars[name] != "OFF" {
		return nil
	}
	stmt := "SHOW SLAVE STATUS"
	if k.Flavor == MySQL && k.Version.AtLeast(8, 0, 22) {
		stmt = "SHOW REPLICA STATUS"
	}
	is := false
	err := k.each(ctx, stmt, func([]sql.NullString) { is = true })
	if serverErrorNumber(err) != 0 { // not allowed to know: a replica is read only
		is, err = k.vars["read_only"] == "ON", nil
	}
	if err != nil {
		return k.failed(ctx, "read replica status", err)
	}
	if is {
		k.add(name, Warn, k.restartFix(name+" = ON"), "what the replica got from its source is not in its own binlog: ask the source")
	}
	return nil
}

func (k *checker) images(context.Context) error {
	switch image, known := k.vars["binlog_row_image"]; {
	case !known, image == "FULL", image == "FULL_NODUP":
		k.add("binlog_row_image", OK, "", "whole rows are logged")
	case image == "NOBLOB":
		k.add("binlog_row_image", Warn, k.fix("binlog_row_image", "FULL"), "NOBLOB: deleted BLOB and TEXT values are not logged")
	default:
		k.add("binlog_row_image", No, k.fix("binlog_row_image", "FULL"), "%s: of a deleted row only the key is logged", image)
	}
	switch meta, known := k.vars["binlog_row_metadata"]; {
	case !known:
		k.add("binlog_row_metadata", Warn, "", "%s %s logs no column names: a changed table is told by its statements only", k.Flavor, k.Version)
	case meta == "FULL":
		k.add("binlog_row_metadata", OK, "", "column names are logged")
	default:
		k.add("binlog_row_metadata", Warn, k.fix("binlog_row_metadata", "FULL"), "%s: column names are not logged, so a changed table is told by its statements only", meta)
	}
	if opts := k.vars["binlog_row_value_options"]; strings.Contains(opts, "PARTIAL_JSON") {
		k.add("binlog_row_value_options", Warn, k.fix("binlog_row_value_options", "''"), "PARTIAL_JSON: of a changed JSON value only the difference is logged; the old value is whole")
	}
	return nil
}

func (k *checker) statements(context.Context) error {
	name := "binlog_rows_query_log_events"
	if k.Flavor == MariaDB {
		name = "binlog_annotate_row_events"
	}
	if k.vars[name] == "ON" {
		k.add(name, OK, "", "the text of statements is logged")
	} else {
		k.add(name, Warn, k.fix(name, "ON"), "the text of statements is not logged: find cannot show what was typed")
	}
	return nil
}

func (k *checker) durability(context.Context) error {
	if n := k.vars["sync_binlog"]; n == "1" || k.Cloud == "aurora" {
		k.add("sync_binlog", OK, "", "each commit is in the binlog on disk")
	} else {
		k.add("sync_binlog", Warn, k.fix("sync_binlog", "1"), "%s: when the machine dies, the last transactions may miss from the binlog", n)
	}
	if k.vars["binlog_encryption"] == "ON" || k.vars["encrypt_binlog"] == "ON" {
		k.add("binlog_encryption", OK, "", "binlogs are encrypted on disk: read them from the server, their files are of no use elsewhere")
	}
	return nil
}

// scope is what grants on tables are checked for.
func (c *Conn) scope() (db.Name, string) {
	if c.Schema == "" {
		return db.Name{}, "*.*"
	}
	return db.Name{Schema: c.Schema}, quoteName(c.Schema) + ".*"
}

func (k *checker) rights(context.Context) error {
	k.globalRight("REPLICATION SLAVE", "REPLICATION SLAVE", "SUPER")
	k.globalRight(k.monitorPrivilege(), "REPLICATION CLIENT", "BINLOG MONITOR", "SUPER")
	scope, object := k.scope()
	var missing []string
	for _, p := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		if !k.grants.has(p, scope) {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		k.add("grant on tables", OK, "", "rows in %s can be read and put back", object)
	} else {
		k.add("grant on tables", No, fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(missing, ", "), object, k.Account),
			"%s is missing on %s, unless it is granted on single tables", strings.Join(missing, ", "), object)
	}
	if k.grants.has("TRIGGER", scope) {
		k.add("grant TRIGGER", OK, "", "triggers can be seen")
	} else {
		k.add("grant TRIGGER", Warn, fmt.Sprintf("GRANT TRIGGER ON %s TO %s", object, k.Account),
			"triggers are hidden from the user: whether some would fire on the way back is unknown")
	}
	return nil
}

// globalRight reports on a privilege for which others may stand in.
func (k *checker) globalRight(name string, enough ...string) {
	for _, p := range enough {
		if k.grants.has(p, db.Name{}) {
			k.add("grant "+name, OK, "", "granted")
			return
		}
	}
	k.add("grant "+name, No, k.grantAll(name), "%s is not granted", name)
}
