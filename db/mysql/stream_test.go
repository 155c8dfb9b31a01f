package mysql

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// wire builds what a server sends.
type wire struct {
	bytes.Buffer
	seq byte
}

func newWire() *wire { return &wire{seq: 1} }

// packets sends a payload, split as the protocol wants it.
func (w *wire) packets(payload []byte) *wire {
	for {
		n := min(len(payload), maxPacket)
		w.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), w.seq})
		w.Write(payload[:n])
		w.seq++
		payload = payload[n:]
		if n < maxPacket {
			return w
		}
	}
}

func (w *wire) event(e []byte) *wire { return w.packets(append([]byte{packetOK}, e...)) }
func (w *wire) eof() *wire           { return w.packets([]byte{packetEOF, 0, 0, 2, 0}) }

// event is an event at time 1 that ends at logPos.
func event(kind byte, size, logPos int, flags uint16) []byte {
	e := make([]byte, size)
	e[0], e[4] = 1, kind
	binary.LittleEndian.PutUint32(e[9:], uint32(size))
	binary.LittleEndian.PutUint32(e[13:], uint32(logPos))
	binary.LittleEndian.PutUint16(e[17:], flags)
	for i := headerSize; i < size; i++ {
		e[i] = byte(i * 31)
	}
	return e
}

// announce is an artificial ROTATE.
func announce(file string, checksum bool) []byte {
	n := headerSize + 8 + len(file)
	if checksum {
		n += checksumSize
	}
	e := event(eventRotate, n, 0, flagArtificial)
	copy(e[headerSize+8:], file)
	if checksum {
		binary.LittleEndian.PutUint32(e[n-checksumSize:], crc32.ChecksumIEEE(e[:n-checksumSize]))
	}
	return e
}

// streamOf is a Dump of these bytes, as if it was asked for from pos on.
func streamOf(r io.Reader, pos int64) *Dump {
	return &Dump{conn: &Conn{}, ctx: context.Background(), s: newStream(r), file: "first", next: "first", pos: pos}
}

// TestStreamFraming ends events before, at and after the ends of packets.
func TestStreamFraming(t *testing.T) {
	for _, size := range []int{headerSize, headerSize + 1, maxPacket - 2, maxPacket - 1, maxPacket, maxPacket + 1, 2*maxPacket - 1, 2 * maxPacket} {
		format, big, last := event(eventFormat, 100, 104, 0), event(30, size, 104+size, 0), event(16, 31, 135+size, 0)
		w := newWire().event(announce("log.1", true)).event(format).event(big).event(event(eventHeartbeat, 40, 0, 0)).event(last).eof()
		for _, step := range []int{1 << 16, 4 << 20, 40 << 20} {
			d := streamOf(bytes.NewReader(w.Bytes()), magicSize)
			file, start, r, err := d.Next()
			if err != nil || file != "log.1" || start != 104 {
				t.Fatalf("size %d: %s from %d: %v", size, file, start, err)
			}
			var out bytes.Buffer
			if _, err := io.CopyBuffer(struct{ io.Writer }{&out}, r, make([]byte, step)); err != nil {
				t.Fatalf("size %d: %v", size, err)
			}
			if !bytes.Equal(out.Bytes(), bytes.Join([][]byte{format, big, last}, nil)) {
				t.Errorf("size %d in steps of %d: %d bytes came, other than were sent", size, step, out.Len())
			}
			if _, _, _, err := d.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("size %d: the end is %v", size, err)
			}
		}
	}
}

// endless fails the test when more is asked of it than there is.
type endless struct {
	io.Reader
	t *testing.T
}

func (e endless) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil {
		e.t.Error("it waits for the server with events in hand")
	}
	return n, err
}

