package level1

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// State is a whole device as it is stored, and as a thief finds it.
type State struct {
	Name     string
	Identity Identity
	NextID   uint32
	Prekeys  []Prekey // oldest first
	OneTime  []OneTime
	Starts   Starts
	Peers    []Peer
}

// Peer is a device that this one has met.
type Peer struct {
	Record   *Record
	Sessions []*Session // the one heard last first
}

const (
	stateVersion = 1
	maxPart      = 1 << 20
)

// State is the encoded State of this device.
func (p *Party) State() []byte { return p.state.Marshal() }

// Marshal is the one encoding of the state.
func (s *State) Marshal() []byte {
	b := codec.AppendV16([]byte{stateVersion}, []byte(s.Name))
	b = append(b, s.Identity.Signing[:]...)
	b = append(b, s.Identity.Agreement[:]...)
	b = appendU32(b, s.NextID, uint32(len(s.Prekeys)))
	for _, k := range s.Prekeys {
		b = binary.BigEndian.AppendUint64(appendU32(b, k.ID), k.Made)
		b = codec.AppendV32(append(b, k.Private[:]...), k.Extra)
	}
	b = appendU32(b, uint32(len(s.OneTime)))
	for _, o := range s.OneTime {
		b = append(appendU32(b, o.ID), o.Private[:]...)
	}
	b = appendU32(b, uint32(len(s.Starts)))
	for _, a := range s.Starts {
		b = append(appendU32(b, a.PrekeyID), a.Ephemeral[:]...)
	}
	b = appendU32(b, uint32(len(s.Peers)))
	for _, known := range s.Peers {
		b = codec.AppendV32(b, known.Record.Marshal())
		b = appendU32(b, uint32(len(known.Sessions)))
		for _, session := range known.Sessions {
			b = codec.AppendV32(b, session.Marshal())
		}
	}
	return b
}

const (
	hasStart = 1 << iota
	isInitiator
	hasOwn
	hasSend
	hasReceive
)

// Marshal is the one encoding of a session.
func (s *Session) Marshal() []byte {
	b := append([]byte{s.bits()}, s.Base[:]...)
	if s.Start != nil {
		start := Message{Start: s.Start}
		b = codec.AppendV32(b, start.Marshal())
	}
	r := &s.Ratchet
	b = append(b, r.Root[:]...)
	if r.Own != nil {
		b = append(b, r.Own[:]...)
		b = append(b, r.OwnPublic[:]...)
	}
	b = append(b, r.Peer[:]...)
	for _, c := range []*Chain{r.Send, r.Receive} {
		if c != nil {
			b = appendU32(append(b, c.Key[:]...), c.Index)
		}
	}
	b = appendU32(b, r.Previous, uint32(len(r.Skipped)))
	for _, k := range r.Skipped {
		b = appendU32(append(b, k.Peer[:]...), k.Index)
		b = append(binary.BigEndian.AppendUint64(b, k.At), k.MessageKey[:]...)
	}
	return codec.AppendV32(b, s.Second)
}

func (s *Session) bits() (bits byte) {
	for bit, set := range map[byte]bool{
		hasStart: s.Start != nil, isInitiator: s.Initiator, hasOwn: s.Ratchet.Own != nil,
		hasSend: s.Ratchet.Send != nil, hasReceive: s.Ratchet.Receive != nil,
	} {
		if set {
			bits |= bit
		}
	}
	return bits
}

// ParseState reads a seized device of any generation.
func ParseState(b []byte) (*State, error) {
	r := codec.NewReader(bytes.Clone(b))
	version := r.U8()
	s := &State{Name: string(r.V16(maxName))}
	r.Copy(s.Identity.Signing[:])
	r.Copy(s.Identity.Agreement[:])
	s.NextID = r.U32()
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		k := Prekey{ID: r.U32(), Made: r.U64()}
		r.Copy(k.Private[:])
		k.Extra = r.V32(maxPart)
		s.Prekeys = append(s.Prekeys, k)
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		o := OneTime{ID: r.U32()}
		r.Copy(o.Private[:])
		s.OneTime = append(s.OneTime, o)
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		a := AcceptedStart{PrekeyID: r.U32()}
		r.Copy(a.Ephemeral[:])
		s.Starts = append(s.Starts, a)
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		known, err := readPeer(r)
		if err != nil {
			return nil, err
		}
		s.Peers = append(s.Peers, known)
	}
	if !r.Done() || version != stateVersion {
		return nil, suite.Refuse("level1", suite.ErrState, "not the state of a device")
	}
	return s, nil
}

func readPeer(r *codec.Reader) (known Peer, err error) {
	if known.Record, err = ParseRecord(r.V32(maxRecord)); err != nil {
		return known, err
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		session, err := ParseSession(r.V32(maxPart))
		if err != nil {
			return known, err
		}
		known.Sessions = append(known.Sessions, session)
	}
	return known, nil
}

// ParseSession reads a stored session.
func ParseSession(b []byte) (*Session, error) {
	refused := suite.Refuse("level1", suite.ErrState, "not a stored session")
	r := codec.NewReader(b)
	bits := r.U8()
	s := &Session{Initiator: bits&isInitiator != 0}
	r.Copy(s.Base[:])
	if bits&hasStart != 0 {
		m, err := ParseMessage(r.V32(maxPart))
		if err != nil || m.Start == nil || m.Header != (Header{}) || len(m.Second)+len(m.Ciphertext) > 0 {
			return nil, refused
		}
		s.Start = m.Start
	}
	s.Ratchet.read(r, bits)
	s.Second = r.V32(maxPart)
	if !r.Done() || bits >= 2*hasReceive || s.Ratchet.Send != nil && s.Ratchet.Own == nil || s.Ratchet.Own == nil && s.Ratchet.Receive == nil {
		return nil, refused
	}
	return s, nil
}

func (t *Ratchet) read(r *codec.Reader, bits byte) {
	r.Copy(t.Root[:])
	if bits&hasOwn != 0 {
		t.Own = &secret.Key{}
		r.Copy(t.Own[:])
		r.Copy(t.OwnPublic[:])
	}
	r.Copy(t.Peer[:])
	t.Send = readChain(r, bits&hasSend != 0)
	t.Receive = readChain(r, bits&hasReceive != 0)
	t.Previous = r.U32()
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		var k SkippedKey
		r.Copy(k.Peer[:])
		k.Index, k.At = r.U32(), r.U64()
		r.Copy(k.MessageKey[:])
		t.Skipped = append(t.Skipped, k)
	}
}

func readChain(r *codec.Reader, there bool) *Chain {
	if !there {
		return nil
	}
	c := &Chain{}
	r.Copy(c.Key[:])
	c.Index = r.U32()
	return c
}

func appendU32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// ParseParty brings a stored device back to life.
func (d *Design) ParseParty(state []byte) (suite.Party, error) {
	s, err := ParseState(state)
	if err != nil {
		return nil, err
	}
	return &Party{design: d, state: *s, public: s.Identity.Public()}, nil
}
