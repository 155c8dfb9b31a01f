package confile

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Secret is a value that a config only points to: {file: PATH}, relative to the config's
// folder, or {env: NAME}. However it is printed, it comes out as "<secret>". The zero Secret
// is none.
type Secret struct{ value string }

const hidden = "<secret>"

const secretHint = "write {file: PATH} or {env: NAME}"

// NewSecret wraps a value that came another way.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the value itself, for the one that has to show it at a door.
func (s Secret) Reveal() string { return s.value }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// String is "<secret>", or empty when there is none.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// Format hides the value from all of fmt's verbs.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText hides the value from JSON and from logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the value from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML reads what Load has prepared.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	fail := func(what string) error { return &problem{what: what, hint: secretHint, line: n.Line} }
	found, ok := strings.CutPrefix(n.HeadComment, secretTag)
	if n.Kind != yaml.MappingNode || !ok || len(n.Content) != 2 {
		return fail("a secret does not stand in this file itself")
	}
	if n.Content[0].Value == "env" {
		if found == "" {
			return fail(n.Content[1].Value + " is not set in the environment")
		}
		s.value = found
		return nil
	}
	b, err := os.ReadFile(found)
	if err != nil {
		return &problem{what: oneLine(err.Error()), hint: "put the secret into that file, readable by this user", line: n.Line}
	}
	s.value = strings.TrimRight(string(b), "\r\n")
	if s.value == "" {
		return &problem{what: found + " is empty", hint: "put the secret into that file", line: n.Line}
	}
	return nil
}
