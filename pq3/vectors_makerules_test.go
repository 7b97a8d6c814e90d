package pq3_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestVectorsMakeRules makes rules.json again and compares; -update rewrites
// it.
func TestVectorsMakeRules(t *testing.T) {
	m := &coreMaker{t: t, coreFile: coreFile{
		About:   "calls that break one rule of SPEC §15.2 each, and calls that break none; see README.md in this folder",
		Parties: map[string]coreParty{}, Prekeys: map[string]vectors.Hex{},
	}}
	for _, m.suite = range bothSuites {
		m.parties()
		m.parsing()
		m.opening()
		m.order()
		m.chains()
		m.answers()
		m.starts()
		m.startLimits()
		m.initiating()
		m.sealing()
		m.storing()
		m.controls()
	}
	text := append(given(json.MarshalIndent(m.coreFile, "", " ")), '\n')
	if *update {
		if err := os.WriteFile(rulesPath, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(given(os.ReadFile(rulesPath)), text) {
		t.Errorf("%s differs from what the code makes now", rulesPath)
	}
}

// coreMaker collects the vectors.
type coreMaker struct {
	t *testing.T
	coreFile
	suite account.Suite
}

// add adds a vector, with what the call yields if it must be accepted.
func (m *coreMaker) add(reject, name string, v coreVector) {
	m.t.Helper()
	v.Name, v.Reject = m.suite.String()+": "+name, reject
	if reject == "" {
		result, err := m.make(v)
		if err != nil {
			m.t.Fatalf("%s: %v", v.Name, err)
		}
		v.Result = result
	}
	m.Vectors = append(m.Vectors, v)
}

func (m *coreMaker) pair() *pair { return newPair(m.t, pq3.Policy{}, m.suite) }

// name is that of a party in the file.
func (m *coreMaker) name(seed string) string { return seed + " " + m.suite.String() }

func (m *coreMaker) nameOf(p *pair, e *pq3test.Endpoint) string {
	if e == p.alice {
		return m.name("alice")
	}
	return m.name("bob")
}

func (m *coreMaker) parties() {
	keys := map[string]account.KeySeeds{}
	for _, seed := range []string{"alice", "bob", "carol"} {
		_, keys[seed] = account.GenerateSigningKey(pq3test.NewEntropy("keys of " + seed).Read)
		party := pq3test.NewIdentity(seed, m.suite).Party()
		k := keys[seed]
		m.Parties[m.name(seed)] = coreParty{party.Account.String(), party.Device.Marshal(), k.ECDSA[:], k.MLDSA[:]}
	}
	k := keys["bob"]
	mixed := m.Parties[m.name("alice")]
	mixed.ECDSA, mixed.MLDSA = k.ECDSA[:], k.MLDSA[:]
	m.Parties[m.name("alice with bob's keys")] = mixed
	m.add("", "a device with its keys", coreVector{Call: "identity", Me: m.name("alice")})
	m.add("V-65", "a device with another's keys", coreVector{Call: "identity", Me: m.name("alice with bob's keys")})
}

func (m *coreMaker) parsing() {
	p, all := wires(m.t, m.suite)
	parse := func(reject, name string, wire []byte) {
		m.add(reject, name, coreVector{Call: "parse", Message: wire})
	}
	for i, name := range []string{"a start", "an advertised key", "the same chain, carried again", "the same chain, not carried", "an answer", "a plain message"} {
		parse("", name, all[i])
	}
	plain, lacking := all[5], all[3]
	edit := func(wire []byte, change func(*pq3.Fields)) []byte { return p.forge(p.bob, wire, change) }
	parse("V-30", "a byte short", plain[:len(plain)-1])
	parse("V-30", "a byte left over", append(bytes.Clone(plain), 0))
	parse("V-30", "version 3", append([]byte{3}, plain[1:]...))
	parse("V-31", "an unknown flag", edit(plain, func(f *pq3.Fields) { f.Flags = 0x40 }))
	parse("V-31", "objects carried by a chain that has none", edit(plain, func(f *pq3.Fields) { f.Flags = 0x80 }))
	parse("V-31", "start objects after epoch 0", edit(plain, func(f *pq3.Fields) { f.Flags = 4; f.Digest = make([]byte, 8) }))
	parse("V-31", "epoch 0 with an advertised key", append([]byte{all[0][0], 0x87}, all[0][2:]...))
	parse("V-32", "4,096 bytes of ciphertext without the chain's objects", edit(lacking, func(f *pq3.Fields) { f.Ciphertext = make([]byte, 4096) }))
	parse("V-33", "n = 500", edit(plain, func(f *pq3.Fields) { f.Index = 500 }))
	parse("V-33", "pn = 501", edit(plain, func(f *pq3.Fields) { f.Previous = 501 }))
	parse("V-34", "129 bytes of ciphertext", edit(plain, func(f *pq3.Fields) { f.Ciphertext = make([]byte, 129) }))
	parse("V-34", "no ciphertext", edit(plain, func(f *pq3.Fields) { f.Ciphertext = nil }))
}

// open adds a message that arrives now in the session that to has.
func (m *coreMaker) open(p *pair, to *pq3test.Endpoint, reject, name string, wire []byte) {
	m.t.Helper()
	s := to.Sessions.Sending()
	m.add(reject, name, coreVector{
		Call: "open", Me: m.nameOf(p, to), Peer: m.nameOf(p, p.peer(to)), At: uint64(p.now.UnixMilli()),
		State: s.MarshalState(), Skipped: s.MarshalSkipped(), Message: wire,
	})
}

func (m *coreMaker) opening() {
	p := m.pair()
	p.talk(2)
	wire := p.seal(p.alice, "Hello")
	forged := func(reject, name string, change func(*pq3.Fields)) {
		m.open(p, p.bob, reject, name, p.forge(p.alice, wire, change))
	}
	m.open(p, p.bob, "", "a plain message opens an epoch", wire)
	m.open(p, p.bob, "V-35", "signed by a third device", pq3.Forge(pq3test.NewIdentity("carol", m.suite), p.bob.Party(), wire, func(*pq3.Fields) {}))
	m.open(p, p.bob, "V-35", "the greater s of a valid signature", greaterS(wire))
	m.add("V-35", "brought to another device", coreVector{Call: "verify", Me: m.name("carol"), Peer: m.name("alice"), Message: wire})
	m.add("", "signed for this device", coreVector{Call: "verify", Me: m.name("bob"), Peer: m.name("alice"), Message: wire})
	forged("V-36", "of the other suite", func(f *pq3.Fields) { f.Suite = 3 - f.Suite })
	forged("V-46", "epoch of the other direction", func(f *pq3.Fields) { f.Epoch++ })
	forged("V-47", "epoch out of reach", func(f *pq3.Fields) { f.Epoch += 2 })
	forged("V-50", "an answer that nobody asked for", func(f *pq3.Fields) { f.Flags = 0x82; f.KEMCiphertext = make([]byte, 1088) })
	forged("V-51", "ratchet key on no point", func(f *pq3.Fields) { f.RatchetKey = offCurve() })
	forged("V-51", "ratchet key not below the field prime", func(f *pq3.Fields) { f.RatchetKey = bytes.Repeat([]byte{0xff}, 32) })
	forged("V-68", "of another session", func(f *pq3.Fields) { f.Session[0] ^= 1 })
	edit := "V-54"
	if m.suite == account.PQ3 {
		edit = "" // the limit of the published suite, SPEC §16.5
	}
	forged(edit, "ciphertext edited and signed again", func(f *pq3.Fields) { f.Ciphertext[4] ^= 'H' ^ 'J' })
	p.deliver(p.bob, wire)
	m.padding(p)
}

// greaterS is the twin (r, N-s) of a message's signature.
func greaterS(wire []byte) []byte {
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	twin := bytes.Clone(wire)
	s := new(big.Int).SetBytes(wire[len(wire)-32:])
	new(big.Int).Sub(order, s).FillBytes(twin[len(twin)-32:])
	return twin
}

func (m *coreMaker) padding(p *pair) {
	frame := func(length byte, n int, last byte) []byte {
		b := make([]byte, n)
		b[3], b[n-1] = length, last
		return pq3.SealFrame(p.alice.Sessions.Sending(), p.alice.Ent, b)
	}
	m.open(p, p.bob, "", "124 bytes fill the smallest frame", frame(124, 128, 0))
	m.open(p, p.bob, "V-55", "longer than its frame", frame(125, 128, 0))
	m.open(p, p.bob, "V-55", "a greater frame than the length calls for", frame(10, 144, 0))
	m.open(p, p.bob, "V-55", "padding that is not zero", frame(10, 128, 1))
}

// order: overtaken, repeated and expired messages.
func (m *coreMaker) order() {
	p := m.pair()
	p.talk(2)
	first, second := p.seal(p.alice, "overtaken"), p.seal(p.alice, "overtakes")
	m.open(p, p.bob, "", "a message that overtook another", second)
	p.deliver(p.bob, second)
	m.open(p, p.bob, "V-48", "the same message again", second)
	m.open(p, p.bob, "", "the overtaken message", first)
	late := *p
	late.now = p.now.Add(14*24*time.Hour + time.Second)
	m.open(&late, p.bob, "V-48", "the overtaken message after more than 14 days", first)
	p.say(p.bob, 1)
	next := p.seal(p.alice, "the epoch after")
	m.open(p, p.bob, "", "an epoch further, with a skipped key of an earlier one", next)
	p.deliver(p.bob, next)
	m.open(p, p.bob, "", "the overtaken message of an earlier epoch", first)
	p.deliver(p.bob, first)
	m.open(p, p.bob, "V-48", "the overtaken message of an earlier epoch, again", first)
}

// chains: what belongs to a chain stays the same in it.
func (m *coreMaker) chains() {
	p := m.pair()
	p.say(p.alice, 1)
	first := p.seal(p.bob, "advertises")
	flip := func(f *pq3.Fields) { f.KEMKey = flipped(f.KEMKey, 5); f.KeepDigest = true }
	m.open(p, p.alice, "", "a message that advertises a KEM key", first)
	m.open(p, p.alice, "V-38", "objects that do not match their digest", p.forge(p.bob, first, flip))
	m.open(p, p.alice, "V-52", "KEM key with unreduced coefficients", p.forge(p.bob, first, func(f *pq3.Fields) { f.KEMKey = bytes.Repeat([]byte{0xff}, 1184) }))
	m.open(p, p.alice, "V-53", "previous length where there was no chain", p.forge(p.bob, first, func(f *pq3.Fields) { f.Previous = 1 }))
	lost := *p.alice
	p.deliver(p.alice, first)
	second := p.seal(p.bob, "carries the objects again")
	m.open(p, p.alice, "", "the second message carries the objects again", second)
	m.open(p, p.alice, "V-38", "carried objects that do not match their digest", p.forge(p.bob, second, flip))
	p.deliver(p.alice, second)
	third := p.seal(p.bob, "carries none")
	m.open(p, p.alice, "", "the third message carries none", third)
	for name, change := range map[string]func(*pq3.Fields){
		"ratchet key":     func(f *pq3.Fields) { f.RatchetKey = flipped(f.RatchetKey, 3) },
		"previous length": func(f *pq3.Fields) { f.Previous++ },
		"flags":           func(f *pq3.Fields) { f.Flags = 3 },
		"digest":          func(f *pq3.Fields) { f.Digest = flipped(f.Digest, 0) },
	} {
		m.open(p, p.alice, "V-39", "another "+name+" within a chain", p.forge(p.bob, third, change))
	}
	slices.SortStableFunc(m.Vectors[len(m.Vectors)-4:], func(a, b coreVector) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	m.add("V-56", "a new epoch without its objects", coreVector{
		Call: "open", Me: m.name("alice"), Peer: m.name("bob"), At: uint64(p.now.UnixMilli()),
		State: lost.Sessions.Sending().MarshalState(), Message: third,
	})
}

// answers: a KEM key must be answered, and rightly.
func (m *coreMaker) answers() {
	p := m.pair()
	p.talk(1)
	_, stripped, err := pq3.ForgetPeerKEM(p.alice.Sessions.Sending()).Seal(p.alice.Ent, p.now, []byte("no answer"), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.open(p, p.bob, "V-49", "the KEM answer left out", stripped)
	wire := p.seal(p.alice, "answers")
	m.open(p, p.bob, "", "a message that answers a KEM key", wire)
	m.open(p, p.bob, "V-54", "another KEM ciphertext", p.forge(p.alice, wire, func(f *pq3.Fields) { f.KEMCiphertext = flipped(f.KEMCiphertext, 500) }))
	p.deliver(p.bob, wire)
	p.say(p.alice, 2)
	p.say(p.bob, 1)
	next := p.seal(p.alice, "the chain before had three")
	m.open(p, p.bob, "V-53", "previous length below what arrived", p.forge(p.alice, next, func(f *pq3.Fields) { f.Previous = 2 }))
}

// accept adds a start that arrives at p's time, with changes to the vector.
func (m *coreMaker) accept(p *pair, reject, name string, wire []byte, change func(*coreVector)) {
	m.t.Helper()
	v := coreVector{
		Call: "accept", Me: m.name("bob"), Peer: m.name("alice"), At: uint64(p.now.UnixMilli()),
		Message: wire, Prekeys: []string{m.name("bob")},
	}
	if change != nil {
		change(&v)
	}
	m.add(reject, name, v)
}

// prekey is the stored form of Bob's one prekey, under its name in the file.
func (m *coreMaker) prekey(p *pair) *pq3.Prekey {
	for _, k := range p.bob.Prekeys {
		m.Prekeys[m.name("bob")] = k.Marshal()
		return k
	}
	panic("Bob has no prekey")
}

func (m *coreMaker) starts() {
	p := m.pair()
	m.prekey(p)
	start, again, lacking := p.seal(p.alice, "start"), p.seal(p.alice, "second copy"), p.seal(p.alice, "without")
	forged := func(reject, name string, change func(*pq3.Fields)) {
		m.accept(p, reject, name, p.forge(p.alice, start, change), nil)
	}
	m.accept(p, "", "a start", start, nil)
	m.accept(p, "", "the second message of a start, first to arrive", again, nil)
	m.accept(p, "V-56", "a message of epoch 0 without the start", lacking, nil)
	m.accept(p, "V-35", "a start signed by another device", pq3.Forge(pq3test.NewIdentity("carol", m.suite), p.bob.Party(), start, func(*pq3.Fields) {}), nil)
	other := newPair(m.t, pq3.Policy{}, 3-m.suite)
	m.accept(p, "V-36", "a start of the other suite", other.seal(other.alice, "start"), nil)
	forged("V-37", "session id that does not follow", func(f *pq3.Fields) { f.Session[0] ^= 1; f.KeepStartNames = true })
	forged("V-38", "objects of a start that do not match their digest", func(f *pq3.Fields) {
		f.StartTime, f.KeepStartNames, f.KeepDigest = flipped(f.StartTime, 7), true, true
	})
	forged("V-51", "first ratchet key on no point", func(f *pq3.Fields) { f.RatchetKey = offCurve() })
	forged("V-53", "previous length at a start", func(f *pq3.Fields) { f.Previous = 1 })
	forged("V-54", "another KEM ciphertext at a start", func(f *pq3.Fields) { f.KEMCiphertext = flipped(f.KEMCiphertext, 9) })
	if m.suite == account.PQ3A {
		forged("V-40", "forged start signature", func(f *pq3.Fields) { f.StartSignature, f.KeepStartNames = flipped(f.StartSignature, 100), true })
		forged("V-40", "another start time under the start signature", func(f *pq3.Fields) { f.StartTime, f.KeepStartNames = flipped(f.StartTime, 7), true })
	}
	p.deliver(p.bob, start)
	m.accept(p, "V-68", "no start", p.say(p.bob, 1)[0], func(v *coreVector) { v.Me, v.Peer = v.Peer, v.Me })
}

// startLimits: times, prekeys, replays and floods.
func (m *coreMaker) startLimits() {
	p := m.pair()
	prekey := m.prekey(p)
	start := p.seal(p.alice, "start")
	at := func(d time.Duration) func(*coreVector) {
		return func(v *coreVector) { v.At = uint64(p.now.Add(d).UnixMilli()) }
	}
	m.accept(p, "", "5 minutes ahead", start, at(-5*time.Minute))
	m.accept(p, "V-41", "more than 5 minutes ahead", start, at(-5*time.Minute-time.Millisecond))
	m.accept(p, "", "30 days old", start, at(30*24*time.Hour))
	m.accept(p, "V-41", "more than 30 days old", start, at(30*24*time.Hour+time.Millisecond))
	early := pq3test.Now.Add(-6 * time.Minute)
	wire := p.forge(p.alice, start, func(f *pq3.Fields) { f.StartTime = be64(uint64(early.UnixMilli())) })
	m.accept(p, "V-41", "started before its bundle", wire, at(early.Sub(p.now)))
	wire = p.forge(p.alice, start, func(f *pq3.Fields) { f.PrekeyHash = flipped(f.PrekeyHash, 0) })
	m.accept(p, "V-42", "a bundle that was never made", wire, nil)
	m.accept(p, "V-42", "a bundle that was erased", start, func(v *coreVector) { v.Prekeys = nil })
	a := given(pq3.Accept(p.bob.Identity, p.alice.Party(), given(pq3.ParseMessage(start)), pq3.AcceptOptions{Prekeys: pq3test.PrekeyMap{prekey.Hash(): prekey}, Replays: p.bob.Replays}, p.now))
	seen := func(v *coreVector) { v.Replays = []vectors.Hex{a.Replay[:]} }
	m.accept(p, "V-43", "a start again", start, seen)
	wire = p.forge(p.alice, start, func(f *pq3.Fields) { f.StartTime = be64(uint64(p.now.UnixMilli()) + 1) })
	m.accept(p, "V-43", "a start again under another time", wire, seen)
	m.accept(p, "", "at the limits", start, func(v *coreVector) { v.DeviceStarts, v.BundleStarts = 19, 65535 })
	m.accept(p, "V-44", "the 21st start of a device in a day", start, func(v *coreVector) { v.DeviceStarts = 20 })
	m.accept(p, "V-45", "the 65,537th start under a bundle", start, func(v *coreVector) { v.BundleStarts = 65536 })
}
