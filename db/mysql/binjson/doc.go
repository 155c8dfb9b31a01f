// Package binjson reads MySQL's binary JSON, the form in which JSON columns lie in row
// images (column type 245): it prints a document as the server prints it, makes an SQL
// expression that stores it again, and applies the diffs of partial JSON updates. It does
// no I/O, and it is not a parser of JSON text.
//
// # The format
//
// A document is a type byte and a value. An array or object is a count, its own size in
// bytes, then (objects) one entry a key with offset and length, then one entry a value with
// a type byte and either the value itself or its offset from the container's start. Counts,
// sizes and offsets take two bytes in small containers and four in large ones. Keys are
// sorted by length, then by bytes. DECIMAL, DATE, TIME, DATETIME, TIMESTAMP and binary
// strings are opaque values: a column type byte, a length and that type's bytes.
// A document of zero bytes is JSON null to the server.
//
// # Hostile input
//
// Every offset is checked, containers nest to 100 as in the server, and one call reads no
// more bytes than the document has, so that shared offsets cannot multiply the work.
package binjson

import "errors"

// MaxDepth is how deep arrays and objects may nest; the server has the same limit.
const MaxDepth = 100

var (
	// ErrDamaged says that the bytes are not a binary JSON document or a list of diffs.
	ErrDamaged = errors.New("binary JSON is damaged")
	// ErrDepth says that arrays and objects nest deeper than MaxDepth.
	ErrDepth = errors.New("binary JSON nests deeper than 100")
	// ErrReject says that a diff does not fit the document it is applied to.
	ErrReject = errors.New("JSON diff does not fit the document")
	// ErrNoSQL says that no SQL expression makes the value.
	ErrNoSQL = errors.New("no SQL expression stores this JSON value")
)
