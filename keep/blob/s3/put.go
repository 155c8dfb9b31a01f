package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/minio/minio-go/v7"
)

// putMark is the metadata by which a Put knows an object as its own when the answer to the
// try that stored it was lost.
const putMark = "Lull-Put"

// Put implements blob.Store. The service gets MD5 and SHA-256 before the bytes and refuses
// others; two writers of one name are kept apart by If-None-Match where the service knows it,
// and by a look before that where it does not.
func (s *Store) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := errors.Join(ctx.Err(), blob.CheckName(name)); err != nil {
		return err
	}
	_, err := s.stat(ctx, name)
	switch {
	case err == nil:
		return s.exists(name)
	case !isNotFound(err) && codeOf(err) != minio.AccessDenied: // who may not look may be allowed to write
		return s.wrap(ctx, "write", name, err)
	}
	p := &put{store: s, name: name, r: r, mark: rand.Text()}
	defer p.close()
	if size <= s.single {
		err = p.whole(ctx, size)
	} else {
		err = p.parts(ctx, size)
	}
	return p.settle(ctx, err)
}

func (s *Store) exists(name string) error {
	return fmt.Errorf("write %s of %s: %w", name, s, blob.ErrExists)
}

type put struct {
	store *Store
	name  string
	mark  string

	mu     sync.Mutex // an earlier try's connection may still read while the next does
	r      io.ReadSeeker
	closed bool
	err    error // of r
}

// settle tells a name that was taken by others from one that an earlier try of ours took.
func (p *put) settle(ctx context.Context, err error) error {
	s := p.store
	switch codeOf(err) {
	case minio.PreconditionFailed, conditionalConflict:
		info, serr := s.stat(ctx, p.name)
		if serr != nil {
			return s.wrap(ctx, "write", p.name, serr)
		}
		if info.UserMetadata[putMark] == p.mark {
			return nil
		}
		return s.exists(p.name)
	}
	if errors.Is(err, blob.ErrExists) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("write %s of %s: %w", p.name, s, p.err)
	}
	return s.wrap(ctx, "write", p.name, err)
}

// options are those of the request that makes the object, or of the one that begins it in parts.
func (p *put) options(conditional bool) minio.PutObjectOptions {
	o := minio.PutObjectOptions{
		UserMetadata:         map[string]string{putMark: p.mark},
		DisableContentSha256: true, // no streaming signature: the whole payload is signed
	}
	if days := p.store.o.LockDays; days > 0 {
		o.Mode = minio.Compliance
		o.RetainUntilDate = p.store.now().UTC().AddDate(0, 0, days).Truncate(time.Second)
	}
	if conditional && !p.store.noPrecond.Load() {
		o.SetMatchETagExcept("*")
	}
	return o
}

// conditionally calls f until it is through; a service that knows no conditions is asked
// again without one.
func (p *put) conditionally(ctx context.Context, f func() error) error {
	err := p.store.retry(ctx, func(int) error { return f() })
	if codeOf(err) == notImplemented && !p.store.noPrecond.Swap(true) {
		err = p.store.retry(ctx, func(int) error { return f() })
	}
	return err
}

func (p *put) whole(ctx context.Context, size int64) error {
	sum, err := p.sum(ctx, 0, size)
	if err != nil {
		return err
	}
	return p.conditionally(ctx, func() error {
		_, err := p.store.core.PutObject(ctx, p.store.o.Bucket, p.store.key(p.name), p.section(0, size), size,
			sum.md5, sum.sha256, p.options(true))
		return err
	})
}

