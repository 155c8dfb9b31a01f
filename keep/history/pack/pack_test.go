package pack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	lull "github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history/pack"
)

type content struct {
	m       pack.Member
	payload []byte
}

// written is a pack of these members, opened, and its bytes.
func written(tb testing.TB, to []age.Recipient, with []age.Identity, members ...content) (*pack.Reader, []byte) {
	tb.Helper()
	var out bytes.Buffer
	w := must(pack.NewWriter(&out, to))(tb)
	for _, c := range members {
		if err := w.Add(c.m, c.payload); err != nil {
			tb.Fatal(err)
		}
	}
	sum := must(w.Close(pack.Index{
		Kind: pack.Log, Database: "shop", Created: started, First: 1, Last: 7,
		From: db.Position{File: "bin.000001", Offset: 4},
	}))(tb)
	if whole := sha256.Sum256(out.Bytes()); hex.EncodeToString(whole[:]) != sum || w.Size() != int64(out.Len()) {
		tb.Errorf("%d bytes of sum %x are said to be %d of %s", out.Len(), whole, w.Size(), sum)
	}
	return must(pack.Open(tb.Context(), bytesOf(out.Bytes()), with))(tb), out.Bytes()
}

func bytesOf(b []byte) pack.Source { return pack.At(bytes.NewReader(b), int64(len(b))) }

func someMembers() []content {
	orders := db.Name{Schema: "shop", Table: "orders"}
	return []content{
		{pack.Member{Kind: pack.Rows, Table: orders, Definition: "d-1", Count: 2}, bytes.Repeat([]byte("rows "), 40)},
		{pack.Member{Kind: pack.Events}, nil},
		{pack.Member{Kind: pack.Changes, Table: orders, First: 1, Last: 7, MinAt: started, MaxAt: started}, []byte("changes")},
	}
}

// keys are a new pair.
func keys(tb testing.TB) ([]age.Recipient, []age.Identity, string) {
	tb.Helper()
	public, secret, err := pack.Generate()
	if err != nil {
		tb.Fatal(err)
	}
	return must(pack.ParseRecipients([]string{public}))(tb), must(pack.ParseIdentities(bytes.NewBufferString(secret + "\n")))(tb), secret
}

func TestPacksComeBack(t *testing.T) {
	to, with, _ := keys(t)
	f := func(to []age.Recipient, with []age.Identity) {
		t.Helper()
		r, b := written(t, to, with, someMembers()...)
		ix := r.Index()
		if ix.Version != 1 || ix.Database != "shop" || ix.Last != 7 || ix.From.Offset != 4 || ix.Encrypted != (to != nil) {
			t.Errorf("the index came back as %+v", ix)
		}
		for i, want := range someMembers() {
			if got := must(r.Payload(t.Context(), i))(t); !bytes.Equal(got, want.payload) {
				t.Errorf("member %d came back as %q", i, got)
			}
			m := ix.Members[i]
			if stored := must(r.Stored(t.Context(), i))(t); !bytes.Equal(stored, b[m.Offset:m.Offset+m.Size]) {
				t.Errorf("member %d does not lie where the index says", i)
			}
			m.Offset, m.Size, m.Sum, m.Raw = 0, 0, "", 0
			same(t, m, want.m)
		}
		for _, i := range []int{-1, len(someMembers())} {
			if _, err := r.Payload(t.Context(), i); err == nil {
				t.Errorf("there is a member %d", i)
			}
		}
	}
	f(nil, nil)
	f(nil, with)
	f(to, with)
}

func TestEmptyPack(t *testing.T) {
	r, _ := written(t, nil, nil)
	if len(r.Index().Members) != 0 {
		t.Error("an empty pack has members")
	}
}

// An index larger than what is read at first takes a second read, and no third.
func TestLargeIndex(t *testing.T) {
	var many []content
	for range 2000 {
		many = append(many, content{pack.Member{Kind: pack.Rows, Table: db.Name{Schema: "shop", Table: random(t)}}, nil})
	}
	_, b := written(t, nil, nil, many...)
	src := &counting{Source: bytesOf(b)}
	r := must(pack.Open(t.Context(), src, nil))(t)
	if src.reads != 2 || len(r.Index().Members) != len(many) {
		t.Errorf("%d members took %d reads", len(r.Index().Members), src.reads)
	}
}

