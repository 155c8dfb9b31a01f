package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	lull "github.com/lull-ops/lull"
)

// Source is where a pack's bytes are.
type Source interface {
	// ReadAt fills p with the bytes from off on, all of it or it returns an error.
	ReadAt(ctx context.Context, p []byte, off int64) error
	// Size is how many bytes there are.
	Size() int64
}

// At makes a Source of size bytes that are at hand: a file's or a bytes.Reader's.
func At(r io.ReaderAt, size int64) Source { return at{r, size} }

type at struct {
	r    io.ReaderAt
	size int64
}

func (a at) Size() int64 { return a.size }

func (a at) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := a.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// tailSize is how much is read at first: most indexes are smaller.
const tailSize = 64 << 10

// Reader reads one pack. It may be used by many goroutines at once.
type Reader struct {
	src        Source
	identities []age.Identity
	dec        *zstd.Decoder
	index      Index
}

// Open reads a pack's index, in one read or two. The index is in clear: identities are only
// needed for Payload. What is not a whole pack is a CorruptError, a pack of a later format a
// lull.Error of kind Usage.
func Open(ctx context.Context, src Source, identities []age.Identity) (*Reader, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("open pack: %w", err)
	}
	r := &Reader{src: src, identities: identities, dec: dec}
	offset, stored, err := readIndex(ctx, src)
	if err != nil {
		return nil, err
	}
	text, err := inflateIndex(dec, stored)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &r.index); err != nil {
		return nil, corrupt("index", "%v", err)
	}
	return r, r.index.check(offset)
}

// readIndex finds the stored index, and what its checksum says about it.
func readIndex(ctx context.Context, src Source) (offset int64, stored []byte, err error) {
	size := src.Size()
	if size < int64(len(header)+trailerSize) {
		return 0, nil, corrupt("pack", "%d bytes are too few", size)
	}
	tail := make([]byte, min(size, tailSize))
	if err := src.ReadAt(ctx, tail, size-int64(len(tail))); err != nil {
		return 0, nil, fmt.Errorf("read pack: %w", err)
	}
	if int64(len(tail)) == size && string(tail[:len(header)]) != header {
		return 0, nil, corrupt("pack", "it does not begin with %q", header)
	}
	trailer := tail[len(tail)-trailerSize:]
	if string(trailer[trailerSize-len(end):]) != end {
		return 0, nil, corrupt("trailer", "it does not end with %q", end)
	}
	offset = int64(binary.LittleEndian.Uint64(trailer))
	n := int64(binary.LittleEndian.Uint64(trailer[8:]))
	if n < 0 || n > maxIndex || offset < int64(len(header)) || offset != size-int64(trailerSize)-n {
		return 0, nil, corrupt("trailer", "an index of %d bytes at %d does not fit a pack of %d", n, offset, size)
	}
	if before := int64(len(tail) - trailerSize); n <= before {
		stored = tail[before-n : before]
	} else {
		stored = make([]byte, n)
		if err := src.ReadAt(ctx, stored, offset); err != nil {
			return 0, nil, fmt.Errorf("read pack: %w", err)
		}
	}
	if sum := sha256.Sum256(stored); !bytes.Equal(sum[:], trailer[16:16+sha256.Size]) {
		return 0, nil, corrupt("index", "its checksum is another")
	}
	return offset, stored, nil
}

// check holds an index against the rules: members lie one behind the other and end at end.
func (ix *Index) check(end int64) error {
	if ix.Version > Version {
		return lull.Errorf(lull.Usage, "use a newer lull", "open pack: its format is version %d, this program knows up to %d",
			ix.Version, Version)
	}
	if ix.Version < 1 {
		return corrupt("index", "version %d", ix.Version)
	}
	at := int64(len(header))
	for i := range ix.Members {
		m := &ix.Members[i]
		if m.Offset != at || m.Size <= 0 || m.Size > end-at {
			return corrupt("index", "%s cannot have %d bytes at %d", place(i, m), m.Size, m.Offset)
		}
		if m.Raw < 0 || m.Raw > MaxRaw || m.Count < 0 {
			return corrupt("index", "%s cannot have %d records in %d bytes", place(i, m), m.Count, m.Raw)
		}
		at += m.Size
	}
	if at != end {
		return corrupt("index", "members end at %d, not at %d", at, end)
	}
	return nil
}

