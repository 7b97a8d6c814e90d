package pq3

import (
	"crypto/ecdh"
	"crypto/mlkem"
)

// sendChain is the symmetric ratchet of the epoch this device opened last.
// Values are never changed in place: a step makes a new one.
type sendChain struct {
	key        chainKey
	index      uint32           // of the next message
	previous   uint32           // length of my sending chain before this one
	ratchet    *ecdh.PrivateKey // erased when the peer replies
	ratchetKey [ecdhSize]byte
	objects    objects
	hash       objectsHash // zero without objects
}

// next takes the key of the next message.
func (c *sendChain) next() (messageKey, *sendChain) {
	mk, ck := c.key.step()
	advanced := *c
	advanced.key = ck
	advanced.index++
	return mk, &advanced
}

// receiveChain is the symmetric ratchet of the epoch the peer opened last.
type receiveChain struct {
	key        chainKey
	index      uint32 // of the first message not yet passed
	previous   uint32 // as every message of the chain must repeat
	ratchetKey [ecdhSize]byte
	flags      byte        // what objects the chain has
	hash       objectsHash // zero without objects
	kemKey     []byte      // the peer's advertised key, until I answer it

	// What was parsed on arrival, so that the reply does not parse it again;
	// nil after a restart.
	lifted *ecdh.PublicKey
	kem    *mlkem.EncapsulationKey768
}

// skipTo takes the key of message n and keeps those of the messages before it.
// n is below maxChain, so the work is bounded.
func (c *receiveChain) skipTo(n, epoch uint32, at uint64) (messageKey, *receiveChain, []skippedKey) {
	passed, rest := c.passTo(n, epoch, at)
	mk, ck := rest.key.step()
	rest.key = ck
	rest.index++
	return mk, rest, passed
}

// passTo moves the chain forward to n and returns the keys it passed.
func (c *receiveChain) passTo(n, epoch uint32, at uint64) ([]skippedKey, *receiveChain) {
	moved := *c
	if moved.index >= n {
		return nil, &moved
	}
	passed := make([]skippedKey, 0, n-moved.index)
	for moved.index < n {
		mk, ck := moved.key.step()
		passed = append(passed, skippedKey{epoch: epoch, index: moved.index, at: at, key: mk})
		moved.key = ck
		moved.index++
	}
	return passed, &moved
}
