package blob

import (
	"fmt"
	"strings"
)

// Reserved begins the name parts that stores keep for themselves.
const Reserved = ".tmp-"

// maxName is in bytes: S3 takes 1024 with the store's prefix.
const maxName = 900

// CheckName is an error for a name that no store takes. Names are made of ASCII letters,
// digits and -_.=%/, are at most 900 bytes long, and have no part that is empty, "." or "..",
// begins with Reserved or is longer than 250 bytes.
func CheckName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("use object name of %d bytes: %d are the most", len(name), maxName)
	}
	for _, r := range name {
		if !isNameRune(r) {
			return fmt.Errorf("use object name %q: %q is not allowed in it", name, r)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return fmt.Errorf("use object name %q: a part of it is %q", name, part)
		case strings.HasPrefix(part, Reserved):
			return fmt.Errorf("use object name %q: %s is for unfinished objects", name, Reserved)
		case len(part) > 250:
			return fmt.Errorf("use object name %q: a part of it is longer than 250 bytes", name)
		}
	}
	return nil
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("-_.=%/", r)
}
