package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/blob/blobtest"
)

const (
	testKey    = "AKIDTEST"
	testSecret = "s3cr3t-s3cr3t-s3cr3t"
)

// service is a stand-in for S3 with one bucket, "vault". before sees each request first and
// answers it itself when it returns true.
type service struct {
	*httptest.Server
	before atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	next   http.Handler
}

func serve(t *testing.T) *service {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("vault"); err != nil {
		t.Fatal(err)
	}
	s := &service{next: gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.before.Load(); f != nil && (*f)(w, r) {
			return
		}
		s.next.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) on(f func(w http.ResponseWriter, r *http.Request) bool) { s.before.Store(&f) }

// completeOnce has the stand-in obey If-None-Match where it does not by itself: where parts
// become an object.
func (s *service) completeOnce() {
	var mu sync.Mutex
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || r.Header.Get("If-None-Match") == "" {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		look := httptest.NewRecorder()
		s.next.ServeHTTP(look, httptest.NewRequest(http.MethodHead, r.URL.Path, nil))
		if look.Code == http.StatusOK {
			return answer(w, 412, "PreconditionFailed")
		}
		s.next.ServeHTTP(w, r)
		return true
	})
}

func (s *service) options() Options {
	return Options{
		Endpoint: s.Listener.Addr().String(), Bucket: "vault", Prefix: "lull/x", Insecure: true, PathStyle: true,
		AccessKey: testKey, SecretKey: testSecret,
	}
}

func (s *service) open(t *testing.T) *Store {
	t.Helper()
	return open(t, s.options(), patience)
}

func open(t *testing.T, o Options, idle time.Duration) *Store {
	t.Helper()
	rt := transport(time.Now, idle)
	t.Cleanup(rt.CloseIdleConnections)
	s, err := newStore(o, time.Now, rt)
	if err != nil {
		t.Fatal(err)
	}
	s.pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	return s
}

func answer(w http.ResponseWriter, status int, code string) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said\n by the service</Message></Error>", code)
	return true
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return serve(t).open(t) })
}

func TestStoreWithoutPrefix(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		s := serve(t)
		o := s.options()
		o.Prefix = ""
		return open(t, o, patience)
	})
}

// Everything above a few bytes goes in parts.
func TestStoreInParts(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		srv := serve(t)
		srv.completeOnce()
		s := srv.open(t)
		s.single, s.part = 3, 6<<20
		return s
	})
}

func TestParts(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	s.single, s.part = 6<<20, 5<<20
	var parts, aborts atomic.Int32
	srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("partNumber") {
			parts.Add(1)
		}
		if r.Method == http.MethodDelete {
			aborts.Add(1)
		}
		return false
	})
	data := strings.Repeat("0123456789abcde\n", 12<<16)
	blobtest.Put(t, s, "big", data)
	if got, err := blobtest.Get(t, s, "big", 0, -1); err != nil || got != data || parts.Load() != 3 || aborts.Load() != 0 {
		t.Errorf("%d bytes in %d parts, %d given up, %v", len(got), parts.Load(), aborts.Load(), err)
	}
	err := s.Put(t.Context(), "short", strings.NewReader(data), int64(len(data))+1)
	if err == nil || aborts.Load() != 1 {
		t.Errorf("got %v, %d given up", err, aborts.Load())
	}
	blobtest.WantNames(t, s, "", fmt.Sprintf("big:%d", len(data)))
}

// While the parts are sent another writer takes the name, at a service that knows no conditions.
func TestTakenBetweenParts(t *testing.T) {
	srv := serve(t)
	s, other := srv.open(t), srv.open(t)
	s.single = 1
	var n, aborts atomic.Int32
	srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-None-Match")
		if r.URL.Query().Has("partNumber") && n.Add(1) == 1 {
			blobtest.Put(t, other, "a", "first")
		}
		if r.Method == http.MethodDelete {
			aborts.Add(1)
		}
		return false
	})
	if err := s.Put(t.Context(), "a", strings.NewReader("second"), 6); !errors.Is(err, blob.ErrExists) || aborts.Load() != 1 {
		t.Errorf("got %v, %d given up", err, aborts.Load())
	}
	if got, err := blobtest.Get(t, s, "a", 0, -1); got != "first" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestOtherObjectsInTheBucket(t *testing.T) {
	srv := serve(t)
	o := srv.options()
	o.Prefix = ""
	whole := open(t, o, patience)
	blobtest.Put(t, whole, "lull/x1/a", "1")
	blobtest.Put(t, whole, "lull/x/a", "1")
	blobtest.WantNames(t, srv.open(t), "", "a:1")
}

