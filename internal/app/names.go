package app

import "strings"

// unquoted takes the backquotes off a name that is written with them, "`shop`.`my table`";
// any other name is taken as it stands, backquotes in the middle included.
func unquoted(s string) string {
	var parts []string
	for rest := s; ; {
		part, more, ok := quotedPart(rest)
		if !ok {
			return s
		}
		parts = append(parts, part)
		if more == "" {
			return strings.Join(parts, ".")
		}
		rest = more[1:]
	}
}

// quotedPart reads "`name`" up to a dot or the end; a name without quotes is read, too, as
// long as it has none inside.
func quotedPart(s string) (part, more string, ok bool) {
	if !strings.HasPrefix(s, "`") {
		part, _, _ = strings.Cut(s, ".")
		return part, s[len(part):], !strings.Contains(part, "`")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '`':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '`':
			b.WriteByte('`')
			i++
		default:
			more = s[i+1:]
			return b.String(), more, more == "" || more[0] == '.' && len(more) > 1
		}
	}
	return "", "", false
}
