package kt

import (
	"crypto/sha256"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func FuzzParseRecord(f *testing.F) {
	decodertest.Seed(f, "alice", record("alice", 3).Marshal())
	decodertest.Seed(f, "no-name", append([]byte(recordLabel), make([]byte, 106)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseRecord, Record.Marshal); !ok {
			s := decodertest.From(raw)
			r := record("fuzz", s.U64())
			s.Fill(r.Account[:])
			s.Fill(r.Head[:])
			decodertest.RoundTrip(t, r, Record.Marshal, ParseRecord)
		}
	})
}

// FuzzParseEntry covers ParseUpdate, ParseRoot and ParseConfig: no bytes are
// more than one of them.
func FuzzParseEntry(f *testing.F) {
	decodertest.Seed(f, "update", Update{Index{1}, 2, Commitment{3}}.Marshal())
	decodertest.Seed(f, "root", Root{Updates: 1, UpdatesRoot: [32]byte{2}, MapRoot: [32]byte{3}, At: 4}.Marshal())
	decodertest.Seed(f, "later-root", Root{Updates: 1, At: 4, Standing: Standing{5, [32]byte{6}}}.Marshal())
	decodertest.Seed(f, "config", Config{1, [32]byte{2}, [32]byte{3}}.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, update := decodertest.Canonical(t, raw, ParseUpdate, Update.Marshal)
		_, root := decodertest.Canonical(t, raw, ParseRoot, Root.Marshal)
		_, config := decodertest.Canonical(t, raw, ParseConfig, Config.Marshal)
		if update && root || update && config || root && config {
			t.Fatal("bytes with two meanings")
		}
	})
}

// drawProof is a proof of the map of any form, true or not.
func drawProof(s *decodertest.Source) (p MapProof) {
	for range s.Below(maxDepth + 1) {
		var sibling [32]byte
		if s.Bool() {
			s.Fill(sibling[:])
		}
		p.Siblings = append(p.Siblings, sibling)
	}
	if s.Bool() {
		p.Other = &Entry{}
		s.Fill(p.Other.Index[:])
		s.Fill(p.Other.Value[:])
	}
	return p
}

// FuzzParseMapProof also lets every proof that parses climb, to a root that it
// cannot know.
func FuzzParseMapProof(f *testing.F) {
	m := must(BuildMap(manyEntries(20)))
	decodertest.Seed(f, "present", m.Prove(manyEntries(20)[3].Index).Marshal())
	decodertest.Seed(f, "absent", m.Prove(Index{1, 2, 3}).Marshal())
	decodertest.Seed(f, "deep", (&Map{}).Set(Index{}, Value{1}).Set(Index{31: 1}, Value{2}).Prove(Index{}).Marshal())
	decodertest.Seed(f, "stray-bit", []byte{0, 1, 1, 0})
	decodertest.Seed(f, "zero-sibling", append([]byte{0, 1, 0x80}, make([]byte, 33)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, ok := decodertest.Canonical(t, raw, ParseMapProof, MapProof.Marshal)
		if !ok {
			decodertest.RoundTrip(t, drawProof(decodertest.From(raw)), MapProof.Marshal, ParseMapProof)
			return
		}
		if p.VerifyPresent(m.Root(), Index{9}, Value{9}) == nil || p.VerifyAbsent(m.Root(), manyEntries(20)[3].Index) == nil {
			t.Fatal("a proof of what is not so")
		}
	})
}

func drawHashes(s *decodertest.Source, most int) (hashes [][32]byte) {
	for range s.Below(most + 1) {
		var h [32]byte
		s.Fill(h[:])
		hashes = append(hashes, h)
	}
	return hashes
}

func FuzzParseAnswer(f *testing.F) {
	l := town(1)
	known := Known{Size: 3, Root: l.root(3), Label: &Label{0, l.values["alice"][0]}}
	decodertest.Seed(f, "present", l.answer("alice", known).Marshal())
	decodertest.Seed(f, "absent", l.answer("nobody", Known{}).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseAnswer, (*Answer).Marshal); ok || len(raw)%4 != 0 {
			return
		}
		s := decodertest.From(raw)
		a := &Answer{Consistency: drawHashes(s, maxHashes), Inclusion: drawHashes(s, maxHashes), Map: drawProof(s)}
		a.Root = Root{Updates: s.U64(), At: s.U64()}
		if s.Bool() {
			a.Present = &Present{Version: s.U32()}
			for _, h := range drawHashes(s, 300) {
				a.Present.Later = append(a.Present.Later, h)
			}
		}
		decodertest.RoundTrip(t, a, (*Answer).Marshal, ParseAnswer)
	})
}

func FuzzParsePolicy(f *testing.F) {
	l := newLog(1)
	decodertest.Seed(f, "two-witnesses", l.policy.Marshal())
	_, changes, _ := moved()
	decodertest.Seed(f, "second", must(l.policy.Next(changes[0].Text)).Marshal())
	decodertest.Seed(f, "text", []byte("quorum none\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParsePolicy, (*Policy).Marshal); ok {
			return
		}
		text := PlainPolicy(raw)
		if again := PlainPolicy(text); string(again) != string(text) {
			t.Fatal("the plain form is not plain")
		}
		if p, err := NewPolicy(text, Config{Policy: sha256.Sum256(text)}); err == nil && p.Origin() == "" {
			t.Fatal("a policy without a log")
		}
	})
}
