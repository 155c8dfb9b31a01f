package binlogs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// gtidSet is a set of transactions as the servers write it. MySQL's "uuid:1-5:7,uuid:tag:3" says
// which numbers of each source there are; MariaDB's "0-1-5,1-1-9" says the last transaction of
// each domain, and all before it are meant. The zero set is empty.
type gtidSet struct {
	sources map[string][]interval // MySQL, by uuid or uuid:tag
	domains map[uint64]domainEnd  // MariaDB
}

// interval is numbers from first to last.
type interval struct{ first, last uint64 }

type domainEnd struct{ server, seq uint64 }

// parseGTIDs reads a set of either kind.
func parseGTIDs(text string) (gtidSet, error) {
	s := gtidSet{}
	for part := range strings.SplitSeq(strings.Trim(strings.Join(strings.Fields(text), ""), "[]"), ",") {
		if part == "" {
			continue
		}
		var err error
		if strings.Contains(part, ":") {
			err = s.parseSource(part)
		} else {
			err = s.parseDomain(part)
		}
		if err != nil {
			return gtidSet{}, fmt.Errorf("read GTID set %q: %w", text, err)
		}
	}
	return s, nil
}

func (s *gtidSet) parseDomain(part string) error {
	var n [3]uint64
	fields := strings.Split(part, "-")
	if len(fields) != len(n) {
		return fmt.Errorf("%q is no domain-server-number", part)
	}
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return fmt.Errorf("%q is no domain-server-number", part)
		}
	}
	if s.domains == nil {
		s.domains = map[uint64]domainEnd{}
	}
	s.domains[n[0]] = domainEnd{n[1], n[2]}
	return nil
}

func (s *gtidSet) parseSource(part string) error {
	fields := strings.Split(part, ":")
	source := strings.ToLower(fields[0])
	for _, f := range fields[1:] {
		if f == "" {
			return fmt.Errorf("%q has an empty interval", part)
		}
		if f[0] < '0' || f[0] > '9' { // a tag, which the following intervals belong to
			source = strings.ToLower(fields[0] + ":" + f)
			continue
		}
		from, to, ranged := strings.Cut(f, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no interval", f)
		}
		last, err := strconv.ParseUint(to, 10, 64)
		if err != nil || last < first {
			return fmt.Errorf("%q is no interval", f)
		}
		s.insert(source, interval{first, last})
	}
	return nil
}

// insert keeps the intervals of a source sorted and apart from each other.
func (s *gtidSet) insert(source string, in interval) {
	if s.sources == nil {
		s.sources = map[string][]interval{}
	}
	list := s.sources[source]
	if n := len(list); n > 0 && list[n-1].last+1 == in.first { // what nearly always happens
		list[n-1].last = in.last
		return
	}
	list = append(list, in)
	slices.SortFunc(list, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	out := list[:1]
	for _, next := range list[1:] {
		if end := &out[len(out)-1]; next.first <= end.last+1 {
			end.last = max(end.last, next.last)
		} else {
			out = append(out, next)
		}
	}
	s.sources[source] = out
}

// add takes one transaction in; "" is none.
func (s *gtidSet) add(gtid string) error {
	if gtid == "" {
		return nil
	}
	if !strings.Contains(gtid, ":") {
		return s.parseDomain(gtid)
	}
	return s.parseSource(gtid)
}

func (s *gtidSet) empty() bool { return len(s.sources) == 0 && len(s.domains) == 0 }

// clone is a set that does not change with s.
func (s *gtidSet) clone() gtidSet {
	out := gtidSet{domains: maps.Clone(s.domains)}
	for source, list := range s.sources {
		for _, in := range list {
			out.insert(source, in)
		}
	}
	return out
}

// within says that all of s is in o, too.
func (s *gtidSet) within(o *gtidSet) bool {
	for domain, end := range s.domains {
		if other, ok := o.domains[domain]; !ok || other.seq < end.seq {
			return false
		}
	}
	for source, list := range s.sources {
		for _, in := range list {
			if !slices.ContainsFunc(o.sources[source], func(x interval) bool { return x.first <= in.first && in.last <= x.last }) {
				return false
			}
		}
	}
	return true
}

// String writes the set as the servers do, sources and domains in order.
func (s *gtidSet) String() string {
	var b []byte
	for _, domain := range slices.Sorted(maps.Keys(s.domains)) {
		if len(b) > 0 {
			b = append(b, ',')
		}
		end := s.domains[domain]
		b = strconv.AppendUint(b, domain, 10)
		b = strconv.AppendUint(append(b, '-'), end.server, 10)
		b = strconv.AppendUint(append(b, '-'), end.seq, 10)
	}
	for _, source := range slices.Sorted(maps.Keys(s.sources)) {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, source...)
		for _, in := range s.sources[source] {
			b = strconv.AppendUint(append(b, ':'), in.first, 10)
			if in.last > in.first {
				b = strconv.AppendUint(append(b, '-'), in.last, 10)
			}
		}
	}
	return string(b)
}
