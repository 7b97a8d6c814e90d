package kt

import (
	"bytes"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

// Known is what a device has verified before.
type Known struct {
	Size  uint64   // of R; 0: nothing yet
	Root  [32]byte // of R at that size
	Label *Label   // what it knows of the name, or nil

	// What need not be computed again when the answer has the very same bytes. Both
	// may be nil, and change no verdict.
	Checkpoint *Checkpoint // as this policy has opened one
	Place      *Place      // of the name
}

// Bare is what others can verify with: without what only saves work.
func (k Known) Bare() Known { return Known{Size: k.Size, Root: k.Root, Label: k.Label} }

// Label is how far the history of one name is known.
type Label struct {
	Version uint32
	Value   Value
}

// Verified is what an answer proves.
type Verified struct {
	Checkpoint *Checkpoint
	Place      *Place
	Label      *Label // nil: there is no such name
	Old        bool   // the newest signature is older than WarnAge
}

// Verify checks an answer about a name in the order of SPEC §13.3. The record is
// what the served roster makes, or nil if the server says that nobody has the
// name. On an error no key may be used; each step has an error of its own, and
// the first that fails is told.
func (p *Policy) Verify(a *Answer, name account.Name, record *Record, known Known, now time.Time) (*Verified, error) {
	c, err := p.checkpoint(a.Checkpoint, known.Checkpoint)
	if err != nil {
		return nil, err
	}
	if err := c.Fresh(now); err != nil {
		return nil, err
	}
	if err := c.Follows(known.Size, known.Root, a.Consistency); err != nil {
		return nil, err
	}
	if err := c.Ends(a.Root, a.Inclusion); err != nil {
		return nil, err
	}
	place, err := p.place(name, a.VRFProof, known.Place)
	if err != nil {
		return nil, err
	}
	v := &Verified{Checkpoint: c, Place: place, Old: now.Sub(c.Newest) > WarnAge}
	v.Label, err = a.label(place.Index, name, record, known.Label)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// checkpoint is Checkpoint, but for the very note that this policy has opened
// before: what is signed by whom does not change.
func (p *Policy) checkpoint(signed []byte, before *Checkpoint) (*Checkpoint, error) {
	if before != nil && before.by == p && bytes.Equal(before.Note, signed) {
		return before, nil
	}
	return p.Checkpoint(signed)
}

// place is IndexOf, but for the very proof that was checked before.
func (p *Policy) place(name account.Name, proof [VRFProofSize]byte, before *Place) (*Place, error) {
	if before != nil && before.Name == name && before.VRF == p.config.VRF && before.Proof == proof {
		return before, nil
	}
	index, err := IndexOf(p.config.VRF, name, proof)
	if err != nil {
		return nil, err
	}
	return &Place{Name: name, VRF: p.config.VRF, Proof: proof, Index: index}, nil
}

// Ends checks that a root is the last entry of R, since an older one would be
// under the checkpoint too, and names the policy that has opened the checkpoint.
func (c *Checkpoint) Ends(root Root, inclusion [][32]byte) error {
	if c.Size < 2 {
		return reject.New("V-187", ErrInclusion, "the log has no root yet")
	}
	if err := c.Includes(root.Marshal(), c.Size-1, inclusion); err != nil {
		return err
	}
	if known := c.by.standing; root.Standing != known {
		return reject.New("V-285", ErrChange, fmt.Sprintf("the newest root names policy %d, and it was checked by policy %d or another one with that number", root.Standing.Number, known.Number))
	}
	return nil
}

// label checks the place of the name in the map, the record there, and that its
// history goes on from what is known.
func (a *Answer) label(index Index, name account.Name, record *Record, known *Label) (*Label, error) {
	if a.Present == nil {
		return nil, a.absent(index, record, known)
	}
	if record == nil || record.Name != name {
		return nil, reject.New("V-190", ErrRecord, "the log knows the name, and no roster of it was served")
	}
	now := Label{Version: a.Present.Version}
	now.Value = Chain(now.Version, a.Present.Before, Commit(a.Present.Opening, now.Version, *record))
	if err := a.Map.VerifyPresent(a.Root.MapRoot, index, now.Value); err != nil {
		return nil, reject.New("V-190", ErrRecord, "the map does not hold this roster, or not as this version")
	}
	return &now, a.Present.continues(now, known)
}

func (a *Answer) absent(index Index, record *Record, known *Label) error {
	if record != nil {
		return reject.New("V-190", ErrRecord, "a roster was served that the log does not know")
	}
	if err := a.Map.VerifyAbsent(a.Root.MapRoot, index); err != nil {
		return err
	}
	if known != nil {
		return reject.New("V-191", ErrHistory, "the name was in the log and is gone")
	}
	return nil
}

// continues checks that the history of a name goes on from what is known of it,
// version by version.
func (p *Present) continues(now Label, known *Label) error {
	switch {
	case now.Version == 0 && p.Before != Value{}:
		return reject.New("V-191", ErrHistory, "something before the first version")
	case known == nil && len(p.Later) == 0:
		return nil
	case known == nil || now.Version < known.Version:
		return reject.New("V-191", ErrHistory, "an older version than the one known")
	case now.Version == known.Version:
		if now.Value != known.Value || len(p.Later) != 0 {
			return reject.New("V-191", ErrHistory, "another history of the version that is known")
		}
		return nil
	case uint64(len(p.Later)) != uint64(now.Version-known.Version-1):
		return reject.New("V-191", ErrHistory, fmt.Sprintf("not all of the %d versions between", now.Version-known.Version-1))
	}
	value := known.Value
	for i, c := range p.Later {
		value = Chain(known.Version+1+uint32(i), value, c)
	}
	if value != p.Before {
		return reject.New("V-191", ErrHistory, "the versions since do not follow from the known one")
	}
	return nil
}
