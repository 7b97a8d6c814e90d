package level3

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// State is a whole device as it is stored, and as a thief finds it.
type State struct {
	Suite     account.Suite
	Name      string
	Seeds     account.KeySeeds // of both identity keys
	Statement []byte           // ParseOwner reads it
	Prekeys   []secret.Bytes   // ParsePrekey reads them; oldest first
	Starts    []AcceptedStart
	Peers     []PeerState
}

// AcceptedStart is one entry of the record against replayed session starts.
type AcceptedStart struct {
	Key    pq3.ReplayKey
	Bundle account.BundleHash
	Device account.DeviceID
	At     uint64 // Unix ms
}

// PeerState is what a device keeps about one peer.
type PeerState struct {
	Name          string
	Statement     []byte
	Bundle        []byte
	SeenNotBefore uint64
	Sessions      []StoredSession // the one to send on first
}

// StoredSession is the storage form of a session; ParseSession reads it.
type StoredSession struct {
	Superseded uint64 // Unix ms since when it is not sent on; 0 while it is
	State      secret.Bytes
	Skipped    secret.Bytes
}

const (
	stateVersion = 1
	maxState     = 1 << 26 // a bound for hostile lengths, far above any device
)

// State is the encoded State of this device.
func (p *Party) State() []byte { return p.snapshot().Marshal() }

func (p *Party) snapshot() *State {
	s := &State{Suite: p.level.options.Suite, Name: p.identity.name, Seeds: p.identity.seeds, Statement: p.identity.statement}
	for _, held := range p.prekeys {
		s.Prekeys = append(s.Prekeys, held.Marshal())
	}
	for _, a := range p.starts {
		s.Starts = append(s.Starts, AcceptedStart{Key: a.key, Bundle: a.bundle, Device: a.device, At: a.at})
	}
	for _, known := range p.peers {
		s.Peers = append(s.Peers, known.snapshot())
	}
	return s
}

func (known peer) snapshot() PeerState {
	s := PeerState{Name: known.name, Statement: known.statement, Bundle: known.bundle.Marshal(), SeenNotBefore: known.seenNotBefore}
	for i, session := range known.sessions {
		stored := StoredSession{State: session.MarshalState(), Skipped: session.MarshalSkipped()}
		if i > 0 {
			stored.Superseded = known.superseded[i-1].at
		}
		s.Sessions = append(s.Sessions, stored)
	}
	return s
}

// Marshal is the one encoding of the state.
func (s *State) Marshal() []byte {
	b := []byte{stateVersion, byte(s.Suite)}
	b = codec.AppendV16(b, []byte(s.Name))
	b = append(b, s.Seeds.ECDSA[:]...)
	b = append(b, s.Seeds.MLDSA[:]...)
	b = codec.AppendV32(b, s.Statement)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Prekeys)))
	for _, p := range s.Prekeys {
		b = codec.AppendV32(b, p)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Starts)))
	for _, a := range s.Starts {
		b = append(b, a.Key[:]...)
		b = append(b, a.Bundle[:]...)
		b = append(b, a.Device[:]...)
		b = binary.BigEndian.AppendUint64(b, a.At)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Peers)))
	for i := range s.Peers {
		b = s.Peers[i].append(b)
	}
	return b
}

func (s *PeerState) append(b []byte) []byte {
	b = codec.AppendV16(b, []byte(s.Name))
	b = codec.AppendV32(b, s.Statement)
	b = codec.AppendV32(b, s.Bundle)
	b = binary.BigEndian.AppendUint64(b, s.SeenNotBefore)
	b = append(b, byte(len(s.Sessions)))
	for _, stored := range s.Sessions {
		b = binary.BigEndian.AppendUint64(b, stored.Superseded)
		b = codec.AppendV32(b, stored.State)
		b = codec.AppendV32(b, stored.Skipped)
	}
	return b
}

// ParseState reads a seized device. It checks form only, which is all that a
// thief needs.
func ParseState(b []byte) (*State, error) {
	r := codec.NewReader(bytes.Clone(b))
	version := r.U8()
	s := &State{Suite: account.Suite(r.U8()), Name: string(r.V16(maxName))}
	r.Copy(s.Seeds.ECDSA[:])
	r.Copy(s.Seeds.MLDSA[:])
	s.Statement = r.V32(maxState)
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		s.Prekeys = append(s.Prekeys, r.V32(maxState))
	}
	for n := r.U32(); n > 0 && !r.Failed(); n-- {
		var a AcceptedStart
		r.Copy(a.Key[:])
		r.Copy(a.Bundle[:])
		r.Copy(a.Device[:])
		a.At = r.U64()
		s.Starts = append(s.Starts, a)
	}
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		s.Peers = append(s.Peers, readPeerState(r))
	}
	if !r.Done() || version != stateVersion || !s.Suite.Valid() {
		return nil, suite.Refuse("level3", suite.ErrState, "not the state of a device")
	}
	return s, nil
}

func readPeerState(r *codec.Reader) PeerState {
	s := PeerState{Name: string(r.V16(maxName)), Statement: r.V32(maxState), Bundle: r.V32(maxState), SeenNotBefore: r.U64()}
	for n := r.U8(); n > 0 && !r.Failed(); n-- {
		s.Sessions = append(s.Sessions, StoredSession{Superseded: r.U64(), State: r.V32(maxState), Skipped: r.V32(maxState)})
	}
	return s
}

// ParseParty brings a stored device back to life. Every part must fit the
// others: keys their records, sessions the devices.
func (l *Level3) ParseParty(state []byte) (suite.Party, error) {
	s, err := ParseState(state)
	if err != nil {
		return nil, err
	}
	if s.Suite != l.options.Suite {
		return nil, suite.Refuse(l.Name(), suite.ErrState, "a device of the other suite")
	}
	id, err := restoreIdentity(s.Name, s.Seeds, s.Statement)
	if err != nil {
		return nil, l.refusal(err)
	}
	p := &Party{level: l, identity: id}
	for _, stored := range s.Prekeys {
		held, err := pq3.ParsePrekey(stored)
		if err != nil {
			return nil, l.refusal(err)
		}
		p.prekeys = append(p.prekeys, held)
	}
	for _, a := range s.Starts {
		p.starts = append(p.starts, accepted{key: a.Key, bundle: a.Bundle, device: a.Device, at: a.At})
	}
	for i := range s.Peers {
		known, err := p.restorePeer(&s.Peers[i])
		if err != nil {
			return nil, l.refusal(err)
		}
		p.peers = append(p.peers, known)
	}
	return p, nil
}

func (p *Party) restorePeer(s *PeerState) (known peer, err error) {
	known = peer{name: s.Name, statement: s.Statement, seenNotBefore: s.SeenNotBefore}
	if known.party, err = ParseOwner(s.Statement); err != nil {
		return known, err
	}
	if known.bundle, err = account.ParseBundle(s.Bundle); err != nil {
		return known, err
	}
	for i, stored := range s.Sessions {
		session, err := pq3.RestoreSession(p.identity.Identity, known.party, p.level.options.Policy, stored.State, stored.Skipped)
		if err != nil {
			return known, err
		}
		if i == 0 != (stored.Superseded == 0) {
			return known, suite.Refuse(p.level.Name(), suite.ErrState, "the first session, and it alone, is sent on")
		}
		known.sessions = append(known.sessions, session)
		if i > 0 {
			known.superseded = append(known.superseded, superseded{id: session.ID(), at: stored.Superseded})
		}
	}
	return known, nil
}
