// Package fold works out the rows a table had after some transaction: from a snapshot taken
// before it, the changes since, what happened to the table as a whole, and what foreign keys
// did to it without the log saying so. It reads a history.Past and knows no repository, no
// server and no file format; it writes nothing but temporary files.
//
// # How
//
// A table's line is followed backward from the cut through renames to where it was born empty
// or to the newest snapshot. Changes are sorted by row key and place and merged with the
// snapshot's rows, one key at a time. Foreign keys need the changes of the parents: these go
// into an index by referenced value, and each version of a row asks it whether something fell
// on it while it was the row's version. Parents that are children themselves, tables that refer
// to themselves, and rows that move to another key are worked out in rounds until nothing
// changes any more.
//
// What cannot be told exactly is said in Table.Warnings, and Table.Exact is false then.
package fold
