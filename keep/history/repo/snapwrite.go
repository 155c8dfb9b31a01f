package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// SnapshotOptions change how a snapshot is written; the zero value will do.
type SnapshotOptions struct {
	MemberBytes int   // of rows in a member; 0 is 4 MiB
	PartBytes   int64 // stored, of an object; 0 is 128 MiB
	// Stored is called when a part is durable in the repository, from another goroutine.
	Stored func(StoredPart)
}

// StoredPart is a part of a snapshot that is in the repository, and what a later run must know
// to go on behind it.
type StoredPart struct {
	Part history.Part `json:"part"`
	Rows int64        `json:"rows"` // in this part
	Sum  string       `json:"sum"`  // db.Digest of them
}

// SnapshotEnd is what is known of a snapshot when its last row was read.
type SnapshotEnd struct {
	End    history.Seq
	At     time.Time // commit time of End, or when it was taken
	Sorted bool
}

// SnapshotWriter writes a table's rows into a repository. Its methods are for one goroutine;
// rows are compressed and stored in others, while the next ones are added. A SnapshotWriter must
// be ended by Close, Abort or Leave.
type SnapshotWriter struct {
	repo    *Repo
	meta    history.Snapshot
	def     []byte // payload of the definitions member
	dir     string
	opt     SnapshotOptions
	payload []byte
	digest  db.Digest // of payload
	sealer  *pack.Sealer
	jobs    chan *rowsJob
	sealing sync.WaitGroup
	free    chan []byte // payloads to use again
	done    chan struct{}
	cancel  context.CancelFunc
	ctx     context.Context

	// These belong to the other goroutine until done is closed.
	sum    sum128
	count  int64
	parts  []history.Part
	size   int64
	part   *partFile
	failed error
}

// rowsJob is a member to be; with flush set the part ends behind it. Members are sealed several
// at a time and stored in the order of their jobs.
type rowsJob struct {
	digest db.Digest
	ready  chan sealedRows // nil when there are no rows
	flush  chan error
}

type sealedRows struct {
	member *pack.Sealed
	err    error
}

// sealers is how many members are sealed at a time: as many as there are processors, but the
// server may be on this machine.
func sealers() int { return min(4, runtime.GOMAXPROCS(0)) }

// partFile is the part being written.
type partFile struct {
	file   *os.File
	pack   *pack.Writer
	digest sum128
	rows   int64
}

// NewSnapshot begins a snapshot. Of meta ID, Table, Start and Origin must be set; def is the
// shape of its rows. Parts are made in files in dir before they are stored. ctx holds until the
// writer's end.
func (r *Repo) NewSnapshot(ctx context.Context, meta history.Snapshot, def *history.Definition, dir string, opt SnapshotOptions) (*SnapshotWriter, error) {
	if !isID(meta.ID) || meta.Table == (db.Name{}) || def == nil {
		return nil, fmt.Errorf("begin snapshot %q of %s: id, table or definition is missing", meta.ID, meta.Table)
	}
	payload, err := pack.AppendDefinition(nil, def)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot of %s: %w", meta.Table, err)
	}
	if opt.MemberBytes <= 0 {
		opt.MemberBytes = 4 << 20
	}
	if opt.PartBytes <= 0 {
		opt.PartBytes = 128 << 20
	}
	meta.Definition, meta.Parts, meta.Rows, meta.Bytes = def.ID, nil, 0, 0
	sealer, err := pack.NewSealer(r.keys.Recipients, sealers())
	if err != nil {
		return nil, fmt.Errorf("begin snapshot of %s: %w", meta.Table, err)
	}
	w := &SnapshotWriter{
		repo: r, meta: meta, def: payload, dir: dir, opt: opt,
		sealer: sealer, jobs: make(chan *rowsJob, sealers()), done: make(chan struct{}), free: make(chan []byte, sealers()),
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	go w.work()
	return w, nil
}

// Adopt takes over the next part that an earlier run stored, before any row is added.
func (w *SnapshotWriter) Adopt(p StoredPart) error {
	// The other goroutine does nothing before the first job.
	sum, err := parseSum(p.Sum)
	if err != nil || p.Part.Name != partName(len(w.parts)+1) {
		return fmt.Errorf("take over part %q of snapshot %s of %s: it is not part %d", p.Part.Name, w.meta.ID, w.meta.Table, len(w.parts)+1)
	}
	w.parts = append(w.parts, p.Part)
	w.size += p.Part.Size
	w.sum.add(sum)
	w.count += p.Rows
	return nil
}