type counting struct {
	pack.Source
	reads int
}

func (c *counting) ReadAt(ctx context.Context, p []byte, off int64) error {
	c.reads++
	return c.Source.ReadAt(ctx, p, off)
}

func random(t *testing.T) string {
	t.Helper()
	public, _, err := pack.Generate()
	fine(t, err)
	return public
}

// Whatever happens to a byte, nothing but what was written is read.
func TestDamage(t *testing.T) {
	to, with, _ := keys(t)
	f := func(to []age.Recipient) {
		t.Helper()
		_, whole := written(t, to, with, someMembers()...)
		for at := range whole {
			for _, flip := range []byte{1, 0x80, 0xff} {
				b := bytes.Clone(whole)
				b[at] ^= flip
				if n := readAll(t, b, with); n == len(someMembers()) {
					t.Errorf("damage of byte %d was not seen", at)
				}
			}
			readAll(t, whole[:at], with)
			readAll(t, append(bytes.Clone(whole), whole[:at]...), with)
		}
	}
	f(nil)
	f(to)
}

// readAll reads what can be read and fails the test when it is wrong.
func readAll(t *testing.T, b []byte, with []age.Identity) (whole int) {
	t.Helper()
	r, err := pack.Open(t.Context(), bytesOf(b), with)
	if err != nil {
		damaged(t, err)
		return 0
	}
	for i, want := range someMembers() {
		got, err := r.Payload(t.Context(), i)
		if err != nil {
			damaged(t, err)
		} else if whole++; !bytes.Equal(got, want.payload) {
			t.Fatalf("member %d came back as %q", i, got)
		}
	}
	return whole
}

func TestCopy(t *testing.T) {
	to, with, _ := keys(t)
	from, _ := written(t, to, with, someMembers()...)
	var out bytes.Buffer
	w := must(pack.NewWriter(&out, nil))(t)
	fine(t, w.Add(pack.Member{Kind: pack.Events}, []byte("in clear")))
	for i, m := range from.Index().Members {
		stored := must(from.Stored(t.Context(), i))(t)
		damaged(t, w.Copy(m, stored[1:]))
		stored[3] ^= 1
		damaged(t, w.Copy(m, stored))
		stored[3] ^= 1
		fine(t, w.Copy(m, stored))
	}
	must(w.Close(pack.Index{Kind: pack.Log}))(t)
	if err := w.Add(pack.Member{}, nil); err == nil {
		t.Error("a closed pack grew")
	}
	r := must(pack.Open(t.Context(), bytesOf(out.Bytes()), with))(t)
	if !r.Index().Encrypted {
		t.Error("the pack holds encrypted members and says it does not")
	}
	for i, want := range append([]content{{pack.Member{}, []byte("in clear")}}, someMembers()...) {
		if got := must(r.Payload(t.Context(), i))(t); !bytes.Equal(got, want.payload) {
			t.Errorf("member %d came back as %q", i, got)
		}
	}
}

// A pack that lies about itself, all checksums in order, is refused.
func TestLiesAreRefused(t *testing.T) {
	enc := must(zstd.NewWriter(nil))(t)
	stored := enc.EncodeAll(make([]byte, 1<<20), nil)
	f := func(lie func(*pack.Index)) {
		t.Helper()
		sum := sha256.Sum256(stored)
		ix := pack.Index{Version: 1, Members: []pack.Member{{Kind: pack.Rows, Offset: 10, Size: int64(len(stored)), Sum: hex.EncodeToString(sum[:]), Raw: 1 << 20}}}
		lie(&ix)
		r, err := pack.Open(t.Context(), bytesOf(forge(enc, stored, must(json.Marshal(ix))(t))), nil)
		if err == nil {
			_, err = r.Payload(t.Context(), 0)
		}
		damaged(t, err)
	}
	f(func(ix *pack.Index) { ix.Members[0].Raw = 1<<20 - 1 })
	f(func(ix *pack.Index) { ix.Members[0].Raw = 1<<20 + 1 })
	f(func(ix *pack.Index) { ix.Members[0].Raw = pack.MaxRaw + 1 })
	f(func(ix *pack.Index) { ix.Members[0].Raw = -1 })
	f(func(ix *pack.Index) { ix.Members[0].Count = -1 })
	f(func(ix *pack.Index) { ix.Members[0].Offset = 0 })
	f(func(ix *pack.Index) { ix.Members[0].Size-- })
	f(func(ix *pack.Index) { ix.Members[0].Size = 1<<63 - 1 })
	f(func(ix *pack.Index) { ix.Members[0].Sum = "" })
	f(func(ix *pack.Index) { ix.Members = nil })
	f(func(ix *pack.Index) { ix.Version = 0 })
	damaged(t, openError(t, forge(enc, stored, []byte("[]"))))

	later := openError(t, forge(enc, nil, []byte(`{"lull_pack":2}`)))
	if lull.KindOf(later) != lull.Usage || lull.HintOf(later) == "" {
		t.Errorf("a later format is told as %v", later)
	}
}

