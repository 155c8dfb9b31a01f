package act

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/fsx"
)

// Store keeps plans, one folder each: plan.json, the rows of its sections, the ledger of an
// apply that began, and the receipt of one that ended.
type Store struct {
	dir string
	now func() time.Time
}

// NewStore keeps plans under data; now is the clock that plans expire by.
func NewStore(data string, now func() time.Time) *Store {
	return &Store{dir: filepath.Join(data, "plans"), now: now}
}

// Draft is a plan under construction. It becomes visible whole, by Commit, or not at all.
type Draft struct {
	Plan
	store *Store
	dir   string
	lock  *fsx.FileLock
	files map[string]*recordWriter
}

// draftPrefix names folders of plans that are not finished.
const draftPrefix = ".draft-"

// Draft begins a plan.
func (s *Store) Draft() (*Draft, error) {
	if err := fsx.SecureDir(s.dir); err != nil {
		return nil, err
	}
	s.sweep()
	dir, err := os.MkdirTemp(s.dir, draftPrefix)
	if err != nil {
		return nil, fmt.Errorf("create plan: %w", err)
	}
	lock, err := fsx.Lock(filepath.Join(dir, "lock"), "planning")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	now := s.now().UTC().Truncate(time.Second)
	return &Draft{
		Plan:  Plan{Lull: lull.ContractVersion, Created: now, Expires: now.Add(Valid)},
		store: s, dir: dir, lock: lock, files: map[string]*recordWriter{},
	}, nil
}

// sweep removes drafts whose makers died.
func (s *Store) sweep() {
	drafts, _ := filepath.Glob(filepath.Join(s.dir, draftPrefix+"*"))
	for _, d := range drafts {
		lock, err := fsx.Lock(filepath.Join(d, "lock"), "sweeping")
		if err != nil {
			continue
		}
		os.RemoveAll(d)
		lock.Unlock()
	}
}

// Dir is a folder for temporary files that goes with the draft.
func (d *Draft) Dir() string { return d.dir }

// Out takes the records of one section.
type Out struct{ w *recordWriter }

// Add appends a record.
func (o Out) Add(rec *Record) error { return o.w.write(rec) }

// Rows is how many records were added.
func (o Out) Rows() int64 { return o.w.rows }

// Section opens a new section.
func (d *Draft) Section(table int, do Verb) (Out, error) {
	name := fmt.Sprintf("%d-%s.rows", len(d.Sections), do)
	w, err := createRecords(filepath.Join(d.dir, name))
	if err != nil {
		return Out{}, err
	}
	d.files[name] = w
	d.Sections = append(d.Sections, Section{Table: table, Do: do, File: name})
	return Out{w}, nil
}

// Order puts the sections into the order in which they are carried out.
func (d *Draft) Order(less func(a, b Section) int) {
	slices.SortStableFunc(d.Sections, less)
}

// Discard drops the draft. It does nothing after Commit.
func (d *Draft) Discard() error {
	if d.dir == "" {
		return nil
	}
	for _, f := range d.files {
		f.f.Close()
	}
	err := errors.Join(os.RemoveAll(d.dir), d.lock.Unlock())
	d.dir = ""
	return err
}

// Commit seals the plan, gives it the next free id and returns it.
func (d *Draft) Commit() (*Plan, error) {
	if err := d.seal(); err != nil {
		return nil, err
	}
	for {
		n, err := d.store.next()
		if err != nil {
			return nil, err
		}
		d.ID = fmt.Sprintf("p-%d", n)
		if err := d.write(); err != nil {
			return nil, err
		}
		err = os.Rename(d.dir, filepath.Join(d.store.dir, d.ID))
		if errors.Is(err, fs.ErrExist) {
			continue // somebody else took the number
		}
		if err != nil {
			return nil, fmt.Errorf("store plan: %w", err)
		}
		d.dir = ""
		if err := fsx.SyncDir(d.store.dir); err != nil {
			return nil, err
		}
		plan := d.Plan
		return &plan, d.lock.Unlock()
	}
}

// seal closes the row files and drops the empty ones.
func (d *Draft) seal() error {
	kept := d.Sections[:0]
	for _, s := range d.Sections {
		w := d.files[s.File]
		sha, err := w.close()
		if err != nil {
			return err
		}
		if w.rows == 0 {
			os.Remove(filepath.Join(d.dir, s.File))
			continue
		}
		s.Rows, s.Bytes, s.SHA = w.rows, w.size, sha
		kept = append(kept, s)
	}
	d.Sections = kept
	return nil
}

