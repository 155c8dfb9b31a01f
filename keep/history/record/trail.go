package record

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
)

const (
	// settle is how long after its place was read in the log every reader of the server sees a
	// transaction: a server may write its log before it lets others see the rows. With
	// semi-synchronous replication it waits for a replica in between, 10 s unless it is told to
	// wait longer.
	settle = 15 * time.Second
	// settleFresh is the same for the place where a fresh start began, for which more would only
	// delay the first snapshots.
	settleFresh = time.Second
	// stretchTime and stretchCommits bound what one stretch covers.
	stretchTime    = time.Second
	stretchCommits = 4096
	// maxTrail is how many bytes of memory a trail may take: hours of thousands of transactions
	// a second.
	maxTrail = 32 << 20
	// stretchBytes is what a stretch takes beside its ends.
	stretchBytes = 128
)

// trail remembers at which places in the log of one server transactions ended, and when they
// were read.
type trail struct {
	stretches []stretch
	bytes     int
	server    int // how many servers or histories there were before this one
}

// stretch is a place and the ends of the transactions behind it in the same file.
type stretch struct {
	file  string
	off   int64
	seq   history.Seq // of the last transaction that ends at or before the place
	at    time.Time   // when the place was read
	fresh bool        // a fresh start began here
	last  int64       // the last end
	n     int         // number of ends
	ends  []byte      // uvarint differences
}

// reset begins another server's trail.
func (t *trail) reset() { *t = trail{server: t.server + 1} }

// place adds a place where the stream is, behind the transaction seq.
func (t *trail) place(pos db.Position, seq history.Seq, at time.Time) {
	if n := len(t.stretches); n > 0 {
		if l := &t.stretches[n-1]; l.seq == seq || at.Sub(l.at) < stretchTime {
			return // it would say nothing that l does not
		}
	}
	t.push(stretch{file: pos.File, off: pos.Offset, seq: seq, at: at})
}

func (t *trail) push(s stretch) {
	s.last = s.off
	t.stretches = append(t.stretches, s)
	t.bytes += stretchBytes
	drop := 0
	for t.bytes > maxTrail && drop < len(t.stretches)-1 {
		t.bytes -= stretchBytes + len(t.stretches[drop].ends)
		drop++
	}
	t.stretches = slices.Delete(t.stretches, 0, drop)
}

// commit adds the end of the transaction seq, which was read at some time.
func (t *trail) commit(pos db.Position, seq history.Seq, at time.Time) {
	if n := len(t.stretches); n > 0 {
		l := &t.stretches[n-1]
		if l.file == pos.File && pos.Offset >= l.last && l.n < stretchCommits && at.Sub(l.at) < stretchTime {
			before := len(l.ends)
			l.ends = binary.AppendUvarint(l.ends, uint64(pos.Offset-l.last))
			l.last, l.n = pos.Offset, l.n+1
			t.bytes += len(l.ends) - before
			return
		}
	}
	t.push(stretch{file: pos.File, off: pos.Offset, seq: seq, at: at})
}

// cut takes out what is behind the transaction seq.
func (t *trail) cut(seq history.Seq) {
	for n := len(t.stretches); n > 0 && t.stretches[n-1].seq > seq; n-- {
		t.bytes -= stretchBytes + len(t.stretches[n-1].ends)
		t.stretches = t.stretches[:n-1]
	}
	if len(t.stretches) == 0 {
		return
	}
	l := &t.stretches[len(t.stretches)-1]
	off, used := l.off, 0
	n := min(l.n, int(seq-l.seq))
	for range n {
		d, w := binary.Uvarint(l.ends[used:])
		off, used = off+int64(d), used+w
	}
	t.bytes -= len(l.ends) - used
	l.last, l.n, l.ends = off, n, l.ends[:used]
}

// find is the last transaction that ends at or before pos; false when pos is before the trail.
func (t *trail) find(pos db.Position) (history.Seq, bool) {
	i, _ := slices.BinarySearchFunc(t.stretches, pos, func(s stretch, p db.Position) int {
		return cmp.Or(compare(db.Position{File: s.file, Offset: s.off}, p), -1) // the first behind pos
	})
	if i == 0 {
		return 0, false
	}
	s := &t.stretches[i-1]
	seq := s.seq
	if s.file != pos.File {
		return seq + history.Seq(s.n), true
	}
	off, ends := s.off, s.ends
	for range s.n {
		d, w := binary.Uvarint(ends)
		if off += int64(d); off > pos.Offset {
			break
		}
		ends, seq = ends[w:], seq+1
	}
	return seq, true
}

// settled is the last transaction that every reader sees and that is no later than stored;
// false when there is none yet.
func (t *trail) settled(now time.Time, stored history.Seq) (history.Seq, bool) {
	for i := len(t.stretches) - 1; i >= 0; i-- {
		s := &t.stretches[i]
		wait := settle
		if s.fresh {
			wait = settleFresh
		}
		if s.seq <= stored && now.Sub(s.at) >= wait {
			return s.seq, true
		}
	}
	return 0, false
}

// compare orders places in one server's log: by the number its file's name ends with, then by
// the offset.
func compare(a, b db.Position) int {
	if a.File == b.File {
		return cmp.Compare(a.Offset, b.Offset)
	}
	an, aok := number(a.File)
	bn, bok := number(b.File)
	if aok && bok && an != bn {
		return cmp.Compare(an, bn)
	}
	return cmp.Compare(a.File, b.File)
}

func number(file string) (uint64, bool) {
	n, err := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	return n, err == nil
}
