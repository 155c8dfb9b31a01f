package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// snapshots is reading all tables once into a new repository, and the bytes that it takes.
func (b *bench) snapshots(ctx context.Context, _ *corpus) (err error) {
	p, err := b.startPast(ctx, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	cs := []contender{{name: "lull backup now --all", run: func() (took, error) {
		if err := p.configure("repo", "shop"); err != nil {
			return took{}, err
		}
		return p.backupNow(ctx, "repo")
	}}}
	packed := filepath.Join(p.dir, "packed")
	if b.peer("mydumper") != "" {
		for _, n := range []int{1, 2} {
			threads := "--threads=" + strconv.Itoa(n)
			cs = append(cs, contender{name: "mydumper -t " + strconv.Itoa(n), run: func() (took, error) { return p.mydumper(ctx, p.dump, threads) }})
		}
		cs = append(cs, contender{name: "mydumper -t 1 --compress", once: true, run: func() (took, error) {
			return p.mydumper(ctx, packed, "--threads=1", "--compress")
		}})
	}
	runs, err := b.alternate(0, cs)
	if err != nil {
		return err
	}
	z := p.size
	rows := int64(z.pastBilling + z.pastClients + z.pastOrders + z.pastLines)
	if err := b.add(fmt.Sprintf("e. read all of a shop of %d rows, without a lock but for mydumper's", rows), 0, rows, cs, runs); err != nil {
		return err
	}
	return p.bytes(ctx, packed)
}

// bytes compares what snapshots and changes take with dumps.
func (p *past) bytes(ctx context.Context, packed string) error {
	s := sizes{title: "f. bytes kept of all that"}
	n, err := folderBytes(p.kept("repo"))
	if err != nil {
		return err
	}
	before := n
	s.add("lull, snapshots", n)
	if p.peer("mydumper") != "" {
		if n, err = folderBytes(p.dump); err != nil {
			return err
		}
		s.add("mydumper", n)
		if n, err = folderBytes(packed); err != nil {
			return err
		}
		s.add("mydumper --compress (gzip)", n)
		for _, level := range []int{1, 3} {
			if n, err = p.zstdBytes(ctx, p.dump, level); err != nil {
				return err
			}
			s.add("mydumper, its files by zstd -"+strconv.Itoa(level), n)
		}
	}
	rows, err := p.changes(ctx)
	if err != nil {
		return err
	}
	if _, err := p.served(p.lullSite(ctx, "repo", "backup", "now", "shop")); err != nil {
		return err
	}
	if n, err = folderBytes(p.kept("repo")); err != nil {
		return err
	}
	s.add(fmt.Sprintf("lull, %d changed rows more, %.1f bytes each", rows, float64(n-before)/float64(rows)), n-before)
	p.report.contests = append(p.report.contests, &s)
	return s.write(p.out)
}

// oneTable is bringing one table back, beside others of a tenth and of the whole size.
func (b *bench) oneTable(ctx context.Context, _ *corpus) error {
	for _, share := range []float64{0.1, 1} {
		if err := b.oneTableOf(ctx, share); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) oneTableOf(ctx context.Context, share float64) (err error) {
	p, err := b.startPast(ctx, share)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	r := &revival{past: p, tsv: filepath.Join(p.shop.TmpDir(), "billing.tsv")}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	cs := r.ways(ctx)
	runs, err := b.alternate(b.skip, cs)
	if err != nil {
		return err
	}
	rows := int64(p.size.pastBilling)
	return b.add(fmt.Sprintf("g. bring one table of %d rows back, beside others of %d MB", rows, (r.all-r.one)/1_000_000), 0, rows, cs, runs)
}

// revival is the contest of bringing billing back.
type revival struct {
	*past
	tsv    string
	at     string // the moment
	old    int64  // checksum when the dumps were made
	want   int64  // at the moment
	one    int64  // bytes of billing
	all    int64  // bytes of all tables
	loaded bool   // mydumper is there
	copied bool   // mariadb-backup is there
}

// prepare keeps the shop in every way, changes rows, and notes the moment.
func (r *revival) prepare(ctx context.Context) (err error) {
	if err := r.configure("repo", "shop"); err != nil {
		return err
	}
	r.say("keeping it in every way")
	if _, err := r.backupNow(ctx, "repo"); err != nil {
		return err
	}
	if r.loaded = r.peer("mydumper") != "" && r.peer("myloader") != ""; r.loaded {
		if _, err := r.mydumper(ctx, r.past.dump, "--threads=2"); err != nil {
			return err
		}
	}
	if r.copied = r.merge && r.peer("mariadb-backup", "mariabackup") != ""; r.copied {
		if _, err := r.copyServer(ctx); err != nil {
			return err
		}
	}
	if r.merge {
		if err := r.bench.dump(ctx, r.shop, r.sql, "--single-transaction", "shop"); err != nil {
			return err
		}
	}
	return r.moment(ctx)
}

func (r *revival) moment(ctx context.Context) (err error) {
	const bytes = "SELECT SUM(data_length+index_length), SUM(IF(table_name='billing', data_length+index_length, 0)) FROM information_schema.tables WHERE table_schema='shop'"
	if err := r.shop.db.QueryRowContext(ctx, bytes).Scan(&r.all, &r.one); err != nil {
		return fmt.Errorf("measure tables: %w", err)
	}
	if r.old, err = r.shop.checksum(ctx, "billing"); err != nil {
		return err
	}
	if _, err := r.changes(ctx); err != nil {
		return err
	}
	if r.want, err = r.shop.checksum(ctx, "billing"); err != nil {
		return err
	}
	if r.at, err = r.shop.gtid(ctx); err != nil {
		return err
	}
	if _, err := r.served(r.lullSite(ctx, "repo", "backup", "now", "shop")); err != nil {
		return err
	}
	outfile := "SELECT * FROM billing INTO OUTFILE '" + r.tsv + "' CHARACTER SET utf8mb4"
	if _, err := r.shop.db.ExecContext(ctx, outfile); err != nil {
		return fmt.Errorf("write %s: %w", r.tsv, err)
	}
	return r.shop.settle(ctx)
}

func (r *revival) ways(ctx context.Context) []contender {
	cs := []contender{
		{name: "lull restore --into", run: r.checked(ctx, "shop.billing_was", r.want, r.restore)},
		{name: "LOAD DATA, same rows", run: r.checked(ctx, "was.billing", r.want, r.load)},
	}
	if r.loaded {
		cs = append(cs, contender{name: "myloader, its files alone", run: r.checked(ctx, "was.billing", r.old, r.myloader)})
	}
	if r.copied {
		cs = append(cs, contender{name: "mariadb-backup --prepare, import", once: true, run: r.checked(ctx, "was.billing", r.old, r.importFiles)})
	}
	if r.merge {
		cs = append(cs, contender{name: "restored dump, one table", once: true, run: r.checked(ctx, "was.billing", r.old, r.replayDump)})
	}
	return cs
}

// checked measures a way of making a table, and compares its rows.
func (r *revival) checked(ctx context.Context, table string, want int64, way func(context.Context) (took, error)) func() (took, error) {
	return func() (took, error) {
		if err := execAll(ctx, r.shop.db, "DROP TABLE IF EXISTS was.billing, billing_was"); err != nil {
			return took{}, err
		}
		if err := r.shop.settle(ctx); err != nil {
			return took{}, err
		}
		t, err := way(ctx)
		if err != nil {
			return t, err
		}
		sum, err := r.shop.checksum(ctx, table)
		if err == nil && sum != want {
			err = fmt.Errorf("%s has checksum %d, not %d: rows differ", table, sum, want)
		}
		return t, err
	}
}

func (r *revival) restore(ctx context.Context) (took, error) {
	return r.served(r.lullSite(ctx, "repo", "restore", "shop.billing", "--at", r.at, "--into", "shop.billing_was"))
}

func (r *revival) load(ctx context.Context) (took, error) {
	if err := execAll(ctx, r.shop.db, "CREATE TABLE was.billing LIKE billing"); err != nil {
		return took{}, err
	}
	before := r.shop.cpu()
	t, err := r.mariadb(ctx, r.shop, "", "--local-infile=1", "was", "-e",
		"LOAD DATA LOCAL INFILE '"+r.tsv+"' INTO TABLE billing CHARACTER SET utf8mb4")
	t.server = r.shop.cpu() - before
	return t, err
}
