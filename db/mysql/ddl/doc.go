// Package ddl reads what Lull needs from MySQL and MariaDB statements: which tables a
// statement of the binlog touches and how (Classify), whether a DELETE or UPDATE had no
// condition (NoWhere), what an ALTER did to the columns (ParseAlter, Before, After), and the
// tables of a schema file (ParseCreateTables).
//
// It is not a full SQL parser: expressions are skipped, never understood, and a statement
// that no server would accept may be given a meaning. It assumes the default sql_mode for
// backslashes, reads "text" as an identifier where only a name can stand, and opens every
// versioned comment (/*!80016 ... */) except those of version 999999, which no server runs.
//
// Two things a statement does not say are filled in as the servers do it: a character set
// without a collation gets the collation it has on MySQL 5.7 and MariaDB to 11.4
// (utf8mb4_general_ci), and "utf8" is named utf8mb3. A column whose character set comes
// from the server's defaults keeps Charset "".
package ddl