func (d *Draft) write() error {
	d.Digest = d.digest()
	b, err := json.MarshalIndent(&d.Plan, "", "  ")
	if err != nil {
		return err
	}
	return fsx.WriteFile(filepath.Join(d.dir, "plan.json"), append(b, '\n'), 0o600)
}

// digest covers the plan without its digest; the sections carry their rows' sums.
func (p *Plan) digest() string {
	q := *p
	q.Digest = ""
	b, _ := json.Marshal(&q) // a Plan holds nothing that cannot be marshalled
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// next is one above the highest plan number in use.
func (s *Store) next() (int, error) {
	ids, err := s.numbers()
	if err != nil || len(ids) == 0 {
		return 1, err
	}
	return ids[len(ids)-1] + 1, nil
}

func (s *Store) numbers() ([]int, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	var out []int
	for _, e := range entries {
		if n, ok := planNumber(e.Name()); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

func planNumber(id string) (int, bool) {
	rest, ok := strings.CutPrefix(id, "p-")
	n, err := strconv.Atoi(rest)
	return n, ok && err == nil && n > 0
}

// Open reads a plan and its state.
func (s *Store) Open(id string) (*Stored, error) {
	if _, ok := planNumber(id); !ok {
		return nil, lull.Errorf(lull.Usage, "plans are named p-1, p-2 ...: `lull plans` lists them", "%q is not a plan", id)
	}
	st := &Stored{dir: filepath.Join(s.dir, id), now: s.now}
	b, err := os.ReadFile(filepath.Join(st.dir, "plan.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lull.Errorf(lull.Usage, "`lull plans` lists the plans there are", "there is no plan %s in %s", id, s.dir)
	}
	if err == nil {
		err = json.Unmarshal(b, &st.Plan)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", id, err)
	}
	if st.digest() != st.Digest {
		return nil, lull.Errorf(lull.Refused, "make the plan again", "plan %s was changed since it was made: its digest does not match", id)
	}
	for i := range st.Tables {
		st.Tables[i].Name = st.Tables[i].Shape.Name
	}
	return st, nil
}

// List reads all plans, newest first. Those that are damaged are left out and named in the
// error; the list is good all the same.
func (s *Store) List() ([]*Stored, error) {
	ids, err := s.numbers()
	if err != nil {
		return nil, err
	}
	var out []*Stored
	var damaged []error
	for _, n := range slices.Backward(ids) {
		st, err := s.Open(fmt.Sprintf("p-%d", n))
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		out = append(out, st)
	}
	return out, errors.Join(damaged...)
}

// Stored is a plan in the store.
type Stored struct {
	Plan
	dir string
	now func() time.Time
}

// Records opens a section's rows.
func (s *Stored) Records(sec Section) (*Records, error) {
	return openRecords(filepath.Join(s.dir, sec.File))
}

// State says how far the plan is.
func (s *Stored) State() State {
	if _, err := os.Stat(filepath.Join(s.dir, receiptFile)); err == nil {
		return Done
	}
	if _, err := os.Stat(filepath.Join(s.dir, ledgerFile)); err == nil {
		return Started
	}
	return Planned
}

// Expired says that the plan may no longer be begun.
func (s *Stored) Expired() bool { return s.now().After(s.Expires) }

// Check compares the rows on disk with the sums in the plan.
func (s *Stored) Check() error {
	for _, sec := range s.Sections {
		sha, err := fileSHA(filepath.Join(s.dir, sec.File))
		if err != nil {
			return fmt.Errorf("read plan %s: %w", s.ID, err)
		}
		if sha != sec.SHA {
			return lull.Errorf(lull.Refused, "make the plan again", "rows of plan %s were changed since it was made: %s does not match its sum", s.ID, sec.File)
		}
	}
	return nil
}

// Lock keeps other runs from applying the plan.
func (s *Stored) Lock() (*fsx.FileLock, error) {
	return fsx.Lock(filepath.Join(s.dir, "lock"), "lull apply "+s.ID)
}

const (
	receiptFile = "receipt.json"
	ledgerFile  = "ledger"
)

// Receipt reads the receipt of a plan that is done.
func (s *Stored) Receipt() (*Receipt, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, receiptFile))
	if err != nil {
		return nil, fmt.Errorf("read receipt of %s: %w", s.ID, err)
	}
	var r Receipt
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read receipt of %s: %w", s.ID, err)
	}
	return &r, nil
}

// Finish stores the receipt; from then on the plan is done.
func (s *Stored) Finish(r *Receipt) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return fsx.WriteFile(filepath.Join(s.dir, receiptFile), append(b, '\n'), 0o600)
}