// parts sends one part after the other; the object is there once all are.
func (p *put) parts(ctx context.Context, size int64) (err error) {
	s, key := p.store, p.store.key(p.name)
	var id string
	err = s.retry(ctx, func(int) (err error) {
		id, err = s.core.NewMultipartUpload(ctx, s.o.Bucket, key, p.options(false))
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // parts that stay cost money: tried even when ctx is over
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = s.core.AbortMultipartUpload(ctx, s.o.Bucket, key, id)
		}
	}()
	length := max(s.part, (size+9_999)/10_000)
	var done []minio.CompletePart
	for off := int64(0); off < size; off += length {
		part, err := p.onePart(ctx, id, len(done)+1, off, min(length, size-off))
		if err != nil {
			return err
		}
		done = append(done, part)
	}
	return p.complete(ctx, id, done)
}

// complete makes the object of its parts.
func (p *put) complete(ctx context.Context, id string, done []minio.CompletePart) error {
	s, key := p.store, p.store.key(p.name)
	// Much time has passed since the first look.
	if info, serr := s.stat(ctx, p.name); serr == nil && info.UserMetadata[putMark] != p.mark {
		return s.exists(p.name)
	}
	opts := p.options(true)
	opts.UserMetadata, opts.Mode, opts.RetainUntilDate = nil, "", time.Time{} // told at the beginning
	return p.conditionally(ctx, func() error {
		if s.noPrecond.Load() {
			opts = minio.PutObjectOptions{}
		}
		_, err := s.core.CompleteMultipartUpload(ctx, s.o.Bucket, key, id, done, opts)
		if codeOf(err) == noSuchUpload { // an earlier try may have completed it
			if info, serr := s.stat(ctx, p.name); serr == nil && info.UserMetadata[putMark] == p.mark {
				return nil
			}
		}
		return err
	})
}

func (p *put) onePart(ctx context.Context, id string, number int, off, size int64) (minio.CompletePart, error) {
	sum, err := p.sum(ctx, off, size)
	if err != nil {
		return minio.CompletePart{}, err
	}
	var part minio.ObjectPart
	err = p.store.retry(ctx, func(int) (err error) {
		part, err = p.store.core.PutObjectPart(ctx, p.store.o.Bucket, p.store.key(p.name), id, number, p.section(off, size), size,
			minio.PutObjectPartOptions{Md5Base64: sum.md5, Sha256Hex: sum.sha256, DisableContentSha256: true})
		return err
	})
	return minio.CompletePart{PartNumber: number, ETag: part.ETag}, err
}

type sums struct{ md5, sha256 string }

// sum reads a section and ends with an error when there is less of it than size.
func (p *put) sum(ctx context.Context, off, size int64) (sums, error) {
	m, h := md5.New(), sha256.New()
	n, err := io.Copy(io.MultiWriter(m, h), p.section(off, size))
	if err == nil && n != size {
		err = fmt.Errorf("%d of %d bytes given: %w", off+n, off+size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		p.fail(err)
		return sums{}, err
	}
	return sums{base64.StdEncoding.EncodeToString(m.Sum(nil)), hex.EncodeToString(h.Sum(nil))}, ctx.Err()
}

func (p *put) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// close keeps connections that are still writing off the reader, which is the caller's again.
func (p *put) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (p *put) section(off, size int64) *section { return &section{p: p, off: off, size: size} }

// section is size bytes of what is put, from off on. Sections do not disturb each other.
type section struct {
	p              *put
	off, size, pos int64
}

func (c *section) Read(b []byte) (int, error) {
	if c.pos >= c.size {
		return 0, io.EOF
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.p.closed {
		return 0, io.ErrClosedPipe
	}
	_, err := c.p.r.Seek(c.off+c.pos, io.SeekStart)
	n := 0
	if err == nil {
		n, err = c.p.r.Read(b[:min(int64(len(b)), c.size-c.pos)])
		c.pos += int64(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.p.err = err
		err = lull.Errorf(lull.Failed, "", "%w", err) // no other try helps
	}
	return n, err
}

// Seek knows the one step that a request makes before it is sent.
func (c *section) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart || offset < 0 || offset > c.size {
		return 0, lull.Errorf(lull.Failed, "", "seek to %d from %d of a section", offset, whence)
	}
	c.pos = offset
	return offset, nil
}
