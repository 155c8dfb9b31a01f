package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch/accident"
)

const (
	maxDetailed = 10  // accidents that are shown with all there is to say; more become a table
	maxListed   = 100 // lines of that table, unless --all asks for everything
)

// print shows the accidents to people.
func (f *findFlags) print(a *runner, found *app.Found, begin time.Time) error {
	s, undone := a.newScreen(), a.undone()
	for _, st := range f.summaries(found) {
		printSummary(s, st)
	}
	switch list := found.Accidents; {
	case len(list) == 0 && len(found.Result.Gaps) > 0:
		s.line(2, "Nothing looks like an accident in the part that could be read (%s).", term.Plural(found.Result.Transactions, "transaction"))
	case len(list) == 0:
		s.item(0, "ok", term.Good, fmt.Sprintf("nothing looks like an accident in %s of %s (%s)", term.Bytes(found.Result.Bytes),
			files(found.Result.Files), term.Plural(found.Result.Transactions, "transaction")))
	case len(list) <= maxDetailed:
		for i := range list {
			printAccident(s, &list[i], undone[list[i].ID()], f.kept[list[i].ID()])
		}
		s.WriteByte('\n')
	default:
		f.printTable(s, list, undone)
	}
	printGaps(s, found.Result.Gaps)
	switch {
	case begin.IsZero():
	case f.past:
		s.line(2, "Recording began at %s: what was before is not known.", localTime(begin))
	default:
		s.line(2, "The logs begin at %s: what was before is not in them.", localTime(begin))
	}
	f.footer(s, found, undone)
	return a.show(s)
}

func printGaps(s *screen, gaps []history.Gap) {
	for _, g := range gaps {
		text := fmt.Sprintf("%s: %s", term.Safe(g.File), term.Safe(g.Reason))
		if g.Pos > 0 && !strings.Contains(g.Reason, " at byte ") {
			text = fmt.Sprintf("%s at byte %d: %s", term.Safe(g.File), g.Pos, term.Safe(g.Reason))
		}
		s.item(0, "gap", term.Warn, text)
	}
}

func files(names []string) string {
	switch len(names) {
	case 0:
		return "no binlog"
	case 1:
		return term.Safe(names[0])
	}
	return term.Safe(names[0]) + " to " + term.Safe(names[len(names)-1])
}

// printTable shows many accidents, one a line.
func (f *findFlags) printTable(s *screen, list []accident.Accident, undone map[string]string) {
	shown := list
	if !f.all {
		shown = list[:min(len(list), maxListed)]
	}
	t := term.NewTable(term.Column{Head: "FINDING"}, term.Column{Head: "AT (" + list[0].Tx.At.Local().Format("MST") + ")"},
		term.Column{Head: "TABLE"}, term.Column{Head: "WHAT"}, term.Column{Head: "WHY"})
	t.Style, t.Width = s.Style, s.width
	for i := range shown {
		x := &shown[i]
		why := x.Statement
		if len(x.Reasons) > 0 {
			why = strings.Join(x.Reasons, "; ")
		}
		if by := undone[x.ID()]; by != "" {
			why = "undone by " + by
		}
		t.Row(term.Cell{Text: x.ID(), Color: term.Strong}, x.Tx.At.Local().Format("01-02 15:04:05"), x.Table.String(), what(x), why)
	}
	s.WriteByte('\n')
	s.WriteString(t.String())
	if left := len(list) - len(shown); left > 0 {
		s.line(0, "... %s older: --since, --until, --table and --min-rows narrow it, --all and --json show all", term.Count(int64(left)))
	}
	s.WriteByte('\n')
}

