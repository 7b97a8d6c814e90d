package pq3

import (
	"crypto/ecdh"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// step is a device's next epoch before its first message: the fresh ECDH key,
// the answer to the peer's KEM key if it advertised one, and what the root step
// made of them. It depends on nothing but the receiving chain's first message
// and fresh randomness, so it can be made ahead of time (Prepare).
type step struct {
	ratchet       *ecdh.PrivateKey
	ratchetKey    [ecdhSize]byte
	kemCiphertext []byte // nil when there was nothing to answer
	root          rootKey
	chain         chainKey
}

// nextStep makes the step into epoch e+1. SPEC §8.1, points 1 to 3.
func (s *Session) nextStep(ent Entropy) (*step, error) {
	peerKey, err := s.receive.peerKey()
	if err != nil {
		return nil, err
	}
	next := &step{ratchet: xonly.NewKey(drawing(ent, "ratchet key"))}
	next.ratchetKey = xonly.X(next.ratchet.PublicKey())
	kemSecret, err := next.answer(ent, s.receive)
	if err != nil {
		return nil, err
	}
	info := ratchetInfo(s.link.outgoing, s.receive.ratchetKey[:], next.ratchetKey[:],
		next.kemCiphertext, s.receive.kemKey)
	next.root, next.chain = s.root.step(agree(next.ratchet, peerKey), kemSecret, info)
	return next, nil
}

// answer encapsulates to the peer's advertised key; nil when there is none.
//
// formal: kem-encapsulate
func (n *step) answer(ent Entropy, peer *receiveChain) (kemSecret []byte, err error) {
	if peer.kemKey == nil {
		return nil, nil
	}
	ek := peer.kem
	if ek == nil {
		if ek, err = parseKEMKey(peer.kemKey); err != nil {
			return nil, err
		}
	}
	kemSecret, n.kemCiphertext = ent.Encapsulate(ek)
	return kemSecret, checkKEMSecret(kemSecret)
}

// Prepare does the costly half of the next change of direction ahead of time:
// the fresh key pair, the agreement and the root step, which a reply otherwise
// waits for. It returns the same session with the step at hand, or s itself
// while this device is sending or has prepared already. The step lives in memory
// only and no stored form holds it, so there is nothing to write.
//
// It has a price: from then on the memory of this process holds the keys of the
// next epoch, so a thief of that memory reads one epoch further. Use it where
// the time to the first byte of a reply matters. SPEC §8.1.
func (s *Session) Prepare(ent Entropy) (*Session, error) {
	if s.send != nil || s.prepared != nil {
		return s, nil
	}
	next := s.copy()
	var err error
	secret.Do(func() { next.prepared, err = s.nextStep(ent) })
	if err != nil {
		return nil, err
	}
	return next, nil
}
