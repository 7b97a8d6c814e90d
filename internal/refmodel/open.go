package refmodel

import (
	"cmp"
	"crypto"
	"crypto/hmac"
	"crypto/mlkem"
	"slices"
)

// Open opens one message of this session. SPEC §9.6.
func (s *Session) Open(now uint64, m *Message) (next *Session, plaintext []byte, err error) {
	defer caught(&err)
	require(m.Version == s.Suite, "V-36")
	s.me.requireSigned(s.peer, m)
	next = s.copy()
	if s.me.Flaw == RefusalsMove {
		next = s
	}
	plaintext = next.open(now, m)
	return next, plaintext, nil
}

// requireSigned is V-35. SPEC §9.6 step 3.
func (o *Own) requireSigned(peer *Device, m *Message) {
	covered := m.covered(dst(m.Version, peer, &o.Device), m.Proof)
	require(verifiesECDSA(peer.ECDSA, covered, m.Signature, o.Flaw == HighSAccepted), "V-35")
}

// open is SPEC §9.6 from step 5.
func (s *Session) open(now uint64, m *Message) []byte {
	s.forgetExpired(now)
	rekeys := s.Rekeys
	s.place(now, m)
	key := messageKey(s.firstKeys[m.Epoch], m.N)
	covered := func(x []byte) []byte { return m.covered(s.in(), x) }
	require(hmac.Equal(m.Proof, proofOf(s.Suite, key, covered, s.me.Flaw)), "V-54")
	plaintext := unpad(crypt(key, m.Ciphertext), s.me.Flaw)
	if s.Rekeys == rekeys && s.me.Flaw != ReceivedUncounted {
		s.counted()
	}
	s.forgetSurplus()
	return plaintext
}

// place finds the position of a message and takes it. SPEC §9.6 step 5.
func (s *Session) place(now uint64, m *Message) {
	at := position{m.Epoch, m.N}
	mine := s.ownEpoch(m.Epoch)
	switch {
	case mine:
		require(false, "V-46")
	case s.receiving != nil && m.Epoch < s.receiving.epoch:
		s.takeSkipped(at)
	case s.receiving != nil && m.Epoch == s.receiving.epoch:
		s.agreesWithChain(m)
		if m.N < s.receiving.next {
			s.takeSkipped(at)
			return
		}
		s.pass(now, m.N)
		s.receiving.next = m.N + 1
	case m.Epoch == s.Epoch+1 && s.sending != nil:
		s.follow(now, m)
	default:
		require(false, "V-47")
	}
}

// takeSkipped takes the key of a passed position, once. SPEC §7.2.
func (s *Session) takeSkipped(at position) {
	_, kept := s.aside[at]
	require(kept, "V-48")
	if s.me.Flaw != SkippedKeptAfterUse {
		delete(s.aside, at)
	}
}

// ownEpoch reports whether an epoch belongs to this device: even ones are the
// initiator's. SPEC §8.
func (s *Session) ownEpoch(epoch uint32) bool {
	mine := s.Epoch%2 == epoch%2
	return mine == (s.sending != nil)
}

// agreesWithChain is the consistency rule of SPEC §9.3.
func (s *Session) agreesWithChain(m *Message) {
	chain := s.receiving
	if s.me.Flaw != ChainUnchecked {
		require(same(m.ECDHPK, chain.ecdhPK) && m.PN == chain.pn && m.kinds() == chain.flags && same(m.Odig, chain.odig), "V-39")
	}
	if m.carries() {
		require(same(s.objectsOf(m), chain.oh), "V-38")
	}
}

// objectsOf recomputes OH of a message that carries objects: V-38. SPEC §9.3.
func (s *Session) objectsOf(m *Message) []byte {
	oh := objectsHash(s.in(), m.SID, m.Epoch, m.ECDHPK, m.Objects)
	require(same(oh[:8], m.Odig), "V-38")
	return oh
}

