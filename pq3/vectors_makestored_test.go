package pq3_test

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

func (m *coreMaker) initiating() {
	p := m.pair()
	bundle := p.bob.Bundle()
	initiate := func(reject, name string, change func(*coreVector)) {
		v := coreVector{
			Call: "initiate", Me: m.name("alice"), Peer: m.name("bob"), At: uint64(p.now.UnixMilli()),
			Bundle: bundle.Marshal(), Entropy: "initiate",
		}
		change(&v)
		m.add(reject, name, v)
	}
	initiate("", "a session from a bundle", func(*coreVector) {})
	initiate("", "a session from the newest bundle seen", func(v *coreVector) { v.SeenNotBefore = bundle.NotBefore })
	initiate("", "a session with the strictest policy", func(v *coreVector) { v.EveryMessages, v.EveryMillis, v.HardMillis = 1, 1, 1 })
	other := newPair(m.t, pq3.Policy{}, 3-m.suite)
	initiate("V-36", "a bundle for the other suite", func(v *coreVector) { v.Bundle = other.bob.Bundle().Marshal() })
	initiate("V-59", "a bundle older than one seen", func(v *coreVector) { v.SeenNotBefore = bundle.NotBefore + 1 })
	initiate("V-60", "more than 50 messages without a rekey", func(v *coreVector) { v.EveryMessages = 51 })
	initiate("V-60", "more than 24 hours without a rekey", func(v *coreVector) { v.EveryMillis = 24*3600*1000 + 1 })
	initiate("V-60", "more than 7 days under one KEM secret", func(v *coreVector) { v.HardMillis = 7*24*3600*1000 + 1 })
}

func (m *coreMaker) sealing() {
	p := m.pair()
	p.talk(2)
	seal := func(reject, name string, s *pq3.Session, change func(*coreVector)) {
		v := coreVector{
			Call: "seal", Me: m.name("alice"), Peer: m.name("bob"), At: uint64(p.now.UnixMilli()),
			State: s.MarshalState(), Skipped: s.MarshalSkipped(), Text: []byte("Hello"), Entropy: "seal",
		}
		if change != nil {
			change(&v)
		}
		m.add(reject, name, v)
	}
	s := p.alice.Sessions.Sending()
	rekey := s.Status(p.now).LastRekey
	seal("", "the first message of an epoch", s, nil)
	seal("", "an advertisement, when a rekey is due", s, func(v *coreVector) { v.EveryMessages = 1 })
	seal("", "with associated data", s, func(v *coreVector) { v.Associated = bytes.Repeat([]byte{7}, 1024) })
	seal("", "an empty text", s, func(v *coreVector) { v.Text = nil })
	seal("V-57", "under a KEM secret of seven days", s, func(v *coreVector) { v.At = uint64(rekey.Add(7 * 24 * time.Hour).UnixMilli()) })
	seal("V-58", "1,025 bytes of associated data", s, func(v *coreVector) { v.Associated = make([]byte, 1025) })
	seal("V-58", "a text that leaves no room for the rest of the message", s, func(v *coreVector) { v.Text, v.Zeros = nil, pq3.MaxMessage })
	for range 499 {
		s, _, _ = s.Seal(p.alice.Ent, p.now, nil, nil)
	}
	seal("", "the 500th message of a chain", s, nil)
	s, _, _ = s.Seal(p.alice.Ent, p.now, nil, nil)
	seal("V-57", "the 501st message of a chain", s, nil)
}

