package pq3

import (
	"encoding/binary"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// Kind says what an envelope's payload is, by its first byte.
type Kind int

// The payloads a mailbox may hold.
const (
	KindUnknown Kind = iota
	KindMessage
	KindControl
)

// KindOf looks at the first byte only.
func KindOf(payload []byte) Kind {
	switch {
	case len(payload) == 0:
		return KindUnknown
	case payload[0] == controlVersion:
		return KindControl
	case account.Suite(payload[0]).Valid():
		return KindMessage
	}
	return KindUnknown
}

// ControlType says what a control message asks for.
type ControlType uint8

const (
	// ControlSessionUnknown: I have no session for the message you sent; start
	// a new one.
	ControlSessionUnknown ControlType = 1
	// ControlObjectsWanted: I hold messages of your epoch 0, but none that
	// carries the start; send one.
	ControlObjectsWanted ControlType = 2
)

const (
	controlVersion = 0x81
	controlSize    = 1 + 1 + 8 + 4 + 4 + 48 + 8 + 16
	controlContext = "posthorn/ctl/v1"
)

// Control is a signed note between two devices outside any session. It carries
// both signatures, names one message by its hash, and asks; what the receiver
// does about it, and how often, is for SPEC §10.6 to bound.
type Control struct {
	Type    ControlType
	Session SessionID
	Epoch   uint32
	Index   uint32
	Message [48]byte // SHA-384 of the message it is about
	Time    uint64   // Unix ms
	Nonce   [16]byte
}

func (c *Control) marshal() []byte {
	b := make([]byte, 0, controlSize+signatureSize+startSignatureSize)
	b = append(b, controlVersion, byte(c.Type))
	b = append(b, c.Session[:]...)
	b = binary.BigEndian.AppendUint32(b, c.Epoch)
	b = binary.BigEndian.AppendUint32(b, c.Index)
	b = append(b, c.Message[:]...)
	b = binary.BigEndian.AppendUint64(b, c.Time)
	return append(b, c.Nonce[:]...)
}

// ControlAbout makes a control message about a received message.
func ControlAbout(m *Message, t ControlType, now time.Time, ent Entropy) *Control {
	c := &Control{Type: t, Session: m.session, Epoch: m.epoch, Index: m.index, Message: m.Hash(), Time: millis(now)}
	ent.Read(c.Nonce[:])
	return c
}

// SealControl signs a control message for a peer device with both keys and
// returns its wire form: 90 bytes and the two signatures.
//
// formal: sig-control
func SealControl(me *Identity, peer account.Party, c *Control, ent Entropy) ([]byte, error) {
	suite, err := me.suiteWith(peer)
	if err != nil {
		return nil, err
	}
	body := c.marshal()
	signed := controlBytes(account.SessionContext(suite, me.self, peer), body)
	signature, err := me.key.SignHybrid(ent.SignReader(), signed, controlContext)
	if err != nil {
		return nil, err
	}
	return append(append(body, signature.ECDSA[:]...), signature.MLDSA[:]...), nil
}

// OpenControl parses and verifies a control message from a peer device.
// Errors: ErrMalformed, ErrSuite, ErrSignature, ErrFreshness.
//
// formal: sig-control
func OpenControl(me *Identity, peer account.Party, b []byte, now time.Time) (*Control, error) {
	c, err := parseControl(b)
	if err != nil {
		return nil, err
	}
	suite, err := me.suiteWith(peer)
	if err != nil {
		return nil, err
	}
	signed := controlBytes(account.SessionContext(suite, peer, me.self), b[:controlSize])
	signature := &account.Signature{
		ECDSA: [signatureSize]byte(b[controlSize:]),
		MLDSA: [startSignatureSize]byte(b[controlSize+signatureSize:]),
	}
	if peer.Device.Key.VerifyHybrid(signed, signature, controlContext) != nil {
		return nil, reject.New("V-63", ErrSignature, "control message is not signed by both keys of the peer's device")
	}
	at := instant(c.Time)
	if at.After(now.Add(clockSkew)) || now.Sub(at) > maxControlAge {
		return nil, reject.New("V-64", ErrFreshness, "control message from the future or more than 24 hours old")
	}
	return c, nil
}

func parseControl(b []byte) (*Control, error) {
	if len(b) != controlSize+signatureSize+startSignatureSize || b[0] != controlVersion {
		return nil, reject.New("V-62", ErrMalformed, "not a control message")
	}
	r := codec.NewReader(b)
	r.U8()
	c := &Control{Type: ControlType(r.U8())}
	if c.Type != ControlSessionUnknown && c.Type != ControlObjectsWanted {
		return nil, reject.New("V-62", ErrMalformed, "unknown control type")
	}
	r.Copy(c.Session[:])
	c.Epoch, c.Index = r.U32(), r.U32()
	r.Copy(c.Message[:])
	c.Time = r.U64()
	r.Copy(c.Nonce[:])
	return c, nil
}

func controlBytes(context, body []byte) []byte {
	b := append([]byte(controlContext), context...)
	return append(b, body...)
}