// pass puts the positions of the receiving chain before n aside. SPEC §7.2.
func (s *Session) pass(now uint64, n uint32) {
	for ; s.receiving.next < n; s.receiving.next++ {
		s.aside[position{s.receiving.epoch, s.receiving.next}] = now
	}
}

// forgetExpired drops skipped keys older than 14 days. SPEC §7.2.
func (s *Session) forgetExpired(now uint64) {
	for at, since := range s.aside {
		if now > since+14*day && s.me.Flaw != SkippedNeverExpire {
			delete(s.aside, at)
		}
	}
}

// forgetSurplus keeps the newest 1,024 skipped keys. SPEC §7.2.
func (s *Session) forgetSurplus() {
	most := 1024
	if s.me.Flaw == SkippedOneMore {
		most = 1025
	}
	var all []position
	for at := range s.aside {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b position) int {
		return cmp.Or(cmp.Compare(s.aside[a], s.aside[b]), cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.n, b.n))
	})
	for len(all) > most {
		delete(s.aside, all[0])
		all = all[1:]
	}
}

// follow enters the epoch that the peer opened. SPEC §8.2.
func (s *Session) follow(now uint64, m *Message) {
	mine := s.sending
	answers := m.Flags&hasKEMCT != 0
	if s.me.Flaw != AnswerUnenforced {
		require(mine.kemSeed == nil || answers, "V-49")
	}
	require(mine.kemSeed != nil || !answers, "V-50")
	require(m.kinds() == 0 || m.carries(), "V-56")
	chain := &receivingChain{epoch: m.Epoch, pn: m.PN, ecdhPK: m.ECDHPK, flags: m.kinds(), odig: m.Odig}
	if m.carries() {
		chain.oh = s.objectsOf(m)
	}
	s.finishChain(now, m.PN)
	ecdhSecret := agree(mine.scalar, m.ECDHPK, "V-51")
	if m.Flags&hasKEMPK != 0 {
		require(reduced(m.KEMPK), "V-52")
		chain.kemPK = m.KEMPK
	}
	var kemSecret, answered []byte
	if answers {
		kemSecret, answered = decapsulate768(mine.kemSeed, m.KEMCT), mine.objects.KEMPK
	}
	old, fresh := publicX(mine.scalar), m.ECDHPK
	if s.me.Flaw == RatchetKeysSwapped {
		old, fresh = fresh, old
	}
	info := epochInfo(s.in(), old, fresh, m.KEMCT, answered)
	s.root, s.firstKeys[m.Epoch] = rootStep(s.root, ecdhSecret, kemSecret, info, s.me.Flaw)
	s.Epoch = m.Epoch
	s.lastSent, s.sending, s.receiving = mine.next, nil, chain
	if answers {
		s.rekeyed(now)
	}
	s.pass(now, m.N)
	chain.next = m.N + 1
}

// finishChain puts the rest of the old receiving chain aside, up to pn: V-53.
// SPEC §7.2.
func (s *Session) finishChain(now uint64, pn uint32) {
	if s.receiving == nil {
		require(pn == 0, "V-53")
		return
	}
	require(pn >= s.receiving.next, "V-53")
	if s.me.Flaw != PreviousIgnored {
		s.pass(now, pn)
	}
}

// decapsulate768 is SPEC §3.3, with V-66.
func decapsulate768(seed, ct []byte) []byte {
	key, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		panic(err) // 64 bytes are a seed
	}
	return sharedSecret(key, ct)
}

func decapsulate1024(seed, ct []byte) []byte {
	key, err := mlkem.NewDecapsulationKey1024(seed)
	if err != nil {
		panic(err) // 64 bytes are a seed
	}
	return sharedSecret(key, ct)
}

func sharedSecret(key crypto.Decapsulator, ct []byte) []byte {
	secret, err := key.Decapsulate(ct)
	if err != nil {
		panic(err) // the length was given by the layout
	}
	require(!allZero(secret), "V-66")
	return secret
}
