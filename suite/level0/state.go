package level0

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/suite"
)

const stateVersion = 1

// State is a whole device as it is stored, and as a thief finds it: the keys of
// its connection. A real client also keeps a copy of the chats, or asks the
// server for them, which is more than any key is worth.
type State struct {
	Name       string
	Server     [32]byte
	Record     []byte // empty until connected
	Connection Connection
	Sent       uint64
	Next       uint64
	Missing    []uint64
	Peers      []string
}

// State is the encoded State of this device.
func (p *Party) State() []byte {
	s := State{Name: p.name, Server: p.server, Record: p.record, Connection: p.connection,
		Sent: p.sent, Next: p.received.next, Missing: p.received.missing, Peers: p.peers}
	return s.Marshal()
}

// Marshal is the one encoding of the state.
func (s *State) Marshal() []byte {
	b := codec.AppendV16([]byte{stateVersion}, []byte(s.Name))
	b = append(b, s.Server[:]...)
	b = codec.AppendV16(b, s.Record)
	b = s.Connection.append(b)
	b = binary.BigEndian.AppendUint64(b, s.Sent)
	b = appendReceived(b, received{s.Next, s.Missing})
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.Peers)))
	for _, name := range s.Peers {
		b = codec.AppendV16(b, []byte(name))
	}
	return b
}

func (c *Connection) append(b []byte) []byte {
	for _, k := range []Keys{c.Up, c.Down} {
		b = append(b, k.Key[:]...)
		b = append(b, k.Nonce[:]...)
	}
	return b
}

func appendReceived(b []byte, r received) []byte {
	b = binary.BigEndian.AppendUint64(b, r.next)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.missing)))
	for _, n := range r.missing {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// ParseState reads a seized device.
func ParseState(b []byte) (*State, error) {
	r := codec.NewReader(bytes.Clone(b))
	version := r.U8()
	s := &State{Name: string(r.V16(maxName))}
	r.Copy(s.Server[:])
	s.Record = r.V16(32)
	for _, k := range []*Keys{&s.Connection.Up, &s.Connection.Down} {
		r.Copy(k.Key[:])
		r.Copy(k.Nonce[:])
	}
	s.Sent, s.Next = r.U64(), r.U64()
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		s.Missing = append(s.Missing, r.U64())
	}
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		s.Peers = append(s.Peers, string(r.V16(maxName)))
	}
	if !r.Done() || version != stateVersion || !s.sound() {
		return nil, suite.Refuse(level, suite.ErrState, "not the state of a device")
	}
	return s, nil
}

// sound: the parts fit together.
func (s *State) sound() bool {
	for i, n := range s.Missing {
		if n >= s.Next || i > 0 && n <= s.Missing[i-1] {
			return false
		}
	}
	return len(s.Missing) <= maxMissing && (len(s.Record) == 0 || len(s.Record) == 32)
}

// ParseParty brings a stored device back to life.
func (Level0) ParseParty(state []byte) (suite.Party, error) {
	s, err := ParseState(state)
	if err != nil {
		return nil, err
	}
	p := &Party{name: s.Name, server: s.Server, connection: s.Connection, sent: s.Sent,
		received: received{s.Next, s.Missing}, peers: s.Peers}
	if len(s.Record) > 0 {
		p.record = s.Record
	}
	return p, nil
}

// State is the server's private key and every connection's keys; the texts are
// what Relay kept.
func (s *Server) State() []byte {
	b := slices.Clone(s.key.Bytes())
	for i := range s.clients {
		c := &s.clients[i]
		b = codec.AppendV16(b, []byte(c.name))
		b = append(b, c.record...)
		b = c.connection.append(b)
		b = binary.BigEndian.AppendUint64(b, c.sent)
		b = appendReceived(b, c.received)
	}
	return b
}