// printAccident shows one accident with all there is to say.
func printAccident(s *screen, x *accident.Accident, undoneBy string, kept bool) {
	head := fmt.Sprintf("%s  %s  %s  %s", x.ID(), localTime(x.Tx.At), term.Safe(x.Table.String()), what(x))
	head = strings.Replace(term.Wrap(head, s.width, 2), x.ID(), s.Paint(term.Strong, x.ID()), 1)
	fmt.Fprintf(s, "\n%s\n", head)
	if x.Statement != "" {
		s.cut(2, term.Safe(strings.Join(strings.Fields(x.Statement), " ")))
	}
	for _, r := range x.Reasons {
		s.item(2, "!", term.Bad, term.Safe(r))
	}
	fmt.Fprintf(s, "  %s\n", s.Paint(term.Faint, where(x)))
	switch {
	case undoneBy != "":
		s.item(2, "undone", term.Good, "by "+undoneBy)
	case kept && !rowsOnly(x):
		s.item(2, "undo:", term.Warn, "no, but the repository has the table as it was before: lull restore")
	case kept:
		s.item(2, "undo:", term.Good, "yes, from the repository: it has the rows that the log has not")
	case x.Undoable != accident.Yes:
		s.item(2, "undo:", term.Warn, fmt.Sprintf("%s, %s", x.Undoable, term.Safe(x.Why)))
	}
}

// what says in words how many rows were hit.
func what(x *accident.Accident) string {
	if x.DDL != "" {
		return strings.ToUpper(x.DDL)
	}
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{{x.Deleted, "deleted"}, {x.Updated, "updated"}, {x.Inserted, "inserted"}} {
		if p.n > 0 {
			parts = append(parts, term.Count(p.n)+" "+p.word)
		}
	}
	return strings.Join(parts, ", ")
}

func where(x *accident.Accident) string {
	var parts []string
	if x.Tx.GTID != "" {
		parts = append(parts, "GTID "+term.Safe(x.Tx.GTID))
	}
	parts = append(parts, fmt.Sprintf("%s:%d", term.Safe(x.Tx.File), x.Tx.Start))
	if x.Tx.Thread != 0 {
		parts = append(parts, fmt.Sprintf("thread %d", x.Tx.Thread))
	}
	if x.Statements > 1 {
		parts = append(parts, fmt.Sprintf("%d statements", x.Statements))
	}
	return strings.Join(parts, "  ")
}

func (f *findFlags) footer(s *screen, found *app.Found, undone map[string]string) {
	if n := int64(found.Result.Passed); n > 0 && !f.all {
		s.line(2, "%s only inserted rows; --all shows them.", term.Plural(n, "larger transaction"))
	}
	if n := int64(found.Own); n > 0 {
		s.line(2, "%s by lull's own plans; --all shows them.", term.Plural(n, "change"))
	}
	if x := worst(found.Accidents, undone, f.kept); x != nil {
		out := ""
		if f.db == "" && len(f.binlogs) > 0 {
			out = " --out undo.sql" // without a server there is nothing to plan for
		}
		if x.Undoable == accident.No && !rowsOnly(x) {
			fmt.Fprintf(s, "Next: lull restore %s --at %s --into %s%s\n", shellWord(x.Table.String()), x.ID(), shellWord(beside(x)), f.againSite())
			return
		}
		fmt.Fprintf(s, "Next: lull undo %s%s%s\n", x.ID(), f.again(), out)
	}
}

// rowsOnly says that an accident is taken back by putting rows into the table that is there.
func rowsOnly(x *accident.Accident) bool {
	return x.DDL == "" || x.DDL == "truncate" || x.DDL == "create or replace"
}

// beside is the name under which a table is restored: its own where that is free.
func beside(x *accident.Accident) string {
	if x.DDL == "drop" || x.DDL == "drop database" {
		return x.Table.String()
	}
	return x.Table.String() + "_was"
}

// worst is what most looks like an accident among those that can be undone; nil when none can.
func worst(list []accident.Accident, undone map[string]string, kept map[string]bool) *accident.Accident {
	var best *accident.Accident
	for i := range list {
		x := &list[i]
		if x.Undoable == accident.No && !kept[x.ID()] || x.Plan != "" || undone[x.ID()] != "" {
			continue
		}
		if best == nil || isCause(x, best) || len(x.Reasons) > len(best.Reasons) && !isCause(best, x) {
			best = x
		}
	}
	return best
}

// isCause says that both are of one transaction whose statement names x's table and not y's:
// the rows of y fell with those of x, and undoing x brings them back, too.
func isCause(x, y *accident.Accident) bool {
	if x.Tx.File != y.Tx.File || x.Tx.Start != y.Tx.Start {
		return false
	}
	statement := strings.ToLower(x.Statement)
	return strings.Contains(statement, strings.ToLower(x.Table.Table)) && !strings.Contains(statement, strings.ToLower(y.Table.Table))
}
