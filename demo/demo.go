package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of demo.db

	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/internal/clock"
	"github.com/lull-ops/lull/internal/term"
)

// demo is one performance.
type demo struct {
	screen
	lull string // path of the program
	rows int
	now  clock.Clock

	dir     string // removed at the end
	srv     *server.Server
	db      *sql.DB
	traffic *traffic
	proof   *proof
	finding string // id of the accident
	before  int    // bills that visitors had written before the accident
}

// stopTimeout bounds how long the server may take to go away.
const stopTimeout = 30 * time.Second

// run gives the demo, and cleans up whatever happens.
func (d *demo) run(ctx context.Context) (err error) {
	start := d.now()
	if d.dir, err = os.MkdirTemp("", "lull-demo-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	for _, step := range []func(context.Context) error{
		d.open, d.accident, d.find, d.plan, d.apply, d.takeBack, d.verify,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := d.cleanUp(); err != nil {
		return err
	}
	d.say("")
	d.say("The private server is stopped and its folder removed; nothing is left. The demo took %s. Next: lull check --db mysql://USER@HOST/SCHEMA tells whether an accident in your database could be undone now.", term.Duration(d.now().Sub(start)))
	return nil
}

// cleanUp may be called again: it does only what is left to do.
func (d *demo) cleanUp() (err error) {
	if d.traffic != nil {
		err = d.traffic.stop()
	}
	if d.db != nil {
		err = errors.Join(err, d.db.Close())
	}
	if d.srv != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = errors.Join(err, d.srv.Stop(ctx))
	}
	d.traffic, d.db, d.srv = nil, nil, nil
	return errors.Join(err, os.RemoveAll(d.dir))
}

// open starts the server, builds the shop and lets visitors in.
func (d *demo) open(ctx context.Context) (err error) {
	d.step("A shop")
	if d.srv, err = server.Start(ctx, server.Options{Dir: d.dir}); err != nil {
		return err
	}
	if d.srv.Flavor() != "mariadb" {
		return errors.New("the demo needs a MariaDB server")
	}
	d.say("A private MariaDB %s runs on %s, in a folder that is removed afterwards. It has the settings that matter and are usual: log_bin=ON, binlog_format=ROW.", d.srv.Binaries().Version, d.srv.Addr())
	if d.db, err = sql.Open("mysql", d.srv.RootDSN("shop")); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	admin, err := sql.Open("mysql", d.srv.RootDSN(""))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer admin.Close()
	if err := build(ctx, admin, d.rows); err != nil {
		return err
	}
	d.say("It holds a shop: customers, orders, order_lines, stock, and billing with %s rows of 20 columns. Four visitors keep buying from now on, some hundred transactions a second, in all of these tables.", term.Count(int64(d.rows)))
	d.traffic = startTraffic(ctx, d.db)
	return d.traffic.await(ctx, 200)
}

// accident empties billing, between two bills, and a colleague begins to mend by hand.
func (d *demo) accident(ctx context.Context) (err error) {
	d.step("The accident")
	d.traffic.gate.Lock()
	defer d.traffic.gate.Unlock()
	if d.proof, err = takeProof(ctx, d.db); err != nil {
		return err
	}
	d.before = d.traffic.billed()
	d.say("Somebody is in the wrong terminal. (The demo has just copied the table aside, out of the binlog's sight, to compare at the end. Lull does not know the copy.)")
	if err := d.client(ctx, "delete from billing;"); err != nil {
		return err
	}
	if err := d.client(ctx, "select count(*) from billing;"); err != nil {
		return err
	}
	if err := d.proof.byHand(ctx); err != nil {
		return err
	}
	d.say("")
	d.say("Empty. A colleague finds two old bills in an e-mail and puts them back by hand: number %d as it was, number %d with a wrong amount:", sameID, otherID)
	return d.client(ctx, "select id, invoice, amount, note from billing;")
}

// client runs a statement in the command line client, and shows both.
func (d *demo) client(ctx context.Context, stmt string) error {
	d.typed("MariaDB [shop]>", stmt)
	cmd, err := d.srv.Binaries().Command(ctx, "mariadb", "--no-defaults", "--user=root", "--socket="+d.srv.Socket(), "-t", "-vv", "--default-character-set=utf8mb4", "shop", "-e", stmt)
	if err != nil {
		return err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run mariadb: %w: %s", err, out)
	}
	_, err = d.Write(answer(out))
	return err
}

// answer is what the client says to a statement, without its echo of the statement.
func answer(out []byte) []byte {
	var kept [][]byte
	for i, block := range bytes.Split(bytes.Trim(out, "\n"), []byte("\n--------------\n")) {
		if i > 0 {
			kept = append(kept, bytes.Trim(block, "\n"))
		}
	}
	text := bytes.TrimSuffix(bytes.Trim(bytes.Join(kept, []byte("\n")), "\n"), []byte("Bye"))
	return append(bytes.Trim(text, "\n"), '\n')
}
