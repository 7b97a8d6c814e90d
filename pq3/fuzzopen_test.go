package pq3_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// delivery is a genuine message of one kind, just before its recipient opens it.
type delivery struct {
	name     string
	wire     []byte
	from, to *pq3test.Endpoint // to as it was at that moment
}

// stage is two devices and the messages between them so far.
type stage struct{ all []delivery }

func (st *stage) seal(from, to *pq3test.Endpoint, force pq3.Force) []byte {
	wire, err := from.Send(to, pq3test.Now, "Hello", force)
	if err != nil {
		panic(err)
	}
	return wire
}

// deliver keeps the recipient as it is and then opens the message.
func (st *stage) deliver(name string, from, to *pq3test.Endpoint, wire []byte) {
	before, replays := *to, *to.Replays
	before.Replays = &replays
	st.all = append(st.all, delivery{name, wire, from, &before})
	if _, err := to.Receive(from, pq3test.Now, wire); err != nil {
		panic(err)
	}
}

const earlierEpoch = "of-an-earlier-epoch"

// cases are a message of each kind that a receiver can meet.
func cases(suite account.Suite) []delivery {
	alice, bob := pq3test.NewEndpoint("alice", pq3.Policy{}, suite), pq3test.NewEndpoint("bob", pq3.Policy{}, suite)
	st := &stage{}
	step := func(name string, from, to *pq3test.Endpoint, force pq3.Force) {
		st.deliver(name, from, to, st.seal(from, to, force))
	}
	step("start", alice, bob, 0)
	step("start-again", alice, bob, 0)
	step("advertises", bob, alice, 0)
	late, later := st.seal(bob, alice, 0), st.seal(bob, alice, 0)
	step("objects-again", bob, alice, 0)
	st.deliver("overtaken", bob, alice, late)
	step("answers-and-advertises", alice, bob, pq3.ForceAdvertise)
	step("answers", bob, alice, 0)
	step("plain", alice, bob, 0)
	st.deliver(earlierEpoch, bob, alice, later)
	return st.all
}

// named is the case of that name.
func named(suite account.Suite, name string) delivery {
	all := cases(suite)
	return all[slices.IndexFunc(all, func(d delivery) bool { return d.name == name })]
}

// open is what a recipient does with bytes, on a copy of its state.
func (d delivery) open(wire []byte) (plaintext string, err error) {
	to := *d.to
	return receiveOne(&to, d.from, pq3test.Now, wire)
}

func casesOfBoth() (all []delivery) {
	return append(cases(account.PQ3), cases(account.PQ3A)...)
}

// FuzzOpen: a message of any kind with some bytes replaced, taken out or put in
// is refused by Open and Accept, and nothing changes. Only the genuine one
// opens.
func FuzzOpen(f *testing.F) {
	all := casesOfBoth()
	decodertest.Seed(f, "genuine", uint8(0), uint16(0), []byte{}, uint8(0))
	decodertest.Seed(f, "start-suite", uint8(0), uint16(0), []byte{2}, uint8(1))
	decodertest.Seed(f, "flags", uint8(11), uint16(1), []byte{0x83}, uint8(1))
	decodertest.Seed(f, "epoch", uint8(16), uint16(10), []byte{0, 0, 0, 9}, uint8(4))
	decodertest.Seed(f, "ratchet-key", uint8(5), uint16(22), bytes.Repeat([]byte{0xff}, 32), uint8(32))
	decodertest.Seed(f, "shorter", uint8(3), uint16(60), []byte{}, uint8(16))
	decodertest.Seed(f, "longer", uint8(15), uint16(0xffff), []byte{0}, uint8(0))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, patch []byte, taken uint8) {
		d := all[int(which)%len(all)]
		i := int(at) % (len(d.wire) + 1)
		wire := slices.Concat(d.wire[:i], patch, d.wire[min(i+int(taken), len(d.wire)):])
		input, before := bytes.Clone(wire), d.to.Fingerprint()
		_, err := d.open(wire)
		var refusal *pq3.Error
		if genuine := bytes.Equal(wire, d.wire); genuine != (err == nil) || err != nil && !errors.As(err, &refusal) {
			t.Fatalf("%s: genuine is %v, error is %v", d.name, genuine, err)
		}
		if d.to.Fingerprint() != before || !bytes.Equal(wire, input) {
			t.Fatalf("%s: the state or the message changed", d.name)
		}
	})
}

