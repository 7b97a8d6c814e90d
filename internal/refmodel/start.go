package refmodel

// Memory is what the initiator remembers about the peer's device. SPEC §5.2.
type Memory struct {
	LastStart     uint64 // greatest startTime of any session with it
	SeenNotBefore uint64 // greatest notBefore of its bundles
}

// Initiate starts a session from a bundle. SPEC §5.2.
func Initiate(me *Own, peer *Device, b *Bundle, p Policy, memory Memory, now uint64, read Read) (s *Session, err error) {
	defer caught(&err)
	p.check()
	suite := chosenSuite(&me.Device, peer)
	require(b.Suite == suite, "V-36")
	require(b.NotBefore >= memory.SeenNotBefore, "V-59")
	b.check(peer, now)
	s = &Session{
		me: me, peer: peer, policy: p, Suite: suite,
		firstKeys: map[uint32][]byte{}, aside: map[position]uint64{},
		StartTime: max(now, 1+memory.LastStart),
	}
	a := newScalar(read)
	ecdhSecret := agree(a, b.ECDH, "V-12")
	kemSecret, ct := encapsulate1024(b.KEM, read)
	chain := &sendingChain{scalar: a, flags: hasKEMCT | hasStart}
	info := startInfo(s.out(), b.ECDH, publicX(a), ct, b.KEM)
	s.root, chain.firstKey = rootStep(make([]byte, 32), ecdhSecret, kemSecret, info, me.Flaw)
	s.SID = sessionID(b.Hash(), publicX(a), ct)
	s.LastKEM = s.StartTime
	chain.objects = Objects{KEMCT: ct, PreKeyHash: b.Hash(), StartTime: u64(s.StartTime)}
	if suite == PQ3A {
		chain.objects.PQSig = me.signMLDSA(startSigned(s.out(), s.SID, publicX(a), chain.objects), "posthorn/pq3a/start/v1")
	}
	s.begin(chain)
	return s, nil
}

// sessionID is step 5 of SPEC §5.2.
func sessionID(preKeyHash, a, ct []byte) []byte {
	return sha384([]byte("posthorn/sid/v1"), v16(preKeyHash), v16(a), v16(ct))[:8]
}

// startSigned is what pqSig covers. SPEC §5.2 step 7.
func startSigned(dst, sid, a []byte, o Objects) []byte {
	return cat(dst, sid, v16(o.PreKeyHash), v16(a), v16(o.KEMCT), o.StartTime)
}

// Start is one accepted start in the replay cache. SPEC §5.4.
type Start struct {
	Key, Bundle, Device []byte
	At                  uint64
}

// replayKey is SPEC §5.4.
func replayKey(preKeyHash, a, ct []byte) []byte { return sha384(v16(preKeyHash), v16(a), v16(ct)) }

// Accept creates a session from a message of epoch 0 whose sid is unknown, with
// the responder's prekeys by bundle hash and its replay cache. SPEC §5.3.
func Accept(me *Own, peer *Device, m *Message, p Policy, prekeys map[string]*Prekey, cache []Start, now uint64) (s *Session, plaintext []byte, start Start, err error) {
	defer caught(&err)
	p.check()
	require(m.Version == chosenSuite(&me.Device, peer), "V-36")
	me.requireSigned(peer, m)
	require(m.Epoch == 0, "V-68")
	require(m.carries(), "V-56")
	s = &Session{me: me, peer: peer, policy: p, Suite: m.Version, SID: m.SID,
		firstKeys: map[uint32][]byte{}, aside: map[position]uint64{}}
	oh := s.requireStart(m)
	s.StartTime = value(m.StartTime)
	s.LastKEM = s.StartTime
	if me.Flaw == StartTimedOnArrival {
		s.LastKEM = now
	}
	prekey := me.requireTimely(m, prekeys, now)
	start = Start{replayKey(m.PreKeyHash, m.ECDHPK, m.KEMCT), m.PreKeyHash, peer.ID, now}
	me.requireFresh(start, cache)
	b := prekey.Bundle
	ecdhSecret := agree(prekey.scalar, m.ECDHPK, "V-51")
	info := startInfo(s.in(), b.ECDH, m.ECDHPK, m.KEMCT, b.KEM)
	s.root, s.firstKeys[0] = rootStep(make([]byte, 32), ecdhSecret, decapsulate1024(prekey.seed, m.KEMCT), info, me.Flaw)
	s.receiving = &receivingChain{ecdhPK: m.ECDHPK, flags: m.kinds(), odig: m.Odig, oh: oh}
	plaintext = s.open(now, m)
	return s, plaintext, start, nil
}

// requireStart is step 3 of SPEC §5.3.
func (s *Session) requireStart(m *Message) (oh []byte) {
	oh = s.objectsOf(m)
	require(same(m.SID, sessionID(m.PreKeyHash, m.ECDHPK, m.KEMCT)), "V-37")
	require(m.PN == 0, "V-53")
	signed := startSigned(s.in(), m.SID, m.ECDHPK, m.Objects)
	require(s.Suite != PQ3A || s.peer.verifiesMLDSA(signed, m.PQSig, "posthorn/pq3a/start/v1"), "V-40")
	return oh
}

// requireTimely is steps 4 and 5 of SPEC §5.3.
func (o *Own) requireTimely(m *Message, prekeys map[string]*Prekey, now uint64) *Prekey {
	startTime := value(m.StartTime)
	if o.Flaw != StartAgeUnchecked {
		require(startTime <= now+5*minute && now <= startTime+30*day, "V-41")
	}
	prekey, known := prekeys[string(m.PreKeyHash)]
	require(known && prekey.Bundle.Suite == m.Version, "V-42")
	require(prekey.Bundle.covers(startTime), "V-41")
	return prekey
}

// requireFresh is step 6 of SPEC §5.3.
func (o *Own) requireFresh(start Start, cache []Start) {
	byDevice, byBundle := 0, 0
	for _, earlier := range cache {
		require(!same(earlier.Key, start.Key) || o.Flaw == ReplaysAccepted, "V-43")
		if same(earlier.Device, start.Device) && earlier.At+24*hour >= start.At {
			byDevice++
		}
		if same(earlier.Bundle, start.Bundle) {
			byBundle++
		}
	}
	require(byDevice < 20, "V-44")
	require(byBundle < 65536, "V-45")
}

// Sessions are those with one peer device, the one to send on first. SPEC §10.4.
type Sessions []*Session

// before is the order of SPEC §10.4: by (startTime, sid), the greatest first.
func (s *Session) before(other *Session) bool {
	if s.me.Flaw == LeastSessionFirst {
		s, other = other, s
	}
	if s.StartTime != other.StartTime {
		return s.StartTime > other.StartTime
	}
	return string(s.SID) > string(other.SID)
}

// With puts a session or the next state of one in and keeps three. SPEC §10.4.
func (list Sessions) With(s *Session) Sessions {
	var next Sessions
	for _, other := range list {
		if !same(other.SID, s.SID) {
			next = append(next, other)
		}
	}
	at := 0
	for at < len(next) && next[at].before(s) {
		at++
	}
	next = append(next[:at:at], append(Sessions{s}, next[at:]...)...)
	return next[:min(len(next), 3)]
}

// Find is the session with an id, or nil. SPEC §9.6 step 4.
func (list Sessions) Find(sid []byte) *Session {
	for _, s := range list {
		if same(s.SID, sid) {
			return s
		}
	}
	return nil
}
