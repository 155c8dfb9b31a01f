package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/minio/minio-go/v7"
)

// Codes that minio-go has no names for.
const (
	conditionalConflict = "ConditionalRequestConflict"
	notImplemented      = "NotImplemented"
	noSuchUpload        = "NoSuchUpload"
)

// patience is how long a connection may stand still.
const patience = 60 * time.Second

// pauses add up to some 15 s: longer outages are for the caller to wait out.
func pauses() []time.Duration {
	return []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// retry calls f again as long as its error may pass by itself.
func (s *Store) retry(ctx context.Context, f func(try int) error) error {
	for try := 0; ; try++ {
		err := f(try)
		if err == nil || !passes(err) || try == len(s.pauses) || ctx.Err() != nil {
			return err
		}
		if err := pause(ctx, s.pauses[try]); err != nil {
			return err
		}
	}
}

// passes says that a later try may not meet err.
func passes(err error) bool {
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		switch r.Code {
		case notImplemented, minio.PreconditionFailed:
			return false
		case conditionalConflict, "RequestTimeout", "SlowDown", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch":
			return true
		}
		return r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout
	}
	if _, ok := errors.AsType[*lull.Error](err); ok {
		return false
	}
	return !isCertificate(err) && !isPlain(err)
}

// codeOf is the service's code for what went wrong, empty when it was not the service.
func codeOf(err error) string {
	r, _ := errors.AsType[minio.ErrorResponse](err)
	return r.Code
}

func isNotFound(err error) bool { return codeOf(err) == minio.NoSuchKey }

func isCertificate(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return verify || host
}

// isPlain says that there is http where https was expected.
func isPlain(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return record || err != nil && strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// wrap names the object and the store, and gives the error its kind and next step.
func (s *Store) wrap(ctx context.Context, verb, name string, err error) error {
	if err == nil {
		return nil
	}
	what := strings.TrimSpace(verb+" "+name) + " of " + s.String()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if _, ok := errors.AsType[*lull.Error](err); ok {
		return err
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return s.wrapResponse(what, r)
	}
	switch {
	case isCertificate(err):
		return lull.Errorf(lull.Usage, "look at the endpoint's certificate, or add its CA to this system's", "%s: %w", what, bare(err))
	case isPlain(err):
		return lull.Errorf(lull.Usage, "begin the endpoint with http://", "%s: the endpoint does not speak https", what)
	}
	return lull.Errorf(lull.Unreachable, "look at the endpoint and the network, then try again", "%s: %w", what, bare(err))
}

// wrapResponse is wrap for what the service answered.
func (s *Store) wrapResponse(what string, r minio.ErrorResponse) error {
	said := fmt.Errorf("%s (%s)", oneLine(r.Error()), oneLine(r.Code))
	kind, hint := lull.Usage, ""
	switch r.Code {
	case minio.NoSuchKey:
		return fmt.Errorf("%s: %w", what, blob.ErrNotFound)
	case minio.NoSuchBucket, minio.InvalidBucketName:
		hint = "make the bucket " + s.o.Bucket + ", or correct its name"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired", "InvalidSecurity":
		hint = "look at the access key and secret key for bucket " + s.o.Bucket
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		hint = "allow this key to get, put, delete and list objects of bucket " + s.o.Bucket
	case minio.AuthorizationHeaderMalformed, minio.InvalidRegion, "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		hint = "set region= and endpoint= to those of bucket " + s.o.Bucket
	case "RequestTimeTooSkewed":
		hint = "set this machine's clock"
	case "InvalidRequest", "ObjectLockConfigurationNotFoundError":
		if s.o.LockDays > 0 {
			hint = "make bucket " + s.o.Bucket + " with object lock, or leave out lock-days"
		}
	}
	switch {
	case hint != "":
	case passes(r):
		kind, hint = lull.Unreachable, "try again later"
	default:
		kind = lull.Failed
	}
	return lull.Errorf(kind, hint, "%s: %w", what, said)
}

// bare takes off the URL, which names again what is named already.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// oneLine is what a service says, short enough for an error.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// transport notices a service that is gone: when it takes no connection, gives no answer, or
// stands still half way for longer than idle.
func transport(now clock.Clock, idle time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &idleConn{Conn: c, now: now, idle: idle}, nil
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: idle,
		ExpectContinueTimeout: 10 * time.Second,
		IdleConnTimeout:       idle,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // objects come as they are stored
	}
}

// idleConn is a connection that fails once nothing went over it for a while.
type idleConn struct {
	net.Conn
	now  clock.Clock
	idle time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write moves the deadline of a Read that waits for the answer along.
func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(c.now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
