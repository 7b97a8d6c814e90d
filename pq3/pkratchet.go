package pq3

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// kemPrivate is this device's advertised ML-KEM-768 key, from the epoch that
// advertises it until the peer's answer.
type kemPrivate struct {
	seed     secret.Seed64
	made     uint64                     // Unix ms
	expanded *mlkem.DecapsulationKey768 // nil after a restart
}

func (k *kemPrivate) key() *mlkem.DecapsulationKey768 {
	if k.expanded != nil {
		return k.expanded
	}
	key, err := mlkem.NewDecapsulationKey768(k.seed[:])
	if err != nil {
		panic("pq3: ML-KEM-768 refused a 64-byte seed: " + err.Error())
	}
	return key
}

// openEpoch makes the receiver the sender of a new epoch, and advertises a KEM
// key of its own if the policy or the caller asks for it. It changes s, which
// must be a copy. SPEC §8.1.
func (s *Session) openEpoch(ent Entropy, now time.Time, advertise bool) error {
	next := s.prepared
	if next == nil {
		var err error
		if next, err = s.nextStep(ent); err != nil {
			return err
		}
	}
	chain := &sendChain{
		key: next.chain, previous: s.lastSent, ratchet: next.ratchet, ratchetKey: next.ratchetKey,
		objects: objects{kemCiphertext: next.kemCiphertext},
	}
	s.root, s.prepared = next.root, nil
	if next.kemCiphertext != nil {
		s.rekeyed(now, s.openedAt)
	}
	s.epoch++
	s.openedAt = millis(now)
	s.forgetPeerKeys()
	if advertise || s.mustAdvertise(now) {
		s.advertise(ent, now, chain)
	}
	if chain.objects.flags() != 0 {
		chain.hash = chain.objects.hash(s.link.outgoing, s.id, s.epoch, chain.ratchetKey[:])
	}
	s.send = chain
	return nil
}

// mustAdvertise is the rekey rule at the moment of becoming the sender. The
// responder's first chain always advertises, so that the start key matters for
// one round trip only.
func (s *Session) mustAdvertise(now time.Time) bool {
	return s.epoch == 1 || s.policy.wantsRekey(s.since, elapsed(now, s.lastKEM))
}

func (s *Session) advertise(ent Entropy, now time.Time, chain *sendChain) {
	mine := &kemPrivate{made: millis(now)}
	drawing(ent, "KEM seed")(mine.seed[:])
	mine.expanded = mine.key()
	chain.objects.kemKey = mine.expanded.EncapsulationKey().Bytes()
	s.myKEM = mine
}

// followEpoch takes the receiver's side of the peer's step into epoch e+1. The
// whole step happens at once, on a message that carries every object its flags
// name, or not at all. It changes s, which must be a copy. SPEC §8.2.
func (s *Session) followEpoch(now time.Time, m *Message) error {
	if err := s.checkAnswer(m); err != nil {
		return err
	}
	if m.LacksObjects() {
		return reject.New("V-56", ErrObjectsMissing, "this message does not carry them")
	}
	hash, err := m.checkObjects(s.link.incoming)
	if err != nil {
		return err
	}
	if err := s.finishChain(m.previous, millis(now)); err != nil {
		return err
	}
	peerKey, err := liftRatchetKey(m.ratchetKey)
	if err != nil {
		return err
	}
	advertised, err := parseKEMKey(m.objects.kemKey)
	if err != nil {
		return err
	}
	kemSecret, err := s.decapsulate(m)
	if err != nil {
		return err
	}
	info := ratchetInfo(s.link.incoming, s.send.ratchetKey[:], m.ratchetKey, m.objects.kemCiphertext, s.send.objects.kemKey)
	root, chain := s.root.step(agree(s.send.ratchet, peerKey), kemSecret, info)
	if kemSecret != nil {
		s.rekeyed(now, s.myKEM.made)
	}
	s.enter(root, &receiveChain{
		key: chain, previous: m.previous, flags: m.flags & flagsObjects, hash: hash,
		ratchetKey: [ecdhSize]byte(m.ratchetKey), kemKey: slices.Clone(m.objects.kemKey),
		lifted: peerKey, kem: advertised,
	})
	return nil
}

