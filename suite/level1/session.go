package level1

import (
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Party is one device: a suite.Party. It is immutable and safe for concurrent
// reading.
type Party struct {
	design *Design
	state  State
	public PublicIdentity // of state.Identity
}

// Session is one conversation between two devices at one moment.
type Session struct {
	Base      [32]byte // the initiator's ephemeral key
	Initiator bool     // whether this device is it
	Start     *StartHeader
	Ratchet   Ratchet
	Second    secret.Bytes // state of the second ratchet; empty at Levels 1 and 2
}

// Format shows nothing of a device: its keys are in unexported fields.
func (p Party) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Name is what the server calls this device.
func (p *Party) Name() string { return p.state.Name }

// Meet verifies a peer's record and keeps it for the next session start. A peer
// never changes its identity.
func (p *Party) Meet(_ time.Time, bundle []byte) (suite.Party, error) {
	record, err := ParseRecord(bundle)
	if err != nil {
		return nil, err
	}
	if err := p.design.Verify(record); err != nil {
		return nil, err
	}
	next := *p
	next.state.Peers = slices.Clone(p.state.Peers)
	i := p.find(record.Name)
	switch {
	case i < 0:
		next.state.Peers = append(next.state.Peers, Peer{Record: record})
	case p.state.Peers[i].Record.Identity != record.Identity:
		return nil, p.design.refuse(suite.ErrSignature, "another identity under a known name")
	default:
		next.state.Peers[i].Record = record
	}
	return &next, nil
}

func (p *Party) find(name string) int {
	return slices.IndexFunc(p.state.Peers, func(known Peer) bool { return known.Record.Name == name })
}

func (p *Party) peer(name string) (int, error) {
	i := p.find(name)
	if i < 0 {
		return 0, p.design.refuse(suite.ErrPeer, "never met "+name)
	}
	return i, nil
}

// with puts a session first among those with a peer, in the place of its
// earlier state, and drops the one that was heard longest ago beyond the bound.
func (p *Party) with(i int, s *Session) *Party {
	next := *p
	next.state.Peers = slices.Clone(p.state.Peers)
	same := func(old *Session) bool { return old.Base == s.Base }
	others := slices.DeleteFunc(slices.Clone(p.state.Peers[i].Sessions), same)
	others = others[:min(len(others), maxSessions-1)]
	next.state.Peers[i].Sessions = append([]*Session{s}, others...)
	return &next
}

// Seal encrypts on the session that was heard last, or starts one.
func (p *Party) Seal(ent suite.Entropy, _ time.Time, to string, plaintext []byte) (suite.Party, []byte, error) {
	i, err := p.peer(to)
	if err != nil {
		return nil, nil, err
	}
	if len(plaintext) > MaxText {
		return nil, nil, p.design.refuse(suite.ErrLimit, "a text has at most 64 KiB")
	}
	known := p.state.Peers[i]
	var s *Session
	if len(known.Sessions) > 0 {
		s = known.Sessions[0]
	} else if s, err = p.initiate(ent, known.Record); err != nil {
		return nil, nil, err
	}
	next, m, err := p.seal(ent, s, known.Record, plaintext)
	if err != nil {
		return nil, nil, err
	}
	return p.with(i, next), m.Marshal(), nil
}

func (p *Party) seal(ent suite.Entropy, s *Session, peer *Record, plaintext []byte) (*Session, *Message, error) {
	next := *s
	key, header, err := next.Ratchet.next(ent)
	if err != nil {
		return nil, nil, err
	}
	m := &Message{Start: s.Start, Header: *header}
	if p.design.second != nil {
		state, head, second, err := p.design.second.Send(ent, s.Second)
		if err != nil {
			return nil, nil, err
		}
		next.Second, m.Second, key = state, head, HybridKey(key, second)
	}
	m.Ciphertext = Encrypt(key, plaintext, m.AppendHeader(p.associated(s, peer)))
	return &next, m, nil
}

func (p *Party) associated(s *Session, peer *Record) []byte {
	if s.Initiator {
		return Associated(p.public, peer.Identity)
	}
	return Associated(peer.Identity, p.public)
}

// Open decrypts on the session of the message, or accepts the start that it
// carries. Messages without a start do not name their session: each is tried,
// the one heard last first.
func (p *Party) Open(now time.Time, from string, wire []byte) (suite.Party, []byte, error) {
	i, err := p.peer(from)
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseMessage(wire)
	if err != nil {
		return nil, nil, err
	}
	known := p.state.Peers[i]
	tried := p.design.refuse(suite.ErrUndecryptable, "no session with this device")
	for j, s := range known.Sessions {
		if m.Start != nil && m.Start.Ephemeral != s.Base {
			continue
		}
		next, plaintext, err := p.open(now, s, known.Record, m)
		if err == nil {
			return p.with(i, next), plaintext, nil
		}
		if j == 0 || m.Start != nil {
			tried = err
		}
	}
	if m.Start == nil || slices.ContainsFunc(known.Sessions, func(s *Session) bool { return s.Base == m.Start.Ephemeral }) {
		return nil, nil, tried
	}
	return p.accept(now, i, m)
}

func (p *Party) accept(now time.Time, i int, m *Message) (suite.Party, []byte, error) {
	record := p.state.Peers[i].Record
	s, used, err := p.respond(m.Start, record)
	if err != nil {
		return nil, nil, err
	}
	next, plaintext, err := p.open(now, s, record, m)
	if err != nil {
		return nil, nil, err
	}
	return used.with(i, next), plaintext, nil
}

func (p *Party) open(now time.Time, s *Session, peer *Record, m *Message) (*Session, []byte, error) {
	next := *s
	key, err := next.Ratchet.receive(now, &m.Header)
	if err != nil {
		return nil, nil, err
	}
	if p.design.second != nil {
		state, second, err := p.design.second.Receive(s.Second, m.Second)
		if err != nil {
			return nil, nil, err
		}
		next.Second, key = state, HybridKey(key, second)
	}
	plaintext, err := Decrypt(key, m.Ciphertext, m.AppendHeader(p.associated(s, peer)))
	if err != nil {
		return nil, nil, err
	}
	next.Start = nil // the peer has answered, or is the one who started
	return &next, plaintext, nil
}

// Rekeys counts the secrets of a second ratchet; without one there are none.
func (p *Party) Rekeys(peer string) int {
	i := p.find(peer)
	if p.design.second == nil || i < 0 || len(p.state.Peers[i].Sessions) == 0 {
		return 0
	}
	return p.design.second.Rekeys(p.state.Peers[i].Sessions[0].Second)
}
