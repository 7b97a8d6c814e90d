package kt

import (
	"encoding/binary"
	"fmt"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const changeVersion = 1

// Change is a policy that follows another one, with what vouches for it: a root
// that names it stands in R, under a checkpoint that meets the policy before.
// SPEC §13.3.
type Change struct {
	Text        []byte     // of the policy that follows
	Place       uint64     // number in R of a root that names it
	Root        Root       // that root
	Inclusion   [][32]byte // of it under the checkpoint
	Checkpoint  []byte     // signed note that meets the policy before
	Consistency [][32]byte // from there to the newest checkpoint; none if it is of the same size
}

// Marshal gives the one encoding of the change.
func (c *Change) Marshal() []byte {
	b := codec.AppendV32([]byte{changeVersion}, c.Text)
	b = binary.BigEndian.AppendUint64(b, c.Place)
	b = append(b, c.Root.Marshal()...)
	b = appendHashes(b, c.Inclusion)
	b = codec.AppendV32(b, c.Checkpoint)
	return appendHashes(b, c.Consistency)
}

// ParseChange reads a change strictly. It checks form only; Policy.Follow checks
// the rest.
func ParseChange(raw []byte) (*Change, error) {
	r := codec.NewReader(raw)
	version := r.U8()
	c := &Change{Text: append([]byte(nil), r.V32(MaxPolicy)...), Place: r.U64()}
	root, known := takeRoot(r)
	c.Root, c.Inclusion = root, takeHashes(r)
	c.Checkpoint = append([]byte(nil), r.V32(MaxCheckpoint)...)
	c.Consistency = takeHashes(r)
	if version != changeVersion || !known || !r.Done() {
		return nil, reject.New("V-180", ErrEncoding, "a change of the policy of another version or length")
	}
	return c, nil
}

// Follow goes from this policy to the one that the last of the changes leads to:
// none may be left out, each is vouched for by the one before, and the newest
// checkpoint, which meets the last one, continues all that vouch. With no changes
// it is this policy. Errors: ErrChange, ErrInclusion, ErrWitness, ErrFork, and
// those of Checkpoint.
func (p *Policy) Follow(changes []*Change, newest []byte) (*Policy, error) {
	at, bridges := p, make([]*Checkpoint, len(changes))
	for i, c := range changes {
		next, bridge, err := at.follow(c)
		if err != nil {
			return nil, err
		}
		at, bridges[i] = next, bridge
	}
	cp, err := at.Checkpoint(newest)
	if err != nil {
		return nil, err
	}
	for i, c := range changes {
		if cp.Follows(bridges[i].Size, bridges[i].Root, c.Consistency) != nil {
			return nil, reject.New("V-287", ErrFork, "the newest checkpoint does not continue the one that vouches for its policy")
		}
	}
	return at, nil
}

// follow takes one change, and gives the checkpoint that vouches for it.
func (p *Policy) follow(c *Change) (*Policy, *Checkpoint, error) {
	next, err := p.Next(c.Text)
	if err != nil {
		return nil, nil, err
	}
	if c.Root.Standing != next.standing {
		return nil, nil, reject.New("V-282", ErrChange, fmt.Sprintf("what the log names is not this text as policy %d", next.standing.Number))
	}
	bridge, err := p.Checkpoint(c.Checkpoint)
	if err != nil {
		return nil, nil, reject.New("V-284", ErrWitness, fmt.Sprintf("policy %d does not vouch for the one that is to follow it: its log or its quorum has not signed", p.standing.Number))
	}
	if bridge.Includes(c.Root.Marshal(), c.Place, c.Inclusion) != nil {
		return nil, nil, reject.New("V-283", ErrInclusion, "the log does not hold the policy that is to follow")
	}
	return next, bridge, nil
}
