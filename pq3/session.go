package pq3

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// Session is one conversation between two devices at one moment. It never
// changes: Seal and Open return the session that comes next, and a call that
// fails returns none. Store the next session durably before the message leaves
// the machine or the plaintext is shown; a key is then never used twice,
// whatever crashes. A Session is safe for concurrent reading, but only one
// successor of each may ever be used. SPEC §9 and §10.
type Session struct {
	link   *link
	policy Policy
	id     SessionID

	startTime uint64 // Unix ms, signed by the initiator
	initiator bool   // whether this device started the session

	epoch   uint32
	root    rootKey
	send    *sendChain    // while this device opened the current epoch
	receive *receiveChain // nil until the peer's first epoch
	myKEM   *kemPrivate   // set while send advertises a KEM key
	skipped skippedKeys

	prepared *step // the next epoch made ahead of time, in role R; never stored

	lastSent  uint32 // length of my last sending chain, while there is none
	since     uint32 // messages since the last KEM secret, both directions
	rekeys    uint32 // KEM rekeys completed after the start
	lastKEM   uint64 // when a KEM secret last entered the root key
	lastRekey uint64 // the same, 0 before the first rekey after the start
	keyMade   uint64 // when the key behind that secret was generated
	openedAt  uint64 // when this device last opened an epoch
}

// Format shows nothing of a session: fmt would print the keys in its unexported
// fields, whose own methods it does not call. It is on the value, so that a
// pointer has it too.
func (s Session) Format(f fmt.State, _ rune) { secret.Redact(f) }

// ID names the session.
func (s *Session) ID() SessionID { return s.id }

// StartTime is the initiator's signed start time, in Unix milliseconds.
func (s *Session) StartTime() uint64 { return s.startTime }

// Epoch is the number of the current epoch.
func (s *Session) Epoch() uint32 { return s.epoch }

// Peer is the device at the other end.
func (s *Session) Peer() account.Party { return s.link.peer }

// Sending reports whether this device opened the current epoch.
func (s *Session) Sending() bool { return s.send != nil }

// OwesAnswer reports whether the peer advertised a KEM key that the next
// message from here will answer. While online, send something within two
// seconds.
func (s *Session) OwesAnswer() bool { return s.send == nil && s.receive.kemKey != nil }

// SendsObjects reports whether the current sending chain is the one whose
// objects a peer asked for.
func (s *Session) SendsObjects(epoch uint32, digest [8]byte) bool {
	return s.send != nil && s.epoch == epoch && s.send.objects.flags() != 0 && s.send.hash.digest() == digest
}

// CanSend returns ErrNewSessionNeeded once the healing contract's hard limit
// is reached: the KEM secret is too old, or the peer has left a whole chain
// unanswered.
func (s *Session) CanSend(now time.Time) error {
	if elapsed(now, s.lastKEM) >= s.policy.Hard {
		return reject.New("V-57", ErrNewSessionNeeded, "the post-quantum secret has reached its greatest age")
	}
	if s.send != nil && s.send.index >= maxChain {
		return reject.New("V-57", ErrNewSessionNeeded, "the peer has answered none of 500 messages")
	}
	return nil
}

// Force asks Seal for more than the policy would do by itself.
type Force uint8

const (
	// ForceAdvertise advertises a KEM key if this message opens an epoch.
	ForceAdvertise Force = 1 << iota
	// ForceObjects carries the objects of the chain whatever the pacing.
	ForceObjects
)

// Seal encrypts and signs one message. associated is sent in clear, at most
// 1 KiB, and covered by tag and signature. Errors: ErrNewSessionNeeded,
// ErrTooLarge, and whatever the signer returns. SPEC §9.5.
func (s *Session) Seal(ent Entropy, now time.Time, plaintext, associated []byte) (next *Session, message []byte, err error) {
	return s.SealWith(ent, now, plaintext, associated, 0)
}

// SealWith is Seal with a request of the session layer.
func (s *Session) SealWith(ent Entropy, now time.Time, plaintext, associated []byte, force Force) (next *Session, message []byte, err error) {
	return s.AppendSeal(nil, ent, now, plaintext, associated, force)
}

