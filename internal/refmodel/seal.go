package refmodel

import "crypto/mlkem"

// Wish is what the session layer asks of Seal. SPEC §8.3, §9.3, §10.3.
type Wish struct{ Advertise, Objects bool }

// Seal makes one message. SPEC §9.5.
func (s *Session) Seal(read Read, now uint64, plaintext, authData []byte, wish Wish) (next *Session, message []byte, err error) {
	defer caught(&err)
	s.requireSendable(now)
	require(len(authData) <= 1024, "V-58")
	next = s.copy()
	if next.sending == nil {
		next.openEpoch(read, now, wish.Advertise)
	} else {
		next.counted()
	}
	m, key := next.compose(plaintext, authData, wish.Objects)
	message = next.protect(m, key)
	require(len(message) <= 131072, "V-58")
	return next, message, nil
}

// compose takes the next position and fills in all but proof and signature.
// SPEC §9.5 steps 2 and 3.
func (s *Session) compose(plaintext, authData []byte, force bool) (m *Message, key []byte) {
	chain := s.sending
	m = &Message{
		Version: s.Suite, Flags: chain.flags, SID: s.SID, Epoch: s.Epoch, N: chain.next, PN: chain.pn,
		ECDHPK: publicX(chain.scalar), AuthData: authData,
	}
	key = messageKey(chain.firstKey, chain.next)
	chain.next++
	m.Ciphertext = crypt(key, s.me.frame(pad(plaintext)))
	if chain.flags != 0 {
		m.Odig = chain.oh[:8]
		if paced(m.N, s.me.Flaw) || len(m.Ciphertext) >= 4096 || force {
			m.Flags |= carried
			m.Objects = chain.objects
		}
	}
	return m, key
}

// protect adds proof and signature. SPEC §6.3, §9.2.
func (s *Session) protect(m *Message, key []byte) []byte {
	s.me.message(m)
	covered := func(x []byte) []byte { return m.covered(s.out(), x) }
	m.Proof = proofOf(m.Version, key, covered, s.me.Flaw)
	m.Signature = signECDSA(s.me.Scalar, covered(m.Proof))
	return m.Bytes()
}

// advertises is the rule of SPEC §8.3 for the epoch that comes next: after the
// answer of §8.1 and with the counters it leaves.
func (s *Session) advertises(now uint64, asked bool) bool {
	after := s.copy()
	if s.receiving.kemPK != nil {
		after.rekeyed(now)
	}
	first := s.Epoch+1 == 1 && s.me.Flaw != FirstChainSilent
	return first || after.RekeyDue(now) || asked
}

// openEpoch makes this device role S of a new epoch. SPEC §8.1.
func (s *Session) openEpoch(read Read, now uint64, asked bool) {
	advertise := s.advertises(now, asked)
	ahead := s.ahead
	if ahead == nil {
		ahead = s.fresh(read)
	}
	chain := &sendingChain{scalar: ahead.scalar, pn: s.lastSent, objects: Objects{KEMCT: ahead.ct}}
	if s.me.Flaw == PreviousUnsaid {
		chain.pn = 0
	}
	answered, kemSecret := s.receiving.kemPK, ahead.kemSecret
	if kemSecret != nil {
		chain.flags |= hasKEMCT
	}
	s.receiving.kemPK, s.ahead = nil, nil
	old, fresh := s.receiving.ecdhPK, publicX(chain.scalar)
	if s.me.Flaw == RatchetKeysSwapped {
		old, fresh = fresh, old
	}
	info := epochInfo(s.out(), old, fresh, chain.objects.KEMCT, answered)
	ecdhSecret := agree(chain.scalar, s.receiving.ecdhPK, "V-51")
	s.root, chain.firstKey = rootStep(s.root, ecdhSecret, kemSecret, info, s.me.Flaw)
	s.Epoch++
	if kemSecret != nil {
		s.rekeyed(now)
	} else {
		s.counted()
	}
	if advertise {
		chain.kemSeed = draw(read, 64)
		chain.objects.KEMPK = publicKEM(chain.kemSeed)
		chain.flags |= hasKEMPK
	}
	s.begin(chain)
}

// fresh is what points 1 and 2 of SPEC §8.1 draw.
func (s *Session) fresh(read Read) *ahead {
	a := &ahead{scalar: newScalar(read)}
	if s.receiving.kemPK != nil && s.me.Flaw != AnswerUnsaid {
		a.kemSecret, a.ct = encapsulate768(s.receiving.kemPK, read)
	}
	return a
}

// Prepare draws for the next epoch ahead of time. SPEC §8.1.
func (s *Session) Prepare(read Read) *Session {
	next := s.copy()
	if next.sending == nil && next.ahead == nil {
		next.ahead = next.fresh(read)
	}
	return next
}

// begin takes role S with a new chain. SPEC §8.1 step 5, §9.3.
func (s *Session) begin(chain *sendingChain) {
	chain.oh = objectsHash(s.out(), s.SID, s.Epoch, publicX(chain.scalar), chain.objects)
	s.sending = chain
}

func publicKEM(seed []byte) []byte {
	key, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		panic(err) // 64 bytes are a seed
	}
	return key.EncapsulationKey().Bytes()
}