func TestManyObjects(t *testing.T) {
	s := serve(t).open(t)
	var want []string
	for i := range 1203 {
		name := fmt.Sprintf("log/%012x", i)
		blobtest.Put(t, s, name, "")
		want = append(want, name+":0")
	}
	blobtest.WantNames(t, s, "log/", strings.Join(want, " "))
}

func TestPassingTrouble(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(w http.ResponseWriter, r *http.Request)
	}{
		{"503", func(w http.ResponseWriter, _ *http.Request) { answer(w, 503, "SlowDown") }},
		{"500 in plain text", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", 500) }},
		{"429", func(w http.ResponseWriter, _ *http.Request) { answer(w, 429, "TooManyRequests") }},
		{"connection cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"half a request read", func(_ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 70_000)
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t)
			s := srv.open(t)
			var n atomic.Int32
			srv.on(func(w http.ResponseWriter, r *http.Request) bool {
				if n.Add(1)%3 == 0 {
					return false
				}
				c.fail(w, r)
				return true
			})
			data := strings.Repeat("x", 200_000)
			blobtest.Put(t, s, "a", data)
			if got, err := blobtest.Get(t, s, "a", 0, -1); err != nil || got != data {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			blobtest.WantNames(t, s, "", "a:200000")
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}
}

// The object is stored but the answer is lost: the next try meets its own object.
func TestLostAnswer(t *testing.T) {
	for single, last := range map[int64]string{1 << 20: http.MethodPut, 1: http.MethodPost} {
		srv := serve(t)
		s := srv.open(t)
		s.single = single
		var n atomic.Int32
		srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == last && !r.URL.Query().Has("uploads") && n.Add(1) == 1 {
				srv.next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			return false
		})
		blobtest.Put(t, s, "a", "mine")
		if n.Load() != 2 {
			t.Errorf("%d tries", n.Load())
		}
		if err := s.Put(t.Context(), "a", strings.NewReader("mine"), 4); !errors.Is(err, blob.ErrExists) {
			t.Errorf("got %v", err)
		}
	}
}

// Another writer stores the same bytes between the look and the write.
func TestTakenMeanwhile(t *testing.T) {
	srv := serve(t)
	s, other := srv.open(t), srv.open(t)
	var n atomic.Int32
	srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && n.Add(1) == 1 {
			blobtest.Put(t, other, "a", "same")
		}
		return false
	})
	if err := s.Put(t.Context(), "a", strings.NewReader("same"), 4); !errors.Is(err, blob.ErrExists) {
		t.Errorf("got %v", err)
	}
}

// A service that refuses conditions is asked without them, and still nothing is written over.
func TestNoConditions(t *testing.T) {
	for _, single := range []int64{1 << 20, 1} {
		srv := serve(t)
		s := srv.open(t)
		s.single = single
		var refused atomic.Int32
		srv.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("If-None-Match") == "" {
				return false
			}
			refused.Add(1)
			return answer(w, 501, "NotImplemented")
		})
		blobtest.Put(t, s, "a", "first")
		blobtest.Put(t, s, "b", "second")
		if err := s.Put(t.Context(), "a", strings.NewReader("third"), 5); !errors.Is(err, blob.ErrExists) || refused.Load() != 1 {
			t.Errorf("got %v, refused %d times", err, refused.Load())
		}
	}
}

