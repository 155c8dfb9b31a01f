package act

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/fsx"
)

// Record is one row of a plan. Now is the row as the plan found it, nil when it is missing;
// To is the row as it will be, nil when it will be deleted. In a Keep section To is what it
// would have been, and Was and Why tell the conflict.
type Record struct {
	Now, To db.Row
	Set     []int  // columns that an update writes
	Was     db.Row // the row as the accident left it; nil when it deleted the row
	// There is, in a table without a key, how many rows equal to Now, or to To when Now is
	// nil, the plan found.
	There int64
	Why   string
}

const recordsMagic = "lullrec1"

// recordWriter writes a section's records: magic, then length-prefixed records; the file's
// SHA-256 is kept in the plan.
type recordWriter struct {
	f    *os.File
	w    *bufio.Writer
	sum  hash.Hash
	rows int64
	size int64
	buf  []byte
}

func createRecords(path string) (*recordWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create plan: %w", err)
	}
	r := &recordWriter{f: f, sum: sha256.New()}
	r.w = bufio.NewWriterSize(io.MultiWriter(f, r.sum), 256<<10)
	_, err = r.w.WriteString(recordsMagic)
	return r, err
}

// Append appends the record's bytes, for Parse, to dst.
func (rec *Record) Append(dst []byte) []byte {
	dst = db.AppendRow(dst, rec.Now)
	dst = db.AppendRow(dst, rec.To)
	dst = binary.AppendUvarint(dst, uint64(len(rec.Set)))
	for _, i := range rec.Set {
		dst = binary.AppendUvarint(dst, uint64(i))
	}
	dst = db.AppendRow(dst, rec.Was)
	dst = binary.AppendUvarint(dst, uint64(rec.There))
	return append(dst, rec.Why...)
}

func (r *recordWriter) write(rec *Record) error {
	b := rec.Append(r.buf[:0])
	r.buf = b
	var head [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(b)))
	r.rows++
	r.size += int64(len(b))
	if _, err := r.w.Write(head[:n]); err != nil {
		return spaceError(err)
	}
	_, err := r.w.Write(b)
	return spaceError(err)
}

func spaceError(err error) error {
	if fsx.IsFull(err) {
		return fmt.Errorf("write plan: the disk is full; nothing was changed: %w", err)
	}
	return err
}

func (r *recordWriter) close() (sha string, err error) {
	err = r.w.Flush()
	if err == nil {
		err = r.f.Sync()
	}
	return hex.EncodeToString(r.sum.Sum(nil)), errors.Join(spaceError(err), r.f.Close())
}

// Records reads a section's records in order.
type Records struct {
	f   *os.File
	r   *bufio.Reader
	buf []byte
	rec Record
}

func openRecords(path string) (*Records, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open plan rows: %w", err)
	}
	r := &Records{f: f, r: bufio.NewReaderSize(f, 256<<10)}
	magic := make([]byte, len(recordsMagic))
	if _, err := io.ReadFull(r.r, magic); err != nil || string(magic) != recordsMagic {
		f.Close()
		return nil, fmt.Errorf("%s does not hold a plan's rows", path)
	}
	return r, nil
}

var errRecord = errors.New("plan rows are damaged")

// Next reads a record, valid until the next call; io.EOF ends the section.
func (r *Records) Next() (*Record, error) {
	b, err := r.Append(r.buf[:0])
	if err != nil {
		return nil, err
	}
	r.buf = b
	if err := r.rec.Parse(b); err != nil {
		return nil, err
	}
	return &r.rec, nil
}

// Append appends the next record's bytes, for Parse, to dst; io.EOF ends the section.
func (r *Records) Append(dst []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return dst, err
	}
	if n > maxRecord {
		return dst, errRecord
	}
	at := len(dst)
	dst = slices.Grow(dst, int(n))[:at+int(n)]
	if _, err := io.ReadFull(r.r, dst[at:]); err != nil {
		return dst[:at], errRecord
	}
	return dst, nil
}

// maxRecord is above what the servers' largest packet can hold, twice.
const maxRecord = 4 << 30

// Parse reads a record from the bytes that Append gave; it points into them and reuses rec's
// rows.
func (rec *Record) Parse(b []byte) (err error) {
	now, to, was := rec.Now, rec.To, rec.Was
	if rec.Now, b, err = db.ParseRow(b, now); err != nil {
		return err
	}
	if rec.To, b, err = db.ParseRow(b, to); err != nil {
		return err
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)) {
		return errRecord
	}
	b = b[w:]
	rec.Set = rec.Set[:0]
	for range n {
		i, w := binary.Uvarint(b)
		if w <= 0 {
			return errRecord
		}
		rec.Set = append(rec.Set, int(i))
		b = b[w:]
	}
	if rec.Was, b, err = db.ParseRow(b, was); err != nil {
		return err
	}
	there, w := binary.Uvarint(b)
	if w <= 0 {
		return errRecord
	}
	rec.There, rec.Why = int64(there), string(b[w:])
	return nil
}

// Close closes the file.
func (r *Records) Close() error { return r.f.Close() }

// fileSHA is a file's SHA-256 in hex.
func fileSHA(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
