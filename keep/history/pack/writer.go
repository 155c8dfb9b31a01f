package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"
)

const (
	header      = "LULLPACK1\n"
	end         = "LULLEND1"
	trailerSize = 8 + 8 + sha256.Size + len(end)
	// MaxRaw is the most bytes a payload may have.
	MaxRaw = 1 << 30
	// maxIndex is the most bytes an index may have, stored or not.
	maxIndex = 256 << 20
)

// Writer writes one pack. It is for one goroutine. Once a method returned an error of the
// io.Writer below, all that follow do.
type Writer struct {
	w         io.Writer
	sealer    *Sealer
	sum       hash.Hash
	size      int64
	members   []Member
	encrypted bool
	closed    bool
	err       error
	buf       []byte
}

// NewWriter begins a pack. Its members are encrypted to the recipients, to all of them, or not
// at all when there are none.
func NewWriter(w io.Writer, recipients []age.Recipient) (*Writer, error) {
	sealer, err := NewSealer(recipients, 1)
	if err != nil {
		return nil, fmt.Errorf("begin pack: %w", err)
	}
	pw := &Writer{w: w, sealer: sealer, sum: sha256.New(), encrypted: len(recipients) > 0}
	pw.write([]byte(header))
	return pw, pw.err
}

// Add appends a member. Of m it fills in Offset, Size, Sum and Raw; the rest is kept as it is.
func (w *Writer) Add(m Member, payload []byte) error {
	sealed, err := w.sealer.seal(m, payload, w.buf[:0])
	if err != nil {
		return err
	}
	w.buf = sealed.buf
	return w.AddSealed(sealed)
}

// AddSealed appends a member that a Sealer for the same recipients has made ready.
func (w *Writer) AddSealed(s *Sealed) error { return w.append(s.member, s.stored) }

// Copy appends a member of another pack as it is stored there, without reading it. Bytes that
// are not those m describes are refused with a CorruptError.
func (w *Writer) Copy(m Member, stored []byte) error {
	if err := check(place(len(w.members), &m), &m, stored); err != nil {
		return err
	}
	w.encrypted = w.encrypted || isSealed(stored)
	return w.append(m, stored)
}

func (w *Writer) append(m Member, stored []byte) error {
	m.Offset, m.Size = w.size, int64(len(stored))
	if w.write(stored); w.err == nil {
		w.members = append(w.members, m)
	}
	return w.err
}

func (w *Writer) write(b []byte) {
	if w.closed && w.err == nil {
		w.err = errors.New("write pack: it is closed")
	}
	if w.err != nil {
		return
	}
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("write pack: %w", err)
		return
	}
	w.sum.Write(b)
	w.size += int64(len(b))
}

// Size is how many bytes were written so far.
func (w *Writer) Size() int64 { return w.size }

// Members are those written so far, as the index will describe them.
func (w *Writer) Members() []Member { return w.members }

// Close writes the index, whose Version, Encrypted and Members it fills in, and returns the
// SHA-256 of the whole pack in hexadecimal. The io.Writer stays open.
func (w *Writer) Close(ix Index) (sum string, err error) {
	ix.Version, ix.Encrypted, ix.Members = Version, w.encrypted, w.members
	if ix.Members == nil {
		ix.Members = []Member{}
	}
	text, err := json.Marshal(&ix)
	if err != nil {
		return "", fmt.Errorf("write pack: %w", err)
	}
	if len(text) > maxIndex {
		return "", fmt.Errorf("write pack: an index of %d bytes is too large", len(text))
	}
	stored := w.sealer.enc.EncodeAll(text, nil)
	stored = appendTrailer(stored, w.size)
	w.write(stored)
	w.closed = true
	if w.err != nil {
		return "", w.err
	}
	return hex.EncodeToString(w.sum.Sum(nil)), nil
}

// appendTrailer appends to a stored index at offset what finds it again.
func appendTrailer(index []byte, offset int64) []byte {
	sum := sha256.Sum256(index)
	n := len(index)
	index = binary.LittleEndian.AppendUint64(index, uint64(offset))
	index = binary.LittleEndian.AppendUint64(index, uint64(n))
	index = append(index, sum[:]...)
	return append(index, end...)
}
