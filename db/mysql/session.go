package mysql

import (
	"fmt"
	"strconv"
	"strings"
)

// Flavor says whose server it is.
type Flavor string

// The flavors. Percona Server and Aurora MySQL are MySQL.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// Version is a server's version as numbers.
type Version struct{ Major, Minor, Patch int }

// AtLeast says that v is major.minor.patch or newer.
func (v Version) AtLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// ParseVersion reads what VERSION() gives, such as "8.0.36-log" or
// "5.5.5-10.11.19-MariaDB-0+deb12u1-log".
func ParseVersion(s string) (Flavor, Version) {
	flavor := MySQL
	if strings.Contains(strings.ToLower(s), "mariadb") {
		flavor = MariaDB
		// Some proxies keep the prefix that MariaDB sends for old replicas.
		s = strings.TrimPrefix(s, "5.5.5-")
	}
	var n [3]int
	for i, part := range strings.SplitN(s, ".", 3) {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n[i], _ = strconv.Atoi(part[:end])
	}
	return flavor, Version{n[0], n[1], n[2]}
}

// Session is the statements that every connection of Conn.DB starts with. They make values
// travel unconverted: names and strings are bytes as stored, TIMESTAMP is in UTC, zero and
// impossible dates are let in, and nothing is cut silently. Nobody sees what is not committed. Backslash escapes stay on, so
// literals must be escaped or in hex.
func Session(f Flavor, v Version) []string {
	set := []string{
		"time_zone = '+00:00'",
		// STRICT without NO_ZERO_DATE and NO_ZERO_IN_DATE: values out of range are errors, zero dates are values.
		"sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
		"autocommit = 1",
		"sql_safe_updates = 0",
		"sql_select_limit = DEFAULT",
		"sql_auto_is_null = 0",
		"sql_quote_show_create = 1",
		"net_read_timeout = 600",
		"net_write_timeout = 3600",
		"wait_timeout = 28800",
		"innodb_lock_wait_timeout = 20",
	}
	if f == MariaDB {
		set = append(set, mariaDBSession(v)...)
	} else {
		set = append(set, mySQLSession(v)...)
	}
	return []string{
		"SET NAMES binary",
		"SET SESSION " + strings.Join(set, ", "),
		// The variable's name differs between versions.
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
	}
}

func mariaDBSession(v Version) (set []string) {
	if v.AtLeast(10, 1, 1) {
		set = append(set, "max_statement_time = 0")
	}
	if v.AtLeast(10, 3, 0) {
		set = append(set, "idle_transaction_timeout = 0")
	}
	return set
}

func mySQLSession(v Version) (set []string) {
	if v.AtLeast(5, 7, 8) {
		set = append(set, "max_execution_time = 0")
	}
	if v.AtLeast(8, 0, 0) {
		// Otherwise TABLE_ROWS may be a day old.
		set = append(set, "information_schema_stats_expiry = 0")
	}
	if v.AtLeast(8, 0, 30) {
		// A generated invisible key is part of the rows in the binlog.
		set = append(set, "show_gipk_in_create_table_and_information_schema = ON")
	}
	return set
}
