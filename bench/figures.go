package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/lull-ops/lull/internal/term"
)

// sizes compares bytes; the first line is Lull's.
type sizes struct {
	title string
	names []string
	bytes []int64
}

func (s *sizes) add(name string, n int64) {
	s.names, s.bytes = append(s.names, name), append(s.bytes, n)
}

func (s *sizes) write(out io.Writer) error {
	fmt.Fprintln(out, s.title)
	t := term.NewTable(term.Column{}, term.Column{Head: "MB", Right: true}, term.Column{Head: "x lull", Right: true})
	for i, n := range s.bytes {
		t.Row("  "+s.names[i], fmt.Sprintf("%.2f", float64(n)/1e6), fmt.Sprintf("%.2f", float64(n)/float64(s.bytes[0])))
	}
	if _, err := t.WriteTo(out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// following compares a server with and without followers; the first line is without.
type following struct {
	title string
	names []string
	runs  []followed
}

// report adds the medians: transactions a second, CPU milliseconds a transaction of the server
// and of the follower, how far the follower was behind at the worst, and how long it took from
// the load's end until it had everything.
func (r *recording) report(_ context.Context, fs []follower, runs [][]followed) error {
	where := "not kept to cores"
	if r.pinned {
		where = "server and load on one core, follower on another"
	}
	out := following{title: fmt.Sprintf("h. follow a server under sysbench oltp_write_only, %d writers for %s, %s", writers, r.size.writeFor, where)}
	for i := range fs {
		out.names = append(out.names, fs[i].name)
		out.runs = append(out.runs, followed{
			tps:    middle(runs[i], func(f followed) float64 { return f.tps }),
			server: middle(runs[i], func(f followed) float64 { return f.server }),
			self:   middle(runs[i], func(f followed) float64 { return f.self }),
			lag:    middle(runs[i], func(f followed) time.Duration { return f.lag }),
			rest:   middle(runs[i], func(f followed) time.Duration { return f.rest }),
		})
	}
	r.past.report.contests = append(r.past.report.contests, &out)
	return out.write(r.out)
}

func (f *following) write(out io.Writer) error {
	fmt.Fprintln(out, f.title)
	right := func(head string) term.Column { return term.Column{Head: head, Right: true} }
	t := term.NewTable(term.Column{Head: "follower"}, right("tx/s"), right("alone"), right("srv ms"), right("alone"),
		right("own ms"), right("lag s"), right("rest s"))
	share := func(a, b float64) string { return fmt.Sprintf("%+.1f%%", 100*(a/b-1)) }
	for i, r := range f.runs {
		t.Row("  "+f.names[i], fmt.Sprintf("%.0f", r.tps), share(r.tps, f.runs[0].tps), fmt.Sprintf("%.3f", r.server), share(r.server, f.runs[0].server),
			fmt.Sprintf("%.3f", r.self), seconds(r.lag.Seconds()), seconds(r.rest.Seconds()))
	}
	if _, err := t.WriteTo(out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}
