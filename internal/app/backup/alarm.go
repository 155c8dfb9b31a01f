package backup

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/watch"
	"github.com/lull-ops/lull/watch/accident"
)

// alarm looks at every transaction that is recorded, and opens a finding for those that look
// like accidents. What is usual for a table it learns from the transactions it sees.
type alarm struct {
	database string
	quiet    []string // origins that open no finding
	live     accident.Live
	ledger   *watch.Ledger
	now      func() time.Time
	say      func(string)
	again    string // flags that the next command needs

	stats map[db.Name]*history.Stats
}

// judgeWithin bounds how long the server may be asked about a transaction.
const judgeWithin = 2 * time.Second

// note is called for each transaction, in commit order.
func (a *alarm) note(ctx context.Context, _ history.Seq, _ *db.Tx, touches []history.Touch) error {
	for i := range touches {
		t := &touches[i]
		if t.Plan != "" || a.isQuiet(t) {
			continue // and what is meant to be large says nothing about what is usual
		}
		if suspicious(t) {
			if err := a.judge(ctx, t); err != nil {
				return err
			}
		}
		a.learn(t)
	}
	return nil
}

// suspicious is a cheap first look.
func suspicious(t *history.Touch) bool {
	if t.DDL != "" {
		return !t.RowsStay()
	}
	return t.Updated+t.Deleted >= app.DefaultMinRows || t.NoWhere != "" && t.Updated+t.Deleted > 0
}

func (a *alarm) learn(t *history.Touch) {
	st := a.stats[t.Table]
	if st == nil {
		st = &history.Stats{Table: t.Table}
		a.stats[t.Table] = st
	}
	st.Add(t.Inserted, t.Updated, t.Deleted, t.Tx.At.Unix()/60)
	if len(st.Minutes) > 2*minutesKept {
		oldest := t.Tx.At.Unix()/60 - minutesKept
		for m := range st.Minutes {
			if m < oldest {
				delete(st.Minutes, m)
			}
		}
	}
}

// minutesKept bounds what is remembered of a table's rates.
const minutesKept = 24 * 60

func (a *alarm) judge(ctx context.Context, t *history.Touch) error {
	ctx, cancel := context.WithTimeout(ctx, judgeWithin)
	defer cancel()
	r := &history.Result{Touches: []history.Touch{*t}, Stats: a.stats}
	judged, err := accident.Judge(ctx, r, a.live)
	if err != nil { // the server does not answer: what the log says must do
		if judged, err = accident.Judge(context.WithoutCancel(ctx), r, nil); err != nil {
			return err
		}
	}
	x := &judged[0]
	if len(x.Reasons) == 0 {
		return nil
	}
	f := watch.Finding{
		ID: x.ID(), Kind: "accident", System: a.database, Title: title(x), Reasons: x.Reasons, At: x.Tx.At, Opened: a.now(),
		Next: a.next(x),
	}
	fresh, err := a.ledger.Open(f)
	if err != nil || !fresh {
		return err
	}
	a.say(fmt.Sprintf("ACCIDENT %s: %s (%s). Next: %s", f.ID, f.Title, strings.Join(f.Reasons, "; "), f.Next))
	return nil
}

// next is the command that takes an accident back.
func (a *alarm) next(x *accident.Accident) string {
	table := term.ShellWord(x.Table.String())
	if x.Undoable == accident.No {
		if x.DDL == "drop" || x.DDL == "drop database" {
			return fmt.Sprintf("lull restore %s --at %s --into %s%s", table, x.ID(), table, a.again)
		}
		return fmt.Sprintf("lull restore %s --at %s --merge%s", table, x.ID(), a.again)
	}
	return "lull undo " + x.ID() + a.again
}

func title(x *accident.Accident) string {
	at := x.Tx.At.Local().Format("15:04:05")
	if x.DDL != "" {
		return fmt.Sprintf("%s of %s at %s", strings.ToUpper(x.DDL), x.Table, at)
	}
	var parts []string
	if x.Deleted > 0 {
		parts = append(parts, term.Count(x.Deleted)+" deleted")
	}
	if x.Updated > 0 {
		parts = append(parts, term.Count(x.Updated)+" updated")
	}
	by := "one statement"
	if x.Statements > 1 {
		by = fmt.Sprintf("%d statements of one transaction", x.Statements)
	}
	return fmt.Sprintf("%s: %s by %s at %s", x.Table, strings.Join(parts, " and "), by, at)
}

// originMark is how a statement says what it belongs to: /* origin: deploy */.
var originMark = regexp.MustCompile(`/\*\s*origin\s*[:=]\s*([A-Za-z0-9._-]+)\s*\*/`)

// isQuiet says that the transaction was marked as one of the known origins.
func (a *alarm) isQuiet(t *history.Touch) bool {
	m := originMark.FindStringSubmatch(t.Statement)
	return m != nil && slices.Contains(a.quiet, m[1])
}
