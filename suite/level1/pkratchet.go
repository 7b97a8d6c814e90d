package level1

import (
	"time"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Ratchet is the state of the Double Ratchet at one moment. It is never changed
// in place.
type Ratchet struct {
	Root      secret.Key  // RK
	Own       *secret.Key // DHs; nil from the peer's new key until the reply
	OwnPublic [32]byte    // its public half, zero without it
	Peer      [32]byte    // DHr; zero before the peer wrote
	Send      *Chain      // CKs, Ns; nil until this device has something to say
	Receive   *Chain      // CKr, Nr
	Previous  uint32      // PN, length of the sending chain before this one
	Skipped   []SkippedKey
}

// Header is that of the Double Ratchet: what it needs of a message.
type Header struct {
	Ratchet  [32]byte
	Previous uint32
	Index    uint32
}

// beginSending is RatchetInitAlice.
func beginSending(ent suite.Entropy, sk secret.Key, peer [32]byte) (*Ratchet, error) {
	r := &Ratchet{Root: sk, Peer: peer}
	return r, r.turn(ent)
}

// beginReceiving is RatchetInitBob: the signed prekey is the first ratchet key.
func beginReceiving(sk, prekey secret.Key) *Ratchet {
	return &Ratchet{Root: sk, Own: &prekey, OwnPublic: PublicKey(prekey)}
}

// turn makes a new ratchet key and a sending chain: the second half of
// DHRatchet, put off until there is something to send. It changes r, which must
// be a copy.
func (r *Ratchet) turn(ent suite.Entropy) error {
	var own secret.Key
	ent.Read(own[:])
	shared, err := Agree(own, r.Peer)
	if err != nil {
		return err
	}
	root, chain := RootStep(r.Root, shared)
	r.Root, r.Own, r.OwnPublic, r.Send = root, &own, PublicKey(own), &Chain{Key: chain}
	return nil
}

// next gives the key and the header of the next message. It changes r, which
// must be a copy.
func (r *Ratchet) next(ent suite.Entropy) (secret.Key, *Header, error) {
	if r.Send == nil {
		if err := r.turn(ent); err != nil {
			return secret.Key{}, nil, suite.Refuse("level1", suite.ErrUndecryptable, "the peer's ratchet key is of low order")
		}
	}
	h := &Header{Ratchet: r.OwnPublic, Previous: r.Previous, Index: r.Send.Index}
	key, advanced := r.Send.next()
	r.Send = advanced
	return key, h, nil
}

// receive gives the key of a received message: RatchetDecrypt without the
// decryption. It changes r, which must be a copy.
func (r *Ratchet) receive(now time.Time, h *Header) (secret.Key, error) {
	r.expire(now)
	if key, ok := r.take(h); ok {
		return key, nil
	}
	if r.Receive == nil || h.Ratchet != r.Peer {
		if err := r.follow(now, h); err != nil {
			return secret.Key{}, err
		}
	}
	if h.Index < r.Receive.Index {
		return secret.Key{}, suite.Refuse("level1", suite.ErrReplay, "the key of this message was used or has expired")
	}
	if err := r.skip(now, h.Index); err != nil {
		return secret.Key{}, err
	}
	key, advanced := r.Receive.next()
	r.Receive = advanced
	return key, nil
}

// follow takes the peer's new ratchet key: the first half of DHRatchet. The own
// key is used up by it.
func (r *Ratchet) follow(now time.Time, h *Header) error {
	if r.Own == nil {
		return suite.Refuse("level1", suite.ErrUndecryptable, "a new ratchet key before the reply to the last one")
	}
	if err := r.skip(now, h.Previous); err != nil {
		return err
	}
	shared, err := Agree(*r.Own, h.Ratchet)
	if err != nil {
		return suite.Refuse("level1", suite.ErrUndecryptable, "a ratchet key of low order")
	}
	root, chain := RootStep(r.Root, shared)
	if r.Send != nil {
		r.Previous = r.Send.Index
	}
	r.Root, r.Own, r.OwnPublic, r.Send = root, nil, [32]byte{}, nil
	r.Peer, r.Receive = h.Ratchet, &Chain{Key: chain}
	return nil
}