// AppendSeal is SealWith into the caller's memory: it appends the message to
// dst and returns the longer slice. With 6 KiB of spare capacity, a short
// message of any kind takes no memory of its own. dst must not overlap
// plaintext or associated.
func (s *Session) AppendSeal(dst []byte, ent Entropy, now time.Time, plaintext, associated []byte, force Force) (next *Session, longer []byte, err error) {
	if err := s.CanSend(now); err != nil {
		return nil, nil, err
	}
	if len(associated) > maxAuthData || len(plaintext) > MaxMessage {
		return nil, nil, reject.New("V-58", ErrTooLarge, "at most 1 KiB of associated data and 128 KiB in all")
	}
	secret.Do(func() { next, longer, err = s.seal(dst, ent, now, plaintext, associated, force) })
	return next, longer, err
}

// seal is AppendSeal after the checks that need no key.
func (s *Session) seal(dst []byte, ent Entropy, now time.Time, plaintext, associated []byte, force Force) (*Session, []byte, error) {
	next := s.copy()
	if next.send == nil {
		if err := next.openEpoch(ent, now, force&ForceAdvertise != 0); err != nil {
			return nil, nil, err
		}
	}
	padded := paddedSize(frameHeader + len(plaintext))
	m := next.head(padded, associated, force)
	if m.wireSize(padded) > MaxMessage {
		return nil, nil, reject.New("V-58", ErrTooLarge, "at most 128 KiB in all")
	}
	dst = m.layOut(dst, padded)
	pad(m.ciphertext, plaintext)
	if err := next.protect(ent, &m); err != nil {
		clear(m.wire)
		return nil, nil, err
	}
	next.count(s.rekeys)
	return next, dst, nil
}

// head is the message at the next position of the sending chain, without
// ciphertext, proof and signature.
func (s *Session) head(padded int, associated []byte, force Force) Message {
	chain := s.send
	m := Message{
		suite: s.link.suite, flags: chain.objects.flags(), session: s.id,
		epoch: s.epoch, index: chain.index, previous: chain.previous,
		ratchetKey: chain.ratchetKey[:], authData: associated,
	}
	if m.flags != 0 {
		m.digest = chain.hash[:objectsDigestSize]
	}
	if carries(m.flags, m.index, padded) || m.flags != 0 && force&ForceObjects != 0 {
		m.flags |= flagCarried
		m.objects = chain.objects
	}
	return m
}

// protect takes the key of the next message, encrypts the frame that stands in
// the place of the ciphertext, and adds proof and signature.
//
// formal: sig-message
func (s *Session) protect(ent Entropy, m *Message) error {
	mk, advanced := s.send.next()
	s.send = advanced
	mk.crypt(m.ciphertext)
	clear(m.proof)
	c := m.covered(s.link.outgoing)
	proof := s.link.proof(mk, c)
	copy(m.proof, proof[:])
	signature, err := s.link.me.key.SignECDSA(ent.SignReader(), c.with(proof[:]))
	copy(m.signature, signature[:])
	return err
}

// proof is what ties a message to its key: the indicator in PQ3, the tag over
// everything in PQ3A.
func (l *link) proof(mk messageKey, c covered) [32]byte {
	if l.suite == account.PQ3A {
		return mk.tag(c.blank())
	}
	return mk.indicator()
}

// Open verifies and decrypts one message of this session. The order is that of
// SPEC §9.6: signature, then the ratchet on a copy, then indicator or tag in
// constant time, then decryption and padding; only then does a next session
// exist. now is used for lifetimes only. Errors: every sentinel but those of
// starts and sealing; ErrObjectsMissing means "keep it and try again later".
func (s *Session) Open(now time.Time, m *Message) (next *Session, plaintext []byte, err error) {
	if m.session != s.id {
		return nil, nil, reject.New("V-68", ErrSessionUnknown, "the message names another session")
	}
	if m.suite != s.link.suite {
		return nil, nil, reject.New("V-36", ErrSuite, "the session uses "+s.link.suite.String())
	}
	c := m.covered(s.link.incoming)
	if err := s.link.verify(m, c); err != nil {
		return nil, nil, err
	}
	secret.Do(func() { next, plaintext, err = s.open(now, m, c) })
	return next, plaintext, err
}