// A body that breaks off half way is read on from there.
func TestHalfAnAnswer(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	data := strings.Repeat("0123456789", 10_000)
	blobtest.Put(t, s, "a", data)
	var ranges atomic.Int32
	srv.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		rec := httptest.NewRecorder()
		srv.next.ServeHTTP(rec, r)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		w.WriteHeader(rec.Code)
		ranges.Add(1)
		if body := rec.Body.Bytes(); len(body) > 40_000 {
			w.Write(body[:30_000])
			panic(http.ErrAbortHandler)
		}
		w.Write(rec.Body.Bytes())
		return true
	})
	for _, part := range [][2]int64{{0, -1}, {5, -1}, {7, 99_000}} {
		end := int64(len(data))
		if part[1] >= 0 {
			end = part[0] + part[1]
		}
		if got, err := blobtest.Get(t, s, "a", part[0], part[1]); err != nil || got != data[part[0]:end] {
			t.Errorf("%v: %d bytes, %v", part, len(got), err)
		}
	}
	if ranges.Load() != 9 {
		t.Errorf("%d requests", ranges.Load())
	}
}

func wantError(t *testing.T, err error, kind lull.Kind, text, hint string) {
	t.Helper()
	if err == nil || lull.KindOf(err) != kind || !strings.Contains(err.Error(), text) || !strings.Contains(lull.HintOf(err), hint) {
		t.Errorf("got %v of kind %d, hint %q", err, lull.KindOf(err), lull.HintOf(err))
		return
	}
	if all := err.Error() + lull.HintOf(err); strings.Contains(all, testSecret) || strings.Contains(all, "\n") {
		t.Errorf("the error is %q", all)
	}
}

// all calls each method of a store and hands out the errors.
func all(t *testing.T, s *Store) map[string]error {
	t.Helper()
	errs := map[string]error{
		"put":    s.Put(t.Context(), "a", strings.NewReader("x"), 1),
		"delete": s.Delete(t.Context(), "a"),
	}
	_, errs["open"] = s.Open(t.Context(), "a", 0, -1)
	for _, err := range s.List(t.Context(), "") {
		errs["list"] = err
	}
	return errs
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		kind   lull.Kind
		hint   string
	}{
		{403, "InvalidAccessKeyId", lull.Usage, "access key"},
		{403, "SignatureDoesNotMatch", lull.Usage, "secret key"},
		{400, "ExpiredToken", lull.Usage, "secret key"},
		{403, "AccessDenied", lull.Usage, "allow this key"},
		{404, "NoSuchBucket", lull.Usage, "make the bucket vault"},
		{400, "AuthorizationHeaderMalformed", lull.Usage, "region="},
		{301, "PermanentRedirect", lull.Usage, "region="},
		{403, "RequestTimeTooSkewed", lull.Usage, "clock"},
		{503, "ServiceUnavailable", lull.Unreachable, "later"},
		{400, "Strange", lull.Failed, ""},
	} {
		srv := serve(t)
		s := srv.open(t)
		srv.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead { // has no body to say why
				w.WriteHeader(403)
				return true
			}
			return answer(w, c.status, c.code)
		})
		for name, err := range all(t, s) {
			t.Run(c.code+"/"+name, func(t *testing.T) {
				wantError(t, err, c.kind, "vault", c.hint)
				wantError(t, err, c.kind, "said by the service ("+c.code+")", c.hint)
			})
		}
	}
}

func TestNoBucket(t *testing.T) {
	o := serve(t).options()
	o.Bucket = "attic"
	for name, err := range all(t, open(t, o, patience)) {
		t.Run(name, func(t *testing.T) { wantError(t, err, lull.Usage, "attic", "make the bucket attic") })
	}
}

func TestDown(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	srv.Close()
	for name, err := range all(t, s) {
		t.Run(name, func(t *testing.T) { wantError(t, err, lull.Unreachable, "connection refused", "network") })
	}
}

// A service that takes requests and says nothing, or stops half way, is given up.
func TestStandsStill(t *testing.T) {
	srv := serve(t)
	s := open(t, srv.options(), 50*time.Millisecond)
	s.pauses = s.pauses[:1]
	srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	for name, err := range all(t, s) {
		t.Run(name, func(t *testing.T) { wantError(t, err, lull.Unreachable, "vault", "network") })
	}
	srv.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			w.Header().Set("Content-Length", "10")
			w.Header().Set("Last-Modified", "Sun, 03 May 2026 01:02:03 GMT")
			io.WriteString(w, "01234")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		return true
	})
	_, err := blobtest.Get(t, s, "a", 0, -1)
	wantError(t, err, lull.Unreachable, "timeout", "network")
}