// TestStreamHandsOverBeforeItWaits has a heartbeat, or nothing, behind the last event for now.
func TestStreamHandsOverBeforeItWaits(t *testing.T) {
	format, last := event(eventFormat, 100, 104, 0), event(30, 200, 304, 0)
	for name, behind := range map[string][]byte{
		"nothing": nil, "heartbeat": event(eventHeartbeat, 43, 0, 0), "heartbeat v2": event(eventHeartbeatV2, 60, 0, 0),
	} {
		w := newWire().event(announce("log.1", true)).event(format).event(last).event(last)
		if behind != nil {
			w.event(behind).event(behind)
		}
		d := streamOf(endless{w, t}, magicSize)
		_, _, r, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 0, 1000)
		for len(got) < 500 && err == nil {
			var n int
			n, err = r.Read(got[len(got):cap(got)])
			got = got[:len(got)+n]
		}
		if err != nil || len(got) != 500 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestStreamFiles(t *testing.T) {
	format := event(eventFormat, 100, 104, 0)
	w := newWire().event(announce("log.1", false)).
		event(format).event(event(2, 50, 154, 0)).event(event(eventRotate, 40, 194, 0)).
		event(announce("log.2", true)).event(format).
		event(announce("log.3", true)).event(format).event(event(163, 30, 174, 0)). // 40 bytes that only the file has
		eof()
	d := streamOf(w, magicSize)
	for _, want := range []struct {
		file        string
		start, size int64
	}{{"log.1", 104, 190}, {"log.2", 104, 100}, {"log.3", 144, 130}} {
		file, start, r, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if file != want.file || start != want.start || n != want.size || err != nil {
			t.Errorf("%s from %d with %d bytes, want %v: %v", file, start, n, want, err)
		}
	}
	if _, _, _, err := d.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestStreamBeyond4GiB starts where the command cannot: it reads over what is before.
func TestStreamBeyond4GiB(t *testing.T) {
	const pos = int64(104+50+60) + 1<<32
	format, skip1, wanted := event(eventFormat, 100, 104, 0), event(2, 50, 154, 0), event(2, 70, 284, 0)
	w := newWire().event(announce("log.1", true)).event(format).event(skip1).event(event(2, 60, 214, 0)).event(wanted).eof()
	d := streamOf(w, pos)
	// The file of the test is 4 GiB shorter than it says: pretend that it starts there.
	d.pos = pos - 1<<32
	if err := firstOf(d); err != nil {
		t.Fatal(err)
	}
	start, err := d.skipTo(104, nil)
	if err != nil || start != 214 || d.s.eventSize() != 70 {
		t.Errorf("it goes on at %d with an event of %d bytes: %v", start, d.s.eventSize(), err)
	}
}

func firstOf(d *Dump) error {
	if _, err := d.format(); err != nil {
		return err
	}
	_, err := d.advance()
	return err
}

func TestStreamDamage(t *testing.T) {
	format := event(eventFormat, 100, 104, 0)
	whole := newWire().event(announce("log.1", true)).event(format).event(event(2, 50, 154, 0)).eof().Bytes()
	for n := range len(whole) - 4 { // what follows the last status byte is not read
		if _, err := readUp(whole[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
	}
	lying := event(2, 50, 154, 0)
	binary.LittleEndian.PutUint32(lying[9:], 49)
	tooLong := event(2, 50, 154, 0)
	binary.LittleEndian.PutUint32(tooLong[9:], 51)
	gap := newWire().event(announce("log.1", true))
	gap.seq++
	for name, w := range map[string]*wire{
		"event shorter than its packet": newWire().event(announce("log.1", true)).event(format).event(lying),
		"event longer than its packet":  newWire().event(announce("log.1", true)).event(format).event(tooLong),
		"empty packet":                  newWire().packets(nil),
		"unknown status":                newWire().packets([]byte{7, 7}),
		"no format event":               newWire().event(announce("log.1", true)).event(event(2, 50, 154, 0)),
		"lost packet":                   gap.event(format),
		"huge format event":             newWire().event(event(eventFormat, maxSmallEvent+1, 0, 0)),
		"short error":                   newWire().packets([]byte{packetError, 1}),
	} {
		if _, err := readUp(w.Bytes()); !errors.Is(err, errStream) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStreamErrorAfterData hands out what came before the server gave up.
func TestStreamErrorAfterData(t *testing.T) {
	w := newWire().event(event(eventFormat, 100, 104, 0)).event(event(2, 50, 154, 0)).
		packets(append([]byte{packetError, 0xd4, 0x04}, "#HY000binlog truncated"...))
	n, err := readUp(w.Bytes())
	if n != 150 || serverErrorNumber(err) != errBinlogDump {
		t.Errorf("%d bytes, then %v", n, err)
	}
}

func readUp(b []byte) (total int64, err error) {
	d := streamOf(bytes.NewReader(b), magicSize)
	for {
		_, _, r, err := d.Next()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := io.Copy(io.Discard, r)
		total += n
		if err != nil {
			return total, err
		}
	}
}

func FuzzStream(f *testing.F) {
	format := event(eventFormat, 100, 104, 0)
	f.Add(newWire().event(announce("log.1", true)).event(format).event(event(2, 50, 154, 0)).event(announce("log.2", false)).event(format).eof().Bytes(), int64(4))
	f.Add(newWire().event(format).packets(append([]byte{packetError, 0xd4, 0x04}, "#HY000x"...)).Bytes(), int64(1<<33))
	f.Add([]byte{0xff, 0xff, 0xff, 1, 0}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, pos int64) {
		d := streamOf(bytes.NewReader(b), pos)
		var total int64
		for {
			_, _, r, err := d.Next()
			if err != nil {
				break
			}
			n, err := io.Copy(io.Discard, r)
			total += n
			if err != nil {
				break
			}
		}
		if total > int64(len(b)) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
	})
}

func BenchmarkStream(b *testing.B) {
	w := newWire().event(event(eventFormat, 100, 104, 0))
	for range 100_000 {
		w.event(event(2, 142, 0, 0))
	}
	w.eof()
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(w.Len()))
	for b.Loop() {
		d := streamOf(bytes.NewReader(w.Bytes()), magicSize)
		_, _, r, err := d.Next()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf); err != nil {
			b.Fatal(err)
		}
	}
}