// Buffer is an empty slice with room for a payload of AddRows.
func (w *SnapshotWriter) Buffer() []byte {
	select {
	case b := <-w.free:
		if cap(b) <= 2*w.opt.MemberBytes { // one huge row is no reason to keep its memory
			return b
		}
	default:
	}
	return make([]byte, 0, w.opt.MemberBytes+w.opt.MemberBytes/8)
}

// Add appends a row; it keeps nothing of it.
func (w *SnapshotWriter) Add(row db.Row) error {
	if w.payload == nil {
		w.payload = w.Buffer()
	}
	w.payload = db.AppendRow(w.payload, row)
	w.digest.Add(row)
	if len(w.payload) >= w.opt.MemberBytes {
		return w.send(nil)
	}
	return nil
}

// AddRows appends rows that are written already, one db.AppendRow after the other, whose digest
// is d. The payload becomes the writer's; Buffer gives the next.
func (w *SnapshotWriter) AddRows(payload []byte, d *db.Digest) error {
	if len(w.payload) > 0 {
		w.payload = append(w.payload, payload...)
	} else {
		w.payload = payload
	}
	w.digest.Merge(d)
	if len(w.payload) >= w.opt.MemberBytes {
		return w.send(nil)
	}
	return nil
}

// Flush ends the part and waits until all rows added so far are stored.
func (w *SnapshotWriter) Flush() error {
	flush := make(chan error, 1)
	if err := w.send(flush); err != nil {
		return err
	}
	select {
	case err := <-flush:
		return err
	case <-w.done:
		return w.fault()
	}
}

func (w *SnapshotWriter) send(flush chan error) error {
	payload := w.payload
	job := &rowsJob{digest: w.digest, flush: flush}
	if len(payload) > 0 {
		job.ready = make(chan sealedRows, 1)
	}
	select {
	case w.jobs <- job:
	case <-w.done:
		return w.fault()
	}
	w.payload, w.digest = nil, db.Digest{}
	if job.ready != nil {
		w.sealing.Go(func() {
			m := pack.Member{Kind: pack.Rows, Table: w.meta.Table, Definition: w.meta.Definition, Count: job.digest.Rows}
			sealed, err := w.sealer.Seal(m, payload)
			job.ready <- sealedRows{sealed, err}
			select {
			case w.free <- payload[:0]:
			default:
			}
		})
	}
	return nil
}

func (w *SnapshotWriter) fault() error {
	if w.failed == nil {
		return fmt.Errorf("write snapshot of %s: it was ended", w.meta.Table)
	}
	return fmt.Errorf("write snapshot of %s: %w", w.meta.Table, w.failed)
}

