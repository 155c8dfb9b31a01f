// Package blobtest holds the tests that every blob.Store has to pass. It is for tests only.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lull-ops/lull/keep/blob"
)

// Run tests the stores that open hands out; each must be empty and its own.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"read back", readBack},
		{"parts", parts},
		{"not there", notThere},
		{"taken", taken},
		{"short", short},
		{"reader fails", readerFails},
		{"list", list},
		{"list ends early", listEndsEarly},
		{"delete", remove},
		{"names", names},
		{"race for a name", race},
		{"interrupted", interrupted},
		{"string", stringer},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Put stores data under name and ends the test when that goes wrong.
func Put(t *testing.T, s blob.Store, name, data string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

// Get reads n bytes of an object from off on.
func Get(t *testing.T, s blob.Store, name string, off, n int64) (string, error) {
	t.Helper()
	r, err := s.Open(t.Context(), name, off, n)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

// Names is what List hands out; each object's size stands behind a colon.
func Names(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Modified.IsZero() {
			t.Errorf("%s has no time", info.Name)
		}
		got = append(got, fmt.Sprintf("%s:%d", info.Name, info.Size))
	}
	return got
}

// WantNames compares Names with names that are separated by spaces.
func WantNames(t *testing.T, s blob.Store, prefix, want string) {
	t.Helper()
	if got := strings.Join(Names(t, s, prefix), " "); got != want {
		t.Errorf("%q holds %s\nwant %s", prefix, got, want)
	}
}

func wantGot(t *testing.T, s blob.Store, name string, off, n int64, want string) {
	t.Helper()
	got, err := Get(t, s, name, off, n)
	if err != nil || got != want {
		t.Errorf("%d bytes of %s at %d: %q, %v, want %q", n, name, off, got, err, want)
	}
}

func readBack(t *testing.T, s blob.Store) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for name, data := range map[string]string{"empty": "", "shop/lull.json": "{}", "shop/log/0-0.pack": big} {
		r := strings.NewReader(data)
		if _, err := r.Seek(int64(len(data)/2), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), name, r, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		if got, err := Get(t, s, name, 0, -1); err != nil || got != data {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(data))
		}
	}
}

func parts(t *testing.T, s blob.Store) {
	Put(t, s, "a/b", "0123456789")
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, 10, "0123456789"},
		{0, 1, "0"},
		{3, 4, "3456"},
		{3, -1, "3456789"},
		{9, 1, "9"},
		{0, 0, ""},
		{4, 0, ""},
		{8, 5, "89"},
		{0, 1000, "0123456789"},
		{10, -1, ""},
		{10, 1, ""},
		{11, 3, ""},
		{11, -1, ""},
	} {
		wantGot(t, s, "a/b", c.off, c.n, c.want)
	}
	if _, err := Get(t, s, "a/b", -1, 3); err == nil {
		t.Error("an offset below 0 is taken")
	}
}

func notThere(t *testing.T, s blob.Store) {
	WantNames(t, s, "", "")
	Put(t, s, "a/b/c", "x")
	for _, name := range []string{"a", "a/b", "a/b/c/d", "a/b/d", "z"} {
		for _, n := range []int64{-1, 0, 1} {
			if _, err := Get(t, s, name, 0, n); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("%s, %d bytes: got %v", name, n, err)
			}
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	WantNames(t, s, "", "a/b/c:1")
}

func taken(t *testing.T, s blob.Store) {
	Put(t, s, "a/b", "first")
	for _, data := range []string{"second", "first"} {
		if err := s.Put(t.Context(), "a/b", strings.NewReader(data), int64(len(data))); !errors.Is(err, blob.ErrExists) {
			t.Errorf("got %v", err)
		}
	}
	wantGot(t, s, "a/b", 0, -1, "first")
}

func short(t *testing.T, s blob.Store) {
	if err := s.Put(t.Context(), "a/short", strings.NewReader("12345"), 6); err == nil {
		t.Error("5 bytes are taken for 6")
	}
	WantNames(t, s, "", "")
	if err := s.Put(t.Context(), "a/long", strings.NewReader("12345"), 4); err != nil {
		t.Error(err)
	}
	wantGot(t, s, "a/long", 0, -1, "1234")
}

type brokenReader struct{ *strings.Reader }

var errBroken = errors.New("the reader is broken")

func (r brokenReader) Read(p []byte) (int, error) {
	if r.Len() < 5 {
		return 0, errBroken
	}
	return r.Reader.Read(p[:min(len(p), 2)])
}

func readerFails(t *testing.T, s blob.Store) {
	err := s.Put(t.Context(), "a/b", brokenReader{strings.NewReader("0123456789")}, 10)
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	WantNames(t, s, "", "")
	Put(t, s, "a/b", "whole")
}

func list(t *testing.T, s blob.Store) {
	all := []string{
		"a", "a-b/c", "a.b", "a0", "ab/c/d", "ab/c-/d", "ab/c.", "ab/c0/x", "b/1=2%20", "shop/lull.json",
		"shop-2/lull.json", "Shop/x", "_/x",
	}
	for _, name := range all {
		Put(t, s, name, "12")
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a-", "ab/", "ab/c", "ab/c/", "ab/c/d", "shop", "shop/", "b/1=2%2", "zz", "shop/lull.json/", "ab/c/de"} {
		var want []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name+":2")
			}
		}
		WantNames(t, s, prefix, strings.Join(want, " "))
	}
}

