// Package repo is the repository of a database's past: packs of what changed and snapshots of
// tables, kept as objects in a blob.Store, and the questions that can be asked of them. It puts
// objects there, finds the chain of log packs, merges and retires them, copies and verifies them.
// It reads no database, does not know how objects are stored, and does not work out what a table
// looked like: that is the fold's. docs/formats/repository.md is the page of its format.
package repo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Version is the version of the repository's format that is written.
const Version = 1

// Header is what lull.json says of a repository.
type Header struct {
	Version  int       `json:"lull-repository"`
	ID       string    `json:"id"`
	Database string    `json:"database"`
	Created  time.Time `json:"created"`
	// Recipients are the public keys that packs are encrypted to; none means not encrypted.
	Recipients []string `json:"recipients,omitempty"`
}

// Repo is one database's repository. Its methods may be called concurrently, and while other
// processes write, merge and retire packs.
type Repo struct {
	store  blob.Store
	header Header
	keys   pack.Keys
	cache  string // folder for indexes; "" for none

	mu          sync.Mutex
	known       *chain
	damaged     map[string]string // log packs that cannot be opened, and why
	spoiled     map[string]bool   // log packs with a damaged member, as Merge found them
	indexes     indexes
	snapshots   map[string]*history.Snapshot // by folder
	definitions map[string]*history.Definition
}

var _ history.Past = (*Repo)(nil)

// Option changes how a repository is read.
type Option func(*Repo)

// Cache keeps indexes of packs in a folder of this machine, so that each is fetched once. The
// folder may be shared by repositories; what is damaged in it is fetched again.
func Cache(dir string) Option { return func(r *Repo) { r.cache = dir } }

// Open opens the repository of a database. keys.Recipients, when there are any, stand for those
// that the repository names. A store without a repository of that name is a lull.Error of kind
// Usage.
func Open(ctx context.Context, store blob.Store, database string, keys pack.Keys, options ...Option) (*Repo, error) {
	if err := checkDatabase(database); err != nil {
		return nil, err
	}
	text, err := readAll(ctx, store, database+"/"+headerName, maxDocument)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, lull.Errorf(lull.Usage, "lull serve makes it", "open repository of %s: there is none in %s", database, store)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository of %s: %w", database, err)
	}
	header, err := parseHeader(text)
	if err != nil {
		return nil, fmt.Errorf("open repository of %s in %s: %w", database, store, err)
	}
	if header.Database != database {
		return nil, lull.Errorf(lull.Usage, "a repository keeps its name", "open repository of %s in %s: it is of %s",
			database, store, header.Database)
	}
	return newRepo(store, header, keys, options)
}

func newRepo(store blob.Store, header *Header, keys pack.Keys, options []Option) (*Repo, error) {
	if len(keys.Recipients) == 0 {
		var err error
		if keys.Recipients, err = pack.ParseRecipients(header.Recipients); err != nil {
			return nil, fmt.Errorf("open repository of %s in %s: %w", header.Database, store, err)
		}
	}
	r := &Repo{store: store, header: *header, keys: keys}
	r.forget()
	for _, o := range options {
		o(r)
	}
	return r, nil
}

// forget empties what is kept in memory.
func (r *Repo) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known, r.damaged, r.indexes = nil, map[string]string{}, indexes{}
	r.spoiled = map[string]bool{}
	r.snapshots, r.definitions = map[string]*history.Snapshot{}, map[string]*history.Definition{}
}

// Create makes a repository whose packs are encrypted to recipients, public keys of age or SSH.
// One that is there already is a lull.Error of kind Usage.
func Create(ctx context.Context, store blob.Store, database string, recipients []string, now time.Time, options ...Option) (*Repo, error) {
	if err := checkDatabase(database); err != nil {
		return nil, err
	}
	keys, err := pack.ParseRecipients(recipients)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("create repository of %s: %w", database, err)
	}
	header := &Header{
		Version: Version, ID: hex.EncodeToString(id), Database: database, Created: now.UTC(), Recipients: recipients,
	}
	text, err := sealDocument(header)
	if err != nil {
		return nil, fmt.Errorf("create repository of %s: %w", database, err)
	}
	err = putBytes(ctx, store, database+"/"+headerName, text)
	if errors.Is(err, blob.ErrExists) {
		return nil, lull.Errorf(lull.Usage, "use another store or another name", "create repository of %s in %s: there is a repository already",
			database, store)
	}
	if err != nil {
		return nil, fmt.Errorf("create repository of %s: %w", database, err)
	}
	return newRepo(store, header, pack.Keys{Recipients: keys}, options)
}

// OpenOrCreate opens the repository of a database, and makes it when there is none. When
// recipients are given, new packs are encrypted to them.
func OpenOrCreate(ctx context.Context, store blob.Store, database string, recipients []string, identities []age.Identity,
	now time.Time, options ...Option,
) (*Repo, error) {
	keys := pack.Keys{Identities: identities}
	var err error
	if keys.Recipients, err = pack.ParseRecipients(recipients); err != nil {
		return nil, err
	}
	if err := checkDatabase(database); err != nil {
		return nil, err
	}
	_, err = readAll(ctx, store, database+"/"+headerName, maxDocument)
	if errors.Is(err, blob.ErrNotFound) {
		// Another recorder may be quicker; then its repository is opened.
		if _, err := Create(ctx, store, database, recipients, now); err != nil && lull.KindOf(err) != lull.Usage {
			return nil, err
		}
	}
	return Open(ctx, store, database, keys, options...)
}

// Databases lists the names that have a repository in a store, in order.
func Databases(ctx context.Context, store blob.Store) ([]string, error) {
	var names []string
	for info, err := range store.List(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("list repositories of %s: %w", store, err)
		}
		if name, rest, ok := strings.Cut(info.Name, "/"); ok && rest == headerName && checkDatabase(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// Header is what the repository says of itself.
func (r *Repo) Header() Header { return r.header }

// ID tells this repository from all others, and from none of its copies.
func (r *Repo) ID() string { return r.header.ID }

// Recipients are whom new packs are encrypted to; none means that they are not.
func (r *Repo) Recipients() []age.Recipient { return r.keys.Recipients }

// String names the database and the store.
func (r *Repo) String() string { return r.header.Database + " in " + r.store.String() }

// name is the store's name of an object of this repository.
func (r *Repo) name(rest string) string { return r.header.Database + "/" + rest }

func parseHeader(text []byte) (*Header, error) {
	var h Header
	if err := openDocument(text, &h); err != nil {
		return nil, fmt.Errorf("read %s: %w", headerName, err)
	}
	switch {
	case h.Version > Version:
		return nil, lull.Errorf(lull.Usage, "use a newer lull", "read %s: the format is version %d, this program knows up to %d",
			headerName, h.Version, Version)
	case h.Version < 1 || h.ID == "":
		return nil, fmt.Errorf("read %s: %w", headerName, &pack.CorruptError{Where: headerName, Reason: "it has no version or no id"})
	}
	return &h, nil
}
