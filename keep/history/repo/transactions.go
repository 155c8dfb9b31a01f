package repo

import (
	"context"
	"fmt"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// Transactions hands the transactions in (after, upto] to fn, oldest first, with what each did to
// tables; what fn gets is valid until it returns. Holes in between are returned, oldest first,
// and the transactions behind them handed out all the same.
func (r *Repo) Transactions(ctx context.Context, after, upto history.Seq,
	fn func(history.Seq, db.Tx, []history.Touch) error,
) ([]Hole, error) {
	w := &txWalk{repo: r, after: after, upto: upto, fn: fn}
	if err := r.onChain(ctx, upto, func(c *chain) error { return w.run(ctx, c) }); err != nil {
		return w.holes, fmt.Errorf("read transactions of %s: %w", r, err)
	}
	return w.holes, nil
}

// txWalk hands out transactions, and goes on where it was on another chain of the same history.
type txWalk struct {
	repo        *Repo
	after, upto history.Seq // after moves on
	fn          func(history.Seq, db.Tx, []history.Touch) error
	holes       []Hole
}

func (w *txWalk) run(ctx context.Context, c *chain) error {
	logs, err := w.repo.span(ctx, c, w.after, w.upto)
	if err != nil {
		return err
	}
	ends, err := w.repo.summaries(ctx, logs)
	if err != nil {
		return err
	}
	start := w.after
	return ahead(ctx, len(logs), atOnce/2, func(ctx context.Context, i int) (*txMembers, error) {
		return w.repo.txMembers(ctx, logs[i], start, w.upto)
	}, func(i int, m *txMembers) error {
		if i > 0 {
			if h := w.repo.hole(logs[i-1], logs[i], ends[i-1], ends[i]); h != nil && h.After < w.upto {
				w.holes = append(w.holes, *h)
			}
		}
		return m.each(ctx, w.member)
	})
}

func (w *txWalk) member(payload []byte) error {
	return pack.EachTransaction(payload, func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
		if seq <= w.after || seq > w.upto {
			return nil
		}
		w.after = seq
		return w.fn(seq, tx, touches)
	})
}

// txMembers are the members of a log pack that tell of its transactions, with the payload of the
// first, so that a walk over many small packs waits for none and one over large ones holds little.
type txMembers struct {
	name    string
	o       *opened
	members []group // of one member each
	first   [][]byte
}

// txMembers finds the members of a log pack that tell of its transactions in (after, upto].
func (r *Repo) txMembers(ctx context.Context, l Log, after, upto history.Seq) (*txMembers, error) {
	o, err := r.openLog(ctx, l)
	if err != nil {
		return nil, err
	}
	t := &txMembers{name: l.Name, o: o}
	for i := range o.Index().Members {
		if m := &o.Index().Members[i]; m.Kind == pack.Transactions && m.Last > after && m.First <= upto {
			t.members = append(t.members, group{[]int{i}, m.Offset, m.Offset + m.Size, m.Raw})
		}
	}
	if len(t.members) > 0 {
		if t.first, err = o.payloads(ctx, &t.members[0]); err != nil {
			return nil, fmt.Errorf("read %s: %w", l.Name, err)
		}
	}
	return t, nil
}

// each hands the payloads to fn, in order.
func (t *txMembers) each(ctx context.Context, fn func([]byte) error) error {
	err := ahead(ctx, len(t.members), 2, func(ctx context.Context, i int) ([][]byte, error) {
		if i == 0 {
			return t.first, nil
		}
		return t.o.payloads(ctx, &t.members[i])
	}, func(_ int, payloads [][]byte) error { return fn(payloads[0]) })
	if err != nil {
		return fmt.Errorf("read %s: %w", t.name, err)
	}
	return nil
}

// transaction is one of a pack, with the ids of its touches when they were asked for.
type transaction struct {
	seq history.Seq
	tx  db.Tx
}

// eachOf hands a pack's transactions to fn, oldest first.
func (r *Repo) eachOf(ctx context.Context, l Log, fn func(transaction, []history.Touch) error) error {
	t, err := r.txMembers(ctx, l, 0, endless)
	if err != nil {
		return err
	}
	return t.each(ctx, func(payload []byte) error {
		return pack.EachTransaction(payload, func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
			return fn(transaction{seq, tx}, touches)
		})
	})
}

// findBack looks for a transaction, newest pack first; nil when there is none.
func (r *Repo) findBack(ctx context.Context, c *chain, is func(*db.Tx, []history.Touch) bool) (*transaction, error) {
	var found *transaction
	n := len(c.logs)
	err := ahead(ctx, n, 2, func(ctx context.Context, i int) (*transaction, error) {
		var hit *transaction
		err := r.eachOf(ctx, c.logs[n-1-i], func(x transaction, touches []history.Touch) error {
			if is(&x.tx, touches) {
				hit = &x
			}
			return nil
		})
		return hit, err
	}, func(_ int, hit *transaction) error {
		if hit != nil {
			found = hit
			return errFound
		}
		return nil
	})
	if found != nil {
		return found, nil
	}
	return nil, err
}

// errFound ends a search.
var errFound = &foundError{}

type foundError struct{}

func (*foundError) Error() string { return "found" }
