package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// opsSQL makes the account that Lull uses: what the master user of a hosted database may do,
// and no SUPER.
const opsSQL = `CREATE USER ops@'127.0.0.1' IDENTIFIED BY 'bench';
GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ops@'127.0.0.1';
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO ops@'127.0.0.1'`

// back is the contest of putting the rows of one emptied table back.
type back struct {
	*bench
	logs *corpus
	shop *shop
	want int64 // checksum of billing before
	tsv  string
}

// putBack empties billing again and again and brings it back in each of the ways.
func (b *bench) putBack(ctx context.Context, l *corpus) (err error) {
	s, err := b.startShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	r := &back{bench: b, logs: l, shop: s, tsv: filepath.Join(s.TmpDir(), "billing.tsv")}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	cs := []contender{
		{name: "lull undo ID --yes", run: r.after(ctx, r.undo)},
		{name: "LOAD DATA, same rows", run: r.after(ctx, r.load)},
	}
	if b.merge {
		cs = append(cs, contender{name: "restored dump, one table", run: r.after(ctx, r.restore), once: true})
	}
	runs, err := b.alternate(0, cs)
	if err != nil {
		return err
	}
	rows := int64(b.size.billing)
	return b.add(fmt.Sprintf("d. put %d deleted rows back, end to end", rows), 0, rows, cs, runs)
}

func (r *back) prepare(ctx context.Context) (err error) {
	if err := fill(ctx, r.shop.db, billingSQL, r.size.billing, r.size.batch); err != nil {
		return err
	}
	if r.want, err = r.shop.checksum(ctx, "billing"); err != nil {
		return err
	}
	if r.want != r.logs.Checksum {
		return fmt.Errorf("billing has checksum %d, in the logs it has %d", r.want, r.logs.Checksum)
	}
	outfile := "SELECT * FROM billing INTO OUTFILE '" + r.tsv + "' CHARACTER SET utf8mb4"
	if _, err := r.shop.db.ExecContext(ctx, outfile); err != nil {
		return fmt.Errorf("write %s: %w", r.tsv, err)
	}
	return execAll(ctx, r.shop.db, opsSQL)
}

// after measures a way back from the accident, and checks that every row is back.
func (r *back) after(ctx context.Context, way func(context.Context) (took, error)) func() (took, error) {
	return func() (took, error) {
		if err := r.accident(ctx); err != nil {
			return took{}, err
		}
		before := r.shop.cpu()
		t, err := way(ctx)
		if err != nil {
			return t, err
		}
		t.server += r.shop.cpu() - before
		sum, err := r.shop.checksum(ctx, "billing")
		if err == nil && sum != r.want {
			err = fmt.Errorf("billing has checksum %d afterwards, %d before: rows differ", sum, r.want)
		}
		return t, err
	}
}

// accident empties billing in a binlog of its own, and drops those before it.
func (r *back) accident(ctx context.Context) error {
	if err := execAll(ctx, r.shop.db, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	at, err := r.shop.spot(ctx)
	if err != nil {
		return err
	}
	if err := execAll(ctx, r.shop.db, "PURGE BINARY LOGS TO '"+at.File+"'"); err != nil {
		return err
	}
	if err := r.shop.accident(ctx); err != nil {
		return err
	}
	return r.shop.settle(ctx)
}

func (r *back) lullDB(ctx context.Context, args ...string) *exec.Cmd {
	cmd := r.lullCmd(ctx, args...)
	cmd.Env = append(os.Environ(), "LULL_PASSWORD=bench", "LULL_DB=mysql://ops@"+r.shop.Addr()+"/shop")
	return cmd
}

func (r *back) undo(ctx context.Context) (took, error) {
	id, err := r.biggest(r.size.billing, r.lullDB(ctx, "find", "--json"))
	if err != nil {
		return took{}, err
	}
	return r.child(r.lullDB(ctx, "undo", id, "--yes"))
}

func (r *back) load(ctx context.Context) (took, error) {
	return r.mariadb(ctx, r.shop, "", "--local-infile=1", "shop", "-e",
		"LOAD DATA LOCAL INFILE '"+r.tsv+"' INTO TABLE billing CHARACTER SET utf8mb4")
}

// mariadb runs the command line client, with its input from a file unless that is "".
func (b *bench) mariadb(ctx context.Context, s *shop, input string, args ...string) (took, error) {
	cmd, err := s.Binaries().Command(ctx, "mariadb", append(s.client(), args...)...)
	if err != nil {
		return took{}, err
	}
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			return took{}, err
		}
		defer f.Close()
		cmd.Stdin = f
	}
	return b.child(cmd)
}

// restore is the usual way: another server from a full dump, the one table out of it and into
// production, beside what was written since.
func (r *back) restore(ctx context.Context) (t took, err error) {
	start := r.now()
	other, err := r.startServer(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	t.wall = r.now().Sub(start)
	step, err := r.mariadb(ctx, other, r.logs.Dump, "shop")
	if err != nil {
		return t, err
	}
	t = t.add(step)
	table := filepath.Join(r.work, "billing.sql")
	start = r.now()
	if err := r.dump(ctx, other, table, "--no-create-info", "--insert-ignore", "--single-transaction", "shop", "billing"); err != nil {
		return t, err
	}
	t.wall += r.now().Sub(start)
	if step, err = r.mariadb(ctx, r.shop, table, "shop"); err != nil {
		return t, err
	}
	t = t.add(step)
	t.server += other.cpu()
	r.say("the way over a restored dump took %s s", seconds(t.wall.Seconds()))
	return t, nil
}
