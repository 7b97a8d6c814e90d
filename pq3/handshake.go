package pq3

import (
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// startContext is the ML-DSA context of a start signature.
const startContext = "posthorn/pq3a/start/v1"

// InitiateOptions are what the caller remembers about the peer device.
type InitiateOptions struct {
	// Policy is the healing contract; zero fields mean the default.
	Policy Policy
	// After is the greatest start time (Unix ms) of any session with this
	// device, so that the new one is chosen from now on.
	After uint64
	// SeenNotBefore is the newest bundle start (Unix ms) seen from this device.
	// An older bundle is refused: its private key may have leaked since.
	SeenNotBefore uint64
}

// Initiate starts a session from a peer's prekey bundle, which it verifies
// first. The session is sending in epoch 0; its first messages carry the
// start. Errors: ErrSuite, ErrBundle, ErrPolicy. SPEC §5.2.
func Initiate(me *Identity, peer account.Party, bundle *account.Bundle, o InitiateOptions, now time.Time, ent Entropy) (*Session, error) {
	policy, err := o.Policy.resolve()
	if err != nil {
		return nil, err
	}
	suite, err := me.checkBundle(peer, bundle, o.SeenNotBefore, now)
	if err != nil {
		return nil, err
	}
	var s *Session
	startTime := max(millis(now), o.After+1)
	secret.Do(func() { s, err = begin(newLink(me, peer, suite), policy, bundle, startTime, ent) })
	return s, err
}

// begin derives the initiator's side of epoch 0. SPEC §5.2, points 2 to 7.
//
// formal: kem-encapsulate
func begin(l *link, policy Policy, bundle *account.Bundle, startTime uint64, ent Entropy) (*Session, error) {
	s := &Session{
		link: l, policy: policy, initiator: true,
		startTime: startTime, lastKEM: startTime, openedAt: startTime, keyMade: bundle.NotBefore,
	}
	chain := &sendChain{ratchet: xonly.NewKey(drawing(ent, "ratchet key"))}
	chain.ratchetKey = xonly.X(chain.ratchet.PublicKey())
	kemSecret, ciphertext := ent.Encapsulate(bundle.KEMKey())
	if err := checkKEMSecret(kemSecret); err != nil {
		return nil, err
	}
	info := startInfo(l.outgoing, bundle.ECDH[:], chain.ratchetKey[:], ciphertext, bundle.KEM[:])
	s.root, chain.key = rootKey{}.step(agree(chain.ratchet, bundle.ECDHKey()), kemSecret, info)
	if err := s.signStart(ent, chain, bundle.Hash(), ciphertext); err != nil {
		return nil, err
	}
	s.send = chain
	return s, nil
}

// checkBundle decides the suite and refuses every bundle that must not be
// encapsulated to.
func (id *Identity) checkBundle(peer account.Party, bundle *account.Bundle, seen uint64, now time.Time) (account.Suite, error) {
	suite, err := id.suiteWith(peer)
	if err != nil {
		return 0, err
	}
	if bundle.Suite != suite {
		return 0, reject.New("V-36", ErrSuite, "the bundle is for "+bundle.Suite.String())
	}
	if bundle.NotBefore < seen {
		return 0, reject.New("V-59", ErrBundle, "older than one this device has published")
	}
	return suite, bundle.Verify(peer, now)
}

// signStart names the session and fills the objects of epoch 0.
//
// formal: sig-start
func (s *Session) signStart(ent Entropy, chain *sendChain, bundle account.BundleHash, ciphertext []byte) error {
	s.id = sessionID(bundle[:], chain.ratchetKey[:], ciphertext)
	o := objects{
		kemCiphertext: ciphertext,
		prekeyHash:    bundle[:],
		startTime:     binary.BigEndian.AppendUint64(nil, s.startTime),
	}
	if s.link.suite == account.PQ3A {
		signature, err := s.link.me.key.SignMLDSA(ent.SignReader(), startBytes(s.link.outgoing, s.id, &o, chain.ratchetKey[:]), startContext)
		if err != nil {
			return err
		}
		o.startSignature = signature
	}
	chain.objects = o
	chain.hash = o.hash(s.link.outgoing, s.id, 0, chain.ratchetKey[:])
	return nil
}

// sessionID derives the id from the first public values. SPEC §5.2.
//
// formal: sid
func sessionID(prekeyHash, ratchetKey, ciphertext []byte) (id SessionID) {
	b := []byte("posthorn/sid/v1")
	b = codec.AppendV16(b, prekeyHash)
	b = codec.AppendV16(b, ratchetKey)
	b = codec.AppendV16(b, ciphertext)
	sum := sha512.Sum384(b)
	copy(id[:], sum[:])
	return id
}

// startBytes are what the start signature of PQ3A covers. SPEC §5.3.
func startBytes(context []byte, id SessionID, o *objects, ratchetKey []byte) []byte {
	b := slices.Concat(context, id[:])
	b = codec.AppendV16(b, o.prekeyHash)
	b = codec.AppendV16(b, ratchetKey)
	b = codec.AppendV16(b, o.kemCiphertext)
	return append(b, o.startTime...)
}

// ReplayKey identifies an accepted session start for as long as the bundle's
// private key exists. It does not depend on signatures or on the start time.
type ReplayKey [sha512.Size384]byte

// String is lower-case hex.
func (k ReplayKey) String() string { return hex.EncodeToString(k[:]) }

// ReplayKey is the key of the start that a message carries. Only one that Accept
// has refused with ErrPrekeyUnknown, or let in, is known to carry a genuine one.
func (m *Message) ReplayKey() ReplayKey { return replayKey(m) }

// formal: replay-key
func replayKey(m *Message) ReplayKey {
	b := codec.AppendV16(nil, m.objects.prekeyHash)
	b = codec.AppendV16(b, m.ratchetKey)
	b = codec.AppendV16(b, m.objects.kemCiphertext)
	return sha512.Sum384(b)
}

// ReplayCache remembers accepted session starts. Prekeys are reusable, so
// without it a recorded start would be accepted again. Accept only reads it:
// write Accepted.Replay in the transaction that stores the session, and keep
// it as long as the private half of its bundle. SPEC §5.4.
type ReplayCache interface {
	// Seen reports whether this start was accepted before.
	Seen(ReplayKey) bool
	// BundleStarts counts the starts accepted under a bundle.
	BundleStarts(account.BundleHash) int
	// DeviceStarts counts the starts accepted from a device since a time.
	DeviceStarts(device account.DeviceID, since time.Time) int
}

// AcceptOptions are the receiver's stores and its healing contract.
type AcceptOptions struct {
	Policy  Policy
	Prekeys Prekeys
	Replays ReplayCache
}

// Accepted is a session start that passed every check. Store all of it in one
// transaction before anything is shown or acknowledged.
type Accepted struct {
	Session   *Session
	Plaintext []byte
	Replay    ReplayKey
	Bundle    account.BundleHash // the bundle under which the start counts
}

// Accept creates a session from a message that carries a start, and opens that
// message. Call it only when no session with the message's id is at hand.
// Signatures are checked before the replay cache is asked and before anything
// is decapsulated. Errors: ErrObjectsMissing (wait for a copy with objects),
// ErrSessionUnknown (not a start), ErrSuite, ErrSignature, ErrFreshness,
// ErrPrekeyUnknown, ErrReplay, ErrLimit, ErrHeader, ErrUndecryptable.
// SPEC §5.3.
func Accept(me *Identity, peer account.Party, m *Message, o AcceptOptions, now time.Time) (*Accepted, error) {
	policy, err := o.Policy.resolve()
	if err != nil {
		return nil, err
	}
	l, err := openLink(me, peer, m)
	if err != nil {
		return nil, err
	}
	c := m.covered(l.incoming)
	if err := l.verify(m, c); err != nil {
		return nil, err
	}
	if m.epoch != 0 {
		return nil, reject.New("V-68", ErrSessionUnknown, "not a session start")
	}
	if m.LacksObjects() {
		return nil, reject.New("V-56", ErrObjectsMissing, "the start travels on another message")
	}
	hash, err := l.checkStart(m, now)
	if err != nil {
		return nil, err
	}
	prekey, err := admit(peer, m, o, now)
	if err != nil {
		return nil, err
	}
	var accepted *Accepted
	secret.Do(func() { accepted, err = respond(l, policy, prekey, m, hash, now, c) })
	return accepted, err
}

// checkStart verifies the public part of a start: objects, session id, start
// signature, and the time it claims.
//
// formal: sig-start
func (l *link) checkStart(m *Message, now time.Time) (objectsHash, error) {
	hash, err := m.checkObjects(l.incoming)
	if err != nil {
		return hash, err
	}
	if m.session != sessionID(m.objects.prekeyHash, m.ratchetKey, m.objects.kemCiphertext) {
		return hash, reject.New("V-37", ErrHeader, "session id does not follow from the start")
	}
	if m.previous != 0 {
		return hash, reject.New("V-53", ErrHeader, "a previous chain where there was none")
	}
	signed := startBytes(l.incoming, m.session, &m.objects, m.ratchetKey)
	if l.suite == account.PQ3A && l.peer.Device.Key.VerifyMLDSA(signed, m.objects.startSignature, startContext) != nil {
		return hash, reject.New("V-40", ErrSignature, "the start is not signed by the peer's post-quantum key")
	}
	start := instant(m.startTime())
	if start.After(now.Add(clockSkew)) || now.Sub(start) > maxStartAge {
		return hash, reject.New("V-41", ErrFreshness, "the session start lies in the future or too far back")
	}
	return hash, nil
}

func (m *Message) startTime() uint64 { return binary.BigEndian.Uint64(m.objects.startTime) }

// admit finds the prekey and refuses replays and floods.
func admit(peer account.Party, m *Message, o AcceptOptions, now time.Time) (*Prekey, error) {
	prekey, ok := o.Prekeys.Prekey(account.BundleHash(m.objects.prekeyHash))
	if !ok || prekey.bundle.Suite != m.suite {
		return nil, reject.New("V-42", ErrPrekeyUnknown, "never made here, or erased")
	}
	start, b := instant(m.startTime()), prekey.bundle
	if start.Before(instant(b.NotBefore).Add(-clockSkew)) || start.After(instant(b.NotAfter).Add(clockSkew)) {
		return nil, reject.New("V-41", ErrFreshness, "the session start lies outside its bundle's validity")
	}
	if o.Replays.Seen(replayKey(m)) {
		return nil, reject.New("V-43", ErrReplay, "this session start was accepted before")
	}
	if o.Replays.DeviceStarts(peer.Device.ID, now.Add(-24*time.Hour)) >= maxDeviceStarts {
		return nil, reject.New("V-44", ErrLimit, "20 from this device in 24 hours")
	}
	if o.Replays.BundleStarts(b.Hash()) >= maxBundleStarts {
		return nil, reject.New("V-45", ErrLimit, "65,536 under this bundle; publish a new one")
	}
	return prekey, nil
}

// respond derives the responder's side of epoch 0 and opens the message that
// brought the start. Only then does the session count as accepted.
//
// formal: kem-decapsulate
func respond(l *link, policy Policy, prekey *Prekey, m *Message, hash objectsHash, now time.Time, c covered) (*Accepted, error) {
	ephemeral, err := liftRatchetKey(m.ratchetKey)
	if err != nil {
		return nil, err
	}
	kemSecret, err := prekey.expanded.Decapsulate(m.objects.kemCiphertext)
	if err != nil {
		return nil, reject.New("V-50", ErrHeader, "a KEM ciphertext of the wrong length")
	}
	if err := checkKEMSecret(kemSecret); err != nil {
		return nil, err
	}
	b := prekey.bundle
	info := startInfo(l.incoming, b.ECDH[:], m.ratchetKey, m.objects.kemCiphertext, b.KEM[:])
	root, chain := rootKey{}.step(agree(prekey.ecdh, ephemeral), kemSecret, info)
	s := &Session{
		link: l, policy: policy, id: m.session, root: root,
		startTime: m.startTime(), lastKEM: m.startTime(), keyMade: b.NotBefore, openedAt: b.NotBefore,
		receive: &receiveChain{
			key: chain, flags: m.flags & flagsObjects, hash: hash,
			ratchetKey: [ecdhSize]byte(m.ratchetKey), lifted: ephemeral,
		},
	}
	next, plaintext, err := s.open(now, m, c)
	if err != nil {
		return nil, err
	}
	return &Accepted{Session: next, Plaintext: plaintext, Replay: replayKey(m), Bundle: b.Hash()}, nil
}