func openError(t *testing.T, b []byte) error {
	t.Helper()
	_, err := pack.Open(t.Context(), bytesOf(b), nil)
	return err
}

// forge is a pack of these bytes and this index, whatever they say.
func forge(enc *zstd.Encoder, members, index []byte) []byte {
	out := append([]byte("LULLPACK1\n"), members...)
	at := len(out)
	stored := enc.EncodeAll(index, nil)
	sum := sha256.Sum256(stored)
	out = append(out, stored...)
	out = binary.LittleEndian.AppendUint64(out, uint64(at))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(stored)))
	return append(append(out, sum[:]...), "LULLEND1"...)
}

// index is that of a pack with one member.
func index(t *testing.T, stored []byte, raw int) []byte {
	t.Helper()
	sum := sha256.Sum256(stored)
	return must(json.Marshal(pack.Index{Version: 1, Members: []pack.Member{{
		Kind: pack.Rows, Offset: 10, Size: int64(len(stored)),
		Sum: hex.EncodeToString(sum[:]), Raw: int64(raw),
	}}}))(t)
}

type broken struct{ left int }

var errFull = errors.New("no space left")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A write that did not work is told there and ever after.
func TestWriteErrors(t *testing.T) {
	for room := range 100 {
		w, err := pack.NewWriter(&broken{left: room}, nil)
		if err == nil {
			err = w.Add(pack.Member{Kind: pack.Events}, []byte("events"))
			if _, again := w.Close(pack.Index{}); again == nil || err != nil && !errors.Is(again, errFull) {
				t.Fatalf("%d bytes: after %v came %v", room, err, again)
			} else {
				err = again
			}
		}
		if !errors.Is(err, errFull) {
			t.Errorf("%d bytes: %v", room, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	_, b := written(t, nil, nil, someMembers()...)
	ctx, cancel := context.WithCancel(t.Context())
	r := must(pack.Open(ctx, bytesOf(b), nil))(t)
	cancel()
	if _, err := r.Payload(ctx, 0); lull.KindOf(err) != lull.Interrupted {
		t.Errorf("a cancelled read says %v", err)
	}
	if _, err := pack.Open(t.Context(), pack.At(bytes.NewReader(b), int64(len(b))+1), nil); err == nil {
		t.Error("a file that is too short was opened")
	}
}

// TestSealedAtOnce seals members in several goroutines and appends them in order.
func TestSealedAtOnce(t *testing.T) {
	to, with, _ := keys(t)
	f := func(to []age.Recipient, with []age.Identity) {
		t.Helper()
		sealer := must(pack.NewSealer(to, 3))(t)
		var sealed [40]*pack.Sealed
		var g errgroup.Group
		payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i), 'x'}, 1000*i) }
		for i := range sealed {
			g.Go(func() (err error) {
				sealed[i], err = sealer.Seal(pack.Member{Kind: pack.Rows, Count: int64(i)}, payload(i))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := must(pack.NewWriter(&out, to))(t)
		for _, s := range sealed {
			if err := w.AddSealed(s); err != nil {
				t.Fatal(err)
			}
		}
		must(w.Close(pack.Index{Kind: pack.Snapshot, Created: started}))(t)
		r := must(pack.Open(t.Context(), bytesOf(out.Bytes()), with))(t)
		for i := range sealed {
			if got := must(r.Payload(t.Context(), i))(t); !bytes.Equal(got, payload(i)) || r.Index().Members[i].Count != int64(i) {
				t.Errorf("member %d came back as %d bytes", i, len(got))
			}
		}
	}
	f(nil, nil)
	f(to, with)
}