// Index describes the pack. It belongs to the Reader.
func (r *Reader) Index() *Index { return &r.index }

// Stored reads the i-th member as it lies in the pack; its checksum was compared.
func (r *Reader) Stored(ctx context.Context, i int) ([]byte, error) {
	if i < 0 || i >= len(r.index.Members) {
		return nil, fmt.Errorf("read member %d: there are %d", i, len(r.index.Members))
	}
	m := &r.index.Members[i]
	stored := make([]byte, m.Size)
	if err := r.src.ReadAt(ctx, stored, m.Offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", place(i, m), err)
	}
	return stored, check(place(i, m), m, stored)
}

// check compares stored bytes with what m says of them.
func check(where string, m *Member, stored []byte) error {
	if int64(len(stored)) != m.Size {
		return corrupt(where, "%d bytes, not %d", len(stored), m.Size)
	}
	if sum := sha256.Sum256(stored); hex.EncodeToString(sum[:]) != m.Sum {
		return corrupt(where, "its checksum is another")
	}
	return nil
}

// Payload reads the i-th member's payload: checked, decrypted and decompressed. A member that
// no identity fits is a lull.Error of kind Usage.
func (r *Reader) Payload(ctx context.Context, i int) ([]byte, error) {
	stored, err := r.Stored(ctx, i)
	if err != nil {
		return nil, err
	}
	m := &r.index.Members[i]
	if isSealed(stored) {
		if stored, err = unseal(place(i, m), stored, r.identities); err != nil {
			return nil, err
		}
	}
	return inflate(r.dec, place(i, m), stored, m.Raw)
}

const sealed = "age-encryption.org/"

// isSealed says that stored bytes are an age file: each member says itself whether it is
// encrypted, because packs made of others may hold both.
func isSealed(stored []byte) bool { return bytes.HasPrefix(stored, []byte(sealed)) }

func unseal(where string, stored []byte, identities []age.Identity) ([]byte, error) {
	if len(identities) == 0 {
		return nil, lull.Errorf(lull.Usage, "give the key with --identity FILE", "read %s: it is encrypted", where)
	}
	plain, err := age.Decrypt(bytes.NewReader(stored), identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, lull.Errorf(lull.Usage, "give the key with --identity FILE",
			"read %s: it is encrypted to other keys than those given", where)
	}
	if err != nil {
		return nil, corrupt(where, "%v", err)
	}
	out, err := io.ReadAll(plain)
	if err != nil {
		return nil, corrupt(where, "%v", err)
	}
	return out, nil
}

// inflate decompresses what must become raw bytes. It makes room for no more than that,
// whatever the bytes would become.
func inflate(dec *zstd.Decoder, where string, stored []byte, raw int64) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(stored); err == nil && h.HasFCS && h.FrameContentSize != uint64(raw) {
		return nil, corrupt(where, "its frame tells of %d bytes, not %d", h.FrameContentSize, raw)
	}
	out, err := dec.DecodeAll(stored, make([]byte, 0, raw))
	if err != nil {
		return nil, corrupt(where, "%v", err)
	}
	if int64(len(out)) != raw {
		return nil, corrupt(where, "%d bytes, not %d", len(out), raw)
	}
	return out, nil
}

// inflateIndex decompresses an index, of which only the frame itself may say how large it is.
func inflateIndex(dec *zstd.Decoder, stored []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(stored); err != nil {
		return nil, corrupt("index", "%v", err)
	}
	room := min(maxIndex, 64<<10+256*uint64(len(stored))) // a frame need not say
	if h.HasFCS {
		room = h.FrameContentSize
	}
	if room > maxIndex {
		return nil, corrupt("index", "%d bytes are too many", room)
	}
	text, err := dec.DecodeAll(stored, make([]byte, 0, room))
	if err != nil {
		return nil, corrupt("index", "%v", err)
	}
	return text, nil
}
