package pq3

import (
	"slices"
	"sort"
	"time"

	"github.com/posthorn/posthorn/internal/reject"
)

// skippedKey waits for one message that was overtaken.
type skippedKey struct {
	epoch, index uint32
	at           uint64 // Unix ms, when it was put aside
	key          messageKey
}

func (k skippedKey) before(epoch, index uint32) bool {
	return k.epoch < epoch || k.epoch == epoch && k.index < index
}

// A skippedBlock holds up to blockKeys skipped keys in order of epoch and
// index. It is never changed in place and never empty, so successive sessions
// share the blocks that did not change, and the caller rewrites only the
// others. Each block has memory of its own: a key that was taken is not kept
// alive by its neighbours' block.
type skippedBlock []skippedKey

// blockKeys is a balance: a taken key costs the copy of one block, and a full
// store has 32 blocks.
const blockKeys = 32

// skippedKeys are the blocks in order. A list is never changed in place.
// SPEC §7.2.
type skippedKeys []skippedBlock

// find returns the block and the place of a key in it, or false.
func (ks skippedKeys) find(epoch, index uint32) (block, place int, ok bool) {
	block = sort.Search(len(ks), func(i int) bool { return !ks[i][len(ks[i])-1].before(epoch, index) })
	if block == len(ks) {
		return 0, 0, false
	}
	keys := ks[block]
	place = sort.Search(len(keys), func(i int) bool { return !keys[i].before(epoch, index) })
	k := keys[place]
	return block, place, k.epoch == epoch && k.index == index
}

// without leaves out one key.
func (ks skippedKeys) without(block, place int) skippedKeys {
	if len(ks[block]) == 1 {
		return slices.Delete(slices.Clone(ks), block, block+1)
	}
	kept := slices.Clone(ks)
	kept[block] = slices.Concat(ks[block][:place], ks[block][place+1:])
	return kept
}

// with adds keys that come after all others, and drops the oldest beyond the
// bound.
func (ks skippedKeys) with(more []skippedKey) skippedKeys {
	if len(more) == 0 {
		return ks
	}
	all := slices.Clone(ks)
	if last := len(all) - 1; last >= 0 && len(all[last]) < blockKeys {
		n := min(blockKeys-len(all[last]), len(more))
		all[last] = slices.Concat(all[last], more[:n])
		more = more[n:]
	}
	for block := range slices.Chunk(more, blockKeys) {
		all = append(all, slices.Clone(block))
	}
	return all.newest(maxSkipped)
}

// newest keeps the last n keys.
func (ks skippedKeys) newest(n int) skippedKeys {
	surplus := ks.count() - n
	for surplus > 0 && surplus >= len(ks[0]) {
		surplus -= len(ks[0])
		ks = ks[1:]
	}
	if surplus > 0 {
		ks[0] = slices.Clone(ks[0][surplus:])
	}
	return slices.Clip(ks)
}

func (ks skippedKeys) count() (n int) {
	for _, block := range ks {
		n += len(block)
	}
	return n
}

// fresh drops the keys whose life has ended.
func (ks skippedKeys) fresh(now time.Time) skippedKeys {
	stale := func(k skippedKey) bool { return elapsed(now, k.at) > skippedLife }
	anyStale := func(b skippedBlock) bool { return slices.ContainsFunc(b, stale) }
	if !slices.ContainsFunc(ks, anyStale) {
		return ks
	}
	var kept skippedKeys
	for _, block := range ks {
		if anyStale(block) {
			block = slices.DeleteFunc(slices.Clone(block), stale)
		}
		if len(block) > 0 {
			kept = append(kept, block)
		}
	}
	return kept
}

// takeSkipped finds the key of an overtaken message.
func (s *Session) takeSkipped(epoch, index uint32) (messageKey, error) {
	block, place, ok := s.skipped.find(epoch, index)
	if !ok {
		return messageKey{}, reject.New("V-48", ErrReplay, "the key of this position was used or has expired")
	}
	mk := s.skipped[block][place].key
	s.skipped = s.skipped.without(block, place)
	return mk, nil
}
