package pq3

import (
	"bytes"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
)

// Fields are the parts of a message that a forger may change.
type Fields struct {
	Suite                      account.Suite
	Flags                      byte
	Session                    SessionID
	Epoch, Index, Previous     uint32
	RatchetKey, Digest         []byte
	KEMKey, KEMCiphertext      []byte
	PrekeyHash, StartTime      []byte
	StartSignature             []byte
	AuthData, Ciphertext       []byte
	KeepDigest, KeepStartNames bool // do not make digest, id and start signature fit again
}

// Forge takes a genuine message apart, lets change alter it, makes everything
// that the sender's signing keys can make fit again, and signs the result. It
// has no session secret, so indicator or tag stay as they were.
func Forge(sender *Identity, receiver account.Party, wire []byte, change func(*Fields)) []byte {
	m, err := ParseMessage(bytes.Clone(wire))
	if err != nil {
		panic(err)
	}
	f := Fields{m.suite, m.flags, m.session, m.epoch, m.index, m.previous,
		slices.Clone(m.ratchetKey), slices.Clone(m.digest),
		m.objects.kemKey, m.objects.kemCiphertext, m.objects.prekeyHash, m.objects.startTime, m.objects.startSignature,
		m.authData, slices.Clone(m.ciphertext), false, false}
	change(&f)
	o := objects{f.KEMKey, f.KEMCiphertext, f.PrekeyHash, f.StartTime, f.StartSignature}
	context := account.SessionContext(f.Suite, sender.self, receiver)
	if o.prekeyHash != nil && !f.KeepStartNames {
		f.Session = sessionID(o.prekeyHash, f.RatchetKey, o.kemCiphertext)
		if f.Suite == account.PQ3A {
			o.startSignature, _ = sender.key.SignMLDSA(nil, startBytes(context, f.Session, &o, f.RatchetKey), startContext)
		}
	}
	if f.Flags&flagCarried != 0 && !f.KeepDigest {
		digest := o.hash(context, f.Session, f.Epoch, f.RatchetKey).digest()
		f.Digest = digest[:]
	}
	forged := &Message{
		suite: f.Suite, flags: f.Flags, session: f.Session, epoch: f.Epoch, index: f.Index, previous: f.Previous,
		ratchetKey: f.RatchetKey, digest: f.Digest, objects: o, proof: m.proof, authData: f.AuthData, ciphertext: f.Ciphertext,
	}
	signature, err := sender.key.SignECDSA(nil, forged.covered(context).bytes)
	if err != nil {
		panic(err)
	}
	forged.signature = signature[:]
	return assemble(forged)
}

// assemble writes the fields one after the other whatever they say, so that a
// forger can make what no encoder would.
func assemble(m *Message) []byte {
	b := append([]byte{byte(m.suite), m.flags}, m.session[:]...)
	b = appendU32(b, m.epoch, m.index, m.previous)
	b = append(append(b, m.ratchetKey...), m.digest...)
	b = append(m.objects.appendWire(b), m.proof...)
	b = codec.AppendV32(codec.AppendV16(b, m.authData), m.ciphertext)
	return append(b, m.signature...)
}

// Assemble is the wire form of fields with a proof and a signature.
func Assemble(f Fields, proof, signature []byte) []byte {
	return assemble(&Message{
		suite: f.Suite, flags: f.Flags, session: f.Session, epoch: f.Epoch, index: f.Index, previous: f.Previous,
		ratchetKey: f.RatchetKey, digest: f.Digest, proof: proof, authData: f.AuthData, ciphertext: f.Ciphertext, signature: signature,
		objects: objects{f.KEMKey, f.KEMCiphertext, f.PrekeyHash, f.StartTime, f.StartSignature},
	})
}

// ParseControl reads a control message without its signatures' meaning.
func ParseControl(b []byte) (*Control, error) { return parseControl(b) }

// MarshalControl is the signed part of a control message.
func MarshalControl(c *Control) []byte { return c.marshal() }

// Pad is the frame of a plaintext.
func Pad(plaintext []byte) []byte {
	frame := make([]byte, paddedSize(frameHeader+len(plaintext)))
	pad(frame, plaintext)
	return frame
}

// Unpad takes the plaintext out of a frame.
func Unpad(frame []byte) ([]byte, error) { return unpad(frame) }

// Binding is what ties a stored session to its two devices.
func Binding(me *Identity, peer account.Party, suite account.Suite) []byte {
	return newLink(me, peer, suite).binding()
}

// ForgetPeerKEM makes a session that skips the KEM answer it owes.
func ForgetPeerKEM(s *Session) *Session {
	next := s.copy()
	next.forgetPeerKeys()
	return next
}

// InEpoch makes a session that claims to send without objects in another epoch.
func InEpoch(s *Session, epoch uint32) *Session {
	next, chain := s.copy(), *s.send
	chain.objects = objects{}
	next.epoch, next.send = epoch, &chain
	return next
}

// Secrets lists every secret byte string that a session holds now, by name.
func Secrets(s *Session) map[string][]byte {
	all := map[string][]byte{"root": s.root.Key[:]}
	if s.send != nil {
		all["sending chain"] = s.send.key.Key[:]
		all["ratchet key"] = s.send.ratchet.Bytes()
	}
	if s.receive != nil {
		all["receiving chain"] = s.receive.key.Key[:]
	}
	if s.myKEM != nil {
		all["KEM seed"] = s.myKEM.seed[:]
	}
	for name, key := range all {
		all[name] = bytes.Clone(key)
	}
	return all
}

// RootKey is the current root key.
func RootKey(s *Session) [32]byte { return s.root.Key }

// PeekMessageKey is the key of the next message of the sending chain.
func PeekMessageKey(s *Session) []byte {
	mk, _ := s.send.next()
	return mk.Key[:]
}

// WireSize is the predicted length of a parsed message.
func WireSize(m *Message) int { return m.wireSize(len(m.ciphertext)) }

// PaddedSize is the padding rule.
func PaddedSize(framed int) int { return paddedSize(framed) }

// SealFrame seals a frame that pad would never make.
func SealFrame(s *Session, ent Entropy, frame []byte) []byte {
	next := s.copy()
	m := next.head(len(frame), nil, 0)
	wire := m.layOut(nil, len(frame))
	copy(m.ciphertext, frame)
	if err := next.protect(ent, &m); err != nil {
		panic(err)
	}
	return wire
}

// Remarshal encodes a parsed message again.
func Remarshal(m *Message) []byte {
	again := *m
	wire := again.layOut(nil, len(m.ciphertext))
	copy(again.proof, m.proof)
	copy(again.ciphertext, m.ciphertext)
	copy(again.signature, m.signature)
	return wire
}

// FieldsOf takes a message apart, as anyone on the wire can.
func FieldsOf(wire []byte) Fields {
	m, err := ParseMessage(wire)
	if err != nil {
		panic(err)
	}
	return Fields{m.suite, m.flags, m.session, m.epoch, m.index, m.previous, m.ratchetKey, m.digest,
		m.objects.kemKey, m.objects.kemCiphertext, m.objects.prekeyHash, m.objects.startTime, m.objects.startSignature,
		m.authData, m.ciphertext, false, false}
}
