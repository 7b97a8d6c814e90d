package account

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// drawDevice is a device record that the rules allow, with one of a few keys.
func drawDevice(s *decodertest.Source, pool []actor) *Device {
	d := &Device{Key: pool[s.Below(len(pool))].Key, CreatedAt: s.U64()}
	s.Fill(d.ID[:])
	for next := 0; len(d.Suites) == 0 || len(d.Suites) < maxSuites && s.Bool(); {
		if next += 1 + s.Below(16); next > 255 {
			break
		}
		d.Suites = append(d.Suites, Suite(next))
	}
	d.Name = orNil(s.Bytes(MaxDeviceName))
	return d
}

// orNil is how a parser gives back an empty field.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawSignature(s *decodertest.Source) (sig Signature) {
	s.Fill(sig.ECDSA[:])
	s.Fill(sig.MLDSA[:])
	return sig
}

// sampled picks a quarter of the inputs, for what is slow to make.
func sampled(raw []byte) bool { return len(raw)%4 == 0 }

func fewActors() (pool []actor) {
	for i := range 4 {
		pool = append(pool, newActor(fmt.Sprintf("fuzz %d", i)))
	}
	return pool
}

// FuzzParseDevice: what is no record is read as choices of a record instead.
func FuzzParseDevice(f *testing.F) {
	pool := fewActors()
	decodertest.Seed(f, "two-suites", newActor("one").Marshal())
	decodertest.Seed(f, "future-suite", newActor("two", PQ3A, 7).Marshal())
	decodertest.Seed(f, "descending-suites", newActor("one", PQ3A, PQ3).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseDevice, (*Device).Marshal); !ok && sampled(raw) {
			decodertest.RoundTrip(t, drawDevice(decodertest.From(raw), pool), (*Device).Marshal, ParseDevice)
		}
	})
}

// FuzzParseBundle: the same for bundles, with one pair of prekeys.
func FuzzParseBundle(f *testing.F) {
	x, kem := prekeys("fuzz")
	signer := newActor("bundle")
	_, _, b := bundleOf(f, "alice")
	decodertest.Seed(f, "pq3a", b.Marshal())
	decodertest.Seed(f, "pq3", testBundle(f, signer, signer.party("bundle"), PQ3).Marshal())
	off := *b
	off.ECDH = [32]byte{31: 1}
	decodertest.Seed(f, "off-curve", off.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, ok := decodertest.Canonical(t, raw, ParseBundle, (*Bundle).Marshal); ok || !sampled(raw) {
			return
		}
		s := decodertest.From(raw)
		drawn := &Bundle{Suite: Suite(1 + s.Below(2)), ECDH: x, NotBefore: s.U64() >> 1}
		copy(drawn.KEM[:], kem)
		drawn.NotAfter = drawn.NotBefore + 1 + s.U64()%uint64(MaxBundleValidity.Milliseconds())
		drawn.Sig = drawSignature(s)
		parsed, err := ParseBundle(drawn.Marshal())
		if err != nil {
			t.Fatalf("a sound bundle is refused: %v", err)
		}
		drawn.ecdhKey, drawn.kemKey = parsed.ecdhKey, parsed.kemKey
		decodertest.RoundTrip(t, drawn, (*Bundle).Marshal, func([]byte) (*Bundle, error) { return parsed, nil })
	})
}

// drawOperation is any operation with any payload that has the right form.
func drawOperation(s *decodertest.Source, pool []actor) Operation {
	var id DeviceID
	key := pool[s.Below(len(pool))].Key
	switch opCode(1 + s.Below(int(opClearRecovery))) {
	case opAddDevice:
		return AddDevice{drawDevice(s, pool)}
	case opRemoveDevice:
		s.Fill(id[:])
		return RemoveDevice{id}
	case opRenameDevice:
		s.Fill(id[:])
		return RenameDevice{id, orNil(s.Bytes(MaxDeviceName))}
	case opSetRecovery:
		return SetRecovery{key}
	case opReplaceRecovery:
		return ReplaceRecovery{key}
	}
	return ClearRecovery{}
}

