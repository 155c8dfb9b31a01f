package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// pace is how long each visitor of the shop waits between two transactions.
const pace = 4 * time.Millisecond

// traffic is the visitors of the shop, who go on whatever happens, and what they were told is
// saved. All of it must be there at the end.
type traffic struct {
	db     *sql.DB
	cancel context.CancelFunc
	group  *errgroup.Group

	// gate is held for reading by who writes a bill, so that the accident and its copy for
	// the proof happen between two of them.
	gate sync.RWMutex

	visits, orders, lines, sold atomic.Int64
	committed                   atomic.Int64

	mu    sync.Mutex
	bills []bill
}

// bill is a row of billing that a visitor was told is saved.
type bill struct {
	id      int64
	invoice string
	amount  string
	state   string
}

// startTraffic lets visitors in until stop is called or ctx ends.
func startTraffic(ctx context.Context, db *sql.DB) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{db: db, cancel: cancel}
	t.group, ctx = errgroup.WithContext(ctx)
	for _, visit := range []func(context.Context, int) error{t.visit, t.order, t.order, t.bill} {
		t.group.Go(func() error { return t.again(ctx, visit) })
	}
	return t
}

// stop waits until every visitor has left, and returns what went wrong for one of them.
func (t *traffic) stop() error {
	t.cancel()
	return t.group.Wait()
}

// again repeats a transaction. One that has begun is ended, so that it is known whether it
// was saved.
func (t *traffic) again(ctx context.Context, do func(context.Context, int) error) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := do(context.WithoutCancel(ctx), n); err != nil {
			return fmt.Errorf("a visitor of the shop got an error: %w", err)
		}
		t.committed.Add(1)
	}
}

func (t *traffic) visit(ctx context.Context, n int) error {
	_, err := t.db.ExecContext(ctx, "UPDATE customers SET visits = visits + 1, seen_at = NOW(3) WHERE id = ?", 1+n*37%1000)
	if err == nil {
		t.visits.Add(1)
	}
	return err
}

func (t *traffic) order(ctx context.Context, n int) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	res, err := tx.ExecContext(ctx, "INSERT INTO orders (customer_id, placed_at) VALUES (?, NOW(6))", 1+n*91%1000)
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	sku := fmt.Sprintf("sku-%d", 1+n%200)
	if _, err := tx.ExecContext(ctx, "INSERT INTO order_lines VALUES (?, 1, ?, 1), (?, 2, 'sku-1', 2)", id, sku, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE stock SET pieces = pieces - 1, changed_at = NOW() WHERE sku = ?", sku); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	t.orders.Add(1)
	t.lines.Add(2)
	t.sold.Add(1)
	return nil
}

func (t *traffic) bill(ctx context.Context, n int) error {
	t.gate.RLock()
	defer t.gate.RUnlock()
	b := bill{invoice: fmt.Sprintf("NEW-%010d", n), amount: fmt.Sprintf("%d.%02d", n%900, n%100), state: "open"}
	res, err := t.db.ExecContext(ctx, "INSERT INTO billing (customer_id, invoice, amount, state, flags, sent_at) VALUES (?, ?, ?, ?, 'export', NOW(6))",
		1+n*53%1000, b.invoice, b.amount, b.state)
	if err != nil {
		return err
	}
	if b.id, err = res.LastInsertId(); err != nil {
		return err
	}
	if n%3 == 0 { // some pay at once
		if _, err := t.db.ExecContext(ctx, "UPDATE billing SET state = 'paid', paid_at = NOW(6) WHERE id = ?", b.id); err != nil {
			return err
		}
		b.state = "paid"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bills = append(t.bills, b)
	return nil
}

// billed is how many bills were saved so far.
func (t *traffic) billed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bills)
}

// await waits until n more transactions are saved.
func (t *traffic) await(ctx context.Context, n int64) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for until := t.committed.Load() + n; t.committed.Load() < until; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
