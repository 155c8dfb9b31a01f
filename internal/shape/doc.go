// Package shape holds tests only: they read the whole repository and fail when it leaves the
// shape that ARCHITECTURE.md describes. It has no code of its own.
package shape
