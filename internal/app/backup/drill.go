package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/act/restore"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/db/mysql"
	"github.com/lull-ops/lull/db/mysql/rowio"
	"github.com/lull-ops/lull/db/mysql/server"
	"github.com/lull-ops/lull/internal/app"
	"github.com/lull-ops/lull/internal/term"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/fold"
	"github.com/lull-ops/lull/watch"
)

// Drill is the evidence of one rehearsal. It holds no row.
type Drill struct {
	Table    string      `json:"table"`
	OK       bool        `json:"ok"`
	At       time.Time   `json:"at"`
	Seq      history.Seq `json:"transaction"` // the moment that was restored
	Way      string      `json:"way"`
	Rows     int64       `json:"rows"`
	Digest   string      `json:"digest"`
	Live     string      `json:"live,omitempty"` // the live table's at the same position
	Seconds  float64     `json:"seconds"`
	Problems []string    `json:"problems,omitempty"`
	Notes    []string    `json:"notes,omitempty"`
}

// DrillOptions say what to rehearse.
type DrillOptions struct {
	Tables  []string
	All     bool
	Scratch string // a folder for the private server
	Say     func(string)
}

// drillAtOnce is how many tables one run takes unless it is asked for all.
const drillAtOnce = 3

// Drill restores tables to a scratch place and compares them.
func (s *Site) Drill(ctx context.Context, opt DrillOptions) ([]Drill, error) {
	if !s.canRead() {
		return nil, lull.Errorf(lull.Usage, "run it where the key is: --identity FILE", "%s is encrypted, and the key is not here", s)
	}
	end, err := s.Repo.End(ctx)
	if err != nil {
		return nil, err
	}
	tables, err := fold.List(ctx, s.Repo, end.Seq)
	if err != nil {
		return nil, err
	}
	if tables, err = s.chooseDrills(ctx, tables, opt); err != nil {
		return nil, err
	}
	scratch := &scratchServer{site: s, dir: opt.Scratch}
	defer scratch.close()
	var out []Drill
	for _, name := range tables {
		if opt.Say != nil {
			opt.Say("restoring " + name.String())
		}
		d := s.drill(ctx, scratch, name, opt)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if err := s.Repo.PutDrill(ctx, d, drillName(name), d.At); err != nil {
			return out, err
		}
		out = append(out, d)
	}
	return out, nil
}

