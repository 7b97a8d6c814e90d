package level3

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// Party is one device: a suite.Party. It is immutable and safe for concurrent
// reading.
type Party struct {
	level    *Level3
	identity *identity
	prekeys  prekeys
	starts   starts
	peers    []peer
}

// peer is a device this one has met.
type peer struct {
	name          string
	statement     []byte
	party         account.Party
	bundle        *account.Bundle
	seenNotBefore uint64
	sessions      pq3.Sessions
	superseded    []superseded
}

// superseded notes since when a session is no longer sent on.
type superseded struct {
	id pq3.SessionID
	at uint64 // Unix ms
}

// Format shows nothing of a device: its keys are in unexported fields.
func (p Party) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Name is what the server calls this device.
func (p *Party) Name() string { return p.identity.name }

// Meet verifies a peer's record and keeps its bundle for the next session
// start. A peer never changes its account.
func (p *Party) Meet(now time.Time, record []byte) (suite.Party, error) {
	met, err := readPeer(record)
	if err != nil {
		return nil, p.level.refusal(err)
	}
	if err := met.bundle.Verify(met.party, now); err != nil {
		return nil, p.level.refusal(err)
	}
	i := p.find(met.name)
	if i < 0 {
		return p.with(len(p.peers), met), nil
	}
	known := p.peers[i]
	if !bytes.Equal(known.statement, met.statement) {
		return nil, suite.Refuse(p.level.Name(), suite.ErrSignature, "another account under a known name")
	}
	known.bundle = met.bundle
	return p.with(i, known), nil
}

func readPeer(record []byte) (peer, error) {
	r, err := ParseRecord(bytes.Clone(record))
	if err != nil {
		return peer{}, err
	}
	met := peer{name: r.Name, statement: r.Statement}
	if met.party, err = ParseOwner(r.Statement); err != nil {
		return peer{}, err
	}
	met.bundle, err = account.ParseBundle(r.Bundle)
	return met, err
}

func (p *Party) find(name string) int {
	return slices.IndexFunc(p.peers, func(known peer) bool { return known.name == name })
}

// with is the party with another state of one peer.
func (p *Party) with(i int, changed peer) *Party {
	next := *p
	next.peers = append(slices.Clone(p.peers[:i]), changed)
	if i < len(p.peers) {
		next.peers = append(next.peers, p.peers[i+1:]...)
	}
	return &next
}

func (p *Party) peer(name string) (peer, int, error) {
	i := p.find(name)
	if i < 0 {
		return peer{}, 0, suite.Refuse(p.level.Name(), suite.ErrPeer, "never met "+name)
	}
	return p.peers[i], i, nil
}

// Seal encrypts on the newest session. Where there is none, and where the
// healing contract forbids sending on, it starts one.
func (p *Party) Seal(ent suite.Entropy, now time.Time, to string, plaintext []byte) (suite.Party, []byte, error) {
	known, i, err := p.peer(to)
	if err != nil {
		return nil, nil, err
	}
	s := known.sessions.Sending()
	if s == nil || errors.Is(s.CanSend(now), pq3.ErrNewSessionNeeded) {
		if s, err = p.initiate(&known, ent, now); err != nil {
			return nil, nil, p.level.refusal(err)
		}
	}
	next, wire, err := s.SealWith(ent, now, plaintext, nil, p.level.force())
	if err != nil {
		return nil, nil, p.level.refusal(err)
	}
	return p.with(i, known.holding(now, next)), wire, nil
}

func (p *Party) initiate(known *peer, ent suite.Entropy, now time.Time) (*pq3.Session, error) {
	s, err := pq3.Initiate(p.identity.Identity, known.party, known.bundle, pq3.InitiateOptions{
		Policy: p.level.options.Policy, After: known.sessions.LastStart(), SeenNotBefore: known.seenNotBefore,
	}, now, ent)
	if err == nil {
		known.seenNotBefore = known.bundle.NotBefore
	}
	return s, err
}

// Open decrypts on the session that the message names, or accepts the start
// that it carries.
func (p *Party) Open(now time.Time, from string, wire []byte) (suite.Party, []byte, error) {
	known, i, err := p.peer(from)
	if err != nil {
		return nil, nil, err
	}
	m, err := pq3.ParseMessage(bytes.Clone(wire))
	if err != nil {
		return nil, nil, p.level.refusal(err)
	}
	s := known.sessions.Find(m.Session())
	if s == nil {
		return p.accept(now, i, known, m)
	}
	next, plaintext, err := s.Open(now, m)
	if err != nil {
		return nil, nil, p.level.refusal(err)
	}
	return p.with(i, known.holding(now, next)), plaintext, nil
}

func (p *Party) accept(now time.Time, i int, known peer, m *pq3.Message) (suite.Party, []byte, error) {
	a, err := pq3.Accept(p.identity.Identity, known.party, m, pq3.AcceptOptions{
		Policy: p.level.options.Policy, Prekeys: p.prekeys.held(now), Replays: p.starts,
	}, now)
	if err != nil {
		return nil, nil, p.level.refusal(err)
	}
	next := p.with(i, known.holding(now, a.Session))
	next.starts = append(slices.Clone(p.starts), accepted{
		key: a.Replay, bundle: a.Bundle, device: known.party.Device.ID, at: millis(now),
	})
	return next, a.Plaintext, nil
}

// holding puts in a new session or the next state of one, notes which ones it
// supersedes, and erases those whose time is over. SPEC §10.4.
func (known peer) holding(now time.Time, s *pq3.Session) peer {
	list, _ := known.sessions.With(s)
	before := known.superseded
	known.sessions, known.superseded = nil, nil
	for i, held := range list {
		if i == 0 {
			known.sessions = append(known.sessions, held)
			continue
		}
		mark := superseded{id: held.ID(), at: millis(now)}
		if at := slices.IndexFunc(before, func(b superseded) bool { return b.id == mark.id }); at >= 0 {
			mark = before[at]
		}
		if now.Sub(instant(mark.at)) < pq3.SupersededLife {
			known.sessions = append(known.sessions, held)
			known.superseded = append(known.superseded, mark)
		}
	}
	return known
}

// Rekeys counts the KEM rekeys of the session that is sent on.
func (p *Party) Rekeys(name string) int {
	if i := p.find(name); i >= 0 {
		if s := p.peers[i].sessions.Sending(); s != nil {
			return s.Status(instant(s.StartTime())).KEMRekeys
		}
	}
	return 0
}
