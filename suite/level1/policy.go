package level1

import (
	"time"

	"github.com/posthorn/posthorn/suite"
)

const (
	// maxSkip is how many message keys of one chain may be skipped at once.
	maxSkip = 1000
	// maxSkipped is how many skipped keys a session keeps.
	maxSkipped = 2000
	// skippedLife is how long a skipped key waits for its message.
	skippedLife = 14 * 24 * time.Hour
	// maxSessions is how many sessions are kept with one peer.
	maxSessions = 4
	// oneTimeBatch is how many one-time prekeys a record offers, and
	// maxOneTime how many private halves are kept.
	oneTimeBatch = 10
	maxOneTime   = 30
	// prekeyLife is how long the private half of a replaced signed prekey is
	// kept: a bundle may be 30 days old when it is used, and the message another
	// 30 days on its way.
	prekeyLife = 60 * 24 * time.Hour
	// MaxText is the greatest length of a text, in bytes.
	MaxText = 64 << 10
)

// Design is a generation of the protocol: X3DH and the Double Ratchet, and what
// was added since. It is a suite.Suite.
type Design struct {
	name   string
	level  int
	start  StartAddition
	second SecondRatchet
}

// StartAddition is a KEM that takes part in the start. All its values are bytes
// to this package.
type StartAddition interface {
	// Publish makes a prekey for a record, which signs the public part.
	Publish(ent suite.Entropy) (private, public []byte)
	// Encapsulate makes a secret for a public part, and what travels with the
	// start. It refuses a public part that is none.
	Encapsulate(ent suite.Entropy, public []byte) (secret, header []byte, err error)
	// Decapsulate is the receiver's side.
	Decapsulate(private, header []byte) (secret []byte, err error)
}

// SecondRatchet runs beside the Double Ratchet: each message has a key of both.
// Its states and headers are bytes to this package.
type SecondRatchet interface {
	// Begin makes the state of a new session.
	Begin(startSecret []byte, initiator bool) (state []byte)
	// Send gives the key of the next message and what travels in its header.
	Send(ent suite.Entropy, state []byte) (next, header, key []byte, err error)
	// Receive gives the key of a received message.
	Receive(state, header []byte) (next, key []byte, err error)
	// Objects counts the bytes of a header that renew keys.
	Objects(header []byte) int
	// Rekeys counts the secrets that entered a state after its start.
	Rekeys(state []byte) int
}

// New is Level 1: no additions.
func New() *Design { return &Design{name: "level1", level: 1} }

// NewDesign makes a later generation. Either addition may be nil.
func NewDesign(name string, level int, start StartAddition, second SecondRatchet) *Design {
	return &Design{name: name, level: level, start: start, second: second}
}

// Name is unique among the suites.
func (d *Design) Name() string { return d.name }

// Level is the level in Apple's chart.
func (d *Design) Level() int { return d.level }

// NewServer makes a server that hands out one-time prekeys once each, and
// messages as they are.
func (d *Design) NewServer(suite.Entropy, time.Time) (suite.Server, []byte, error) {
	return suite.NewPost(d.name, handOut), nil, nil
}

// NewParty makes a device with fresh identity keys.
func (d *Design) NewParty(ent suite.Entropy, _ time.Time, name string, _ []byte) (suite.Party, error) {
	p := &Party{design: d, state: State{Name: name}}
	ent.Read(p.state.Identity.Signing[:])
	ent.Read(p.state.Identity.Agreement[:])
	p.public = p.state.Identity.Public()
	return p, nil
}

// label separates the derivations and signatures of the generations.
func (d *Design) label(purpose string) string { return "posthorn/" + d.name + "/" + purpose + "/v1" }

func (d *Design) refuse(sentinel error, detail string) error {
	return suite.Refuse(d.name, sentinel, detail)
}
