package kt

import (
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/posthorn/posthorn/internal/reject"
)

// Audit makes every root of R anew from the updates, epoch by epoch, and in the
// end compares R itself with a checkpoint. It is for one goroutine.
type Audit struct {
	policy *Policy
	replay *Replay
	roots  *compact.Range
}

// NewAudit starts before the first entry of R.
func NewAudit(p *Policy) *Audit {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &Audit{p, NewReplay(), factory.NewEmptyRange(0)}
}

// Epochs is how many entries of R were taken.
func (a *Audit) Epochs() uint64 { return a.roots.End() }

// Updates is how many entries of U were taken.
func (a *Audit) Updates() uint64 { return a.replay.Size() }

// Names is how many names those are about.
func (a *Audit) Names() int { return a.replay.Map().Len() }

// Epoch takes the next entry of R and the entries of U that it adds.
func (a *Audit) Epoch(entry []byte, updates [][]byte) error {
	if a.Epochs() == 0 {
		config, err := ParseConfig(entry)
		if err != nil {
			return err
		}
		if config != a.policy.config || len(updates) != 0 {
			return reject.New("V-196", ErrAudit, "the log began with another config")
		}
	} else if err := a.epoch(entry, updates); err != nil {
		return err
	}
	return a.roots.Append(rfc6962.DefaultHasher.HashLeaf(entry), nil)
}

func (a *Audit) epoch(entry []byte, updates [][]byte) error {
	for _, raw := range updates {
		u, err := ParseUpdate(raw)
		if err != nil {
			return err
		}
		if err := a.replay.Add(u); err != nil {
			return err
		}
	}
	root, err := ParseRoot(entry)
	if err != nil {
		return err
	}
	return a.replay.Check(root)
}

// Finish compares all entries of R that were taken with a checkpoint over them.
func (a *Audit) Finish(c *Checkpoint) error {
	if c.Size != a.Epochs() || c.Size == 0 {
		return reject.New("V-196", ErrAudit, "the checkpoint is over another number of roots")
	}
	sum, err := a.roots.GetRootHash(nil)
	if err != nil {
		return err
	}
	if [32]byte(sum) != c.Root {
		return reject.New("V-196", ErrAudit, "the roots that were given are not those of the checkpoint")
	}
	return nil
}
