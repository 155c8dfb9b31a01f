package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/internal/fsx"
)

// generation counts changes to what is generated, so that older caches are made anew.
const generation = 2

// firstLog is what a server calls its first binlog.
const firstLog = "mysql-bin.000001"

// corpus is the generated files, in the cache.
type corpus struct {
	Generation int    `json:"generation"`
	Start      spot   `json:"start"` // of the DELETE's transaction, in Big
	End        spot   `json:"end"`
	Checksum   int64  `json:"checksum"` // of billing before the DELETE
	Big        string `json:"-"`        // five million rows inserted, then one table emptied
	OLTP       string `json:"-"`        // small transactions
	Dump       string `json:"-"`        // all tables before the DELETE
	Schema     string `json:"-"`        // their CREATE TABLE statements
	tools      server.Binaries
}

// logs returns the files of the cache, made when they are not there.
func (b *bench) logs(ctx context.Context) (*corpus, error) {
	tools, err := server.Find("")
	if err != nil {
		return nil, err
	}
	l := &corpus{
		Big: filepath.Join(b.cache, "big", firstLog), OLTP: filepath.Join(b.cache, "oltp", firstLog),
		Dump: filepath.Join(b.cache, "dump.sql"), Schema: filepath.Join(b.cache, "schema.sql"), tools: tools,
	}
	about := filepath.Join(b.cache, "about.json")
	if text, err := os.ReadFile(about); err == nil && json.Unmarshal(text, l) == nil && l.Generation == generation {
		b.say("using the logs in %s", b.cache)
		return l, nil
	}
	l.Generation = generation
	for _, log := range []string{l.Big, l.OLTP} {
		if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
			return nil, err
		}
	}
	if err := b.makeBig(ctx, l); err != nil {
		return nil, fmt.Errorf("make the log of one big DELETE: %w", err)
	}
	if err := b.makeOLTP(ctx, l); err != nil {
		return nil, fmt.Errorf("make the log of small transactions: %w", err)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return l, os.WriteFile(about, text, 0o600)
}

// makeBig fills a shop, dumps it, empties billing and keeps the binlog.
func (b *bench) makeBig(ctx context.Context, l *corpus) (err error) {
	b.say("making a shop of %d rows", b.size.billing+b.size.clients+b.size.orders+b.size.lines)
	s, err := b.startShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := b.size.fillAll(ctx, s.db); err != nil {
		return err
	}
	if l.Checksum, err = s.checksum(ctx, "billing"); err != nil {
		return err
	}
	b.say("dumping it")
	if err := b.dump(ctx, s, l.Schema, "--no-data", "shop"); err != nil {
		return err
	}
	if err := b.dump(ctx, s, l.Dump, "--single-transaction", "shop"); err != nil {
		return err
	}
	if l.Start, err = s.spot(ctx); err != nil {
		return err
	}
	b.say("delete from billing;")
	if err := s.accident(ctx); err != nil {
		return err
	}
	if l.End, err = s.spot(ctx); err != nil {
		return err
	}
	if l.Start.File != firstLog {
		return fmt.Errorf("the DELETE went to %s: the rows before it do not fit one binlog", l.Start.File)
	}
	if l.End.File != l.Start.File { // it was rotated behind the DELETE
		l.End = spot{l.Start.File, 0}
	}
	return s.takeLog(ctx, l.Big)
}

// takeLog moves the server's first binlog away once it is closed.
func (s *shop) takeLog(ctx context.Context, to string) error {
	if err := execAll(ctx, s.db, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	return os.Rename(filepath.Join(s.BinlogDir(), firstLog), to)
}

// dump writes a dump of the shop to a file.
func (b *bench) dump(ctx context.Context, s *shop, to string, args ...string) error {
	cmd, err := s.Binaries().Command(ctx, "mariadb-dump", append(s.client(), args...)...)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd.Stdout = f
	_, err = b.child(cmd)
	return errors.Join(err, f.Close())
}

// client is the options with which the tools connect as root.
func (s *shop) client() []string {
	return []string{"--no-defaults", "--user=root", "--socket=" + s.Socket()}
}

// makeOLTP runs small transactions and repeats their events.
func (b *bench) makeOLTP(ctx context.Context, l *corpus) (err error) {
	b.say("running %d small transactions", b.size.txs)
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := execAll(ctx, s.db, oltpSchemaSQL); err != nil {
		return err
	}
	from, err := s.spot(ctx)
	if err != nil {
		return err
	}
	if err := smallTransactions(ctx, s.db, b.size.txs); err != nil {
		return err
	}
	to, err := s.spot(ctx)
	if err != nil {
		return err
	}
	if from.File != to.File {
		return fmt.Errorf("the transactions are not in one log: %s to %s", from.File, to.File)
	}
	raw := filepath.Join(b.work, "oltp.binlog")
	if err := s.takeLog(ctx, raw); err != nil {
		return err
	}
	in, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer in.Close()
	b.say("repeating their %d bytes to %d", to.Pos-from.Pos, b.size.oltp)
	return writeFile(l.OLTP, func(w io.Writer) error {
		return repeatLog(w, in, from.Pos, to.Pos, b.size.oltp)
	})
}

// writeFile makes a file that is there only when it is whole.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := fsx.Create(name, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // after Commit it does nothing
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}

// removeIfThere removes a file that may not exist.
func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
