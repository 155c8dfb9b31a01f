package pack_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// The seeds are the samples of testdata/v1, whole and cut short.
func seed(f *testing.F, kind pack.MemberKind) {
	f.Helper()
	for _, name := range sampleNames {
		r := sample(f, name)
		for i, m := range r.Index().Members {
			if m.Kind == kind {
				b := must(r.Payload(f.Context(), i))(f)
				f.Add(b)
				f.Add(b[:len(b)/2])
			}
		}
	}
	f.Add([]byte{})
}

// FuzzOpen takes the input for a pack, and for the index of a pack that is well made else.
func FuzzOpen(f *testing.F) {
	enc := must(zstd.NewWriter(nil))(f)
	for _, name := range sampleNames {
		f.Add([]byte(file(f, "v1/"+name+".pack")))
	}
	member := enc.EncodeAll(bytes.Repeat([]byte("rows"), 200), nil)
	sum := sha256.Sum256(member)
	f.Add(fmt.Appendf(nil, `{"lull_pack":1,"members":[{"kind":"rows","offset":10,"size":%d,"sum":"%x","raw":800}]}`, len(member), sum))
	f.Add([]byte(`{"lull_pack":1,"members":[{"offset":10,"size":-4}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, forge(enc, member, b)} {
			r, err := pack.Open(t.Context(), bytesOf(b), nil)
			if err != nil {
				continue
			}
			for i, m := range r.Index().Members {
				if got, err := r.Payload(t.Context(), i); err == nil && int64(len(got)) != m.Raw {
					t.Fatalf("member %d has %d bytes, not %d", i, len(got), m.Raw)
				}
			}
		}
	})
}

func FuzzEachRow(f *testing.F) {
	seed(f, pack.Rows)
	f.Fuzz(func(t *testing.T, b []byte) {
		var rows []db.Row
		if pack.EachRow(b, func(r db.Row) error { rows = append(rows, r.Clone()); return nil }) != nil {
			return
		}
		var again []byte
		for _, r := range rows {
			again = db.AppendRow(again, r)
		}
		var n int
		fine(t, pack.EachRow(again, func(r db.Row) error { same(t, r.Clone(), rows[n]); n++; return nil }))
	})
}

func FuzzEachChange(f *testing.F) {
	seed(f, pack.Changes)
	f.Fuzz(func(t *testing.T, b []byte) {
		var w pack.ChangeWriter
		var changes []history.RowChange
		err := pack.EachChange(b, &pack.Member{}, func(c *history.RowChange) error {
			w.Add(c)
			kept := *c
			kept.Before, kept.After = c.Before.Clone(), c.After.Clone()
			changes = append(changes, kept)
			return nil
		})
		if err == nil {
			same(t, readChanges(t, w.Bytes(), &pack.Member{Count: w.Count()}), changes)
		}
	})
}

func FuzzEachTransaction(f *testing.F) {
	seed(f, pack.Transactions)
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second pack.TransactionWriter
		rewrite := func(b []byte, w *pack.TransactionWriter) error {
			return pack.EachTransaction(b, func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
				w.Add(seq, &tx, touches)
				return nil
			})
		}
		if rewrite(b, &first) != nil {
			return
		}
		fine(t, rewrite(first.Bytes(), &second))
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("%q became %q", first.Bytes(), second.Bytes())
		}
	})
}

func FuzzEachEvent(f *testing.F) {
	seed(f, pack.Events)
	f.Fuzz(func(t *testing.T, b []byte) {
		fine(t, twice(b, pack.EachEvent, pack.AppendEvent))
	})
}

func FuzzEachDefinition(f *testing.F) {
	seed(f, pack.Definitions)
	f.Fuzz(func(t *testing.T, b []byte) {
		fine(t, twice(b, pack.EachDefinition, pack.AppendDefinition))
	})
}

func FuzzEachStatement(f *testing.F) {
	seed(f, pack.Statements)
	f.Fuzz(func(t *testing.T, b []byte) {
		fine(t, twice(b, pack.EachStatement, pack.AppendStatement))
	})
}

// twice reads and writes what can be read, two times, and fails when that makes a difference.
func twice[T any](b []byte, each func([]byte, func(*T) error) error, add func([]byte, *T) ([]byte, error)) error {
	rewrite := func(b []byte) (out []byte, err error) {
		err = each(b, func(v *T) (err error) { out, err = add(out, v); return err })
		return out, err
	}
	first, err := rewrite(b)
	if err != nil {
		return nil
	}
	second, err := rewrite(first)
	if err == nil && !bytes.Equal(first, second) {
		return &pack.CorruptError{Where: string(first), Reason: string(second)}
	}
	return err
}