// checkAnswer enforces the mandatory answer: a peer can neither skip the
// post-quantum step that it owes nor add one that nobody asked for.
func (s *Session) checkAnswer(m *Message) error {
	answered := m.flags&flagKEMCiphertext != 0
	if s.myKEM != nil && !answered {
		return reject.New("V-49", ErrRekeyMissing, "the peer opened an epoch without it")
	}
	if s.myKEM == nil && answered {
		return reject.New("V-50", ErrHeader, "a KEM answer that nobody asked for")
	}
	return nil
}

// decapsulate opens the peer's answer to my advertised key; nil when none is
// outstanding.
//
// formal: kem-decapsulate
func (s *Session) decapsulate(m *Message) ([]byte, error) {
	if s.myKEM == nil {
		return nil, nil
	}
	kemSecret, err := s.myKEM.key().Decapsulate(m.objects.kemCiphertext)
	if err != nil {
		return nil, reject.New("V-50", ErrHeader, "a KEM ciphertext of the wrong length")
	}
	return kemSecret, checkKEMSecret(kemSecret)
}

// finishChain puts aside the keys that the old receiving chain still owes, up
// to the length that the peer says it had.
func (s *Session) finishChain(length uint32, at uint64) error {
	if s.receive == nil {
		if length != 0 {
			return reject.New("V-53", ErrHeader, "a previous chain where there was none")
		}
		return nil
	}
	if length < s.receive.index {
		return reject.New("V-53", ErrHeader, "previous chain shorter than what arrived of it")
	}
	passed, _ := s.receive.passTo(length, s.epoch-1, at)
	s.skipped = s.skipped.with(passed)
	return nil
}

// enter makes the peer's epoch the current one and drops the private keys that
// the step used up.
func (s *Session) enter(root rootKey, chain *receiveChain) {
	s.root = root
	s.epoch++
	s.lastSent = s.send.index
	s.send = nil
	s.myKEM = nil
	s.receive = chain
}

// rekeyed notes that a KEM secret entered the root key. made is when its key
// was generated, or the earliest time at which the peer can have done so.
func (s *Session) rekeyed(now time.Time, made uint64) {
	s.lastKEM = millis(now)
	s.lastRekey = s.lastKEM
	s.keyMade = made
	s.rekeys++
	s.since = 0
}

// forgetPeerKeys drops the peer's keys once the reply has used them.
func (s *Session) forgetPeerKeys() {
	answered := *s.receive
	answered.kemKey, answered.kem, answered.lifted = nil, nil, nil
	s.receive = &answered
}

// peerKey is the ratchet key of the peer's chain.
func (c *receiveChain) peerKey() (*ecdh.PublicKey, error) {
	if c.lifted != nil {
		return c.lifted, nil
	}
	return liftRatchetKey(c.ratchetKey[:])
}

// agree is ECDH on P-256: the 32-byte x-coordinate.
//
// formal: ecdh
func agree(mine *ecdh.PrivateKey, peer *ecdh.PublicKey) []byte {
	shared, err := mine.ECDH(peer)
	if err != nil {
		panic("pq3: ECDH of two checked P-256 keys: " + err.Error())
	}
	return shared
}

func liftRatchetKey(x []byte) (*ecdh.PublicKey, error) {
	key, err := xonly.Lift(x)
	if err != nil {
		return nil, reject.New("V-51", ErrHeader, "ratchet key is no point of P-256")
	}
	return key, nil
}

// parseKEMKey refuses an advertised key that could not be answered, before the
// epoch that advertises it is entered. Nil, no key, stays nil.
func parseKEMKey(encoded []byte) (*mlkem.EncapsulationKey768, error) {
	if encoded == nil {
		return nil, nil
	}
	key, err := mlkem.NewEncapsulationKey768(encoded)
	if err != nil {
		return nil, reject.New("V-52", ErrHeader, "not an ML-KEM-768 key")
	}
	return key, nil
}

// checkKEMSecret refuses the all-zero secret, which in the second extract
// would equal "no KEM secret at all".
func checkKEMSecret(kemSecret []byte) error {
	if subtle.ConstantTimeCompare(kemSecret, make([]byte, mlkem.SharedKeySize)) == 1 {
		return reject.New("V-66", ErrHeader, "KEM secret is all zero")
	}
	return nil
}
