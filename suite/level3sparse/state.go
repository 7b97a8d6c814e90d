package level3sparse

import (
	"bytes"
	"crypto/mlkem"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// State is the KEM ratchet of a session at one moment, as it is stored, and as
// a thief finds it; level1.Session has it in Second.
type State struct {
	Initiator bool
	// Keys hold root and proof key of the newest epoch that this device can
	// compute. Their chain keys are zero: the chains below have moved on.
	Keys     Keys
	Send     Chain
	Previous uint32 // length of the sending chain before this one
	Receive  Chain
	// The next epoch's chains, while they wait for the peer to enter it.
	NextSend    *secret.Key
	NextReceive *secret.Key
	Skipped     []SkippedKey

	// The exchange for epoch Send.Epoch+1.
	Seed    *secret.Seed64 // private key, on the side that sends the key
	Object  []byte         // what is sent in pieces
	Sent    uint16         // index of the next piece
	Pieces  []Piece        // of what the peer sends
	PeerKey []byte         // the peer's key, complete
}

const (
	isInitiator = 1 << iota
	hasNextSend
	hasNextReceive
	hasSeed
)

// Marshal is the one encoding of the state.
func (s *State) Marshal() []byte {
	b := append([]byte{s.bits()}, s.Keys.Root[:]...)
	b = append(b, s.Keys.Proof[:]...)
	for _, c := range []Chain{s.Send, s.Receive} {
		b = append(appendU32(b, c.Epoch, c.Index), c.Key[:]...)
	}
	b = appendU32(b, s.Previous)
	for _, key := range []*secret.Key{s.NextSend, s.NextReceive} {
		if key != nil {
			b = append(b, key[:]...)
		}
	}
	if s.Seed != nil {
		b = append(b, s.Seed[:]...)
	}
	b = appendU32(b, uint32(len(s.Skipped)))
	for _, k := range s.Skipped {
		b = append(appendU32(b, k.Epoch, k.Index), k.MessageKey[:]...)
	}
	b = codec.AppendV16(b, s.Object)
	b = binary.BigEndian.AppendUint16(b, s.Sent)
	b = append(b, byte(len(s.Pieces)))
	for _, p := range s.Pieces {
		b = append(binary.BigEndian.AppendUint16(b, p.Index), p.Bytes[:]...)
	}
	return codec.AppendV16(b, s.PeerKey)
}

func (s *State) bits() (bits byte) {
	for bit, set := range map[byte]bool{
		isInitiator: s.Initiator, hasNextSend: s.NextSend != nil, hasNextReceive: s.NextReceive != nil, hasSeed: s.Seed != nil,
	} {
		if set {
			bits |= bit
		}
	}
	return bits
}

// ParseState reads a stored KEM ratchet.
func ParseState(b []byte) (*State, error) {
	r := codec.NewReader(bytes.Clone(b))
	bits := r.U8()
	s := &State{Initiator: bits&isInitiator != 0}
	r.Copy(s.Keys.Root[:])
	r.Copy(s.Keys.Proof[:])
	for _, c := range []*Chain{&s.Send, &s.Receive} {
		c.Epoch, c.Index = r.U32(), r.U32()
		r.Copy(c.Key[:])
	}
	s.Previous = r.U32()
	s.NextSend = readKey(r, bits&hasNextSend != 0)
	s.NextReceive = readKey(r, bits&hasNextReceive != 0)
	if bits&hasSeed != 0 {
		s.Seed = &secret.Seed64{}
		r.Copy(s.Seed[:])
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		k := SkippedKey{Epoch: r.U32(), Index: r.U32()}
		r.Copy(k.MessageKey[:])
		s.Skipped = append(s.Skipped, k)
	}
	s.Object = orNil(r.V16(KeyPieces * PieceSize))
	s.Sent = r.U16()
	for n := r.U8(); n > 0 && !r.Failed(); n-- {
		p := Piece{Index: r.U16()}
		r.Copy(p.Bytes[:])
		s.Pieces = append(s.Pieces, p)
	}
	s.PeerKey = orNil(r.V16(mlkem.EncapsulationKeySize768))
	if !r.Done() || bits >= 2*hasSeed || !s.sound() {
		return nil, refuse(suite.ErrState, "not a stored KEM ratchet")
	}
	return s, nil
}

// sound: the exchange holds what its side of it needs, and nothing else.
func (s *State) sound() bool {
	if s.sendsKey() {
		complete := s.Object == nil || len(s.Object) == KeyPieces*PieceSize
		return complete && (s.Seed == nil) == (s.Object == nil) && s.NextSend == nil && s.PeerKey == nil && len(s.Pieces) < CiphertextPieces
	}
	complete := s.Object == nil || len(s.Object) == CiphertextPieces*PieceSize
	return complete && s.Seed == nil && (s.NextSend == nil) == (s.Object == nil) && len(s.Pieces) < KeyPieces
}

func readKey(r *codec.Reader, there bool) *secret.Key {
	if !there {
		return nil
	}
	key := &secret.Key{}
	r.Copy(key[:])
	return key
}

// orNil: an absent field is nil, however it was read.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func appendU32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