// forgers are the fields that somebody with the sender's signing keys can
// change, each from choices.
var forgers = []struct {
	name   string
	change func(*pq3.Fields, *decodertest.Source)
}{
	{"suite", func(f *pq3.Fields, s *decodertest.Source) { f.Suite = account.Suite(s.U8()) }},
	{"flags", func(f *pq3.Fields, s *decodertest.Source) { f.Flags ^= s.U8() }},
	{"session", func(f *pq3.Fields, s *decodertest.Source) {
		f.Session[s.Below(8)] ^= s.U8()
		f.KeepStartNames = s.Bool()
	}},
	{"epoch", func(f *pq3.Fields, s *decodertest.Source) { f.Epoch += s.U32() }},
	{"index", func(f *pq3.Fields, s *decodertest.Source) { f.Index += uint32(s.U16()) }},
	{"previous", func(f *pq3.Fields, s *decodertest.Source) { f.Previous += uint32(s.U16()) }},
	{"ratchet key", func(f *pq3.Fields, s *decodertest.Source) { f.RatchetKey = patched(f.RatchetKey, s) }},
	{"digest", func(f *pq3.Fields, s *decodertest.Source) { f.Digest, f.KeepDigest = patched(f.Digest, s), true }},
	{"KEM key", func(f *pq3.Fields, s *decodertest.Source) { f.KEMKey = patched(f.KEMKey, s) }},
	{"KEM ciphertext", func(f *pq3.Fields, s *decodertest.Source) { f.KEMCiphertext = patched(f.KEMCiphertext, s) }},
	{"prekey hash", func(f *pq3.Fields, s *decodertest.Source) { f.PrekeyHash = patched(f.PrekeyHash, s) }},
	{"start time", func(f *pq3.Fields, s *decodertest.Source) { f.StartTime = patched(f.StartTime, s) }},
	{"start signature", func(f *pq3.Fields, s *decodertest.Source) {
		f.StartSignature, f.KeepStartNames = patched(f.StartSignature, s), true
	}},
	{"associated data", func(f *pq3.Fields, s *decodertest.Source) { f.AuthData = s.Bytes(1100) }},
	{"ciphertext", func(f *pq3.Fields, s *decodertest.Source) { f.Ciphertext = patched(f.Ciphertext, s) }},
	{"carried", func(f *pq3.Fields, s *decodertest.Source) { leaveOut(f) }},
}

// patched writes choices over a field, makes it longer or shorter, or takes it
// away.
func patched(field []byte, s *decodertest.Source) []byte {
	switch how := s.U8(); {
	case how == 255 || len(field) == 0:
		return s.Bytes(2000)
	case how == 254:
		return nil
	case how == 253:
		return field[:s.Below(len(field))]
	}
	changed := bytes.Clone(field)
	at := s.Below(len(changed))
	for i, b := range s.Bytes(64) {
		changed[(at+i)%len(changed)] ^= b
	}
	return changed
}

// leaveOut takes the objects off a message.
func leaveOut(f *pq3.Fields) {
	f.Flags &^= 0x80
	f.KEMKey, f.KEMCiphertext, f.PrekeyHash, f.StartTime, f.StartSignature = nil, nil, nil, nil, nil
	f.KeepStartNames = true
}

// uncovered takes out of two messages what the indicator of PQ3 does not cover:
// ciphertext, associated data, the previous length, the start time, an
// advertised KEM key (with flag bit 0 and the digest that follow it), and whether
// the objects ride. In a message of an earlier epoch, which needs no more than
// its position to open, it is the rest of the header as well. Nothing else may
// differ between a genuine message and one that opens. SPEC §16.5.
func uncovered(genuine, forged pq3.Fields, earlier bool) (a, b pq3.Fields) {
	if earlier {
		position := func(f pq3.Fields) pq3.Fields {
			return pq3.Fields{Suite: f.Suite, Session: f.Session, Epoch: f.Epoch, Index: f.Index}
		}
		return position(genuine), position(forged)
	}
	for _, f := range []*pq3.Fields{&genuine, &forged} {
		f.Ciphertext, f.AuthData, f.Previous, f.StartTime, f.KEMKey, f.Digest = nil, nil, 0, nil, nil, nil
		f.Flags &^= 0x81
	}
	if genuine.KEMCiphertext == nil || forged.KEMCiphertext == nil { // the objects do not ride on one of them
		genuine.KEMCiphertext, forged.KEMCiphertext = nil, nil
		genuine.PrekeyHash, forged.PrekeyHash = nil, nil
	}
	return genuine, forged
}

