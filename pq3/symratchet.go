package pq3

import (
	"crypto/ecdh"
	"slices"
	"sort"
	"time"

	"github.com/posthorn/posthorn/internal/reject"
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
	var passed []skippedKey
	for moved.index < n {
		mk, ck := moved.key.step()
		passed = append(passed, skippedKey{epoch: epoch, index: moved.index, at: at, key: mk})
		moved.key = ck
		moved.index++
	}
	return passed, &moved
}

// skippedKey waits for one message that was overtaken.
type skippedKey struct {
	epoch, index uint32
	at           uint64 // Unix ms, when it was put aside
	key          messageKey
}

func (k skippedKey) before(epoch, index uint32) bool {
	return k.epoch < epoch || k.epoch == epoch && k.index < index
}

// skippedKeys are kept in order of epoch and index. A list is never changed in
// place, so sessions share it. SPEC §7.2.
type skippedKeys []skippedKey

// find returns the place of a key, or -1.
func (ks skippedKeys) find(epoch, index uint32) int {
	i := sort.Search(len(ks), func(i int) bool { return !ks[i].before(epoch, index) })
	if i < len(ks) && ks[i].epoch == epoch && ks[i].index == index {
		return i
	}
	return -1
}

// without leaves out the key at place i.
func (ks skippedKeys) without(i int) skippedKeys {
	return slices.Delete(slices.Clone(ks), i, i+1)
}

// with adds keys that come after all others, and drops the oldest beyond the
// bound.
func (ks skippedKeys) with(more []skippedKey) skippedKeys {
	if len(more) == 0 {
		return ks
	}
	all := slices.Concat(ks, more)
	return all[max(0, len(all)-maxSkipped):]
}

// fresh drops the keys whose life has ended.
func (ks skippedKeys) fresh(now time.Time) skippedKeys {
	stale := func(k skippedKey) bool { return elapsed(now, k.at) > skippedLife }
	if !slices.ContainsFunc(ks, stale) {
		return ks
	}
	return slices.DeleteFunc(slices.Clone(ks), stale)
}

// takeSkipped finds the key of an overtaken message.
func (s *Session) takeSkipped(epoch, index uint32) (messageKey, error) {
	i := s.skipped.find(epoch, index)
	if i < 0 {
		return messageKey{}, reject.New("V-48", ErrReplay, "the key of this position was used or has expired")
	}
	mk := s.skipped[i].key
	s.skipped = s.skipped.without(i)
	return mk, nil
}
