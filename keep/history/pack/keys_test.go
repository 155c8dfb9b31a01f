package pack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	lull "github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/history/pack"
)

func file(tb testing.TB, name string) string {
	tb.Helper()
	return string(must(os.ReadFile(filepath.Join("testdata", name)))(tb))
}

// Each of several recipients, of age and of SSH, can read a pack; nobody else can.
func TestKeys(t *testing.T) {
	public, secret, err := pack.Generate()
	fine(t, err)
	to := must(pack.ParseRecipients([]string{"# us", "", " " + public + " ", file(t, "ssh_ed25519.pub"), file(t, "ssh_rsa.pub")}))(t)
	_, b := written(t, to, nil, someMembers()...)
	read := func(identity string) error {
		r := must(pack.Open(t.Context(), bytesOf(b), must(pack.ParseIdentities(strings.NewReader(identity)))(t)))(t)
		_, err := r.Payload(t.Context(), 0)
		return err
	}
	_, stranger, err := pack.Generate()
	fine(t, err)
	fine(t, read("# created: today\n"+secret+"\n"))
	fine(t, read(stranger+"\n"+secret+"\n"))
	fine(t, read(file(t, "ssh_ed25519")))
	fine(t, read(file(t, "ssh_rsa")))
	asksForKey(t, read(stranger))
	_, err = must(pack.Open(t.Context(), bytesOf(b), nil))(t).Payload(t.Context(), 0)
	asksForKey(t, err)
}

func asksForKey(t *testing.T, err error) {
	t.Helper()
	if lull.KindOf(err) != lull.Usage || lull.HintOf(err) != "give the key with --identity FILE" {
		t.Errorf("a locked pack says %v, hint %q", err, lull.HintOf(err))
	}
}

// What is no key is told so, and what is secret is not shown.
func TestWrongKeys(t *testing.T) {
	_, secret, err := pack.Generate()
	fine(t, err)
	f := func(err error) {
		t.Helper()
		if lull.KindOf(err) != lull.Usage || lull.HintOf(err) == "" {
			t.Errorf("a wrong key says %v", err)
		} else if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret[20:30])) {
			t.Errorf("a secret is shown: %v", err)
		}
	}
	recipient := func(line string) { t.Helper(); _, err := pack.ParseRecipients([]string{line}); f(err) }
	recipient(secret)
	recipient(strings.ToLower(secret))
	recipient("age1nonsense")
	recipient("ssh-ed25519 nonsense")
	recipient("-----BEGIN OPENSSH PRIVATE KEY-----")
	recipient("me@example.org")
	identity := func(text string) { t.Helper(); _, err := pack.ParseIdentities(strings.NewReader(text)); f(err) }
	identity("")
	identity(secret[:len(secret)-1])
	identity(secret + "x")
	identity("# nothing\n")
	identity("age1nonsense")
	identity("-----BEGIN OPENSSH PRIVATE KEY-----\n")
	identity(file(t, "ssh_locked"))
}

// tool runs a program that scripts/setup.sh installs.
func tool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run %s: %v\n%s(scripts/setup.sh installs what is missing)", name, err, said.String())
	}
	return out
}

// The tools everybody has read a member as it lies in a pack, and make one that Lull reads.
func TestToolsReadPacks(t *testing.T) {
	to, with, secret := keys(t)
	key := filepath.Join(t.TempDir(), "key")
	fine(t, os.WriteFile(key, []byte(secret+"\n"), 0o600))
	r, b := written(t, to, with, someMembers()...)
	for i, m := range r.Index().Members {
		plain := tool(t, tool(t, b[m.Offset:m.Offset+m.Size], "age", "-d", "-i", key), "zstd", "-dc")
		if !bytes.Equal(plain, someMembers()[i].payload) {
			t.Errorf("age and zstd read member %d as %q", i, plain)
		}
	}
	clear, b := written(t, nil, nil, someMembers()...)
	for i, m := range clear.Index().Members {
		if plain := tool(t, b[m.Offset:m.Offset+m.Size], "zstd", "-dc"); !bytes.Equal(plain, someMembers()[i].payload) {
			t.Errorf("zstd reads member %d as %q", i, plain)
		}
	}

	payload := someMembers()[0].payload
	recipient, _, _ := strings.Cut(string(tool(t, nil, "age-keygen", "-y", key)), "\n")
	stored := tool(t, tool(t, payload, "zstd", "-19", "-c"), "age", "-r", recipient)
	enc := must(zstd.NewWriter(nil))(t)
	b = forge(enc, stored, index(t, stored, len(payload)))
	theirs := must(pack.Open(t.Context(), bytesOf(b), with))(t)
	if got := must(theirs.Payload(t.Context(), 0))(t); !bytes.Equal(got, payload) {
		t.Errorf("what the tools wrote is read as %q", got)
	}
}
