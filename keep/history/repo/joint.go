package repo

import (
	"github.com/lull-ops/lull/db"
	"github.com/lull-ops/lull/keep/history"
	"github.com/lull-ops/lull/keep/history/pack"
)

// maxJoint is the most bytes of payload that members are joined to.
const maxJoint = 4 << 20

// joint makes one payload of those of several members, which are added in order.
type joint interface {
	add(m *pack.Member, payload []byte) error
	bytes() []byte
	reset()
}

type changesJoint struct{ w pack.ChangeWriter }

func (j *changesJoint) add(m *pack.Member, payload []byte) error {
	return pack.EachChange(payload, m, func(c *history.RowChange) error {
		j.w.Add(c)
		return nil
	})
}

func (j *changesJoint) bytes() []byte { return j.w.Bytes() }

func (j *changesJoint) reset() { j.w.Reset() }

type txJoint struct{ w pack.TransactionWriter }

func (j *txJoint) add(_ *pack.Member, payload []byte) error {
	return pack.EachTransaction(payload, func(seq history.Seq, tx db.Tx, touches []history.Touch) error {
		j.w.Add(seq, &tx, touches)
		return nil
	})
}

func (j *txJoint) bytes() []byte { return j.w.Bytes() }

func (j *txJoint) reset() { j.w.Reset() }

// linesJoint is for payloads of lines.
type linesJoint struct{ text []byte }

func (j *linesJoint) add(_ *pack.Member, payload []byte) error {
	j.text = append(j.text, payload...)
	return nil
}

func (j *linesJoint) bytes() []byte { return j.text }

func (j *linesJoint) reset() { j.text = j.text[:0] }
