// Package predicate judges one row by a condition in SQL's words, as in
// lull undo --where "status='paid' and amount >= 100", without a server.
//
//	condition  or, ||   xor   and, &&   not   !      weakest first, as in MySQL
//	comparison = <> != < <= > >= <=>   IN (...)   BETWEEN x AND y   LIKE x [ESCAPE c]
//	           IS [NOT] NULL, TRUE, FALSE, UNKNOWN; NOT before IN, BETWEEN and LIKE
//	value      column, `column`, 12.5, 'text', "text", 0x4c, x'4c', TRUE, FALSE, NULL,
//	           DATE '2026-11-20', TIME '...', TIMESTAMP '...'
//
// It works on the canonical values of package db/mysql and has no functions and no
// arithmetic. Logic is three-valued; a value that the log did not record is unknown, and so is
// IS NULL of it.
//
// Where it differs from a server, it is on the safe side: a number compared with a text column,
// text that is no number compared with a number column, a date that is not one, and an ENUM or
// SET element that does not exist are errors of Parse instead of conversions. Integers, DECIMAL
// and BIT compare exactly, FLOAT and DOUBLE as float64. Text in a _ci collation compares by
// Unicode's simple case folding without trailing spaces, so accents count even where the
// collation ignores them; text in any other collation compares byte for byte. ENUM is its
// element's text, or its index against a number; SET is its elements joined by
// commas, in any order for = and IN, or its bit mask. A
// TIMESTAMP is in UTC, and its literal may have an offset: '2026-11-20T14:02:11+01:00'.
package predicate
