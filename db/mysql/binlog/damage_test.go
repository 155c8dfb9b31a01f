package binlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lull-ops/lull/db/mysql/binlog"
)

// boundaries are the offsets at which events of a log begin, and its end.
func boundaries(log []byte) (out []int64) {
	at := int64(4)
	for at < int64(len(log)) {
		out = append(out, at)
		at += int64(binary.LittleEndian.Uint32(log[at+9:]))
	}
	return append(out, at)
}

func TestTruncated(t *testing.T) {
	for name, log := range corpus(t) {
		whole, err := parse(log, (*binlog.TableMap).Shape)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ends := boundaries(log)
		for n := range log {
			got, err := parse(log[:n], (*binlog.TableMap).Shape)
			if i := slices.IndexFunc(whole, func(s step) bool { return s.End > int64(n) }); i >= 0 && len(got) != i {
				t.Fatalf("%s cut at %d: %d events, want %d", name, n, len(got), i)
			}
			if slices.Contains(ends, int64(n)) {
				if err != nil {
					t.Fatalf("%s cut between events at %d: %v", name, n, err)
				}
				continue
			}
			bad, ok := errors.AsType[*binlog.CorruptError](err)
			if !ok || !bad.Short || bad.Pos != begin(ends, int64(n)) {
				t.Fatalf("%s cut at %d: %#v, want a short event at %d", name, n, err, begin(ends, int64(n)))
			}
		}
	}
}

// begin is where the event lies that the byte at n belongs to; 0 for the magic bytes.
func begin(ends []int64, n int64) int64 {
	at := int64(0)
	for _, e := range ends {
		if e <= n {
			at = e
		}
	}
	return at
}

// TestFlipped flips each bit of each log. What is handed out before the error must be good.
func TestFlipped(t *testing.T) {
	for name, log := range corpus(t) {
		whole, err := parse(log, nil)
		if err != nil {
			t.Fatal(err)
		}
		ends := boundaries(log)
		for _, i := range bits(log, ends) {
			flipped := bytes.Clone(log)
			flipped[i/8] ^= 1 << (i % 8)
			if at := begin(ends, int64(i/8)); at > 4 {
				checkFlipped(t, name, flipped, i/8, at, whole)
				continue
			}
			_, _ = parse(flipped, nil) // the format description says whether there are checksums
		}
	}
}

// bits is every bit of the events' headers, and some of those between.
func bits(log []byte, ends []int64) (out []int) {
	for i := 4 * 8; i < len(log)*8; i++ {
		if in := int64(i/8) - begin(ends, int64(i/8)); in < 19 || i%29 == 0 {
			out = append(out, i)
		}
	}
	return out
}

func checkFlipped(t *testing.T, name string, log []byte, i int, at int64, whole []step) {
	t.Helper()
	steps, err := parse(log, nil)
	bad, ok := errors.AsType[*binlog.CorruptError](err)
	if !ok || bad.Pos != at {
		t.Errorf("%s flipped at %d: %v, want damage at %d", name, i, err, at)
	}
	if len(steps) > len(whole) || len(steps) > 0 && render(steps) != render(whole[:len(steps)]) {
		t.Errorf("%s flipped at %d: events that were not written", name, i)
	}
}

// TestFlippedWithoutChecksum has nothing to tell damage by: it must not crash or hang.
func TestFlippedWithoutChecksum(t *testing.T) {
	for _, log := range corpus(t) {
		for _, i := range bits(log, boundaries(log)) {
			flipped := bytes.Clone(log)
			flipped[i/8] ^= 1 << (i % 8)
			p := binlog.NewParser(bytes.NewReader(flipped), binlog.Options{SkipChecksums: true})
			_, _ = drain(p, (*binlog.TableMap).Shape)
		}
	}
}