// A service that knows no ranges must not be taken at its word.
func TestNoRanges(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	blobtest.Put(t, s, "a", "0123456789")
	srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	})
	_, err := blobtest.Get(t, s, "a", 3, -1)
	wantError(t, err, lull.Failed, "something else", "")
}

// A service that reads no more stops an upload, whose bytes lie in the kernel's buffers.
func TestUploadStandsStill(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer close(done)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(404)
			return
		}
		<-done
	})}
	go srv.Serve(l)
	defer srv.Close()
	o := Options{Endpoint: l.Addr().String(), Bucket: "vault", Insecure: true, PathStyle: true, AccessKey: testKey, SecretKey: testSecret}
	s := open(t, o, 100*time.Millisecond)
	s.pauses = nil
	wantError(t, s.Put(t.Context(), "a", bytes.NewReader(make([]byte, 32<<20)), 32<<20), lull.Unreachable, "vault", "network")
}

func TestInterruptedWait(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	s.pauses = []time.Duration{time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	srv.on(func(w http.ResponseWriter, _ *http.Request) bool {
		defer cancel()
		return answer(w, 503, "SlowDown")
	})
	if err := s.Delete(ctx, "a"); !errors.Is(err, context.Canceled) || lull.KindOf(err) != lull.Interrupted {
		t.Errorf("got %v", err)
	}
}

func TestHTTPS(t *testing.T) {
	o := serve(t).options()
	o.Insecure = false
	_, err := blobtest.Get(t, open(t, o, patience), "a", 0, -1)
	wantError(t, err, lull.Usage, "does not speak https", "http://")

	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	o.Endpoint = srv.Listener.Addr().String()
	_, err = blobtest.Get(t, open(t, o, patience), "a", 0, -1)
	wantError(t, err, lull.Usage, "certificate", "certificate")
}

func TestLock(t *testing.T) {
	for _, single := range []int64{1 << 20, 1} {
		srv := serve(t)
		o := srv.options()
		o.LockDays = 30
		s := open(t, o, patience)
		s.now = func() time.Time { return time.Date(2026, 5, 3, 1, 2, 3, 4, time.FixedZone("", 3600)) }
		s.single = single
		var got []string
		srv.on(func(_ http.ResponseWriter, r *http.Request) bool {
			if v := r.Header.Get("X-Amz-Object-Lock-Mode"); v != "" {
				got = append(got, v, r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
			}
			return false
		})
		blobtest.Put(t, s, "a", "locked")
		if fmt.Sprint(got) != "[COMPLIANCE 2026-06-02T00:02:03Z]" {
			t.Errorf("got %v", got)
		}
		srv.on(func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method != http.MethodHead && answer(w, 400, "InvalidRequest")
		})
		wantError(t, s.Put(t.Context(), "b", strings.NewReader("b"), 1), lull.Usage, "vault", "object lock")
	}
}

// What a service lists twice or out of order would be missed or doubled.
func TestUnsortedList(t *testing.T) {
	srv := serve(t)
	s := srv.open(t)
	srv.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("list-type") {
			return false
		}
		fmt.Fprint(w, `<ListBucketResult><Name>vault</Name>
<Contents><Key>lull/x/b</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>
<Contents><Key>lull/x/a</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>`)
		return true
	})
	var got error
	for _, err := range s.List(t.Context(), "") {
		got = err
	}
	wantError(t, got, lull.Failed, `lists "lull/x/a" after "lull/x/b"`, "directory bucket")
}

func TestSecretsStayHidden(t *testing.T) {
	o := Options{Bucket: "b", AccessKey: testKey, SecretKey: testSecret, SessionToken: testSecret + "2"}
	s := open(t, o, patience)
	j, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%v %+v %#v %s", o, o, o, &o), s.String(), fmt.Sprintf("%v %s", s, s), string(j)} {
		if strings.Contains(text, testSecret) {
			t.Error(text)
		}
	}
	for _, o := range []Options{{Bucket: "b"}, {Bucket: "b", AccessKey: "x"}, {Bucket: "b", AccessKey: "x", SecretKey: testSecret, Prefix: "a//b"}} {
		_, err := New(o, time.Now)
		wantError(t, err, lull.Usage, "s3://b", "")
	}
}
