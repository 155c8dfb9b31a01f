package term

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lull-ops/lull/internal/clock"
)

// ProgressOptions say what a Progress counts and where it is seen.
type ProgressOptions struct {
	Label string                 // "reading mysql-bin.000412"
	Total int64                  // 0 when it is not known
	Unit  func(n int64) string   // Count when nil; Bytes for bytes
	TTY   bool                   // one line that updates itself; else a line every 10 %
	Quiet bool                   // say nothing at all
	Width int                    // columns of the terminal, 0 is 80
	Now   clock.Clock            // must be set unless Quiet
	Note  func() (detail string) // optional last words of the line
}

// Progress tells people how far a long job is, on stderr. It is safe for several
// goroutines; a nil *Progress says nothing.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	opt   ProgressOptions
	start time.Time
	last  time.Time // of the line before, or the start
	n     int64
	step  int64 // tenths already told off a terminal
	shown bool  // a line is on the terminal
	over  bool
}

const (
	quietFor     = time.Second            // work that is over by then says nothing
	redrawEvery  = 100 * time.Millisecond // on a terminal
	linesEvery   = time.Second            // off a terminal, so that short work does not chatter
	unknownEvery = 30 * time.Second       // off a terminal, when the total is not known
)

// NewProgress starts the clock. Nothing is written before the first Add or Set, nor in the
// first second.
func NewProgress(w io.Writer, opt ProgressOptions) *Progress {
	if opt.Quiet {
		return nil
	}
	if opt.Unit == nil {
		opt.Unit = Count
	}
	if opt.Width <= 0 {
		opt.Width = defaultWidth
	}
	opt.Label = Safe(opt.Label)
	now := opt.Now()
	return &Progress{w: w, opt: opt, start: now, last: now}
}

// Add counts n more.
func (p *Progress) Add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	p.tell(p.opt.Now())
}

// Set says that n is done altogether.
func (p *Progress) Set(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n = n
	p.tell(p.opt.Now())
}

// Println writes a line of talk without tearing the progress line.
func (p *Progress) Println(line string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, Safe(line))
}

// Done ends the progress and takes its line off the terminal; what follows is the result's
// to say. More calls change nothing.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.over = true
}

func (p *Progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

func (p *Progress) tell(now time.Time) {
	switch {
	case p.over, now.Sub(p.start) < quietFor:
	case p.opt.TTY:
		if now.Sub(p.last) >= redrawEvery {
			p.last = now
			p.shown = true
			fmt.Fprintf(p.w, "\r%s\x1b[K", Cut(p.line(now), p.opt.Width-1))
		}
	case p.opt.Total > 0:
		if tenth := min(p.n, p.opt.Total) * 10 / p.opt.Total; tenth > p.step && now.Sub(p.last) >= linesEvery {
			p.last, p.step = now, tenth
			fmt.Fprintln(p.w, p.line(now))
		}
	case now.Sub(p.last) >= unknownEvery:
		p.last = now
		fmt.Fprintln(p.w, p.line(now))
	}
}

// line is "label  40 %  4.0 MB of 10.0 MB  1.2 MB/s  5s left".
func (p *Progress) line(now time.Time) string {
	s := p.opt.Label
	if t := p.opt.Total; t > 0 {
		n := min(p.n, t)
		s += fmt.Sprintf("  %d %%  %s of %s", int64(float64(n)/float64(t)*100), p.opt.Unit(n), p.opt.Unit(t))
	} else {
		s += "  " + p.opt.Unit(p.n)
	}
	took := now.Sub(p.start).Seconds()
	if took >= 0.5 && p.n > 0 {
		rate := float64(p.n) / took
		s += "  " + p.opt.Unit(int64(rate)) + "/s"
		if left := p.opt.Total - p.n; left > 0 {
			s += "  " + Duration(time.Duration(min(float64(left)/rate, 1e9)*float64(time.Second))) + " left"
		}
	}
	if p.opt.Note != nil {
		if note := p.opt.Note(); note != "" {
			s += "  " + Safe(note)
		}
	}
	return s
}
