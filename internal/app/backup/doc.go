// Package backup wires what keeps a database's past together: it opens repositories as
// lull.yaml says, runs their recorders, takes snapshots when they are due, restores, rehearses
// restoring, and answers whether one can sleep. It owns no format and no rule of what a row was.
package backup
