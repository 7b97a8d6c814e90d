package level1

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/suite"
)

// Message is every field of a message on the wire. It holds nothing that an
// eavesdropper does not have.
type Message struct {
	Start      *StartHeader // until the initiator has an answer
	Header     Header
	Second     []byte // header of the second ratchet; empty at Levels 1 and 2
	Ciphertext []byte // 32 bytes of tag at the end
}

const (
	messageVersion = 1

	flagStart   = 1 << 0
	flagOneTime = 1 << 1
	flagExtra   = 1 << 2
	flagSecond  = 1 << 3

	maxSecond = 256
)

// AppendHeader appends everything before the ciphertext, which Decrypt wants
// after Associated as associated data.
func (m *Message) AppendHeader(b []byte) []byte {
	b = append(b, messageVersion, m.flags())
	if s := m.Start; s != nil {
		b = s.Identity.append(b)
		b = append(b, s.Ephemeral[:]...)
		b = binary.BigEndian.AppendUint32(b, s.PrekeyID)
		if s.OneTimeID != nil {
			b = binary.BigEndian.AppendUint32(b, *s.OneTimeID)
		}
		if len(s.Extra) > 0 {
			b = codec.AppendV16(b, s.Extra)
		}
	}
	b = append(b, m.Header.Ratchet[:]...)
	b = binary.BigEndian.AppendUint32(b, m.Header.Previous)
	b = binary.BigEndian.AppendUint32(b, m.Header.Index)
	if len(m.Second) > 0 {
		b = codec.AppendV16(b, m.Second)
	}
	return b
}

func (m *Message) flags() (f byte) {
	if m.Start != nil {
		f |= flagStart
		if m.Start.OneTimeID != nil {
			f |= flagOneTime
		}
		if len(m.Start.Extra) > 0 {
			f |= flagExtra
		}
	}
	if len(m.Second) > 0 {
		f |= flagSecond
	}
	return f
}

// Marshal is the wire form.
func (m *Message) Marshal() []byte { return codec.AppendV32(m.AppendHeader(nil), m.Ciphertext) }

// ParseMessage reads the one canonical form of a message of any generation.
func ParseMessage(wire []byte) (*Message, error) {
	r := codec.NewReader(bytes.Clone(wire))
	version, flags := r.U8(), r.U8()
	m := &Message{}
	if flags&flagStart != 0 {
		m.Start = readStart(r, flags)
	}
	r.Copy(m.Header.Ratchet[:])
	m.Header.Previous, m.Header.Index = r.U32(), r.U32()
	if flags&flagSecond != 0 {
		m.Second = r.V16(maxSecond)
	}
	m.Ciphertext = r.V32(2 * MaxText)
	if !r.Done() || version != messageVersion || flags != m.flags() {
		return nil, suite.Refuse("level1", suite.ErrMalformed, "not a message, or not its one encoding")
	}
	return m, nil
}

func readStart(r *codec.Reader, flags byte) *StartHeader {
	s := &StartHeader{}
	s.Identity.read(r)
	r.Copy(s.Ephemeral[:])
	s.PrekeyID = r.U32()
	if flags&flagOneTime != 0 {
		id := r.U32()
		s.OneTimeID = &id
	}
	if flags&flagExtra != 0 {
		s.Extra = r.V16(maxExtra)
	}
	return s
}

// Anatomy counts the bytes of a message.
func (d *Design) Anatomy(wire []byte) (suite.Anatomy, error) {
	m, err := ParseMessage(wire)
	if err != nil {
		return suite.Anatomy{}, err
	}
	if len(m.Ciphertext) < macSize {
		return suite.Anatomy{}, d.refuse(suite.ErrMalformed, "a ciphertext without its tag")
	}
	a := suite.Anatomy{Total: len(wire), Proof: macSize, Text: len(m.Ciphertext) - macSize}
	if d.second != nil {
		a.Rekey = d.second.Objects(m.Second)
	}
	if m.Start != nil {
		without := Message{Header: m.Header, Second: m.Second, Ciphertext: m.Ciphertext}
		a.Start = len(wire) - len(without.Marshal())
	}
	return a, nil
}