// drawStatement is a statement that is well formed, whatever it says and
// whoever signed it.
func drawStatement(s *decodertest.Source, pool []actor) *Statement {
	drawn := &Statement{at: s.U64(), kind: signerKind(1 + s.Below(2)), sig: drawSignature(s)}
	if drawn.seq = s.U64(); drawn.seq > 0 {
		s.Fill(drawn.account[:])
	}
	s.Fill(drawn.prev[:])
	if drawn.kind == signedByDevice {
		s.Fill(drawn.device[:])
	}
	for len(drawn.ops) == 0 || len(drawn.ops) < 4 && s.Bool() {
		drawn.ops = append(drawn.ops, drawOperation(s, pool))
	}
	for range s.Below(3) {
		drawn.added = append(drawn.added, drawSignature(s))
	}
	drawn.body = drawn.encodeBody()
	return drawn
}

// FuzzParseStatement holds a parsed statement against its own encoding of the
// body, which is what everybody signs.
func FuzzParseStatement(f *testing.F) {
	pool, h := fewActors(), newHousehold(f)
	decodertest.Seed(f, "statement-0", h.Statements()[0])
	decodertest.Seed(f, "statement-1", h.Statements()[1])
	decodertest.Seed(f, "remove-rename", h.sign(h.phone.author(), nil, RemoveDevice{h.laptop.ID}, RenameDevice{h.phone.ID, []byte("n")}).Marshal())
	decodertest.Seed(f, "clear-recovery", h.sign(h.byRecovery(), nil, ClearRecovery{}).Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, ok := decodertest.Canonical(t, raw, ParseStatement, (*Statement).Marshal)
		if !ok && sampled(raw) {
			decodertest.RoundTrip(t, drawStatement(decodertest.From(raw), pool), (*Statement).Marshal, ParseStatement)
		}
		if ok && !bytes.Equal(s.encodeBody(), s.body) {
			t.Fatal("a body has a second encoding")
		}
	})
}

// FuzzReplayRoster gives a roster of two statements and a third one that is
// changed in any way, or a statement too many, too few, or twice. The rules
// accept what was signed and nothing else.
func FuzzReplayRoster(f *testing.F) {
	h := newHousehold(f)
	third := h.sign(h.phone.author(), nil, RenameDevice{h.laptop.ID, []byte("new")}).Marshal()
	genuine := append(h.Statements(), third)
	decodertest.Seed(f, "unchanged", uint8(0), uint16(0), uint8(0))
	decodertest.Seed(f, "operation", uint8(2), uint16(115), uint8(2))
	decodertest.Seed(f, "twice", uint8(0x12), uint16(0), uint8(0))
	decodertest.Seed(f, "dropped", uint8(0x21), uint16(0), uint8(0))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, change uint8) {
		i, statements := int(which&0xf)%len(genuine), slices.Clone(genuine)
		statements[i] = bytes.Clone(statements[i])
		statements[i][int(at)%len(statements[i])] ^= change
		altered := change != 0
		switch which >> 4 {
		case 1:
			statements, altered = slices.Insert(statements, i, statements[i]), true
		case 2:
			statements, altered = slices.Delete(statements, i, i+1), i < 2 // the last one is missed by nobody
		}
		r, err := ReplayRoster(statements)
		if (err == nil) == altered {
			t.Fatalf("altered is %v, and replaying gives %v", altered, err)
		}
		if err == nil && (r.ID() != h.ID() || r.Seq() != uint64(len(statements)-1)) {
			t.Fatal("replayed to another roster")
		}
	})
}

