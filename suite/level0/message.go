package level0

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/suite"
)

// Message is one record on a connection: u64 number ‖ v32(ciphertext). Its
// plaintext is v16(name of the other device) ‖ text.
type Message struct {
	Number     uint64
	Ciphertext []byte // 16 bytes of tag at the end
}

const (
	// MaxText is the greatest length of a text, in bytes.
	MaxText = 64 << 10
	maxName = 255
	tagSize = 16
)

// Marshal is the wire form.
func (m *Message) Marshal() []byte {
	return codec.AppendV32(binary.BigEndian.AppendUint64(nil, m.Number), m.Ciphertext)
}

// ParseMessage reads a record of either direction.
func ParseMessage(wire []byte) (*Message, error) {
	r := codec.NewReader(bytes.Clone(wire))
	m := &Message{Number: r.U64(), Ciphertext: r.V32(2 * MaxText)}
	if !r.Done() || len(m.Ciphertext) < tagSize {
		return nil, suite.Refuse(level, suite.ErrMalformed, "not a record")
	}
	return m, nil
}

// Content takes the plaintext of a record apart.
func Content(plaintext []byte) (name string, text []byte, err error) {
	r := codec.NewReader(plaintext)
	name = string(r.V16(maxName))
	text = r.Bytes(r.Len())
	if !r.Done() {
		return "", nil, suite.Refuse(level, suite.ErrMalformed, "a record without a name")
	}
	return name, text, nil
}

// Stored is a message as the server keeps it: in the clear.
type Stored struct {
	At       uint64 // Unix ms
	From, To string
	Text     []byte
}

// Marshal is u64 time ‖ v16(from) ‖ v16(to) ‖ v32(text).
func (s *Stored) Marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.At)
	b = codec.AppendV16(b, []byte(s.From))
	b = codec.AppendV16(b, []byte(s.To))
	return codec.AppendV32(b, s.Text)
}

// ParseStored reads what the server keeps.
func ParseStored(b []byte) (*Stored, error) {
	r := codec.NewReader(bytes.Clone(b))
	s := &Stored{At: r.U64(), From: string(r.V16(maxName)), To: string(r.V16(maxName)), Text: r.V32(MaxText)}
	if !r.Done() {
		return nil, suite.Refuse(level, suite.ErrMalformed, "not a stored message")
	}
	return s, nil
}

// Anatomy counts the bytes of a record.
func (Level0) Anatomy(wire []byte) (suite.Anatomy, error) {
	m, err := ParseMessage(wire)
	if err != nil {
		return suite.Anatomy{}, err
	}
	return suite.Anatomy{Total: len(wire), Proof: tagSize, Text: len(m.Ciphertext) - tagSize}, nil
}
