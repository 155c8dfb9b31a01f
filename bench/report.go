package main

import (
	"fmt"
	"io"
	"time"

	"github.com/lull-ops/lull/internal/term"
)

// report is what was measured, contest by contest.
type report struct{ contests []section }

// section is what can be printed by itself.
type section interface{ write(out io.Writer) error }

// contest is one job done in several ways; the first is Lull's.
type contest struct {
	title string
	bytes int64 // of log read by each, 0 when that says nothing
	rows  int64 // handled by each, 0 when that says nothing
	names []string
	best  []took // medians
}

// add takes the runs of a contest.
func (b *bench) add(title string, bytes, rows int64, cs []contender, runs [][]took) error {
	c := &contest{title: title, bytes: bytes, rows: rows}
	for i := range cs {
		m, err := median(runs[i])
		if err != nil {
			return fmt.Errorf("%s: %w", cs[i].name, err)
		}
		c.names, c.best = append(c.names, cs[i].name), append(c.best, m)
	}
	b.report.contests = append(b.report.contests, c)
	return c.write(b.out)
}

// write prints all contests again, together.
func (r *report) write(out io.Writer) error {
	for _, c := range r.contests {
		if err := c.write(out); err != nil {
			return err
		}
	}
	return nil
}

func (c *contest) write(out io.Writer) error {
	fmt.Fprintln(out, c.title)
	unit, amount := "rows/s", c.rows
	if c.bytes > 0 {
		unit, amount = "MB/s", c.bytes/1_000_000
	}
	t := term.NewTable(term.Column{}, term.Column{Head: "wall s", Right: true}, term.Column{Head: "CPU s", Right: true},
		term.Column{Head: "server s", Right: true}, term.Column{Head: "RSS", Right: true},
		term.Column{Head: unit, Right: true}, term.Column{Head: "x lull", Right: true})
	for i, m := range c.best {
		t.Row("  "+c.names[i], seconds(m.wall.Seconds()), seconds(m.cpu), seconds(m.server), term.Bytes(m.rss),
			rate(amount, m.wall), fmt.Sprintf("%.2f", m.wall.Seconds()/c.best[0].wall.Seconds()))
	}
	if _, err := t.WriteTo(out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", s)
}

func rate(n int64, d time.Duration) string {
	if n == 0 || d <= 0 {
		return "-"
	}
	return term.Count(int64(float64(n) / d.Seconds()))
}
