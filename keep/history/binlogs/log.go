// Package binlogs reads a table's past from the binlogs that a MySQL or MariaDB server
// already writes: from the server, or from the files alone. It finds what transactions did
// and hands out their row changes; it does not judge or repair them.
package binlogs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db/mysql/binlog"
)

// Log is one binlog file, wherever it lies.
type Log interface {
	// Name is the file's base name: "mysql-bin.000412".
	Name() string
	// Size in bytes, -1 when it is not known.
	Size() int64
	// Started is when the server opened the file, from its first event.
	Started(ctx context.Context) (time.Time, error)
	// Open reads the log from the event at offset from, or from its start when from is at
	// most 4. The options say how to parse what the reader yields.
	Open(ctx context.Context, from int64) (io.ReadCloser, binlog.Options, error)
}

// file is a Log on this machine's disk.
type file struct {
	path string
	size int64
}

func (f *file) Name() string { return filepath.Base(f.path) }

func (f *file) Size() int64 { return f.size }

func (f *file) Started(context.Context) (time.Time, error) {
	h, err := os.Open(f.path)
	if err != nil {
		return time.Time{}, err
	}
	defer h.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(h, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return time.Time{}, fmt.Errorf("read %s: %w", f.path, err)
	}
	t, ok := binlog.FormatTime(head[:n])
	if !ok || string(head[:4]) != binlog.Magic { // an encrypted log does not tell
		return time.Time{}, notBinlog(f.path)
	}
	return t, nil
}

func notBinlog(path string) error {
	return lull.Errorf(lull.Usage, "give a file that starts with fe 62 69 6e, or the server's data directory", "%s is not a binlog", path)
}

// Open skips to an offset by reading the format description first, which tells how to
// parse the rest.
func (f *file) Open(_ context.Context, from int64) (io.ReadCloser, binlog.Options, error) {
	h, err := os.Open(f.path)
	if err != nil {
		return nil, binlog.Options{}, err
	}
	if from <= 4 {
		return h, binlog.Options{}, nil
	}
	head, err := openingEvents(h)
	if err == nil && from > f.size {
		err = lull.Errorf(lull.Usage, "run `lull find --all` for the positions that are there", "%s has %d bytes, there is no position %d", f.Name(), f.size, from)
	}
	if err == nil {
		_, err = h.Seek(from, io.SeekStart)
	}
	if err != nil {
		h.Close()
		return nil, binlog.Options{}, err
	}
	return &joined{io.MultiReader(bytes.NewReader(head), h), h}, binlog.Options{Start: from}, nil
}

type joined struct {
	io.Reader
	io.Closer
}

// openingEvents reads what tells how to parse the rest of a log: the magic bytes, the format
// description, and the event that says the rest is encrypted.
func openingEvents(h *os.File) ([]byte, error) {
	head := make([]byte, len(binlog.Magic))
	if _, err := io.ReadFull(h, head); err != nil {
		return nil, notBinlog(h.Name())
	}
	if string(head) != binlog.Magic {
		return head, nil // the parser says what is wrong with it
	}
	head, typ, err := appendEvent(head, h)
	if err != nil || typ != binlog.FormatDescriptionEvent {
		return nil, notBinlog(h.Name())
	}
	if next, typ, err := appendEvent(head, h); err == nil && typ == binlog.MariaStartEncryptionEvent {
		return next, nil
	}
	return head, nil
}

// appendEvent reads one of the small events that a log begins with.
func appendEvent(dst []byte, r io.Reader) ([]byte, binlog.EventType, error) {
	const headerSize, most = 19, 4096
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, 0, err
	}
	size := binary.LittleEndian.Uint32(header[9:])
	if size < headerSize || size > most {
		return nil, 0, fmt.Errorf("event of %d bytes", size)
	}
	n := len(dst)
	dst = append(dst, make([]byte, size)...)
	copy(dst[n:], header)
	_, err := io.ReadFull(r, dst[n+headerSize:])
	return dst, binlog.EventType(header[4]), err
}

// Files opens binlog files: each path is one file, or a directory whose binlogs are all
// taken. They come in the order of their numbers.
func Files(paths []string) ([]Log, error) {
	var out []Log
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, lull.Errorf(lull.Usage, "check the path given to --binlog", "open %s: %w", p, unwrapPath(err))
		}
		if !st.IsDir() {
			out = append(out, &file{p, st.Size()})
			continue
		}
		logs, err := inDir(p)
		if err != nil {
			return nil, err
		}
		out = append(out, logs...)
	}
	slices.SortStableFunc(out, func(a, b Log) int { return compareNames(a.Name(), b.Name()) })
	return distinct(out)
}

// distinct drops files that were given twice, and refuses two files of one name: positions
// could not tell them apart.
func distinct(logs []Log) ([]Log, error) {
	out := logs[:0]
	for _, l := range logs {
		if n := len(out); n > 0 && out[n-1].Name() == l.Name() {
			a, b := out[n-1].(*file).path, l.(*file).path
			if sameFile(a, b) {
				continue
			}
			return nil, lull.Errorf(lull.Usage, "give the logs of one server", "%s and %s have the same name", a, b)
		}
		out = append(out, l)
	}
	return out, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func unwrapPath(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}

func inDir(dir string) ([]Log, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, unwrapPath(err))
	}
	var out []Log
	for _, e := range entries {
		if _, _, ok := number(e.Name()); !ok || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		st, err := e.Info()
		if err != nil || !opensBinlog(path) {
			continue
		}
		out = append(out, &file{path, st.Size()})
	}
	if len(out) == 0 {
		return nil, lull.Errorf(lull.Usage, "binlogs are named like mysql-bin.000001; is this the server's log directory?", "%s holds no binlog", dir)
	}
	return out, nil
}

func opensBinlog(path string) bool {
	h, err := os.Open(path)
	if err != nil {
		return false
	}
	defer h.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(h, head)
	return err == nil && string(head[1:]) == "bin" && (head[0] == 0xfe || head[0] == 0xfd)
}

// number splits "mysql-bin.000412" into its base and its number.
func number(name string) (base string, n int64, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name, 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 64)
	return name[:i], n, err == nil
}

func compareNames(a, b string) int {
	ab, an, _ := number(a)
	bb, bn, _ := number(b)
	if ab != bb {
		return strings.Compare(ab, bb)
	}
	return cmp.Compare(an, bn)
}