func (m *coreMaker) storing() {
	shapes := stages(m.t, m.suite)
	var skipped []byte
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		s := shapes[name]
		m.restore("", "state: "+name, s.MarshalState(), s.MarshalSkipped(), s)
		skipped = append(skipped, s.MarshalSkipped()...)
	}
	s := shapes["owes an answer"]
	state := s.MarshalState()
	bad := func(name string, state, skipped []byte) { m.restore("V-61", "state "+name, state, skipped, s) }
	bad("a byte short", state[:len(state)-1], nil)
	bad("with a byte left over", append(bytes.Clone(state), 0), nil)
	bad("of version 2", append([]byte{2}, state[1:]...), nil)
	bad("with an unknown bit", slices.Concat(state[:2], []byte{4}, state[3:]), nil)
	bad("of another session binding", flipped(state, 5), nil)
	bad("with skipped keys of version 2", state, append([]byte{2}, skipped[1:51]...))
	bad("with fewer skipped keys than it says", state, skipped[:50])
	bad("with a skipped key twice", state, slices.Concat([]byte{1, 0, 2}, skipped[3:51], skipped[3:51]))
	sending := shapes["starting"]
	zero := bytes.Clone(sending.MarshalState())
	clear(zero[115+40 : 115+40+32])
	m.restore("V-61", "state with the scalar 0", zero, nil, sending)
	m.prekeys()
}

// restore adds a stored state of whichever end s is.
func (m *coreMaker) restore(reject, name string, state, skipped []byte, s *pq3.Session) {
	m.t.Helper()
	me, peer := "alice", "bob"
	if s.Peer().Account == pq3test.NewIdentity("alice").Party().Account {
		me, peer = peer, me
	}
	m.add(reject, name, coreVector{Call: "restore", Me: m.name(me), Peer: m.name(peer), State: state, Skipped: skipped})
}

func (m *coreMaker) prekeys() {
	raw := m.prekey(m.pair()).Marshal()
	stored := func(reject, name string, raw []byte) {
		m.add(reject, name, coreVector{Call: "prekey", State: raw})
	}
	stored("", "a stored prekey", raw)
	stored("V-67", "prekey a byte short", raw[:len(raw)-1])
	stored("V-67", "prekey with a byte left over", append(bytes.Clone(raw), 0))
	stored("V-67", "prekey of version 2", append([]byte{2}, raw[1:]...))
	stored("V-67", "prekey with another scalar", flipped(raw, 5))
	stored("V-67", "prekey with another seed", flipped(raw, 40))
}

func (m *coreMaker) controls() {
	p := m.pair()
	about := given(pq3.ParseMessage(p.seal(p.alice, "for a session that Bob lost")))
	sealed := func(kind pq3.ControlType) []byte {
		c := pq3.ControlAbout(about, kind, p.now, p.bob.Ent)
		return given(pq3.SealControl(p.bob.Identity, p.alice.Party(), c, p.bob.Ent))
	}
	good := sealed(pq3.ControlSessionUnknown)
	control := func(reject, name string, raw []byte, after time.Duration) {
		m.add(reject, name, coreVector{
			Call: "control", Me: m.name("alice"), Peer: m.name("bob"), Message: raw, At: uint64(p.now.Add(after).UnixMilli()),
		})
	}
	control("", "SessionUnknown", good, 0)
	control("", "ObjectsWanted", sealed(pq3.ControlObjectsWanted), 0)
	control("", "control message of 24 hours", good, 24*time.Hour)
	control("V-62", "control message a byte short", good[:len(good)-1], 0)
	control("V-62", "control message of type 3", slices.Concat(good[:1], []byte{3}, good[2:]), 0)
	control("V-62", "control message of version 0x82", append([]byte{0x82}, good[1:]...), 0)
	control("V-63", "control message about another epoch", flipped(good, 13), 0)
	control("V-63", "control message with another ECDSA signature", flipped(good, 90+10), 0)
	control("V-63", "control message with another ML-DSA signature", flipped(good, 90+64+10), 0)
	m.add("V-63", "control message sent back", coreVector{
		Call: "control", Me: m.name("bob"), Peer: m.name("alice"), Message: good, At: uint64(p.now.UnixMilli()),
	})
	control("V-64", "control message of more than 24 hours", good, 24*time.Hour+time.Millisecond)
	control("V-64", "control message more than 5 minutes ahead", good, -5*time.Minute-time.Millisecond)
}