// TestClaimedLength gives an event a length that the source does not back.
func TestClaimedLength(t *testing.T) {
	log := corpus(t)["mariadb-10.11"]
	ends := boundaries(log)
	binary.LittleEndian.PutUint32(log[ends[3]+9:], 0xfffffff0)
	long := append(log, make([]byte, 40<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := parse(long, nil)
	runtime.ReadMemStats(&after)
	if bad, ok := errors.AsType[*binlog.CorruptError](err); !ok || bad.Pos != ends[3] {
		t.Errorf("%v, want damage at %d", err, ends[3])
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated for a length that is no log position", used)
	}
	binary.LittleEndian.PutUint32(long[ends[3]+13:], 0)
	runtime.ReadMemStats(&before)
	_, err = parse(long, nil)
	runtime.ReadMemStats(&after)
	if bad, ok := errors.AsType[*binlog.CorruptError](err); !ok || !bad.Short || bad.Pos != ends[3] {
		t.Errorf("%v, want a short event at %d", err, ends[3])
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4*uint64(len(long)) {
		t.Errorf("%d bytes were allocated for a log of %d", used, len(long))
	}
}

func TestNoBinlog(t *testing.T) {
	for _, tt := range []struct{ name, log, want string }{
		{"empty", "", "byte 0: the file is shorter"},
		{"text", "#!/bin/sh\n", "byte 0: it starts with 23 21 2f 62"},
		{"encrypted by MySQL", "\xfdbin" + strings.Repeat("x", 600), "byte 0: the file is encrypted"},
		{"zeros", "\xfebin" + strings.Repeat("\x00", 600), "byte 4: event length 0"},
	} {
		_, err := parse([]byte(tt.log), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// event builds an event with a checksum.
func event(typ binlog.EventType, pos int64, body []byte) []byte {
	b := make([]byte, 19, 19+len(body)+4)
	b[4] = byte(typ)
	binary.LittleEndian.PutUint32(b[9:], uint32(19+len(body)+4))
	binary.LittleEndian.PutUint32(b[13:], uint32(pos)+uint32(19+len(body)+4))
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// head is the magic bytes and the format description of a recorded log.
func head(t testing.TB, name string) []byte {
	log := corpus(t)[name]
	return log[:boundaries(log)[1]:boundaries(log)[1]]
}

func TestEncryptedByMariaDB(t *testing.T) {
	log := head(t, "mariadb-10.11")
	at := int64(len(log))
	log = append(log, event(binlog.MariaStartEncryptionEvent, at, make([]byte, 17))...)
	log = append(log, bytes.Repeat([]byte{0xa5}, 300)...)
	steps, err := parse(log, nil)
	bad, ok := errors.AsType[*binlog.UnsupportedError](err)
	if !ok || bad.Pos != at || len(steps) != 1 {
		t.Errorf("%d events, %v; want an UnsupportedError at %d", len(steps), err, at)
	}
}

// failing gives its bytes one at a time, then fails.
type failing struct {
	log []byte
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.log) == 0 {
		return 0, f.err
	}
	n := copy(p[:1], f.log)
	f.log = f.log[n:]
	return n, nil
}

func TestSourceFails(t *testing.T) {
	want := errors.New("disk on fire")
	for name, log := range corpus(t) {
		p := binlog.NewParser(&failing{log[:len(log)/2], want}, binlog.Options{})
		if _, err := drain(p, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want the source's own error", name, err)
		}
		p = binlog.NewParser(&failing{log, io.EOF}, binlog.Options{})
		steps, err := drain(p, (*binlog.TableMap).Shape)
		whole, _ := parse(log, (*binlog.TableMap).Shape)
		if err != nil || render(steps) != render(whole) {
			t.Errorf("%s read byte by byte: %v", name, err)
		}
		p = binlog.NewParser(&failing{log, nil}, binlog.Options{})
		if _, err := drain(p, nil); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s from a source that goes silent: %v", name, err)
		}
	}
}

// TestStart reads each log from each transaction on, as from a file in which one seeks.
func TestStart(t *testing.T) {
	for name, log := range corpus(t) {
		whole, err := parse(log, (*binlog.TableMap).Shape)
		if err != nil {
			t.Fatal(err)
		}
		first := boundaries(log)[1]
		for i, s := range whole {
			if i == 0 || s.tx.Start == whole[i-1].tx.Start {
				continue
			}
			src := io.MultiReader(bytes.NewReader(log[:first]), bytes.NewReader(log[s.tx.Start:]))
			got, err := drain(binlog.NewParser(src, binlog.Options{Start: s.tx.Start}), (*binlog.TableMap).Shape)
			if err != nil || render(got[1:]) != render(whole[i:]) {
				t.Errorf("%s from %d: %v\n%s", name, s.tx.Start, err, render(got))
			}
			src = io.MultiReader(bytes.NewReader(log[4:first]), bytes.NewReader(log[s.tx.Start:]))
			got, err = drain(binlog.NewParser(src, binlog.Options{Start: s.tx.Start, NoMagic: true}), (*binlog.TableMap).Shape)
			if err != nil || render(got[1:]) != render(whole[i:]) {
				t.Errorf("%s streamed from %d: %v", name, s.tx.Start, err)
			}
		}
	}
}
