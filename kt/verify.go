package kt

import (
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
}

// Label is how far the history of one name is known.
type Label struct {
	Version uint32
	Value   Value
}

// Verified is what an answer proves.
type Verified struct {
	Checkpoint *Checkpoint
	Index      Index
	Label      *Label // nil: there is no such name
	Old        bool   // the newest signature is older than WarnAge
}

// Verify checks an answer about a name in the order of SPEC §13.3. The record is
// what the served roster makes, or nil if the server says that nobody has the
// name. On an error no key may be used; each step has an error of its own, and
// the first that fails is told.
func (p *Policy) Verify(a *Answer, name account.Name, record *Record, known Known, now time.Time) (*Verified, error) {
	c, err := p.Checkpoint(a.Checkpoint)
	if err != nil {
		return nil, err
	}
	if err := c.Fresh(now); err != nil {
		return nil, err
	}
	if err := c.Follows(known.Size, known.Root, a.Consistency); err != nil {
		return nil, err
	}
	if err := c.newest(a); err != nil {
		return nil, err
	}
	index, err := IndexOf(p.config.VRF, name, a.VRFProof)
	if err != nil {
		return nil, err
	}
	v := &Verified{Checkpoint: c, Index: index, Old: now.Sub(c.Newest) > WarnAge}
	v.Label, err = a.label(index, name, record, known.Label)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// newest checks that the root is the last entry of R. An older one would be
// under the checkpoint too.
func (c *Checkpoint) newest(a *Answer) error {
	if c.Size < 2 {
		return reject.New("V-187", ErrInclusion, "the log has no root yet")
	}
	return c.Includes(a.Root.Marshal(), c.Size-1, a.Inclusion)
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
