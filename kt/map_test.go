package kt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawIndex gives indexes that share long beginnings, so that paths get deep.
func drawIndex(t *rapid.T) (i Index) {
	copy(i[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80}), 1, 3).Draw(t, "front"))
	i[31] = rapid.SampledFrom([]byte{0, 1, 2, 255}).Draw(t, "end")
	return i
}

// TestMapIsAMap: after any sets, the tree agrees with a Go map, old versions
// stand, every place proves itself, and a tree built at once is the same.
func TestMapIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, m := map[Index]Value{}, &Map{}
		for i := range rapid.IntRange(0, 40).Draw(t, "sets") {
			before, root := m, m.Root()
			at, v := drawIndex(t), Value{byte(i), 1}
			m = m.Set(at, v)
			model[at] = v
			if before.Root() != root {
				t.Fatal("an old version changed")
			}
		}
		if m.Len() != len(model) {
			t.Fatalf("%d places, want %d", m.Len(), len(model))
		}
		whole, err := BuildMap(sorted(model))
		if err != nil || whole.Root() != m.Root() || whole.Len() != m.Len() {
			t.Fatalf("built at once it is another map: %v", err)
		}
		for range 20 {
			agrees(t, m, model, drawIndex(t))
		}
	})
}

func sorted(model map[Index]Value) (entries []Entry) {
	for at, v := range model {
		entries = append(entries, Entry{at, v})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return entries
}

// agrees holds one place against the model: the value, the one proof that fits,
// and the refusal of all others.
func agrees(t *rapid.T, m *Map, model map[Index]Value, at Index) {
	v, there := model[at]
	if got, ok := m.Get(at); ok != there || got != v {
		t.Fatalf("Get(%x) = %x, %v", at, got, ok)
	}
	p := m.Prove(at)
	again, err := ParseMapProof(p.Marshal())
	if err != nil || !bytes.Equal(again.Marshal(), p.Marshal()) {
		t.Fatalf("the proof does not survive its encoding: %v", err)
	}
	present := again.VerifyPresent(m.Root(), at, v) == nil
	absent := again.VerifyAbsent(m.Root(), at) == nil
	if present != there || absent == there {
		t.Fatalf("%x is there: %v; proved present %v, absent %v", at, there, present, absent)
	}
	if again.VerifyPresent(m.Root(), at, Value{0xee}) == nil {
		t.Fatal("another value is proved")
	}
	if len(model) > 0 && (again.VerifyPresent([32]byte{1}, at, v) == nil || again.VerifyAbsent([32]byte{1}, at) == nil) {
		t.Fatal("proved under another root")
	}
}

// The hashes of the smallest trees, written out.
func TestMapHashes(t *testing.T) {
	leaf := func(at Index, v Value) []byte {
		sum := sha256.Sum256(slices.Concat([]byte{2}, at[:], v[:]))
		return sum[:]
	}
	inner := func(l, r []byte) []byte {
		sum := sha256.Sum256(slices.Concat([]byte{3}, l, r))
		return sum[:]
	}
	left, right, near := Index{0x20}, Index{0x80}, Index{0x00}
	m := &Map{}
	if m.Root() != [32]byte{} {
		t.Error("an empty map is not zeros")
	}
	m = m.Set(left, Value{1})
	if root := m.Root(); !bytes.Equal(root[:], leaf(left, Value{1})) {
		t.Error("one place is not its leaf")
	}
	m = m.Set(right, Value{2}).Set(near, Value{3})
	want := inner(inner(inner(leaf(near, Value{3}), leaf(left, Value{1})), make([]byte, 32)), leaf(right, Value{2}))
	if root := m.Root(); !bytes.Equal(root[:], want) {
		t.Error("three places make another root")
	}
}

func TestV180MapOfUnsortedEntries(t *testing.T) {
	_, err := BuildMap([]Entry{{Index: Index{2}}, {Index: Index{1}}})
	refusedBy(t, "V-180", err)
	_, err = BuildMap([]Entry{{Index: Index{1}}, {Index: Index{1}}})
	refusedBy(t, "V-180", err)
}

// manyEntries are n places as a VRF would spread them.
func manyEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i].Index = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		entries[i].Value = Value{1}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return entries
}

// TestProofSizes: what a further name costs under one checkpoint, on average over
// a thousand names, stays within 0.8 KB up to a million accounts.
func TestProofSizes(t *testing.T) {
	sizes := []int{10_000, 100_000, 1_000_000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, n := range sizes {
		entries := manyEntries(n)
		m := must(BuildMap(entries))
		present, absent := 0, 0
		for i := range 1000 {
			present += len(labelPart(m, entries[i*(n/1000)].Index, true))
			absent += len(labelPart(m, sha256.Sum256([]byte{byte(i), byte(i >> 8), 7}), false))
		}
		t.Logf("%d names: %d bytes for one that exists, %d for one that does not", n, present/1000, absent/1000)
		if present/1000 > 800 || absent/1000 > 800 {
			t.Errorf("%d names: more than 800 bytes for a further name", n)
		}
	}
}

// labelPart is what of an answer is about its name.
func labelPart(m *Map, at Index, there bool) []byte {
	a := &Answer{Map: m.Prove(at)}
	bare := len((&Answer{}).Marshal()) - VRFProofSize - len(MapProof{}.Marshal())
	if there {
		a.Present = &Present{Version: 1}
	}
	return a.Marshal()[bare-1:]
}

func BenchmarkBuildMapOfAMillion(b *testing.B) {
	entries := manyEntries(1_000_000)
	for b.Loop() {
		if _, err := BuildMap(entries); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetInAMillion(b *testing.B) {
	m := must(BuildMap(manyEntries(1_000_000)))
	i := uint64(0)
	for b.Loop() {
		i++
		m = m.Set(sha256.Sum256(binary.BigEndian.AppendUint64(nil, i*7919)), Value{2})
	}
}

func BenchmarkProveInAMillion(b *testing.B) {
	entries := manyEntries(1_000_000)
	m := must(BuildMap(entries))
	i := 0
	for b.Loop() {
		i = (i + 7919) % len(entries)
		m.Prove(entries[i].Index)
	}
}

func BenchmarkVRFProve(b *testing.B) {
	k := must(NewVRFKey([32]byte{1}))
	for b.Loop() {
		k.Prove("alice")
	}
}
