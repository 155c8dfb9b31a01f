// Package blob holds the words for a store of objects: names and bytes that are written once
// and never changed. The stores lie in the packages below it; nothing here does I/O.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Info is what a store tells of an object.
type Info struct {
	Name     string // with slashes, without one in front: "shop/lull.json"
	Size     int64  // bytes
	Modified time.Time
}

// Store keeps objects. Its methods may be called concurrently. Names are as CheckName wants
// them. An error that a later try may not meet, as when the store does not answer or its disk
// is full, is a lull.Error of kind Unreachable; a wrong key or a missing bucket is of kind
// Usage.
type Store interface {
	// Put stores size bytes of r under a new name: all of them, durably, or nothing, even when
	// it is killed. ErrExists says that the name is taken. r is read from its start, maybe
	// several times, and not any more once Put is back.
	Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error
	// Open reads n bytes from offset off; n < 0 is to the end. What lies past the object's end
	// is left out without an error. ErrNotFound says that there is no such object. The caller
	// closes the reader.
	Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// List hands out all objects whose names begin with prefix, in the order of their names'
	// bytes. The first error is the last element.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// String is the store's URL without secrets.
	String() string
}

// What a Store's methods return, wrapped.
var (
	ErrExists   = errors.New("object exists already")
	ErrNotFound = errors.New("there is no such object")
)
