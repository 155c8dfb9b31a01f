// Package sqltext turns canonical values (see package db/mysql) into SQL text and the
// server's text back into canonical values. It also builds the statements that put rows
// back. It is pure: it opens no connection and knows no transaction.
//
// All text assumes a session with SET NAMES binary, time_zone '+00:00' and sql_mode Mode.
// Under SET NAMES binary a string literal is a run of bytes: a column of any character set
// stores exactly these bytes, or refuses them when they are no valid text in that set.
//
// # Values given as expressions
//
// A JSON value may carry an SQL expression, which is then written instead of its text:
// MySQL's JSON knows decimals, dates and binary strings that its text form cannot name.
package sqltext

// Mode is the sql_mode under which literals mean what they say.
const Mode = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,STRICT_ALL_TABLES"

// LaxMode is the sql_mode for rows that hold the ENUM error value: index 0 cannot be
// written by a strict session.
const LaxMode = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
