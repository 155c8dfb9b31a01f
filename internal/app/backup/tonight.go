package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/watch"
)

// Answer is one answer to "can you sleep?".
type Answer struct {
	Database string
	Topic    string // "recording", "restorable", "drill", "findings"
	OK       bool
	Text     string
	Fix      string
}

const (
	// silentAfter is when a recorder that says nothing counts as dead.
	silentAfter = time.Minute
	// onceAfter is the same where a timer runs lull backup now.
	onceAfter = 25 * time.Hour
	// behindAfter is how far a recorder may be behind.
	behindAfter = time.Minute
	// openFor is how long an accident that nobody has answered is shown.
	openFor = 7 * day
)

// Tonight answers for every database of the configuration, from what was measured. done maps
// findings to the plans that took them back.
func Tonight(ctx context.Context, w Where, done map[string]string) ([]Answer, error) {
	conf, err := LoadConfig(w.Config, w.Getenv)
	if err != nil {
		return nil, err
	}
	if len(conf.Names()) == 0 {
		_, err := conf.choose("", "")
		return nil, err
	}
	var out []Answer
	for _, name := range conf.Names() {
		one := w
		one.Database = name
		site, err := Open(ctx, one, name)
		if err != nil {
			if site != nil { // what the recorder says of itself is here all the same
				out = append(out, site.recording())
			}
			out = append(out, Answer{name, "repository", false, oneLine(err), cmp.Or(lull.HintOf(err), "lull backup list "+name)})
			continue
		}
		out = append(out, site.tonight(ctx)...)
		_ = site.Close() // only read from
	}
	dir := w.DataDir
	if !w.DataGiven {
		dir = conf.DataDir(dir)
	}
	found, err := findings(watch.NewLedger(dir), w.Clock(), done)
	return append(out, found...), err
}

func (s *Site) tonight(ctx context.Context) []Answer {
	out := []Answer{s.recording()}
	inv, err := s.List(ctx)
	if err != nil {
		return append(out, Answer{s.Name, "restorable", false, oneLine(err), "lull backup verify " + s.Name})
	}
	return append(out, s.restorable(inv), s.rehearsed(ctx, inv))
}

// recording says whether every change is stored.
func (s *Site) recording() Answer {
	a := Answer{Database: s.Name, Topic: "recording", Fix: "lull serve"}
	now := s.where.Clock()
	st, err := s.status()
	switch {
	case err != nil:
		a.Text = "nothing has recorded it here yet"
	case st.Left != "":
		a.Text, a.Fix = "changes that did not fit the repository any more lie in "+st.Left, "lull backup verify "+s.Name
	case st.Once && now.Sub(st.Said) <= onceAfter && st.Trouble == "":
		a.OK = true
		a.Text = fmt.Sprintf("recorded up to %s by lull backup now: what came since is in the server's own logs only", term.Ago(now, st.At))
	case now.Sub(st.Said) > silentAfter:
		a.Text = fmt.Sprintf("the last recording was %s: what came since is only in the server's own logs", term.Ago(now, st.Said))
	case st.Trouble != "":
		a.Text, a.Fix = st.Trouble+", since "+term.Ago(now, st.Since), "lull check"
	case st.Behind > behindAfter:
		a.Text, a.Fix = "recording is "+term.Duration(st.Behind)+" behind", "lull check"
	default:
		a.OK, a.Text = true, fmt.Sprintf("every change is recorded, %s behind", term.Duration(st.Behind.Round(time.Second)))
	}
	return a
}

// restorable says whether every table can be brought back as it is now.
func (s *Site) restorable(inv *Inventory) Answer {
	a := Answer{Database: s.Name, Topic: "restorable", Fix: "lull backup list " + s.Name}
	if len(inv.Problems) > 0 {
		a.Text, a.Fix = inv.Problems[0], "lull backup verify "+s.Name
		return a
	}
	if !s.canRead() {
		a.OK, a.Text = true, term.Plural(int64(len(inv.Tables)), "table")+" kept; what is in them was not read here, for want of the key"
		return a
	}
	oldest, tables := inv.Until, int64(0)
	for i := range inv.Tables {
		t := &inv.Tables[i]
		if t.Gone {
			continue
		}
		tables++
		if len(t.Spans) == 0 || t.Spans[len(t.Spans)-1].To.Before(inv.Until) {
			a.Text, a.Fix = t.Name.String()+" cannot be restored to this moment", "lull backup now "+s.Name
			return a
		}
		if from := t.Spans[len(t.Spans)-1].From; from.Before(oldest) {
			oldest = from
		}
	}
	if tables == 0 {
		a.Text, a.Fix = "no table is recorded yet", "lull backup now "+s.Name
		return a
	}
	a.OK = true
	a.Text = fmt.Sprintf("%s can be restored to any transaction since %s", term.Plural(tables, "table"),
		oldest.Local().Format("2 Jan 15:04"))
	return a
}

