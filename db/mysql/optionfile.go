package mysql

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lull-ops/lull"
)

// options are the settings of the groups that a client reads, by name with dashes. A name
// without "=" has the value nil.
type options map[string]*string

const maxIncludeDepth = 10

func isClientGroup(name string) bool {
	switch name {
	case "client", "client-server", "client-mariadb", "mysql", "lull":
		return true
	}
	return false
}

// readOptions reads path and what it includes into o. Later settings win.
func (o options) readFile(path string, depth int) error {
	if depth > maxIncludeDepth {
		return lull.Errorf(lull.Usage, "", "read option file %s: files include each other more than %d deep", path, maxIncludeDepth)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read option file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
		return lull.Errorf(lull.Usage, "chmod 600 "+path, "read option file %s: everybody may write it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read option file: %w", err)
	}
	return o.parse(string(text), path, func(directive, arg string) error {
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(filepath.Dir(path), arg)
		}
		if directive == "include" {
			return o.readFile(arg, depth+1)
		}
		files, err := filepath.Glob(filepath.Join(arg, "*.cnf"))
		if err != nil {
			return lull.Errorf(lull.Usage, "", "read option file %s: includedir: %w", path, err)
		}
		for _, f := range files {
			if err := o.readFile(f, depth+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// parse reads the text of one file named path; include is called with "include" or
// "includedir" and its argument. Errors name the line, never what is in it.
func (o options) parse(text, path string, include func(directive, arg string) error) error {
	group, n := "", 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '!':
			directive, arg, _ := strings.Cut(line[1:], " ")
			arg = strings.TrimSpace(arg)
			if directive != "include" && directive != "includedir" || arg == "" {
				return badOption(path, n, "it is no !include FILE or !includedir FOLDER")
			}
			if err := include(directive, arg); err != nil {
				return err
			}
		case line[0] == '[':
			end := strings.IndexByte(line, ']')
			if end < 0 {
				return badOption(path, n, "the group has no closing bracket")
			}
			group = strings.TrimSpace(line[1:end])
		case group == "":
			return badOption(path, n, "an option stands before the first [group]")
		case isClientGroup(group):
			o.set(line)
		}
	}
	return nil
}

func badOption(path string, line int, why string) error {
	return lull.Errorf(lull.Usage, "", "read option file %s line %d: %s", path, line, why)
}

func (o options) set(line string) {
	name, value, hasValue := strings.Cut(cutComment(line), "=")
	name = strings.ReplaceAll(strings.TrimSpace(name), "_", "-")
	name = strings.TrimPrefix(name, "loose-")
	if !hasValue {
		o[name] = nil
		return
	}
	v := unescapeOption(unquoteOption(strings.TrimSpace(value)))
	o[name] = &v
}

// cutComment drops a comment that starts at a '#' outside quotes.
func cutComment(s string) string {
	var quote byte
	escaped := false
	for i := range len(s) {
		c := s[i]
		if (c == '\'' || c == '"') && !escaped {
			switch quote {
			case 0:
				quote = c
			case c:
				quote = 0
			}
		}
		if quote == 0 && c == '#' {
			return s[:i]
		}
		escaped = quote != 0 && c == '\\' && !escaped
	}
	return s
}

func unquoteOption(s string) string {
	if n := len(s); n >= 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

func unescapeOption(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte(`ntrbs"'\`, s[i]); at >= 0 {
			b.WriteByte("\n\t\r\b \"'\\"[at])
		} else {
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// text is a setting's value, "" when it is missing or has none.
func (o options) text(name string) string {
	if v := o[name]; v != nil {
		return *v
	}
	return ""
}

// options reads the option files that d and the environment name.
func (e Env) options(d DSN) (options, error) {
	o := options{}
	if d.DefaultsFile != "" {
		if err := o.readFile(e.path(d.DefaultsFile), 0); err != nil {
			return nil, usage(err)
		}
		return o, nil
	}
	var files []string
	if dir := e.getenv("MYSQL_HOME"); dir != "" {
		files = append(files, filepath.Join(dir, "my.cnf"))
	}
	if e.Home != "" {
		files = append(files, filepath.Join(e.Home, ".my.cnf"))
	}
	for _, f := range files {
		if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := o.readFile(f, 0); err != nil {
			return nil, usage(err)
		}
	}
	return o, nil
}

// usage makes err a lull.Error of kind Usage unless it is a lull.Error already.
func usage(err error) error {
	if _, ok := errors.AsType[*lull.Error](err); ok {
		return err
	}
	return lull.Errorf(lull.Usage, "", "%w", err)
}
