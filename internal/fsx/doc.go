// Package fsx writes files that are there whole or not at all, takes locks between
// processes, and looks at free space. It knows nothing of what is in the files.
package fsx