// rehearsed says whether restoring was tried, and came out right.
func (s *Site) rehearsed(ctx context.Context, inv *Inventory) Answer {
	a := Answer{Database: s.Name, Topic: "drill", Fix: "lull backup drill " + s.Name}
	now := s.where.Clock()
	within := defaultWithin
	if s.backup != nil {
		within = s.backup.Drill.Within.D()
	}
	drills, err := s.drilled(ctx)
	if err != nil {
		a.Text = oneLine(err)
		return a
	}
	var newest Drill
	never, old := 0, 0
	for i := range inv.Tables {
		if inv.Tables[i].Gone {
			continue
		}
		d, ok := drills[inv.Tables[i].Name.String()]
		switch {
		case !ok:
			never++
		case !d.OK:
			a.Text = fmt.Sprintf("the drill of %s %s went wrong: %s", d.Table, term.Ago(now, d.At), d.Problems[0])
			return a
		case now.Sub(d.At) > within:
			old++
		}
		if d.At.After(newest.At) {
			newest = d
		}
	}
	switch {
	case newest.At.IsZero():
		a.Text = "no restore was ever rehearsed"
	case never+old > 0:
		a.Text = fmt.Sprintf("%s not restored in a drill within %s", term.Plural(int64(never+old), "table"), term.Duration(within))
		a.Fix += " --all"
	default:
		a.OK = true
		a.Text = fmt.Sprintf("%s %s: %s in %s, %s", newest.Table, newest.Way, term.Plural(newest.Rows, "row"),
			term.Duration(time.Duration(newest.Seconds*float64(time.Second))), term.Ago(now, newest.At))
	}
	return a
}

// findings are those that are open; those that were taken back are closed here.
func findings(ledger *watch.Ledger, now time.Time, done map[string]string) ([]Answer, error) {
	all, err := ledger.All()
	if err != nil {
		return nil, err
	}
	var out []Answer
	for _, f := range all {
		if !f.Closed.IsZero() || now.Sub(f.At) > openFor {
			continue
		}
		if plan := done[f.ID]; plan != "" {
			if err := ledger.Close(f.ID, now, "taken back by "+plan); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, Answer{f.System, "findings", false, f.Kind + " " + f.ID + ", " + f.Title, f.Next + " (it was meant: lull tonight --meant " + f.ID + ")"})
	}
	if len(out) == 0 {
		out = append(out, Answer{"findings", "findings", true, "nothing is open", ""})
	}
	return out, nil
}

// OpenFindings are those that tonight asks about, for completing their ids; what cannot be read
// has none.
func OpenFindings(w Where) []watch.Finding {
	all, _ := ledgerOf(w).All()
	return slices.DeleteFunc(all, func(f watch.Finding) bool { return !f.Closed.IsZero() || w.Clock().Sub(f.At) > openFor })
}

// ledgerOf is where findings are kept.
func ledgerOf(w Where) *watch.Ledger {
	dir := w.DataDir
	if conf, err := LoadConfig(w.Config, w.Getenv); err == nil && !w.DataGiven {
		dir = conf.DataDir(dir)
	}
	return watch.NewLedger(dir)
}

// Meant closes a finding: what it found was no accident.
func Meant(w Where, id string) error {
	ledger := ledgerOf(w)
	all, err := ledger.All()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(f watch.Finding) bool { return f.ID == id }) {
		return lull.Errorf(lull.Usage, "lull tonight lists those that are open", "no finding %s was recorded", id)
	}
	return ledger.Close(id, w.Clock(), "it was meant")
}
