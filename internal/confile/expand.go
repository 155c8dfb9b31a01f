package confile

import (
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v4"
)

// expander fills in what a file takes from outside.
type expander struct {
	path, dir string
	env       func(string) string
	seen      map[*yaml.Node]bool
}

// secretTag marks what a Secret needs and only the file's reader knows, so that Secrets can be
// anywhere in the structs.
const secretTag = "!lull/secret"

func (x *expander) node(n *yaml.Node) error {
	if x.seen[n] {
		return nil
	}
	x.seen[n] = true
	switch n.Kind {
	case yaml.ScalarNode:
		return x.scalar(n)
	case yaml.AliasNode:
		return x.node(n.Alias)
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			if err := x.node(n.Content[i]); err != nil {
				return err
			}
		}
		x.secret(n)
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if err := x.node(c); err != nil {
				return err
			}
		}
	}
	return nil
}

var variable = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{`)

func (x *expander) scalar(n *yaml.Node) error {
	var err error
	out := variable.ReplaceAllStringFunc(n.Value, func(s string) string {
		m := variable.FindStringSubmatch(s)
		switch {
		case s == "$${":
			return "${"
		case m[1] == "":
			err = (&problem{what: "${ without a name and }", hint: "write ${NAME} or ${NAME:-default}, and $${ for the characters themselves"}).at(x.path, n.Line)
		case x.env(m[1]) != "":
			return x.env(m[1])
		case m[2] == "":
			err = (&problem{what: m[1] + " is not set in the environment", hint: "set " + m[1] + ", or write ${" + m[1] + ":-default}"}).at(x.path, n.Line)
		}
		return m[3]
	})
	if err != nil || out == n.Value {
		return err
	}
	n.Value = out
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Style&yaml.TaggedStyle == 0 {
		n.Tag = plainTag(out)
	}
	return nil
}

// plainTag is what an unquoted value is: only now is it known to be a number, say. No value
// from outside is null or more than one value.
func plainTag(value string) string {
	var doc yaml.Node
	if yaml.Load([]byte(value), &doc) == nil && len(doc.Content) == 1 && doc.Content[0].Value == value {
		switch tag := doc.Content[0].ShortTag(); tag {
		case "!!int", "!!float", "!!bool":
			return tag
		}
	}
	return "!!str"
}

// secret makes the one key of {file: …} or {env: …} say what a Secret will need.
func (x *expander) secret(n *yaml.Node) {
	if len(n.Content) != 2 || n.Content[1].Kind != yaml.ScalarNode {
		return
	}
	value := n.Content[1]
	switch n.Content[0].Value {
	case "file":
		path := value.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(x.dir, path)
		}
		n.HeadComment = secretTag + path
	case "env":
		n.HeadComment = secretTag + x.env(value.Value)
	}
}