// chooseDrills are the tables that were asked for, or those whose last drill is longest ago.
func (s *Site) chooseDrills(ctx context.Context, tables []db.Name, opt DrillOptions) ([]db.Name, error) {
	if len(opt.Tables) > 0 {
		var out []db.Name
		for _, want := range opt.Tables {
			i := slices.IndexFunc(tables, func(n db.Name) bool {
				return strings.EqualFold(n.String(), want) || strings.EqualFold(n.Table, want)
			})
			if i < 0 {
				return nil, lull.Errorf(lull.Usage, "lull backup list "+s.Name, "table %s is not recorded", want)
			}
			out = append(out, tables[i])
		}
		return out, nil
	}
	if opt.All {
		return tables, nil
	}
	last, err := s.drilled(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(tables, func(a, b db.Name) int { return last[a.String()].At.Compare(last[b.String()].At) })
	return tables[:min(len(tables), drillAtOnce)], nil
}

// drill rehearses one table. What goes wrong is the drill's result, not an error.
func (s *Site) drill(ctx context.Context, scratch *scratchServer, name db.Name, opt DrillOptions) Drill {
	began := s.where.Clock()
	d := Drill{Table: name.String(), At: began}
	bad := func(err error) { d.Problems = append(d.Problems, oneLine(err)) }
	seq, live, err := s.liveDigest(ctx, name)
	if err != nil {
		d.Notes = append(d.Notes, "not compared with the live table: "+oneLine(err))
	}
	if live == nil {
		end, err := s.Repo.End(ctx)
		if err != nil {
			bad(err)
			return d
		}
		seq = end.Seq
	}
	d.Seq = seq
	table, err := fold.Find(ctx, s.Repo, name, seq, fold.Options{Dir: opt.Scratch})
	if err != nil {
		bad(s.explain(ctx, err))
		return d
	}
	kept, err := s.restoreAside(ctx, scratch, table, &d)
	d.Notes = append(d.Notes, table.Warnings...) // which are complete when the rows were read
	if err != nil {
		bad(err)
		return d
	}
	d.Rows, d.Digest = kept.Rows, kept.Sum()
	if live != nil {
		d.Live = live.Sum()
		d.Way += ", compared with the live table at the same position"
		if !live.Same(kept) {
			bad(fmt.Errorf("the live table has %d rows with another checksum than the %d rows that were restored: something changed it that its log does not hold", live.Rows, kept.Rows))
		}
	}
	d.Seconds = s.where.Clock().Sub(began).Seconds()
	d.OK = len(d.Problems) == 0
	return d
}

// restoreAside restores the table into the scratch server, where there is one, and sums it up.
func (s *Site) restoreAside(ctx context.Context, scratch *scratchServer, table *fold.Table, d *Drill) (*db.Digest, error) {
	conn, way, err := scratch.open(ctx)
	if err != nil {
		d.Notes = append(d.Notes, "no scratch server: "+oneLine(err))
		d.Way = "read whole from the repository"
		return restore.Sum(table.Definition.Table, table.Rows(ctx))
	}
	d.Way = way
	as := db.Name{Schema: scratchSchema, Table: table.Name.Table}
	if _, err := conn.DB.ExecContext(ctx, "DROP DATABASE IF EXISTS "+scratchSchema); err != nil {
		return nil, fmt.Errorf("make room on the scratch server: %w", err)
	}
	if _, err := conn.DB.ExecContext(ctx, "CREATE DATABASE "+scratchSchema); err != nil {
		return nil, fmt.Errorf("make room on the scratch server: %w", err)
	}
	r, err := restore.Into(ctx, &restore.MySQL{Conn: conn}, restore.Table{Name: table.Name, Definition: table.Definition, Rows: table.Rows(ctx), Estimate: -1}, as, restore.Options{})
	if err != nil {
		return nil, err
	}
	kept, err := restore.Sum(table.Definition.Table, table.Rows(ctx))
	if err != nil {
		return nil, err
	}
	if r.Sent != kept.Sum() || r.Rows != kept.Rows {
		return nil, fmt.Errorf("%d rows came back with another checksum than the %d rows that are kept", r.Rows, kept.Rows)
	}
	_, err = conn.DB.ExecContext(ctx, "DROP DATABASE IF EXISTS "+scratchSchema)
	return kept, err
}

const scratchSchema = "lull_drill"

// liveDigest sums up the live table at a position, and waits until the repository has it.
func (s *Site) liveDigest(ctx context.Context, name db.Name) (history.Seq, *db.Digest, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return 0, nil, err
	}
	t, err := conn.Table(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	snap, pos, err := conn.ExactTable(ctx, t.Name)
	if err != nil {
		return 0, nil, err
	}
	live, err := restore.Sum(t, rowio.Stream(ctx, snap, t, nil, ""))
	_ = snap.Close() // only read from; an ALTER would wait for as long as it is open
	if err != nil {
		return 0, nil, err
	}
	seq, err := s.waitFor(ctx, pos)
	if err != nil {
		return 0, nil, err
	}
	return seq, live, nil
}

// waitFor waits until the repository has all transactions before a place in the server's log.
func (s *Site) waitFor(ctx context.Context, pos db.Position) (history.Seq, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		end, err := s.Repo.End(ctx)
		if err != nil {
			return 0, err
		}
		if !before(end.Pos, pos) {
			cut, err := s.Repo.Cut(ctx, history.Bound{File: pos.File, Pos: pos.Offset})
			return cut.Seq, err
		}
		// An idle recorder stores nothing; its word that it has read so far is enough.
		st, err := s.status()
		if err == nil && st.Seq == end.Seq && !before(st.Pos, pos) {
			return end.Seq, nil
		}
		if err == nil && s.where.Clock().Sub(st.Said) > waitForRecorder {
			return 0, errors.New("the repository is not there yet, and lull serve does not run")
		}
		select {
		case <-ctx.Done():
			return 0, errors.New("the repository did not get there within a minute: is lull serve running?")
		case <-tick.C:
		}
	}
}

// waitForRecorder is how long ago a recorder that runs may have said so last.
const waitForRecorder = 10 * time.Second