// FuzzOpenHold: a hold opens if it is byte for byte the one that was signed.
func FuzzOpenHold(f *testing.F) {
	h := newHousehold(f)
	genuine := must(SignHold(Hold{Account: h.ID(), At: millis(testTime), Nonce: [16]byte{1, 2}}, h.recovery, nil))
	decodertest.Seed(f, "genuine", genuine)
	decodertest.Seed(f, "other-time", append(append(bytes.Clone(genuine[:50]), 1), genuine[51:]...))
	decodertest.Seed(f, "truncated", genuine[:holdSize])
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := decodertest.Frugal(t, raw, func(b []byte) (Hold, error) { return OpenHold(b, h.Roster) })
		if ok != bytes.Equal(raw, genuine) {
			t.Fatalf("%d bytes, opened: %v", len(raw), ok)
		}
		if ok && !bytes.Equal(got.marshal(), raw[:holdSize]) {
			t.Fatal("a field changed")
		}
	})
}

// FuzzParseVerifyingKey: the two halves of a key come back as they were, and
// the digest belongs to them.
func FuzzParseVerifyingKey(f *testing.F) {
	k := newActor("one").Key
	decodertest.Seed(f, "key", k.append(nil))
	decodertest.Seed(f, "uncompressed", append([]byte{4}, k.append(nil)[1:]...))
	decodertest.Seed(f, "short", k.append(nil)[:verifyingKeySize-1])
	parse := func(b []byte) (*VerifyingKey, error) {
		n := min(ECDSAKeySize, len(b))
		return ParseVerifyingKey(b[:n], b[n:])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := decodertest.Canonical(t, raw, parse, func(k *VerifyingKey) []byte { return append(k.ECDSABytes(), k.MLDSABytes()...) })
		if ok && got.Equal(k) != bytes.Equal(raw, k.append(nil)) {
			t.Fatal("two keys have one digest")
		}
	})
}

// FuzzParseName covers the three texts that stand for something: ParseName,
// ParseID and ParseDeviceID. Each has one form.
func FuzzParseName(f *testing.F) {
	decodertest.Seed(f, "name", "alice_01.x-y")
	decodertest.Seed(f, "upper-case", "Alice")
	decodertest.Seed(f, "account-id", ID{0xab, 47: 1}.String())
	decodertest.Seed(f, "device-id", DeviceID{0xab, 31: 1}.String())
	text := func(s fmt.Stringer) []byte { return []byte(s.String()) }
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := decodertest.Frugal(t, []byte(s), func(b []byte) (Name, error) { return ParseName(string(b)) })
		if ok && string(name) != s {
			t.Fatal("a name changed")
		}
		decodertest.Canonical(t, []byte(s), func(b []byte) (ID, error) { return ParseID(string(b)) }, func(id ID) []byte { return text(id) })
		decodertest.Canonical(t, []byte(s), func(b []byte) (DeviceID, error) { return ParseDeviceID(string(b)) }, func(id DeviceID) []byte { return text(id) })
		var id ID
		decodertest.From([]byte(s)).Fill(id[:])
		if again, err := ParseID(id.String()); err != nil || again != id {
			t.Fatal("an id is not read back")
		}
	})
}

// FuzzSignerOutput: what a signer returns is taken apart strictly, and r‖s
// survives the way to a signer's form and back.
func FuzzSignerOutput(f *testing.F) {
	decodertest.Seed(f, "low-s", appendDER(nil, append(bytes.Repeat([]byte{0x80}, 32), bytes.Repeat([]byte{1}, 32)...)))
	decodertest.Seed(f, "high-s", appendDER(nil, append(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{0xf0}, 32)...)))
	decodertest.Seed(f, "negative", []byte{0x30, 6, 2, 1, 0x80, 2, 1, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		sig, ok := decodertest.Frugal(t, raw, lowSFromDER)
		if !ok {
			decodertest.From(raw).Fill(sig[:])
			if !inGroup(sig[:32]) || !inGroup(sig[32:]) {
				return
			}
		}
		again, err := lowSFromDER(appendDER(nil, sig[:]))
		if err != nil || bytes.Compare(again[32:], halfOrder[:]) > 0 {
			t.Fatalf("%x: %v", sig, err)
		}
		if low := bytes.Compare(sig[32:], halfOrder[:]) <= 0; low != (again == sig) {
			t.Fatalf("%x became %x", sig, again)
		}
	})
}