// FuzzForged changes up to three fields of a genuine message as its sender's
// signing keys allow, and signs it again. In PQ3A nothing but the genuine
// message opens. In PQ3 something else may, and then only in what the indicator
// does not cover. A refusal changes nothing. (liftRatchetKey and parseKEMKey see
// the forged keys.)
func FuzzForged(f *testing.F) {
	all := casesOfBoth()
	for i, forger := range forgers {
		decodertest.Seed(f, slug(forger.name), uint8(5+9*(i%2)), []byte{byte(i), 1, 0, 4, 1, 9})
	}
	decodertest.Seed(f, "start-time-pq3", uint8(0), []byte{11, 7, 7, 1, 1, 1})
	decodertest.Seed(f, "ratchet-key-of-an-earlier-epoch", uint8(8), []byte("&0000"))
	decodertest.Seed(f, "two-fields", uint8(2), []byte{8, 1, 0, 3, 1, 1, 5, 0, 1})
	decodertest.Seed(f, "longer-text", uint8(11), []byte{14, 255, 1, 0})
	f.Fuzz(func(t *testing.T, which uint8, choices []byte) {
		d := all[int(which)%len(all)]
		s := decodertest.From(choices)
		wire := pq3.Forge(d.from.Identity, d.to.Party(), d.wire, func(f *pq3.Fields) {
			for range 3 {
				if !s.Empty() {
					forgers[s.Below(len(forgers))].change(f, s)
				}
			}
		})
		before := d.to.Fingerprint()
		_, err := d.open(wire)
		var refusal *pq3.Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("%s: no reason: %v", d.name, err)
		}
		if d.to.Fingerprint() != before {
			t.Fatalf("%s: the state changed", d.name)
		}
		if err == nil && !bytes.Equal(wire, d.wire) {
			d.wantUncovered(t, wire)
		}
	})
}

// wantUncovered judges a forgery that opened.
func (d delivery) wantUncovered(t *testing.T, wire []byte) {
	t.Helper()
	genuine, forged := pq3.FieldsOf(d.wire), pq3.FieldsOf(wire)
	if genuine.Suite != account.PQ3 {
		t.Fatalf("%s: a forgery opens in %s", d.name, genuine.Suite)
	}
	if a, b := uncovered(genuine, forged, d.name == earlierEpoch); !reflect.DeepEqual(a, b) {
		t.Fatalf("%s: opens although a covered field differs:\n%+v\n%+v", d.name, a, b)
	}
}

func slug(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == ' ' {
			b[i] = '-'
		}
	}
	return string(b)
}

// read is chance by fuzz bytes.
type read struct {
	*testing.T
	*decodertest.Source
}

func (r read) below(n int, _ string) int { return r.Below(n) }

// most operations that one conversation of FuzzConversation has
const most = 48

// FuzzConversation reads what happens between two devices from its input, one
// operation after the other, and asks all invariants after each. At the end the
// network heals. It is TestTwoPartiesUnderAnySchedule with the fuzzer as the
// driver.
func FuzzConversation(f *testing.F) {
	made := map[account.Suite]map[string]pq3test.Endpoint{}
	for _, suite := range bothSuites {
		made[suite] = map[string]pq3test.Endpoint{}
		for _, name := range []string{"alice", "bob"} {
			made[suite][name] = *pq3test.NewEndpoint(name, pq3.Policy{}, suite)
		}
	}
	fresh := func(name string, policy pq3.Policy, suite account.Suite) *pq3test.Endpoint {
		e := made[suite][name] // keys and first bundle are made once
		e.Policy, e.Ent, e.Replays = policy, pq3test.NewEntropy("fuzz "+name), &pq3test.ReplayLog{}
		prekeys := pq3test.PrekeyMap{}
		for hash, prekey := range e.Prekeys {
			prekeys[hash] = prekey
		}
		e.Prekeys = prekeys
		return &e
	}
	decodertest.Seed(f, "ping-pong", []byte{0, 1, 0, 0, 0, 9, 2, 0, 1, 0, 9, 2, 0, 0, 0, 9, 2, 0, 1, 0, 9, 2, 0})
	decodertest.Seed(f, "crossed-starts", []byte{1, 0, 0, 0, 0, 9, 1, 0, 9, 3, 0, 0, 0, 0, 9, 3, 0})
	decodertest.Seed(f, "lost-and-replayed", []byte{2, 1, 30, 0, 0, 9, 0, 0, 9, 4, 2, 0, 5, 0, 6, 0, 9, 3})
	decodertest.Seed(f, "restart-between", []byte{0, 0, 0, 0, 0, 9, 7, 2, 0, 8, 1, 0, 9, 8, 2, 0, 7})
	decodertest.Seed(f, "days-and-bundles", []byte{3, 1, 0, 0, 0, 9, 2, 0, 12, 12, 11, 1, 0, 9, 2, 0, 12, 12, 12, 12, 12, 12, 12, 12, 0, 0, 9, 3, 0})
	decodertest.Seed(f, "forced-and-prepared", []byte{0, 1, 0, 0, 10, 9, 2, 0, 10, 1, 11, 9, 2, 0, 9, 0, 9, 9, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(read{t, decodertest.From(b)}, fresh)
		for range most {
			if w.chance.(read).Empty() {
				break
			}
			operations[w.below(len(operations), "operation")].do(w)
			w.checkEnds()
		}
		w.heal()
	})
}
