package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lull-ops/lull/internal/term"
)

// program runs lull with the arguments, shows both, and returns what it printed. The exit
// codes that are not errors here are given with the call.
func (d *demo) program(ctx context.Context, args ...string) (string, error) {
	d.typed("$", "lull "+strings.Join(args, " "))
	var text bytes.Buffer
	cmd := exec.CommandContext(ctx, d.lull, args...)
	cmd.Stdout = io.MultiWriter(d, &text)
	cmd.Stderr = d
	cmd.Env = append(os.Environ(), "LULL_DB="+d.url(), "LULL_PASSWORD=demo", "LULL_DATA="+filepath.Join(d.dir, "lull"), "NO_COLOR=1")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run lull %s: %w", strings.Join(args, " "), err)
	}
	return text.String(), nil
}

func (d *demo) url() string { return "mysql://ops@" + d.srv.Addr() + "/shop" }

// findingID is an id as lull find prints it.
var findingID = regexp.MustCompile(`lull undo (f-[0-9a-z]+)`)

// find lets Lull look for accidents.
func (d *demo) find(ctx context.Context) error {
	d.step("lull find: what happened to my rows?")
	d.say("The visitors go on, and new bills come in beside the hole. Lull reads the binlogs that the server writes anyway, over the network, as a user who may read them and write the shop's tables, no more:")
	if err := d.traffic.await(ctx, 200); err != nil {
		return err
	}
	d.typed("$", "export LULL_DB="+d.url()+" LULL_PASSWORD=demo")
	out, err := d.program(ctx, "find")
	if err != nil {
		return err
	}
	m := findingID.FindStringSubmatch(out)
	if m == nil {
		return errors.New("lull find did not say which finding to undo")
	}
	d.finding = m[1]
	return nil
}

// plan asks for a plan.
func (d *demo) plan(ctx context.Context) error {
	d.step("lull undo: a plan, and nothing is changed")
	d.say("Lull compares every deleted row with what is in the table now:")
	out, err := d.program(ctx, "undo", d.finding)
	if err == nil && !strings.Contains(out, "lull apply p-1") {
		err = errors.New("lull undo made no plan p-1")
	}
	return err
}

// apply carries the plan out while the visitors go on.
func (d *demo) apply(ctx context.Context) error {
	d.step("lull apply: exactly that plan")
	d.say("One transaction. The visitors notice nothing:")
	from := d.traffic.committed.Load()
	if _, err := d.program(ctx, "apply", "p-1"); err != nil {
		return err
	}
	d.say("")
	d.say("Meanwhile the shop committed %s other transactions.", term.Count(d.traffic.committed.Load()-from))
	return d.client(ctx, fmt.Sprintf("select count(*) from billing where id <= %d;", d.rows))
}

// takeBack shows that the undo can itself be undone, and does not do it.
func (d *demo) takeBack(ctx context.Context) error {
	d.step("lull undo p-1: even this can be undone")
	d.say("A plan again; without lull apply p-2 nothing is changed. Here it ends:")
	_, err := d.program(ctx, "undo", "p-1")
	return err
}

// verify compares every row, with the visitors gone.
func (d *demo) verify(ctx context.Context) error {
	d.step("Is everything there?")
	d.say("The visitors leave. The server compares the table with the copy from before the accident, and all that they were told is saved is looked for:")
	fmt.Fprintln(d)
	traffic := d.traffic
	d.traffic = nil
	if err := traffic.stop(); err != nil {
		return err
	}
	results, err := d.judge(ctx, traffic)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		word := "ok  "
		if !r.ok {
			word = "NO  "
			failed++
		}
		fmt.Fprintf(d, "  %s  %s\n", word, r.text)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d comparisons failed", failed, len(results))
	}
	return nil
}

// result is one comparison.
type result struct {
	ok   bool
	text string
}

// judge makes all comparisons.
func (d *demo) judge(ctx context.Context, t *traffic) ([]result, error) {
	missing, differ, err := d.proof.wrong(ctx)
	if err != nil {
		return nil, err
	}
	before, now, err := d.proof.sums(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := d.proof.lost(ctx, t.bills[d.before:])
	if err != nil {
		return nil, err
	}
	byHand, err := d.proof.count(ctx, fmt.Sprintf("SELECT COUNT(*) FROM shop.billing WHERE id = %d AND amount = 1.00 AND note = 'typed in by hand'", otherID))
	if err != nil {
		return nil, err
	}
	since := len(t.bills) - d.before
	out := []result{
		{missing == 0, fmt.Sprintf("%s deleted bills: %s missing", term.Count(d.proof.rows), term.Count(missing))},
		{differ == 0 && before == now, fmt.Sprintf("byte for byte: %s differ; checksum before %d, now %d", term.Count(differ), before, now)},
		{byHand == 1, fmt.Sprintf("the bill typed in by hand (number %d) was left as it is", otherID)},
		{lost == 0 && since > 0, fmt.Sprintf("%s bills written since the accident: %s lost", term.Count(int64(since)), term.Count(int64(lost)))},
	}
	others, err := d.others(ctx, t)
	return append(out, others...), err
}

// others compares the tables beside billing with what the visitors were told.
func (d *demo) others(ctx context.Context, t *traffic) (out []result, err error) {
	for _, c := range []struct {
		what, query string
		want        int64
	}{
		{"orders", "SELECT COUNT(*) FROM orders", t.orders.Load()},
		{"order lines", "SELECT COUNT(*) FROM order_lines", t.lines.Load()},
		{"pieces sold", "SELECT SUM(100000 - pieces) FROM stock", t.sold.Load()},
		{"visits", "SELECT SUM(visits) FROM customers", t.visits.Load()},
	} {
		n, err := d.proof.count(ctx, c.query)
		if err != nil {
			return nil, err
		}
		out = append(out, result{n == c.want, fmt.Sprintf("%s: %s saved, %s there", c.what, term.Count(c.want), term.Count(n))})
	}
	total, err := d.proof.count(ctx, "SELECT COUNT(*) FROM billing")
	want := d.proof.rows + int64(len(t.bills)-d.before)
	return append(out, result{total == want, fmt.Sprintf("bills in all: %s expected, %s there", term.Count(want), term.Count(total))}), err
}
