package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// window is how far back zstd looks. More costs a tenth of the time and gains a four-hundredth
// of the bytes.
const window = 1 << 20

// Sealer makes members ready to be stored: it compresses and encrypts, which is most of the
// work of writing a pack. It may be used by several goroutines at a time.
type Sealer struct {
	recipients []age.Recipient
	enc        *zstd.Encoder
}

// Sealed is a member that is ready to be appended to a pack.
type Sealed struct {
	member Member // Offset and Size are not known yet
	stored []byte
	buf    []byte // to be used again, when only one goroutine seals
}

// NewSealer makes a Sealer that does at most atOnce members at a time; more of them wait.
// Members are encrypted to all of the recipients, or not at all when there are none.
func NewSealer(recipients []age.Recipient, atOnce int) (*Sealer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(atOnce), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(window), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	return &Sealer{recipients: recipients, enc: enc}, nil
}

// Seal makes a member of a payload, of which it keeps nothing. Of m it fills in Sum and Raw.
func (s *Sealer) Seal(m Member, payload []byte) (*Sealed, error) { return s.seal(m, payload, nil) }

func (s *Sealer) seal(m Member, payload, buf []byte) (*Sealed, error) {
	if len(payload) > MaxRaw {
		return nil, fmt.Errorf("seal %s of %s: %d bytes are more than a member may have", m.Kind, m.Table, len(payload))
	}
	buf = s.enc.EncodeAll(payload, buf)
	stored := buf
	if len(s.recipients) > 0 {
		var err error
		if stored, err = encrypt(stored, s.recipients); err != nil {
			return nil, fmt.Errorf("encrypt %s of %s: %w", m.Kind, m.Table, err)
		}
	}
	m.Raw = int64(len(payload))
	sum := sha256.Sum256(stored)
	m.Sum = hex.EncodeToString(sum[:])
	return &Sealed{m, stored, buf}, nil
}

func encrypt(plain []byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(plain) + len(plain)/1000 + 1024)
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
