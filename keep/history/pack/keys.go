package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"

	lull "github.com/lull-ops/lull"
)

// ParseRecipients reads whom to encrypt to: public keys of age ("age1...") and of SSH
// ("ssh-ed25519 ...", "ssh-rsa ..."), one a line. Empty lines and those that begin with # are
// passed over. A mistake is a lull.Error of kind Usage; it never shows a secret key.
func ParseRecipients(lines []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseRecipient(line)
		if err != nil {
			return nil, lull.Errorf(lull.Usage, `a recipient is a public key: "age1..." (of age-keygen) or "ssh-ed25519 ..."`,
				"read recipient %d: %w", i+1, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRecipient(line string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(line, "age1"):
		return age.ParseX25519Recipient(line)
	case strings.HasPrefix(line, "ssh-"):
		return agessh.ParseRecipient(line)
	case strings.HasPrefix(strings.ToUpper(line), "AGE-SECRET-KEY-"), strings.HasPrefix(line, "-----BEGIN"):
		return nil, errors.New("this is a secret key")
	}
	return nil, errors.New("this is no key of age or SSH")
}

// maxIdentities is the most bytes a file of identities may have.
const maxIdentities = 1 << 20

// ParseIdentities reads secret keys: a file of age-keygen, or an SSH private key without a
// passphrase. A mistake is a lull.Error of kind Usage; it never shows a secret key.
func ParseIdentities(r io.Reader) ([]age.Identity, error) {
	in := bufio.NewReader(io.LimitReader(r, maxIdentities))
	if start, _ := in.Peek(len("-----BEGIN")); string(start) == "-----BEGIN" {
		pem, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("read identity: %w", err)
		}
		id, err := agessh.ParseIdentity(pem)
		if err != nil {
			return nil, lull.Errorf(lull.Usage, identityHint, "read identity: %w", err)
		}
		return []age.Identity{id}, nil
	}
	ids, err := age.ParseIdentities(in)
	if err != nil {
		// The cause is left out: it may quote the line, and the line may be the key.
		return nil, lull.Errorf(lull.Usage, identityHint, "read identity: this is no secret key of age or SSH")
	}
	return ids, nil
}

const identityHint = "an identity is a file of age-keygen, or an SSH private key without a passphrase"

// Generate makes a new pair of keys: what to encrypt to ("age1..."), and what reads it
// ("AGE-SECRET-KEY-1...").
func Generate() (public, secret string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	return id.Recipient().String(), id.String(), nil
}
