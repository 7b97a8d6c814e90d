package level3

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// Message is every field of a message on the wire, in order (SPEC §9.1). It
// holds nothing that an eavesdropper does not have. Fields that a message does
// not carry are nil.
type Message struct {
	Suite    account.Suite
	Flags    byte
	Session  pq3.SessionID
	Epoch    uint32
	Index    uint32
	Previous uint32

	RatchetKey []byte // 32: x-coordinate on P-256
	Digest     []byte // 8: which objects the chain has

	KEMKey         []byte // 1,184: an ML-KEM-768 key to answer
	KEMCiphertext  []byte // 1,088; in epoch 0 1,568
	PrekeyHash     []byte // 48, epoch 0
	StartTime      []byte // 8, epoch 0
	StartSignature []byte // 3,309, epoch 0 of PQ3A

	Proof      []byte // 32: indicator in PQ3, tag in PQ3A
	AuthData   []byte
	Ciphertext []byte
	Signature  []byte // 64
}

// The bits of Flags. SPEC §9.3.
const (
	HasKEMKey        = 1 << 0
	HasKEMCiphertext = 1 << 1
	HasStart         = 1 << 2
	Carried          = 1 << 7 // the objects are on this message
)

// ParseMessage reads the one canonical form of a message.
func ParseMessage(wire []byte) (*Message, error) {
	if _, err := pq3.ParseMessage(bytes.Clone(wire)); err != nil {
		return nil, &suite.Error{Level: "level3", Err: suite.ErrMalformed, Detail: "not a message", Cause: err}
	}
	r := codec.NewReader(bytes.Clone(wire))
	m := &Message{Suite: account.Suite(r.U8()), Flags: r.U8()}
	r.Copy(m.Session[:])
	m.Epoch, m.Index, m.Previous = r.U32(), r.U32(), r.U32()
	m.RatchetKey = r.Bytes(32)
	if m.Flags&(HasKEMKey|HasKEMCiphertext|HasStart) != 0 {
		m.Digest = r.Bytes(8)
	}
	if m.Flags&Carried != 0 {
		m.readObjects(r)
	}
	m.Proof = r.Bytes(32)
	m.AuthData = r.V16(pq3.MaxMessage)
	m.Ciphertext = r.V32(pq3.MaxMessage)
	m.Signature = r.Bytes(64)
	return m, nil
}

func (m *Message) readObjects(r *codec.Reader) {
	if m.Flags&HasKEMKey != 0 {
		m.KEMKey = r.Bytes(1184)
	}
	if m.Flags&HasKEMCiphertext != 0 && m.Epoch > 0 {
		m.KEMCiphertext = r.Bytes(1088)
	}
	if m.Epoch == 0 {
		m.KEMCiphertext = r.Bytes(1568)
		m.PrekeyHash = r.Bytes(48)
		m.StartTime = r.Bytes(8)
		if m.Suite == account.PQ3A {
			m.StartSignature = r.Bytes(3309)
		}
	}
}

// Marshal is the wire form of whatever the fields hold, so that an attacker
// can alter a message and send it on.
func (m *Message) Marshal() []byte {
	b := []byte{byte(m.Suite), m.Flags}
	b = append(b, m.Session[:]...)
	for _, n := range []uint32{m.Epoch, m.Index, m.Previous} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = append(b, m.RatchetKey...)
	b = append(b, m.Digest...)
	for _, object := range [][]byte{m.KEMKey, m.KEMCiphertext, m.PrekeyHash, m.StartTime, m.StartSignature, m.Proof} {
		b = append(b, object...)
	}
	b = codec.AppendV16(b, m.AuthData)
	b = codec.AppendV32(b, m.Ciphertext)
	return append(b, m.Signature...)
}

// Covered is the byte string under signature and tag, with proof in the place
// of the indicator or tag; 32 zero bytes there give what the tag is computed
// over. context is account.SessionContext of sender and receiver. SPEC §9.2.
func (m *Message) Covered(context, proof []byte) []byte {
	b := []byte("messageSignature" + "v1")
	b = codec.AppendV32(b, m.Ciphertext)
	b = codec.AppendV32(b, m.AuthData)
	b = append(b, proof...)
	b = append(b, m.RatchetKey...)
	b = binary.BigEndian.AppendUint32(b, m.Index)
	b = append(b, context...)
	b = codec.AppendV16(b, m.KEMKey)
	b = codec.AppendV16(b, m.KEMCiphertext)
	b = codec.AppendV16(b, m.PrekeyHash)
	b = append(b, m.Session[:]...)
	b = binary.BigEndian.AppendUint32(b, m.Epoch)
	b = binary.BigEndian.AppendUint32(b, m.Previous)
	b = codec.AppendV16(b, m.StartTime)
	b = codec.AppendV16(b, m.StartSignature)
	b = append(b, m.Flags)
	return codec.AppendV16(b, m.Digest)
}

// Anatomy counts the bytes of a message.
func (l *Level3) Anatomy(wire []byte) (suite.Anatomy, error) {
	m, err := ParseMessage(wire)
	if err != nil {
		return suite.Anatomy{}, err
	}
	a := suite.Anatomy{
		Total: len(wire),
		Start: len(m.PrekeyHash) + len(m.StartTime) + len(m.StartSignature),
		Proof: len(m.Proof) + len(m.Signature),
		Text:  len(m.Ciphertext),
	}
	objects := len(m.KEMKey) + len(m.KEMCiphertext)
	if m.Epoch == 0 {
		a.Start += objects
	} else {
		a.Rekey = objects
	}
	return a, nil
}
