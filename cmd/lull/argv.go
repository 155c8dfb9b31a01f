package main

import (
	"strings"
	"unsafe"
)

// takeArgs copies the arguments and then overwrites the passwords in argv itself, so that
// they do not stay in the process list. argv must be os.Args as the runtime made it: on
// Linux and macOS its strings lie in the memory that ps reads, which is writable. Elsewhere
// they are copies, and overwriting them changes nothing.
func takeArgs(argv []string) []string {
	args := make([]string, len(argv))
	for i, a := range argv {
		args[i] = strings.Clone(a)
		if from, to, ok := passwordIn(a); ok {
			wipe(a, from, to)
		}
	}
	return args
}

// passwordIn finds the password of a scheme://user:password@host in arg: bytes [from, to).
// It takes all up to the last @, as a password may hold one: too much rather than too little.
func passwordIn(arg string) (from, to int, ok bool) {
	scheme := strings.Index(arg, "://")
	to = strings.LastIndexByte(arg, '@')
	if scheme < 0 || to < scheme+3 {
		return 0, 0, false
	}
	colon := strings.IndexByte(arg[scheme+3:to], ':')
	if colon < 0 {
		return 0, 0, false
	}
	from = scheme + 3 + colon + 1
	return from, to, from < to
}

func wipe(s string, from, to int) {
	bytes := unsafe.Slice(unsafe.StringData(s), len(s))
	for i := from; i < to; i++ {
		bytes[i] = '*'
	}
}
