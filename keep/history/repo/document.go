package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history/pack"
)

// maxDocument is the most bytes a JSON document in a repository may have.
const maxDocument = 64 << 20

// A document is a JSON object whose last member is check: the SHA-256 of the document without
// that member. So damage shows even where the JSON stays valid.
const (
	checkStart = `,"check":"`
	checkEnd   = "\"}\n"
)

const checkSize = len(checkStart) + 2*sha256.Size + len(checkEnd)

// sealDocument writes a JSON object with a checksum in it.
func sealDocument(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	if len(text) < 3 || text[0] != '{' {
		return nil, errors.New("write document: it is no object, or an empty one")
	}
	return appendCheck(text), nil
}

func appendCheck(object []byte) []byte {
	sum := sha256.Sum256(object)
	out := append([]byte(nil), object[:len(object)-1]...)
	out = append(out, checkStart...)
	out = append(out, hex.EncodeToString(sum[:])...)
	return append(out, checkEnd...)
}

// openDocument reads what sealDocument wrote; damage is a pack.CorruptError.
func openDocument(text []byte, v any) error {
	damaged := func(why string) error { return &pack.CorruptError{Where: "document", Reason: why} }
	if len(text) <= checkSize || !bytes.HasSuffix(text, []byte(checkEnd)) {
		return damaged("it is cut short")
	}
	at := len(text) - checkSize
	object := append(append([]byte(nil), text[:at]...), '}')
	if sum := sha256.Sum256(object); !bytes.Equal(appendCheck(object), text) {
		return damaged(fmt.Sprintf("its checksum is not %x", sum))
	}
	if err := json.Unmarshal(object, v); err != nil {
		return damaged(err.Error())
	}
	return nil
}

func putBytes(ctx context.Context, store blob.Store, name string, text []byte) error {
	return store.Put(ctx, name, bytes.NewReader(text), int64(len(text)))
}

// readAll reads an object of at most limit bytes.
func readAll(ctx context.Context, store blob.Store, name string, limit int64) ([]byte, error) {
	in, err := store.Open(ctx, name, 0, limit+1)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("read %s: %w", name, &pack.CorruptError{Where: "document", Reason: "it is too large"})
	}
	return text, nil
}