// before compares places in one server's log.
func before(a, b db.Position) bool {
	if len(a.File) != len(b.File) {
		return len(a.File) < len(b.File)
	}
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset)) < 0
}

// scratchServer is where drills restore to: the one of the configuration, or a private one.
type scratchServer struct {
	site *Site
	dir  string
	conn *mysql.Conn
	own  *server.Server
	way  string
	err  error
}

func (x *scratchServer) open(ctx context.Context) (*mysql.Conn, string, error) {
	if x.conn != nil || x.err != nil {
		return x.conn, x.way, x.err
	}
	if b := x.site.backup; b != nil && b.Drill.DSN != "" {
		x.way = "restored to the scratch server"
		x.conn, x.err = app.Connect(ctx, b.Drill.DSN, x.site.conf.resolve(b.Drill.PasswordFile), x.site.where.Env)
		return x.conn, x.way, x.err
	}
	x.way = "restored to a private server"
	// Production data goes into it: nobody may reach it but through a socket in a closed folder.
	if x.own, x.err = server.Start(ctx, server.Options{Dir: x.dir, Args: []string{"--skip-log-bin", "--skip-networking"}}); x.err != nil {
		return nil, "", x.err
	}
	x.conn, x.err = app.Connect(ctx, "mysql://root@localhost/?socket="+url.QueryEscape(x.own.Socket()), "", mysql.Env{Getenv: func(string) string { return "" }})
	return x.conn, x.way, x.err
}

func (x *scratchServer) close() {
	if x.conn != nil {
		x.conn.Close()
	}
	if x.own != nil {
		_ = x.own.Stop(context.Background()) // it is thrown away in any case
	}
}

// drills does those that are due by the schedule.
func (k *keeper) drills(ctx context.Context) error {
	now := k.site.where.Clock()
	if !k.site.readable() || now.Sub(k.lastDrill) < k.site.backup.Drill.Every.D() {
		return nil
	}
	last, err := k.site.drilled(ctx)
	if err != nil {
		return err
	}
	newest := time.Time{}
	for _, d := range last {
		if d.At.After(newest) {
			newest = d.At
		}
	}
	if now.Sub(newest) < k.site.backup.Drill.Every.D() {
		k.lastDrill = newest
		return nil
	}
	return k.drillNow(ctx)
}

// drillNow rehearses the tables whose turn it is; what does not come back is a finding.
func (k *keeper) drillNow(ctx context.Context) error {
	scratch, err := os.MkdirTemp(k.dir(), "drill-")
	if err != nil {
		return fmt.Errorf("make a folder for a drill: %w", err)
	}
	defer os.RemoveAll(scratch)
	k.lastDrill = k.site.where.Clock()
	results, err := k.site.Drill(ctx, DrillOptions{Scratch: scratch})
	if err != nil {
		return fmt.Errorf("drill: %w", err)
	}
	for i := range results {
		if err := k.drilled(&results[i]); err != nil {
			return err
		}
	}
	return nil
}

// drilled opens or closes the finding about a table's restores.
func (k *keeper) drilled(d *Drill) error {
	id := "drill-" + k.site.Name + "-" + d.Table
	if d.OK {
		k.say("drill of %s: %s came back in %s", d.Table, term.Plural(d.Rows, "row"), term.Duration(time.Duration(d.Seconds*float64(time.Second))))
		return k.ledger.Close(id, d.At, fmt.Sprintf("%d rows came back", d.Rows))
	}
	k.say("NO: drill of %s: %s", d.Table, strings.Join(d.Problems, "; "))
	_, err := k.ledger.Open(watch.Finding{
		ID: id, Kind: "drill", System: k.site.Name, Title: "drill of " + d.Table + ": " + strings.Join(d.Problems, "; "),
		At: d.At, Opened: d.At, Next: "lull backup drill " + k.site.Name + " --table " + term.ShellWord(d.Table),
	})
	return err
}

// drillName is a table's name in the name of an object: what tells two tables apart is the
// sum at its end.
func drillName(name db.Name) string {
	text := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name.String())
	sum := sha256.Sum256([]byte(name.String()))
	return "t-" + text[:min(len(text), 60)] + "-" + hex.EncodeToString(sum[:4])
}

func oneLine(err error) string { return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ") }
