package level3

import (
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// Options choose one form of Level 3.
type Options struct {
	// Suite is account.PQ3 or account.PQ3A.
	Suite account.Suite
	// Policy is the healing contract; zero fields mean the product's default.
	Policy pq3.Policy
	// Repeat carries the objects of a chain on each of its messages instead of
	// at the paced positions of SPEC §9.3. Only for comparison: the product
	// never does.
	Repeat bool
}

// Level3 is the suite.Suite over pq3.
type Level3 struct{ options Options }

// New makes a level. It panics for a suite that does not exist.
func New(o Options) *Level3 {
	if !o.Suite.Valid() {
		panic("level3: no such suite")
	}
	return &Level3{options: o}
}

// Name is "level3" for PQ3A, the default of the product, and "level3-pq3" for
// PQ3; with "-repeat" behind it where the objects are not paced.
func (l *Level3) Name() string {
	name := "level3"
	if l.options.Suite == account.PQ3 {
		name += "-pq3"
	}
	if l.options.Repeat {
		name += "-repeat"
	}
	return name
}

// Level is 3.
func (l *Level3) Level() int { return 3 }

// NewServer makes a server that hands on what it cannot read. It greets nobody.
func (l *Level3) NewServer(suite.Entropy, time.Time) (suite.Server, []byte, error) {
	return suite.NewPost(l.Name(), suite.WholeRecord), nil, nil
}

// NewParty makes a device with an account of its own.
func (l *Level3) NewParty(ent suite.Entropy, now time.Time, name string, _ []byte) (suite.Party, error) {
	id, err := newIdentity(l.options.Suite, ent, now, name)
	if err != nil {
		return nil, l.refusal(err)
	}
	return &Party{level: l, identity: id}, nil
}

// force is what a session is asked for beyond its policy.
func (l *Level3) force() pq3.Force {
	if l.options.Repeat {
		return pq3.ForceObjects
	}
	return 0
}
