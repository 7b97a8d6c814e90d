package refmodel

import (
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"maps"
)

// Policy is the healing contract, times in milliseconds. SPEC §8.4.
type Policy struct {
	EveryMessages uint32
	Every, Hard   uint64
}

// DefaultPolicy is the default column of SPEC §8.4.
func DefaultPolicy() Policy { return Policy{50, 24 * hour, 7 * day} }

func (p Policy) check() {
	most := DefaultPolicy()
	require(p.EveryMessages <= most.EveryMessages && p.Every <= most.Every && p.Hard <= most.Hard, "V-60")
}

// position names a message key. SPEC §7.2.
type position struct{ epoch, n uint32 }

// sendingChain is what role S keeps of its epoch. SPEC §5.2, §8.1.
type sendingChain struct {
	firstKey []byte
	next     uint32
	pn       uint32
	scalar   []byte // ECDH private key
	flags    byte   // flags & 7
	objects  Objects
	oh       []byte
	kemSeed  []byte // private half of an advertised key
}

// receivingChain is what is known of the peer's last epoch. SPEC §8.2.
type receivingChain struct {
	epoch  uint32
	next   uint32 // the position that comes next
	pn     uint32
	ecdhPK []byte
	flags  byte // flags & 7
	odig   []byte
	oh     []byte
	kemPK  []byte // advertised by the peer, not answered yet
}

// ahead is what a device in role R drew for the epoch that it will open, before
// it had to. It is not stored. SPEC §8.1.
type ahead struct{ scalar, kemSecret, ct []byte }

// Session is one end of a session: all of it in one struct, changed in place on
// a copy. SPEC §2, §10.1.
type Session struct {
	me        *Own
	peer      *Device
	policy    Policy
	Suite     byte
	SID       []byte
	StartTime uint64
	LastKEM   uint64
	LastRekey uint64 // 0 before the first rekey
	Epoch     uint32
	Since     uint32
	Rekeys    uint32
	root      []byte
	lastSent  uint32 // length of the previous sending chain
	sending   *sendingChain
	receiving *receivingChain
	ahead     *ahead
	firstKeys map[uint32][]byte   // first key of each chain of the peer's
	aside     map[position]uint64 // passed positions and when: the skipped keys
}

// copy is deep for everything that an operation changes in place; byte strings
// are never changed.
func (s *Session) copy() *Session {
	next := *s
	next.firstKeys, next.aside = maps.Clone(s.firstKeys), maps.Clone(s.aside)
	if s.sending != nil {
		chain := *s.sending
		next.sending = &chain
	}
	if s.receiving != nil {
		chain := *s.receiving
		next.receiving = &chain
	}
	return &next
}

// out is dst of what this device sends, in that of what it receives. SPEC §4.3.
func (s *Session) out() []byte { return dst(s.Suite, &s.me.Device, s.peer) }
func (s *Session) in() []byte  { return dst(s.Suite, s.peer, &s.me.Device) }

// InRoleS reports whether this device opened the current epoch. SPEC §8.
func (s *Session) InRoleS() bool { return s.sending != nil }

// OwesAnswer reports whether the peer advertised a key that the next epoch
// answers. SPEC §8.1.
func (s *Session) OwesAnswer() bool { return s.sending == nil && s.receiving.kemPK != nil }

// AwaitsAnswer reports whether a key of this device is outstanding. SPEC §8.2.
func (s *Session) AwaitsAnswer() bool { return s.sending != nil && s.sending.kemSeed != nil }

// Under is the session after a restart, with another policy. SPEC §8.1, §8.4.
func (s *Session) Under(p Policy) (next *Session, err error) {
	defer caught(&err)
	p.check()
	next = s.copy()
	next.policy, next.ahead = p, nil
	return next, nil
}

// age is now − lastKem, and 0 where the start lies ahead. SPEC §8.3.
func (s *Session) age(now uint64) uint64 {
	if now < s.LastKEM {
		return 0
	}
	return now - s.LastKEM
}

// RekeyDue is the rule of SPEC §8.3 by count and by time.
func (s *Session) RekeyDue(now uint64) bool {
	return s.Since >= s.policy.EveryMessages || s.age(now) >= s.policy.Every
}

// CanSend is the hard limit of SPEC §8.4: V-57.
func (s *Session) CanSend(now uint64) (err error) {
	defer caught(&err)
	s.requireSendable(now)
	return nil
}

func (s *Session) requireSendable(now uint64) {
	hard := s.policy.Hard
	if s.me.Flaw == HardLimitLate {
		hard++
	}
	require(s.age(now) < hard, "V-57")
	require(s.sending == nil || s.sending.next < 500, "V-57")
}

// counted is SPEC §8.3: one more message since the last KEM secret.
func (s *Session) counted() { s.Since++ }

// rekeyed is SPEC §8.3: a KEM secret entered the root key. The message that
// completes it is not counted.
func (s *Session) rekeyed(now uint64) {
	s.Since, s.LastKEM, s.LastRekey = 0, now, now
	s.Rekeys++
	if s.me.Flaw == RekeyCounted {
		s.Since = 1
	}
}

// encapsulate draws the 32 random bytes of ML-KEM. SPEC §3.4, §17.2.
func encapsulate768(kemPK []byte, read Read) (secret, ct []byte) {
	key, err := mlkem.NewEncapsulationKey768(kemPK)
	if err != nil {
		panic(err) // checked when it arrived
	}
	secret, ct, err = mlkemtest.Encapsulate768(key, draw(read, 32))
	if err != nil {
		panic(err) // 32 bytes are enough
	}
	return secret, ct
}

func encapsulate1024(kem []byte, read Read) (secret, ct []byte) {
	key, err := mlkem.NewEncapsulationKey1024(kem)
	if err != nil {
		panic(err) // checked with the bundle
	}
	secret, ct, err = mlkemtest.Encapsulate1024(key, draw(read, 32))
	if err != nil {
		panic(err) // 32 bytes are enough
	}
	return secret, ct
}
