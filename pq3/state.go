package pq3

import (
	"crypto/ecdh"
	"crypto/sha512"
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// A session is stored in two parts, so that the part which every message
// rewrites stays small: the state, and the skipped keys (skippedrows.go), which
// change only when messages are overtaken. Both must be written in one
// transaction. SPEC §10.1.

// stateVersion is the first byte of both parts.
const stateVersion = 1

const (
	stateInitiator = 1 << iota
	stateReceiving // a receiving chain exists
)

// bindingSize is how much of the hash over both devices a state holds.
const bindingSize = 16

// MarshalState is the storage form of everything but the skipped keys. It is
// secret; seal it before it is written.
func (s *Session) MarshalState() (b []byte) {
	secret.Do(func() { b = s.appendState(make([]byte, 0, 512)) })
	return b
}

func (s *Session) appendState(b []byte) []byte {
	b = append(b, stateVersion, byte(s.link.suite), s.stateBits())
	b = append(b, s.link.binding()...)
	b = append(b, s.id[:]...)
	b = appendU64(b, s.startTime, s.lastKEM, s.lastRekey, s.keyMade, s.openedAt)
	b = appendU32(b, s.epoch, s.since, s.rekeys, s.lastSent)
	b = append(b, s.root.Key[:]...)
	if s.send != nil {
		b = s.appendSendChain(b)
	}
	if s.receive != nil {
		b = s.appendReceiveChain(b)
	}
	return b
}

func (s *Session) stateBits() (bits byte) {
	if s.initiator {
		bits |= stateInitiator
	}
	if s.receive != nil {
		bits |= stateReceiving
	}
	return bits
}

// binding ties a stored session to the two devices and the suite.
func (l *link) binding() []byte {
	b := codec.AppendV16([]byte("posthorn/state/v1"), l.outgoing)
	b = codec.AppendV16(b, l.incoming)
	sum := sha512.Sum384(b)
	return sum[:bindingSize]
}

func (s *Session) appendSendChain(b []byte) []byte {
	c := s.send
	b = append(b, c.key.Key[:]...)
	b = appendU32(b, c.index, c.previous)
	b = append(b, c.ratchet.Bytes()...)
	b = append(b, c.objects.flags())
	b = c.objects.appendWire(b)
	if s.myKEM != nil {
		b = append(b, s.myKEM.seed[:]...)
		b = appendU64(b, s.myKEM.made)
	}
	return b
}

func (s *Session) appendReceiveChain(b []byte) []byte {
	c := s.receive
	b = append(b, c.key.Key[:]...)
	b = appendU32(b, c.index, c.previous)
	b = append(b, c.ratchetKey[:]...)
	b = append(b, c.flags)
	if c.flags != 0 {
		b = append(b, c.hash[:]...)
	}
	return append(b, c.kemKey...) // only while it is unanswered
}

// RestoreSession reads both parts back. The identity and the peer must be those
// of the stored session. Never restore a state from a backup: it would use
// message keys twice. Error: ErrState, ErrPolicy.
func RestoreSession(me *Identity, peer account.Party, policy Policy, state, skipped []byte) (*Session, error) {
	policy, err := policy.resolve()
	if err != nil {
		return nil, err
	}
	var s *Session
	secret.Do(func() { s, err = restore(me, peer, policy, state, skipped) })
	return s, err
}

func restore(me *Identity, peer account.Party, policy Policy, state, skipped []byte) (s *Session, err error) {
	r := codec.NewReader(state)
	version, suite, bits := r.U8(), account.Suite(r.U8()), r.U8()
	if version != stateVersion || !suite.Valid() || bits&^(stateInitiator|stateReceiving) != 0 {
		return nil, reject.New("V-61", ErrState, "unknown version, or not a session")
	}
	s = &Session{link: newLink(me, peer, suite), policy: policy, initiator: bits&stateInitiator != 0}
	if string(r.Bytes(bindingSize)) != string(s.link.binding()) {
		return nil, reject.New("V-61", ErrState, "of another device or suite")
	}
	if err := s.readState(r, bits); err != nil {
		return nil, err
	}
	if s.skipped, err = readSkipped(skipped); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Session) readState(r *codec.Reader, bits byte) error {
	r.Copy(s.id[:])
	readU64(r, &s.startTime, &s.lastKEM, &s.lastRekey, &s.keyMade, &s.openedAt)
	readU32(r, &s.epoch, &s.since, &s.rekeys, &s.lastSent)
	r.Copy(s.root.Key[:])
	if s.epoch%2 == 0 == s.initiator {
		if err := s.readSendChain(r); err != nil {
			return err
		}
	}
	if bits&stateReceiving != 0 {
		s.readReceiveChain(r)
	}
	if !r.Done() || s.receive == nil && (s.send == nil || s.epoch != 0) {
		return reject.New("V-61", ErrState, "truncated, or bytes left over")
	}
	return nil
}

func (s *Session) readSendChain(r *codec.Reader) error {
	c := &sendChain{}
	r.Copy(c.key.Key[:])
	readU32(r, &c.index, &c.previous)
	private, err := ecdh.P256().NewPrivateKey(r.Bytes(ecdhSize))
	if err != nil {
		return reject.New("V-61", ErrState, "not a P-256 private key")
	}
	c.ratchet, c.ratchetKey = private, xonly.X(private.PublicKey())
	flags := r.U8()
	if flags&^flagsObjects != 0 {
		return reject.New("V-61", ErrState, "flags")
	}
	stored := readObjects(r, flags, s.link.suite, s.epoch)
	c.objects = stored.clone()
	if flags&flagKEMKey != 0 {
		s.myKEM = &kemPrivate{}
		r.Copy(s.myKEM.seed[:])
		s.myKEM.made = r.U64()
	}
	if flags != 0 && !r.Failed() {
		c.hash = c.objects.hash(s.link.outgoing, s.id, s.epoch, c.ratchetKey[:])
	}
	s.send = c
	return nil
}

func (s *Session) readReceiveChain(r *codec.Reader) {
	c := &receiveChain{}
	r.Copy(c.key.Key[:])
	readU32(r, &c.index, &c.previous)
	r.Copy(c.ratchetKey[:])
	c.flags = r.U8()
	if c.flags != 0 {
		r.Copy(c.hash[:])
	}
	if s.send == nil && c.flags&flagKEMKey != 0 {
		c.kemKey = slices.Clone(r.Bytes(kemKeySize))
	}
	s.receive = c
}

// clone makes the objects independent of the bytes they were read from.
func (o objects) clone() objects {
	return objects{
		kemKey:         slices.Clone(o.kemKey),
		kemCiphertext:  slices.Clone(o.kemCiphertext),
		prekeyHash:     slices.Clone(o.prekeyHash),
		startTime:      slices.Clone(o.startTime),
		startSignature: slices.Clone(o.startSignature),
	}
}

func appendU32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func appendU64(b []byte, values ...uint64) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func readU32(r *codec.Reader, values ...*uint32) {
	for _, v := range values {
		*v = r.U32()
	}
}

func readU64(r *codec.Reader, values ...*uint64) {
	for _, v := range values {
		*v = r.U64()
	}
}
