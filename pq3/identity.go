package pq3

import (
	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

// Identity is this device with its signing keys. The keys enter as
// crypto.Signer inside the SigningKey, so they may live in hardware. An
// Identity is immutable and safe for concurrent use if its signers are.
type Identity struct {
	self account.Party
	key  *account.SigningKey
}

// NewIdentity joins a device record with its signing keys. It refuses keys
// that are not the record's with ErrIdentity.
func NewIdentity(self account.Party, key *account.SigningKey) (*Identity, error) {
	if self.Device == nil || self.Device.Key.Digest() != key.Public().Digest() {
		return nil, reject.New("V-65", ErrIdentity, "the device record holds another public key")
	}
	return &Identity{self: self, key: key}, nil
}

// Party is the public side of the identity.
func (id *Identity) Party() account.Party { return id.self }

// suiteWith is the suite that both device records call for: PQ3A whenever both
// list it. There is no other negotiation (SPEC §4.4).
func (id *Identity) suiteWith(peer account.Party) (account.Suite, error) {
	suite, err := account.ChooseSuite(id.self.Device, peer.Device)
	if err != nil {
		return 0, reject.New("V-36", ErrSuite, "the two devices share no suite")
	}
	return suite, nil
}

// link is one pair of devices under one suite: who signs, who verifies, and
// the context string of each direction.
type link struct {
	me       *Identity
	peer     account.Party
	suite    account.Suite
	outgoing []byte // dst from me to the peer
	incoming []byte // dst from the peer to me
}

func newLink(me *Identity, peer account.Party, suite account.Suite) *link {
	return &link{
		me: me, peer: peer, suite: suite,
		outgoing: account.SessionContext(suite, me.self, peer),
		incoming: account.SessionContext(suite, peer, me.self),
	}
}

// openLink makes the link a received message needs, and refuses a message of
// any suite but the one both records call for.
func openLink(me *Identity, peer account.Party, m *Message) (*link, error) {
	suite, err := me.suiteWith(peer)
	if err != nil {
		return nil, err
	}
	if m.suite != suite {
		return nil, reject.New("V-36", ErrSuite, "both devices support "+suite.String())
	}
	return newLink(me, peer, suite), nil
}

// verify checks the sender's ECDSA signature over the covered bytes.
//
// formal: sig-message
func (l *link) verify(m *Message, c covered) error {
	if l.peer.Device.Key.VerifyECDSA(c.with(m.proof), m.signature) != nil {
		return reject.New("V-35", ErrSignature, "not signed by the peer's device for this device")
	}
	return nil
}

// Verify checks that the peer's device signed this message for me, and nothing
// else. A message that waits for objects is kept only if this passes.
func Verify(me *Identity, peer account.Party, m *Message) error {
	l, err := openLink(me, peer, m)
	if err != nil {
		return err
	}
	return l.verify(m, m.covered(l.incoming))
}
