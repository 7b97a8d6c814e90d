package pq3

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func keyAt(epoch, index uint32, at uint64) skippedKey {
	k := skippedKey{epoch: epoch, index: index, at: at}
	k.key.Key[0], k.key.Key[1] = byte(epoch), byte(index)
	return k
}

// TestSkippedKeysBehaveLikeAList: blocks are an arrangement; what is kept,
// found and dropped is what a plain ordered list would keep. Stored rows follow
// every change.
func TestSkippedKeysBehaveLikeAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var model []skippedKey
		s, stored, epoch := &Session{}, map[uint64][]byte{}, uint32(0)
		t.Repeat(map[string]func(*rapid.T){
			"put aside": func(t *rapid.T) {
				epoch += 2
				var more []skippedKey
				for i := range rapid.IntRange(1, 400).Draw(t, "count") {
					more = append(more, keyAt(epoch, uint32(i), uint64(epoch)))
				}
				model = append(model, more...)
				model = model[max(0, len(model)-maxSkipped):]
				s = &Session{skipped: s.skipped.with(more)}
			},
			"take": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "which")
				next := &Session{skipped: s.skipped}
				mk, err := next.takeSkipped(model[i].epoch, model[i].index)
				if err != nil || mk != model[i].key {
					t.Fatalf("take %d/%d: %v", model[i].epoch, model[i].index, err)
				}
				if _, err := next.takeSkipped(model[i].epoch, model[i].index); err == nil {
					t.Fatal("V-48: a key was taken twice")
				}
				model, s = slices.Delete(slices.Clone(model), i, i+1), next
			},
			"expire": func(t *rapid.T) {
				now := time.UnixMilli(int64(rapid.Uint32Range(0, epoch).Draw(t, "up to"))).Add(skippedLife)
				model = slices.DeleteFunc(slices.Clone(model), func(k skippedKey) bool { return elapsed(now, k.at) > skippedLife })
				s = &Session{skipped: s.skipped.fresh(now)}
			},
			"": func(t *rapid.T) {
				if got := slices.Concat(s.skipped...); !slices.Equal(got, model) {
					t.Fatalf("%d keys, want %d", len(got), len(model))
				}
				stored = applyChanges(t, s, stored)
			},
		})
	})
}

// applyChanges brings stored rows up to a session, from what they say now, and
// compares them with the whole.
func applyChanges(t *rapid.T, s *Session, stored map[uint64][]byte) map[uint64][]byte {
	earlier := &Session{}
	var err error
	if earlier.skipped, err = readSkipped(inOrder(stored)); err != nil {
		t.Fatal(err)
	}
	put, gone := s.SkippedChanges(earlier)
	for _, id := range gone {
		delete(stored, id)
	}
	for _, row := range put {
		if _, taken := stored[row.ID]; taken {
			t.Fatalf("two rows %x", row.ID)
		}
		stored[row.ID] = row.Keys
	}
	if string(inOrder(stored)) != string(s.MarshalSkipped()) {
		t.Fatal("the rows are not what the session holds")
	}
	return stored
}

func inOrder(rows map[uint64][]byte) (b []byte) {
	var ids []uint64
	for id := range rows {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		b = append(b, rows[id]...)
	}
	return b
}

// TestTakenKeyIsNotKeptAlive: a block shares no memory with the list of keys
// that it was cut from, nor with the block it replaces.
func TestTakenKeyIsNotKeptAlive(t *testing.T) {
	var more []skippedKey
	for i := range uint32(3 * blockKeys) {
		more = append(more, keyAt(2, i, 1))
	}
	ks := skippedKeys(nil).with(more)
	for i, block := range ks {
		if &block[0] == &more[i*blockKeys] || cap(block) > blockKeys+blockKeys/4 {
			t.Errorf("block %d shares memory, or holds %d places", i, cap(block))
		}
	}
	if after := ks.without(1, 5); &after[1][0] == &ks[1][0] || &after[0][0] != &ks[0][0] {
		t.Error("taking a key must renew its block and no other")
	}
}

func keysFrom(first uint32, n int) (keys []skippedKey) {
	for i := range n {
		keys = append(keys, keyAt(2, first+uint32(i), 1))
	}
	return keys
}

// TestBlocksAreFilledBeforeNewOnes: an unfinished block is completed, a full
// one is shared as it is, and none is ever empty.
func TestBlocksAreFilledBeforeNewOnes(t *testing.T) {
	sizes := func(ks skippedKeys) (n []int) {
		for _, block := range ks {
			n = append(n, len(block))
		}
		return n
	}
	ks := skippedKeys(nil).with(keysFrom(0, 20)).with(keysFrom(20, 20))
	if got := sizes(ks); !slices.Equal(got, []int{blockKeys, 8}) {
		t.Errorf("20 and 20 keys lie in blocks of %v", got)
	}
	full := skippedKeys(nil).with(keysFrom(0, blockKeys))
	if after := full.with(keysFrom(blockKeys, 1)); &after[0][0] != &full[0][0] || len(after) != 2 {
		t.Error("a full block was copied")
	}
	ks = skippedKeys(nil).with(keysFrom(0, maxSkipped)).with(keysFrom(maxSkipped, blockKeys))
	if got := sizes(ks); ks.count() != maxSkipped || slices.Contains(got, 0) {
		t.Errorf("%d keys in blocks of %v", ks.count(), got)
	}
}

func TestV61TooManySkippedKeysRefused(t *testing.T) {
	var stored []byte
	for first := 0; first < maxSkipped; first += blockKeys {
		n := min(blockKeys, maxSkipped-first)
		stored = skippedBlock(keysFrom(uint32(first), n)).appendTo(stored)
	}
	if keys, err := readSkipped(stored); err != nil || keys.count() != maxSkipped {
		t.Errorf("%d keys: %v", keys.count(), err)
	}
	if _, err := readSkipped(skippedBlock(keysFrom(maxSkipped, 1)).appendTo(stored)); !errors.Is(err, ErrState) {
		t.Errorf("one key more: %v", err)
	}
}

// BenchmarkSkip holds 499 passed messages, with the list of their keys, against
// 499 steps of the chain alone.
func BenchmarkSkip(b *testing.B) {
	b.Run("steps", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ck := chainKey{}
			for range maxChain - 1 {
				_, ck = ck.step()
			}
		}
	})
	b.Run("skip", func(b *testing.B) {
		b.ReportAllocs()
		c := &receiveChain{}
		for b.Loop() {
			_, _, passed := c.skipTo(maxChain-1, 2, 1)
			skippedKeys(nil).with(passed)
		}
	})
}
