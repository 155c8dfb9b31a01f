package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/lull-ops/lull"
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/blob"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// packHeader is what packs begin with.
const packHeader = "LULLPACK1\n"

// isLocked says that a member could not be read because no identity fits.
func isLocked(err error) bool { return lull.KindOf(err) == lull.Usage }

// pack verifies a pack and returns the checksum of all its bytes, "" when it is damaged. Rows are
// counted into digest.
func (v *verifier) pack(ctx context.Context, info blob.Info, kind pack.Kind, f *finding, digest *db.Digest) (string, error) {
	r := v.repo
	o, err := r.openPack(ctx, info.Name, info.Size, false)
	if err == nil {
		err = r.belongs(info.Name, o.Index(), kind)
	}
	if err != nil {
		return "", f.add(info.Name, err)
	}
	ix := o.Index()
	sum := sha256.New()
	head := make([]byte, len(packHeader))
	if err := o.src.ReadAt(ctx, head, 0); err != nil {
		return "", f.add(info.Name, err)
	}
	sum.Write(head)
	before := len(f.problems)
	if string(head) != packHeader {
		f.problems = append(f.problems, Problem{Object: info.Name, What: fmt.Sprintf("it does not begin with %q", packHeader)})
	}
	groups := o.groups(func(*pack.Member) bool { return true })
	end := int64(len(packHeader))
	for i := range groups {
		if err := v.group(ctx, o, &groups[i], f, digest, sum); err != nil {
			return "", f.add(info.Name, err)
		}
		end = groups[i].end
	}
	tail := make([]byte, info.Size-end)
	if err := o.src.ReadAt(ctx, tail, end); err != nil {
		return "", f.add(info.Name, err)
	}
	sum.Write(tail)
	for i := before; i < len(f.problems); i++ {
		f.problems[i].Since, f.problems[i].Until = ix.MinAt, ix.MaxAt
	}
	if len(f.problems) > before {
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// group verifies members that lie close to each other.
func (v *verifier) group(ctx context.Context, o *opened, g *group, f *finding, digest *db.Digest, sum hash.Hash) error {
	release, err := o.src.hold(ctx, g.off, g.end-g.off)
	if err != nil {
		return err
	}
	defer release()
	sum.Write(o.src.find(g.off, g.end-g.off))
	for _, i := range g.members {
		m := &o.Index().Members[i]
		if v.opt.Deep {
			var payload []byte
			if payload, err = o.Payload(ctx, i); err == nil {
				err = inspect(m, payload, digest)
			}
		}
		if !v.opt.Deep || isLocked(err) {
			f.locked = f.locked || v.opt.Deep
			_, err = o.Stored(ctx, i)
		}
		corrupt, ok := errors.AsType[*pack.CorruptError](err)
		if err != nil && !ok {
			return err
		}
		if ok {
			p := Problem{Object: o.src.name, What: corrupt.Error()}
			if m.Table != (db.Name{}) {
				p.Tables = []db.Name{m.Table}
			}
			f.problems = append(f.problems, p)
		}
	}
	return nil
}

// inspect decodes a payload and holds it against what the index says of it.
func inspect(m *pack.Member, payload []byte, digest *db.Digest) error {
	var count int64
	outside := false
	see := func(seq history.Seq) {
		count++
		outside = outside || seq < m.First || seq > m.Last
	}
	var err error
	switch m.Kind {
	case pack.Rows:
		err = pack.EachRow(payload, func(row db.Row) error {
			count++
			if digest != nil {
				digest.Add(row)
			}
			return nil
		})
	case pack.Changes:
		err = pack.EachChange(payload, m, func(c *history.RowChange) error { see(c.Seq); return nil })
	case pack.Transactions:
		err = pack.EachTransaction(payload, func(seq history.Seq, _ db.Tx, _ []history.Touch) error { see(seq); return nil })
	case pack.Events:
		err = pack.EachEvent(payload, func(*history.Event) error { count++; return nil })
	case pack.Statements:
		err = pack.EachStatement(payload, func(*pack.Statement) error { count++; return nil })
	case pack.Definitions:
		err = pack.EachDefinition(payload, func(d *history.Definition) error {
			count++
			outside = outside || !slices.Contains(m.IDs, d.ID)
			return nil
		})
	default:
		return nil
	}
	where := string(m.Kind)
	if m.Table != (db.Name{}) {
		where += " of " + m.Table.String()
	}
	switch {
	case err != nil:
		return err
	case count != m.Count:
		return &pack.CorruptError{Where: where, Reason: fmt.Sprintf("%d records, not %d as the index says", count, m.Count)}
	case outside:
		return &pack.CorruptError{Where: where, Reason: "there are records in it that the index does not tell of"}
	}
	return nil
}