// open is Open after the signature.
func (s *Session) open(now time.Time, m *Message, c covered) (*Session, []byte, error) {
	next := s.copy()
	next.skipped = next.skipped.fresh(now)
	mk, err := next.receiveKey(now, m)
	if err != nil {
		return nil, nil, err
	}
	proof := s.link.proof(mk, c)
	if subtle.ConstantTimeCompare(proof[:], m.proof) != 1 {
		return nil, nil, reject.New("V-54", ErrUndecryptable, "sealed under another message key, or altered")
	}
	framed := slices.Clone(m.ciphertext)
	mk.crypt(framed)
	plaintext, err := unpad(framed)
	if err != nil {
		return nil, nil, err
	}
	next.count(s.rekeys)
	return next, plaintext, nil
}

// receiveKey finds the message key of m's position and moves s, a copy, there.
func (s *Session) receiveKey(now time.Time, m *Message) (messageKey, error) {
	switch {
	case m.epoch%2 == 0 == s.initiator:
		return messageKey{}, reject.New("V-46", ErrHeader, "this epoch belongs to the other direction")
	case m.epoch > s.epoch+1:
		return messageKey{}, reject.New("V-47", ErrUndecryptable, "an epoch that this session cannot reach")
	case m.epoch == s.epoch+1:
		if err := s.followEpoch(now, m); err != nil {
			return messageKey{}, err
		}
	case m.epoch < s.receivingEpoch():
		return s.takeSkipped(m.epoch, m.index)
	default:
		if err := s.checkChain(m); err != nil {
			return messageKey{}, err
		}
	}
	if m.index < s.receive.index {
		return s.takeSkipped(m.epoch, m.index)
	}
	mk, chain, passed := s.receive.skipTo(m.index, m.epoch, millis(now))
	s.receive = chain
	s.skipped = s.skipped.with(passed)
	return mk, nil
}

// receivingEpoch is the epoch of the receiving chain: the current one, or the
// one before it while this device is the sender.
func (s *Session) receivingEpoch() uint32 {
	if s.send != nil {
		return s.epoch - 1
	}
	return s.epoch
}

// checkChain holds a message against the first one of its chain: every header
// field that belongs to the chain must be the same, objects included.
func (s *Session) checkChain(m *Message) error {
	c := s.receive
	if string(m.ratchetKey) != string(c.ratchetKey[:]) || m.previous != c.previous || m.flags&flagsObjects != c.flags {
		return reject.New("V-39", ErrHeader, "ratchet key, previous length or flags differ within a chain")
	}
	if c.flags != 0 && m.ObjectsDigest() != c.hash.digest() {
		return reject.New("V-39", ErrHeader, "objects digest differs within a chain")
	}
	if m.flags&flagCarried == 0 {
		return nil
	}
	hash, err := m.checkObjects(s.link.incoming)
	if err != nil {
		return err
	}
	if hash != c.hash {
		return reject.New("V-38", ErrHeader, "objects differ within a chain")
	}
	return nil
}

// checkObjects recomputes the hash of carried objects and holds the digest
// against it. Without objects the hash is zero.
func (m *Message) checkObjects(context []byte) (hash objectsHash, err error) {
	if m.flags&flagCarried == 0 {
		return objectsHash{}, nil
	}
	hash = m.objects.hash(context, m.session, m.epoch, m.ratchetKey)
	if hash.digest() != m.ObjectsDigest() {
		return objectsHash{}, reject.New("V-38", ErrHeader, "objects do not match their digest")
	}
	return hash, nil
}

// copy is shallow: everything behind its pointers is immutable.
func (s *Session) copy() *Session {
	next := *s
	return &next
}

// count counts this message towards the rekey policy, unless it is the one
// that completed a rekey.
func (s *Session) count(rekeysBefore uint32) {
	if s.rekeys == rekeysBefore {
		s.since++
	}
}