func listEndsEarly(t *testing.T, s blob.Store) {
	Put(t, s, "a/1", "")
	Put(t, s, "a/2", "")
	Put(t, s, "b/1", "")
	for info, err := range s.List(t.Context(), "") {
		if err != nil || info.Name != "a/1" {
			t.Errorf("got %v, %v", info, err)
		}
		break
	}
	for info, err := range s.List(t.Context(), "") { // what is listed may be deleted meanwhile
		if err == nil {
			err = s.Delete(t.Context(), info.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	WantNames(t, s, "", "")
}

func remove(t *testing.T, s blob.Store) {
	Put(t, s, "a/b/c", "1")
	Put(t, s, "a/d", "1")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b/c"); err != nil {
			t.Fatal(err)
		}
	}
	WantNames(t, s, "", "a/d:1")
	Put(t, s, "a/b/c", "again")
	wantGot(t, s, "a/b/c", 0, -1, "again")
}

func names(t *testing.T, s blob.Store) {
	for _, bad := range []string{"", "/etc/x", "../x", "a/../../x", "a//b", "a/", ".tmp-x", "a/.tmp-x", "a\\b", "a\x00b", "a b"} {
		if err := s.Put(t.Context(), bad, strings.NewReader("x"), 1); err == nil {
			t.Errorf("Put takes %q", bad)
		}
		if _, err := s.Open(t.Context(), bad, 0, -1); err == nil {
			t.Errorf("Open takes %q", bad)
		}
		if s.Delete(t.Context(), bad) == nil {
			t.Errorf("Delete takes %q", bad)
		}
	}
	WantNames(t, s, "../", "")
	WantNames(t, s, "", "")
}

// race has several writers take one name: one of them gets it, and what is read is all its.
func race(t *testing.T, s blob.Store) {
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte('0' + i)}, 100_000)
			errs[i] = s.Put(context.WithoutCancel(t.Context()), "log/0", bytes.NewReader(data), int64(len(data)))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("writers %d and %d both got the name", winner, i)
		case !errors.Is(err, blob.ErrExists):
			t.Error(err)
		}
	}
	got, err := Get(t, s, "log/0", 0, -1)
	if err != nil || got != strings.Repeat(string(rune('0'+winner)), 100_000) {
		t.Errorf("winner %d, %d bytes read, %v", winner, len(got), err)
	}
}

func interrupted(t *testing.T, s blob.Store) {
	Put(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, openErr := s.Open(ctx, "a", 0, -1)
	var listErr error
	for _, err := range s.List(ctx, "") {
		listErr = err
	}
	for i, err := range []error{s.Put(ctx, "b", strings.NewReader("x"), 1), openErr, listErr, s.Delete(ctx, "a")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: got %v", i, err)
		}
	}
	WantNames(t, s, "", "a:1")
}

func stringer(t *testing.T, s blob.Store) {
	if !strings.Contains(s.String(), ":") {
		t.Errorf("%s is no URL", s)
	}
}
