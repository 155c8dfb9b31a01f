// Package mysql speaks to MySQL and MariaDB servers: connecting, reading a table's shape,
// checking what Lull needs, and streaming binlogs. It does not decode binlog events
// (db/mysql/binlog does) and does not read or write rows (db/mysql/rowio does).
//
// # Canonical values
//
// Every reader of MySQL values - the binlog decoder, a SELECT on the live table, a stored
// plan - hands out db.Value in one form, so that equal bytes mean equal stored values:
//
//	integers, YEAR            decimal digits, "-" when negative; YEAR has four digits
//	DECIMAL                   "-12.50": exactly Scale fraction digits, one zero before the point
//	                          when there is no other digit, no "-0"
//	FLOAT, DOUBLE             strconv.AppendFloat(x, 'e', -1, 64); a FLOAT is widened to float64 first
//	BIT                       unsigned decimal
//	ENUM                      the index as decimal (0 is the error value ”), by the table's own element list
//	SET                       the bit mask as unsigned decimal
//	DATE                      "2026-11-20"; zero parts stay zero
//	TIME                      "[-]HH:MM:SS[.ffffff]", Scale fraction digits, hours may have three digits
//	DATETIME                  "2026-11-20 14:02:11[.ffffff]", Scale fraction digits
//	TIMESTAMP                 as DATETIME, in UTC; "0000-00-00 00:00:00" for the zero value
//	CHAR                      bytes in the column's character set, without the trailing pad
//	VARCHAR, TEXT             bytes in the column's character set
//	BINARY(n)                 n bytes, zero padded
//	VARBINARY, BLOB, VECTOR   bytes
//	JSON (MySQL)              the text the server prints for it
//	JSON (MariaDB)            the text as stored
//	GEOMETRY                  4 bytes SRID little endian, then WKB: as the server sends it
//	UUID, INET4, INET6        the text the server prints
//
// An SQL literal for a canonical value is made by db/mysql/sqltext, which assumes a
// connection set up as Session says: SET NAMES binary and time zone UTC.
package mysql
