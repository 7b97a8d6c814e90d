package pq3

import (
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
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

// SkippedRow is the storage form of one block of skipped keys. A session's
// rows in ascending order of ID, one after the other, are its MarshalSkipped.
type SkippedRow struct {
	ID   uint64 // epoch and index of the first key in it, unique in a session
	Keys []byte // secret; seal it before it is written
}

func (b skippedBlock) row() SkippedRow { return SkippedRow{ID: b.id(), Keys: b.appendTo(nil)} }

func (b skippedBlock) id() uint64 { return uint64(b[0].epoch)<<32 | uint64(b[0].index) }

// SkippedChanges lists what storage must do to get from the skipped keys of an
// earlier state of this session to those of s: delete the rows in gone, then
// write those in put. A nil earlier stands for nothing stored. Sending changes
// no row, receiving in order none, and an overtaken message one.
func (s *Session) SkippedChanges(earlier *Session) (put []SkippedRow, gone []uint64) {
	var before skippedKeys
	if earlier != nil {
		before = earlier.skipped
	}
	for _, block := range before.missingIn(s.skipped) {
		gone = append(gone, block.id())
	}
	for _, block := range s.skipped.missingIn(before) {
		put = append(put, block.row())
	}
	return put, gone
}

// missingIn lists the blocks that are not, as the same memory, in other.
func (ks skippedKeys) missingIn(other skippedKeys) (missing []skippedBlock) {
	for _, block := range ks {
		same := func(o skippedBlock) bool { return &o[0] == &block[0] }
		if !slices.ContainsFunc(other, same) {
			missing = append(missing, block)
		}
	}
	return missing
}

// MarshalSkipped is the storage form of the skipped keys in one piece; empty
// when there are none. It is secret; seal it before it is written.
func (s *Session) MarshalSkipped() []byte {
	if len(s.skipped) == 0 {
		return nil
	}
	b := make([]byte, 0, len(s.skipped)*blockHeader+s.skipped.count()*skippedSize)
	for _, block := range s.skipped {
		b = block.appendTo(b)
	}
	return b
}

const (
	blockHeader = 1 + 2          // version, count
	skippedSize = 4 + 4 + 8 + 32 // one key
)

func (b skippedBlock) appendTo(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	for _, k := range b {
		dst = appendU32(dst, k.epoch, k.index)
		dst = appendU64(dst, k.at)
		dst = append(dst, k.key.Key[:]...)
	}
	return dst
}

// readSkipped reads blocks until nothing is left.
func readSkipped(b []byte) (keys skippedKeys, err error) {
	r := codec.NewReader(b)
	for r.Len() > 0 {
		block := readBlock(r)
		if r.Failed() || len(block) == 0 || keys.count()+len(block) > maxSkipped {
			return nil, reject.New("V-61", ErrState, "not a list of skipped keys")
		}
		keys = append(keys, block)
	}
	if !keys.ascending() {
		return nil, reject.New("V-61", ErrState, "skipped keys out of order")
	}
	return keys, nil
}

// readBlock reads one block; nil when it is none.
func readBlock(r *codec.Reader) skippedBlock {
	version, count := r.U8(), int(r.U16())
	if version != stateVersion || r.Len() < count*skippedSize {
		return nil
	}
	block := make(skippedBlock, count)
	for i := range block {
		k := &block[i]
		readU32(r, &k.epoch, &k.index)
		readU64(r, &k.at)
		r.Copy(k.key.Key[:])
	}
	return block
}

func (ks skippedKeys) ascending() bool {
	var last *skippedKey
	for _, block := range ks {
		for i := range block {
			k := &block[i]
			if last != nil && !last.before(k.epoch, k.index) {
				return false
			}
			last = k
		}
	}
	return true
}