// Close stores what is left and the snapshot's document, which completes it.
func (w *SnapshotWriter) Close(end SnapshotEnd) (*history.Snapshot, error) {
	if err := w.Flush(); err != nil {
		w.stop()
		return nil, err
	}
	ctx := context.WithoutCancel(w.ctx)
	if err := w.ctx.Err(); err != nil {
		w.stop()
		return nil, err
	}
	w.stop()
	s := w.meta
	s.End, s.At, s.Sorted = end.End, end.At.UTC(), end.Sorted
	s.Rows, s.Sum, s.Parts, s.Bytes = w.count, w.sum.String(), w.parts, w.size
	if err := w.repo.PutSnapshot(ctx, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// PutSnapshot stores the document of a snapshot whose parts are stored, which completes it.
func (r *Repo) PutSnapshot(ctx context.Context, s *history.Snapshot) error {
	text, err := sealDocument(s)
	if err == nil {
		_, err = parseSnapshot(text)
	}
	if err == nil {
		name := r.name(snapFolder(s.ID, s.Table) + "/" + snapshotName)
		err = r.put(ctx, name, bytes.NewReader(text), int64(len(text)))
	}
	if err != nil {
		return fmt.Errorf("complete snapshot %s of %s: %w", s.ID, s.Table, err)
	}
	return nil
}

// Leave ends the writer and leaves the parts that are stored, to be adopted by a later run.
func (w *SnapshotWriter) Leave() { w.stop() }

// Abort ends the writer and deletes the parts that are stored.
func (w *SnapshotWriter) Abort(ctx context.Context) error {
	w.stop()
	var errs []error
	for _, p := range w.parts {
		errs = append(errs, w.repo.store.Delete(ctx, w.repo.name(snapFolder(w.meta.ID, w.meta.Table)+"/"+p.Name)))
	}
	return errors.Join(errs...)
}

func (w *SnapshotWriter) stop() {
	w.cancel()
	<-w.done
	w.sealing.Wait()
}

// work makes members and parts of what is sent.
func (w *SnapshotWriter) work() {
	defer close(w.done)
	defer func() {
		if w.part != nil {
			w.part.discard()
		}
	}()
	for {
		select {
		case <-w.ctx.Done():
			if w.failed == nil {
				w.failed = w.ctx.Err()
			}
			return
		case job := <-w.jobs:
			err := w.do(job)
			if job.flush != nil {
				job.flush <- err
			}
			if err != nil {
				w.failed = err
				return
			}
		}
	}
}

func (w *SnapshotWriter) do(job *rowsJob) error {
	if job.ready != nil {
		if err := w.member(job); err != nil {
			return err
		}
	}
	// A table without rows has a part, too: it holds the definition.
	if job.flush != nil && w.part == nil && len(w.parts) == 0 {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if w.part != nil && (job.flush != nil || w.part.pack.Size() >= w.opt.PartBytes) {
		return w.end()
	}
	return nil
}

func (w *SnapshotWriter) member(job *rowsJob) error {
	rows := <-job.ready
	if rows.err != nil {
		return rows.err
	}
	if w.part == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if err := w.part.pack.AddSealed(rows.member); err != nil {
		return err
	}
	sum, err := parseSum(job.digest.Sum())
	w.part.digest.add(sum)
	w.part.rows += job.digest.Rows
	return err
}

func (w *SnapshotWriter) begin() error {
	f, err := os.CreateTemp(w.dir, "lull-part-*")
	if err != nil {
		return fmt.Errorf("make a part: %w", err)
	}
	w.part = &partFile{file: f}
	if w.part.pack, err = pack.NewWriter(f, w.repo.keys.Recipients); err != nil {
		return err
	}
	m := pack.Member{Kind: pack.Definitions, Table: w.meta.Table, IDs: []string{w.meta.Definition}, Count: 1}
	return w.part.pack.Add(m, w.def)
}

// end stores the part.
func (w *SnapshotWriter) end() error {
	p := w.part
	w.part = nil
	defer p.discard()
	created := idTime(w.meta.ID)
	ix := pack.Index{Kind: pack.Snapshot, Database: w.repo.header.Database, Created: created, First: w.meta.Start}
	sum, err := p.pack.Close(ix)
	if err != nil {
		return err
	}
	part := history.Part{Name: partName(len(w.parts) + 1), Size: p.pack.Size(), Sum: sum}
	if err := w.repo.put(w.ctx, w.repo.name(snapFolder(w.meta.ID, w.meta.Table)+"/"+part.Name), p.file, part.Size); err != nil {
		return fmt.Errorf("store part %s: %w", part.Name, err)
	}
	w.parts = append(w.parts, part)
	w.size += part.Size
	w.sum.add(p.digest)
	w.count += p.rows
	if w.opt.Stored != nil {
		w.opt.Stored(StoredPart{Part: part, Rows: p.rows, Sum: p.digest.String()})
	}
	return nil
}

func (p *partFile) discard() {
	p.file.Close()
	os.Remove(p.file.Name())
}

// sum128 is a digest's checksum as a number, to which others are added.
type sum128 struct{ hi, lo uint64 }

func (s *sum128) add(o sum128) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

func (s sum128) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], s.hi)
	binary.BigEndian.PutUint64(b[8:], s.lo)
	return hex.EncodeToString(b[:])
}

func parseSum(text string) (sum128, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 {
		return sum128{}, fmt.Errorf("read checksum %q: it is none", text)
	}
	return sum128{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}
