package mysql

import (
	"fmt"
	"log/slog"
)

const masked = "<secret>"

// Secret holds a password and prints as "<secret>" with every fmt verb, in JSON and in
// slog. The zero Secret is "not set", which differs from a Secret that is set to "".
type Secret struct {
	// A pointer, because fmt cannot call methods on a Secret that sits in an unexported
	// field of something bigger: it then prints an address instead of the text.
	text *string
}

// NewSecret holds s.
func NewSecret(s string) Secret { return Secret{text: &s} }

// Reveal is the text itself, "" when it is not set. Only a connection needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet says that there is a password, which may be empty.
func (s Secret) IsSet() bool { return s.text != nil }

// String is "<secret>", or "" when it is not set.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return masked
}

// Format writes String whichever verb is asked for.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText is String, for JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
