// Package s3 keeps objects in a bucket of a service that speaks S3: Amazon's, Google's with
// HMAC keys, MinIO, Ceph and others. It makes no buckets and changes no bucket's settings.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Store is a bucket, or what lies under a prefix of it.
type Store struct {
	o         Options
	core      minio.Core
	now       clock.Clock
	pauses    []time.Duration // before the second, third, … try
	single    int64           // bytes: larger objects are sent in parts
	part      int64           // bytes of each part
	noPrecond atomic.Bool     // the service knows no If-None-Match at Put
}

var _ blob.Store = (*Store)(nil)

// New is the store that o describes. It reaches for nothing yet. now serves to say until when
// objects are locked, and to notice that a connection stands still.
func New(o Options, now clock.Clock) (*Store, error) {
	return newStore(o, now, transport(now, patience))
}

func newStore(o Options, now clock.Clock, rt http.RoundTripper) (*Store, error) {
	if o.AccessKey == "" || o.SecretKey == "" {
		return nil, lull.Errorf(lull.Usage, "set an access key and its secret key in the config or the environment",
			"use %s: there is no key for it", o)
	}
	o.Prefix = strings.Trim(o.Prefix, "/")
	if o.Prefix != "" {
		if err := blob.CheckName(o.Prefix); err != nil {
			return nil, lull.Errorf(lull.Usage, urlHint, "use %s: %w", o, err)
		}
	}
	region := o.Region
	if region == "" && o.Endpoint != "" && !strings.HasSuffix(o.Endpoint, ".amazonaws.com") {
		region = "us-east-1"
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	core, err := minio.NewCore(cmp.Or(o.Endpoint, amazon), &minio.Options{
		Creds:        credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken),
		Secure:       !o.Insecure,
		Region:       region,
		BucketLookup: lookup,
		Transport:    rt,
		MaxRetries:   1, // retries are made here: only here is it known which answers may be about an earlier try
	})
	if err != nil {
		return nil, lull.Errorf(lull.Usage, urlHint, "use %s: %w", o, err)
	}
	core.SetAppInfo("lull", lull.Version)
	return &Store{o: o, core: *core, now: now, pauses: pauses(), single: 64 << 20, part: 32 << 20}, nil
}

// String is the URL that ParseURL reads, without keys.
func (s *Store) String() string { return s.o.String() }

// key is an object's name in the bucket.
func (s *Store) key(name string) string {
	if s.o.Prefix == "" {
		return name
	}
	return s.o.Prefix + "/" + name
}

// Delete implements blob.Store. In a bucket with versions the older version stays.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return err
	}
	err := s.retry(ctx, func(int) error {
		return s.core.RemoveObject(ctx, s.o.Bucket, s.key(name), minio.RemoveObjectOptions{})
	})
	if codeOf(err) == minio.NoSuchKey {
		return nil
	}
	return s.wrap(ctx, "delete", name, err)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, fmt.Errorf("read %s of %s: offset %d", name, s, off)
	}
	if n == 0 { // no range says nothing
		if _, err := s.stat(ctx, name); err != nil {
			return nil, s.wrap(ctx, "read", name, err)
		}
		return io.NopCloser(strings.NewReader("")), nil
	}
	r := &reader{ctx: ctx, store: s, name: name, off: off, left: n}
	if err := s.retry(ctx, func(int) error { return r.open() }); err != nil {
		return nil, s.wrap(ctx, "read", name, err)
	}
	return r, nil
}

func (s *Store) stat(ctx context.Context, name string) (info minio.ObjectInfo, err error) {
	err = s.retry(ctx, func(int) error {
		info, err = s.core.StatObject(ctx, s.o.Bucket, s.key(name), minio.StatObjectOptions{})
		return err
	})
	return info, err
}

// reader is a part of an object. When its connection breaks it opens another one and goes on
// where it was: objects never change.
type reader struct {
	ctx   context.Context
	store *Store
	name  string
	body  io.ReadCloser
	off   int64 // of the next byte
	left  int64 // below 0: to the end
	fails int   // since the last byte
}

func (r *reader) open() error {
	var opts minio.GetObjectOptions
	var err error
	if r.left > 0 {
		err = opts.SetRange(r.off, r.off+r.left-1)
	} else if r.off > 0 {
		err = opts.SetRange(r.off, 0)
	}
	if err != nil {
		return err
	}
	body, _, header, err := r.store.core.GetObject(r.ctx, r.store.o.Bucket, r.store.key(r.name), opts)
	if codeOf(err) == minio.InvalidRange { // the offset is past the end
		r.body = io.NopCloser(strings.NewReader(""))
		return nil
	}
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("bytes %d-", r.off); r.off > 0 && !strings.HasPrefix(header.Get("Content-Range"), want) {
		body.Close()
		return lull.Errorf(lull.Failed, "", "read %s of %s: asked for what follows byte %d, the service sent something else", r.name, r.store, r.off)
	}
	r.body = body
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	if len(p) == 0 || r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.body.Read(p)
	r.off += int64(n)
	if r.left > 0 {
		r.left -= int64(n)
	}
	if n > 0 {
		r.fails = 0
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if err := r.reopen(err); err != nil {
		return n, r.store.wrap(r.ctx, "read", r.name, err)
	}
	return n, nil
}

func (r *reader) reopen(cause error) error {
	r.body.Close()
	r.body = io.NopCloser(strings.NewReader(""))
	if r.left == 0 {
		return nil
	}
	if r.fails++; r.fails > len(r.store.pauses) {
		return cause
	}
	if err := pause(r.ctx, r.store.pauses[r.fails-1]); err != nil {
		return err
	}
	return r.store.retry(r.ctx, func(int) error { return r.open() })
}

func (r *reader) Close() error { return r.body.Close() }
